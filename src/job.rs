//! The nouns: a [`Job`] is one submitted file, an [`Item`] one line of it.
//!
//! Plain values without behaviour beyond their own consistency. How a line becomes an item is
//! [`crate::input`]; what happened to it is [`crate::attempt`] and [`crate::ledger`].
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::clock::Timestamp;
use crate::money::Usd;

/// Names a job: `job_` and ten or more characters of `[0-9a-z]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Wraps a name that came from us; see [`JobId::parse`] for names from outside.
    pub fn new(name: impl Into<Arc<str>>) -> JobId {
        JobId(name.into())
    }

    /// Accepts only what can be a job's name, so that a name is always safe as a folder.
    pub fn parse(text: &str) -> Option<JobId> {
        let rest = text.strip_prefix("job_")?;
        let plain = rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        (plain && (6..=40).contains(&rest.len())).then(|| JobId(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Names an attempt within one store: counts up, never reused once durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId(pub u64);

/// As it is sent to providers and written to files: `att_00000000001f`.
impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "att_{:012x}", self.0)
    }
}

/// A line of a job, counted from 0.
pub type ItemIndex = u32;

/// The wire format a request body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wire {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI responses.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// Anthropic messages.
    Messages,
    /// Gemini generateContent.
    GenerateContent,
}

impl Wire {
    /// Where requests in this format go, as results name it.
    pub fn endpoint(self) -> &'static str {
        match self {
            Wire::Chat => "/v1/chat/completions",
            Wire::Responses => "/v1/responses",
            Wire::Embeddings => "/v1/embeddings",
            Wire::Messages => "/v1/messages",
            Wire::GenerateContent => "/v1beta/models:generateContent",
        }
    }
}

/// The ordered steps of model strength; each step is a set of equals, named `provider/model`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ladder(pub Vec<Vec<String>>);

impl Ladder {
    /// More steps than this are refused at submit: an item's step has four bits.
    pub const MAX_STEPS: usize = 15;
}

/// `a|b > c`: equals in any order, then stronger.
impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<String> = self.0.iter().map(|step| step.join("|")).collect();
        f.write_str(&steps.join(" > "))
    }
}

/// When to send: what the user prefers while the deadline is not at risk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// The cheapest route that meets the deadline.
    #[default]
    Cheapest,
    /// As soon as quotas allow, at any price inside `max_cost`.
    Asap,
    /// Never in hours dearer than the route's cheapest window.
    OffPeak,
}

/// What to do with a request whose outcome we will never know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnknown {
    /// Send again, at most [`JobOptions::unknown_resends`] times.
    #[default]
    Resend,
    /// Wait for the user.
    Hold,
}

/// What one more success is worth to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Worth {
    /// Whatever it costs: `max_attempts` is the end.
    Unlimited,
    /// So much.
    UpTo(Usd),
}

impl std::str::FromStr for Worth {
    type Err = String;

    fn from_str(text: &str) -> Result<Worth, String> {
        if text == "unlimited" {
            return Ok(Worth::Unlimited);
        }
        let amount: Usd = text.parse().map_err(|error| format!("{error}, or \"unlimited\""))?;
        match amount < Usd::ZERO {
            true => Err(format!("{text} is less than nothing")),
            false => Ok(Worth::UpTo(amount)),
        }
    }
}

impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Worth::Unlimited => f.write_str("unlimited"),
            Worth::UpTo(amount) => amount.fmt(f),
        }
    }
}

/// What becomes of a request that an earlier line of the job has asked already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// It gets the earlier line's answer where the answer should be the same: temperature 0, embeddings.
    #[default]
    Auto,
    /// It gets the earlier line's answer.
    Copy,
    /// It is sent like any other.
    Send,
}

/// Whether a second route may race an answer that is late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hedge {
    /// Where there is a deadline, or everything is wanted as soon as possible, and there is room to spare.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// Items of a job that are scheduled alike: the engine queues by class, so that nothing is held in
/// memory for an item that only waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Class {
    /// Which models may answer, in which order.
    pub ladder: Ladder,
    /// −100 to 100; higher goes first.
    pub priority: i8,
    /// When the items must be done; past it they expire.
    pub deadline: Option<Timestamp>,
    /// Nothing is sent before.
    pub not_before: Option<Timestamp>,
}

impl Class {
    /// More different classes in one job are refused at submit.
    pub const MAX_PER_JOB: usize = 1_000;
}

/// What a job asks for beyond its classes; an item may override some of it with [`ItemOptions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// How an answer is judged; `None` accepts any complete answer.
    pub check: Option<Check>,
    /// The most the whole job may cost, in the worst case of every request.
    pub max_cost: Option<Usd>,
    /// Attempts per item, retries and escalations together.
    pub max_attempts: u8,
    /// For attribution: user, feature, app, run, any key.
    pub tags: BTreeMap<String, String>,
    /// When to send.
    pub when: When,
    /// What to do with a request whose outcome is unknown.
    pub on_unknown: OnUnknown,
    /// How often such a request is sent again.
    pub unknown_resends: u8,
    /// A request that may cost more than this is held instead of sent again.
    pub hold_above: Usd,
    /// Take an answer that was cut off as it is.
    pub accept_truncated: bool,
    /// Write the request bodies to the results.
    pub keep_input: bool,
    /// Use models whose price is unknown; they count as nothing in every budget.
    pub allow_unpriced: bool,
    /// What becomes of requests that repeat an earlier one.
    pub duplicates: Duplicates,
    /// The most that one more success may be expected to cost; `None` leaves it to the prices of the ladder.
    pub give_up_above: Option<Worth>,
    /// Whether a second route may race an answer that is late.
    pub hedge: Hedge,
}

impl Default for JobOptions {
    fn default() -> JobOptions {
        JobOptions {
            check: None,
            max_cost: None,
            max_attempts: 4,
            tags: BTreeMap::new(),
            when: When::default(),
            on_unknown: OnUnknown::default(),
            unknown_resends: 2,
            hold_above: Usd::from_pico(1_000_000_000_000),
            accept_truncated: false,
            keep_input: false,
            allow_unpriced: false,
            duplicates: Duplicates::default(),
            give_up_above: None,
            hedge: Hedge::default(),
        }
    }
}

/// Tags that mean something to the program itself.
pub mod tag {
    /// Set by `retry --rework`: these items are asked again because a person had to step in.
    pub const REWORK: &str = "rework";

    /// Whether an item with these tags is such manual rework.
    pub fn is_rework(tags: &[(String, String)]) -> bool {
        tags.iter().any(|(key, _)| key == REWORK)
    }
}

/// Where a job came from, to know the same submission again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file as the user named it; display text only, never a path of ours.
    pub name: String,
    /// SHA-256 of its bytes and of the options it was submitted with, in hex.
    pub fingerprint: String,
    /// SHA-256 of its bytes alone, in hex.
    pub sha256: String,
    /// Its size in bytes, as read.
    pub bytes: u64,
}

/// One submitted file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What the user calls it.
    pub name: Option<String>,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// How many items it has.
    pub n_items: ItemIndex,
    /// How its items are scheduled; class 0 is the job's own.
    pub classes: Vec<Class>,
    /// The class of every item, empty where all are of class 0.
    ///
    /// Two bytes an item, and only in jobs that mix classes.
    #[serde(skip)]
    pub class_of: Vec<u16>,
    /// Items that get the answer of an earlier one, with that one; in order.
    ///
    /// Eight bytes a copy, and only in jobs that repeat requests.
    #[serde(skip)]
    pub copies: Vec<(ItemIndex, ItemIndex)>,
    /// What it asks for.
    pub options: JobOptions,
    /// Where it came from.
    pub source: Source,
    /// The job whose failed items these are.
    pub retry_of: Option<JobId>,
}

impl Job {
    /// The name to show: the user's, else the file's stem.
    pub fn title(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None => {
                let file = self.source.name.rsplit('/').next().unwrap_or_default();
                file.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("job")
            }
        }
    }

    /// The class of one item.
    pub fn class(&self, item: ItemIndex) -> &Class {
        &self.classes[usize::from(self.class_index(item))]
    }

    /// The models it may ask, `provider/model` each, in the order in which its ladders name them. Lanes of
    /// one model are one.
    pub fn models(&self) -> Vec<&str> {
        let mut models = Vec::new();
        for route in self.classes.iter().flat_map(|class| class.ladder.0.iter().flatten()) {
            let model = model_of(route);
            if !models.contains(&model) {
                models.push(model);
            }
        }
        models
    }

    /// The class number of one item.
    pub fn class_index(&self, item: ItemIndex) -> u16 {
        self.class_of.get(item as usize).copied().unwrap_or(0)
    }
}

/// `provider/model` of a route's name, whatever its lane.
pub fn model_of(route: &str) -> &str {
    let lanes = [" flex", " batch", " realtime"];
    lanes.iter().find_map(|lane| route.strip_suffix(lane)).unwrap_or(route)
}

/// What one line overrides of its job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemOptions {
    /// Replaces the job's check.
    pub check: Option<Check>,
    /// The most this item may cost.
    pub max_cost: Option<Usd>,
    /// Replaces the job's.
    pub max_attempts: Option<u8>,
    /// Added to the job's tags, and stronger.
    pub tags: BTreeMap<String, String>,
    /// Replaces the job's.
    pub give_up_above: Option<Worth>,
}

/// A request body as the user gave it, and where its model name stands.
///
/// Bodies are sent as these bytes with only the model spliced in, so that big numbers, key order,
/// duplicate keys and odd unicode reach the provider as they were written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// One JSON object.
    pub json: Bytes,
    /// Byte range of the model's value, quotes included; `None` where the body names no model.
    pub model_at: Option<(u32, u32)>,
}

impl Body {
    /// The bytes to send: `self` asking for `model`.
    pub fn for_model(&self, model: &str) -> Bytes {
        let put_name = |sent: &mut Vec<u8>| {
            serde_json::to_writer(sent, model).expect("a string is always JSON, and memory takes it");
        };
        match self.model_at {
            Some((start, end)) => {
                let (before, behind) = (&self.json[..start as usize], &self.json[end as usize..]);
                // Room for exactly that, unless the name has to be escaped: such a vector becomes bytes as it is.
                let mut sent = Vec::with_capacity(before.len() + model.len() + 2 + behind.len());
                sent.extend_from_slice(before);
                put_name(&mut sent);
                sent.extend_from_slice(behind);
                sent.into()
            }
            None => {
                let open = self.json.iter().position(|&b| b == b'{').map_or(0, |at| at + 1);
                let empty = self.json[open..].trim_ascii_start().starts_with(b"}");
                let mut sent = Vec::with_capacity(self.json.len() + model.len() + 11);
                sent.extend_from_slice(&self.json[..open]);
                sent.extend_from_slice(b"\"model\":");
                put_name(&mut sent);
                sent.extend_from_slice(if empty { b"" } else { b"," });
                sent.extend_from_slice(&self.json[open..]);
                sent.into()
            }
        }
    }
}

/// One line of a job, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its line, counted from 0.
    pub index: ItemIndex,
    /// The user's name for it; unique in the job, exact bytes, never sent to a provider.
    pub custom_id: Arc<str>,
    /// Which of the job's classes it is scheduled with.
    pub class: u16,
    /// The format of its body.
    pub wire: Wire,
    /// The request.
    pub body: Body,
    /// Input tokens by estimate: what an attempt probably bills.
    pub input_tokens: u32,
    /// Output tokens the body allows, over all choices; `None` leaves it to the model's maximum.
    pub max_output: Option<u32>,
    /// Answers asked for (`n`); 1 unless the body says otherwise.
    pub choices: u16,
    /// Features a model must have.
    pub needs: Needs,
    /// What it overrides of its job.
    pub options: Option<Box<ItemOptions>>,
}

impl Item {
    /// The most input tokens the body can be counted as: byte-level tokenizers never make more tokens
    /// than bytes, and chat templates add a few per message.
    pub fn most_input_tokens(&self) -> u64 {
        self.body.json.len() as u64 + 64
    }
}

/// Features of a request that not every model has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Function calling.
    pub tools: bool,
    /// Images in the prompt.
    pub vision: bool,
    /// An answer held to a JSON schema by the provider.
    pub json_schema: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_every_byte_but_the_model() {
        let cases = [
            (
                r#"{"a":12345678901234567890,"model":"x","a":1}"#,
                Some((34, 37)),
                r#"{"a":12345678901234567890,"model":"m/1","a":1}"#,
            ),
            (r#" { "messages":[] }"#, None, r#" {"model":"m/1", "messages":[] }"#),
            (r"{ }", None, r#"{"model":"m/1" }"#),
        ];
        for (json, model_at, sent) in cases {
            let body = Body { json: Bytes::from_static(json.as_bytes()), model_at };
            assert_eq!(body.for_model("m/1"), sent.as_bytes());
        }
    }

    #[test]
    fn only_plain_names_are_job_ids() {
        assert!(JobId::parse("job_01kb3v6m8d").is_some());
        for name in ["job_", "job_../../etc", "job_ABCDEFGH", "01kb3v6m8d", "job_abc/def1"] {
            assert!(JobId::parse(name).is_none(), "{name}");
        }
    }
}
