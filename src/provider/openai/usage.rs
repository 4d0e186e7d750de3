//! What was used and what the provider says it cost, out of the `usage` object.
//!
//! The family agrees on the idea and on few of the names. Tokens are billed by these numbers, so a
//! usage that is missing, negative or absurd is no usage at all: the caller then estimates and says so.
//!
//! Pure.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::money::{Usage, Usd, decimal_to_pico};

/// More tokens than any model takes in one request; such a count is a mistake.
const MOST_TOKENS: u64 = 100_000_000;

/// What the `usage` object says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stated {
    /// Tokens; `None` where they cannot be used.
    pub(super) usage: Option<Usage>,
    /// The provider's own figure of the cost.
    pub(super) cost: Option<Usd>,
}

/// Reads a `usage` object; `no_output` where the endpoint bills input alone.
pub(super) fn read(raw: &RawValue, no_output: bool) -> Stated {
    let Ok(body) = serde_json::from_str::<Body<'_>>(raw.get()) else { return Stated::default() };
    Stated { usage: tokens(&body, no_output).filter(is_sane), cost: cost(&body) }
}

/// An amount of dollars as decimal text. Sums that went through a binary float carry noise past the
/// twelfth decimal; they are rounded there.
pub(super) fn dollars(text: &str) -> Option<Usd> {
    let text = text.trim().trim_matches('"');
    let pico = decimal_to_pico(text, 12).or_else(|| {
        let amount: f64 = text.parse().ok()?;
        amount.is_finite().then(|| (amount * 1e12).round() as i128)
    })?;
    // Nobody is paid for asking, and no request costs a million.
    (0..1_000_000_000_000_000_000).contains(&pico).then_some(Usd::from_pico(pico))
}

fn tokens(body: &Body<'_>, no_output: bool) -> Option<Usage> {
    let hit = body.prompt_cache_hit_tokens.0;
    let miss = body.prompt_cache_miss_tokens.0;
    let mut input = body.prompt_tokens.0.or(body.input_tokens.0).or_else(|| Some(hit? + miss?))?;
    let total = body.total_tokens.0;
    let stated_output = body.completion_tokens.0.or(body.output_tokens.0);
    let mut output = stated_output.or_else(|| total?.checked_sub(input)).or(no_output.then_some(0))?;

    let input_details = body.prompt_tokens_details.as_ref().or(body.input_tokens_details.as_ref());
    let output_details = body.completion_tokens_details.as_ref().or(body.output_tokens_details.as_ref());
    let cached = input_details.and_then(|details| details.cached_tokens.0);
    let mut written = input_details.and_then(|details| details.cache_write_tokens.0).unwrap_or(0);
    // Portkey counts Anthropic's cached tokens beside the prompt; the total gives it away.
    let read = body.cache_read_input_tokens.0.unwrap_or(0);
    let apart = read.saturating_add(body.cache_creation_input_tokens.0.unwrap_or(0));
    if apart > 0
        && total.is_some_and(|total| {
            input.checked_add(output).and_then(|sum| sum.checked_add(apart)) == Some(total)
        })
    {
        input += apart;
        written = written.max(apart - read);
    }
    let reasoning = output_details.and_then(|details| details.reasoning_tokens.0).unwrap_or(0);
    // xAI counts reasoning beside the completion; the total gives it away.
    if reasoning > 0 && total.is_some_and(|total| total == input + output + reasoning) {
        output += reasoning;
    }
    Some(Usage {
        input,
        cache_read: cached.or(body.cached_tokens.0).or(hit).unwrap_or(0),
        cache_write: written,
        output,
        reasoning,
        cache_write_1h: 0,
    })
}

fn is_sane(usage: &Usage) -> bool {
    [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning]
        .into_iter()
        .all(|count| count <= MOST_TOKENS)
}

fn cost(body: &Body<'_>) -> Option<Usd> {
    let own = dollars(body.cost?.get())?;
    // With the user's own upstream key OpenRouter states its fee alone; the upstream bills the rest.
    let upstream = match (body.is_byok, &body.cost_details) {
        (Some(true), Some(details)) => details.upstream_inference_cost.and_then(|raw| dollars(raw.get())),
        _ => None,
    };
    Some(own + upstream.unwrap_or(Usd::ZERO))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
    /// DeepSeek.
    prompt_cache_hit_tokens: Count,
    /// DeepSeek.
    prompt_cache_miss_tokens: Count,
    /// Moonshot keeps it here.
    cached_tokens: Count,
    /// Gateways before Anthropic.
    cache_read_input_tokens: Count,
    /// Gateways before Anthropic.
    cache_creation_input_tokens: Count,
    /// OpenRouter.
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    /// OpenRouter.
    is_byok: Option<bool>,
    /// OpenRouter.
    #[serde(borrow)]
    cost_details: Option<CostDetails<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    reasoning_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CostDetails<'a> {
    #[serde(borrow)]
    upstream_inference_cost: Option<&'a RawValue>,
}

/// A number of tokens; `null` is none, and anything that is not a count spoils the whole usage.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of tokens")
            }
            fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
                // Kept small enough to add up; the sanity check refuses it either way.
                Ok(Count(Some(count.min(u64::MAX / 4))))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
                u64::try_from(count).map(|count| Count(Some(count))).map_err(|_| E::custom("negative"))
            }
            fn visit_f64<E: de::Error>(self, count: f64) -> Result<Count, E> {
                let whole = count.fract() == 0.0 && (0.0..1e15).contains(&count);
                if whole { Ok(Count(Some(count as u64))) } else { Err(E::custom("not a count")) }
            }
            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(json: &str) -> Stated {
        read(&RawValue::from_string(json.to_owned()).unwrap(), false)
    }

    fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64, reasoning: u64) -> Option<Usage> {
        Some(Usage { input, cache_read, cache_write, output, reasoning, cache_write_1h: 0 })
    }

    #[test]
    fn every_convention_of_the_family_is_understood() {
        for (what, json, expected) in [
            (
                "plain",
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#,
                usage(10, 0, 0, 5, 0),
            ),
            (
                "chat with details",
                r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":20,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":40,"rejected_prediction_tokens":2}}"#,
                usage(100, 64, 20, 50, 40),
            ),
            (
                "responses",
                r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":8},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":109}"#,
                usage(100, 8, 0, 9, 3),
            ),
            (
                "DeepSeek",
                r#"{"prompt_tokens":30,"completion_tokens":4,"total_tokens":34,"prompt_cache_hit_tokens":20,"prompt_cache_miss_tokens":10}"#,
                usage(30, 20, 0, 4, 0),
            ),
            (
                "DeepSeek without the sum",
                r#"{"completion_tokens":4,"prompt_cache_hit_tokens":20,"prompt_cache_miss_tokens":10}"#,
                usage(30, 20, 0, 4, 0),
            ),
            (
                "xAI, reasoning beside the completion",
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,"completion_tokens_details":{"reasoning_tokens":30}}"#,
                usage(10, 0, 0, 35, 30),
            ),
            (
                "reasoning inside the completion",
                r#"{"prompt_tokens":10,"completion_tokens":35,"total_tokens":45,"completion_tokens_details":{"reasoning_tokens":30}}"#,
                usage(10, 0, 0, 35, 30),
            ),
            (
                "Moonshot",
                r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":7}"#,
                usage(10, 7, 0, 5, 0),
            ),
            (
                "Portkey before Anthropic",
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":25,"prompt_tokens_details":{"cached_tokens":7},"cache_read_input_tokens":7,"cache_creation_input_tokens":3}"#,
                usage(20, 7, 3, 5, 0),
            ),
            (
                "LiteLLM before Anthropic",
                r#"{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25,"prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":3},"cache_read_input_tokens":7,"cache_creation_input_tokens":3}"#,
                usage(20, 7, 3, 5, 0),
            ),
            (
                "both names",
                r#"{"prompt_tokens":10,"input_tokens":10,"completion_tokens":5,"output_tokens":5}"#,
                usage(10, 0, 0, 5, 0),
            ),
            (
                "null details",
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}"#,
                usage(10, 0, 0, 5, 0),
            ),
            (
                "Groq's times",
                r#"{"queue_time":0.1,"prompt_tokens":10,"prompt_time":0.003,"completion_tokens":5,"total_time":1.5}"#,
                usage(10, 0, 0, 5, 0),
            ),
            ("floats", r#"{"prompt_tokens":10.0,"completion_tokens":5.0}"#, usage(10, 0, 0, 5, 0)),
            ("output from the total", r#"{"prompt_tokens":10,"total_tokens":15}"#, usage(10, 0, 0, 5, 0)),
            ("nothing", "{}", None),
            ("not an object", "7", None),
            ("no output", r#"{"prompt_tokens":10}"#, None),
            ("negative", r#"{"prompt_tokens":-1,"completion_tokens":5}"#, None),
            ("text", r#"{"prompt_tokens":"ten","completion_tokens":5}"#, None),
            ("half a token", r#"{"prompt_tokens":1.5,"completion_tokens":5}"#, None),
            ("absurd", r#"{"prompt_tokens":9999999999,"completion_tokens":5}"#, None),
            (
                "too large for anything",
                r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615,"total_tokens":1,"completion_tokens_details":{"reasoning_tokens":18446744073709551615}}"#,
                None,
            ),
        ] {
            assert_eq!(stated(json).usage, expected, "{what}");
        }
    }

    #[test]
    fn embeddings_have_no_output() {
        let raw = RawValue::from_string(r#"{"prompt_tokens":8}"#.to_owned()).unwrap();
        assert_eq!(read(&raw, true).usage, usage(8, 0, 0, 0, 0));
    }

    #[test]
    fn stated_costs_are_exact() {
        let cost = |json: &str| stated(json).cost.map(Usd::pico);
        for (json, expected) in [
            (r#"{"cost":0.00014}"#, Some(140_000_000)),
            (r#"{"cost":1.5e-06}"#, Some(1_500_000)),
            (r#"{"cost":"0.25"}"#, Some(250_000_000_000)),
            (r#"{"cost":0.00018299999999999998}"#, Some(183_000_000)),
            (r#"{"cost":0}"#, Some(0)),
            (
                r#"{"cost":0.01,"is_byok":true,"cost_details":{"upstream_inference_cost":0.2}}"#,
                Some(210_000_000_000),
            ),
            (
                r#"{"cost":0.01,"is_byok":false,"cost_details":{"upstream_inference_cost":0.2}}"#,
                Some(10_000_000_000),
            ),
            (
                r#"{"cost":0.01,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}"#,
                Some(10_000_000_000),
            ),
            (r#"{"cost":-1}"#, None),
            (r#"{"cost":1e30}"#, None),
            (r#"{"cost":null}"#, None),
            (r#"{"cost":"None"}"#, None),
        ] {
            assert_eq!(cost(json), expected, "{json}");
        }
    }
}
