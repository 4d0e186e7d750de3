//! The tables of a report's page.
//!
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::money::Usd;
use crate::report::attribution::Attribution;
use crate::report::breakdown::{columns, dollars};
use crate::report::chart::escape;
use crate::report::groups::GroupRow;
use crate::report::row::from_nano;
use crate::report::text::{count, percent, rounded, span};
use crate::report::{JobReport, Report};

/// Longer names are broken.
const LONG: usize = 32;

/// A table being written.
struct Table {
    head: String,
    body: String,
    foot: String,
}

/// A cell: its class, and what it says, escaped already.
type Cell = (&'static str, String);

impl Table {
    /// Under a caption with a remark; `left` columns are names, the others numbers, each with what it means.
    fn new(caption: &str, remark: &str, left: &[&str], numbers: &[(&str, &str)]) -> Table {
        let remark =
            if remark.is_empty() { String::new() } else { format!("<small>{}</small>", escape(remark)) };
        let names = left.iter().map(|head| format!("<th scope=\"col\" class=\"left\">{}</th>", escape(head)));
        let numbers = numbers.iter().map(|(head, means)| {
            let title =
                if means.is_empty() { String::new() } else { format!(" title=\"{}\"", escape(means)) };
            format!("<th scope=\"col\"{title}>{}</th>", escape(head))
        });
        let heads: String = names.chain(numbers).collect();
        let head = format!("<caption>{}{remark}</caption><thead><tr>{heads}</tr></thead>", escape(caption));
        Table { head, body: String::new(), foot: String::new() }
    }

    fn row(&mut self, names: &[String], cells: &[Cell]) {
        self.body += &Table::line(names, cells);
    }

    fn total(&mut self, names: &[String], cells: &[Cell]) {
        self.foot = format!("<tfoot>{}</tfoot>", Table::line(names, cells));
    }

    fn line(names: &[String], cells: &[Cell]) -> String {
        let names = names.iter().enumerate().map(|(index, name)| {
            // Only what is long may be broken: `schema_mismatch` is easier to know in one piece.
            let class = if name.chars().count() > LONG { "left long" } else { "left" };
            let name = format!("<bdi>{}</bdi>", escape(name));
            match index {
                0 => format!("<th scope=\"row\" class=\"{class}\">{name}</th>"),
                _ => format!("<td class=\"{class}\">{name}</td>"),
            }
        });
        let cells = cells.iter().map(|(class, text)| match *class {
            "" => format!("<td>{text}</td>"),
            class => format!("<td class=\"{class}\">{text}</td>"),
        });
        format!("<tr>{}</tr>", names.chain(cells).collect::<String>())
    }

    fn done(self) -> String {
        let Table { head, body, foot } = self;
        // A table wider than the screen is moved on its own, by keys too.
        format!("<div class=\"scroll\" tabindex=\"0\"><table>{head}<tbody>{body}</tbody>{foot}</table></div>")
    }

    fn section(self) -> String {
        format!("<section>{}</section>\n", self.done())
    }
}

/// A number; one that is nothing steps back.
fn number(shown: String) -> Cell {
    let is_nothing = matches!(shown.as_str(), "0" | "-" | "$0.00");
    (if is_nothing { "zero" } else { "" }, escape(&shown))
}

/// Every job.
pub(super) fn jobs(report: &Report) -> String {
    if report.jobs.is_empty() {
        return String::new();
    }
    let numbers =
        ["items", "ok", "failed", "took", "paid", "list price", "saved", "per ok"].map(|head| (head, ""));
    let mut table = Table::new("Jobs", "", &["job", "id", "state", "deadline"], &numbers);
    for job in &report.jobs {
        let retry = job.retry_of.as_ref().map(|of| format!(" (retry of {of})")).unwrap_or_default();
        let names =
            [format!("{}{retry}", job.name), job.job_id.to_string(), job.state.clone(), deadline(job)];
        let other = job.failed + job.expired + job.cancelled;
        let took =
            job.took_seconds.map_or_else(|| "-".to_owned(), |seconds| span(Duration::from_secs(seconds)));
        let per = job.cost_per_success_usd.map_or_else(|| "-".to_owned(), dollars);
        let cells = [
            number(count(job.items.into())),
            number(count(job.succeeded.into())),
            if other > 0 { ("bad", count(other.into())) } else { number("0".to_owned()) },
            number(took),
            number(dollars(job.cost_usd)),
            number(dollars(job.list_cost_usd)),
            number(dollars(job.saved_usd)),
            number(per),
        ];
        table.row(&names, &cells);
    }
    table.section()
}

fn deadline(job: &JobReport) -> String {
    let Some(deadline) = &job.deadline else { return "-".to_owned() };
    let by = deadline.early_seconds.map(|early| span(Duration::from_secs(early.unsigned_abs())));
    match (deadline.met, by) {
        (Some(true), Some(by)) => format!("met, {by} early"),
        (Some(false), _) if job.expired > 0 => format!("missed: {} expired", count(job.expired.into())),
        (Some(false), Some(by)) => format!("missed by {by}"),
        _ => deadline.at.utc().format("%Y-%m-%d %H:%M UTC").to_string(),
    }
}

/// What ran where, and why.
pub(super) fn places(all: &Attribution) -> String {
    if all.places.is_empty() {
        return String::new();
    }
    let names = ["step", "route", "price window", "why"];
    let mut table =
        Table::new("What ran where, and why", "", &names, &[("calls", ""), ("ok", ""), ("cost", "")]);
    for row in &all.places {
        let names = [row.step.to_string(), row.route.clone(), row.window.clone(), row.because.clone()];
        let cost = from_nano(row.cost_nano_usd).to_string();
        table.row(&names, &[count(row.attempts), count(row.succeeded), cost].map(number));
    }
    table.section()
}

/// The groups asked for.
pub(super) fn groups(all: &Attribution) -> String {
    if all.groups.is_empty() {
        return String::new();
    }
    let by: Vec<&str> = all.by.iter().map(String::as_str).collect();
    group_table(&format!("By {}", all.by.join(", ")), &by, &all.groups, all)
}

/// The models, whatever was asked for.
pub(super) fn models(all: &Attribution) -> String {
    if all.models.is_empty() || all.by == ["model"] {
        return String::new();
    }
    group_table("Models", &["model"], &all.models, all)
}

fn group_table(caption: &str, by: &[&str], rows: &[GroupRow], all: &Attribution) -> String {
    // A month has a table of its own.
    let columns: Vec<_> = columns(std::slice::from_ref(&all.total))
        .into_iter()
        .filter(|column| column.head != "a month")
        .collect();
    let heads: Vec<(&str, &str)> = columns.iter().map(|column| (column.head, column.means)).collect();
    let mut table = Table::new(caption, "", by, &heads);
    let cells =
        |row: &GroupRow| columns.iter().map(|column| number((column.shown)(row))).collect::<Vec<Cell>>();
    for row in rows {
        let names = row.key.iter().map(|(_, value)| value.clone().unwrap_or_else(|| "-".to_owned()));
        table.row(&names.collect::<Vec<String>>(), &cells(row));
    }
    let names = std::iter::once("total".to_owned()).chain(std::iter::repeat(String::new()));
    table.total(&names.take(by.len()).collect::<Vec<String>>(), &cells(&all.total));
    table.section()
}

/// Reasons against the models that were asked last; the darker, the more.
pub(super) fn failures(all: &Attribution) -> String {
    if all.failures.is_empty() {
        return String::new();
    }
    let mut rows: BTreeMap<&str, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
    let mut models: Vec<&str> = Vec::new();
    for row in &all.failures {
        let model = row.model.as_deref().unwrap_or("never sent");
        let (total, cells) = rows.entry(&row.error_code).or_default();
        *total += row.items;
        *cells.entry(model).or_default() += row.items;
        if !models.contains(&model) {
            models.push(model);
        }
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(code, (total, _))| (std::cmp::Reverse(*total), *code));
    let most = all.failures.iter().map(|row| row.items).max().unwrap_or(1);
    let heads: Vec<(&str, &str)> = models.iter().map(|model| (*model, "")).chain([("all", "")]).collect();
    let remark = "items, by the model that was asked last";
    let mut table = Table::new("Without an answer", remark, &["reason"], &heads);
    for (code, (total, cells)) in rows {
        let mut line: Vec<String> = Vec::new();
        for model in &models {
            line.push(match cells.get(model) {
                Some(&items) => {
                    let heat = 0.08 + 0.42 * items as f64 / most as f64;
                    format!("<td class=\"heat\" style=\"--h:{heat:.2}\">{}</td>", count(items))
                }
                None => "<td class=\"zero\">0</td>".to_owned(),
            });
        }
        let name = format!("<th scope=\"row\" class=\"left\">{}</th>", escape(code));
        table.body += &format!("<tr>{name}{}<td>{}</td></tr>", line.concat(), count(total));
    }
    table.section()
}

/// The numbers of the chart of hours.
pub(super) fn hours(all: &Attribution) -> String {
    let mut table = Table::new("", "", &["hour (UTC)", "price window"], &[("calls", ""), ("cost", "")]);
    for row in &all.hours {
        let names = [row.hour.clone(), row.window.clone()];
        table.row(&names, &[number(count(row.attempts)), number(from_nano(row.cost_nano_usd).to_string())]);
    }
    table.done()
}

/// The numbers of the chart of levers.
pub(super) fn levers(all: &Attribution) -> String {
    let savings = &all.savings;
    let mut table = Table::new("", "", &["instead of"], &[("cost", ""), ("saved", ""), ("share", "")]);
    for (name, nano) in [
        (savings.strongest_words(), savings.strongest_nano_usd),
        ("running at once".to_owned(), savings.run_now_nano_usd),
        ("list price".to_owned(), savings.list_nano_usd),
    ] {
        let saved = nano - savings.paid_nano_usd;
        let share =
            if saved > 0 { percent(saved.unsigned_abs(), nano.unsigned_abs()) } else { "-".to_owned() };
        let cells = [from_nano(nano).to_string(), from_nano(saved).to_string(), share].map(number);
        table.row(&[name], &cells);
    }
    if savings.levers.cache_nano_usd > 0 {
        let saved = from_nano(savings.levers.cache_nano_usd).to_string();
        table.row(
            &["no cached input, on top".to_owned()],
            &[number("-".to_owned()), number(saved), number("-".to_owned())],
        );
    }
    table.done()
}

/// A month like the days seen, of the whole and of each group.
pub(super) fn forecast(all: &Attribution) -> String {
    let Some(basis) = &all.forecast else { return String::new() };
    let (word, rows) = match all.groups.is_empty() {
        true => ("model".to_owned(), &all.models),
        false => (all.by.join(", "), &all.groups),
    };
    let heads = [("calls", ""), ("items", ""), ("tokens", ""), ("cost", "")];
    let mut table = Table::new("A month like this", &basis.method, &[&word], &heads);
    let cells = |row: &GroupRow| {
        let month = row.month.clone().unwrap_or_default();
        [count(month.attempts), count(month.items), rounded(month.tokens), shown(month.cost_usd)].map(number)
    };
    rows.iter().for_each(|row| table.row(&[row.name()], &cells(row)));
    table.total(&["total".to_owned()], &cells(&all.total));
    table.section()
}

fn shown(cost: f64) -> String {
    crate::report::text::money(Usd::from_pico((cost * 1e12).round() as i128))
}
