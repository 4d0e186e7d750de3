//! One night's truth: a job, its ladder, its routes with their windows, paces and whims.
//!
//! Times are hours from the start; what the planner sees of it is made in [`crate::night`].

use crate::dice::Dice;

/// A job and the world it meets.
pub(crate) struct Instance {
    pub(crate) items: u64,
    /// Hours to the deadline.
    pub(crate) deadline: f64,
    pub(crate) steps: Vec<Step>,
    /// Hours until which prices are known.
    pub(crate) horizon: f64,
}

pub(crate) struct Step {
    /// The chance that an answer passes.
    pub(crate) pass: f64,
    pub(crate) routes: Vec<Route>,
    pub(crate) batch: Option<BatchRoute>,
}

pub(crate) struct Route {
    /// (from, until, dollars an attempt); closed between.
    pub(crate) spans: Vec<(f64, f64, f64)>,
    /// Dollars an attempt where no window says otherwise.
    pub(crate) base: f64,
    /// Attempts an hour, on average.
    pub(crate) pace: f64,
    /// What the planner first takes `pace` for, over the truth.
    pub(crate) misjudged: f64,
    /// What the planner takes costs for, over the truth.
    pub(crate) mispriced: f64,
    /// The pace by quarter of an hour, over its average.
    pub(crate) weather: Vec<f64>,
    /// Hours in which it is down.
    pub(crate) down: (f64, f64),
}

pub(crate) struct BatchRoute {
    pub(crate) price: f64,
    pub(crate) mispriced: f64,
    /// Hours by which half of what is ever done is done.
    pub(crate) median: f64,
    pub(crate) spread: f64,
    /// The share never done.
    pub(crate) never: f64,
}

/// One line to look at an odd result with.
impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} items, deadline {:.2}", self.items, self.deadline)?;
        for step in &self.steps {
            write!(f, " | pass {:.2}", step.pass)?;
            for route in &step.routes {
                let now = route.price(0.0).map_or(0.0, |price| price / route.base);
                let next = route.spans.iter().find(|span| span.0 > 0.0);
                let next = next.map_or((0.0, 0.0), |span| (span.0, span.2 / route.base));
                write!(
                    f,
                    " [{:.0}/h ${:.1e} x{now:.2}, at {:.1} x{:.2}]",
                    route.pace, route.base, next.0, next.1
                )?;
            }
            if let Some(batch) = &step.batch {
                let BatchRoute { price, median, spread, never, .. } = batch;
                write!(f, " batch ${price:.1e} {median:.2}h^{spread:.1} never {never:.2}")?;
            }
        }
        Ok(())
    }
}

impl BatchRoute {
    /// Hours until a part is done.
    pub(crate) fn delay(&self, dice: &mut Dice) -> f64 {
        let hours = self.median * (self.spread * dice.normal()).exp();
        if dice.chance(self.never) { f64::INFINITY } else { hours.max(0.02) }
    }
}

impl Route {
    pub(crate) fn price(&self, hours: f64) -> Option<f64> {
        self.spans.iter().find(|span| span.0 <= hours && hours < span.1).map(|span| span.2)
    }

    /// Attempts an hour at a moment.
    pub(crate) fn pace_at(&self, hours: f64) -> f64 {
        if self.down.0 <= hours && hours < self.down.1 {
            return 0.0;
        }
        let quarter = ((hours * 4.0) as usize).min(self.weather.len() - 1);
        self.pace * self.weather[quarter]
    }
}

impl Instance {
    pub(crate) fn draw(seed: u64, with_batch: bool) -> Instance {
        let mut dice = Dice::new(seed);
        let items = dice.log_between(200.0, 20_000.0) as u64;
        let n_steps = dice.whole(1, 3);
        let horizon = 24.0 * 8.0;
        let deadline = if dice.chance(0.15) { dice.between(0.75, 2.0) } else { dice.log_between(2.0, 36.0) };
        // From a night that is nearly too short to one with ten times the hours it needs.
        let slack = 1.2 - 1.8 * dice.unit().max(1e-9).ln();
        let efforts: Vec<f64> = (0..n_steps).map(|_| dice.log_between(0.1, 1.0)).collect();
        let effort: f64 = efforts.iter().sum();
        let mut steps = Vec::new();
        let mut cost = dice.log_between(2e-5, 2e-3);
        let mut reach = items as f64;
        for own in efforts {
            let pass = dice.between(0.3, 0.95);
            let needed = deadline / slack.min(12.0) * own / effort;
            let n_routes = if dice.chance(0.5) { 1 } else { dice.whole(2, 3) };
            let shares: Vec<f64> = (0..n_routes).map(|_| dice.between(0.2, 1.0)).collect();
            let all: f64 = shares.iter().sum();
            let routes: Vec<Route> = shares
                .iter()
                .map(|share| Route::draw(&mut dice, cost, reach / needed * share / all, horizon))
                .collect();
            let of = dice.whole(0, n_routes - 1) as usize;
            let batch = (with_batch && dice.chance(0.85)).then(|| BatchRoute::draw(&mut dice, &routes[of]));
            steps.push(Step { pass, routes, batch });
            reach *= 1.0 - pass;
            cost *= dice.log_between(2.0, 12.0);
        }
        let mut instance = Instance { items, deadline, steps, horizon };
        // Closed hours and bad weather can make it too short after all.
        instance.deadline = deadline.max(instance.fastest() * 1.2 + 0.4);
        instance
    }

    /// Hours it takes with everything sent at once.
    fn fastest(&self) -> f64 {
        let mut waiting = vec![0.0; self.steps.len()];
        waiting[0] = self.items as f64;
        let tick = 1.0 / 60.0;
        let mut hours = 0.0;
        while hours < self.horizon && waiting.iter().sum::<f64>() > 0.5 {
            for k in (0..self.steps.len()).rev() {
                let step = &self.steps[k];
                let open = step.routes.iter().filter(|route| route.price(hours).is_some());
                let sent = open.map(|route| route.pace_at(hours) * tick).sum::<f64>().min(waiting[k]);
                waiting[k] -= sent;
                if let Some(next) = waiting.get_mut(k + 1) {
                    *next += sent * (1.0 - step.pass);
                }
            }
            hours += tick;
        }
        hours
    }
}

impl Route {
    fn draw(dice: &mut Dice, cost: f64, pace: f64, horizon: f64) -> Route {
        let base = cost * dice.log_between(0.7, 1.6);
        let drift = if dice.chance(0.5) { dice.between(0.0, 0.12) } else { 0.0 };
        let (length, phase) = (dice.between(2.0, 12.0), dice.unit());
        let quarters = (horizon * 4.0) as usize + 1;
        let mut weather = Vec::new();
        for quarter in 0..quarters {
            let wave = (std::f64::consts::TAU * (quarter as f64 / 4.0 / length + phase)).sin();
            weather.push((1.0 + drift * wave + 0.04 * dice.normal()).max(0.5));
        }
        let down = if dice.chance(0.1) {
            let from = dice.between(0.0, 12.0);
            (from, from + dice.between(0.03, 0.2))
        } else {
            (0.0, 0.0)
        };
        Route {
            spans: windows(dice, base, horizon),
            base,
            pace: pace.max(1.0),
            misjudged: (0.25 * dice.normal()).exp().clamp(0.5, 1.8),
            mispriced: dice.between(0.8, 1.2),
            weather,
            down,
        }
    }
}

/// Prices over the days: flat, with cheap hours, with dear hours, or open at night only.
fn windows(dice: &mut Dice, base: f64, horizon: f64) -> Vec<(f64, f64, f64)> {
    let kind = dice.unit();
    let factor = if kind < 0.2 {
        1.0
    } else if kind < 0.6 {
        if dice.chance(0.6) { 0.5 } else { dice.between(0.25, 0.8) }
    } else {
        dice.between(1.5, 3.0)
    };
    let start = dice.between(0.0, 24.0);
    let mut ranges = vec![(start, start + dice.between(1.0, 9.0))];
    if dice.chance(0.3) {
        let second = ranges[0].1 + dice.between(1.0, 5.0);
        ranges.push((second, second + dice.between(1.0, 5.0)));
    }
    let weekend_off = dice.chance(0.2);
    let first_day = dice.whole(0, 6);
    let hours = dice.chance(0.12).then(|| (dice.between(0.0, 24.0), dice.between(8.0, 18.0)));
    let inside = |at: f64, range: (f64, f64)| (at - range.0).rem_euclid(24.0) < range.1 - range.0;
    let price = |at: f64| {
        let day = (first_day + (at / 24.0) as u64) % 7;
        let holds = ranges.iter().any(|&range| inside(at, range)) && !(weekend_off && day >= 5);
        let open = hours.is_none_or(|(from, length)| inside(at, (from, from + length)));
        open.then_some(if holds { base * factor } else { base })
    };
    let mut spans: Vec<(f64, f64, f64)> = Vec::new();
    let minutes = (horizon * 12.0) as usize;
    for five in 0..minutes {
        let (from, until) = (five as f64 / 12.0, (five + 1) as f64 / 12.0);
        let Some(price) = price(from + 1e-6) else { continue };
        match spans.last_mut() {
            Some(last) if last.2 == price && (last.1 - from).abs() < 1e-9 => last.1 = until,
            _ => spans.push((from, until, price)),
        }
    }
    spans
}

impl BatchRoute {
    /// Batches of a route's model, at a discount on what it costs in most hours.
    fn draw(dice: &mut Dice, of: &Route) -> BatchRoute {
        let discount = if dice.chance(0.85) { 0.5 } else { dice.between(0.5, 0.8) };
        let fate = dice.unit();
        let never = if fate < 0.5 {
            0.0
        } else if fate < 0.9 {
            dice.between(0.0, 0.03)
        } else if fate < 0.98 {
            dice.between(0.05, 0.3)
        } else {
            1.0
        };
        BatchRoute {
            price: of.base * discount,
            mispriced: of.mispriced,
            median: 0.17 * (0.8 * dice.normal()).exp(),
            spread: dice.between(0.8, 1.8),
            never,
        }
    }
}
