//! What happens to a batch without anybody asking: its file is read and becomes a job; when the job is
//! over, its output and error files are written.
//!
//! Each step is written down before the next begins, and may be done again: what a stopped daemon left
//! half done, the next one does from its beginning.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::record::{Figures, Outcome, Record, Stage};
use super::tell::tell_all;
use super::{endpoint_wire, options};
use crate::clock;
use crate::control::{Request, Response};
use crate::input::{FileKind, Source};
use crate::job::JobId;
use crate::record::JobChange;
use crate::results::export::{self, Export, Format};
use crate::results::folder::Folder;
use crate::results::schema::Table;
use crate::results::select::{Filter, Link};
use crate::serve::files::{Entry, OUTPUT};
use crate::serve::intake::{self, LineError, NotTaken, Submission};
use crate::serve::{ApiError, App, durable};
use crate::view::JobView;

/// A file that cannot be read for now is tried again in so long.
const AGAIN: Duration = Duration::from_secs(30);
/// How often jobs are looked at for their end, where nobody asks about one.
const LOOK: Duration = Duration::from_secs(1);
/// Without work, files are looked at for their age this often.
const SWEEP: Duration = Duration::from_secs(60);

/// Goes on with what is open, and looks after it from then on; inside the server's runtime.
pub(in crate::serve) fn start(app: &App) -> Result<(), ApiError> {
    let (_, unread) = app.batches()?.open_ones();
    unread.into_iter().for_each(|record| spawn_validate(app, record.id.clone()));
    tokio::spawn(finish_all(app.clone()));
    tokio::spawn(tell_all(app.clone()));
    tokio::spawn(sweep(app.clone()));
    Ok(())
}

/// Has the file of a batch read; the batch is a job or has failed afterwards.
pub(super) fn spawn_validate(app: &App, id: String) {
    let app = app.clone();
    tokio::spawn(async move {
        loop {
            let Ok(batches) = app.batches() else { return };
            let reading = batches.readers.acquire().await.expect("it is never closed");
            let of = id.clone();
            let done = app.blocking(move |app| validate(app, &of)).await;
            drop(reading);
            match done {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(batch = %id, "the batch's file cannot be read for now: {}", error.message());
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
}

fn validate(app: &App, id: &str) -> Result<(), ApiError> {
    let batches = app.batches()?;
    let Some(record) = batches.record(id).filter(|record| record.stage == Stage::Validating) else {
        return Ok(());
    };
    let job = record.job();
    let is_wanted = || batches.record(id).is_none_or(|record| record.cancelling_at.is_none());
    // A daemon that stopped in between may have queued it already.
    if app.view_blocking(&job)?.is_none() {
        match submission(app, &record).and_then(|submission| intake::stage(app, submission, is_wanted)) {
            Ok(Some(job)) => intake::adopt(app, &job.id)?,
            Ok(None) => {
                let cancel = |record: &mut Record| record.end(cancelled(record), &app.config());
                return batches.update(id, cancel).map(drop);
            }
            Err(NotTaken::Bad(errors)) => {
                let failed = Stage::Failed { at: clock::now(), errors };
                return batches.update(id, |record| record.end(failed, &app.config())).map(drop);
            }
            Err(NotTaken::Later(error)) => return Err(error),
        }
    }
    let record = batches.update(id, |record| {
        record.stage = Stage::Queued;
        record.in_progress_at = Some(clock::now());
    })?;
    if record.cancelling_at.is_some() {
        // Over already is as good.
        let _ = app.ask_blocking(Request::Change { job, change: JobChange::Cancelled });
    }
    batches.nudge.notify_one();
    Ok(())
}

fn submission(app: &App, record: &Record) -> Result<Submission, NotTaken> {
    let files = app.files()?;
    let caller = record.caller();
    let id = record.input_file_id.clone();
    let gone = move || {
        let message = format!("the file {id} is not there any more");
        NotTaken::Bad(vec![LineError {
            code: "file_not_found".to_owned(),
            line: None,
            message,
            param: Some("input_file_id".to_owned()),
        }])
    };
    let entry = files.get(&caller, &record.input_file_id).ok_or_else(gone.clone())?;
    let path = files.path(&entry.id);
    let open = move || {
        let file = File::open(&path).map_err(|_| gone())?;
        Ok(Source::from_reader(&entry.filename, Some(FileKind::Jsonl), Box::new(file))?)
    };
    Ok(Submission {
        job: record.job(),
        options: options::read(&record.options, &caller).map_err(bad)?,
        deadline: Some(record.expires_at),
        wire: Some(
            endpoint_wire(&record.endpoint).ok_or_else(|| bad(ApiError::invalid("unknown endpoint")))?,
        ),
        fingerprint: record.job().to_string(),
        open: Box::new(open),
        caller,
    })
}

fn bad(error: ApiError) -> NotTaken {
    let message = error.message().to_owned();
    NotTaken::Bad(vec![LineError { code: "invalid_request".to_owned(), line: None, message, param: None }])
}

/// Cancelled before it was a job.
fn cancelled(record: &Record) -> Stage {
    Stage::Over(Outcome {
        state: "cancelled".to_owned(),
        at: record.cancelling_at.unwrap_or_else(clock::now),
        output_file_id: None,
        error_file_id: None,
        figures: Figures::default(),
    })
}

/// Writes the files of batches whose jobs are over, for as long as the server runs.
async fn finish_all(app: App) {
    // What was last said of a batch that cannot be finished, to say it once.
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let Ok(batches) = app.batches() else { return };
        let (queued, _) = batches.open_ones();
        let wait = if queued.is_empty() { SWEEP } else { LOOK };
        let over = over(&app, &queued).await.unwrap_or_default();
        for (record, view) in over {
            let id = record.id.clone();
            let done = app.blocking(move |app| finish(app, &record, &view)).await;
            let trouble = done.err().map(|error| error.message().to_owned());
            match trouble {
                None => drop(said.remove(&id)),
                Some(trouble) if said.get(&id) != Some(&trouble) => {
                    tracing::error!(batch = %id, "the batch's files cannot be written: {trouble}");
                    said.insert(id, trouble);
                }
                Some(_) => {}
            }
        }
        let _ = tokio::time::timeout(wait, batches.nudge.notified()).await;
    }
}

/// Those whose jobs are over, with the jobs.
async fn over(app: &App, queued: &[Arc<Record>]) -> Result<Vec<(Arc<Record>, JobView)>, ApiError> {
    let jobs: Vec<JobId> = queued.iter().map(|record| record.job()).collect();
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let Response::Views(views) = app.ask(Request::ViewsOf { jobs }).await? else { return Ok(Vec::new()) };
    let over = views.into_iter().filter(|view| view.finished_at.is_some());
    Ok(over
        .filter_map(|view| {
            let record = queued.iter().find(|record| record.job() == view.job_id)?;
            Some((record.clone(), view))
        })
        .collect())
}

/// Writes the output and error files of a batch whose job is over, and then that it is.
fn finish(app: &App, record: &Record, view: &JobView) -> Result<(), ApiError> {
    let (batches, files) = (app.batches()?, app.files()?);
    let record = batches.update(&record.id, |record| {
        record.finalizing_at.get_or_insert_with(clock::now);
        record.reserved.get_or_insert_with(|| (files.draft().0, files.draft().0));
    })?;
    let (output, errors) = record.reserved.clone().expect("reserved above");
    let draft = files.draft_of(&output);
    let export = Export {
        chains: vec![vec![Link::all(view.job_id.clone())]],
        filter: Filter::default(),
        table: Table::Results,
        format: Format::OpenAiBatch,
    };
    let folder = Folder::new(&app.config().results.dir);
    let exported = export::to_file(&folder, &export, &draft, clock::now()).map_err(ApiError::internal)?;
    if exported.rows < u64::from(view.items) {
        tracing::warn!(batch = %record.id, rows = exported.rows, items = view.items, "rows of the batch are missing: were results moved?");
    }
    let mut kept = [(output, "output", None), (errors, "errors", None)];
    for ((id, what, keeps), (path, bytes)) in kept.iter_mut().zip(&exported.files) {
        *keeps = keep(app, &record, id, what, path, *bytes)?;
    }
    let [(_, _, output_file_id), (_, _, error_file_id)] = kept;
    let outcome = Outcome {
        state: view.state.clone(),
        at: view.finished_at.unwrap_or_else(clock::now),
        output_file_id,
        error_file_id,
        figures: Figures::of(view),
    };
    batches.update(&record.id, |record| record.end(Stage::Over(outcome), &app.config())).map(drop)
}

/// Makes a file of what was exported; none of an empty one.
fn keep(
    app: &App,
    record: &Record,
    id: &str,
    what: &str,
    path: &Path,
    bytes: u64,
) -> Result<Option<String>, ApiError> {
    let storage = |error: std::io::Error| ApiError::storage(&error);
    if bytes == 0 {
        durable::remove(path).map_err(storage)?;
        return Ok(None);
    }
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(storage)?;
    let created_at = clock::now();
    let entry = Entry {
        id: id.to_owned(),
        tenant: record.tenant.as_ref().map(|tenant| tenant.name.clone()),
        filename: format!("{}_{what}.jsonl", record.id),
        purpose: OUTPUT.to_owned(),
        bytes,
        created_at,
        expires_at: record.output_expires_after.map(|seconds| created_at + Duration::from_secs(seconds)),
    };
    app.files()?.keep(path, entry).map_err(storage)?;
    Ok(Some(id.to_owned()))
}

/// Removes files whose time is over, for as long as the server runs.
async fn sweep(app: App) {
    loop {
        let swept = app.blocking(|app| app.files()?.sweep().map_err(|error| ApiError::storage(&error))).await;
        if let Err(error) = swept {
            tracing::warn!("files whose time is over cannot be removed: {}", error.message());
        }
        tokio::time::sleep(SWEEP).await;
    }
}
