//! A night played minute by minute: the planner sees what it has measured, never the truth.

use std::time::Duration;

use overnight::clock::Timestamp;
use overnight::job::When;
use overnight::plan::schedule::{
    Batch, DoneBy, Feed, Lane, Pace, Plan, Problem, Rules, Span, Way, Work, plan, replan,
};

use crate::dice::Dice;
use crate::instance::Instance;

/// How a night is worked.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) rules: Rules,
    pub(crate) when: When,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) spend: f64,
    /// Hours at which the last item ended.
    pub(crate) finish: f64,
    pub(crate) missed: bool,
}

const TICK: f64 = 1.0 / 60.0;
/// Attempts that an assumption about a pace counts as.
const ASSUMED: f64 = 10.0;

struct Part {
    lines: u64,
    sent_at: f64,
    done_at: f64,
    /// When its cancellation is through.
    back_at: f64,
}

struct StepState {
    pending: u64,
    flying: u64,
    passed: u64,
    judged: u64,
    sent: Vec<u64>,
    /// The pace last seen of each route.
    seen_pace: Vec<f64>,
    noise: Vec<f64>,
    credit: Vec<f64>,
    allowed: Vec<u64>,
    ordered: bool,
    parts: Vec<Part>,
    curve: DoneBy,
}

impl StepState {
    /// Whether an order was used up while items wait.
    fn is_used_up(&self) -> bool {
        self.pending > 0 && self.ordered && self.allowed.iter().all(|&left| left == 0)
    }
}

pub(crate) struct Night<'a> {
    instance: &'a Instance,
    policy: Policy,
    dice: Dice,
    start: Timestamp,
    hours: f64,
    steps: Vec<StepState>,
    spend: f64,
    left: u64,
}

/// Plays the night to its end.
pub(crate) fn play(instance: &Instance, policy: Policy, seed: u64) -> Outcome {
    let mut night = Night::new(instance, policy, seed);
    let mut last: Option<(Problem, Plan)> = None;
    while night.left > 0 && night.hours < instance.horizon - 1.0 {
        night.collect();
        let problem = night.problem();
        let is_due = last
            .as_ref()
            .is_none_or(|(before, plan)| replan::is_due(before, before.now, plan.replan_at, &problem))
            || night.steps.iter().any(StepState::is_used_up);
        if is_due {
            let plan = plan(&problem, &policy.rules);
            night.obey(&plan);
            last = Some((problem, plan));
        }
        night.send();
        night.hours += TICK;
    }
    Outcome { spend: night.spend, finish: night.hours, missed: night.hours > instance.deadline }
}

impl<'a> Night<'a> {
    fn new(instance: &'a Instance, policy: Policy, seed: u64) -> Night<'a> {
        let mut dice = Dice::new(seed ^ 0x5EED);
        let mut steps = Vec::new();
        for step in &instance.steps {
            let n = step.routes.len();
            steps.push(StepState {
                pending: 0,
                flying: 0,
                passed: 0,
                judged: 0,
                sent: vec![0; n],
                seen_pace: step.routes.iter().map(|route| route.pace).collect(),
                noise: (0..n).map(|_| dice.normal()).collect(),
                credit: vec![0.0; n],
                allowed: vec![0; n],
                ordered: false,
                parts: Vec::new(),
                curve: DoneBy::default(),
            });
        }
        steps[0].pending = instance.items;
        let start =
            Timestamp::from_micros(1_795_000_000_000_000 + (dice.unit() * 604_800.0) as i64 * 1_000_000);
        Night { instance, policy, dice, start, hours: 0.0, steps, spend: 0.0, left: instance.items }
    }

    fn moment(&self, hours: f64) -> Timestamp {
        Timestamp::from_micros(self.start.micros() + (hours * 3.6e9).round() as i64)
    }

    /// Answers of the last minute, and batches that are done or back.
    fn collect(&mut self) {
        for k in 0..self.steps.len() {
            let flying = std::mem::take(&mut self.steps[k].flying);
            self.answered(k, flying);
            let parts = std::mem::take(&mut self.steps[k].parts);
            for part in parts {
                let age = |hours: f64| Duration::from_secs_f64((hours - part.sent_at) * 3_600.0);
                if part.done_at <= self.hours && part.done_at <= part.back_at {
                    let price = self.instance.steps[k].batch.as_ref().map_or(0.0, |batch| batch.price);
                    self.spend += price * part.lines as f64;
                    self.steps[k].curve.done(age(part.done_at));
                    self.answered(k, part.lines);
                } else if part.back_at <= self.hours {
                    self.steps[k].curve.never_done(age(part.back_at));
                    self.steps[k].pending += part.lines;
                } else {
                    self.steps[k].parts.push(part);
                }
            }
        }
    }

    fn answered(&mut self, k: usize, n: u64) {
        let passed = self.dice.successes(n, self.instance.steps[k].pass);
        self.steps[k].passed += passed;
        self.steps[k].judged += n;
        self.left -= passed;
        match self.steps.get_mut(k + 1) {
            Some(next) => next.pending += n - passed,
            None => self.left -= n - passed,
        }
    }

    /// What the planner knows.
    fn problem(&self) -> Problem {
        let deadline = Some(self.moment(self.instance.deadline));
        let mut works = Vec::new();
        let mut meter = 0;
        for (k, (step, state)) in self.instance.steps.iter().zip(&self.steps).enumerate() {
            let pass = (2.0 * 0.7 + state.passed as f64) / (2.0 + state.judged as f64);
            let mut ways = Vec::new();
            for (r, route) in step.routes.iter().enumerate() {
                let n = state.sent[r] as f64;
                let measured = state.seen_pace[r].ln() + 0.5 * state.noise[r] / (n + 1.0).sqrt();
                let assumed = (route.pace * route.misjudged).ln();
                let pace = ((ASSUMED * assumed + n * measured) / (ASSUMED + n)).exp();
                // Costs are learned like paces, only faster.
                let cost = ((ASSUMED * route.mispriced.ln()) / (ASSUMED + n)).exp();
                let spans = route.spans.iter().map(|&(from, until, price)| Span {
                    from: self.moment(from),
                    until: self.moment(until),
                    cost: price * cost,
                });
                ways.push(Way {
                    route: meter,
                    lane: Lane::Realtime,
                    pass,
                    attempts: state.judged.min(state.sent[r]),
                    spans: spans.collect(),
                    paces: vec![Pace { meter, per_hour: pace }],
                });
                meter += 1;
            }
            let mut batches = Vec::new();
            if let Some(batch) = &step.batch {
                let cost = ((ASSUMED * batch.mispriced.ln()) / (ASSUMED + state.judged as f64)).exp();
                let (from, until) = (self.moment(0.0), self.moment(self.instance.horizon));
                ways.push(Way {
                    route: meter,
                    lane: Lane::Batch(state.curve),
                    pass,
                    attempts: state.judged,
                    spans: vec![Span { from, until, cost: batch.price * cost }],
                    paces: Vec::new(),
                });
                meter += 1;
                for part in state.parts.iter().filter(|part| part.back_at.is_infinite()) {
                    let sent_at = self.moment(part.sent_at);
                    batches.push(Batch { way: ways.len() - 1, lines: part.lines, sent_at, done: 0.0 });
                }
            }
            let coming_back: u64 =
                state.parts.iter().filter(|part| part.back_at.is_finite()).map(|part| part.lines).sum();
            works.push(Work {
                priority: 0,
                pending: state.pending + coming_back,
                in_flight: state.flying,
                feeds: (k + 1 < self.steps.len()).then_some(Feed { work: k + 1, share: 1.0 }),
                deadline,
                when: self.policy.when,
                worth: 0.0,
                ways,
                batches,
            });
        }
        Problem { now: self.moment(self.hours), works }
    }

    fn obey(&mut self, plan: &Plan) {
        for (k, order) in plan.orders.iter().enumerate() {
            let state = &mut self.steps[k];
            state.allowed.fill(0);
            state.ordered = !order.send.is_empty();
            for send in &order.send {
                state.allowed[send.way] = send.at_most;
            }
            let open: Vec<usize> =
                (0..state.parts.len()).filter(|&at| state.parts[at].back_at.is_infinite()).collect();
            for &recalled in &order.recall {
                // Cancelling takes minutes, in which a batch may still end.
                state.parts[open[recalled]].back_at = self.hours + self.dice.between(0.02, 0.12);
            }
            let (Some(submit), Some(batch)) = (order.submit, &self.instance.steps[k].batch) else { continue };
            let mut lines = submit.lines.min(state.pending);
            state.pending -= lines;
            while lines > 0 {
                let part = lines.min(submit.part);
                let done_at = self.hours + batch.delay(&mut self.dice);
                state.parts.push(Part { lines: part, sent_at: self.hours, done_at, back_at: f64::INFINITY });
                lines -= part;
            }
        }
    }

    /// A minute's attempts, the last step first.
    fn send(&mut self) {
        for k in (0..self.steps.len()).rev() {
            let state = &mut self.steps[k];
            for (r, route) in self.instance.steps[k].routes.iter().enumerate() {
                let pace = route.pace_at(self.hours);
                state.credit[r] = (state.credit[r].fract() + pace * TICK).max(0.0);
                let Some(price) = route.price(self.hours) else { continue };
                let count = state.pending.min(state.allowed[r]).min(state.credit[r] as u64);
                if count == 0 {
                    continue;
                }
                state.credit[r] -= count as f64;
                state.pending -= count;
                state.allowed[r] -= count;
                state.flying += count;
                state.sent[r] += count;
                state.seen_pace[r] = pace;
                self.spend += price * count as f64;
            }
        }
    }
}
