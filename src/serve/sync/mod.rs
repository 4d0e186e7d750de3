//! `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`: a request that waits for its answer.
//!
//! It goes through the queue like any other: a job of one item, with its checks, escalation, limits and
//! budgets, and its answer is read from its results. The header `x-overnight-deadline` (`30m`, `06:00`,
//! RFC 3339) says how long the client will wait; with it, the request may wait for a cheaper hour.
//! Without it, it is sent at once and given up after ten minutes, which is how long OpenAI's clients
//! wait. A client that leaves cancels its request.
//!
//! With `stream` the answer comes as events, all of it at its end, because it is checked first; until
//! then comments keep the connection alive. What ends before the first of them is told with its status, as
//! without a stream; later troubles come as an event with an `error`.

use std::future::Future;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use super::batches::Options;
use super::extract::RawJson;
use super::intake::{self, LineError, NotTaken, Submission};
use super::stream::Pieces;
use super::{ApiError, App, id};
use crate::cli::args::JobFlags;
use crate::clock::{self, Timestamp};
use crate::control::Request;
use crate::input::{FileKind, Source, Zone, when};
use crate::job::{JobId, When, Wire};
use crate::record::JobChange;
use crate::results::export::{self, Export, Format};
use crate::results::folder::Folder;
use crate::results::schema::Table;
use crate::results::select::{Filter, Link};
use crate::tenant::Caller;
use crate::view::JobView;

mod chunks;
mod responses;

/// How long a client will wait.
const DEADLINE: HeaderName = HeaderName::from_static("x-overnight-deadline");
/// The job that a request was.
const JOB_ID: HeaderName = HeaderName::from_static("x-overnight-job-id");
/// What it cost.
const COST: HeaderName = HeaderName::from_static("x-overnight-cost-usd");
/// Where the client does not say.
const USUAL_WAIT: Duration = Duration::from_secs(600);
/// How often it is looked whether the answer is there: often at first, then less.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// A stream without news says so often that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After the deadline the engine has a moment to say itself how the request ended.
const GRACE: Duration = Duration::from_secs(1);

/// The routes of this file.
pub(super) fn routes() -> Router<App> {
    let answers = |wire: Wire| {
        post(move |State(app): State<App>, caller: Caller, headers: HeaderMap, RawJson(body): RawJson| {
            answer(app, caller, wire, headers, body)
        })
    };
    [Wire::Chat, Wire::Responses, Wire::Embeddings]
        .into_iter()
        .fold(Router::new(), |routes, wire| routes.route(wire.endpoint(), answers(wire)))
}

async fn answer(
    app: App,
    caller: Caller,
    wire: Wire,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (deadline, when) = deadline(&headers)?;
    let peek = Peek::at(wire, &body)?;
    let line = line_of(wire, &body);
    let flags = JobFlags { when: Some(when), name: Some(wire.endpoint().to_owned()), ..JobFlags::default() };
    let options = Options { flags, ..Options::default() };
    let job = id::job_of(&id::batch()).expect("our own names are plain");
    let waiting = Waiting { app: app.clone(), job: Some(job.clone()), has_left: Arc::default() };
    let (staged, has_left) = (job.clone(), waiting.has_left.clone());
    app.blocking(move |app| {
        let open = Box::new(move || {
            let line = Box::new(Cursor::new(line.clone()));
            Ok(Source::from_reader("request", Some(FileKind::Jsonl), line)?)
        });
        let (deadline, wire, fingerprint) = (Some(deadline), Some(wire), staged.to_string());
        let submission = Submission { job: staged, caller, options, deadline, wire, fingerprint, open };
        submit(app, submission, &has_left)
    })
    .await?;
    let outcome = waiting.for_outcome(deadline + GRACE);
    match peek.stream {
        Some(true) => streamed(&job, outcome, peek.form(wire), KEEP_ALIVE).await,
        _ => outcome.await?.respond(),
    }
}

/// The answer as events, or its refusal where that is known before anything has to be said, at this pace.
async fn streamed(
    job: &JobId,
    outcome: impl Future<Output = Result<Outcome, ApiError>> + Send + 'static,
    form: Form,
    pace: Duration,
) -> Result<Response, ApiError> {
    let mut outcome = Box::pin(outcome);
    let headers = [(header::CONTENT_TYPE, "text/event-stream".to_owned()), (JOB_ID, job.to_string())];
    if let Ok(outcome) = timeout(pace, &mut outcome).await {
        let outcome = outcome?;
        return match outcome.is_good() {
            true => Ok((headers, outcome.cost(), events(Ok(outcome), form)).into_response()),
            false => outcome.respond(),
        };
    }
    let (sender, pieces) = Pieces::new();
    tokio::spawn(async move {
        while sender.send(Ok(Bytes::from_static(b":\n\n"))).await.is_ok() {
            tokio::select! {
                // What waits for the outcome cancels the request when it is dropped.
                () = sender.closed() => return,
                outcome = &mut outcome => {
                    let _ = sender.send(Ok(events(outcome, form).into())).await;
                    return;
                }
                () = sleep(pace) => {}
            }
        }
    });
    Ok((headers, Body::new(pieces)).into_response())
}

/// All that is said of an answer.
fn events(outcome: Result<Outcome, ApiError>, form: Form) -> String {
    let events = outcome.and_then(|outcome| {
        let body = outcome.answered()?.body.get();
        let events = match form {
            _ if !outcome.is_good() => Ok(chunks::event(body)),
            Form::Chat { with_usage } => chunks::of_chat(body, with_usage),
            Form::Responses => responses::of_response(body),
        };
        events.map_err(ApiError::internal)
    });
    events.unwrap_or_else(|error| chunks::event(&error.document().to_string()))
}

/// Until when a client waits, and whether it may wait for a cheaper hour.
fn deadline(headers: &HeaderMap) -> Result<(Timestamp, When), ApiError> {
    let now = clock::now();
    let Some(written) = headers.get(DEADLINE) else { return Ok((now + USUAL_WAIT, When::Asap)) };
    let wrong = |why: String| ApiError::invalid(why).param(DEADLINE.as_str());
    let written = written.to_str().map_err(|_| wrong("the deadline is not text".to_owned()))?;
    let deadline = when::deadline(written, now, Zone::Machine).map_err(|error| wrong(error.to_string()))?;
    Ok((deadline, When::Cheapest))
}

/// What of a body is ours to look at.
#[derive(Deserialize)]
struct Peek {
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    overnight: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// What events a stream is made of.
#[derive(Clone, Copy, Debug)]
enum Form {
    Chat { with_usage: bool },
    Responses,
}

impl Peek {
    fn at(wire: Wire, body: &[u8]) -> Result<Peek, ApiError> {
        let peek: Peek = serde_json::from_slice(body).map_err(|error| {
            ApiError::invalid(format!("the body cannot be read: {error}")).code("invalid_json")
        })?;
        if peek.stream == Some(true) && wire == Wire::Embeddings {
            return Err(ApiError::invalid("vectors are not streamed; leave `stream` out").param("stream"));
        }
        if peek.overnight.is_some() {
            let message = format!("options of a single request are headers: `{DEADLINE}`");
            return Err(ApiError::invalid(message).param("overnight"));
        }
        Ok(peek)
    }

    fn form(&self, wire: Wire) -> Form {
        let options = self.stream_options.as_ref();
        let with_usage = options.is_some_and(|options| options.include_usage == Some(true));
        if wire == Wire::Responses { Form::Responses } else { Form::Chat { with_usage } }
    }
}

/// The request as the only line of a job, its bytes as they were written.
fn line_of(wire: Wire, body: &[u8]) -> Vec<u8> {
    let head = format!(r#"{{"custom_id":"request","method":"POST","url":"{}","body":"#, wire.endpoint());
    // Outside of strings a line break is white space, and inside of them there is none.
    let flat = body.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte });
    head.into_bytes().into_iter().chain(flat).chain(*b"}").collect()
}

/// Queues it; durable when this returns.
fn submit(app: &App, submission: Submission, has_left: &AtomicBool) -> Result<(), ApiError> {
    match intake::stage(app, submission, || !has_left.load(Ordering::SeqCst)) {
        Ok(Some(job)) => {
            intake::adopt(app, &job.id)?;
            // Who left in between found no job to cancel.
            if has_left.load(Ordering::SeqCst) {
                app.ask_blocking(Request::Change { job: job.id, change: JobChange::Cancelled })?;
            }
            Ok(())
        }
        Ok(None) => Err(ApiError::invalid("the client left").code("client_left")),
        Err(NotTaken::Later(error)) => Err(error),
        Err(NotTaken::Bad(errors)) => {
            Err(errors.into_iter().next().map_or_else(|| ApiError::invalid("it cannot be read"), refusal))
        }
    }
}

/// What is wrong with a line, said of the request that is its body.
fn refusal(error: LineError) -> ApiError {
    let LineError { code, message, param, .. } = error;
    let refused = ApiError::invalid(message).code(code);
    match param.as_deref().map(|param| param.trim_start_matches("body.")) {
        Some(field) => refused.param(field),
        None => refused,
    }
}

/// A client that waits; when it leaves before the end, its request is cancelled.
struct Waiting {
    app: App,
    job: Option<JobId>,
    /// For whoever is just making its job.
    has_left: Arc<AtomicBool>,
}

impl Waiting {
    /// What came of it.
    async fn for_outcome(self, latest: Timestamp) -> Result<Outcome, ApiError> {
        let app = self.app.clone();
        let view = self.for_end(latest).await?;
        let job = view.job_id.clone();
        let line = app.blocking(move |app| line(app, &job)).await?;
        Ok(Outcome { view, line })
    }

    /// The job once it is over. A call that is on its way at the deadline is let end, but not waited for.
    async fn for_end(mut self, latest: Timestamp) -> Result<JobView, ApiError> {
        let (mut pause, longest) = LOOKS;
        let job = self.job.clone().expect("it is taken at the end only");
        loop {
            match self.app.view(&job).await? {
                Some(view) if view.finished_at.is_some() => {
                    self.job = None;
                    return Ok(view);
                }
                Some(_) if clock::now() > latest => return Err(too_late("the provider had not answered")),
                Some(_) => sleep(pause).await,
                None => return Err(ApiError::internal(format!("{job} is gone"))),
            }
            pause = (pause * 2).min(longest);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        self.has_left.store(true, Ordering::SeqCst);
        let app = self.app.clone();
        tokio::spawn(async move {
            // Over already is as good.
            let _ = app.change(&job, JobChange::Cancelled).await;
        });
    }
}

/// A request that is over.
struct Outcome {
    view: JobView,
    line: Line,
}

/// The only line of a job's results.
#[derive(Deserialize)]
struct Line {
    response: Option<Answered>,
    error: Option<Failed>,
}

#[derive(Deserialize)]
struct Answered {
    status_code: u16,
    body: Box<RawValue>,
}

#[derive(Deserialize)]
struct Failed {
    code: String,
    message: String,
}

fn line(app: &App, job: &JobId) -> Result<Line, ApiError> {
    let export = Export {
        chains: vec![vec![Link::all(job.clone())]],
        filter: Filter::default(),
        table: Table::Results,
        format: Format::OpenAiBatch,
    };
    let mut out = Vec::new();
    let folder = Folder::new(&app.config().results.dir);
    export::to_stream(&folder, &export, &mut out, clock::now()).map_err(ApiError::internal)?;
    serde_json::from_slice(&out).map_err(ApiError::internal)
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.line.response.as_ref().is_some_and(|answered| answered.status_code == 200)
    }

    fn cost(&self) -> [(HeaderName, String); 1] {
        [(COST, self.view.cost_usd.to_string())]
    }

    /// The provider's answer, or why there is none.
    fn answered(&self) -> Result<&Answered, ApiError> {
        if let Some(answered) = &self.line.response {
            return Ok(answered);
        }
        let (code, message) =
            self.line.error.as_ref().map_or(("internal", ""), |error| (&error.code, &error.message));
        let (status, message) = match code {
            "batch_expired" => return Err(too_late(message)),
            "batch_cancelled" => (StatusCode::CONFLICT, "the request was cancelled".to_owned()),
            _ => (StatusCode::BAD_GATEWAY, message.to_owned()),
        };
        Err(ApiError::new(status, message).code(code))
    }

    /// The provider's answer as it came, or why there is none.
    fn respond(&self) -> Result<Response, ApiError> {
        let Answered { status_code, body } = self.answered()?;
        let status = StatusCode::from_u16(*status_code).map_err(ApiError::internal)?;
        let headers =
            [(header::CONTENT_TYPE, "application/json".to_owned()), (JOB_ID, self.view.job_id.to_string())];
        Ok((status, headers, self.cost(), body.get().to_owned()).into_response())
    }
}

fn too_late(why: &str) -> ApiError {
    let message = format!("no answer before the deadline (the header {DEADLINE} sets it): {why}");
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, message).code("deadline")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::sync::oneshot;

    use super::*;

    /// A stream that has begun, and where its outcome is told.
    async fn begun() -> (Body, oneshot::Sender<Result<Outcome, ApiError>>) {
        let (tell, told) = oneshot::channel();
        let outcome = async { told.await.expect("it is told") };
        let (job, form) = (JobId::new("job_1"), Form::Responses);
        let response = streamed(&job, outcome, form, Duration::from_millis(1)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        (response.into_body(), tell)
    }

    fn on_a_runtime(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn a_stream_that_waits_says_that_it_lives_and_then_why_it_failed() {
        on_a_runtime(async {
            let (mut body, tell) = begun().await;
            for _ in 0..2 {
                let frame = body.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), ":\n\n");
            }
            tell.send(Err(ApiError::invalid("no such luck"))).ok().unwrap();
            let rest = body.collect().await.unwrap().to_bytes();
            let rest = String::from_utf8(rest.to_vec()).unwrap();
            let last = rest.trim_start_matches(":\n\n");
            assert!(last.starts_with("data: {\"error\":{") && last.contains("no such luck"), "{rest}");
        });
    }

    #[test]
    fn who_leaves_a_stream_is_not_answered() {
        on_a_runtime(async {
            let (body, mut tell) = begun().await;
            drop(body);
            tell.closed().await;
        });
    }
}
