//! Jobs as they were a moment ago: many clients that ask about the same job cost its owner one look.
//!
//! A look counts the items of a job, a million of them perhaps, between two rounds of dispatch. What
//! this process changes itself is forgotten at once, so a client reads what it wrote.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ApiError, App};
use crate::control::{Request, Response};
use crate::job::JobId;
use crate::view::JobView;

/// As often as anybody can follow.
const FRESH: Duration = Duration::from_millis(100);
/// Where so many are known, the old ones are forgotten.
const MOST: usize = 1_000;

/// The jobs that were looked at lately.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    views: BTreeMap<JobId, (Instant, JobView)>,
    /// Counts changes: a look that began before one is not kept.
    changes: u64,
}

impl Recent {
    /// These jobs, those that are there.
    pub(super) async fn views(&self, app: &App, jobs: &[JobId]) -> Result<Vec<JobView>, ApiError> {
        let (mut views, missing, changes) = self.known(jobs);
        if missing.is_empty() {
            return Ok(views);
        }
        let Response::Views(looked) = app.ask(Request::ViewsOf { jobs: missing }).await? else {
            return Err(ApiError::internal("jobs were asked for, something else came"));
        };
        self.keep(&looked, changes);
        views.extend(looked);
        Ok(views)
    }

    /// A job was changed.
    pub(super) fn forget(&self, job: &JobId) {
        let mut known = self.lock();
        known.changes += 1;
        known.views.remove(job);
    }

    /// What is known of these, the others, and the changes so far.
    fn known(&self, jobs: &[JobId]) -> (Vec<JobView>, Vec<JobId>, u64) {
        let now = Instant::now();
        let known = self.lock();
        let (mut views, mut missing) = (Vec::new(), Vec::new());
        for job in jobs {
            match known.views.get(job).filter(|(at, _)| now.duration_since(*at) < FRESH) {
                Some((_, view)) => views.push(view.clone()),
                None => missing.push(job.clone()),
            }
        }
        (views, missing, known.changes)
    }

    fn keep(&self, looked: &[JobView], changes: u64) {
        let now = Instant::now();
        let mut known = self.lock();
        if known.changes != changes {
            return;
        }
        if known.views.len() > MOST {
            known.views.retain(|_, (at, _)| now.duration_since(*at) < FRESH);
        }
        known.views.extend(looked.iter().map(|view| (view.job_id.clone(), (now, view.clone()))));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Changed in single steps, so a panic elsewhere leaves it right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn a_look_that_began_before_a_change_is_not_kept() {
        let recent = Recent::default();
        let view = samples::running();
        let jobs = [view.job_id.clone()];
        let (_, missing, before) = recent.known(&jobs);
        assert_eq!(missing, jobs);
        recent.forget(&view.job_id);
        recent.keep(std::slice::from_ref(&view), before);
        assert_eq!(recent.known(&jobs).1, jobs);
        let (_, _, now) = recent.known(&jobs);
        recent.keep(std::slice::from_ref(&view), now);
        assert_eq!(recent.known(&jobs).0, [view]);
    }
}
