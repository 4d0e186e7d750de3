//! The fluid bound: no schedule's expected cost is below it.
//!
//! Everything is known beforehand and items are a fluid: attempts x[step, route, slot] ≥ 0 at their true
//! prices, each step fed by the failures of the one before in the same slot at the earliest, every slot
//! within its true pace, batches done at once and without limit.

use std::collections::BTreeSet;

use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, Variable};

use crate::instance::Instance;

/// The least expected dollars; `None` where the program cannot be solved.
pub(crate) fn bound(instance: &Instance) -> Option<f64> {
    let edges = edges(instance);
    let n_slots = edges.len() - 1;
    let dearest = instance.steps.iter().flat_map(|step| &step.routes).flat_map(|route| &route.spans);
    let dearest = dearest.map(|span| span.2).fold(0.0, f64::max);
    let unit = instance.items as f64;
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let mut fed: Vec<LinearExpr> = vec![LinearExpr::empty(); n_slots];
    for (k, step) in instance.steps.iter().enumerate() {
        let mut waiting: Option<Variable> = None;
        let mut feeds: Vec<LinearExpr> = Vec::new();
        for slot in 0..n_slots {
            let (from, until) = (edges[slot], edges[slot + 1]);
            let middle = (from + until) / 2.0;
            let mut row = std::mem::replace(&mut fed[slot], LinearExpr::empty());
            let mut feed = LinearExpr::empty();
            for route in &step.routes {
                let Some(price) = route.price(middle) else { continue };
                let most = capacity(route, from, until) / unit;
                let x = problem.add_var(price / dearest, (0.0, most));
                row.add(x, 1.0);
                feed.add(x, -(1.0 - step.pass));
            }
            if let Some(batch) = &step.batch {
                let x = problem.add_var(batch.price / dearest, (0.0, f64::INFINITY));
                row.add(x, 1.0);
                feed.add(x, -(1.0 - step.pass));
            }
            // Unsolved items are not allowed: they cost more than any attempt.
            let cost = if slot + 1 == n_slots { 1e3 } else { 0.0 };
            let after = problem.add_var(cost, (0.0, f64::INFINITY));
            row.add(after, 1.0);
            if let Some(before) = waiting {
                row.add(before, -1.0);
            }
            let came = if k == 0 && slot == 0 { 1.0 } else { 0.0 };
            problem.add_constraint(row, ComparisonOp::Eq, came);
            waiting = Some(after);
            feeds.push(feed);
        }
        fed = feeds;
    }
    let solution = problem.solve().ok()?.into_solution().ok()?;
    Some(solution.objective() * unit * dearest)
}

/// Every quarter of an hour, or a hundredth of the night, and wherever a price changes.
fn edges(instance: &Instance) -> Vec<f64> {
    let until = instance.deadline;
    let length = (until / 100.0).max(0.25);
    let mut cuts: BTreeSet<u64> = BTreeSet::new();
    let micros = |hours: f64| (hours * 1e6).round() as u64;
    let mut at = 0.0;
    while at < until {
        cuts.insert(micros(at));
        at += length;
    }
    cuts.insert(micros(until));
    for route in instance.steps.iter().flat_map(|step| &step.routes) {
        for span in &route.spans {
            cuts.extend([span.0, span.1].into_iter().filter(|&edge| edge < until).map(micros));
        }
    }
    cuts.into_iter().map(|cut| cut as f64 / 1e6).collect()
}

fn capacity(route: &crate::instance::Route, from: f64, until: f64) -> f64 {
    let minutes = ((until - from) * 60.0).ceil().max(1.0) as usize;
    let tick = (until - from) / minutes as f64;
    (0..minutes).map(|minute| route.pace_at(from + (minute as f64 + 0.5) * tick) * tick).sum()
}
