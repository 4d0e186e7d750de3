//! `/v1/batches`: OpenAI's Batch API over the queue.
//!
//! A create answers at once with a batch that is `validating`; its file is read behind that, and it
//! becomes a job of the same name or fails with its bad lines. While it is a job, every look asks the
//! queue; when the job is over, the output and error files are written, and only then is it `completed`.
//!
//! | file | idea |
//! |---|---|
//! | `record` | what is kept of a batch, and how far it is |
//! | `shelf` | every batch, in memory and on disk |
//! | `options` | what may be asked beyond OpenAI's fields |
//! | `work` | what happens to a batch by itself |
//! | `tell` | a webhook hears that a batch is over |
//! | `object` | a batch as it is shown |

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json as Answer, Router};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::expiry::ExpiresAfter;
use super::extract::{Json, Query};
use super::page::{Page, Paging};
use super::{ApiError, App, id};
use crate::clock;
use crate::input::when;
use crate::job::Wire;
use crate::record::JobChange;
use crate::tenant::Caller;

mod object;
mod options;
mod record;
mod shelf;
mod tell;
mod work;

pub(super) use options::{Options, read as read_options};
pub(super) use shelf::Shelf;
pub(super) use work::start;

use object::BatchObject;
use record::{Metadata, Record, Stage};

/// What lines may be requests to.
const ENDPOINTS: [Wire; 4] = [Wire::Chat, Wire::Responses, Wire::Embeddings, Wire::Messages];
/// OpenAI's bounds on metadata: pairs, characters of a key, of a value.
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// The routes of this folder.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/batches", get(list).post(create))
        .route("/v1/batches/{id}", get(retrieve))
        .route("/v1/batches/{id}/cancel", post(cancel))
}

/// The body of a create.
#[derive(Debug, Deserialize)]
struct Create {
    input_file_id: String,
    endpoint: String,
    completion_window: String,
    metadata: Option<Metadata>,
    output_expires_after: Option<ExpiresAfter>,
    overnight: Option<Map<String, Value>>,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Create>,
) -> Result<Answer<BatchObject>, ApiError> {
    let record = record_of(&app, &caller, body)?;
    let storage = |error: std::io::Error| ApiError::storage(&error);
    let (record, is_new) = app.blocking(move |app| app.batches()?.add(record).map_err(storage)).await?;
    if is_new {
        work::spawn_validate(&app, record.id.clone());
    }
    show(&app, &record).await
}

/// What a create asks for, checked as far as that goes without reading the file.
fn record_of(app: &App, caller: &Caller, body: Create) -> Result<Record, ApiError> {
    let Create { input_file_id, endpoint, completion_window, metadata, output_expires_after, overnight } =
        body;
    let wrong = |param: &str, message: String| ApiError::invalid(message).param(param);
    let file = app.files()?.get(caller, &input_file_id).filter(|_| id::is_file(&input_file_id));
    let file = file.ok_or_else(|| {
        wrong("input_file_id", format!("there is no file {input_file_id:?}")).code("file_not_found")
    })?;
    if file.purpose != "batch" {
        return Err(wrong(
            "input_file_id",
            format!("the file was uploaded with purpose {:?}, not `batch`", file.purpose),
        ));
    }
    if endpoint_wire(&endpoint).is_none() {
        let known = ENDPOINTS.map(Wire::endpoint).join(", ");
        return Err(wrong("endpoint", format!("endpoint is one of {known}")));
    }
    let window = when::span(&completion_window).filter(|window| !window.is_zero());
    let window = window.ok_or_else(|| {
        wrong("completion_window", "completion_window is a span such as 24h or 7d".to_owned())
    })?;
    check_metadata(metadata.as_ref())?;
    let options = options::gather(metadata.as_ref(), overnight);
    options::read(&options, caller)?;
    let created_at = clock::now();
    Ok(Record {
        id: id::batch(),
        tenant: match caller {
            Caller::Operator => None,
            Caller::Tenant(tenant) => Some(tenant.as_ref().clone()),
        },
        input_file_id,
        endpoint,
        completion_window,
        metadata,
        options,
        created_at,
        expires_at: created_at + window,
        output_expires_after: output_expires_after
            .map(|after| after.checked())
            .transpose()?
            .map(|after: Duration| after.as_secs()),
        in_progress_at: None,
        cancelling_at: None,
        finalizing_at: None,
        reserved: None,
        stage: Stage::Validating,
        untold: false,
    })
}

fn check_metadata(metadata: Option<&Metadata>) -> Result<(), ApiError> {
    let (pairs, key, value) = METADATA;
    let Some(metadata) = metadata else { return Ok(()) };
    let fits = metadata.len() <= pairs
        && metadata.iter().all(|(name, text)| name.chars().count() <= key && text.chars().count() <= value);
    match fits {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "metadata has at most {pairs} pairs, keys of {key} and values of {value} characters"
        ))
        .param("metadata")),
    }
}

async fn retrieve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<BatchObject>, ApiError> {
    show(&app, &*found(&app, &caller, &id)?).await
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Answer<Page<BatchObject>>, ApiError> {
    let page = app.batches()?.page(&caller, &paging)?;
    let queued = page.data.iter().filter(|record| record.stage == Stage::Queued);
    let views = app.recent_views(&queued.map(|record| record.job()).collect::<Vec<_>>()).await?;
    let view_of = |record: &Record| views.iter().find(|view| view.job_id == record.job());
    Ok(Answer(page.map(|record| BatchObject::of(&record, view_of(&record)))))
}

async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Answer<BatchObject>, ApiError> {
    let record = found(&app, &caller, &id)?;
    let shown = current(&app, &record).await?;
    let over = || {
        ApiError::conflict(format!("a batch that is {} cannot be cancelled", shown.status()))
            .code("not_cancellable")
    };
    if record.is_over() || shown.status() == "finalizing" {
        return Err(over());
    }
    let of = id.clone();
    let record = app.blocking(move |app| {
        app.batches()?.update(&of, |record| {
            if !record.is_over() {
                record.cancelling_at.get_or_insert_with(clock::now);
            }
        })
    });
    let record = record.await?;
    if record.stage == Stage::Queued {
        // Over in the meantime is as good: the files say how it ended.
        let _ = app.change(&record.job(), JobChange::Cancelled).await;
        app.batches()?.nudge.notify_one();
    }
    show(&app, &record).await
}

fn found(app: &App, caller: &Caller, id: &str) -> Result<Arc<Record>, ApiError> {
    app.batches()?.get(caller, id).ok_or_else(|| ApiError::not_found("batch", id).param("batch_id"))
}

async fn show(app: &App, record: &Record) -> Result<Answer<BatchObject>, ApiError> {
    current(app, record).await.map(Answer)
}

/// A batch as it is now.
async fn current(app: &App, record: &Record) -> Result<BatchObject, ApiError> {
    let view = match record.stage {
        Stage::Queued => app.recent_views(&[record.job()]).await?.into_iter().next(),
        _ => None,
    };
    if view.as_ref().is_some_and(|view| view.finished_at.is_some()) {
        app.batches()?.nudge.notify_one();
    }
    Ok(BatchObject::of(record, view.as_ref()))
}

/// The format of an endpoint's requests.
fn endpoint_wire(endpoint: &str) -> Option<Wire> {
    ENDPOINTS.into_iter().find(|wire| wire.endpoint() == endpoint)
}
