//! The live view of `run` and `watch`: a picture of a job, drawn again and again in the same place.
//!
//! [`render`] is the picture, a pure function of a view. [`Screen`] is the thin shell around it: on a
//! terminal it rewrites its own lines, several times a second; elsewhere it prints one line a minute, so
//! that a log file stays readable.

use std::io::{self, Write};
use std::time::Duration;

use super::format::{self, count, percent};
use super::style::{Line, Paint};
use super::term::Terminal;
use super::words::{self, Setting};
use crate::clock::Timestamp;
use crate::view::JobView;

/// Cells of the progress bar.
const BAR: usize = 28;

/// How often a log gets a line.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A job as `run` and `watch` draw it.
pub fn render(view: &JobView, setting: &Setting) -> Vec<Line> {
    let mut lines = vec![headline(view, setting), words::counts(view)];
    if !view.failures.is_empty() {
        let failures = words::by_count(&view.failures);
        lines.push(Line::new().text("  not succeeded: ").add(Paint::Bad, failures));
    }
    lines.extend(words::routes(&view.routes, setting));
    lines.push(words::money(view));
    lines
}

fn headline(view: &JobView, setting: &Setting) -> Line {
    let (ended, items) = (u64::from(view.counts.ended()), u64::from(view.items));
    let full = filled(ended, items);
    let mut line = Line::new()
        .add(Paint::Strong, crate::escape::short(&view.name, 32))
        .add(Paint::Faint, format!("  {}   ", view.job_id))
        .add(Paint::Good, "█".repeat(full))
        .add(Paint::Faint, "░".repeat(BAR - full))
        .text(format!("  {}/{}  {}", count(ended), count(items), percent(ended, items)));
    for (paint, words) in tail(view, setting) {
        line = line.text("   ").add(paint, words);
    }
    line
}

/// What stands behind the bar: the rate and the end to expect, or how it ended.
fn tail(view: &JobView, setting: &Setting) -> Vec<(Paint, String)> {
    if view.finished_at.is_some() {
        let took = view.first_sent_at.zip(view.finished_at).map(|(first, last)| last.since(first));
        let mut tail = vec![(state_paint(view), view.state.clone())];
        tail.extend(took.map(|took| (Paint::Plain, format!("in {}", format::span(took)))));
        if view.deadline_at.is_some() {
            let (paint, words) = words::deadline(view, setting);
            tail.push((paint, format!("deadline {words}")));
        }
        return tail;
    }
    let mut tail = Vec::new();
    if view.paused {
        tail.push((Paint::Warn, "paused".to_owned()));
    } else if view.state != "in_progress" {
        tail.push((Paint::Warn, view.state.clone()));
    }
    if let Some(rate) = view.per_minute.filter(|rate| *rate > 0.0) {
        tail.push((Paint::Plain, format!("{}/min", rate_words(rate))));
    }
    tail.extend(words::eta(view, setting));
    tail
}

/// The colour of a state.
pub fn state_paint(view: &JobView) -> Paint {
    match view.state.as_str() {
        "completed" if view.counts.failed == 0 => Paint::Good,
        "completed" => Paint::Warn,
        "expired" | "failed" => Paint::Bad,
        "cancelled" | "cancelling" => Paint::Warn,
        _ => Paint::Plain,
    }
}

fn rate_words(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { count(rate.round() as u64) }
}

/// Full cells: none before the first item ended, all only when the last has.
fn filled(ended: u64, items: u64) -> usize {
    let cells = (ended * BAR as u64).checked_div(items).unwrap_or(BAR as u64) as usize;
    cells.clamp(usize::from(ended > 0), BAR)
}

/// A job on one line, for logs.
pub fn log_line(view: &JobView, setting: &Setting) -> Line {
    let (ended, items) = (u64::from(view.counts.ended()), u64::from(view.items));
    let mut parts = vec![format!("{}/{} ({})", count(ended), count(items), percent(ended, items))];
    let bad = view.counts.failed + view.counts.expired + view.counts.cancelled;
    if bad > 0 {
        parts.push(format!("{} not succeeded", count(bad)));
    }
    parts.extend(tail(view, setting).into_iter().map(|(_, words)| words));
    parts.push(match view.max_cost_usd {
        Some(cap) => format!("spent {} of {}", format::total(view.cost_usd), format::total(cap)),
        None => format!("spent {}", format::total(view.cost_usd)),
    });
    let waiting = words::waiting_for(view);
    if waiting != "-" {
        parts.push(format!("waiting for {waiting}"));
    }
    let time = format::second(setting.now, setting.zone);
    Line::new().text(format!("{time}  {} {}  {}", view.name, view.job_id, parts.join(" · ")))
}

/// Where the picture is drawn.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: W,
    terminal: Terminal,
    drawn: usize,
    logged: Option<Timestamp>,
}

impl Screen<io::Stderr> {
    /// The standard error stream, as the terminal there wants it.
    pub fn stderr(terminal: Terminal) -> Screen<io::Stderr> {
        Screen::new(io::stderr(), terminal)
    }
}

impl<W: Write> Screen<W> {
    /// Draws on `out`.
    pub fn new(out: W, terminal: Terminal) -> Screen<W> {
        Screen { out, terminal, drawn: 0, logged: None }
    }

    /// Shows these jobs as they are now; in a log only when a minute has passed since the last line.
    pub fn show(&mut self, views: &[JobView], setting: &Setting) -> io::Result<()> {
        if self.terminal.is_live {
            return self.draw(&picture(views, setting));
        }
        let due = self.logged.is_none_or(|last| setting.now.since(last) >= LOG_EVERY);
        if due && !self.terminal.quiet {
            self.log(views, setting)?;
            self.logged = Some(setting.now);
        }
        Ok(())
    }

    /// Shows these jobs for the last time and leaves them standing.
    pub fn finish(&mut self, views: &[JobView], setting: &Setting) -> io::Result<()> {
        if self.terminal.is_live {
            self.draw(&picture(views, setting))?;
            self.drawn = 0;
        } else if !self.terminal.quiet {
            self.log(views, setting)?;
        }
        self.out.flush()
    }

    /// Prints a line above the picture, or into the log.
    pub fn say(&mut self, line: &Line) -> io::Result<()> {
        let text = if self.terminal.is_live {
            let above = format!("{}{}\n", self.back(), line.render(usize::MAX, self.terminal.colour));
            self.drawn = 0;
            above
        } else {
            format!("{}\n", line.render(usize::MAX, false))
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// One write for the whole picture, so that no half of it is ever seen.
    fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        // A picture taller than the terminal could not be gone back over.
        let room = usize::from(self.terminal.height).saturating_sub(1).max(1);
        let lines = &lines[..lines.len().min(room)];
        let mut text = self.back();
        for line in lines {
            text.push_str(&line.render(usize::from(self.terminal.width), self.terminal.colour));
            text.push('\n');
        }
        self.drawn = lines.len();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// To the first line of the last picture, with all of it wiped away.
    fn back(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    fn log(&mut self, views: &[JobView], setting: &Setting) -> io::Result<()> {
        for view in views {
            writeln!(self.out, "{}", log_line(view, setting).render(usize::MAX, false))?;
        }
        Ok(())
    }
}

fn picture(views: &[JobView], setting: &Setting) -> Vec<Line> {
    if views.is_empty() {
        return vec![
            Line::new().add(Paint::Faint, "nothing is queued; `overnight submit FILE` queues a job"),
        ];
    }
    let mut lines = Vec::new();
    for view in views {
        if !lines.is_empty() {
            lines.push(Line::new());
        }
        lines.extend(render(view, setting));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Zone;
    use crate::cli::samples::{self, at};
    use crate::cli::style;
    use crate::ledger::Counts;
    use crate::view::Waiting;

    fn setting() -> Setting {
        Setting { now: samples::now(), zone: Zone::utc() }
    }

    fn drawn(view: &JobView, width: usize) -> String {
        style::print(&render(view, &setting()), width, false)
    }

    fn terminal(is_live: bool) -> Terminal {
        Terminal { is_live, colour: false, quiet: false, width: 200, height: 50 }
    }

    #[test]
    fn a_running_job() {
        insta::assert_snapshot!(drawn(&samples::running(), 200), @"
        reviews  job_01kb3v6m8d   ██████████████████░░░░░░░░░░  13,073/20,000  65%   400/min   ETA 10:50 (7h10m early)
          ok 13,061   failed 12   running 131   waiting 6,796: rate_limit 5,990 · backoff 806
          not succeeded: schema_mismatch 9 · content_filter 3
          deepseek/deepseek-flash   12,533 ok  p50 2.1s  p95 6.4s   $0.00019/ok  off-peak until Sat 01:00 UTC  540 rejected: schema_mismatch 401 · truncated 139  errors: rate_limited 61
          deepseek/deepseek-v4-pro     528 ok  p50 4.0s  p95 11.9s  $0.00071/ok  rejected: schema_mismatch 12
          spent $2.73 of $5.00 · expect $4.18 · saved $2.73 against now-prices
        ");
    }

    #[test]
    fn a_job_that_waits_for_its_hour() {
        insta::assert_snapshot!(drawn(&samples::waiting(), 200), @"
        embed  job_01kb3t02ya   ░░░░░░░░░░░░░░░░░░░░░░░░░░░░  0/400,000  0%   ETA Sat 07:00 (1h late)
          ok 0   waiting 400,000: window 400,000 (opens 22:00 UTC)
          spent $0.00 of $8.00
        ");
    }

    #[test]
    fn a_finished_job() {
        insta::assert_snapshot!(drawn(&samples::completed(), 200), @"
        triage  job_01kb2zqq41   ████████████████████████████  5,000/5,000  100%   completed   in 52m   deadline met, 3h early
          ok 5,000
          spent $0.61 of $2.00
        ");
    }

    #[test]
    fn a_paused_job_with_everything_that_can_go_wrong() {
        let mut view = samples::running();
        view.paused = true;
        view.counts =
            Counts { pending: 4, running: 3, held: 2, succeeded: 5, failed: 1, expired: 1, cancelled: 1 };
        view.items = view.counts.total();
        view.waiting = [(Waiting::Paused, 4)].into();
        view.waiting_for = Some("key \u{1b}[31mDEEPSEEK_API_KEY rejected".into());
        view.unknown_attempts = 2;
        view.per_minute = None;
        view.eta = None;
        insta::assert_snapshot!(drawn(&view, 200), @r"
        reviews  job_01kb3v6m8d   █████████████░░░░░░░░░░░░░░░  8/17  47%   paused
          ok 5   failed 1   expired 1   cancelled 1   held 2   running 3   waiting 4: paused 4 (key \x1b[31mDEEPSEEK_API_KEY rejected)
          not succeeded: schema_mismatch 9 · content_filter 3
          deepseek/deepseek-flash   12,533 ok  p50 2.1s  p95 6.4s   $0.00019/ok  off-peak until Sat 01:00 UTC  540 rejected: schema_mismatch 401 · truncated 139  errors: rate_limited 61
          deepseek/deepseek-v4-pro     528 ok  p50 4.0s  p95 11.9s  $0.00071/ok  rejected: schema_mismatch 12
          spent $2.73 of $5.00 · 2 unknown outcomes counted by estimate · saved $2.73 against now-prices
        ");
    }

    #[test]
    fn a_narrow_terminal_cuts_lines_and_never_wraps_them() {
        insta::assert_snapshot!(drawn(&samples::running(), 60), @"
        reviews  job_01kb3v6m8d   ██████████████████░░░░░░░░░░  13,…
          ok 13,061   failed 12   running 131   waiting 6,796: rate…
          not succeeded: schema_mismatch 9 · content_filter 3
          deepseek/deepseek-flash   12,533 ok  p50 2.1s  p95 6.4s  …
          deepseek/deepseek-v4-pro     528 ok  p50 4.0s  p95 11.9s …
          spent $2.73 of $5.00 · expect $4.18 · saved $2.73 against…
        ");
    }

    #[test]
    fn the_bar_is_full_only_when_the_last_item_has_ended() {
        for (ended, items, cells) in
            [(0, 10, 0), (1, 1_000, 1), (999, 1_000, 27), (1_000, 1_000, 28), (0, 0, 28)]
        {
            assert_eq!(filled(ended, items), cells, "{ended}/{items}");
        }
    }

    #[test]
    fn a_log_gets_a_line_a_minute_and_a_last_one() {
        let mut log = Vec::new();
        let mut screen = Screen::new(&mut log, terminal(false));
        let view = [samples::running()];
        for second in ["10:30:00", "10:30:30", "10:31:00", "10:31:30"] {
            let now = at(&format!("2026-11-20T{second}Z"));
            screen.show(&view, &Setting { now, zone: Zone::utc() }).unwrap();
        }
        let now = at("2026-11-20T10:31:40Z");
        screen.finish(&[samples::completed()], &Setting { now, zone: Zone::utc() }).unwrap();
        insta::assert_snapshot!(String::from_utf8(log).unwrap(), @"
        10:30:00 UTC  reviews job_01kb3v6m8d  13,073/20,000 (65%) · 12 not succeeded · 400/min · ETA 10:50 (7h10m early) · spent $2.73 of $5.00 · waiting for rate_limit
        10:31:00 UTC  reviews job_01kb3v6m8d  13,073/20,000 (65%) · 12 not succeeded · 400/min · ETA 10:50 (7h10m early) · spent $2.73 of $5.00 · waiting for rate_limit
        10:31:40 UTC  triage job_01kb2zqq41  5,000/5,000 (100%) · completed · in 52m · deadline met, 3h early · spent $0.61 of $2.00
        ");
    }

    #[test]
    fn a_terminal_sees_the_same_lines_rewritten() {
        let mut seen = Vec::new();
        let mut screen = Screen::new(&mut seen, terminal(true));
        screen.show(&[samples::completed()], &setting()).unwrap();
        screen.say(&Line::new().text("deepseek answers again")).unwrap();
        screen.show(&[samples::completed()], &setting()).unwrap();
        screen.finish(&[samples::completed()], &setting()).unwrap();
        let text = String::from_utf8(seen).unwrap();
        let lines = render(&samples::completed(), &setting()).len();
        let back = format!("\x1b[{lines}A\r\x1b[J");
        let pieces: Vec<&str> = text.split(back.as_str()).collect();
        assert_eq!(pieces.len(), 3, "{text:?}");
        assert_eq!(pieces[0], pieces[2]);
        assert_eq!(pieces[1], format!("deepseek answers again\n{}", pieces[2]));
    }

    #[test]
    fn a_picture_is_never_taller_than_the_terminal() {
        let mut seen = Vec::new();
        let mut screen = Screen::new(&mut seen, Terminal { height: 4, ..terminal(true) });
        screen.show(&[samples::running(), samples::running()], &setting()).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap().lines().count(), 3);
    }
}
