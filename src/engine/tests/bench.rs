//! An engine with a driver's hands: records are kept until they are synced, prompts come at once,
//! requests stay out until the test says how they end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::attempt::{Answer, Ending, ErrorCode, ItemStatus, Outcome, RateHints, Refusal, RefusalKind};
use crate::batch::Mark;
use crate::catalog::Route;
use crate::check::Check;
use crate::clock::Timestamp;
use crate::engine::{BatchAsk, BatchNews, BatchWork, Call, Effect, Engine, Event, Notice};
use crate::job::{AttemptId, Class, Item, ItemIndex, Job, JobId, JobOptions, Ladder, Source};
use crate::ledger::{Counts, JobLedger, Ledger};
use crate::money::{Usage, Usd};
use crate::plan::testing::{at, item, shared};
use crate::record::{Ended, JobChange, Record, Settled};
use crate::view::{JobView, Waiting};

/// Rounds after which an engine that is still busy with itself never comes to rest.
const MOST_ROUNDS: usize = 2_000;

/// A job of items that are alike.
pub(super) struct Order {
    pub(super) job: Job,
    pub(super) items: Vec<Item>,
}

/// `n` plain items for a ladder written as `a|b > c`.
pub(super) fn order(id: &str, n: u32, ladder: &str) -> Order {
    let steps = ladder.split(" > ").map(|step| step.split('|').map(str::to_owned).collect()).collect();
    let class = Class { ladder: Ladder(steps), ..Class::default() };
    let job = Job {
        id: JobId::new(id),
        name: None,
        submitted_at: at("12:00"),
        n_items: n,
        classes: vec![class],
        class_of: Vec::new(),
        copies: Vec::new(),
        options: JobOptions::default(),
        source: Source::default(),
        retry_of: None,
    };
    Order { job, items: (0..n).map(item).collect() }
}

impl Order {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Order)) -> Order {
        change(&mut self);
        self
    }

    pub(super) fn checked(self) -> Order {
        self.with(|order| order.job.options.check = Some(Check::Contains("good".to_owned())))
    }

    pub(super) fn capped(self, pico: i128) -> Order {
        self.with(|order| order.job.options.max_cost = Some(Usd::from_pico(pico)))
    }
}

pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now: Timestamp,
    pub(super) out: VecDeque<Call>,
    pub(super) records: Vec<Record>,
    pub(super) notices: Vec<Notice>,
    pub(super) wake: Timestamp,
    /// Commands asked for, with the answers they judge.
    pub(super) judged: Vec<(AttemptId, Vec<Vec<String>>, String)>,
    /// What was asked about batches, requests for drafts apart.
    pub(super) asks: VecDeque<BatchAsk>,
    /// Requests in drafts.
    pub(super) drafted: Vec<(Mark, Call)>,
    /// While it is set nothing becomes durable.
    pub(super) disk_hangs: bool,
    routes: Vec<Arc<Route>>,
    prompts: BTreeMap<JobId, Vec<Arc<Item>>>,
    durable: usize,
    closed: Vec<JobId>,
    /// Effects carried out, wake-ups aside.
    done: usize,
    checkpoints: usize,
}

impl Bench {
    pub(super) fn new(routes: impl IntoIterator<Item = Route>) -> Bench {
        let routes = shared(routes);
        let now = at("12:00");
        Bench {
            engine: Engine::new(routes.clone(), Ledger::default(), now),
            now,
            out: VecDeque::new(),
            records: Vec::new(),
            notices: Vec::new(),
            wake: now,
            judged: Vec::new(),
            asks: VecDeque::new(),
            drafted: Vec::new(),
            disk_hangs: false,
            routes,
            prompts: BTreeMap::new(),
            durable: 0,
            closed: Vec::new(),
            done: 0,
            checkpoints: 0,
        }
    }

    /// Accepts a job and runs until nothing more happens.
    pub(super) fn submit(&mut self, order: Order) -> JobId {
        let id = order.job.id.clone();
        self.prompts.insert(id.clone(), order.items.into_iter().map(Arc::new).collect());
        self.event(Event::Accepted(Arc::new(order.job)));
        self.settle();
        id
    }

    /// One event, without a tick after it.
    pub(super) fn event(&mut self, event: Event) {
        if let Event::Recorded(seq) = event {
            self.durable = seq as usize;
        }
        for effect in self.engine.handle(self.now, event) {
            self.carry_out(effect);
        }
    }

    pub(super) fn command(&mut self, job: &JobId, change: JobChange) {
        self.event(Event::Command(job.clone(), change));
        self.settle();
    }

    /// Another config has these routes.
    pub(super) fn reload(&mut self, routes: impl IntoIterator<Item = Route>) {
        self.routes = shared(routes);
        self.event(Event::Reloaded(self.routes.clone()));
        self.settle();
    }

    /// Syncs and ticks until nothing more happens by itself.
    pub(super) fn settle(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let before = self.done;
            if !self.disk_hangs {
                self.event(Event::Recorded(self.records.len() as u64));
            }
            self.event(Event::Tick);
            for job in std::mem::take(&mut self.closed) {
                self.event(Event::PartsClosed(job));
            }
            if before == self.done {
                return;
            }
        }
        panic!("the engine is busy with itself for ever");
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.settle();
    }

    /// Lets time pass to where the engine asked to be woken, as the virtual driver does; further than to
    /// a mere checkpoint.
    pub(super) fn sleep(&mut self) {
        loop {
            assert!(self.wake < Timestamp::MAX, "nothing would ever happen again");
            let before = (self.done, self.checkpoints);
            self.now = self.now.max(self.wake);
            self.settle();
            if before.0 != self.done || before.1 == self.checkpoints {
                return;
            }
        }
    }

    /// When the engine wants to be woken, checkpoints aside.
    pub(super) fn wakes_at(&mut self) -> Timestamp {
        self.pass(2);
        self.wake
    }

    fn carry_out(&mut self, effect: Effect) {
        self.done += usize::from(!matches!(effect, Effect::Wake(_) | Effect::Checkpoint(_)));
        match effect {
            Effect::Record(records) => self.records.extend(records),
            Effect::Send(call) => {
                let durable = self.records[..self.durable].iter();
                let written = durable.into_iter().any(
                    |record| matches!(record, Record::Started(started) if started.attempt == call.attempt),
                );
                assert!(written, "{} was sent before it was written down", call.attempt);
                self.out.push_back(call);
            }
            Effect::Cancel(attempt) => self.out.retain(|call| call.attempt != attempt),
            Effect::Batch(BatchAsk { mark, what: BatchWork::Add(call), .. }) => {
                self.drafted.push((mark, *call));
            }
            Effect::Batch(ask) => {
                if matches!(ask.what, BatchWork::Create) {
                    let durable = &self.records[..self.durable];
                    let is_intent = |record: &Record| matches!(record, Record::BatchIntended(intended) if intended.number == ask.mark.number);
                    assert!(durable.iter().any(is_intent), "{} is made before it is written down", ask.mark);
                }
                self.asks.push_back(ask);
            }
            Effect::Read(job, items) => {
                let items = items.iter().map(|&item| self.prompts[&job][item as usize].clone()).collect();
                self.event(Event::Prompts(job, items));
            }
            Effect::Judge(attempt, commands, text) => self.judged.push((attempt, commands, text)),
            Effect::CloseParts(job, _) => self.closed.push(job),
            Effect::Checkpoint(_) => self.checkpoints += 1,
            Effect::Remove(job) => panic!("nobody asked for {job} to be removed"),
            Effect::Wake(at) => self.wake = at,
            Effect::Tell(notice) => self.notices.push(notice),
        }
    }

    /// What is asked about a batch has this answer.
    pub(super) fn answer_batch(&mut self, mark: Mark, news: BatchNews) -> BatchAsk {
        let at = self.asks.iter().position(|ask| ask.mark == mark).expect("something is asked about it");
        let ask = self.asks.remove(at).expect("found there");
        self.event(Event::Batch(mark, news));
        self.settle();
        ask
    }

    /// The disk had no more than so many records when the process ended.
    pub(super) fn crash_with(&mut self, records: usize) {
        self.durable = records;
        self.crash();
    }

    /// The oldest request that is out ends like this.
    pub(super) fn end(&mut self, outcome: Outcome) -> Call {
        let call = self.out.pop_front().expect("a request is out");
        let ending = Ending { outcome, hints: RateHints::default(), sent_at: self.now };
        self.event(Event::Ended(call.attempt, ending));
        self.settle();
        call
    }

    /// It is answered; a token in, a token out.
    pub(super) fn answer(&mut self, text: &str) -> Call {
        self.end(answer(text))
    }

    pub(super) fn refuse(&mut self, kind: RefusalKind) -> Call {
        self.end(refusal(kind, None))
    }

    pub(super) fn lose(&mut self) -> Call {
        let message = "connection reset".to_owned();
        self.end(Outcome::Unknown { message, code: ErrorCode::Network, http_status: None })
    }

    /// The process ends at once and starts again from what is durable.
    pub(super) fn crash(&mut self) {
        self.records.truncate(self.durable);
        self.out.clear();
        self.asks.clear();
        let mut ledger = Ledger::default();
        for (job, state) in self.engine.ledger().jobs() {
            ledger.add(job.clone(), JobLedger::new(job));
            assert!(state.finished_at.is_none(), "the bench restarts unfinished jobs only");
        }
        for record in &self.records {
            ledger.apply(record);
        }
        self.engine = Engine::new(self.routes.clone(), ledger, self.now);
        self.settle();
    }

    pub(super) fn state(&self, job: &JobId) -> &JobLedger {
        self.engine.ledger().get(job).expect("the job was submitted").1
    }

    pub(super) fn counts(&self, job: &JobId) -> Counts {
        self.state(job).counts()
    }

    pub(super) fn view(&mut self, job: &JobId) -> JobView {
        let views = self.engine.views(self.now);
        views.into_iter().find(|view| view.job_id == *job).expect("the job was submitted")
    }

    pub(super) fn waits(&mut self, job: &JobId) -> Vec<Waiting> {
        self.view(job).waiting.into_keys().collect()
    }

    /// Models of the requests that are out.
    pub(super) fn models(&self) -> Vec<&str> {
        self.out.iter().map(|call| &*call.route.name).collect()
    }

    /// Items of the requests that are out.
    pub(super) fn items(&self) -> Vec<ItemIndex> {
        self.out.iter().map(|call| call.item.index).collect()
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = &Ended> {
        self.records.iter().filter_map(|record| match record {
            Record::Ended(ended) => Some(&**ended),
            _ => None,
        })
    }

    /// How items ended, in order of time.
    pub(super) fn results(&self) -> Vec<(ItemIndex, ItemStatus, Option<ErrorCode>)> {
        let of =
            |settled: &Settled| (settled.item, settled.status, settled.error.as_ref().map(|(code, _)| *code));
        let results = self.records.iter().filter_map(|record| match record {
            Record::Settled(settled) => Some(of(settled)),
            Record::Ended(ended) => match &ended.next {
                crate::record::Next::Settled(settled) => Some(of(settled)),
                _ => None,
            },
            _ => None,
        });
        results.collect()
    }
}

pub(super) fn answer(text: &str) -> Outcome {
    let usage = Some(Usage { input: 1, output: 1, ..Usage::default() });
    Outcome::Answer(Answer { text: text.to_owned(), usage, ..Answer::default() })
}

pub(super) fn refusal(kind: RefusalKind, retry_after: Option<Duration>) -> Outcome {
    Outcome::Refused(Refusal {
        kind,
        http_status: 400,
        message: "refused".to_owned(),
        retry_after,
        request_id: None,
        body: Bytes::new(),
    })
}
