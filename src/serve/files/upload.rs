//! An upload: a multipart body → a file on the shelf, without holding more than a few pieces of it.
//!
//! Fields come in any order. Bytes are written and checked as they come, on threads that may block;
//! when anything is wrong the draft goes away with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};

use super::shelf::Entry;
use super::text::{BadText, TextCheck};
use crate::clock;
use crate::serve::extract::broken_off;
use crate::serve::{ApiError, App, durable, expiry};
use crate::tenant::Caller;

/// More fields than any client sends.
const MOST_FIELDS: usize = 16;
/// The longest of the fields that are no file.
const LONGEST_FIELD: usize = 4 << 10;
/// The longest name a file is shown under.
const LONGEST_NAME: usize = 512;
/// What only we make.
pub(in crate::serve) const OUTPUT: &str = "batch_output";

/// Takes an upload in.
pub(super) async fn upload(app: &App, caller: &Caller, mut form: Multipart) -> Result<Arc<Entry>, ApiError> {
    let limit = app.config().daemon.max_file;
    let mut fields = BTreeMap::new();
    let mut received: Option<Received> = None;
    let mut n_fields = 0;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error, limit))? {
        n_fields += 1;
        if n_fields > MOST_FIELDS {
            return Err(ApiError::invalid(format!("more than {MOST_FIELDS} fields")));
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if received.is_some() {
                return Err(ApiError::invalid("one file an upload").param("file"));
            }
            received = Some(receive(app, field, limit).await?);
        } else {
            let value = text(field, &name).await?;
            fields.insert(name, value);
        }
    }
    let received = received.ok_or_else(|| ApiError::invalid("the field `file` is missing").param("file"))?;
    let entry = entry(&received, &fields, caller)?;
    if entry.purpose == "batch" {
        received.text.clone().map_err(|bad| {
            let code = if bad == BadText::Empty { "no_requests" } else { "not_text" };
            ApiError::invalid(bad.to_string()).param("file").code(code)
        })?;
    }
    app.blocking(move |app| {
        let kept = app.files()?.keep(&received.draft.0, entry);
        kept.map_err(|error| ApiError::storage(&error))
    })
    .await
}

/// What the fields say of a file.
fn entry(received: &Received, fields: &BTreeMap<String, String>, caller: &Caller) -> Result<Entry, ApiError> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let purpose = field("purpose").ok_or_else(|| {
        ApiError::invalid("the field `purpose` is missing; for a batch it is `batch`").param("purpose")
    })?;
    let is_word = (1..=64).contains(&purpose.len())
        && purpose.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b));
    if !is_word || purpose == OUTPUT {
        return Err(ApiError::invalid("purpose is a word such as `batch`").param("purpose"));
    }
    let created_at = clock::now();
    let expires_after = expiry::of_fields(field("expires_after[anchor]"), field("expires_after[seconds]"))?;
    Ok(Entry {
        id: received.id.clone(),
        tenant: caller.tenant().map(str::to_owned),
        filename: received.filename.clone(),
        purpose: purpose.to_owned(),
        bytes: received.bytes,
        created_at,
        expires_at: expires_after.map(|after| created_at + after),
    })
}

/// Bytes that are written and synced, under a name nobody knows yet.
struct Received {
    id: String,
    draft: Draft,
    filename: String,
    bytes: u64,
    /// Whether they are text.
    text: Result<(), BadText>,
}

/// A file being written; gone when this is dropped, unless it was given its place.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = durable::remove(&self.0);
    }
}

async fn receive(app: &App, mut field: Field<'_>, limit: u64) -> Result<Received, ApiError> {
    let filename: String = field.file_name().unwrap_or("upload").chars().take(LONGEST_NAME).collect();
    let (id, path) = app.files()?.draft();
    let draft = Draft(path.clone());
    let mut writing = app.blocking(move |_| Writing::begin(&path)).await?;
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error, limit))? {
        if writing.bytes + piece.len() as u64 > limit {
            return Err(over(limit));
        }
        // No thread waits for the client: a slow one would hold it for hours.
        writing = app.blocking(move |_| writing.push(&piece)).await?;
    }
    let (bytes, text) = app.blocking(move |_| writing.finish()).await?;
    Ok(Received { id, draft, filename, bytes, text })
}

/// A file as far as it has come. Blocking.
struct Writing {
    file: File,
    bytes: u64,
    check: TextCheck,
    text: Result<(), BadText>,
}

impl Writing {
    fn begin(path: &Path) -> Result<Writing, ApiError> {
        let file = durable::create_file(path).map_err(|error| ApiError::storage(&error))?;
        Ok(Writing { file, bytes: 0, check: TextCheck::default(), text: Ok(()) })
    }

    fn push(mut self, piece: &[u8]) -> Result<Writing, ApiError> {
        self.file.write_all(piece).map_err(|error| ApiError::storage(&error))?;
        self.bytes += piece.len() as u64;
        if self.text.is_ok() {
            self.text = self.check.push(piece);
        }
        Ok(self)
    }

    /// Its length, durably, and whether it is text.
    fn finish(self) -> Result<(u64, Result<(), BadText>), ApiError> {
        self.file.sync_all().map_err(|error| ApiError::storage(&error))?;
        Ok((self.bytes, self.text.and_then(|()| self.check.finish())))
    }
}

/// A field that is no file.
async fn text(mut field: Field<'_>, name: &str) -> Result<String, ApiError> {
    let mut value = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error, LONGEST_FIELD as u64))? {
        value.extend_from_slice(&piece);
        if value.len() > LONGEST_FIELD {
            return Err(ApiError::too_large(format!(
                "the field `{name}` is longer than {LONGEST_FIELD} bytes"
            )));
        }
    }
    String::from_utf8(value).map_err(|_| ApiError::invalid(format!("the field `{name}` is not text")))
}

fn over(limit: u64) -> ApiError {
    ApiError::too_large(format!(
        "the file is larger than {limit} bytes; [daemon] max_file_mb in the config raises that"
    ))
    .param("file")
}

fn broken(error: &MultipartError, limit: u64) -> ApiError {
    match broken_off(error, limit) {
        told if told.status() != axum::http::StatusCode::BAD_REQUEST => told,
        _ => ApiError::invalid(format!("the form cannot be read: {}", error.body_text())),
    }
}
