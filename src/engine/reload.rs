//! Another config: the routes it has, at its prices and under its limits, while work goes on.
//!
//! What is in flight ends as it began, at the price it was started at. What waits is looked at anew.
//!
//! Pure.

use std::sync::Arc;

use super::Engine;
use super::queue::StepQueue;
use crate::catalog::Route;

impl Engine {
    /// The routes there are.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        (0..self.lanes.len()).map(|lane| self.lanes.get(lane).route.clone()).collect()
    }

    /// Puts other routes in force; what stopped under the old ones is tried again.
    pub(super) fn reloaded(&mut self, routes: Vec<Arc<Route>>) {
        self.lanes.replace(routes, self.now);
        self.lanes.knock(self.now);
        self.queues.values_mut().flat_map(|queue| queue.steps.values_mut()).for_each(StepQueue::look_again);
        self.schedule.drop_plan();
        self.plan_for_all();
    }
}
