//! Usage as the families other than OpenAI's count it, in our one convention.
//!
//! | family | input | output |
//! |---|---|---|
//! | OpenAI ([`openai`](super::openai)) | cached tokens are part of the prompt | reasoning is part of the completion |
//! | Anthropic | cache reads and writes are apart from `input_tokens` | thinking is part of `output_tokens` |
//! | Gemini | cached tokens are part of the prompt; what tools brought in is apart | thoughts are apart, and billed as output |
//!
//! Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::money::Usage;

/// Reads the `usage` of an Anthropic message; `None` where it is not one.
pub fn anthropic(raw: &RawValue) -> Option<Usage> {
    let said: Anthropic = serde_json::from_str(raw.get()).ok()?;
    let by_lifetime = said.cache_creation.unwrap_or_default();
    let hour = by_lifetime.ephemeral_1h_input_tokens.unwrap_or(0);
    let apart = hour.checked_add(by_lifetime.ephemeral_5m_input_tokens.unwrap_or(0))?;
    let cache_write = said.cache_creation_input_tokens.unwrap_or(0).max(apart);
    let cache_read = said.cache_read_input_tokens.unwrap_or(0);
    sane(Usage {
        input: said.input_tokens?.checked_add(cache_write)?.checked_add(cache_read)?,
        cache_read,
        cache_write,
        output: said.output_tokens?,
        reasoning: said.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0),
        cache_write_1h: hour,
    })
}

/// Reads the `usageMetadata` of a Gemini answer; `None` where it is not one.
pub fn gemini(raw: &RawValue) -> Option<Usage> {
    let said: Gemini = serde_json::from_str(raw.get()).ok()?;
    let thoughts = said.thoughts_token_count.unwrap_or(0);
    let from_tools = said.tool_use_prompt_token_count.unwrap_or(0);
    sane(Usage {
        input: said.prompt_token_count?.checked_add(from_tools)?,
        cache_read: said.cached_content_token_count.unwrap_or(0),
        output: said.candidates_token_count.unwrap_or(0).checked_add(thoughts)?,
        reasoning: thoughts,
        ..Usage::default()
    })
}

/// More tokens than any model takes in one request; such a count is a mistake.
const MOST_TOKENS: u64 = 100_000_000;

fn sane(usage: Usage) -> Option<Usage> {
    (usage.input <= MOST_TOKENS && usage.output <= MOST_TOKENS).then_some(usage)
}

#[derive(Deserialize)]
struct Anthropic {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<ByLifetime>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct ByLifetime {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Details {
    thinking_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gemini {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::money::Usd;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    /// What the bundled table bills for it on a quiet day.
    fn cost(model: &str, usage: Usage) -> Usd {
        let catalog = Catalog::bundled();
        let table = catalog.model(model).unwrap().prices.as_ref().unwrap();
        table.cost(&usage, "2026-11-23T12:00:00Z".parse().unwrap())
    }

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn openai_counts_cached_and_written_tokens_in_the_prompt() {
        let text = r#"{"prompt_tokens":10000,"completion_tokens":500,"total_tokens":10500,
            "prompt_tokens_details":{"cached_tokens":4000,"cache_write_tokens":2000},
            "completion_tokens_details":{"reasoning_tokens":300}}"#;
        let usage = crate::provider::openai::usage(&raw(text)).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.cache_write), (10_000, 4_000, 2_000));
        // 4,000 at 2.00, 4,000 at 0.20, 2,000 at 2.50, 500 at 12.00
        assert_eq!(cost("openai/gpt-5.6-terra", usage), usd("0.0198"));
    }

    #[test]
    fn anthropic_counts_cached_tokens_apart() {
        let text = r#"{"input_tokens":4000,"cache_creation_input_tokens":3000,"cache_read_input_tokens":5000,
            "cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":1000},
            "output_tokens":500,"service_tier":"standard"}"#;
        let usage = anthropic(&raw(text)).unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h),
            (12_000, 5_000, 3_000, 1_000)
        );
        // 4,000 at 5.00, 5,000 at 0.50, 2,000 at 6.25, 1,000 at 10.00, 500 at 25.00
        assert_eq!(cost("anthropic/claude-opus-5", usage), usd("0.0575"));
        let plain = anthropic(&raw(r#"{"input_tokens":7,"output_tokens":3}"#)).unwrap();
        assert_eq!(plain, Usage { input: 7, output: 3, ..Usage::default() });
    }

    #[test]
    fn gemini_counts_thoughts_apart_and_bills_them_as_output() {
        let text = r#"{"promptTokenCount":10000,"cachedContentTokenCount":4000,"candidatesTokenCount":500,
            "thoughtsTokenCount":1500,"toolUsePromptTokenCount":200,"totalTokenCount":12200}"#;
        let usage = gemini(&raw(text)).unwrap();
        assert_eq!(
            (usage.input, usage.cache_read, usage.output, usage.reasoning),
            (10_200, 4_000, 2_000, 1_500)
        );
        // 6,200 at 0.30, 4,000 at 0.03, 2,000 at 2.50
        assert_eq!(cost("gemini/gemini-2.5-flash", usage), usd("0.00698"));
    }

    #[test]
    fn xai_counts_reasoning_outside_the_completion() {
        let text = r#"{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1500,
            "completion_tokens_details":{"reasoning_tokens":400}}"#;
        let usage = crate::provider::openai::usage(&raw(text)).unwrap();
        assert_eq!((usage.output, usage.reasoning), (500, 400));
        assert_eq!(cost("xai/grok-4.3", usage), usd("0.0025"));
    }

    #[test]
    fn deepseek_counts_hits_and_misses() {
        let text =
            r#"{"prompt_cache_hit_tokens":600,"prompt_cache_miss_tokens":400,"completion_tokens":100}"#;
        let usage = crate::provider::openai::usage(&raw(text)).unwrap();
        assert_eq!((usage.input, usage.cache_read), (1_000, 600));
        assert_eq!(cost("deepseek/deepseek-flash", usage), usd("0.0001218")); // 400 at 0.15, 600 at 0.003, 100 at 0.60
    }

    #[test]
    fn what_is_no_usage_is_none() {
        for text in [
            "{}",
            "null",
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1e12,"output_tokens":1}"#,
        ] {
            assert_eq!(anthropic(&raw(text)), None, "{text}");
            assert_eq!(gemini(&raw(text)), None, "{text}");
        }
        let absurd = r#"{"input_tokens":18446744073709551615,"cache_read_input_tokens":9,"output_tokens":1}"#;
        assert_eq!(anthropic(&raw(absurd)), None);
    }
}
