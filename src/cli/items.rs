//! `overnight items JOB`: a job's items in a table, filtered.
//!
//! The rows come from wherever they are by then; here they are chosen and shown.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::args::ItemsArgs;
use super::escape;
use super::format::{self, counted};
use super::style::{Align, Line, Paint, table};

/// One item as it is listed, and with `--json` printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemLine {
    /// The user's name for it.
    pub custom_id: String,
    /// Its state's word: `pending`, `failed`.
    pub state: String,
    /// Why it waits or did not succeed.
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: u16,
    /// Where the last one went.
    pub route: Option<String>,
    /// What all of them cost, USD.
    pub cost_usd: f64,
    /// Its tags, the job's included.
    pub tags: BTreeMap<String, String>,
}

/// Whether an item is among those asked for.
pub fn is_wanted(item: &ItemLine, args: &ItemsArgs) -> bool {
    let state = args.states.is_empty() || args.states.iter().any(|state| state.word() == item.state);
    let reason = args.reasons.is_empty()
        || args.reasons.iter().any(|reason| item.reason.as_deref() == Some(reason.as_str()));
    let tags = args.tags.iter().all(|tag| item.tags.get(&tag.key) == Some(&tag.value));
    state && reason && tags
}

/// The items for people; `more` were left out because of `--limit`.
pub fn render(items: &[ItemLine], more: u64) -> Vec<Line> {
    if items.is_empty() {
        return vec![Line::new().text("no such items")];
    }
    let headings = [
        ("ITEM", Align::Left),
        ("STATE", Align::Left),
        ("REASON", Align::Left),
        ("ATTEMPTS", Align::Right),
        ("LAST ROUTE", Align::Left),
        ("COST", Align::Right),
    ];
    let rows: Vec<Vec<(Paint, String)>> = items.iter().map(row).collect();
    let mut lines = table(&headings, &rows);
    if more > 0 {
        lines.push(
            Line::new().add(Paint::Faint, format!("and {} more; --limit shows more", counted(more, "item"))),
        );
    }
    lines
}

fn row(item: &ItemLine) -> Vec<(Paint, String)> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let paint = match item.state.as_str() {
        "succeeded" => Paint::Good,
        "failed" | "expired" => Paint::Bad,
        _ => Paint::Plain,
    };
    vec![
        (Paint::Name, escape::short(&item.custom_id, 48)),
        (paint, item.state.clone()),
        (Paint::Plain, or_dash(&item.reason)),
        (Paint::Plain, item.attempts.to_string()),
        (Paint::Plain, or_dash(&item.route)),
        (Paint::Plain, format::usd(item.cost_usd)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::ErrorCode;
    use crate::cli::args::StateFilter;
    use crate::cli::style;

    fn item(id: &str, state: &str, reason: Option<&str>) -> ItemLine {
        ItemLine {
            custom_id: id.into(),
            state: state.into(),
            reason: reason.map(str::to_owned),
            attempts: 2,
            route: Some("deepseek/deepseek-flash".into()),
            cost_usd: 0.000_871,
            tags: [("team".to_owned(), "search".to_owned())].into(),
        }
    }

    fn asked(states: &[StateFilter], reasons: &[ErrorCode], tags: &[&str]) -> ItemsArgs {
        ItemsArgs {
            job: "job_01kb3v6m8d".into(),
            states: states.to_vec(),
            reasons: reasons.to_vec(),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            limit: 100,
        }
    }

    #[test]
    fn filters_of_one_kind_widen_and_of_two_kinds_narrow() {
        let failed = item("a", "failed", Some("not_json"));
        let wanted = |args: ItemsArgs| is_wanted(&failed, &args);
        assert!(wanted(asked(&[], &[], &[])));
        assert!(wanted(asked(
            &[StateFilter::Expired, StateFilter::Failed],
            &[ErrorCode::NotJson],
            &["team=search"]
        )));
        assert!(!wanted(asked(&[StateFilter::Expired], &[], &[])));
        assert!(!wanted(asked(&[StateFilter::Failed], &[ErrorCode::Refusal], &[])));
        assert!(!wanted(asked(&[], &[], &["team=search", "app=x"])));
    }

    #[test]
    fn items_in_a_table() {
        let items =
            [item("r-4711", "failed", Some("schema_mismatch")), item("=cmd()\u{1b}[2J", "succeeded", None)];
        insta::assert_snapshot!(style::print(&render(&items, 17), 200, false), @r"
        ITEM           STATE      REASON           ATTEMPTS  LAST ROUTE                   COST
        r-4711         failed     schema_mismatch         2  deepseek/deepseek-flash  $0.00087
        =cmd()\x1b[2J  succeeded  -                       2  deepseek/deepseek-flash  $0.00087
        and 17 items more; --limit shows more
        ");
    }
}
