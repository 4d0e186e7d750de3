//! `overnight schedules`: when each schedule fires next, which folders are watched, when the report comes.
//!
//! Reads the config and the clock only, so it says the same whether a daemon runs or not.

use serde::Serialize;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::style::{Line, Paint};
use super::words::Setting;
use super::zone;
use crate::clock::Timestamp;
use crate::config::{Config, duration};
use crate::schedule::Missed;

/// Firings that are shown of each schedule.
const SHOWN: usize = 5;

/// `overnight schedules --json`.
#[derive(Debug, Serialize)]
struct Shown {
    schedules: Vec<ScheduleRow>,
    folders: Vec<FolderRow>,
    /// When the next report of the night is written.
    report_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct ScheduleRow {
    name: String,
    cron: String,
    zone: String,
    missed: &'static str,
    files: Vec<String>,
    next: Vec<Timestamp>,
}

#[derive(Debug, Serialize)]
struct FolderRow {
    dir: String,
    settle: String,
}

/// Prints them.
pub fn run(context: &Context) -> Result<Exit, CliError> {
    let setting = context.setting();
    let shown = shown(context.config()?, setting.now);
    if context.globals.json {
        context.print(&super::context::document_of("schedules", &shown)?)?;
    } else {
        context.lines(&page(&shown, &setting))?;
    }
    Ok(Exit::Done)
}

fn shown(config: &Config, now: Timestamp) -> Shown {
    let schedules = config.schedules.iter().map(|schedule| {
        let zone = schedule.tz.unwrap_or_else(zone::named);
        ScheduleRow {
            name: schedule.name.clone(),
            cron: schedule.cron.to_string(),
            zone: zone.name().to_owned(),
            missed: match schedule.missed {
                Missed::Run => "run",
                Missed::Skip => "skip",
            },
            files: schedule.files.iter().map(|file| file.display().to_string()).collect(),
            next: schedule.cron.firings(now, zone).take(SHOWN).collect(),
        }
    });
    let folders = config.watches.iter().map(|watch| FolderRow {
        dir: watch.dir.display().to_string(),
        settle: duration::format(watch.settle),
    });
    let morning = &config.morning;
    let report_at = morning.at.as_ref().and_then(|cron| {
        let zone = morning.tz.unwrap_or_else(zone::named);
        cron.firings(now, zone).next()
    });
    Shown { schedules: schedules.collect(), folders: folders.collect(), report_at }
}

fn page(shown: &Shown, setting: &Setting) -> Vec<Line> {
    let mut lines = Vec::new();
    for row in &shown.schedules {
        let head = Line::new().add(Paint::Name, &row.name).text(format!("  {}  {}", row.cron, row.zone));
        lines.push(head.add(Paint::Faint, format!("  missed: {}", row.missed)));
        lines.push(Line::new().text(format!("  {}", row.files.join("  "))));
        let next: Vec<String> = row.next.iter().map(|firing| setting.moment(*firing)).collect();
        lines.push(Line::new().text(match next.is_empty() {
            true => "  never fires again".to_owned(),
            false => format!("  next {}", next.join(" · ")),
        }));
    }
    for row in &shown.folders {
        let head = Line::new().text("watches ").add(Paint::Name, &row.dir);
        lines.push(head.text(format!("  a file is finished when it has not changed for {}", row.settle)));
    }
    if let Some(at) = shown.report_at {
        lines.push(Line::new().text(format!("report {}", setting.moment(at))));
    }
    if lines.is_empty() {
        let words =
            "nothing is scheduled; `overnight config schema` shows [[schedule]], [[watch]] and [report]";
        lines.push(Line::new().text(words));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::cli::format::Zone;
    use crate::cli::{samples, style};
    use crate::config::{Inputs, parse};

    fn render(text: &str) -> String {
        let env = BTreeMap::new();
        let inputs = Inputs { file: None, cwd: Path::new("/srv"), env: &env, flags: &[] };
        let setting = Setting { now: samples::now(), zone: Zone::utc() };
        style::print(&page(&shown(&parse(text, &inputs).unwrap(), samples::now()), &setting), 200, false)
    }

    #[test]
    fn the_next_five_firings_are_shown() {
        let text = r#"
            [[schedule]]
            name = "reviews"
            cron = "0 22 * * mon-fri"
            tz = "Europe/Berlin"
            missed = "skip"
            files = ["in/*.jsonl", "more.jsonl"]
            [[schedule]]
            name = "once"
            cron = "0 0 0 1 1 * 2020"
            tz = "UTC"
            files = "a.jsonl"
            [[watch]]
            dir = "inbox"
            [report]
            at = "07:00"
            tz = "UTC"
        "#;
        insta::assert_snapshot!(render(text), @"
        reviews  0 22 * * mon-fri  Europe/Berlin  missed: skip
          /srv/in/*.jsonl  /srv/more.jsonl
          next 21:00 UTC · Mon 21:00 UTC · Tue 21:00 UTC · Wed 21:00 UTC · Thu 21:00 UTC
        once  0 0 0 1 1 * 2020  UTC  missed: run
          /srv/a.jsonl
          never fires again
        watches /srv/inbox  a file is finished when it has not changed for 5s
        report Sat 07:00 UTC
        ");
        insta::assert_snapshot!(render(""), @"nothing is scheduled; `overnight config schema` shows [[schedule]], [[watch]] and [report]");
    }
}
