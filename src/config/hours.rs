//! Hours as a config writes them: on a line of their own, or as a table with days, zones and exceptions,
//! or with a cron.

use super::reader::{self, Entry, Log, Section};
use crate::catalog::calendar::Calendar;
use crate::catalog::hours::Hours;

/// The keys of a table that say when; the caller finishes the section. Every problem stands at its key.
pub(super) fn table(section: &mut Section<'_>, log: &mut Log) -> Hours {
    let before = log.problems.len();
    let hours = Hours {
        days: section.get("days", log, reader::text),
        hours: section.get("hours", log, reader::texts).unwrap_or_default(),
        cron: section.get("cron", log, reader::text),
        lasts: section.get("for", log, reader::text),
        tz: section.get("tz", log, reader::text),
        days_tz: section.get("days_tz", log, reader::text),
        except_dates: section.get("except_dates", log, reader::texts).unwrap_or_default(),
        extra_dates: section.get("extra_dates", log, reader::texts).unwrap_or_default(),
        valid_from: section.get("valid_from", log, reader::text_or_date),
        valid_to: section.get("valid_to", log, reader::text_or_date),
    };
    // What could not be read is missing for a reason that was given.
    if log.problems.len() == before {
        for (key, problem) in hours.problems() {
            let key = if section.has(key) { key } else { "" };
            section.problem(key, problem.to_string(), log);
        }
    }
    hours
}

/// `hours` of a provider: lines and tables, open where any of them is.
pub(super) fn list(section: &mut Section<'_>, log: &mut Log) -> Option<Calendar> {
    let before = log.problems.len();
    let entries = section.entries("hours", log)?;
    if entries.is_empty() && log.problems.len() == before {
        let message = "is empty, so nothing could ever be sent; leave it out for all hours";
        section.problem("hours", message, log);
    }
    let mut all = Vec::new();
    for entry in entries {
        match entry {
            Entry::Text(line, at) => match Hours::parse(&line) {
                Ok(hours) => all.push(hours),
                Err(error) => at.problem("", error.to_string(), log),
            },
            Entry::Table(mut inner) => {
                all.push(table(&mut inner, log));
                inner.finish(log);
            }
        }
    }
    let calendar = (log.problems.len() == before).then(|| Hours::any(&all))?;
    Some(calendar.expect("each was read above"))
}
