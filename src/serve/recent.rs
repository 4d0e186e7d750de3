//! Jobs as they were a moment ago: many clients that ask about jobs, the same one or others, cost their owner
//! one look.
//!
//! A look counts the items of a job, a million of them perhaps, between two rounds of dispatch. What
//! this process changes itself is forgotten at once, so a client reads what it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::lately::good_for;
use super::{ApiError, App};
use crate::control::{Request, Response};
use crate::job::JobId;
use crate::view::JobView;

/// Where so many are known, the old ones are forgotten.
const MOST: usize = 1_000;

/// The jobs that were looked at lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: Mutex<Known>,
    /// Held by whoever asks, for all who wait for it.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// With the moment from which on they are too old.
    views: BTreeMap<JobId, (Instant, JobView)>,
    /// Those that are asked for next.
    wanted: BTreeSet<JobId>,
    /// Those that were changed since a look began, while there is one: what it saw of them is not kept.
    changed: Option<BTreeSet<JobId>>,
}

impl Recent {
    /// These jobs, those that are there.
    pub(super) async fn views(&self, app: &App, jobs: &[JobId]) -> Result<Vec<JobView>, ApiError> {
        let (views, missing) = self.known(jobs);
        if missing.is_empty() {
            return Ok(views);
        }
        self.lock().wanted.extend(missing);
        let _one = self.asking.lock().await;
        let (mut views, missing) = self.known(jobs);
        if missing.is_empty() {
            return Ok(views);
        }
        let (_look, wanted) = (Look(self), self.begin(&missing));
        let began = Instant::now();
        let Response::Views(looked) = app.ask(Request::ViewsOf { jobs: wanted }).await? else {
            return Err(ApiError::internal("jobs were asked for, something else came"));
        };
        self.keep(&looked, Instant::now() + good_for(began.elapsed()));
        views.extend(looked.into_iter().filter(|view| missing.contains(&view.job_id)));
        Ok(views)
    }

    /// A job was changed.
    pub(super) fn forget(&self, job: &JobId) {
        let mut known = self.lock();
        if let Some(changed) = &mut known.changed {
            changed.insert(job.clone());
        }
        known.views.remove(job);
    }

    /// A look at these begins, and at what others wait for.
    fn begin(&self, missing: &[JobId]) -> Vec<JobId> {
        let mut known = self.lock();
        known.changed = Some(BTreeSet::new());
        let mut wanted = std::mem::take(&mut known.wanted);
        wanted.extend(missing.iter().cloned());
        wanted.into_iter().collect()
    }

    /// What is known of these, and the others.
    fn known(&self, jobs: &[JobId]) -> (Vec<JobView>, Vec<JobId>) {
        let now = Instant::now();
        let known = self.lock();
        let (mut views, mut missing) = (Vec::new(), Vec::new());
        for job in jobs {
            match known.views.get(job).filter(|(good_until, _)| now < *good_until) {
                Some((_, view)) => views.push(view.clone()),
                None => missing.push(job.clone()),
            }
        }
        (views, missing)
    }

    fn keep(&self, looked: &[JobView], good_until: Instant) {
        let Known { views, changed, .. } = &mut *self.lock();
        if views.len() > MOST {
            let now = Instant::now();
            views.retain(|_, (good_until, _)| now < *good_until);
        }
        let looked = looked
            .iter()
            .filter(|view| changed.as_ref().is_none_or(|changed| !changed.contains(&view.job_id)));
        views.extend(looked.map(|view| (view.job_id.clone(), (good_until, view.clone()))));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Changed in single steps, so a panic elsewhere leaves it right.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody asks, until he has the answer or gives up.
struct Look<'a>(&'a Recent);

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.0.lock().changed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn of_a_look_what_was_changed_meanwhile_is_not_kept() {
        let recent = Recent::default();
        let later = Instant::now() + std::time::Duration::from_secs(3_600);
        let looked = [samples::running(), samples::completed()];
        let jobs = looked.each_ref().map(|view| view.job_id.clone());
        assert_eq!(recent.known(&jobs), (Vec::new(), jobs.to_vec()));
        assert_eq!(recent.begin(&jobs).len(), 2);
        recent.forget(&jobs[0]);
        recent.keep(&looked, later);
        assert_eq!(recent.known(&jobs), (vec![looked[1].clone()], vec![jobs[0].clone()]));
        assert_eq!(recent.begin(&jobs[..1]), jobs[..1]);
        recent.keep(&looked[..1], later);
        assert_eq!(recent.known(&jobs).0, looked);
    }
}
