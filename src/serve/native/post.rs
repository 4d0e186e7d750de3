//! `POST /api/v1/jobs` and `/api/v1/plan`: lines become a job, or what it would come to.
//!
//! Lines are those of a file that was uploaded (`input_file_id`) or stand in the request (`items`), in any
//! format a file may be in. With an `Idempotency-Key` the job's name is made of the key, so that a request
//! sent again, even to a daemon that was started anew, finds the job it made the first time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Document;
use super::desk::refused;
use super::jobs::told;
use crate::cli::plan;
use crate::input::{FileKind, Source};
use crate::job::JobId;
use crate::serve::batches::read_options;
use crate::serve::events::sees;
use crate::serve::extract::RawJson;
use crate::serve::intake::{self, NotTaken, Submission};
use crate::serve::{ApiError, App, durable, id};
use crate::store::beside::Beside;
use crate::tenant::Caller;

/// The longest key.
const LONGEST_KEY: usize = 255;

/// What is asked for; every other field is one of the options a batch has under `overnight`.
struct Body {
    input_file_id: Option<String>,
    /// As they were written: nothing of a line is parsed and written anew.
    items: Option<Vec<Box<RawValue>>>,
    /// Play the night on the engine; of a plan only.
    rehearse: bool,
    options: Map<String, Value>,
}

/// Where lines are.
enum Lines {
    File { name: String, path: PathBuf },
    Given(Arc<[u8]>),
}

impl Body {
    fn read(bytes: &[u8]) -> Result<Body, ApiError> {
        fn field<T: DeserializeOwned>(
            fields: &mut BTreeMap<String, Box<RawValue>>,
            name: &str,
        ) -> Result<Option<T>, ApiError> {
            let Some(value) = fields.remove(name) else { return Ok(None) };
            let read = serde_json::from_str(value.get());
            read.map_err(|error| ApiError::invalid(format!("`{name}`: {error}")).param(name))
        }
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).map_err(|error| {
            ApiError::invalid(format!("the body cannot be read: {error}")).code("invalid_json")
        })?;
        Ok(Body {
            input_file_id: field(&mut fields, "input_file_id")?,
            items: field(&mut fields, "items")?,
            rehearse: field(&mut fields, "rehearse")?.unwrap_or(false),
            options: fields.iter().map(|(name, value)| (name.clone(), value_of(value))).collect(),
        })
    }

    fn lines(&self, app: &App, caller: &Caller) -> Result<Lines, ApiError> {
        match (&self.input_file_id, &self.items) {
            (Some(file), None) => {
                let found = app.files()?.get(caller, file).filter(|_| id::is_file(file));
                let entry = found.ok_or_else(|| ApiError::not_found("file", file).param("input_file_id"))?;
                Ok(Lines::File { name: entry.filename.clone(), path: app.files()?.path(&entry.id) })
            }
            (None, Some(items)) => {
                let lines = items.iter().flat_map(|item| [unbroken(item.get()), vec![b'\n']]);
                Ok(Lines::Given(lines.flatten().collect()))
            }
            _ => Err(ApiError::invalid("name a file (`input_file_id`) or give the lines (`items`)")),
        }
    }
}

fn value_of(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).expect("it was read as JSON before")
}

/// JSON on one line: line breaks in it are between values, never in a text.
fn unbroken(json: &str) -> Vec<u8> {
    json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

impl Lines {
    /// From their beginning.
    fn source(&self) -> Result<Source, NotTaken> {
        let kind = Some(FileKind::Jsonl);
        match self {
            Lines::File { name, path } => {
                let file = File::open(path).map_err(|error| ApiError::storage(&error))?;
                Ok(Source::from_reader(name, kind, Box::new(file))?)
            }
            Lines::Given(bytes) => {
                Ok(Source::from_reader("items.jsonl", kind, Box::new(Cursor::new(bytes.clone())))?)
            }
        }
    }
}

/// Queues a job; durable when it answers. The job as `status JOB --json` shows it.
pub(super) async fn submit(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    RawJson(bytes): RawJson,
) -> Result<Response, ApiError> {
    let fingerprint = hex(&Sha256::digest(&bytes));
    let (job, _turn) = match key(&headers)? {
        Some(key) => (job_of(&key, &caller), Some(app.desk().keys.lock().await)),
        None => (fresh(), None),
    };
    if let Some(view) = app.view(&job).await?.filter(|view| sees(&caller, view)) {
        let known = Beside::of(app.state_dir()).job(&job).map_err(ApiError::from)?;
        return match known.source.fingerprint == fingerprint {
            true => Ok(told("status", &view)?.into_response()),
            false => Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this Idempotency-Key was used for another request; take a new one",
            )
            .code("idempotency_key_reused")),
        };
    }
    let id = job.clone();
    app.blocking(move |app| queue(app, caller, id, &bytes, fingerprint)).await?;
    let view = app.view(&job).await?.ok_or_else(|| ApiError::internal("a new job is not there"))?;
    Ok((StatusCode::CREATED, told("status", &view)?).into_response())
}

fn queue(app: &App, caller: Caller, job: JobId, bytes: &[u8], fingerprint: String) -> Result<(), ApiError> {
    let body = Body::read(bytes)?;
    let lines = body.lines(app, &caller)?;
    let options = read_options(&body.options, &caller)?;
    let open = Box::new(move || lines.source());
    let submission = Submission { job, caller, options, deadline: None, wire: None, fingerprint, open };
    let staged = intake::stage(app, submission, || true).map_err(not_taken)?;
    staged.map_or(Ok(()), |job| intake::adopt(app, &job.id))
}

/// What it would come to, as `plan --json`; sends and queues nothing.
pub(super) async fn plan(
    State(app): State<App>,
    caller: Caller,
    RawJson(bytes): RawJson,
) -> Result<Document, ApiError> {
    let _one = app.desk().reading.acquire().await.map_err(ApiError::internal)?;
    app.blocking(move |app| {
        let body = Body::read(&bytes)?;
        let options = read_options(&body.options, &caller)?;
        let config = app.config();
        let ask = intake::asked(&config, &caller, options, None, None).map_err(not_taken)?;
        let (name, path, draft) = match body.lines(app, &caller)? {
            Lines::File { name, path } => (name, path, None),
            Lines::Given(bytes) => {
                let (_, path) = app.files()?.draft();
                std::fs::write(&path, bytes).map_err(|error| ApiError::storage(&error))?;
                ("items.jsonl".to_owned(), path.clone(), Some(path))
            }
        };
        let plan = plan::of_file(&path, &ask, &config, body.rehearse);
        if let Some(draft) = draft {
            durable::remove(&draft).map_err(|error| ApiError::storage(&error))?;
        }
        let plan = plan.map_err(refused)?.named(name);
        crate::cli::context::document("plan", "plans", &[plan]).map(Document::from).map_err(refused)
    })
    .await
}

/// Why lines are no job: the first that is wrong, and how many more.
fn not_taken(error: NotTaken) -> ApiError {
    match error {
        NotTaken::Later(error) => error,
        NotTaken::Bad(errors) => {
            let said = errors.iter().map(|error| match error.line {
                Some(line) => format!("line {line}: {}", error.message),
                None => error.message.clone(),
            });
            let code = errors.first().map_or("invalid_request", |error| error.code.as_str()).to_owned();
            ApiError::invalid(said.collect::<Vec<_>>().join("; ")).code(code).param("items")
        }
    }
}

/// The key a client gave its request.
fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let message = "Idempotency-Key is 1 to 255 characters of ASCII";
    key.map(|key| Some(key.to_owned())).ok_or_else(|| ApiError::invalid(message).param("Idempotency-Key"))
}

/// The job that a key of a caller's makes.
fn job_of(key: &str, caller: &Caller) -> JobId {
    let mut hash = Sha256::new();
    // No tenant has an empty name, and no name a line break.
    hash.update(format!("{}\n{key}", caller.tenant().unwrap_or_default()));
    JobId::new(format!("job_{}", &hex(&hash.finalize())[..24]))
}

fn fresh() -> JobId {
    JobId::new(id::batch().replacen("batch_", "job_", 1))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_callers_own() {
        let acme = Caller::Tenant(std::sync::Arc::new(crate::tenant::Tenant {
            name: "acme".to_owned(),
            tags: Default::default(),
            models: Vec::new(),
        }));
        let (ours, theirs) = (job_of("k-1", &Caller::Operator), job_of("k-1", &acme));
        assert_ne!(ours, theirs);
        assert_eq!(ours, job_of("k-1", &Caller::Operator));
        for job in [ours, theirs, fresh()] {
            assert_eq!(JobId::parse(job.as_str()), Some(job));
        }
    }

    #[test]
    fn lines_are_sent_as_they_were_written() {
        let body =
            Body::read(b"{\"items\":[{\"prompt\":\"a\\nb\",\n\"seed\":12345678901234567890123}]}").unwrap();
        let items = body.items.unwrap();
        let line = unbroken(items[0].get());
        assert_eq!(line, b"{\"prompt\":\"a\\nb\", \"seed\":12345678901234567890123}");
    }
}
