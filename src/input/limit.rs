//! A request with another output limit: its limit is replaced where it stands, every other byte stays.
//!
//! Takes an item and tokens for each choice, gives the item to send instead. A request that names no
//! limit is not given one.
//!
//! Pure.

use super::edit::{self, Edit};
use super::request;
use super::scan::{self, Raw};
use crate::job::{Body, Item, Wire};

/// `item` allowing `tokens` for each choice; `None` where it names no limit.
pub fn with_output_limit(item: &Item, tokens: u32) -> Option<Item> {
    let body = scan::check_object(&item.body.json).ok()?;
    let json = match item.wire {
        Wire::Chat => set_all(body, &["max_completion_tokens", "max_tokens"], tokens)?,
        Wire::Responses => set_all(body, &["max_output_tokens"], tokens)?,
        Wire::Messages => set_all(body, &["max_tokens"], tokens)?,
        Wire::GenerateContent => ["generationConfig", "generation_config"].iter().find_map(|key| {
            let config = set_all(body.get(key)?, &["maxOutputTokens", "max_output_tokens"], tokens)?;
            Some(edit::apply(body, &[Edit::Set(key, &config)]))
        })?,
        Wire::Embeddings => return None,
    };
    // Where the model stands has moved; that is found as it was found at submit.
    let facts = request::facts(item.wire, scan::check_object(&json).ok()?).ok()?;
    let (model_at, max_output) = (facts.model_at, facts.max_output);
    Some(Item { body: Body { json: json.into(), model_at }, max_output, ..item.clone() })
}

/// `object` with each of these keys that it has set to `tokens`; `None` where it has none of them.
fn set_all(object: Raw<'_>, keys: &[&str], tokens: u32) -> Option<Vec<u8>> {
    let value = tokens.to_string();
    let is_set = |key: &&&str| object.get(key).is_some_and(|limit| !limit.is_null());
    let edits: Vec<Edit<'_>> =
        keys.iter().filter(is_set).map(|key| Edit::Set(key, value.as_bytes())).collect();
    (!edits.is_empty()).then(|| edit::apply(object, &edits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing;

    fn item(wire: Wire, json: &'static str) -> Item {
        let facts = request::facts(wire, scan::check(json.as_bytes()).unwrap()).unwrap();
        let body = Body { json: json.into(), model_at: facts.model_at };
        let (max_output, choices) = (facts.max_output, facts.choices);
        Item { wire, body, max_output, choices, ..testing::item(0) }
    }

    #[test]
    fn only_the_limit_changes_and_the_model_is_still_found() {
        for (wire, body, sent, max_output) in [
            (
                Wire::Chat,
                r#"{ "max_tokens": 7, "model":"x", "messages":[{"content":"\u0000"}], "n":2, "seed":12345678901234567890}"#,
                r#"{ "max_tokens": 4000, "model":"m/1", "messages":[{"content":"\u0000"}], "n":2, "seed":12345678901234567890}"#,
                8_000,
            ),
            (
                Wire::Chat,
                r#"{"model":"x","messages":[{}],"max_tokens":null,"max_completion_tokens":9}"#,
                r#"{"model":"m/1","messages":[{}],"max_tokens":null,"max_completion_tokens":4000}"#,
                4_000,
            ),
            (
                Wire::Responses,
                r#"{"max_output_tokens":16,"input":"hi","model":"x"}"#,
                r#"{"max_output_tokens":4000,"input":"hi","model":"m/1"}"#,
                4_000,
            ),
            (
                Wire::Messages,
                r#"{"max_tokens":16,"model":"x","messages":[{}]}"#,
                r#"{"max_tokens":4000,"model":"m/1","messages":[{}]}"#,
                4_000,
            ),
            (
                Wire::GenerateContent,
                r#"{"generationConfig":{"temperature":0.10,"maxOutputTokens":16},"contents":[{}],"model":"x"}"#,
                r#"{"generationConfig":{"temperature":0.10,"maxOutputTokens":4000},"contents":[{}],"model":"m/1"}"#,
                4_000,
            ),
        ] {
            let larger = with_output_limit(&item(wire, body), 4_000).unwrap();
            assert_eq!(std::str::from_utf8(&larger.body.for_model("m/1")).unwrap(), sent);
            assert_eq!(larger.max_output, Some(max_output), "{body}");
        }
    }

    #[test]
    fn a_request_without_a_limit_gets_none() {
        for (wire, body) in [
            (Wire::Chat, r#"{"messages":[{}],"max_tokens":null}"#),
            (Wire::Responses, r#"{"input":"hi","max_tokens":5}"#),
            (Wire::GenerateContent, r#"{"contents":[{}],"generationConfig":{}}"#),
            (Wire::Embeddings, r#"{"input":["a"]}"#),
        ] {
            assert_eq!(with_output_limit(&item(wire, body), 4_000), None, "{body}");
        }
    }
}
