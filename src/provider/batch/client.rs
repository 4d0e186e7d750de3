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
use super::dialect::{self, Address, Dialect, Post, Seen};
use super::draft::Draft;
use super::exchange::{Answer, Failed, start};
use super::why;
use crate::attempt::{Outcome, Refusal, RefusalKind};
use crate::batch::{
    AskError, BatchRef, CreateError, Cursor, Found, Line, LineId, Mark, ResultsAt, Search, Status, Why, pause,
};
use crate::catalog::Route;
use crate::catalog::batch::{BatchApi, BatchDialect, FoundBy};
use crate::clock::{self, Timestamp};
use crate::input::edit::{self, Edit};
use crate::input::scan::check_object;
use crate::job::{Item, Wire};
use crate::provider::http::HttpProvider;
use crate::provider::response::Response;

/// A batch may have been made a little before we think, by the provider's clock.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// Pages of a list that are looked through; a hundred batches each.
const MOST_PAGES: usize = 100;

/// Lines of results that are read to see whose a batch is.
const LINES_LOOKED_AT: usize = 16;

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
        let post = self.dialect().create(&order, self.api, file.as_deref());
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

    /// Looks for a batch whose creation was never answered; see the rules of this module.
    pub async fn find(&self, search: &Search) -> Result<Found, AskError> {
        let (mut exact, mut perhaps, mut page) = (Vec::new(), Vec::new(), None);
        let oldest = search.since - CLOCK_SKEW;
        for _ in 0..MOST_PAGES {
            let list = self.dialect().list(&search.order, self.api, page.as_deref());
            let answer = self.get(&list, search.order.wire).await?;
            let (seen, next) = self.dialect().listed(&answer, page.as_deref());
            let rest_is_older = is_newest_first(&seen) && seen.iter().all(|batch| is_older(batch, oldest));
            for batch in seen {
                if is_older(&batch, oldest) || search.known.contains(&batch.id) {
                    continue;
                }
                let found =
                    BatchRef { id: batch.id.clone(), mark: search.order.mark, wire: search.order.wire };
                match self.is_it(&batch, search).await? {
                    Some(true) => exact.push(found),
                    None => perhaps.push(found),
                    Some(false) => {}
                }
            }
            page = next.filter(|_| !rest_is_older);
            if page.is_none() {
                break;
            }
        }
        if page.is_some() && exact.is_empty() {
            // Not having looked everywhere must not pass for "nothing".
            return Err(AskError::Broken(format!("the list of batches has more than {MOST_PAGES} pages")));
        }
        Ok(match (exact.len(), perhaps.is_empty()) {
            (1, _) => Found::This(exact.remove(0)),
            (2.., _) => Found::Several(exact),
            (0, false) => Found::Perhaps(perhaps),
            (0, true) => Found::Nothing,
        })
    }

    /// How a batch stands.
    pub async fn poll(&self, batch: &BatchRef) -> Result<Status, AskError> {
        let answer = self.get(&self.dialect().one(&batch.id), batch.wire).await?;
        self.status(batch, &answer)
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

    fn status(&self, batch: &BatchRef, answer: &Value) -> Result<Status, AskError> {
        let seen = self.dialect().read(answer).ok_or_else(|| {
            AskError::Broken(format!("no batch is described by {}", start(answer.to_string().as_bytes())))
        })?;
        let age = seen.made_at.map(|made_at| clock::now().since(made_at)).unwrap_or_default();
        Ok(Status {
            batch: batch.clone(),
            look_again: if seen.state.has_ended() { Duration::ZERO } else { pause(age) },
            state: seen.state,
            counts: seen.counts,
            made_at: seen.made_at,
            expires_at: seen.expires_at,
            results: seen.results,
        })
    }

    /// Whether a batch is the one that is looked for; `None` where it cannot be told yet.
    async fn is_it(&self, batch: &Seen, search: &Search) -> Result<Option<bool>, AskError> {
        let mark = search.order.mark;
        match self.api.found_by {
            FoundBy::Mark => Ok(Some(batch.mark == Some(mark))),
            FoundBy::FileName => {
                let Some(file) = &batch.input_file else { return Ok(Some(false)) };
                match self.get(&Address::new(format!("/files/{file}")), search.order.wire).await {
                    Ok(about) => Ok(Some(about["filename"].as_str() == Some(&format!("{mark}.jsonl")))),
                    // Its file was deleted, and with it the name.
                    Err(AskError::Gone(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            // Its lines say it for certain; what it counts of them when it is over may be wrong.
            FoundBy::Lines if batch.state.has_ended() => self.bears(batch, search).await,
            FoundBy::Lines if ![0, search.len].contains(&batch.counts.total) => Ok(Some(false)),
            FoundBy::Lines => Ok(None),
        }
    }

    /// Whether the first lines of a batch's results have our mark. One without any proves little: lines of
    /// somebody else have been seen among ours.
    async fn bears(&self, batch: &Seen, search: &Search) -> Result<Option<bool>, AskError> {
        let found = BatchRef { id: batch.id.clone(), mark: search.order.mark, wire: search.order.wire };
        let mut results = Collecting::new(*self, found, batch.results.clone(), Cursor::default());
        for _ in 0..LINES_LOOKED_AT {
            match results.next().await {
                Ok(Some(Line { id: LineId::Ours(_), .. })) => return Ok(Some(true)),
                Ok(Some(Line { id: LineId::Foreign(id), .. })) if Mark::of_line(&id).is_some() => {
                    return Ok(Some(false));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(AskError::Gone(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
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

    /// Where results inside a batch's description are.
    pub(super) fn address_of(&self, source: &ResultsAt, batch: &BatchRef) -> Address {
        match source {
            ResultsAt::Address(address) => Address::new(address.clone()),
            ResultsAt::Inline => self.dialect().one(&batch.id),
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

/// Whether later pages can only hold older batches. Not every copy of an API keeps its order.
fn is_newest_first(page: &[Seen]) -> bool {
    let made_at = |batch: Option<&Seen>| batch.and_then(|batch| batch.made_at);
    matches!((made_at(page.first()), made_at(page.last())), (Some(first), Some(last)) if first > last)
}

fn is_older(batch: &Seen, than: Timestamp) -> bool {
    batch.made_at.is_some_and(|made_at| made_at < than)
}
