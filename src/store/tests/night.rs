//! A night as an engine would write it down: random, from a seed, with the fold of all durable
//! records as the oracle of every recovery.

use std::sync::Arc;

use bytes::Bytes;

use super::rig::{Rig, items, job};
use crate::attempt::{AttemptStatus, CostBasis, ErrorCode, ItemStatus};
use crate::clock::Timestamp;
use crate::job::{AttemptId, ItemIndex, Job, JobId, Wire};
use crate::ledger::{Amount, Day, JobLedger, Ledger, OpenAttempt, Phase};
use crate::money::{Usage, Usd};
use crate::record::{
    Checkpoint, Ended, ItemTotals, JobChange, Next, PartCommitted, Record, RouteFacts, Seq, Settled, Started,
    Taught,
};
use crate::store::FinalStates;
use crate::store::journal::end_of;

/// SplitMix64: a seed names a night.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// What was asked of the store, to ask it of another.
pub(super) enum Deed {
    Accept(Arc<Job>),
    Append(Record),
    Sync,
    Part(JobId, u32, FinalStates),
    Checkpoint(Box<Checkpoint>),
}

/// A store at work, and everything that was ever written down.
pub(super) struct Night<R> {
    pub(super) rig: R,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) log: Vec<Record>,
    pub(super) synced: usize,
    pub(super) jobs: Vec<(usize, Arc<Job>)>,
    pub(super) script: Vec<Deed>,
    newly_finished: Vec<JobId>,
    /// Once rebuilt, ended items are known by how they ended only.
    exact: bool,
}

impl<R: Rig> Night<R> {
    pub(super) fn new(rig: R, seed: u64) -> Night<R> {
        let mut night = Night::empty(rig, seed);
        night.accept();
        night
    }

    /// Begins with a job that the store has accepted.
    pub(super) fn over(rig: R, job: &Job) -> Night<R> {
        let mut night = Night::empty(rig, 0);
        night.add(Arc::new(job.clone()));
        night
    }

    pub(super) fn empty(rig: R, seed: u64) -> Night<R> {
        Night {
            rig,
            ledger: Ledger::default(),
            dice: Dice(seed),
            log: Vec::new(),
            synced: 0,
            jobs: Vec::new(),
            script: Vec::new(),
            newly_finished: Vec::new(),
            exact: true,
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        match self.dice.below(100) {
            0..35 => self.start(),
            35..70 => self.end(),
            70..73 => self.settle(),
            73..76 => self.change(),
            76..82 => self.commit_part(),
            82..84 => self.finish(),
            84 => self.accept(),
            85..95 => self.sync(),
            _ => self.checkpoint(),
        }
    }

    /// Everything unsynced is lost; what is recovered must be the fold of the rest, twice over.
    pub(super) fn crash(&mut self, lose_index: bool) {
        self.log.truncate(self.synced);
        self.exact &= !lose_index;
        self.rig.crash(lose_index);
        self.check_recovery();
    }

    pub(super) fn check_recovery(&mut self) {
        let expected = self.fold();
        let first = self.rig.store().recover().unwrap();
        assert_same(&first, &expected, self.exact);
        let again = self.rig.store().recover().unwrap();
        assert_same(&again, &first, true);
        self.ledger = again;
        // What finished before the stop and was not checkpointed is news again.
        self.newly_finished = self
            .ledger
            .jobs()
            .filter(|(_, state)| state.finished_at.is_some())
            .map(|(job, _)| job.id.clone())
            .collect();
    }

    /// Opens again as after a killed process; nothing may be missing.
    pub(super) fn check_after_reopening(&mut self) {
        self.rig.crash(false);
        self.check_recovery();
    }

    /// From now on ended items are compared by how they ended only.
    pub(super) fn index_was_lost(&mut self) {
        self.exact = false;
    }

    fn fold(&self) -> Ledger {
        fold(&self.jobs, &self.log)
    }

    pub(super) fn record(&mut self, record: Record) {
        self.ledger.apply(&record);
        self.rig.store().append(std::slice::from_ref(&record)).unwrap();
        self.script.push(Deed::Append(record.clone()));
        self.log.push(record);
    }

    pub(super) fn sync(&mut self) {
        let seq = self.rig.store().sync().unwrap();
        self.script.push(Deed::Sync);
        assert_eq!(seq, self.log.len() as Seq);
        self.synced = self.log.len();
    }

    pub(super) fn take_checkpoint(&mut self) -> Checkpoint {
        let mut checkpoint = Checkpoint { snapshot: self.ledger.snapshot(), ..Checkpoint::default() };
        for job in std::mem::take(&mut self.newly_finished) {
            let (_, state) = self.ledger.get(&job).unwrap();
            checkpoint.finished.push((job, state.clone()));
        }
        for (_, job) in &self.jobs {
            let chunks = self.ledger.get_mut(&job.id).unwrap().items.take_dirty();
            checkpoint
                .chunks
                .extend(chunks.into_iter().map(|(chunk, states)| (job.id.clone(), chunk, states)));
        }
        checkpoint
    }

    pub(super) fn checkpoint(&mut self) {
        let checkpoint = self.take_checkpoint();
        self.rig.store().checkpoint(&checkpoint).unwrap();
        self.script.push(Deed::Checkpoint(Box::new(checkpoint)));
        self.synced = self.log.len();
    }

    pub(super) fn accept(&mut self) {
        let n_items = [5, 90, 4_200][self.dice.below(3) as usize];
        let job = job(&format!("job_{:06}", self.jobs.len()), n_items);
        self.rig.stage(&job, &items(&job));
        self.rig.store().accept(&job).unwrap();
        self.synced = self.log.len();
        let job = Arc::new(job);
        self.script.push(Deed::Accept(job.clone()));
        self.add(job);
    }

    fn add(&mut self, job: Arc<Job>) {
        self.ledger.add(job.clone(), JobLedger::new(&job));
        self.jobs.push((self.log.len(), job));
    }

    pub(super) fn start(&mut self) {
        let Some((job, item)) = self.pick(|phase| phase == Phase::Pending) else {
            self.accept();
            return self.start();
        };
        let state = self.state(&job).items.get(item);
        self.record(Record::Started(Started {
            attempt: AttemptId(self.ledger.globals.next_attempt),
            job,
            item,
            step: state.step(),
            route: "sim/small".into(),
            worst_case: Usd::from_pico(1_000 + i128::from(item)),
            at: self.now(),
            day: Day::default(),
            tags: [format!("team={}", item % 3).into()].into(),
            drawing: None,
            batch: None,
        }));
    }

    pub(super) fn end(&mut self) {
        let Some((job, attempt, open)) = self.pick_open() else { return };
        let item = open.item;
        let (dice, now) = (self.dice.below(10), self.now());
        let settled = |status, error| Next::Settled(Box::new(settled(&job, item, status, error, now)));
        let unknown = Some((ErrorCode::Timeout, "no answer".to_owned()));
        let (status, error, next) = match dice {
            0..6 => (AttemptStatus::Succeeded, None, settled(ItemStatus::Succeeded, None)),
            6 => (
                AttemptStatus::Rejected,
                Some((ErrorCode::NotJson, "no".into())),
                Next::Pending(open.step + 1),
            ),
            7 => (AttemptStatus::Unknown, unknown, Next::Held(open.step)),
            8 => (AttemptStatus::Unknown, unknown, Next::Pending(open.step)),
            _ => (AttemptStatus::Error, None, settled(ItemStatus::Failed, Some(ErrorCode::BadRequest))),
        };
        let at_risk = if status == AttemptStatus::Unknown { open.worst_case } else { Usd::ZERO };
        self.record(Record::Ended(Box::new(ended(
            &job,
            attempt,
            &open,
            status,
            error,
            at_risk,
            next,
            self.now(),
        ))));
    }

    fn settle(&mut self) {
        // Also while an attempt is in flight: its late end then changes the money and not the item.
        let Some((job, item)) = self.pick(|phase| !matches!(phase, Phase::Final(_))) else { return };
        let end = settled(&job, item, ItemStatus::Expired, Some(ErrorCode::Deadline), self.now());
        self.record(Record::Settled(Box::new(end)));
    }

    fn change(&mut self) {
        let Some(job) = self.pick_job() else { return };
        let change = match self.dice.below(3) {
            0 => JobChange::Paused,
            1 => JobChange::Resumed,
            _ => JobChange::MaxCost(Some(Usd::from_pico(9))),
        };
        self.record(Record::Changed(job, change));
    }

    /// A part holds the rows of durable records, and is there before the record that says so.
    pub(super) fn commit_part(&mut self) {
        let Some(job) = self.pick_job() else { return };
        let (from, part) = (self.state(&job).committed_to, self.state(&job).parts + 1);
        let mut states = Vec::new();
        for (n, record) in self.log[..self.synced].iter().enumerate() {
            if let Some(end) = end_of(record).filter(|end| end.job == job && n as Seq + 1 > from) {
                let before =
                    self.log[..n].iter().filter_map(end_of).any(|e| (&e.job, e.item) == (&job, end.item));
                if !before {
                    states.push((end.item, end.status));
                }
            }
        }
        self.script.push(Deed::Part(job.clone(), part, states.clone()));
        self.rig.write_part(&job, part, states);
        let to = self.synced as Seq;
        self.record(Record::PartCommitted(PartCommitted {
            job,
            part,
            to,
            date: "2026-11-21".into(),
            result_rows: 0,
            attempt_rows: 0,
            results_sha256: String::new(),
            attempts_sha256: String::new(),
        }));
    }

    /// The smallest unfinished job is brought to its end.
    pub(super) fn finish(&mut self) {
        let unfinished =
            self.ledger.jobs().filter(|(job, state)| state.finished_at.is_none() && job.n_items < 100);
        let Some(job) = unfinished.map(|(job, _)| job.clone()).next() else { return };
        while let Some((attempt, open)) = self.state(&job.id).open.first_key_value() {
            let next = Next::Pending(0);
            let end = ended(&job.id, *attempt, open, AttemptStatus::Error, None, Usd::ZERO, next, self.now());
            self.record(Record::Ended(Box::new(end)));
        }
        for item in 0..job.n_items {
            if !self.state(&job.id).items.get(item).is_final() {
                let end =
                    settled(&job.id, item, ItemStatus::Cancelled, Some(ErrorCode::Cancelled), self.now());
                self.record(Record::Settled(Box::new(end)));
            }
        }
        let tally = self.ledger.get(&job.id).and_then(|(_, state)| state.tally.clone());
        let taught = tally.map(|tally| Box::new(Taught { class: "reviews".into(), tally: *tally }));
        self.record(Record::Finished { job: job.id.clone(), at: self.now(), taught });
        self.newly_finished.push(job.id.clone());
    }

    fn state(&self, job: &JobId) -> &JobLedger {
        self.ledger.get(job).unwrap().1
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + self.log.len() as i64 * 1_000)
    }

    fn pick_job(&mut self) -> Option<JobId> {
        let running: Vec<JobId> = self
            .ledger
            .jobs()
            .filter(|(_, state)| state.finished_at.is_none())
            .map(|(job, _)| job.id.clone())
            .collect();
        (!running.is_empty()).then(|| running[self.dice.below(running.len() as u64) as usize].clone())
    }

    fn pick(&mut self, good: impl Fn(Phase) -> bool) -> Option<(JobId, ItemIndex)> {
        let first = self.pick_job()?;
        let at = self.dice.0;
        let running =
            self.ledger.jobs().filter(|(job, state)| state.finished_at.is_none() && job.id != first);
        let others: Vec<JobId> = running.map(|(job, _)| job.id.clone()).collect();
        [first].into_iter().chain(others).find_map(|job| {
            let n_items = self.ledger.get(&job)?.0.n_items;
            let from = (at % u64::from(n_items)) as ItemIndex;
            let items = &self.state(&job).items;
            let item = (from..n_items).chain(0..from).find(|&item| good(items.get(item).phase()))?;
            Some((job, item))
        })
    }

    fn pick_open(&mut self) -> Option<(JobId, AttemptId, OpenAttempt)> {
        let job = self.pick_job()?;
        let n_open = self.state(&job).open.len() as u64;
        let nth = (n_open > 0).then(|| self.dice.below(n_open))?;
        let (attempt, open) = self.state(&job).open.iter().nth(nth as usize)?;
        Some((job.clone(), *attempt, open.clone()))
    }
}

/// What these records add up to, each job from where it was accepted.
pub(super) fn fold(jobs: &[(usize, Arc<Job>)], log: &[Record]) -> Ledger {
    let mut ledger = Ledger::default();
    let mut jobs = jobs.iter().peekable();
    for n in 0..=log.len() {
        while let Some((_, job)) = jobs.next_if(|(since, _)| *since <= n) {
            ledger.add(job.clone(), JobLedger::new(job));
        }
        if let Some(record) = log.get(n) {
            ledger.apply(record);
        }
    }
    ledger
}

fn settled(
    job: &JobId,
    item: ItemIndex,
    status: ItemStatus,
    error: Option<ErrorCode>,
    at: Timestamp,
) -> Settled {
    Settled {
        job: job.clone(),
        item,
        custom_id: format!("r-{item}").into(),
        status,
        error: error.map(|code| (code, "why".to_owned())),
        valid: Some(true),
        step: Some(0),
        priority: 0,
        totals: ItemTotals::default(),
        at,
        deadline: None,
        tags: vec![("app".into(), "x".into())],
        input: None,
        copied: None,
    }
}

#[expect(clippy::too_many_arguments, reason = "one literal of a large record")]
fn ended(
    job: &JobId,
    attempt: AttemptId,
    open: &OpenAttempt,
    status: AttemptStatus,
    error: Option<(ErrorCode, String)>,
    at_risk: Usd,
    next: Next,
    at: Timestamp,
) -> Ended {
    Ended {
        attempt,
        job: job.clone(),
        item: open.item,
        custom_id: format!("r-{}", open.item).into(),
        wire: Wire::Chat,
        number: 1,
        step: open.step,
        status,
        error,
        escalation: None,
        http_status: Some(200),
        route: RouteFacts {
            provider: "sim".into(),
            model: "small".into(),
            endpoint: "/v1/chat/completions".into(),
            lane: "realtime".into(),
            window: "flat".into(),
            price_id: "sim/small".into(),
            input_price: Some(150_000),
            output_price: None,
        },
        response_model: None,
        request_id: Some("req".into()),
        finish_reason: Some("stop".into()),
        usage: Some(Usage { input: 10, output: 3, ..Usage::default() }),
        cost: Usd::from_pico(77),
        list_cost: Usd::from_pico(99),
        cost_basis: CostBasis::Computed,
        queued_at: open.at,
        started_at: open.at,
        ended_at: at,
        retry_after_ms: None,
        text: Some("fine".into()),
        body: Bytes::from_static(b"{\"choices\":[{\"message\":{\"content\":\"fine\"}}]}"),
        at_risk,
        totals: ItemTotals { attempts: 1, cost: Usd::from_pico(77), ..ItemTotals::default() },
        next,
        open_tags: Vec::new(),
        input_estimate: 100,
        class: "reviews".into(),
        drawn: Amount::NOTHING,
        has_check: true,
        spends_model: false,
        hedge: false,
        upstream_batch: None,
    }
}

/// Equal but for marks that are not stored and, unless `exact`, for the history of ended items.
pub(super) fn assert_same(left: &Ledger, right: &Ledger, exact: bool) {
    assert_eq!(left.globals, right.globals);
    let names = |ledger: &Ledger| ledger.jobs().map(|(job, _)| job.id.clone()).collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for ((job, state), (other_job, other)) in left.jobs().zip(right.jobs()) {
        assert_eq!(job, other_job);
        assert_eq!(state.without_items(), other.without_items());
        assert_eq!(state.counts(), other.counts());
        assert_eq!(state.items.iter().count(), other.items.iter().count());
        for (item, (a, b)) in state.items.iter().zip(other.items.iter()).enumerate() {
            let same = if exact || !a.is_final() { a.stored() == b.stored() } else { a.phase() == b.phase() };
            assert!(same, "item {item} of {}: {a:?} is not {b:?}", job.id);
        }
    }
}
