//! The numbers on top of a report.
//!
//! Pure.

use crate::money::Usd;
use crate::report::Report;
use crate::report::attribution::Attribution;
use crate::report::breakdown::dollars;
use crate::report::chart::escape;
use crate::report::row::from_nano;
use crate::report::text::{count, money, percent};

/// One number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tile {
    /// What it is.
    pub name: &'static str,
    /// The number.
    pub value: String,
    /// What it is made of.
    pub note: String,
    /// Whether it is good news.
    pub is_good: bool,
}

/// Spent, saved, items, success share, cost per success, a month.
pub fn tiles(report: &Report, all: &Attribution) -> Vec<Tile> {
    let total = &all.total;
    let plain = |name, value, note| Tile { name, value, note, is_good: false };
    let others = total.items - total.succeeded;
    let left: u64 = report.jobs.iter().map(|job| u64::from(job.left)).sum();
    let items = match left {
        0 => format!("in {}", jobs(report.jobs.len())),
        n => format!("{} more to come", count(n)),
    };
    let share = if total.items == 0 { "-".to_owned() } else { percent(total.succeeded, total.items) };
    let per_success = total.cost_per_success().map_or_else(|| "-".to_owned(), money);
    let mut tiles = vec![
        plain("Spent", money(total.cost()), format!("{} calls", count(total.attempts))),
        saved(all),
        plain("Items", count(total.items), items),
        plain("Succeeded", share, format!("{} without an answer", count(others))),
        plain("Cost per success", per_success, "failures and escalations included".to_owned()),
    ];
    if let (Some(month), Some(basis)) = (&total.month, &all.forecast) {
        let days =
            if basis.days_seen == 1 { "1 day".to_owned() } else { format!("{} days", basis.days_seen) };
        tiles.push(plain(
            "A month like this",
            dollars(month.cost_usd),
            format!("30 days at the mean of {days}"),
        ));
    }
    tiles
}

/// Against the strongest model alone; where that shows nothing, against list price.
fn saved(all: &Attribution) -> Tile {
    let savings = &all.savings;
    let tile = |against: i64, words: String| {
        let saved = from_nano(against - savings.paid_nano_usd);
        (saved > Usd::ZERO).then(|| {
            let share = percent(saved.nano().unsigned_abs(), against.unsigned_abs());
            Tile { name: "Saved", value: money(saved), note: format!("{share} below {words}"), is_good: true }
        })
    };
    tile(savings.strongest_nano_usd, savings.strongest_words())
        .or_else(|| tile(savings.list_nano_usd, "list price".to_owned()))
        .unwrap_or_else(|| Tile {
            name: "Saved",
            value: "$0.00".to_owned(),
            note: "no dearer way to compare with".to_owned(),
            is_good: false,
        })
}

fn jobs(n: usize) -> String {
    if n == 1 { "1 job".to_owned() } else { format!("{n} jobs") }
}

/// As the page shows them.
pub(super) fn html(tiles: &[Tile]) -> String {
    let tile = |tile: &Tile| {
        let Tile { name, value, note, is_good } = tile;
        let class = if *is_good { "tile good" } else { "tile" };
        format!(
            "<div class=\"{class}\"><dt>{name}</dt><dd class=\"value\">{}</dd><dd class=\"note\">{}</dd></div>",
            escape(value),
            escape(note)
        )
    };
    format!("<dl class=\"tiles\">{}</dl>\n", tiles.iter().map(tile).collect::<String>())
}
