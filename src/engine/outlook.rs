//! The night ahead by route, as people are shown it: what is sent, what may be, what is planned for when.
//!
//! What is planned is worked out anew from the queues as they stand, by the planner that gives the orders:
//! orders say what goes now, this says what is hoped for later.
//!
//! Pure.

use std::collections::BTreeMap;

use super::Engine;
use crate::clock::Timestamp;
use crate::job::When;
use crate::plan::schedule::{Problem, Rules, outlook};
use crate::view::{DispatchView, LimitView, PlannedHour};

/// When attempts begin and end to go out, and how many.
type Stretch = (Timestamp, Timestamp, f64);

impl Engine {
    /// Every route that sends, that has something planned, or whose limits the provider stated; by name.
    pub fn dispatch_views(&mut self, now: Timestamp) -> Vec<DispatchView> {
        let now = now.max(self.now);
        let mut planned = self.planned();
        let shown = (0..self.lanes.len()).map(|lane| {
            let hours = PlannedHour::of(&planned.remove(&lane).unwrap_or_default());
            self.dispatch_view(lane, hours, now)
        });
        let mut shown: Vec<DispatchView> = shown.filter(is_at_work).collect();
        shown.sort_by(|a, b| a.route.cmp(&b.route));
        shown
    }

    /// What goes on which lane and when, if the night goes as hoped.
    fn planned(&mut self) -> BTreeMap<usize, Vec<Stretch>> {
        let (mut problem, ..) = self.problem();
        forget_prices_of_the_hasty(&mut problem);
        let mut planned: BTreeMap<usize, Vec<Stretch>> = BTreeMap::new();
        for placed in outlook(&problem, &Rules::default()).1 {
            let lane = problem.works[placed.work].ways[placed.way].route;
            planned.entry(lane).or_default().push((placed.from, placed.until, placed.count));
        }
        planned
    }

    fn dispatch_view(&self, lane: usize, planned: Vec<PlannedHour>, now: Timestamp) -> DispatchView {
        let (account, of_account) = self.lanes.account_quota(lane);
        let lane = self.lanes.get(lane);
        let limits = |of: &str, used: Vec<(&'static str, u64, u64, bool)>| {
            let view = |(counts, limit, used, learned): (&str, u64, u64, bool)| LimitView {
                of: of.to_owned(),
                counts: counts.to_owned(),
                limit,
                used,
                learned,
            };
            used.into_iter().map(view).collect::<Vec<_>>()
        };
        let own = limits(&lane.route.name, lane.quota.used(now));
        let shared = limits(account, of_account.used(now));
        let paused = lane.quota.paused_until().max(of_account.paused_until());
        DispatchView {
            route: lane.route.name.to_string(),
            in_flight: lane.quota.in_flight(),
            calls_at_most: lane.quota.concurrency().min(of_account.concurrency()),
            limits: own.into_iter().chain(shared).collect(),
            paused_until: Some(paused).filter(|&until| until > now),
            trouble: self.lanes.trouble(&lane.route),
            planned,
        }
    }
}

fn is_at_work(view: &DispatchView) -> bool {
    let is_used = view.limits.iter().any(|limit| limit.learned || limit.used > 0 && limit.of == view.route);
    view.in_flight > 0 || !view.planned.is_empty() || is_used
}

/// Who does not wait for cheaper hours takes the first there are.
fn forget_prices_of_the_hasty(problem: &mut Problem) {
    let hasty = problem.works.iter_mut().filter(|work| work.when == When::Asap);
    for way in hasty.flat_map(|work| &mut work.ways) {
        let least = way.spans.iter().map(|span| span.cost).fold(f64::INFINITY, f64::min);
        way.spans.iter_mut().for_each(|span| span.cost = least);
    }
}
