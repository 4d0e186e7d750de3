//! A job's items as a list.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::money::Usd;
use crate::report::row::ResultRow;
use crate::report::text::{count, line, table};

/// `overnight items --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Items {
    /// `overnight.items/1`.
    pub schema: &'static str,
    /// Of which job.
    pub job_id: String,
    /// The items asked for, at most as many as were asked for: those that ended, then the others.
    pub items: Vec<ItemLine>,
    /// How many more there are.
    pub more: u64,
    /// Items that wait or are on their way and are not listed, because another process works on them.
    pub not_listed: BTreeMap<&'static str, u64>,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemLine {
    /// The job it is from: the one asked for, or a retry of it.
    pub job_id: String,
    /// The user's name for it.
    pub custom_id: String,
    /// Its state's word: `pending`, `failed`.
    pub state: String,
    /// Why it did not succeed, or what it waits for.
    pub reason: Option<String>,
    /// That in words.
    pub message: Option<String>,
    /// Attempts so far.
    pub attempts: u16,
    /// Where the last one went.
    pub route: Option<String>,
    /// What all of them cost, USD.
    pub cost_usd: f64,
    /// Its tags, the job's included.
    pub tags: BTreeMap<String, String>,
}

impl From<ResultRow> for ItemLine {
    fn from(row: ResultRow) -> ItemLine {
        let route = row.provider.as_ref().zip(row.request_model.as_ref());
        ItemLine {
            route: route.map(|(provider, model)| format!("{provider}/{model}")),
            cost_usd: row.cost().as_f64(),
            attempts: u16::try_from(row.attempts).unwrap_or(0),
            job_id: row.job_id,
            custom_id: row.custom_id,
            state: row.status,
            reason: row.error_code,
            message: row.error_message,
            tags: row.tags.into_iter().collect(),
        }
    }
}

/// As a terminal shows it.
pub fn render_items(items: &Items) -> String {
    let mut shown = match items.items.is_empty() {
        true => "no such items\n".to_owned(),
        false => list(items),
    };
    if items.more > 0 {
        shown += &format!("and {} more; --limit shows more\n", count(items.more));
    }
    if !items.not_listed.is_empty() {
        let words: Vec<String> =
            items.not_listed.iter().map(|(state, n)| format!("{} {state}", count(*n))).collect();
        shown += &format!("not listed while they are being worked on: {}\n", words.join(", "));
    }
    shown
}

fn list(items: &Items) -> String {
    let retried = items.items.iter().any(|item| item.job_id != items.job_id);
    let mut header = vec!["ITEM", "STATE", "REASON", "LAST ROUTE"];
    header.extend(retried.then_some("JOB"));
    let numbers = header.len();
    header.extend(["ATTEMPTS", "COST"]);
    let dash = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), line);
    let rows = items.items.iter().map(|item| {
        let mut row = vec![short(&item.custom_id), line(&item.state), dash(&item.reason), dash(&item.route)];
        row.extend(retried.then(|| line(&item.job_id)));
        row.extend([item.attempts.to_string(), usd(item.cost_usd)]);
        row
    });
    table(&header, rows, numbers) + "\n"
}

/// One long name must not push everything else off the screen.
fn short(name: &str) -> String {
    const MOST: usize = 48;
    let name = line(name);
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

fn usd(amount: f64) -> String {
    Usd::from_pico((amount * 1e12).round() as i128).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(job: &str, id: &str, state: &str, reason: Option<&str>) -> ItemLine {
        ItemLine {
            job_id: job.into(),
            custom_id: id.into(),
            state: state.into(),
            reason: reason.map(str::to_owned),
            message: None,
            attempts: 2,
            route: Some("deepseek/deepseek-flash".into()),
            cost_usd: 0.000_871,
            tags: BTreeMap::new(),
        }
    }

    fn items(items: Vec<ItemLine>) -> Items {
        let not_listed = BTreeMap::from([("pending", 6_796), ("running", 131)]);
        Items { schema: "overnight.items/1", job_id: "job_a".into(), items, more: 17, not_listed }
    }

    #[test]
    fn a_list_names_jobs_only_where_there_are_retries_and_obeys_nobody() {
        let first = item("job_a", "r-4711", "failed", Some("schema_mismatch"));
        let odd = item("job_a", "=cmd()\u{1b}[2J", "succeeded", None);
        insta::assert_snapshot!(render_items(&items(vec![first.clone(), odd])));
        let again = item("job_b", &"long".repeat(30), "succeeded", None);
        insta::assert_snapshot!("with_a_retry", render_items(&items(vec![first, again])));
    }
}
