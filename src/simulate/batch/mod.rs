//! The batch APIs of the simulated provider: files, batches and their results, over HTTP.
//!
//! | path | what |
//! |---|---|
//! | `/v1/files`, `/v1/batches` | as OpenAI has them; with `requests` inside, as OpenRouter has them |
//! | `/v1/messages/batches` | as Anthropic has them |
//! | `/v1/batch/jobs` | as Mistral has them, over the same files |
//! | `/xai/v1/files`, `/xai/v1/batches` | as xAI has them; the rest of its API is there too |
//! | `/v1beta/models/MODEL:batchGenerateContent`, `/v1beta/batches`, `/upload/v1beta/files` | as Gemini has them |
//! | `GET /sim/batches` | every batch, as JSON lines |
//! | `GET /sim/files` | what lies there of batches and was not deleted, as JSON lines |
//! | `POST /sim/clock` | `{"pass_seconds": 600}`: the clock of batches goes forward |
//!
//! Shell.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, RANGE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::service::{ResetNow, json, key, refuse_in, to_json, with_body};
use super::socket::{Sent, Switch};
use crate::catalog::batch::BatchDialect;
use crate::clock;
use crate::job::Wire;
use crate::provider::simulated::Refusal;
use crate::provider::simulated::batch::{ANSWERS, Batch, BatchFault, BatchOrder, Delivery, ERRORS, Lies};

mod gemini;
mod page;
mod place;
mod read;
mod write;
mod xai;

use page::{LARGEST_PAGE_OF_RESULTS, Page};
use place::{Content, Place};
use write::Part;

/// Answers a request, where it is a matter of batches.
pub(super) fn respond(
    shared: &Shared,
    switch: &Switch,
    parts: &Parts,
    body: &Bytes,
) -> Option<Result<Response<Sent>, ResetNow>> {
    match parts.uri.path() {
        "/sim/batches" => return Some(Ok(json(books(shared)))),
        "/sim/files" => return Some(Ok(json(lines(shared.lock().left(clock::now()))))),
        "/sim/clock" => return Some(Ok(put_forward(shared, body))),
        _ => {}
    }
    let place = place::place(&parts.method, parts.uri.path())?;
    let wire = wire(&place);
    let desk = Desk { shared, parts, body, key: key(&parts.headers) };
    Some(match desk.serve(place) {
        Ok(Reply::Is(response)) => Ok(response),
        Ok(Reply::Lost) => {
            switch.reset();
            Err(ResetNow)
        }
        Err(refusal) => Ok(refuse_in(wire, &refusal)),
    })
}

enum Reply {
    Is(Response<Sent>),
    /// It is done, and the client does not hear of it.
    Lost,
}

/// A request at its place.
struct Desk<'a> {
    shared: &'a Shared,
    parts: &'a Parts,
    body: &'a Bytes,
    key: &'a str,
}

impl Desk<'_> {
    fn serve(&self, place: Place) -> Result<Reply, Refusal> {
        self.shared.lock().let_in(clock::now(), self.key)?;
        match place {
            Place::Upload(dialect) => self.upload(dialect),
            Place::File(number) => {
                let shop = self.shared.lock();
                let file = shop.file(self.key, number).ok_or_else(|| self.nothing())?;
                Ok(Reply::Is(json(to_json(&write::file(BatchDialect::OpenAi, number, file)))))
            }
            Place::Files(dialect) => {
                let files = write::files(dialect, self.shared.lock().files(self.key));
                Ok(Reply::Is(json(to_json(&files))))
            }
            Place::Content(dialect, content) => self.content(dialect, content),
            Place::Create(dialect, model) => self.create(dialect, model.as_deref()),
            Place::List(dialect) => Ok(Reply::Is(json(self.list(dialect)))),
            Place::One(_, number) => self.one(number),
            Place::Cancel(dialect, number) => {
                let mut shop = self.shared.lock();
                let batch =
                    shop.cancel_batch(clock::now(), self.key, number).ok_or_else(|| self.nothing())?;
                Ok(Reply::Is(match dialect {
                    BatchDialect::Gemini => json("{}"),
                    _ => json(write::batch(batch, &self.base(), false)),
                }))
            }
            Place::DeleteFile(dialect, content) => {
                let part = match content {
                    Content::Uploaded(number) => Lies::Input(number),
                    Content::Output(number) | Content::Results(number) => Lies::Results(number, ANSWERS),
                    Content::Errors(number) => Lies::Results(number, ERRORS),
                };
                self.delete(dialect, part)
            }
            Place::DeleteBatch(dialect, number) => self.delete(dialect, Lies::Batch(number)),
        }
    }

    fn delete(&self, dialect: BatchDialect, what: Lies) -> Result<Reply, Refusal> {
        let is_gone = self.shared.lock().delete(clock::now(), self.key, what);
        let name = self.parts.uri.path().rsplit('/').next().unwrap_or_default();
        is_gone
            .then(|| Reply::Is(json(to_json(&write::deleted(dialect, name)))))
            .ok_or_else(|| self.nothing())
    }

    fn upload(&self, dialect: BatchDialect) -> Result<Reply, Refusal> {
        let kind = self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let (name, purpose, bytes) =
            read::upload(kind.unwrap_or_default(), self.body).map_err(Refusal::invalid)?;
        let mut shop = self.shared.lock();
        let number = shop.keep_file(clock::now(), self.key, &name, &purpose, bytes);
        let file = shop.file(self.key, number).ok_or_else(|| self.nothing())?;
        Ok(Reply::Is(json(to_json(&write::file(dialect, number, file)))))
    }

    fn create(&self, dialect: BatchDialect, model: Option<&str>) -> Result<Reply, Refusal> {
        if dialect == BatchDialect::Anthropic && !self.parts.headers.contains_key("anthropic-version") {
            return Err(Refusal::invalid("anthropic-version: header is required".to_owned()));
        }
        let order = self.order(dialect, model).map_err(Refusal::invalid)?;
        let is_openrouter = order.dialect == BatchDialect::OpenRouter;
        let mut shop = self.shared.lock();
        let batch = shop.order_batch(clock::now(), self.key, order)?;
        if batch.faults.contains(&BatchFault::LostCreate) {
            return Ok(Reply::Lost);
        }
        let mut response = json(write::batch(batch, &self.base(), false));
        if is_openrouter {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        Ok(Reply::Is(response))
    }

    fn order(&self, dialect: BatchDialect, model: Option<&str>) -> Result<BatchOrder, String> {
        let shop = self.shared.lock();
        let file = |id: &str| shop.file(self.key, place::number(id)?);
        match dialect {
            BatchDialect::Gemini => read::gemini(model.unwrap_or_default(), self.body, file),
            BatchDialect::Anthropic => read::inline(dialect, self.body),
            BatchDialect::OpenAi if memchr::memmem::find(self.body, b"\"requests\"").is_some() => {
                read::inline(BatchDialect::OpenRouter, self.body)
            }
            _ => read::over_file(dialect, self.body, file),
        }
    }

    fn list(&self, dialect: BatchDialect) -> Vec<u8> {
        let also = match dialect {
            BatchDialect::OpenAi => BatchDialect::OpenRouter,
            other => other,
        };
        let mut shop = self.shared.lock();
        let all = shop.list_batches(clock::now(), self.key, &[dialect, also]);
        let page = Page::of(dialect, self.parts.uri.query().unwrap_or_default(), &all);
        let shown = &all[page.from..page.until];
        write::list(shown, dialect, page.next.as_deref(), &self.base())
    }

    fn one(&self, number: u64) -> Result<Reply, Refusal> {
        let mut shop = self.shared.lock();
        let batch = shop.batch(clock::now(), self.key, number).ok_or_else(|| self.nothing())?;
        let inline = match batch.order.dialect {
            BatchDialect::OpenRouter => true,
            BatchDialect::Gemini => batch.order.input_file.is_none(),
            _ => false,
        };
        let delivery = match inline && batch.has_results() {
            true => shop.deliver_inline(number),
            false => Delivery::Whole,
        };
        let batch = shop.batch(clock::now(), self.key, number).ok_or_else(|| self.nothing())?;
        let text = write::batch(batch, &self.base(), delivery != Delivery::NotYet);
        Ok(Reply::Is(match delivery {
            Delivery::Cut => with_body("application/json", Sent::half(text)),
            _ => json(text),
        }))
    }

    fn content(&self, dialect: BatchDialect, content: Content) -> Result<Reply, Refusal> {
        let mut shop = self.shared.lock();
        let (number, part, index) = match content {
            Content::Uploaded(number) => {
                let file = shop.file(self.key, number).ok_or_else(|| self.nothing())?;
                return Ok(Reply::Is(self.download(&file.bytes, Delivery::Whole)));
            }
            Content::Output(number) => (number, Part::Answers, ANSWERS),
            Content::Errors(number) => (number, Part::Errors, ERRORS),
            Content::Results(number) => (number, Part::All, ANSWERS),
        };
        let batch = shop.batch(clock::now(), self.key, number).filter(|batch| batch.has_file(index));
        let batch = batch.ok_or_else(|| self.nothing())?;
        if dialect == BatchDialect::Xai {
            let page = Page::of_results(self.parts.uri.query().unwrap_or_default(), batch.results.len());
            let text = xai::results(batch, &page);
            // Each page is a download of its own.
            let index = u8::try_from(page.from / LARGEST_PAGE_OF_RESULTS).unwrap_or(u8::MAX);
            return match shop.deliver(number, index) {
                Delivery::NotYet => Err(self.nothing()),
                Delivery::Cut => Ok(Reply::Is(with_body("application/json", Sent::half(text)))),
                Delivery::Whole => Ok(Reply::Is(json(text))),
            };
        }
        let lines = write::lines(batch, part);
        match shop.deliver(number, index) {
            Delivery::NotYet => Err(self.nothing()),
            delivery => Ok(Reply::Is(self.download(&lines.into(), delivery))),
        }
    }

    /// Bytes from where the client wants them on.
    fn download(&self, bytes: &Bytes, delivery: Delivery) -> Response<Sent> {
        let range = self.parts.headers.get(RANGE).and_then(|value| value.to_str().ok());
        let from =
            range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let rest = match from {
            Some(from) if from >= bytes.len() => {
                let mut response = with_body("application/octet-stream", Sent::whole(""));
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return response;
            }
            Some(from) => bytes.slice(from..),
            None => bytes.clone(),
        };
        let sent = if delivery == Delivery::Cut { Sent::half(rest) } else { Sent::whole(rest) };
        let mut response = with_body("application/octet-stream", sent);
        if from.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }

    /// Where the client reaches us.
    fn base(&self) -> String {
        let host = self.parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        format!("http://{host}")
    }

    fn nothing(&self) -> Refusal {
        Refusal::no_path(self.parts.method.as_str(), self.parts.uri.path())
    }
}

/// The family whose errors are spoken at a place.
fn wire(place: &Place) -> Wire {
    match place {
        Place::Upload(dialect)
        | Place::Files(dialect)
        | Place::Content(dialect, _)
        | Place::Create(dialect, _)
        | Place::List(dialect)
        | Place::One(dialect, _)
        | Place::Cancel(dialect, _)
        | Place::DeleteFile(dialect, _)
        | Place::DeleteBatch(dialect, _) => match dialect {
            BatchDialect::Anthropic => Wire::Messages,
            BatchDialect::Gemini => Wire::GenerateContent,
            BatchDialect::OpenAi | BatchDialect::Mistral | BatchDialect::OpenRouter | BatchDialect::Xai => {
                Wire::Chat
            }
        },
        Place::File(_) => Wire::Chat,
    }
}

/// Every batch, one a line.
pub(super) fn books(shared: &Shared) -> Vec<u8> {
    lines(shared.lock().all_batches(clock::now()).iter().map(Batch::out))
}

fn lines(values: impl IntoIterator<Item = impl Serialize>) -> Vec<u8> {
    let line = |value| [to_json(&value), b"\n".to_vec()].concat();
    values.into_iter().flat_map(line).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forward {
    pass_seconds: u64,
}

fn put_forward(shared: &Shared, body: &[u8]) -> Response<Sent> {
    match serde_json::from_slice::<Forward>(body) {
        Ok(Forward { pass_seconds }) => {
            shared.lock().pass(std::time::Duration::from_secs(pass_seconds));
            json("{\"ok\":true}")
        }
        Err(error) => refuse_in(Wire::Chat, &Refusal::invalid(format!("cannot read the time: {error}"))),
    }
}
