//! What a simulated provider is like: its models, limits and faults.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::batch::BatchConfig;
use super::fault::{FaultError, FaultRates};
use super::limits::Limits;
use crate::clock::Timestamp;
use crate::money::{Price, Usd};

/// A simulated provider, described.
#[derive(Clone, Debug)]
pub struct Config {
    /// Everything that happens by chance follows from it.
    pub seed: u64,
    /// What it serves.
    pub models: Vec<Model>,
    /// Keys that are let in; none listed lets in any.
    pub keys: BTreeSet<String>,
    /// Ceilings for each key over all models.
    pub account_limits: Limits,
    /// What goes wrong.
    pub faults: Faults,
    /// How it takes batches.
    pub batches: BatchConfig,
    /// How much of a prompt's difficulty is the prompt's own, from 0 (each model fails on prompts of
    /// its own) to 1 (the stronger model answers whatever the weaker does).
    pub shared_difficulty: f64,
    /// In process, answer `pass` or `fail` whatever the body asks for; rehearsals replace the check.
    pub plain_answers: bool,
    /// Keep a line for every request; totals are kept in any case.
    pub keep_log: bool,
    /// How long an in-process caller waits before it gives up.
    pub client_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            seed: 0,
            models: Model::defaults(),
            keys: BTreeSet::new(),
            account_limits: Limits::default(),
            faults: Faults::default(),
            batches: BatchConfig::default(),
            shared_difficulty: 0.6,
            plain_answers: false,
            keep_log: true,
            client_timeout: Duration::from_secs(600),
        }
    }
}

/// A model that is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name; also known by the part behind the last `/`.
    pub name: String,
    /// What it costs from the start.
    pub price: Price,
    /// What it costs from later moments on, in order of time.
    pub price_changes: Vec<(Timestamp, Price)>,
    /// What it costs in batches; half of the other price where that is not said.
    pub batch_price: Option<Price>,
    /// What it costs on the flex lane, at every hour; it has none where that is not said.
    pub flex_price: Option<Price>,
    /// The share of prompts it answers well.
    pub pass_rate: f64,
    /// Half of all answers take less than this.
    pub latency: Duration,
    /// Two thirds of all answers take between the median divided and multiplied by this.
    pub latency_spread: f64,
    /// Half of all free-text answers have fewer tokens than this.
    pub output: u64,
    /// The same for tokens.
    pub output_spread: f64,
    /// Cuts free text off where it is longer than the request allows; else it is kept shorter than that.
    pub cuts_off: bool,
    /// The most output tokens of one answer, whatever the request allows.
    pub max_output: Option<u64>,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// The share of output tokens that is hidden reasoning.
    pub reasoning_share: f64,
    /// The share of input tokens that is read from a cache.
    pub cached_share: f64,
    /// Ceilings for each key.
    pub limits: Limits,
}

impl Model {
    /// A model with this name and price that answers everything well and at once.
    pub fn new(name: impl Into<String>, price: Price) -> Model {
        Model {
            name: name.into(),
            price,
            price_changes: Vec::new(),
            batch_price: None,
            flex_price: None,
            pass_rate: 1.0,
            latency: Duration::ZERO,
            latency_spread: 1.0,
            output: 120,
            output_spread: 1.5,
            cuts_off: false,
            max_output: Some(16_384),
            context: Some(128_000),
            reasoning_share: 0.0,
            cached_share: 0.0,
            limits: Limits::default(),
        }
    }

    /// Three models, each stronger, slower and dearer than the one before, at prices like real ones.
    pub fn defaults() -> Vec<Model> {
        let model = |name: &str, input, output, pass_rate, latency_ms| Model {
            pass_rate,
            latency: Duration::from_millis(latency_ms),
            latency_spread: 1.6,
            ..Model::new(name, Price { input, output, ..Price::default() })
        };
        vec![
            model("sim/small", 150_000, 600_000, 0.88, 300),
            model("sim/medium", 800_000, 4_000_000, 0.96, 700),
            model("sim/large", 3_000_000, 15_000_000, 0.995, 1_500),
        ]
    }

    /// The price at a moment.
    pub fn price_at(&self, now: Timestamp) -> &Price {
        let begun = self.price_changes.iter().rev().find(|(from, _)| *from <= now);
        begun.map_or(&self.price, |(_, price)| price)
    }

    /// The price of a batch that is made at a moment.
    pub fn batch_price_at(&self, now: Timestamp) -> Price {
        self.batch_price.unwrap_or_else(|| half(self.price_at(now)))
    }
}

/// Half of a price, rounded up where it is odd.
fn half(price: &Price) -> Price {
    let half = |price: u64| price.div_ceil(2);
    Price {
        input: half(price.input),
        cache_read: price.cache_read.map(half),
        cache_write: price.cache_write.map(half),
        cache_write_1h: price.cache_write_1h.map(half),
        output: half(price.output),
        reasoning: price.reasoning.map(half),
        request: Usd::from_pico((price.request.pico() + 1) / 2),
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// By chance, request by request.
    pub rates: FaultRates,
    /// What every other [`Fault::RateLimited`](super::Fault::RateLimited) asks the client to wait.
    pub retry_after: Duration,
    /// A key has no credit left once it was billed this much.
    pub no_credit_after: Option<Usd>,
    /// Models that are gone, by name.
    pub retired: BTreeSet<String>,
    /// Keys that are no longer let in.
    pub revoked_keys: BTreeSet<String>,
    /// Outages, from and until: everything gets a 503.
    pub down: Vec<(Timestamp, Timestamp)>,
    /// The same for one key alone.
    pub down_for: Vec<(String, Timestamp, Timestamp)>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            rates: FaultRates::default(),
            retry_after: Duration::from_secs(1),
            no_credit_after: None,
            retired: BTreeSet::new(),
            revoked_keys: BTreeSet::new(),
            down: Vec::new(),
            down_for: Vec::new(),
        }
    }
}

impl Faults {
    pub(crate) fn is_down(&self, now: Timestamp, key: &str) -> bool {
        let holds = |&(from, until): &(Timestamp, Timestamp)| from <= now && now < until;
        let of_key = self.down_for.iter().filter(|(of, ..)| of == key).map(|&(_, from, until)| (from, until));
        self.down.iter().any(holds) || of_key.into_iter().any(|down| holds(&down))
    }

    /// Applies a change from outside; nothing changes where it is refused.
    pub fn change(&mut self, now: Timestamp, change: FaultChange) -> Result<(), ChangeError> {
        let mut rates = if change.reset { FaultRates::default() } else { self.rates };
        for (name, rate) in &change.rates {
            rates.set(name.parse()?, *rate)?;
        }
        let credit = match &change.no_credit_after {
            Some(text) => Some(text.parse().map_err(|_| ChangeError::Money(text.clone()))?),
            None => None,
        };
        if change.reset {
            *self = Faults { retry_after: self.retry_after, ..Faults::default() };
        }
        self.rates = rates;
        self.no_credit_after = credit.or(self.no_credit_after);
        self.retired.extend(change.retire);
        self.revoked_keys.extend(change.revoke);
        match change.down {
            Some(true) => self.down.push((now, Timestamp::MAX)),
            Some(false) => self.down.retain(|&(_, until)| until <= now),
            None => {}
        }
        Ok(())
    }
}

/// A change of [`Faults`] while the provider runs, as a client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultChange {
    /// First take every fault away.
    pub reset: bool,
    /// New rates by name; others stay.
    pub rates: BTreeMap<String, f64>,
    /// Keys have no credit left once they were billed this much: `"$2"`.
    pub no_credit_after: Option<String>,
    /// Models to take away.
    pub retire: Vec<String>,
    /// Keys to let in no longer.
    pub revoke: Vec<String>,
    /// Go down, or come back.
    pub down: Option<bool>,
}

/// Why a [`FaultChange`] is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// A name or a rate cannot be.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// An amount cannot be read.
    #[error("`no_credit_after` {0:?} is not an amount of money; write it like \"$5\"")]
    Money(String),
}

#[cfg(test)]
mod tests {
    use super::super::Fault;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn a_price_holds_until_the_next_one() {
        let price = |input| Price { input, ..Price::default() };
        let mut model = Model::new("m", price(1));
        model.price_changes = vec![(at(10), price(2)), (at(20), price(3))];
        for (second, input) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (99, 3)] {
            assert_eq!(model.price_at(at(second)).input, input, "second {second}");
        }
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let mut faults = Faults::default();
        let refused = FaultChange {
            rates: [("429".to_owned(), 0.5), ("flood".to_owned(), 0.1)].into(),
            down: Some(true),
            ..FaultChange::default()
        };
        assert!(faults.change(at(0), refused).is_err());
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn an_outage_ends_when_it_is_told_to() {
        let mut faults = Faults::default();
        let down = |down| FaultChange { down: Some(down), ..FaultChange::default() };
        faults.change(at(5), down(true)).unwrap();
        assert!(!faults.is_down(at(4), "") && faults.is_down(at(5), "") && faults.is_down(at(1_000_000), ""));
        faults.change(at(9), down(false)).unwrap();
        assert!(!faults.is_down(at(9), ""));
    }

    #[test]
    fn changes_add_up_and_reset_takes_all_away() {
        let mut faults = Faults::default();
        let json = r#"{"rates":{"hang":0.1},"retire":["a"],"revoke":["k"],"no_credit_after":"$2"}"#;
        faults.change(at(0), serde_json::from_str(json).unwrap()).unwrap();
        faults.change(at(0), serde_json::from_str(r#"{"rates":{"429":0.2}}"#).unwrap()).unwrap();
        assert_eq!(faults.rates.get(Fault::Hang), 0.1);
        assert_eq!(faults.no_credit_after, Some("$2".parse().unwrap()));
        assert!(faults.retired.contains("a") && faults.revoked_keys.contains("k"));
        faults.change(at(0), serde_json::from_str(r#"{"reset":true}"#).unwrap()).unwrap();
        assert_eq!(faults, Faults::default());
    }
}
