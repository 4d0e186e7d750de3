//! The report of the night: the page of `overnight report` in a folder, its numbers to a webhook.
//!
//! What is posted holds counts, money, names of jobs and what waits for a person; never a prompt, an
//! answer or the name of an item.
//!
//! Shell.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeZone;
use chrono_tz::Tz;
use serde::Serialize;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::report::{A_DAY, Gathered, gather, lately};
use super::super::rows::Rows;
use super::clerk::Of;
use super::diary::Trouble;
use crate::catalog::calendar::local_date;
use crate::clock::Timestamp;
use crate::config;
use crate::job::JobId;
use crate::report::needs::Need;
use crate::report::{JobReport, page};
use crate::store::disk::Disk;
use crate::webhook::{Message, Webhook};

/// Jobs named in a message; the page has them all.
const MOST_JOBS: usize = 100;

/// A report that was written.
pub(super) struct Written {
    /// The page.
    pub(super) path: PathBuf,
    /// What is told of it.
    pub(super) message: Message,
}

/// Reads the rows and writes the page.
pub(super) fn write(
    of: &Of,
    troubles: &[Trouble],
    rows: &mut Rows,
    context: &Context,
    zone: Tz,
    now: Timestamp,
) -> Result<Written, CliError> {
    let (jobs, name, since) = match of {
        Of::Night(last) => {
            let since = last.unwrap_or(now - A_DAY).min(now);
            (lately(&rows.views, now, now.since(since)), name(*last, zone, now), Some(since))
        }
        Of::Job(job) => (vec![job.clone()], job.to_string(), None),
    };
    let Gathered { mut report, all, samples } = gather(rows, jobs, (&[], 0), context, now, Rows::chain)?;
    report.needs.extend(troubles.iter().map(need));
    let dir = &context.config()?.morning.dir;
    let path = dir.join(format!("{name}.html"));
    put(&path, page::html(&report, &all, &samples, now).as_bytes())?;
    let id = format!("report_{name}_{}", now.micros() / 1_000_000);
    let data = Data::of(&report.jobs, &report.needs, &path, since, now);
    let message = Message::new(id, "report.ready", now, &data);
    Ok(Written { path, message })
}

/// The day's date; where a report was written on it already, the time of day too, so that none takes the
/// place of another.
fn name(last: Option<Timestamp>, zone: Tz, now: Timestamp) -> String {
    let is_second = last.is_some_and(|last| local_date(last, zone) == local_date(now, zone));
    let time = zone.from_utc_datetime(&now.utc().naive_utc());
    time.format(if is_second { "%Y-%m-%d-%H%M" } else { "%Y-%m-%d" }).to_string()
}

fn need(trouble: &Trouble) -> Need {
    let Trouble { subject, words } = trouble.clone();
    Need { job_id: None, subject, kind: "intake", words, command: None }
}

/// Readable whole at every instant.
fn put(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(dir).and_then(|()| Disk::default().replace(path, bytes));
    written.map_err(|error| {
        CliError::from(std::io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display())))
    })
}

/// Posts a message and waits for the end of it, for so long at most.
pub(super) fn deliver(webhook: &config::Webhook, message: &Message, patience: Duration) {
    let delivered = Webhook::new(&webhook.url, webhook.secret.as_ref()).and_then(|webhook| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let in_time = async { tokio::time::timeout(patience, webhook.deliver(message)).await };
        runtime.block_on(in_time).unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
    });
    match delivered {
        Ok(()) => tracing::info!(id = message.id, "the webhook took the report"),
        Err(why) => tracing::warn!(id = message.id, "the webhook does not take the report: {why}"),
    }
}

/// What is told of a report; its field names are part of the interface.
#[derive(Serialize)]
struct Data<'a> {
    /// The page's file name.
    report: Option<&'a str>,
    /// From when on, for a night.
    since: Option<Timestamp>,
    until: Timestamp,
    items: u64,
    succeeded: u64,
    not_succeeded: u64,
    left: u64,
    cost_usd: f64,
    saved_usd: f64,
    /// Items that did not succeed, by reason.
    failures: BTreeMap<&'a str, u64>,
    jobs: Vec<Job<'a>>,
    needs: Vec<Wanted<'a>>,
}

#[derive(Serialize)]
struct Job<'a> {
    job_id: &'a JobId,
    name: &'a str,
    state: &'a str,
    items: u32,
    succeeded: u32,
    cost_usd: f64,
}

/// What a person is wanted for, without the words: those may quote a provider.
#[derive(Serialize)]
struct Wanted<'a> {
    kind: &'static str,
    job_id: Option<&'a JobId>,
    subject: &'a str,
    command: Option<&'a str>,
}

impl<'a> Data<'a> {
    fn of(
        jobs: &'a [JobReport],
        needs: &'a [Need],
        path: &'a Path,
        since: Option<Timestamp>,
        until: Timestamp,
    ) -> Data<'a> {
        let sum = |of: fn(&JobReport) -> u32| jobs.iter().map(|job| u64::from(of(job))).sum();
        let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
        for (reason, n) in jobs.iter().flat_map(|job| &job.failures) {
            *failures.entry(reason).or_default() += n;
        }
        let job = |job: &'a JobReport| Job {
            job_id: &job.job_id,
            name: &job.name,
            state: &job.state,
            items: job.items,
            succeeded: job.succeeded,
            cost_usd: job.cost_usd,
        };
        let wanted = |need: &'a Need| Wanted {
            kind: need.kind,
            job_id: need.job_id.as_ref(),
            subject: &need.subject,
            command: need.command.as_deref(),
        };
        Data {
            report: path.file_name().and_then(|name| name.to_str()),
            since,
            until,
            items: sum(|job| job.items),
            succeeded: sum(|job| job.succeeded),
            not_succeeded: sum(|job| job.failed + job.expired + job.cancelled),
            left: sum(|job| job.left),
            cost_usd: jobs.iter().map(|job| job.cost_usd).sum(),
            saved_usd: jobs.iter().map(|job| job.saved_usd).sum(),
            failures,
            jobs: jobs.iter().take(MOST_JOBS).map(job).collect(),
            needs: needs.iter().map(wanted).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn a_second_report_of_a_day_has_a_name_of_its_own() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-22T23:30:00Z");
        for (last, expected) in [
            (None, "2026-11-23"),
            (Some(at("2026-11-22T22:30:00Z")), "2026-11-23"),
            (Some(at("2026-11-22T23:00:00Z")), "2026-11-23-0030"),
        ] {
            assert_eq!(name(last, Tz::Europe__Berlin, now), expected);
        }
    }

    #[test]
    fn what_is_posted_has_the_numbers_and_no_words_of_others() {
        let view = crate::view::JobView {
            failures: [("not_json".to_owned(), 3)].into(),
            waiting: [(crate::view::Waiting::NoRoute, 5)].into(),
            waiting_for: Some("canary: the provider's words".to_owned()),
            ..samples::running()
        };
        let jobs = [JobReport::new(&view, None, samples::now())];
        let mut needs = crate::report::needs::of([&view]);
        needs.push(need(&Trouble { subject: "in/a.jsonl".to_owned(), words: "canary".to_owned() }));
        let data = Data::of(&jobs, &needs, Path::new("/out/2026-11-20.html"), None, samples::now());
        let text = Message::new("m".to_owned(), "report.ready", samples::now(), &data).body;
        assert!(!text.contains("canary"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let data = &json["data"];
        assert_eq!((&data["report"], &data["failures"]["not_json"]), (&"2026-11-20.html".into(), &3.into()));
        assert_eq!(data["jobs"][0]["job_id"], "job_01kb3v6m8d");
        let kinds: Vec<&str> =
            data["needs"].as_array().unwrap().iter().map(|need| need["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["no_route", "failed", "intake"]);
    }
}
