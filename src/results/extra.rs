//! What `extra_json` says of a row: facts that have no column of their own in this version.
//!
//! | key | means |
//! |---|---|
//! | `response_lossy` | the response was not UTF-8; what is kept of it is not exact |
//! | `text_lossy` | the answer held characters that are none (lone surrogates); the text shows U+FFFD for them |
//! | `copy_of` | the item whose answer this one gets, because both asked the same |
//! | `model_mismatch` | another model answered than was asked; the price is its own where the catalog knows it on that account |
//! | `at_risk_nano_usd` | kept in every budget, because the bill is not known |
//!
//! Pure.

use crate::catalog::names::is_same_model;
use crate::money::Usd;
use crate::record::{Ended, Settled};

/// The facts about the result of an item, as a JSON object; `None` where there are none.
pub(super) fn of_result(settled: &Settled, last: &Ended, response_lossy: bool) -> Option<String> {
    let facts = of(last, response_lossy, Usd::ZERO);
    let Some(original) = &settled.copied else { return facts };
    let copy_of = format!("\"copy_of\":{}", serde_json::Value::from(&*original.custom_id));
    Some(match facts {
        Some(facts) => format!("{{{copy_of},{}", &facts[1..]),
        None => format!("{{{copy_of}}}"),
    })
}

/// The facts about one attempt, as a JSON object; `None` where there are none.
pub(super) fn of(ended: &Ended, response_lossy: bool, at_risk: Usd) -> Option<String> {
    let flags = [
        ("response_lossy", response_lossy),
        ("text_lossy", !response_lossy && is_text_lossy(ended)),
        ("model_mismatch", is_another_model(ended)),
    ];
    let mut facts: Vec<String> =
        flags.into_iter().filter(|(_, holds)| *holds).map(|(flag, _)| format!("\"{flag}\":true")).collect();
    if at_risk > Usd::ZERO {
        facts.push(format!("\"at_risk_nano_usd\":{}", at_risk.nano()));
    }
    (!facts.is_empty()).then(|| format!("{{{}}}", facts.join(",")))
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
    use crate::record::ItemTotals;
    use crate::results::testing::{job, settled, succeeded};

    fn check(change: impl FnOnce(&mut Ended), expected: Option<&str>) {
        let mut ended = succeeded(&job("job_extra00001", 1), 0);
        change(&mut ended);
        assert_eq!(of(&ended, false, Usd::ZERO).as_deref(), expected);
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
        let original = succeeded(&job, 0);
        let copied = Some(Box::new(original.clone()));
        let settled = Settled { copied, ..settled(&job, 1, ItemStatus::Succeeded, ItemTotals::default()) };
        let expected = format!("{{\"copy_of\":\"{}\"}}", original.custom_id);
        assert_eq!(of_result(&settled, &original, false), Some(expected));
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
