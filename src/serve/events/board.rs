//! [`Board`]: every job as it was last seen, with the number of its last change, and its course so far.
//!
//! Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::job::JobId;
use crate::tenant::{Caller, TAG};
use crate::view::{BudgetView, JobView};

/// Removed jobs that are remembered, for those who missed it.
const MOST_GONE: usize = 1_024;
/// Points of a course: more than a chart has pixels for are thinned.
const MOST_POINTS: usize = 360;

/// How far a job was at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(in crate::serve) struct Point {
    pub(in crate::serve) at: Timestamp,
    /// Items that ended.
    pub(in crate::serve) ended: u32,
    /// Of these, with an accepted answer.
    pub(in crate::serve) succeeded: u32,
    pub(in crate::serve) cost_usd: f64,
}

impl Point {
    fn of(view: &JobView, at: Timestamp) -> Point {
        let (ended, succeeded) = (view.counts.ended(), view.counts.succeeded);
        Point { at, ended, succeeded, cost_usd: view.cost_usd }
    }

    fn is_as_far_as(&self, other: &Point) -> bool {
        (self.ended, self.succeeded, self.cost_usd) == (other.ended, other.succeeded, other.cost_usd)
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) kind: &'static str,
    pub(super) data: Value,
}

/// Every job as it was last seen.
#[derive(Debug, Default)]
pub(in crate::serve) struct Board {
    seq: u64,
    jobs: BTreeMap<JobId, Known>,
    /// Removed: when, which, whose.
    gone: VecDeque<(u64, JobId, Option<String>)>,
    /// Who saw no more than this may have missed that something is gone.
    forgotten: u64,
    budgets: (u64, Vec<BudgetView>),
}

#[derive(Debug)]
struct Known {
    seq: u64,
    view: JobView,
    course: Vec<Point>,
}

/// Whether a job may be shown to somebody.
pub(in crate::serve) fn sees(caller: &Caller, view: &JobView) -> bool {
    caller.sees(view.tags.get(TAG).map(String::as_str))
}

impl Board {
    /// The number of the last change.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Takes in how everything is now; gives the number of the last change.
    pub(super) fn see(&mut self, views: Vec<JobView>, budgets: Vec<BudgetView>, now: Timestamp) -> u64 {
        let mut before = std::mem::take(&mut self.jobs);
        for view in views {
            let known = match before.remove(&view.job_id) {
                Some(known) if known.view == view => known,
                Some(known) => Known { seq: self.next(), course: extended(known.course, &view, now), view },
                None => Known { seq: self.next(), course: extended(Vec::new(), &view, now), view },
            };
            self.jobs.insert(known.view.job_id.clone(), known);
        }
        for (job, known) in before {
            let seq = self.next();
            self.gone.push_back((seq, job, known.view.tags.get(TAG).cloned()));
        }
        while self.gone.len() > MOST_GONE {
            self.forgotten = self.gone.pop_front().map_or(self.forgotten, |(seq, ..)| seq);
        }
        if self.budgets.1 != budgets {
            self.budgets = (self.next(), budgets);
        }
        self.seq
    }

    /// What somebody has to be told who saw everything up to `seen`; oldest first.
    pub(super) fn since(&self, seen: Option<u64>, caller: &Caller) -> Vec<Event> {
        let Some(seen) = seen.filter(|seen| (self.forgotten..=self.seq).contains(seen)) else {
            let jobs: Vec<&JobView> =
                self.jobs.values().map(|known| &known.view).filter(|view| sees(caller, view)).collect();
            let data = json!({ "jobs": jobs, "budgets": shown(&self.budgets.1, caller) });
            return vec![Event { seq: self.seq, kind: "jobs", data }];
        };
        let changed = self.jobs.values().filter(|known| known.seq > seen && sees(caller, &known.view));
        let mut events: Vec<Event> =
            changed.map(|known| Event { seq: known.seq, kind: "job", data: json!(known.view) }).collect();
        let gone = self.gone.iter().filter(|(seq, _, tenant)| *seq > seen && caller.sees(tenant.as_deref()));
        events.extend(gone.map(|(seq, job, _)| Event {
            seq: *seq,
            kind: "gone",
            data: json!({ "job_id": job }),
        }));
        if self.budgets.0 > seen {
            let data = json!(shown(&self.budgets.1, caller));
            events.push(Event { seq: self.budgets.0, kind: "budgets", data });
        }
        events.sort_by_key(|event| event.seq);
        events
    }

    /// How a job went while this process watched.
    pub(in crate::serve) fn course(&self, job: &JobId) -> Vec<Point> {
        self.jobs.get(job).map(|known| known.course.clone()).unwrap_or_default()
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

/// Of the budgets, those that somebody may know of: tenants see the one with their name.
pub(in crate::serve) fn shown<'a>(budgets: &'a [BudgetView], caller: &Caller) -> Vec<&'a BudgetView> {
    let own = caller.tenant().map(|name| format!("{TAG}={name}"));
    budgets.iter().filter(|budget| own.as_ref().is_none_or(|own| budget.scope == *own)).collect()
}

/// A course one point longer, where the job went on.
fn extended(mut course: Vec<Point>, view: &JobView, now: Timestamp) -> Vec<Point> {
    let point = Point::of(view, now);
    match course.last() {
        None if view.first_sent_at.is_none() || view.finished_at.is_some() => return course,
        Some(last) if last.is_as_far_as(&point) => return course,
        _ => course.push(point),
    }
    if course.len() > MOST_POINTS {
        let last = course.len() - 1;
        let mut index = 0;
        course.retain(|_| {
            index += 1;
            index % 2 == 1 || index > last
        });
    }
    course
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    fn kinds(board: &Board, seen: Option<u64>, caller: &Caller) -> Vec<(u64, &'static str)> {
        board.since(seen, caller).iter().map(|event| (event.seq, event.kind)).collect()
    }

    fn acme() -> Caller {
        Caller::Tenant(std::sync::Arc::new(crate::tenant::Tenant {
            name: "acme".to_owned(),
            tags: BTreeMap::new(),
            models: Vec::new(),
        }))
    }

    #[test]
    fn who_was_cut_off_gets_what_changed_since_and_no_more() {
        let mut board = Board::default();
        let now = samples::now();
        board.see(vec![samples::running(), samples::completed()], Vec::new(), now);
        assert_eq!(kinds(&board, None, &Caller::Operator), [(2, "jobs")]);
        assert_eq!(kinds(&board, Some(2), &Caller::Operator), []);
        let mut later = samples::running();
        later.counts.succeeded += 1;
        board.see(vec![later.clone(), samples::completed()], Vec::new(), now);
        assert_eq!(kinds(&board, Some(2), &Caller::Operator), [(3, "job")]);
        board.see(vec![later], Vec::new(), now);
        assert_eq!(kinds(&board, Some(2), &Caller::Operator), [(3, "job"), (4, "gone")]);
        assert_eq!(kinds(&board, Some(99), &Caller::Operator), [(4, "jobs")], "of no number of ours");
    }

    #[test]
    fn nobody_hears_of_anothers_jobs_not_even_that_they_are_gone() {
        let mut board = Board::default();
        board.see(vec![samples::running()], Vec::new(), samples::now());
        assert_eq!(kinds(&board, Some(0), &acme()), []);
        assert_eq!(board.since(None, &acme())[0].data["jobs"], json!([]));
        board.see(Vec::new(), Vec::new(), samples::now());
        assert_eq!(kinds(&board, Some(0), &acme()), []);
        let mut own = samples::running();
        own.tags.insert(TAG.to_owned(), "acme".to_owned());
        board.see(vec![own], Vec::new(), samples::now());
        assert_eq!(kinds(&board, Some(0), &acme()), [(3, "job")]);
    }

    #[test]
    fn a_course_keeps_its_ends_however_long_it_gets() {
        let mut view = samples::running();
        let start = samples::now();
        let mut course = Vec::new();
        for n in 0..2_000_u32 {
            view.counts.succeeded = n;
            course = extended(course, &view, start + std::time::Duration::from_secs(u64::from(n)));
        }
        assert!((100..=MOST_POINTS).contains(&course.len()), "{}", course.len());
        assert_eq!(course[0].succeeded, 0);
        assert_eq!(course.last().unwrap().succeeded, 1_999);
        assert!(course.windows(2).all(|pair| pair[0].at < pair[1].at));
    }
}
