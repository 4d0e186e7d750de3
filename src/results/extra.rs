//! What `extra_json` says of a row: facts that have no column of their own in this version.
//!
//! | key | means |
//! |---|---|
//! | `response_lossy` | the response was not UTF-8; what is kept of it is not exact |
//! | `text_lossy` | the answer held characters that are none (lone surrogates); the text shows U+FFFD for them |
//! | `model_mismatch` | another model answered than was asked; the price is its own where the catalog knows it on that account |
//! | `rework` | the item was asked again by hand: [`crate::job::tag::REWORK`] |
//! | `asked_as` | of a result: the format of the request, where the answer is in another one |
//! | `copy_of` | of a result: the item whose answer it gets, because both asked the same |
//! | `hedge` | of an attempt: it raced another of its item that was late |
//! | `at_risk_nano_usd` | of an attempt: kept in every budget, because the bill is not known |
//! | `tags` | of an attempt: the tags of its item, the job's included, which `results` has as a column |
//!
//! An attempt carries its tags itself, so that cost by tag is one query on one table, also while items
//! of the job have not ended and have no row in `results` to join with.
//!
//! Pure.

use serde_json::{Map, Value};

use crate::catalog::names::is_same_model;
use crate::catalog::words::wire_name;
use crate::job::tag::is_rework;
use crate::money::Usd;
use crate::record::{Ended, Settled};

/// The facts about one attempt, as a JSON object; `None` where there are none.
pub(super) fn of_attempt(ended: &Ended, response_lossy: bool) -> Option<String> {
    let tags = ended.tags();
    let mut facts = flags(tags, Some(ended), response_lossy);
    if ended.hedge {
        facts.insert("hedge".to_owned(), Value::Bool(true));
    }
    if ended.at_risk > Usd::ZERO {
        facts.insert("at_risk_nano_usd".to_owned(), ended.at_risk.nano().into());
    }
    if !tags.is_empty() {
        let tags: Map<String, Value> =
            tags.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        facts.insert("tags".to_owned(), tags.into());
    }
    json(facts)
}

/// The facts about how an item ended, `last` being the attempt that ended it.
pub(super) fn of_result(settled: &Settled, last: Option<&Ended>, response_lossy: bool) -> Option<String> {
    let mut facts = flags(&settled.tags, last, response_lossy);
    if let Some(last) = last.filter(|last| *last.route.endpoint != *last.wire.endpoint()) {
        facts.insert("asked_as".to_owned(), wire_name(last.wire).into());
    }
    if let Some(original) = &settled.copied {
        facts.insert("copy_of".to_owned(), Value::from(&*original.custom_id));
    }
    json(facts)
}

fn flags(tags: &[(String, String)], last: Option<&Ended>, response_lossy: bool) -> Map<String, Value> {
    let flags = [
        ("response_lossy", response_lossy),
        ("text_lossy", !response_lossy && last.is_some_and(is_text_lossy)),
        ("model_mismatch", last.is_some_and(is_another_model)),
        ("rework", is_rework(tags)),
    ];
    let holding = flags.into_iter().filter(|(_, holds)| *holds);
    holding.map(|(flag, _)| (flag.to_owned(), Value::Bool(true))).collect()
}

fn json(facts: Map<String, Value>) -> Option<String> {
    (!facts.is_empty()).then(|| Value::Object(facts).to_string())
}

/// A replacement character in the text that the response itself does not hold.
fn is_text_lossy(ended: &Ended) -> bool {
    const REPLACED: char = '\u{fffd}';
    let holds =
        |needle: &[u8]| ended.body.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
    ended.text.as_deref().is_some_and(|text| text.contains(REPLACED))
        && !holds(REPLACED.encode_utf8(&mut [0; 4]).as_bytes())
        && !holds(b"\\ufffd")
}

fn is_another_model(ended: &Ended) -> bool {
    let asked = &*ended.route.model;
    let answered = ended.response_model.as_deref().unwrap_or(asked);
    !is_same_model(asked, answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::ItemStatus;
    use crate::job::tag::REWORK;
    use crate::record::{ItemTotals, Next};
    use crate::results::testing::{job, rejected, settled, succeeded};

    fn check(change: impl FnOnce(&mut Ended), expected: Option<&str>) {
        let mut ended = succeeded(&job("job_extra00001", 1), 0);
        change(&mut ended);
        let Next::Settled(settled) = &ended.next else { panic!("it ends its item") };
        assert_eq!(of_result(settled, Some(&ended), false).as_deref(), expected);
    }

    #[test]
    fn an_attempt_carries_the_tags_of_its_item_whether_the_item_goes_on_or_not() {
        let job = job("job_extra00001", 2);
        let tagged = Some(r#"{"tags":{"team":"search"}}"#);
        let same_model = |ended: Ended| Ended { response_model: None, ..ended };
        assert_eq!(of_attempt(&same_model(rejected(&job, 0, 1)), false).as_deref(), tagged);
        assert_eq!(of_attempt(&same_model(succeeded(&job, 0)), false).as_deref(), tagged);
        let bare = Ended { open_tags: Vec::new(), ..same_model(rejected(&job, 0, 1)) };
        assert_eq!(of_attempt(&bare, false), None);
    }

    #[test]
    fn rework_is_a_fact_of_the_row_too() {
        let job = job("job_extra00001", 1);
        let mut again = settled(&job, 0, ItemStatus::Expired, ItemTotals::default());
        assert_eq!(of_result(&again, None, false), None);
        again.tags.push((REWORK.to_owned(), "manual".to_owned()));
        assert_eq!(of_result(&again, None, false).as_deref(), Some(r#"{"rework":true}"#));
    }

    #[test]
    fn another_model_is_flagged_and_a_dated_name_is_not() {
        let mismatch = Some(r#"{"model_mismatch":true}"#);
        for (asked, answered, expected) in [
            ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", None),
            ("gpt-4o", "gpt-4o-mini", mismatch),
            ("deepseek-flash", "deepseek-v4-pro", mismatch),
        ] {
            let set = |ended: &mut Ended| {
                ended.route.model = asked.into();
                ended.response_model = Some(answered.into());
            };
            check(set, expected);
        }
        check(|ended| ended.response_model = None, None);
    }

    #[test]
    fn a_copy_names_the_item_that_was_asked() {
        let job = job("job_extra00001", 2);
        let original = Ended { response_model: None, ..succeeded(&job, 0) };
        let copied = Some(Box::new(original.clone()));
        let settled = Settled { copied, ..settled(&job, 1, ItemStatus::Succeeded, ItemTotals::default()) };
        let expected = format!("{{\"copy_of\":\"{}\"}}", original.custom_id);
        assert_eq!(of_result(&settled, Some(&original), false), Some(expected));
    }

    #[test]
    fn text_is_flagged_only_where_the_response_did_not_hold_the_mark_itself() {
        let set = |body: &'static str| {
            move |ended: &mut Ended| {
                ended.response_model = None;
                ended.text = Some("a\u{fffd}b".into());
                ended.body = bytes::Bytes::from_static(body.as_bytes());
            }
        };
        check(set(r#"{"content":"a\ud800b"}"#), Some(r#"{"text_lossy":true}"#));
        check(set("{\"content\":\"a\u{fffd}b\"}"), None);
        check(set(r#"{"content":"a\uFFFDb"}"#), None);
    }
}
