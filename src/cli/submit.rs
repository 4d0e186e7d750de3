//! `overnight submit`: what is said when files were queued, and when they cannot be.
//!
//! The id goes to stdout, so that a script can keep it; all else goes to stderr. Reading the files and
//! making them durable is given to [`run`], because where it happens depends on who owns the store.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{self, count, counted};
use super::style::{Line, Paint};
use super::words::Setting;
use crate::clock::Timestamp;
use crate::input::BadLines;
use crate::job::JobId;
use crate::view::JobView;

/// The first bad lines that are named; the rest is counted.
const SHOWN_BAD: usize = 20;

/// A file that was queued, durably.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queued {
    /// The job's name.
    pub job_id: JobId,
    /// Its items.
    pub items: u32,
    /// It was queued before, by the same file with the same options.
    pub already: bool,
    /// Its earliest deadline.
    pub deadline_at: Option<Timestamp>,
    /// Its cap, USD.
    pub max_cost_usd: Option<f64>,
    /// Bad lines left out, and the file they are in.
    pub rejected: Option<(u32, PathBuf)>,
    /// What else is worth knowing: blank lines skipped, streaming taken out.
    pub notes: Vec<String>,
}

impl Queued {
    /// A job that was queued before.
    pub fn known(view: JobView) -> Queued {
        Queued {
            job_id: view.job_id,
            items: view.items,
            already: true,
            deadline_at: view.deadline_at,
            max_cost_usd: view.max_cost_usd,
            rejected: None,
            notes: Vec::new(),
        }
    }
}

/// Queues every file with `queue` and prints the ids. Files before a bad one stay queued: their ids are
/// printed first.
pub fn run(
    files: &[PathBuf],
    context: &Context,
    has_owner: bool,
    mut queue: impl FnMut(&Path) -> Result<Queued, CliError>,
) -> Result<Exit, CliError> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let queued = queue(file)?;
        if !context.globals.json {
            context.print(&format!("{}\n", queued.job_id))?;
            said(&queued, has_owner, &context.setting()).iter().for_each(|line| context.note(line));
        }
        all.push(queued);
    }
    if context.globals.json {
        context.document("submit", "jobs", &all, Vec::new)?;
    }
    Ok(Exit::Done)
}

/// What is said beside the id.
pub fn said(queued: &Queued, has_owner: bool, setting: &Setting) -> Vec<Line> {
    let items = counted(queued.items, "item");
    let mut first = Line::new().text(match queued.already {
        false => format!("  {items} queued"),
        true => format!("  {items}, queued before: same file, same options (--again queues it anew)"),
    });
    if let Some(deadline) = queued.deadline_at {
        first = first.text(format!(" · deadline {}", setting.moment(deadline)));
    }
    if let Some(cap) = queued.max_cost_usd {
        first = first.text(format!(" · cap {}", format::total(cap)));
    }
    let mut lines = vec![first];
    lines.extend(queued.notes.iter().map(|note| Line::new().add(Paint::Warn, format!("  {note}"))));
    if let Some((rejected, path)) = &queued.rejected {
        let left_out = format!("  {} left out, see {}", counted(*rejected, "bad line"), path.display());
        lines.push(Line::new().add(Paint::Warn, left_out));
    }
    if !has_owner {
        let job = &queued.job_id;
        let next = format!(
            "  no daemon is running: `overnight daemon` (or `overnight run --resume {job}`) does the work"
        );
        lines.push(Line::new().text(next));
    }
    lines
}

/// Lines that cannot be used, by number; nothing was queued.
pub fn bad_lines(bad: &BadLines) -> CliError {
    let n_lines = bad.n_bad + bad.n_good;
    let lines = if n_lines == 1 { "line" } else { "lines" };
    let message = format!(
        "{}: {} of {} {lines} cannot be used, nothing was queued",
        bad.name,
        count(bad.n_bad),
        count(n_lines)
    );
    let mut error = CliError::new("bad_input", Exit::BadInput, message);
    for line in bad.lines.iter().take(SHOWN_BAD) {
        let column = line.column.map_or(String::new(), |column| format!(", column {}", count(column)));
        error = error.detail(format!("line {}{column}: {}", count(line.line), line.message));
    }
    let more = bad.n_bad.saturating_sub(SHOWN_BAD as u64);
    if more > 0 {
        error = error.detail(format!("and {} more", count(more)));
    }
    if let Some(hint) = &bad.hint {
        error = error.detail(hint);
    }
    match bad.n_good {
        0 => error,
        1 => error.hint("fix these lines and submit again, or pass --skip-bad to queue the other one"),
        good => error.hint(format!(
            "fix these lines and submit again, or pass --skip-bad to queue the other {}",
            count(good)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Zone;
    use crate::cli::{samples, style};
    use crate::input::BadLine;

    fn queued() -> Queued {
        Queued {
            job_id: JobId::new("job_01kb3v6m8d"),
            items: 20_000,
            already: false,
            deadline_at: Some(samples::at("2026-11-20T18:00:00Z")),
            max_cost_usd: Some(5.0),
            rejected: None,
            notes: Vec::new(),
        }
    }

    fn shown(queued: &Queued, has_owner: bool) -> String {
        let setting = Setting { now: samples::now(), zone: Zone::utc() };
        style::print(&said(queued, has_owner, &setting), 200, false)
    }

    #[test]
    fn a_job_without_a_daemon_says_how_it_gets_done() {
        insta::assert_snapshot!(shown(&queued(), false), @"
        20,000 items queued · deadline 18:00 UTC · cap $5.00
        no daemon is running: `overnight daemon` (or `overnight run --resume job_01kb3v6m8d`) does the work
        ");
    }

    #[test]
    fn what_was_left_out_or_known_is_said() {
        let odd = Queued {
            already: true,
            rejected: Some((2, "reviews.rejected.jsonl".into())),
            notes: vec!["3 blank lines skipped".into()],
            max_cost_usd: None,
            ..queued()
        };
        insta::assert_snapshot!(shown(&odd, true), @"
        20,000 items, queued before: same file, same options (--again queues it anew) · deadline 18:00 UTC
        3 blank lines skipped
        2 bad lines left out, see reviews.rejected.jsonl
        ");
    }

    fn bad(lines: &[(u64, &str)], n_good: u64) -> BadLines {
        let mut bad = BadLines { name: "jobs/reviews.jsonl".to_owned(), n_good, ..BadLines::default() };
        for (line, message) in lines {
            bad.push(BadLine { line: *line, column: None, message: (*message).to_owned() });
        }
        bad
    }

    #[test]
    fn all_bad_lines_are_reported_together() {
        let lines = [
            (17, "unknown field `priorty` (did you mean `priority`?)"),
            (40, "`custom_id` \"r-12\" is already used on line 12"),
        ];
        let error = bad_lines(&bad(&lines, 198));
        assert_eq!(error.exit, Exit::BadInput);
        insta::assert_snapshot!(error.human(false), @r#"
        error[bad_input]: jobs/reviews.jsonl: 2 of 200 lines cannot be used, nothing was queued
          = line 17: unknown field `priorty` (did you mean `priority`?)
          = line 40: `custom_id` "r-12" is already used on line 12
          = fix these lines and submit again, or pass --skip-bad to queue the other 198
        "#);
    }

    #[test]
    fn many_bad_lines_are_counted_and_a_file_without_a_good_one_gets_no_hint_to_skip() {
        let lines: Vec<(u64, &str)> = (1..=30).map(|line| (line, "not JSON")).collect();
        let error = bad_lines(&bad(&lines, 0));
        assert_eq!(error.details.len(), SHOWN_BAD + 1);
        assert_eq!(error.details.last().unwrap(), "and 10 more");
        assert_eq!(error.hint, None);
    }
}
