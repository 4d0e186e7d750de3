//! A request body becomes a job: read and staged beside the owner of the store, which is then asked to
//! adopt it. The same way a second `overnight submit` goes, so there is one intake.
//!
//! What callers may not do is refused here, whatever the format: models they may not use, and tags that
//! would put their costs on someone else's account.
//!
//! Blocking.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::batches::Options;
use super::{ApiError, App, models};
use crate::cli::args::value::MomentArg;
use crate::cli::ask::{Ask, ask};
use crate::cli::error::CliError;
use crate::cli::queue::{Staged, unlimited_answers};
use crate::clock::{self, Timestamp};
use crate::control::Request;
use crate::input::{self, ClassUse, Judge, ReadError, Source, Summary};
use crate::job::{Class, Item, Job, JobId, Ladder, Wire};
use crate::store::StoreError;
use crate::store::files::FileStore;
use crate::tenant::Caller;

/// After a full disk it is worth trying again in so long.
const DISK_PAUSE: Duration = Duration::from_secs(30);

/// What is to become a job.
pub(super) struct Submission {
    /// Its name.
    pub(super) job: JobId,
    pub(super) caller: Caller,
    pub(super) options: Options,
    /// Unless the options name another; without either, the config's.
    pub(super) deadline: Option<Timestamp>,
    /// The format its lines are in; any, and mixed, where none is named.
    pub(super) wire: Option<Wire>,
    /// Knows what was sent again.
    pub(super) fingerprint: String,
    pub(super) source: Source,
}

/// What is wrong with what was sent, or a line of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineError {
    pub(super) code: String,
    pub(super) line: Option<u64>,
    pub(super) message: String,
    pub(super) param: Option<String>,
}

/// Why there is no job.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The request is at fault.
    Bad(Vec<LineError>),
    /// We are; the same may work later.
    Later(ApiError),
}

/// Reads and stages it; nothing is queued yet. Where `is_wanted` says no at the end, nothing is kept.
pub(super) fn stage(
    app: &App,
    submission: Submission,
    is_wanted: impl FnOnce() -> bool,
) -> Result<Option<Job>, NotTaken> {
    let Submission { job, caller, options, deadline, wire, fingerprint, source } = submission;
    let catalog = &app.config().catalog;
    let ask = asked(app, &caller, options, deadline, wire)?;
    let mut staged = Staged::new(FileStore::stage_beside(app.state_dir(), &job)?);
    let mut summary = read(app, source, &ask, &mut staged)?;
    summary.classes.iter_mut().for_each(|class| settle_auto(class, &ask));
    let classes = ask.classes(catalog, &summary.classes)?;
    check_models(&caller, &summary.classes, &classes)?;
    ask.check_routes(catalog, &summary.classes, &classes)?;
    let mut source = summary.source.clone();
    source.fingerprint = fingerprint;
    let job = Job {
        id: job,
        name: ask.name.clone(),
        submitted_at: ask.read.now,
        n_items: staged.n_items(),
        classes,
        class_of: staged.class_of(),
        copies: summary.copies.clone(),
        options: ask.options.clone(),
        source,
        retry_of: None,
    };
    unlimited_answers(&job, &summary, catalog)?;
    if !is_wanted() {
        return Ok(None);
    }
    staged.finish(&job)?;
    Ok(Some(job))
}

/// Has a staged job made permanent; durable when this returns.
pub(super) fn adopt(app: &App, job: &JobId) -> Result<(), ApiError> {
    app.ask_blocking(Request::Adopt { job: job.clone() }).map(drop)
}

/// What is asked of the job, as `submit` would have it, within what the caller may.
pub(super) fn asked(
    app: &App,
    caller: &Caller,
    options: Options,
    deadline: Option<Timestamp>,
    wire: Option<Wire>,
) -> Result<Ask, NotTaken> {
    let Options { mut flags, queue, check, max_attempts } = options;
    flags.deadline = flags.deadline.or(deadline.map(MomentArg::At));
    let mut ask = ask(&flags, &queue, app.config(), clock::now())?;
    ask.options.check = check.or_else(|| ask.options.check.take());
    ask.options.max_attempts = max_attempts.unwrap_or(ask.options.max_attempts);
    ask.options.tags.extend(caller.tags());
    if !ask.read.ladder_is_fixed {
        ask.read.class.ladder = allowed(caller, &ask.read.class.ladder);
    }
    ask.read.judge = judge(ask.read.judge.clone(), wire, caller.tags());
    Ok(ask)
}

/// Of the ladder of the config, what the caller may use.
fn allowed(caller: &Caller, ladder: &Ladder) -> Ladder {
    let steps =
        ladder.0.iter().map(|step| step.iter().filter(|model| caller.may_use(model)).cloned().collect());
    Ladder(steps.filter(|step: &Vec<String>| !step.is_empty()).collect())
}

/// What else a line must hold.
fn judge(usual: Judge, wire: Option<Wire>, fixed: BTreeMap<String, String>) -> Judge {
    Judge::new(move |item| {
        // Anthropic's and Gemini's batch lines name no URL, and fit any endpoint.
        let names_url = !matches!(item.wire, Wire::Messages | Wire::GenerateContent);
        if let Some(wire) = wire.filter(|&wire| names_url && item.wire != wire) {
            return Err(format!(
                "this is a request to {}, and the batch is of {}",
                item.wire.endpoint(),
                wire.endpoint()
            ));
        }
        let tags = item.options.iter().flat_map(|options| options.tags.keys());
        if let Some(key) = tags.into_iter().find(|key| fixed.contains_key(*key)) {
            return Err(format!("the tag `{key}` is set by your token"));
        }
        usual.judge(item)
    })
}

fn read(app: &App, source: Source, ask: &Ask, staged: &mut Staged) -> Result<Summary, NotTaken> {
    let most = app.config().daemon.max_requests;
    let mut failed = None;
    let mut sink = |item: Item| {
        let kept = match staged.n_items() < most {
            true => staged.push(&item).map_err(NotTaken::from),
            false => Err(NotTaken::Bad(vec![too_many(most)])),
        };
        kept.map_err(|error| {
            failed = Some(error);
            io::Error::other("not kept")
        })
    };
    let read = input::read(source, &ask.read, &mut sink, None);
    match failed {
        Some(error) => Err(error),
        None => read.map_err(NotTaken::from),
    }
}

/// `auto` is the ladder of the config.
fn settle_auto(class: &mut ClassUse, ask: &Ask) {
    if class.class.ladder.0 == [[models::AUTO]] {
        class.class.ladder = ask.read.class.ladder.clone();
    }
}

/// Whether the caller may use every model that is asked for, and there is one for every line.
fn check_models(caller: &Caller, uses: &[ClassUse], classes: &[Class]) -> Result<(), NotTaken> {
    for (used, class) in uses.iter().zip(classes).filter(|(used, _)| used.n_items > 0) {
        let forbidden = class.ladder.0.iter().flatten().find(|model| !caller.may_use(model));
        let message = match forbidden {
            Some(model) => format!("your token may not use {model}"),
            None if class.ladder.0.is_empty() => {
                "no model of the config may be used with your token".to_owned()
            }
            None => continue,
        };
        return Err(NotTaken::Bad(vec![LineError {
            code: "model_not_allowed".to_owned(),
            line: Some(used.first_line),
            message,
            param: Some("body.model".to_owned()),
        }]));
    }
    Ok(())
}

fn too_many(most: u32) -> LineError {
    LineError {
        code: "too_many_requests".to_owned(),
        line: Some(u64::from(most) + 1),
        message: format!(
            "more than {most} requests; split the file, or raise [daemon] max_requests in the config"
        ),
        param: None,
    }
}

impl From<CliError> for NotTaken {
    fn from(error: CliError) -> NotTaken {
        let message =
            std::iter::once(&error.message).chain(&error.details).cloned().collect::<Vec<_>>().join("; ");
        NotTaken::Bad(vec![LineError { code: error.code.to_owned(), line: None, message, param: None }])
    }
}

impl From<StoreError> for NotTaken {
    fn from(error: StoreError) -> NotTaken {
        NotTaken::Later(error.into())
    }
}

impl From<ApiError> for NotTaken {
    fn from(error: ApiError) -> NotTaken {
        NotTaken::Later(error)
    }
}

impl From<ReadError> for NotTaken {
    fn from(error: ReadError) -> NotTaken {
        let one = |code: &str, message: String| {
            NotTaken::Bad(vec![LineError { code: code.to_owned(), line: None, message, param: None }])
        };
        match error {
            ReadError::BadLines(bad) => {
                let more = bad.n_bad - bad.lines.len() as u64;
                let lines = bad.lines.into_iter().map(|line| LineError {
                    code: "invalid_request".to_owned(),
                    line: Some(line.line),
                    message: line.message,
                    param: None,
                });
                let rest = (more > 0).then(|| LineError {
                    code: "invalid_request".to_owned(),
                    line: None,
                    message: format!("and {more} more lines"),
                    param: None,
                });
                NotTaken::Bad(lines.chain(rest).collect())
            }
            ReadError::NoRequests(_) => one("no_requests", error.to_string()),
            ReadError::Unreadable { .. } | ReadError::Options(_) => one("invalid_file", error.to_string()),
            ReadError::Io { .. } | ReadError::Sink(_) => {
                NotTaken::Later(ApiError::unavailable(error.to_string(), DISK_PAUSE))
            }
        }
    }
}
