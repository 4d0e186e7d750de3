//! `/v1/files`: OpenAI's Files API over the state folder.
//!
//! Uploads stream to disk and are kept byte for byte; downloads stream back.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::extract::{Query, refuse_packed};
use super::page::{Page, Paging};
use super::stream::Pieces;
use super::{ApiError, App, id};
use crate::store::files::FileStore;
use crate::tenant::Caller;

mod shelf;
mod text;
mod upload;

pub(super) use shelf::{Entry, Shelf};
pub(super) use upload::OUTPUT;

/// Beside the file itself, what a form may take.
const FORM: u64 = 64 << 10;
/// Read at once of a file that is being downloaded.
const PIECE: usize = 64 << 10;

/// The routes of this folder.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/files", get(list).post(create))
        // The upload counts for itself, with the limit of the config.
        .layer(DefaultBodyLimit::disable())
        .route("/v1/files/{id}", get(retrieve).delete(remove))
        .route("/v1/files/{id}/content", get(content))
}

/// A file as OpenAI shows it.
#[derive(Debug, Serialize)]
struct FileObject {
    id: String,
    object: &'static str,
    bytes: u64,
    created_at: i64,
    expires_at: Option<i64>,
    filename: String,
    purpose: String,
    status: &'static str,
    status_details: Option<String>,
}

impl FileObject {
    fn of(entry: &Entry) -> FileObject {
        FileObject {
            id: entry.id.clone(),
            object: "file",
            bytes: entry.bytes,
            created_at: super::seconds(entry.created_at),
            expires_at: entry.expires_at.map(super::seconds),
            filename: entry.filename.clone(),
            purpose: entry.purpose.clone(),
            status: "processed",
            status_details: None,
        }
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Json<FileObject>, ApiError> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    refuse_packed(header(CONTENT_ENCODING).unwrap_or_default())?;
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    let limit = app.config().daemon.max_file;
    if announced > limit + FORM {
        return Err(ApiError::too_large(format!(
            "the upload is larger than {limit} bytes; [daemon] max_file_mb in the config raises that"
        ))
        .param("file"));
    }
    let form = form.map_err(|error| ApiError::invalid(format!("send a form: {}", error.body_text())))?;
    app.blocking(move |app| Ok(FileStore::check_room_beside(app.state_dir(), announced, 0)?)).await?;
    Ok(Json(FileObject::of(&*upload::upload(&app, &caller, form).await?)))
}

#[derive(Debug, Deserialize)]
struct Listing {
    after: Option<String>,
    limit: Option<usize>,
    order: Option<String>,
    purpose: Option<String>,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(Listing { after, limit, order, purpose }): Query<Listing>,
) -> Result<Json<Page<FileObject>>, ApiError> {
    let page = app.files()?.page(&caller, &Paging { after, limit, order }, purpose.as_deref())?;
    Ok(Json(page.map(|entry| FileObject::of(&entry))))
}

async fn retrieve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<FileObject>, ApiError> {
    Ok(Json(FileObject::of(&*found(&app, &caller, &id)?)))
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    found(&app, &caller, &id)?;
    let answer = json!({ "id": id, "object": "file", "deleted": true });
    app.blocking(move |app| app.files()?.remove(&id).map_err(|error| ApiError::storage(&error))).await?;
    Ok(Json(answer))
}

async fn content(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let entry = found(&app, &caller, &id)?;
    let path = app.files()?.path(&id);
    let file = app.blocking(move |_| open(path)).await?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, entry.bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.jsonl\"")),
    ];
    Ok((headers, Body::new(pieces(app, file))).into_response())
}

fn found(app: &App, caller: &Caller, id: &str) -> Result<Arc<Entry>, ApiError> {
    let found = if id::is_file(id) { app.files()?.get(caller, id) } else { None };
    found.ok_or_else(|| ApiError::not_found("file", id).param("file_id"))
}

fn open(path: PathBuf) -> Result<File, ApiError> {
    File::open(path).map_err(|error| ApiError::storage(&error))
}

/// A file, read as its client takes it; no thread waits for one.
fn pieces(app: App, mut file: File) -> Pieces {
    let (sender, pieces) = Pieces::new();
    tokio::spawn(async move {
        loop {
            let read = app.blocking(move |_| Ok((next_piece(&mut file), file))).await;
            let (piece, rest) = match read {
                Ok((Ok(None), _)) => return,
                Ok((Ok(Some(piece)), rest)) => (piece, rest),
                Ok((Err(error), _)) => return drop(sender.send(Err(error)).await),
                Err(error) => {
                    return drop(sender.send(Err(io::Error::other(error.message().to_owned()))).await);
                }
            };
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
            file = rest;
        }
    });
    pieces
}

fn next_piece(file: &mut File) -> io::Result<Option<Bytes>> {
    let mut piece = vec![0; PIECE];
    let n = file.read(&mut piece)?;
    piece.truncate(n);
    Ok((n > 0).then(|| Bytes::from(piece)))
}
