//! The simulated provider's own books: one line a request, and running totals.
//!
//! This is the counterpart that our ledger is checked against, so it shares no accounting with it.
//! Keys are never in it; attempts are, because they are how the two are compared.
//!
//! Pure.

use std::collections::VecDeque;

use serde::{Serialize, Serializer};

use super::fault::Fault;
use super::limits::WINDOW;
use crate::clock::Timestamp;
use crate::job::AttemptId;
use crate::money::{Usage, Usd};

/// What a client calls a request: its `x-client-request-id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientId {
    /// One of our attempts.
    Attempt(AttemptId),
    /// Anything else.
    Other(Box<str>),
}

impl ClientId {
    /// Reads a header's value.
    pub fn parse(text: &str) -> ClientId {
        let digits = text.strip_prefix("att_").filter(|hex| hex.len() >= 12);
        let number = digits.and_then(|hex| u64::from_str_radix(hex, 16).ok()).map(AttemptId);
        match number.filter(|id| id.to_string() == text) {
            Some(id) => ClientId::Attempt(id),
            None => ClientId::Other(text.into()),
        }
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientId::Attempt(id) => id.fmt(f),
            ClientId::Other(text) => f.pad(text),
        }
    }
}

/// One request, as the provider saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What the client calls it.
    pub client_id: Option<ClientId>,
    /// Its place in the list of models; `None` where no such model is served.
    pub model: Option<u16>,
    /// When it had arrived.
    pub received_at: Timestamp,
    /// When the provider was done with it; `None` while it is not.
    pub ended_at: Option<Timestamp>,
    /// The status line; `None` where none was sent.
    pub status: Option<u16>,
    /// The error's code or, without one, its type.
    pub error: Option<&'static str>,
    /// What went wrong by chance.
    pub fault: Option<Fault>,
    /// What the limits said.
    pub admission: Admission,
    /// What it counts as in a limit on tokens.
    pub quota_tokens: u64,
    /// What was used and billed, whatever the answer says; `None` where nothing was.
    pub usage: Option<Usage>,
    /// What was billed.
    pub billed: Usd,
    /// The batch it came in.
    pub batch: Option<u64>,
}

/// What the limits said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// It was refused for another reason before they were looked at.
    NotAsked,
    /// It was within them.
    Admitted,
    /// It would have been over one.
    OverLimit,
}

/// A [`Line`] as it is written to files and sent to clients.
#[derive(Debug, Serialize)]
pub struct LineOut<'a> {
    /// Counts from 0 in order of arrival.
    pub id: usize,
    /// The client's name for it.
    pub attempt: Option<String>,
    /// The model, where it is one.
    pub model: Option<&'a str>,
    /// RFC 3339.
    pub received_at: String,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// The status line, where one was sent.
    pub status: Option<u16>,
    /// The error's code or type.
    pub error: Option<&'static str>,
    /// The fault's name.
    pub fault: Option<&'static str>,
    /// What the limits said.
    pub admission: Admission,
    /// Tokens it counts as in a limit.
    pub quota_tokens: u64,
    /// Tokens billed.
    pub usage: Option<Usage>,
    /// Pico-dollars billed, as text because JSON numbers are doubles to many readers.
    pub billed_pico_usd: String,
    /// The number of the batch it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
}

/// What one model, or all together, did so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Of these, billed.
    pub billed_requests: u64,
    /// Of these, refused with an error status.
    pub refused: u64,
    /// Of these, refused because a limit was reached.
    pub over_limit: u64,
    /// Of these, met by a fault.
    pub faults: u64,
    /// Tokens billed.
    pub usage: Usage,
    /// Money billed.
    #[serde(rename = "billed_pico_usd", serialize_with = "as_pico_text")]
    pub billed: Usd,
    /// When a limit was first reached.
    #[serde(serialize_with = "as_text")]
    pub first_over_limit_at: Option<Timestamp>,
}

fn as_pico_text<S: Serializer>(amount: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&amount.pico())
}

fn as_text<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    moment.map(|at| at.to_string()).serialize(serializer)
}

impl Totals {
    fn add(&mut self, line: &Line) {
        self.requests += 1;
        self.billed_requests += u64::from(line.usage.is_some());
        self.refused += u64::from(line.status.is_some_and(|status| status >= 400));
        self.faults += u64::from(line.fault.is_some());
        self.usage += line.usage.unwrap_or_default();
        self.billed += line.billed;
        if line.admission == Admission::OverLimit {
            self.over_limit += 1;
            self.first_over_limit_at = self.first_over_limit_at.or(Some(line.received_at));
        }
    }
}

/// The most that was seen in any 60 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Peaks {
    /// Requests within the limits.
    pub admitted: u64,
    /// Tokens they counted as.
    pub admitted_tokens: u64,
    /// All requests that came as far as the limits, refused ones included.
    pub arrived: u64,
}

impl Peaks {
    /// The peaks of `lines`, which must be in order of arrival.
    pub fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Peaks {
        let (mut admitted, mut tokens, mut arrived) = (Peak::default(), Peak::default(), Peak::default());
        for line in lines.filter(|line| line.admission != Admission::NotAsked) {
            arrived.add(line.received_at, 1);
            if line.admission == Admission::Admitted {
                admitted.add(line.received_at, 1);
                tokens.add(line.received_at, line.quota_tokens);
            }
        }
        Peaks { admitted: admitted.most, admitted_tokens: tokens.most, arrived: arrived.most }
    }
}

/// The largest sum in any window.
#[derive(Default)]
struct Peak {
    window: VecDeque<(Timestamp, u64)>,
    sum: u64,
    most: u64,
}

impl Peak {
    fn add(&mut self, at: Timestamp, amount: u64) {
        while let Some(&(first, gone)) = self.window.front()
            && at.since(first) >= WINDOW
        {
            self.window.pop_front();
            self.sum -= gone;
        }
        self.window.push_back((at, amount));
        self.sum += amount;
        self.most = self.most.max(self.sum);
    }
}

/// The log and what it adds up to.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    lines: Option<Vec<Line>>,
    all: Totals,
    models: Vec<Totals>,
}

impl Ledger {
    /// Empty books for so many models; without lines it takes no memory a request.
    pub(crate) fn new(n_models: usize, keep_lines: bool) -> Ledger {
        Ledger {
            lines: keep_lines.then(Vec::new),
            all: Totals::default(),
            models: vec![Totals::default(); n_models],
        }
    }

    pub(crate) fn add(&mut self, line: Line) {
        self.all.add(&line);
        if let Some(model) = line.model {
            self.models[usize::from(model)].add(&line);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    pub(crate) fn end(&mut self, number: u64, now: Timestamp) {
        let index = usize::try_from(number).ok();
        let line = self.lines.as_mut().and_then(|lines| lines.get_mut(index?));
        if let Some(line) = line {
            line.ended_at = line.ended_at.or(Some(now));
        }
    }

    pub(crate) fn lines(&self) -> &[Line] {
        self.lines.as_deref().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> &Totals {
        &self.all
    }

    pub(crate) fn model(&self, model: usize) -> &Totals {
        &self.models[model]
    }
}

impl Line {
    /// A request that has just arrived.
    pub(crate) fn new(now: Timestamp, client_id: Option<ClientId>, model: Option<u16>) -> Line {
        Line {
            client_id,
            model,
            received_at: now,
            ended_at: None,
            status: None,
            error: None,
            fault: None,
            admission: Admission::NotAsked,
            quota_tokens: 0,
            usage: None,
            billed: Usd::ZERO,
            batch: None,
        }
    }

    /// As it is written, with its number and its model's name.
    pub(crate) fn out<'a>(&self, id: usize, model: Option<&'a str>) -> LineOut<'a> {
        LineOut {
            id,
            attempt: self.client_id.as_ref().map(ClientId::to_string),
            model,
            received_at: self.received_at.to_string(),
            ended_at: self.ended_at.map(|at| at.to_string()),
            status: self.status,
            error: self.error,
            fault: self.fault.map(Fault::as_str),
            admission: self.admission,
            quota_tokens: self.quota_tokens,
            usage: self.usage,
            billed_pico_usd: self.billed.pico().to_string(),
            batch: self.batch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, admitted: bool, tokens: u64) -> Line {
        Line {
            client_id: None,
            model: Some(0),
            received_at: Timestamp::from_micros(second * 1_000_000),
            ended_at: None,
            status: Some(if admitted { 200 } else { 429 }),
            error: None,
            fault: None,
            admission: if admitted { Admission::Admitted } else { Admission::OverLimit },
            quota_tokens: tokens,
            usage: admitted.then(|| Usage { input: tokens, ..Usage::default() }),
            billed: Usd::from_pico(if admitted { 7 } else { 0 }),
            batch: None,
        }
    }

    #[test]
    fn our_attempts_are_known_by_their_number_and_nothing_else_is() {
        let id = AttemptId(0x1f);
        assert_eq!(ClientId::parse("att_00000000001f"), ClientId::Attempt(id));
        for text in ["att_1f", "att_00000000001F", "att_+0000000001f", "req-7", ""] {
            assert_eq!(ClientId::parse(text), ClientId::Other(text.into()));
            assert_eq!(ClientId::parse(text).to_string(), text);
        }
    }

    #[test]
    fn peaks_are_of_sliding_minutes_not_of_clock_minutes() {
        let lines = [line(0, true, 10), line(50, true, 20), line(70, true, 30), line(109, false, 5)];
        let peaks = Peaks::of(lines.iter());
        assert_eq!(peaks, Peaks { admitted: 2, admitted_tokens: 50, arrived: 3 });
    }

    #[test]
    fn totals_are_what_the_lines_add_up_to() {
        let mut ledger = Ledger::new(1, true);
        for line in [line(0, true, 10), line(1, false, 20), line(2, true, 30)] {
            ledger.add(line);
        }
        ledger.end(1, Timestamp::from_micros(5));
        let total = ledger.all();
        assert_eq!((total.requests, total.billed_requests, total.refused), (3, 2, 1));
        assert_eq!((total.usage.input, total.billed.pico(), total.over_limit), (40, 14, 1));
        assert_eq!(total.first_over_limit_at, Some(Timestamp::from_micros(1_000_000)));
        assert_eq!(ledger.model(0), total);
        assert_eq!(ledger.lines()[1].ended_at, Some(Timestamp::from_micros(5)));
    }

    #[test]
    fn money_is_written_as_text() {
        let mut ledger = Ledger::new(1, false);
        ledger.add(line(0, true, 10));
        let json = serde_json::to_value(ledger.all()).unwrap();
        assert_eq!(json["billed_pico_usd"], "7");
        assert!(ledger.lines().is_empty());
    }
}
