//! Everything sent as fast as it goes: when would it be done?
//!
//! A fluid runs through the slots. In each, chains go in the order they are served and later steps
//! first; a step sends on all its ways until it is empty or they are; what fails arrives at the next
//! step at once. *Likely* takes pass chances and paces as they are, *careful* takes the least pass
//! chance, paces slowed by what they may prove to be, no flex, nothing in the last stretch before a way
//! closes for good, and provider batches as if all their lines came back.
//!
//! Pure.

use super::night::{Lined, Meters, Night, feed};
use super::{BATCH_COVER, Rules};

/// With the margin: a pace that is only assumed may be wrong by a factor of two. A hundred attempts say
/// how long answers are and take to a few percent.
const DOUBT: f64 = 0.85;

/// What is taken for granted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Likely,
    Careful,
}

/// How a run went.
pub(super) struct Run {
    /// Hours at which each chain was done; `None` where the slots ended first.
    pub finish: Vec<Option<f64>>,
    /// Attempts sent in the first slot, by work and way.
    pub first: Vec<Vec<f64>>,
    /// Items of each chain that ended by its deadline.
    pub in_time: Vec<f64>,
    /// Items of each chain that ended.
    pub ended: Vec<f64>,
}

/// Runs the first `n_chains` chains, with the first slot's attempts limited to `first` where given.
pub(super) fn run(night: &Night<'_>, n_chains: usize, view: View, first: Option<&[Vec<f64>]>) -> Run {
    let mut flow = Flow::new(night, view);
    let mut run = Run {
        finish: vec![None; n_chains],
        first: night.steps.iter().map(|step| vec![0.0; step.ways.len()]).collect(),
        in_time: vec![0.0; n_chains],
        ended: vec![0.0; n_chains],
    };
    for slot in 0..night.slots.len() {
        let limit = first.filter(|_| slot == 0);
        let mut idle = true;
        for chain in 0..n_chains {
            if run.finish[chain].is_some() {
                continue;
            }
            flow.serve(chain, slot, limit, &mut run);
            if flow.is_done(chain, slot) {
                run.finish[chain] = Some(flow.finish[chain]);
            } else {
                idle = false;
            }
        }
        if idle {
            break;
        }
    }
    run
}

struct Flow<'a> {
    night: &'a Night<'a>,
    view: View,
    waiting: Vec<f64>,
    /// What batches give back, by work and slot, where a step has no other way.
    due: Vec<Vec<(usize, f64)>>,
    meters: Meters,
    finish: Vec<f64>,
}

impl<'a> Flow<'a> {
    fn new(night: &'a Night<'a>, view: View) -> Flow<'a> {
        // A line that is out is covered at seven tenths of the pace, the guard's own margin included.
        let cover =
            if view == View::Careful { (1.0 / BATCH_COVER / night.rules.margin).max(1.0) } else { 1.0 };
        let mut waiting = Vec::new();
        for step in &night.steps {
            let out = if step.only_batches() { 0.0 } else { step.out * cover };
            waiting.push(step.work.pending as f64 + step.coming + out);
        }
        let finish = vec![0.0; night.chains.len()];
        let mut flow = Flow {
            night,
            view,
            waiting,
            due: vec![Vec::new(); night.steps.len()],
            meters: night.meters(),
            finish,
        };
        for (work, step) in night.steps.iter().enumerate() {
            if step.only_batches() && step.out > 0.0 {
                flow.send_in_batch(work, 0, step.out);
            }
        }
        flow
    }

    fn serve(&mut self, chain: usize, slot: usize, limit: Option<&[Vec<f64>]>, run: &mut Run) {
        let works = &self.night.chains[chain].works;
        for &work in works {
            let due: f64 = self.due[work].iter().filter(|due| due.0 == slot).map(|due| due.1).sum();
            let least = |pass: f64, way: &Lined<'_>| pass.min(self.pass_of(way));
            let pass = self.night.steps[work].ways.iter().fold(1.0, least);
            self.pass_on(chain, work, slot, (due, due * (1.0 - pass)), run);
        }
        // Once for what waited, and once more for each step its failures can still reach.
        for _ in 0..works.len() {
            for &work in works.iter().rev() {
                self.send(chain, work, slot, limit, run);
            }
        }
    }

    fn send(&mut self, chain: usize, work: usize, slot: usize, limit: Option<&[Vec<f64>]>, run: &mut Run) {
        let night = self.night;
        let step = &night.steps[work];
        if self.waiting[work] < 1e-9 {
            return;
        }
        if step.only_batches() {
            let waiting = std::mem::take(&mut self.waiting[work]);
            self.send_in_batch(work, slot, waiting);
            return;
        }
        let hours = night.slots.hours(slot);
        let (mut sent, mut failed) = (0.0, 0.0);
        let share = if self.view == View::Careful { night.slots.share_before(slot, step.until) } else { 1.0 };
        let with_flex = self.view == View::Likely || step.has_only_flex();
        for &at in &step.open[slot] {
            let way = &step.ways[at];
            if way.is_batch() || way.is_flex() && !with_flex {
                continue;
            }
            let weight = if self.view == View::Careful { way.caution } else { 1.0 };
            let mut count = self.waiting[work].min(self.meters.room(way, slot, share, hours, weight));
            if let Some(limit) = limit {
                count = count.min(limit[work][at] - run.first[work][at]).max(0.0);
            }
            if slot == 0 {
                run.first[work][at] += count;
            }
            self.meters.take(way, slot, count, weight);
            self.waiting[work] -= count;
            sent += count;
            failed += count * (1.0 - self.pass_of(way));
            let used = way.meters.iter().filter(|meter| meter.1.is_finite());
            let used = used.map(|meter| 1.0 - self.meters.left(meter.0, slot) / hours).fold(0.0, f64::max);
            if count > 0.0 {
                self.finish[chain] = self.finish[chain].max(night.slots.start(slot) + used * hours);
            }
        }
        self.pass_on(chain, work, slot, (sent, failed), run);
    }

    fn pass_of(&self, way: &Lined<'_>) -> f64 {
        if self.view == View::Careful { way.least_pass } else { way.pass }
    }

    fn pass_on(&mut self, chain: usize, work: usize, slot: usize, (sent, failed): (f64, f64), run: &mut Run) {
        if sent <= 0.0 {
            return;
        }
        let step = &self.night.steps[work];
        let mut ended = sent;
        if let Some((next, share)) = feed(self.night.problem, work) {
            self.waiting[next] += failed * share;
            ended -= failed * share;
        }
        run.ended[chain] += ended;
        run.in_time[chain] += ended * self.night.slots.share_before(slot, step.deadline);
    }

    /// Lines of a step that has nothing but batches come back when most batches are done.
    fn send_in_batch(&mut self, work: usize, slot: usize, lines: f64) {
        let night = self.night;
        let curves = night.steps[work].ways.iter().filter_map(|way| way.way.done_by());
        let typical = curves.map(|curve| curve.typical()).fold(0.0, f64::max);
        let back = night.slots.start(slot) + typical;
        let at = (slot + 1..night.slots.len()).find(|&at| night.slots.end(at) > back);
        self.due[work].push((at.unwrap_or(usize::MAX), lines));
    }

    fn is_done(&mut self, chain: usize, slot: usize) -> bool {
        let works = &self.night.chains[chain].works;
        let ahead = works.iter().any(|&work| self.due[work].iter().any(|due| due.0 > slot));
        let came = works.iter().any(|&work| self.due[work].iter().any(|due| due.0 == slot));
        if came {
            self.finish[chain] = self.finish[chain].max(self.night.slots.end(slot));
        }
        !ahead && works.iter().all(|&work| self.waiting[work] < 1e-6 * (1.0 + self.night.steps[work].total))
    }
}

impl Rules {
    /// How many times slower than its pace a way may prove, by the attempts that pace was measured on.
    pub(super) fn caution(&self, attempts: u64) -> f64 {
        if self.guard { self.margin + DOUBT / (1.0 + attempts as f64).sqrt() } else { 1.0 }
    }
}
