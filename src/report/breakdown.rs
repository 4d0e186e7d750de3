//! Groups as a terminal shows them and as a spreadsheet reads them.
//!
//! ```text
//! MODEL      ITEMS  OK  CALLS     COST    PER OK  ESCALATED AWAY  ESCALATED  BAD JSON    P50   P95   P99  …
//! sim/large     23  23     23  $0.0065  $0.00028           $0.00          0         0   1.4s  3.5s  3.6s
//! ```
//!
//! [`columns`] are what the terminal and the page have in common; one that is empty in every row is left
//! out. [`csv()`] has all there is, always.
//!
//! Pure.

use crate::money::Usd;
use crate::report::attribution::Attribution;
use crate::report::groups::GroupRow;
use crate::report::row::from_nano;
use crate::report::savings::Savings;
use crate::report::text::{count, latency, line, percent, rounded, table};

/// One number of a group.
pub struct Column {
    /// Its heading.
    pub head: &'static str,
    /// What it means, in a sentence.
    pub means: &'static str,
    /// The number as people read it.
    pub shown: fn(&GroupRow) -> String,
    /// Whether a group has anything there; a column without this is always shown.
    has: Option<fn(&GroupRow) -> bool>,
}

const fn always(head: &'static str, means: &'static str, shown: fn(&GroupRow) -> String) -> Column {
    Column { head, means, shown, has: None }
}

const fn where_any(
    head: &'static str,
    means: &'static str,
    shown: fn(&GroupRow) -> String,
    has: fn(&GroupRow) -> bool,
) -> Column {
    Column { head, means, shown, has: Some(has) }
}

/// What matters most stands first: a narrow window shows the rest on request.
static COLUMNS: [Column; 17] = [
    always("items", "items that ended, where the last attempt belongs", |row| count(row.items)),
    always("ok", "items with an accepted answer", |row| count(row.succeeded)),
    always("calls", "upstream calls", |row| count(row.attempts)),
    always("cost", "what was paid, whatever came of it", |row| row.cost().to_string()),
    always("per ok", "cost divided by accepted answers", |row| {
        row.cost_per_success().map_or_else(dash, |cost| cost.to_string())
    }),
    where_any(
        "escalated away",
        "of the cost: for answers that a stronger model was asked to replace",
        |row| from_nano(row.escalated_nano_usd).to_string(),
        |row| row.escalated_nano_usd > 0,
    ),
    where_any(
        "lost",
        "of the cost: for errors, repeats and items that failed",
        |row| from_nano(row.lost_nano_usd).to_string(),
        |row| row.lost_nano_usd > 0,
    ),
    where_any(
        "escalated",
        "calls after which a stronger model was asked",
        |row| count(row.escalations),
        |row| row.escalations > 0,
    ),
    where_any(
        "bad json",
        "answers that were not the JSON asked for",
        |row| count(row.failed_json),
        |row| row.failed_json > 0,
    ),
    where_any(
        "timeouts",
        "calls that ended at their time limit",
        |row| count(row.timeouts),
        |row| row.timeouts > 0,
    ),
    where_any(
        "retries",
        "calls that repeat one on the same step",
        |row| count(row.retries),
        |row| row.retries > 0,
    ),
    where_any("rework", "items asked again by hand", |row| count(row.rework), |row| row.rework > 0),
    where_any("p50", "median latency of answers", |row| ms(row.p50_ms), |row| row.p50_ms.is_some()),
    where_any("p95", "95th percentile of latency", |row| ms(row.p95_ms), |row| row.p95_ms.is_some()),
    where_any("p99", "99th percentile of latency", |row| ms(row.p99_ms), |row| row.p99_ms.is_some()),
    always("tokens", "tokens in and out", |row| {
        format!("{} / {}", rounded(row.input_tokens), rounded(row.output_tokens))
    }),
    where_any(
        "a month",
        "thirty days like those seen",
        |row| row.month.as_ref().map_or_else(dash, |month| dollars(month.cost_usd)),
        |row| row.month.is_some(),
    ),
];

/// The columns worth showing of these groups.
pub fn columns(rows: &[GroupRow]) -> Vec<&'static Column> {
    COLUMNS.iter().filter(|column| column.has.is_none_or(|has| rows.iter().any(has))).collect()
}

/// The groups asked for, with their total, and what it all saved.
pub fn render(all: &Attribution) -> String {
    let mut shown = String::new();
    if !all.groups.is_empty() {
        shown += &groups(all);
        shown.push('\n');
    }
    shown + &money(all)
}

fn groups(all: &Attribution) -> String {
    let columns = columns(std::slice::from_ref(&all.total));
    let heads: Vec<String> = all
        .by
        .iter()
        .map(|key| line(key))
        .chain(columns.iter().map(|column| column.head.to_owned()))
        .collect();
    let heads: Vec<String> = heads.iter().map(|head| head.to_uppercase()).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let numbers = |row: &GroupRow| columns.iter().map(|column| (column.shown)(row)).collect::<Vec<_>>();
    let row = |row: &GroupRow| {
        let names = row.key.iter().map(|(_, value)| value.as_deref().map_or_else(dash, line));
        names.chain(numbers(row)).collect::<Vec<String>>()
    };
    let mut rows: Vec<Vec<String>> = all.groups.iter().map(row).collect();
    let names = std::iter::once("total".to_owned()).chain(std::iter::repeat(String::new()));
    rows.push(names.take(all.by.len()).chain(numbers(&all.total)).collect());
    table(&heads, rows, all.by.len()) + "\n"
}

/// What it would have cost otherwise, which lever saved what, and a month of it.
fn money(all: &Attribution) -> String {
    let Savings { strongest_nano_usd, run_now_nano_usd, list_nano_usd, .. } = all.savings;
    let mut shown = String::new();
    if all.savings.paid_nano_usd > 0 {
        let instead = [
            (all.savings.strongest_words(), strongest_nano_usd),
            ("run at once".to_owned(), run_now_nano_usd),
            ("at list price".to_owned(), list_nano_usd),
        ];
        let words: Vec<String> =
            instead.iter().map(|(word, nano)| format!("{} {}", line(word), from_nano(*nano))).collect();
        shown += &format!("instead of  {}\n", words.join(" · "));
        shown += &levers(&all.savings);
        shown += &cached(&all.total, &all.savings);
    }
    if let (Some(month), Some(basis)) = (&all.total.month, &all.forecast) {
        let (cost, calls) = (dollars(month.cost_usd), count(month.attempts));
        shown += &format!(
            "a month     {cost} · {calls} calls · {} tokens: {}\n",
            rounded(month.tokens),
            basis.method
        );
    }
    shown
}

fn levers(savings: &Savings) -> String {
    let saved = savings.total();
    if saved <= Usd::ZERO {
        return String::new();
    }
    let share = percent(nano(saved), savings.strongest_nano_usd.max(0).unsigned_abs());
    let named = savings.levers.steps().into_iter().filter(|(_, nano)| *nano != 0);
    let words: Vec<String> = named.map(|(name, nano)| format!("{name} {}", from_nano(nano))).collect();
    format!("saved       {saved} ({share}): {}\n", words.join(" · "))
}

/// What was read from caches, which is in none of the other sums.
fn cached(total: &GroupRow, savings: &Savings) -> String {
    if total.cache_read_input_tokens == 0 {
        return String::new();
    }
    let share = percent(total.cache_read_input_tokens, total.input_tokens);
    let saved = from_nano(savings.levers.cache_nano_usd);
    format!("cached      {share} of all input tokens, which saved {saved} on top\n")
}

/// All groups with all their numbers, as CSV; money in whole nano-dollars and in dollars.
///
/// Text that a spreadsheet would take for a formula begins with `'`.
pub fn csv(all: &Attribution) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heads = [
        "items",
        "succeeded",
        "rework",
        "attempts",
        "retries",
        "failed_json",
        "timeouts",
        "escalations",
        "input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "cost_nano_usd",
        "cost_usd",
        "cost_per_success_usd",
        "accepted_nano_usd",
        "escalated_nano_usd",
        "lost_nano_usd",
        "list_cost_nano_usd",
        "run_now_nano_usd",
        "strongest_nano_usd",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "month_attempts",
        "month_items",
        "month_tokens",
        "month_cost_usd",
    ];
    let keys = all.by.iter().map(|key| harmless(key));
    writer.write_record(keys.chain(heads.map(str::to_owned)))?;
    let total = all.by.is_empty().then_some(&all.total);
    for row in all.groups.iter().chain(total) {
        let names = row.key.iter().map(|(_, value)| value.as_deref().map_or_else(String::new, harmless));
        writer.write_record(names.chain(numbers(row)))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn numbers(row: &GroupRow) -> Vec<String> {
    let maybe = |n: Option<String>| n.unwrap_or_default();
    let month = row.month.clone().unwrap_or_default();
    let counts = [
        row.items,
        row.succeeded,
        row.rework,
        row.attempts,
        row.retries,
        row.failed_json,
        row.timeouts,
        row.escalations,
        row.input_tokens,
        row.cache_read_input_tokens,
        row.output_tokens,
    ];
    let mut numbers: Vec<String> = counts.map(|n| n.to_string()).into();
    numbers.push(row.cost_nano_usd.to_string());
    numbers.push(row.cost_usd.to_string());
    numbers.push(maybe(row.cost_per_success_usd.map(|cost| cost.to_string())));
    let amounts = [
        row.accepted_nano_usd,
        row.escalated_nano_usd,
        row.lost_nano_usd,
        row.list_cost_nano_usd,
        row.run_now_nano_usd,
        row.strongest_nano_usd,
    ];
    numbers.extend(amounts.map(|nano| nano.to_string()));
    numbers.extend([row.p50_ms, row.p95_ms, row.p99_ms].map(|ms| maybe(ms.map(|ms| ms.to_string()))));
    numbers.extend([month.attempts, month.items, month.tokens].map(|n| n.to_string()));
    numbers.push(month.cost_usd.to_string());
    numbers
}

fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// Dollars of a float, as [`Usd`] shows them.
pub fn dollars(amount: f64) -> String {
    Usd::from_pico((amount * 1e12).round() as i128).to_string()
}

fn ms(ms: Option<u64>) -> String {
    ms.map_or_else(dash, latency)
}

fn nano(amount: Usd) -> u64 {
    amount.nano().max(0).unsigned_abs()
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::forecast::Month;

    fn attribution() -> Attribution {
        let row = |team: Option<&str>, cost| GroupRow {
            key: vec![("tag.team".to_owned(), team.map(str::to_owned))],
            items: 10,
            succeeded: 8,
            attempts: 12,
            failed_json: 2,
            escalations: 2,
            input_tokens: 12_345,
            cache_read_input_tokens: 4_321,
            output_tokens: 678,
            cost_nano_usd: cost,
            escalated_nano_usd: cost / 10,
            p50_ms: Some(331),
            p95_ms: Some(1_900),
            p99_ms: Some(3_500),
            month: Some(Month { attempts: 360, cost_usd: cost as f64 * 30e-9, ..Month::default() }),
            ..GroupRow::default()
        };
        let mut savings = Savings {
            paid_nano_usd: 6_000_000,
            list_nano_usd: 9_000_000,
            run_now_nano_usd: 8_000_000,
            strongest_nano_usd: 60_000_000,
            ..Savings::default()
        };
        savings.levers.windows_nano_usd = 3_000_000;
        savings.levers.cache_nano_usd = 1_000_000;
        Attribution {
            total: GroupRow { key: Vec::new(), ..row(None, 6_000_000) },
            by: vec!["tag.team".to_owned()],
            groups: vec![row(Some("=cmd()\u{1b}[2J"), 4_000_000), row(None, 2_000_000)],
            savings: savings.close(vec!["sim/large".to_owned()]),
            ..Attribution::default()
        }
    }

    #[test]
    fn groups_in_a_table_with_their_total() {
        insta::assert_snapshot!(render(&attribution()));
    }

    #[test]
    fn a_spreadsheet_gets_every_number_and_no_formula() {
        let text = String::from_utf8(csv(&attribution()).unwrap()).unwrap();
        let mut lines = text.lines();
        let heads: Vec<&str> = lines.next().unwrap().split(',').collect();
        let first: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!(heads.len(), first.len());
        let cell = |head: &str| first[heads.iter().position(|known| *known == head).unwrap()];
        assert_eq!(
            (cell("tag.team"), cell("cost_nano_usd"), cell("p99_ms")),
            ("'=cmd()\u{1b}[2J", "4000000", "3500")
        );
        assert!(lines.next().unwrap().starts_with(",10,8,"), "no value is an empty cell");
    }
}
