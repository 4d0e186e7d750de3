//! [`Desk`]: what requests share, and the way to a caller's jobs and rows.
//!
//! Rows that are in the journal only are written out when somebody asks for a job's rows, but not again
//! within moments, for reports within minutes: every time makes a part. Reports read every row, so one is made at a time, kept, and made
//! anew after twenty times as long as it took: a page that is left open costs a twentieth of a core.
//!
//! Shell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::cli::args::Globals;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::rows::{Chain, Rows};
use crate::clock::{self, Timestamp};
use crate::control::{Request, Response};
use crate::job::JobId;
use crate::serve::events::sees;
use crate::serve::{ApiError, App};
use crate::tenant::Caller;
use crate::view::{DispatchView, JobView};

/// Rows are written out for somebody who looks into a job at most this often a job.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// And this often for a report, which a page that is left open asks for again and again.
const REPORT_EVERY: Duration = Duration::from_secs(120);
/// What is planned is worked out at most this often: it is a plan of its own.
const PLAN_AGE: Duration = Duration::from_secs(5);
/// Downloads at once: the threads they hold are those that uploads and looks wait for.
const DOWNLOADS: usize = 4;
/// Reports that are kept.
const REPORTS: usize = 32;
/// A report is as good for so long at least.
const REPORT_AGE: Duration = Duration::from_secs(10);
/// And for so many times as long as it took.
const REPORT_REST: u32 = 20;

/// What requests share.
pub(in crate::serve) struct Desk {
    written_out: Mutex<BTreeMap<JobId, Timestamp>>,
    reports: Mutex<BTreeMap<String, Report>>,
    dispatch: tokio::sync::Mutex<Option<(Timestamp, Vec<DispatchView>)>>,
    /// One report or plan is made at a time.
    pub(super) reading: Semaphore,
    /// Downloads, each of which holds a thread for as long as its client reads.
    pub(super) downloads: Arc<Semaphore>,
    /// One submission under a key of its client's is looked at at a time.
    pub(super) keys: tokio::sync::Mutex<()>,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            written_out: Mutex::default(),
            reports: Mutex::default(),
            dispatch: tokio::sync::Mutex::default(),
            reading: Semaphore::new(1),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            keys: tokio::sync::Mutex::default(),
        }
    }
}

#[derive(Clone)]
struct Report {
    made_at: Timestamp,
    good_for: Duration,
    text: Bytes,
}

impl Desk {
    /// A report that is still good.
    pub(super) fn report(&self, key: &str, now: Timestamp) -> Option<Bytes> {
        let reports = lock(&self.reports);
        let report = reports.get(key).filter(|report| is_fresh(report.made_at, report.good_for, now))?;
        Some(report.text.clone())
    }

    /// Keeps a report that was made from `began` to `now`.
    pub(super) fn keep(&self, key: String, text: &Bytes, began: Timestamp, now: Timestamp) {
        let mut reports = lock(&self.reports);
        if reports.len() >= REPORTS {
            let oldest = reports.iter().min_by_key(|(_, report)| report.made_at).map(|(key, _)| key.clone());
            oldest.map(|key| reports.remove(&key));
        }
        let good_for = (now.since(began) * REPORT_REST).max(REPORT_AGE);
        reports.insert(key, Report { made_at: now, good_for, text: text.clone() });
    }

    /// What is sent and planned, by route.
    pub(super) async fn dispatch(&self, app: &App) -> Result<Vec<DispatchView>, ApiError> {
        let mut kept = self.dispatch.lock().await;
        let now = clock::now();
        if let Some((_, routes)) = kept.as_ref().filter(|(at, _)| is_fresh(*at, PLAN_AGE, now)) {
            return Ok(routes.clone());
        }
        match app.ask(Request::Dispatch).await? {
            Response::Dispatch(routes) => Ok(kept.insert((now, routes)).1.clone()),
            other => Err(ApiError::internal(format!("what is planned was asked for, {other:?} came"))),
        }
    }

    /// Whether a job's rows are to be written out again, where that is done so often.
    fn is_due(&self, job: &JobId, every: Duration, now: Timestamp) -> bool {
        let mut written = lock(&self.written_out);
        written.retain(|_, at| is_fresh(*at, REPORT_EVERY, now));
        let is_due = written.get(job).is_none_or(|at| !is_fresh(*at, every, now));
        if is_due {
            written.insert(job.clone(), now);
        }
        is_due
    }
}

/// Whether what was made at a time is good still. On a clock that was set back since, nothing is.
fn is_fresh(made_at: Timestamp, good_for: Duration, now: Timestamp) -> bool {
    made_at <= now && now.since(made_at) < good_for
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Changed in single steps, so a panic elsewhere leaves it right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What commands are given, for one request.
pub(super) fn context(app: &App) -> Context {
    Context::with_config(Globals::default(), (*app.config()).clone())
}

/// A caller's jobs and the rows of one of them. Blocking.
pub(super) struct Opened {
    pub(super) rows: Rows,
    pub(super) chain: Chain,
}

impl Opened {
    /// With rows as fresh as they may be had.
    pub(super) fn new(app: &App, caller: &Caller, job: &str) -> Result<Opened, ApiError> {
        let job = named(job)?;
        let context = context(app);
        let mut rows = rows(&context, caller)?;
        if rows.view(&job).is_none() {
            return Err(ApiError::not_found("job", job.as_str()));
        }
        let chain = match app.desk().is_due(&job, LOOK_EVERY, clock::now()) {
            true => rows.chain(&context, &job),
            false => rows.as_written(&job),
        };
        Ok(Opened { chain: chain.map_err(refused)?, rows })
    }
}

/// A job's rows for a report: written out only where some are missing, and now and then.
pub(super) fn for_report(
    app: &App,
    rows: &mut Rows,
    context: &Context,
    job: &JobId,
) -> Result<Chain, CliError> {
    let chain = rows.as_written(job)?;
    match chain.missing > 0 && app.desk().is_due(job, REPORT_EVERY, clock::now()) {
        true => rows.chain(context, job),
        false => Ok(chain),
    }
}

/// The jobs that a caller sees, with their rows. Blocking.
pub(super) fn rows(context: &Context, caller: &Caller) -> Result<Rows, ApiError> {
    let mut rows = Rows::open(context).map_err(refused)?;
    rows.views.retain(|view| sees(caller, view));
    Ok(rows)
}

/// A job by its whole name.
pub(super) fn named(job: &str) -> Result<JobId, ApiError> {
    JobId::parse(job).ok_or_else(|| ApiError::not_found("job", job))
}

/// A job that a caller sees.
pub(super) async fn view(app: &App, caller: &Caller, job: &str) -> Result<JobView, ApiError> {
    let view = app.view(&named(job)?).await?.filter(|view| sees(caller, view));
    view.ok_or_else(|| ApiError::not_found("job", job))
}

/// Why a command was not done, as the API says it.
pub(super) fn refused(error: CliError) -> ApiError {
    let said = std::iter::once(&error.message).chain(&error.details).chain(&error.hint);
    let message = said.cloned().collect::<Vec<_>>().join("; ");
    let status = match error.exit {
        Exit::NotFound => StatusCode::NOT_FOUND,
        Exit::Usage | Exit::BadInput | Exit::NoRoute | Exit::Deadline => StatusCode::BAD_REQUEST,
        Exit::Owner => return ApiError::unavailable(message, REPORT_AGE),
        _ => return ApiError::internal(message),
    };
    ApiError::new(status, message).code(error.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn what_is_kept_is_good_for_a_while_and_no_longer_on_a_clock_that_was_set_back() {
        let age = Duration::from_secs(60);
        assert!(is_fresh(at(1_000), age, at(1_005)));
        assert!(!is_fresh(at(1_000), age, at(1_100)));
        assert!(!is_fresh(at(1_000), age, at(400)), "it would be shown until the clock is there again");
        let desk = Desk::default();
        let job = JobId::new("job_aaaaaaaaaa");
        assert!(desk.is_due(&job, LOOK_EVERY, at(1_000)));
        assert!(!desk.is_due(&job, LOOK_EVERY, at(1_005)));
        assert!(desk.is_due(&job, LOOK_EVERY, at(400)));
        assert!(!desk.is_due(&job, LOOK_EVERY, at(405)));
    }
}
