//! What was written of a job: items, attempts, results, its course; and reports over several jobs.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Document;
use super::desk::{self, Opened, named, refused, view};
use super::jobs::{reasons, states};
use crate::cli::args::value::{Tag, parse_span};
use crate::cli::args::{ItemsArgs, ReportArgs};
use crate::cli::context::Context;
use crate::cli::rows::Rows;
use crate::cli::{items, report as reports, show};
use crate::clock::{self, Timestamp};
use crate::job::JobId;
use crate::money::Usd;
use crate::report::row::AttemptRow;
use crate::results::export::{self, Export, Format};
use crate::results::read;
use crate::results::schema::Table;
use crate::results::select::{Filter, Selection, Texts};
use crate::serve::events::Point;
use crate::serve::extract::Query;
use crate::serve::stream::Pieces;
use crate::serve::{ApiError, App};
use crate::tenant::Caller;

/// Rows on a page.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1_000;
/// Stretches that a course is divided into.
const STRETCHES: usize = 240;
/// One that was turned away may come again in so long.
const DOWNLOAD_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a download that are sent at once.
const PIECE: usize = 64 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemsAsked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
    tag: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    skip: usize,
}

/// As `items JOB --json`, a page of them.
pub(super) async fn items(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
    Query(asked): Query<ItemsAsked>,
) -> Result<Document, ApiError> {
    let tag = asked.tag.map(|tag| tag.parse::<Tag>()).transpose();
    let args = ItemsArgs {
        job: job.clone(),
        states: states(&words(&asked.state))?,
        reasons: reasons(&words(&asked.reason))?,
        tags: tag.map_err(|error| ApiError::invalid(error.to_string()).param("tag"))?.into_iter().collect(),
        limit: asked.limit.unwrap_or(PAGE).min(LONGEST_PAGE),
        skip: asked.skip,
    };
    app.blocking(move |app| {
        let opened = Opened::new(app, &caller, &job)?;
        Document::of(&items::list(&args, &opened.rows, &opened.chain).map_err(refused)?)
    })
    .await
}

/// As `show JOB ITEM --json`.
pub(super) async fn item(
    State(app): State<App>,
    caller: Caller,
    Path((job, item)): Path<(String, String)>,
) -> Result<Document, ApiError> {
    app.blocking(move |app| {
        let opened = Opened::new(app, &caller, &job)?;
        Document::of(&show::of(&opened.rows, &opened.chain, &item).map_err(refused)?)
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paged {
    limit: Option<usize>,
    #[serde(default)]
    skip: usize,
}

/// Attempts of a job and its retries, by item.
#[derive(Serialize)]
struct Attempts {
    schema: &'static str,
    job_id: JobId,
    attempts: Vec<AttemptRow>,
    /// How many more there are.
    more: usize,
}

pub(super) async fn attempts(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
    Query(asked): Query<Paged>,
) -> Result<Document, ApiError> {
    let limit = asked.limit.unwrap_or(PAGE).min(LONGEST_PAGE);
    app.blocking(move |app| {
        let Opened { rows, chain } = Opened::new(app, &caller, &job)?;
        let all = Selection::attempts(&rows.folder, &chain.links, &Filter::default());
        let mut selection = all.map_err(ApiError::internal)?;
        selection.skip(asked.skip);
        let page = read::attempts(&selection, Texts::Without).take(limit).collect::<Result<Vec<_>, _>>();
        let attempts = page.map_err(ApiError::internal)?;
        let more = selection.len() - attempts.len();
        Document::of(&Attempts { schema: "overnight.attempts/1", job_id: chain.id, attempts, more })
    })
    .await
}

/// As `results JOB -o - --format parquet`.
pub(super) async fn results(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Response, ApiError> {
    let id = named(&job)?;
    let place = app.desk().downloads.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::unavailable("too many downloads already", DOWNLOAD_PAUSE))?;
    let opened = app.blocking(move |app| {
        let Opened { rows, chain } = Opened::new(app, &caller, &job)?;
        chain.require_rows(&rows.folder).map_err(refused)?;
        Ok((rows.folder, chain))
    });
    let (folder, chain) = opened.await?;
    let export = Export {
        chains: vec![chain.links],
        filter: Filter::default(),
        table: Table::Results,
        format: Format::Parquet,
    };
    let (sender, pieces) = Pieces::new();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut out = io::BufWriter::with_capacity(PIECE, ToClient(sender.clone()));
        if let Err(error) = export::to_stream(&folder, &export, &mut out, clock::now()) {
            tracing::warn!("a download broke off: {error}");
            let _ = sender.blocking_send(Err(io::Error::other("the rows cannot be read")));
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/vnd.apache.parquet".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.parquet\"")),
    ];
    Ok((headers, Body::new(pieces)).into_response())
}

/// Where a thread writes what a client reads.
struct ToClient(mpsc::Sender<io::Result<Bytes>>);

impl Write for ToClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a job went.
#[derive(Serialize)]
struct Timeline {
    schema: &'static str,
    job_id: JobId,
    /// Sums up to each moment, oldest first.
    points: Vec<Point>,
}

/// From rows that are written, then from what this process saw; nothing is written out for it.
pub(super) async fn timeline(
    State(app): State<App>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Document, ApiError> {
    let view = view(&app, &caller, &job).await?;
    let seen = app.hub().board().course(&view.job_id);
    let is_whole = seen.first().is_some_and(|first| first.ended == 0);
    app.blocking(move |app| {
        let job_id = view.job_id;
        let points = match is_whole {
            true => seen,
            false => {
                let folder = desk::rows(&desk::context(app), &caller)?.folder;
                let ends = read::ends(&folder, &job_id).map_err(ApiError::internal)?;
                joined(course(ends), seen)
            }
        };
        Document::of(&Timeline { schema: "overnight.timeline/1", job_id, points })
    })
    .await
}

/// What rows say, up to where somebody watched.
fn joined(mut rows: Vec<Point>, seen: Vec<Point>) -> Vec<Point> {
    if let Some(first) = seen.first() {
        rows.retain(|point| point.at < first.at && point.ended <= first.ended);
    }
    rows.extend(seen);
    rows
}

/// Sums at the ends of so many equal stretches.
fn course(mut ends: Vec<(Timestamp, bool, i64)>) -> Vec<Point> {
    ends.sort_unstable();
    let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return Vec::new() };
    let stretch = (last.0.since(first.0) / STRETCHES as u32).max(Duration::from_millis(1));
    let mut points: Vec<Point> = Vec::new();
    let (mut ended, mut succeeded, mut nano) = (0, 0, 0_i128);
    let start = first.0;
    let stretch_of = |at: Timestamp| at.since(start).as_micros() / stretch.as_micros();
    for (index, &(at, is_success, cost)) in ends.iter().enumerate() {
        ended += 1;
        succeeded += u32::from(is_success);
        nano += i128::from(cost);
        let is_end = ends.get(index + 1).is_none_or(|next| stretch_of(next.0) != stretch_of(at));
        if is_end {
            let cost_usd = Usd::from_pico(nano * 1_000).as_f64();
            points.push(Point { at, ended, succeeded, cost_usd });
        }
    }
    points
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportAsked {
    #[serde(default)]
    job: String,
    since: Option<String>,
    #[serde(default)]
    by: String,
    /// Leaves out the jobs: what they come to is as long however many there are.
    #[serde(default)]
    brief: bool,
}

/// As `report --json`, of the rows that are written.
pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
    Query(asked): Query<ReportAsked>,
) -> Result<Document, ApiError> {
    let wrong = |param: &str, why: String| ApiError::invalid(why).param(param);
    let jobs = words(&asked.job);
    jobs.iter().try_for_each(|job| named(job).map(drop))?;
    let by = words(&asked.by).iter().map(|key| key.parse()).collect::<Result<_, _>>();
    let args = ReportArgs {
        jobs,
        since: asked
            .since
            .as_deref()
            .map(parse_span)
            .transpose()
            .map_err(|why| wrong("since", why.to_string()))?,
        by: by.map_err(|error: crate::report::by::UnknownKey| wrong("by", error.to_string()))?,
        output: None,
        samples: 0,
    };
    let key = format!("{} {}", caller.tenant().unwrap_or_default(), query.unwrap_or_default());
    let _one = app.desk().reading.acquire().await.map_err(ApiError::internal)?;
    if let Some(text) = app.desk().report(&key, clock::now()) {
        return Ok(Document(text));
    }
    app.blocking(move |app| {
        let (context, began) = (desk::context(app), clock::now());
        let mut rows = desk::rows(&context, &caller)?;
        // Rows whose job was removed belong to nobody we know.
        let unseen = args.jobs.iter().find(|job| rows.views.iter().all(|view| view.job_id.as_str() != *job));
        if let Some(job) = unseen {
            return Err(ApiError::not_found("job", job));
        }
        let chain_of =
            |rows: &mut Rows, context: &Context, job: &JobId| desk::for_report(app, rows, context, job);
        let mut report = reports::read(&args, &mut rows, &context, chain_of).map_err(refused)?.report;
        if asked.brief {
            report.jobs.clear();
        }
        let document = Document::of(&report)?;
        app.desk().keep(key, &document.0, began, clock::now());
        Ok(document)
    })
    .await
}

/// Words between commas.
fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + Duration::from_secs(second)
    }

    #[test]
    fn a_course_ends_with_the_sums_of_all_rows() {
        let ends: Vec<_> = (0..10_000).rev().map(|n| (at(n / 3), n % 10 > 0, 1_000_000)).collect();
        let course = course(ends);
        let last = course.last().unwrap();
        assert_eq!((last.ended, last.succeeded, last.cost_usd), (10_000, 9_000, 10.0));
        assert!((100..=STRETCHES + 1).contains(&course.len()), "{}", course.len());
        assert!(course.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].ended < pair[1].ended));
    }

    #[test]
    fn what_was_watched_goes_on_where_rows_end() {
        let point = |second, ended| Point { at: at(second), ended, succeeded: ended, cost_usd: 0.0 };
        let rows = vec![point(1, 10), point(5, 50), point(9, 90)];
        let ended = |points: Vec<Point>| points.iter().map(|point| point.ended).collect::<Vec<_>>();
        assert_eq!(ended(joined(rows.clone(), vec![point(6, 60), point(8, 80)])), [10, 50, 60, 80]);
        assert_eq!(ended(joined(rows, Vec::new())), [10, 50, 90]);
    }
}
