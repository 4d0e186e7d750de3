//! When: cheaper hours are waited for while the deadline allows, and no longer.

use std::time::Duration;

use super::bench::{Bench, Order, order};
use crate::catalog::{Limits, Route};
use crate::clock::Timestamp;
use crate::engine::Notice;
use crate::job::When;
use crate::ledger::RouteStats;
use crate::plan::testing::{at, hours, route, with_windows};
use crate::record::JobChange;
use crate::view::Waiting;

/// Four times the price until 17:00.
fn peaks(name: &str) -> Route {
    with_windows(route(name, 2), &[("09:00-17:00", 8)])
}

/// So many calls a minute at most.
fn limited(route: Route, rpm: u64) -> Route {
    Route { limits: Limits { rpm: Some(rpm), ..Limits::default() }, ..route }
}

fn due(mut order: Order, deadline: Timestamp) -> Order {
    order.job.classes[0].deadline = Some(deadline);
    order
}

impl Bench {
    /// Answers everything for so long, a second at a time.
    fn work(&mut self, until: Timestamp) {
        while self.now < until {
            while !self.out.is_empty() {
                self.answer("good");
            }
            let next = (self.now + Duration::from_secs(20)).min(until);
            self.pass(next.since(self.now).as_secs());
        }
    }

    /// Starts of a job on a route.
    fn started(&self, job: &crate::job::JobId, route: &str) -> usize {
        let is_it = |record: &&crate::record::Record| {
            matches!(record, crate::record::Record::Started(started)
                if started.job == *job && *started.route == *route)
        };
        self.records.iter().filter(is_it).count()
    }
}

#[test]
fn a_cheaper_hour_is_waited_for_and_status_says_so() {
    let mut bench = Bench::new([peaks("a/m")]);
    let job = bench.submit(due(order("job_1", 5, "a/m"), at("23:00")));
    assert_eq!((bench.out.len(), bench.waits(&job)), (0, vec![Waiting::Window]));
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a flat, 5 h"));
    bench.pass(3 * 3_600 + 12 * 60);
    assert_eq!(bench.view(&job).waiting_for.as_deref(), Some("waits for a flat, 1 h 48 m"));
    while bench.out.is_empty() {
        bench.sleep();
    }
    assert_eq!((bench.now, bench.out.len()), (at("17:00"), 5));
}

#[test]
fn a_cheaper_hour_after_the_deadline_is_not_waited_for() {
    let mut bench = Bench::new([peaks("a/m")]);
    bench.submit(due(order("job_1", 5, "a/m"), at("16:00")));
    bench.work(at("15:30"));
    assert_eq!(bench.state(&crate::job::JobId::new("job_1")).counts().ended(), 5);
}
