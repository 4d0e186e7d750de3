//! A provider that is not there: latency, tokens, prices, limits, answer quality and faults, all
//! following from a seed.
//!
//! [`Simulated::request`] takes what arrived and when, and says what happens; nothing is awaited
//! here, so that the same model serves virtual time ([`Simulated::outcome`]) and real sockets
//! ([`crate::simulate`]). It keeps its own request log and ledger, computed apart from ours, which
//! is what makes it a witness: what we believe we paid can be held against what it billed.
//!
//! The same seed and the same requests in the same order give the same replies.
//!
//! ```text
//!   request ─ down? ─ key? ─ model? ─ credit? ─ context? ─ limits? ─ fault before billing? ┐
//!     refused ◄──┴──────┴───────┴────────┴─────────┴─────────┴──────────────┘              │
//!     billed, and perhaps lost or spoilt on the way ◄─ fault after billing? ─ answer ◄─────┘
//! ```
//!
//! Pure.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::{Finish, RateHints, RefusalKind};
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::money::{Usage, Usd};
use crate::plan::route::FLEX;

pub mod answer;
mod answering;
pub mod batch;
pub mod body;
mod chance;
pub mod config;
pub mod fault;
mod in_process;
pub mod ledger;
pub mod limits;
mod refusal;
mod schema;
mod summary;
mod words;

pub use answer::{Content, Wanted};
pub use batch::{BatchConfig, BatchFault, BatchFaultRates};
pub use body::{Asked, Prompt};
pub use config::{ChangeError, Config, FaultChange, Faults, Model};
pub use fault::{Fault, FaultError, FaultRates};
pub use ledger::{Admission, ClientId, Line, LineOut, Peaks, Totals};
pub use limits::Limits;
pub use refusal::Refusal;
pub use summary::{ModelSummary, Summary};

use chance::Chance;
use ledger::Ledger;
use limits::Gate;
use schema::Sketch;

/// A request, as far as the provider looks at it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its `x-client-request-id`.
    pub client_id: Option<ClientId>,
    /// Who is asking, and pays.
    pub key: &'a str,
    /// Which model is asked.
    pub model: &'a str,
    /// In which format, which decides how refusals are worded.
    pub wire: Wire,
    /// The prompt.
    pub prompt: Prompt,
    /// Output tokens allowed for each choice.
    pub max_output: Option<u64>,
    /// Answers asked for.
    pub choices: u16,
    /// The kind of answer.
    pub wanted: Wanted<'a>,
    /// Whether it asks for the flex lane.
    pub flex: bool,
}

/// What comes of a request.
#[derive(Debug, PartialEq)]
pub struct Reply {
    /// To be given back with [`Simulated::finish`].
    pub ticket: Ticket,
    /// How long the provider takes.
    pub latency: Duration,
    /// What happens then.
    pub act: Act,
    /// What it says of its limits.
    pub hints: RateHints,
    /// What it bills, whatever it says.
    pub billed: Option<(Usage, Usd)>,
}

/// What happens on the wire.
#[derive(Debug, PartialEq)]
pub enum Act {
    /// A complete response with status 200.
    Answer(Answer),
    /// The head of that response, and about half of its body.
    CutBody(Answer),
    /// Status 200, and bytes that mean nothing.
    Garbage,
    /// Status 200, and some gateway's page.
    Html,
    /// A complete error response.
    Refuse(Refusal),
    /// The connection is reset.
    Reset,
    /// Nothing, ever.
    Hang,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is in it; the same for each choice.
    pub content: Content,
    /// How often.
    pub choices: u16,
    /// How it says it ended.
    pub finish: Finish,
    /// What it says was used.
    pub usage: Option<Usage>,
    /// Which model it says answered.
    pub model: Arc<str>,
    /// Which service tier it says served it, where one was asked for.
    pub tier: Option<&'static str>,
}

/// Names a request that is being served.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Its number, from 0 in order of arrival.
    pub number: u64,
    /// The account and the model whose limits it counts in.
    place: Option<(u32, u16)>,
}

/// The provider.
#[derive(Debug)]
pub struct Simulated {
    config: Config,
    models: Vec<Served>,
    /// Full names, and their last parts where these are unique.
    by_name: HashMap<String, u16>,
    accounts: Vec<Account>,
    by_key: HashMap<String, u32>,
    sketches: HashMap<u64, Arc<Sketch>>,
    /// Beginnings of prompts that are kept, by key, model and text, and until when.
    caches: HashMap<(u32, u16, u64), Timestamp>,
    ledger: Ledger,
    n_requests: u64,
    /// Requests in flight in virtual time, the first to end on top.
    in_flight: BinaryHeap<Reverse<(Timestamp, Ticket)>>,
    /// Files and batches.
    shop: batch::Shop,
}

#[derive(Debug)]
struct Served {
    name: Arc<str>,
    retired: bool,
}

/// What one key did.
#[derive(Debug)]
struct Account {
    billed: Usd,
    gate: Gate,
    /// By model.
    gates: Vec<Gate>,
}

/// The body of [`Act::Garbage`].
pub const GARBAGE: &str = "\u{1}\u{2}%%% {\"choices\": [ \u{fffd}";
/// The body of [`Act::Html`].
pub const HTML: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n\
                        <body><h1>502 Bad Gateway</h1></body></html>\n";

/// A refusal takes this part of the time that an answer takes.
const REFUSAL_SPEEDUP: f64 = 10.0;

/// How much later than others a slow answer comes.
const SLOWNESS: u32 = 100;

impl Simulated {
    /// A provider that nothing was asked of yet.
    pub fn new(config: Config) -> Simulated {
        let mut simulated = Simulated {
            models: Vec::with_capacity(config.models.len()),
            by_name: names(&config.models),
            accounts: Vec::new(),
            by_key: HashMap::new(),
            sketches: HashMap::new(),
            caches: HashMap::new(),
            ledger: Ledger::new(config.models.len(), config.keep_log),
            n_requests: 0,
            in_flight: BinaryHeap::new(),
            shop: batch::Shop::default(),
            config,
        };
        for model in &simulated.config.models {
            simulated.models.push(Served { name: model.name.as_str().into(), retired: false });
        }
        simulated.mark_retired();
        simulated
    }

    /// Serves a request that arrives now; [`Simulated::finish`] must follow when it is over.
    pub fn request(&mut self, now: Timestamp, request: &Request<'_>) -> Reply {
        let number = self.n_requests;
        self.n_requests += 1;
        let mut chance = Chance::new(&[self.config.seed, number]);
        let account = self.account(request.key);
        let model = self.by_name.get(request.model).copied();
        let mut line = Line::new(now, request.client_id.clone(), model);
        let act = match self.serve(now, request, account, model, &mut line, &mut chance) {
            Ok(act) => act,
            Err(refusal) => Act::Refuse(refusal.worded(request.wire)),
        };
        (line.status, line.error) = match &act {
            Act::Refuse(refusal) => (Some(refusal.status), Some(refusal.word())),
            Act::Reset | Act::Hang => (None, None),
            Act::Answer(_) | Act::CutBody(_) | Act::Garbage | Act::Html => (Some(200), None),
        };
        let admitted = line.admission == Admission::Admitted;
        let reply = Reply {
            ticket: Ticket { number, place: model.filter(|_| admitted).map(|model| (account, model)) },
            latency: self.latency(model, &act, line.fault, &mut chance),
            act,
            hints: self.hints(now, account, model),
            billed: line.usage.map(|usage| (usage, line.billed)),
        };
        self.ledger.add(line);
        reply
    }

    /// A request is over: answered, or given up by the client.
    pub fn finish(&mut self, now: Timestamp, ticket: Ticket) {
        if let Some((account, model)) = ticket.place {
            let account = &mut self.accounts[account as usize];
            account.gate.leave();
            account.gates[usize::from(model)].leave();
        }
        self.ledger.end(ticket.number, now);
    }

    /// Refuses a request whose body cannot be read, and keeps a line of it.
    pub fn refuse_unread(&mut self, now: Timestamp, client_id: Option<ClientId>, message: String) -> Refusal {
        let refusal = Refusal::invalid(message);
        let (status, error) = (Some(refusal.status), Some(refusal.word()));
        self.n_requests += 1;
        self.ledger.add(Line { ended_at: Some(now), status, error, ..Line::new(now, client_id, None) });
        refusal
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes what goes wrong from now on; nothing changes where it is refused.
    pub fn change(&mut self, now: Timestamp, change: FaultChange) -> Result<(), ChangeError> {
        self.config.faults.change(now, change)?;
        self.mark_retired();
        Ok(())
    }

    /// Replaces what goes wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.config.faults = faults;
        self.mark_retired();
    }

    /// What all requests add up to.
    pub fn totals(&self) -> &Totals {
        self.ledger.all()
    }

    /// What the requests for one model add up to; `None` where it is not served.
    pub fn model_totals(&self, name: &str) -> Option<&Totals> {
        Some(self.ledger.model(usize::from(*self.by_name.get(name)?)))
    }

    /// Every request in order of arrival; empty where no log is kept.
    pub fn log(&self) -> &[Line] {
        self.ledger.lines()
    }

    /// The log as it is written to files.
    pub fn log_out(&self) -> impl Iterator<Item = LineOut<'_>> {
        self.log().iter().enumerate().map(|(id, line)| {
            let model = line.model.map(|model| &*self.models[usize::from(model)].name);
            line.out(id, model)
        })
    }

    /// The most requests that one model of one key, or one key, served at the same time.
    pub fn most_in_flight(&self) -> u32 {
        let gates = self.accounts.iter().map(|account| account.gate.most_in_flight());
        gates.max().unwrap_or(0)
    }

    /// Every check before an answer, in the order in which a provider makes them, then the answer.
    fn serve(
        &mut self,
        now: Timestamp,
        request: &Request<'_>,
        account: u32,
        model: Option<u16>,
        line: &mut Line,
        chance: &mut Chance,
    ) -> Result<Act, Refusal> {
        let faults = &self.config.faults;
        if faults.is_down(now, request.key) {
            return Err(Refusal::down());
        }
        if faults.revoked_keys.contains(request.key) || !lets_in(&self.config.keys, request.key) {
            return Err(Refusal::bad_key());
        }
        let model = model.filter(|&model| !self.models[usize::from(model)].retired);
        let model = model.ok_or_else(|| Refusal::no_model(request.model))?;
        let billed = self.accounts[account as usize].billed;
        if faults.no_credit_after.is_some_and(|limit| billed >= limit) {
            return Err(Refusal::no_credit());
        }
        let asked = request.prompt.input_tokens + request.max_output.unwrap_or(0);
        let context = self.config.models[usize::from(model)].context;
        if let Some(context) = context.filter(|&context| asked > context) {
            return Err(Refusal::too_long(context, asked));
        }

        // The answer is made first, because its length counts where the request sets no limit.
        let (mut answer, mut usage) = self.answer(request, model);
        if let Some(kept) = request.prompt.kept {
            self.cache(now, (account, model), kept, &mut usage);
            answer.usage = Some(usage);
        }
        let most_output = request.max_output.unwrap_or(usage.output / u64::from(request.choices.max(1)));
        line.quota_tokens = usage.input + most_output * u64::from(request.choices);
        self.admit(now, account, model, line)?;

        line.fault = self.config.faults.rates.draw(chance);
        let wait = chance.happens(0.5).then_some(self.config.faults.retry_after);
        match line.fault {
            Some(Fault::RateLimited) => return Err(Refusal::rate_limited(wait)),
            Some(Fault::ServerError) => return Err(Refusal::server_error()),
            Some(Fault::Overloaded) => return Err(Refusal::overloaded()),
            Some(Fault::Reset) => return Ok(Act::Reset),
            Some(fault) => answering::spoil(fault, request, &mut answer, &mut usage, chance),
            None => {}
        }
        let served = &self.config.models[usize::from(model)];
        let flex = served.flex_price.as_ref().filter(|_| request.flex);
        answer.tier = request.flex.then_some(if flex.is_some() { FLEX } else { "default" });
        let cost = flex.unwrap_or_else(|| served.price_at(now)).cost(&usage);
        self.accounts[account as usize].billed += cost;
        (line.usage, line.billed) = (Some(usage), cost);
        match line.fault {
            Some(Fault::ServerErrorBilled) => Err(Refusal::server_error()),
            Some(Fault::ResetBilled) => Ok(Act::Reset),
            Some(Fault::Hang) => Ok(Act::Hang),
            Some(Fault::CutBody) => Ok(Act::CutBody(answer)),
            Some(Fault::Garbage) => Ok(Act::Garbage),
            Some(Fault::Html) => Ok(Act::Html),
            _ => Ok(Act::Answer(answer)),
        }
    }

    fn admit(&mut self, now: Timestamp, account: u32, model: u16, line: &mut Line) -> Result<(), Refusal> {
        let account = &mut self.accounts[account as usize];
        let mut gates = [&mut account.gate, &mut account.gates[usize::from(model)]];
        line.admission = Admission::OverLimit;
        for gate in &mut gates {
            if let Some(excess) = gate.excess(now, line.quota_tokens) {
                return Err(Refusal::over_limit(excess));
            }
        }
        for gate in gates {
            gate.admit(now, line.quota_tokens);
        }
        line.admission = Admission::Admitted;
        Ok(())
    }

    fn latency(&self, model: Option<u16>, act: &Act, fault: Option<Fault>, chance: &mut Chance) -> Duration {
        let Some(model) = model.map(|model| &self.config.models[usize::from(model)]) else {
            return Duration::ZERO;
        };
        if model.latency.is_zero() {
            return Duration::ZERO;
        }
        let drawn = chance.around(model.latency.as_micros() as f64, model.latency_spread);
        let divisor = if matches!(act, Act::Refuse(_)) { REFUSAL_SPEEDUP } else { 1.0 };
        let slowness = if fault == Some(Fault::Slow) { SLOWNESS } else { 1 };
        Duration::from_micros((drawn / divisor) as u64) * slowness
    }

    fn hints(&self, now: Timestamp, account: u32, model: Option<u16>) -> RateHints {
        let account = &self.accounts[account as usize];
        let of_account = account.gate.hints(now);
        let of_model = model.map(|model| account.gates[usize::from(model)].hints(now));
        of_model.map_or(of_account, |of_model| limits::tighter(of_model, of_account))
    }

    fn account(&mut self, key: &str) -> u32 {
        if let Some(&index) = self.by_key.get(key) {
            return index;
        }
        let index = u32::try_from(self.accounts.len()).expect("fewer than four billion keys");
        self.accounts.push(Account {
            billed: Usd::ZERO,
            gate: Gate::new(self.config.account_limits),
            gates: self.config.models.iter().map(|model| Gate::new(model.limits)).collect(),
        });
        self.by_key.insert(key.to_owned(), index);
        index
    }

    fn mark_retired(&mut self) {
        for model in &mut self.models {
            model.retired = knows(&self.config.faults.retired, &model.name);
        }
    }
}

fn lets_in(keys: &BTreeSet<String>, key: &str) -> bool {
    keys.is_empty() || keys.contains(key)
}

/// Whether `names` holds a model's name, or its last part.
fn knows(names: &BTreeSet<String>, name: &str) -> bool {
    names.contains(name) || name.rsplit('/').next().is_some_and(|last| names.contains(last))
}

fn names(models: &[Model]) -> HashMap<String, u16> {
    let mut names = HashMap::new();
    let index = |i: usize| u16::try_from(i).expect("fewer than 65,536 models");
    for (i, model) in models.iter().enumerate() {
        names.insert(model.name.clone(), index(i));
    }
    for (i, model) in models.iter().enumerate() {
        let last = model.name.rsplit('/').next().unwrap_or_default();
        names.entry(last.to_owned()).or_insert(index(i));
    }
    names
}

#[cfg(test)]
mod tests;
