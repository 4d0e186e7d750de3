//! [`Batches`]: one account's batches, over HTTP.
//!
//! The rule it protects: what is known of a batch that was asked for is never said to be more than it
//! is. Only creating is not harmless when it is repeated, so only its errors tell "there is none" from
//! "there may be one".
//!
//! Shell.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::collect::Collecting;
use super::dialect::{self, Dialect, Post, Seen};
use super::draft::Draft;
use super::exchange::{Answer, Failed, start};
use super::why;
use crate::attempt::{Outcome, Refusal, RefusalKind};
use crate::batch::{AskError, BatchRef, CreateError, Cursor, Order, Status, Why, pause};
use crate::catalog::Route;
use crate::catalog::batch::{BatchApi, BatchDialect};
use crate::clock;
use crate::input::edit::{self, Edit};
use crate::input::scan::check_object;
use crate::job::{Item, Wire};
use crate::provider::http::HttpProvider;
use crate::provider::response::Response;

/// A batch whose age is not known is looked at every minute.
const UNKNOWN_AGE: Duration = Duration::from_secs(8 * 60);

/// The batches of one account.
#[derive(Clone, Copy, Debug)]
pub struct Batches<'a> {
    pub(super) provider: &'a HttpProvider,
    pub(super) api: &'a BatchApi,
}

impl HttpProvider {
    /// Its batches; `None` where it takes none that we know of.
    pub fn batches(&self) -> Option<Batches<'_>> {
        let api = self.endpoint.quirks.batch.as_ref()?;
        Some(Batches { provider: self, api })
    }
}

impl<'a> Batches<'a> {
    /// What the provider takes.
    pub fn api(&self) -> &'a BatchApi {
        self.api
    }

    /// The request of an item on a route as it goes into a batch, and its format; an error says why it
    /// cannot.
    pub fn request(&self, item: &Item, route: &Route) -> Result<(Wire, Bytes), String> {
        let (wire, body) = self.provider.request(item, route)?;
        if !self.api.dialect.takes(wire) {
            return Err("its batches do not take this kind of request".to_owned());
        }
        // The job names the model there, and a second name beside it is refused.
        if self.api.dialect == BatchDialect::Mistral {
            let object =
                check_object(&body).map_err(|fault| format!("the body cannot be read: {}", fault.what))?;
            return Ok((wire, edit::apply(object, &[Edit::Remove("model")]).into()));
        }
        Ok((wire, body))
    }

    /// Makes a batch of a draft. Its intent must be durable; what comes of it is in [`CreateError`].
    pub async fn create(&self, draft: &mut Draft) -> Result<BatchRef, CreateError> {
        let order = draft.order().clone();
        let file = match self.dialect().upload(&order, self.api, draft.most_bytes()) {
            Some(post) => Some(self.upload(draft, &post).await?),
            None => None,
        };
        let made = self.make(draft, &order, file.as_deref()).await;
        if let (Err(CreateError::NotCreated { .. }), Some(file)) = (&made, &file) {
            self.discard(file, order.wire).await;
        }
        made
    }

    async fn make(
        &self,
        draft: &mut Draft,
        order: &Order,
        file: Option<&str>,
    ) -> Result<BatchRef, CreateError> {
        let post = self.dialect().create(order, self.api, file);
        let answer = match self.post(draft, &post).await {
            Ok(answer) => answer,
            Err(Failed::NotSent(message)) => return Err(not_created(Why::NotSent, message)),
            Err(Failed::Broken(message)) => return Err(CreateError::Unknown(message)),
        };
        if !answer.is_success() {
            return Err(self.refused_creation(answer, order.wire));
        }
        match answer.json().and_then(|batch| self.dialect().read(&batch)) {
            Some(seen) => Ok(BatchRef { id: seen.id, mark: order.mark, wire: order.wire }),
            None => Err(CreateError::Unknown(format!("no batch is described by {}", answer.start()))),
        }
    }

    /// How a batch stands.
    pub async fn poll(&self, batch: &BatchRef) -> Result<Status, AskError> {
        let answer = self.get(&self.dialect().one(&batch.id), batch.wire).await?;
        Ok(Self::status(batch, self.read(&answer)?))
    }

    /// Gives a batch up. It goes on for a while, and what it has done by then is billed.
    pub async fn cancel(&self, batch: &BatchRef) -> Result<(), AskError> {
        let post = Post::plain(self.dialect().cancel(&batch.id), &Value::Object(Default::default()));
        let answer = self.post_plain(&post).await.map_err(Failed::into_ask)?;
        if answer.is_success() { Ok(()) } else { Err(self.refused(answer, batch.wire)) }
    }

    /// The results of a batch that has ended, from the cursor on.
    pub fn collect(&self, status: &Status, from: Cursor) -> Collecting<'a> {
        Collecting::new(*self, status.batch.clone(), status.results.clone(), from)
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        dialect::of(self.api.dialect)
    }

    /// A batch as it is described.
    pub(super) fn read(&self, answer: &Value) -> Result<Seen, AskError> {
        self.dialect().read(answer).ok_or_else(|| {
            AskError::Broken(format!("no batch is described by {}", start(answer.to_string().as_bytes())))
        })
    }

    fn status(batch: &BatchRef, seen: Seen) -> Status {
        let now = clock::now();
        // Of some only the day is known, and what is known of it may lie ahead.
        let made_at = seen.made_at.filter(|made_at| *made_at <= now);
        let age = made_at.map_or(UNKNOWN_AGE, |made_at| now.since(made_at));
        Status {
            batch: batch.clone(),
            look_again: if seen.state.has_ended() { Duration::ZERO } else { pause(age) },
            state: seen.state,
            counts: seen.counts,
            made_at,
            expires_at: seen.expires_at,
            results: seen.results,
        }
    }

    async fn upload(&self, draft: &mut Draft, post: &Post) -> Result<String, CreateError> {
        let order = draft.order().clone();
        let answer = self.post(draft, post).await.map_err(|failed| {
            // A file that may lie there unused is no batch.
            let (Failed::NotSent(message) | Failed::Broken(message)) = failed;
            not_created(Why::NotSent, message)
        })?;
        if !answer.is_success() {
            return Err(match self.refused(answer, order.wire) {
                AskError::Refused(refusal) => of_refusal(&refusal),
                AskError::Broken(message) => not_created(Why::NotSent, message),
                AskError::Gone(message) => not_created(Why::NoBatches, message),
            });
        }
        let file = answer.json().and_then(|answer| self.dialect().uploaded(&answer));
        file.ok_or_else(|| not_created(Why::NotSent, format!("no file is named by {}", answer.start())))
    }

    /// A refusal to make a batch. A server that failed may have made it before it did.
    fn refused_creation(&self, answer: Answer, wire: Wire) -> CreateError {
        let status = answer.status;
        match self.refused(answer, wire) {
            AskError::Refused(refusal) if refusal.kind == RefusalKind::Server && status >= 500 => {
                CreateError::Unknown(refusal.message)
            }
            AskError::Refused(refusal) => of_refusal(&refusal),
            AskError::Gone(message) => not_created(Why::NoBatches, message),
            AskError::Broken(message) => CreateError::Unknown(message),
        }
    }

    /// What a response inside a line means.
    pub(super) fn read_line(
        &self,
        status: u16,
        request_id: Option<&str>,
        body: Bytes,
        wire: Wire,
    ) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(id) = request_id.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert("x-request-id", id);
        }
        self.provider.read(&Response { status, headers: &headers, body }, wire, clock::now())
    }

    /// Takes the account's keys out of what the provider says.
    pub(super) fn scrub(&self, bytes: Vec<u8>) -> Bytes {
        self.provider.scrubber.body(bytes.into())
    }

    pub(super) fn broken(&self, error: &reqwest::Error) -> AskError {
        AskError::Broken(self.provider.describe(error))
    }
}

fn not_created(why: Why, message: String) -> CreateError {
    CreateError::NotCreated { why, message, retry_after: None }
}

fn of_refusal(refusal: &Refusal) -> CreateError {
    CreateError::NotCreated {
        why: why::refused(refusal),
        message: refusal.message.clone(),
        retry_after: refusal.retry_after,
    }
}
