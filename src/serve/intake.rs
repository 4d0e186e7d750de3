//! A request body becomes a job: read and staged beside the owner of the store, which is then asked to
//! adopt it. The same way a second `overnight submit` goes, so there is one intake.
//!
//! What callers may not do is refused here, whatever the format: models they may not use, and tags that
//! would put their costs on someone else's account.
//!
//! Blocking.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::batches::Options;
use super::{ApiError, App, models};
use crate::catalog::ladder::AUTO;
use crate::catalog::{Catalog, Route};
use crate::cli::args::value::MomentArg;
use crate::cli::ask::{Ask, ask};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::queue::{Staged, unlimited_answers};
use crate::clock::{self, Timestamp};
use crate::config::Config;
use crate::control::Request;
use crate::input::{self, ClassUse, Judge, ReadError, Source, Summary};
use crate::job::{Class, Item, Job, JobId, Ladder, Wire};
use crate::provider::translate;
use crate::store::StoreError;
use crate::store::files::FileStore;
use crate::tenant::Caller;

/// After a full disk it is worth trying again in so long.
const DISK_PAUSE: Duration = Duration::from_secs(30);

/// Where a line names its model.
const MODEL: &str = "body.model";

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
    /// Gives it from its beginning; it is read twice.
    pub(super) open: Box<dyn Fn() -> Result<Source, NotTaken>>,
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
    let Submission { job, caller, options, deadline, wire, fingerprint, open } = submission;
    let config = app.config();
    let mut ask = asked(&config, &caller, options, deadline, wire)?;
    let classes = survey(&config, open()?, &ask, &caller)?;
    ask.read.judge = fitting(&config.catalog, ask.read.judge.clone(), &classes, ask.read.now);
    let mut staged = Staged::new(FileStore::stage_beside(app.state_dir(), &job)?);
    let summary = read(&config, open()?, &ask, &mut |item| Ok(staged.push(item)?))?;
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
    unlimited_answers(&job, &summary, &config.catalog)?;
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
    config: &Config,
    caller: &Caller,
    options: Options,
    deadline: Option<Timestamp>,
    wire: Option<Wire>,
) -> Result<Ask, NotTaken> {
    let Options { mut flags, queue, check, max_attempts } = options;
    flags.deadline = flags.deadline.or(deadline.map(MomentArg::At));
    // The usual ladder is the one without a name, cut to what the caller may use.
    flags.models.retain(|step| step.0 != [AUTO]);
    let told = |error: CliError| match error.exit {
        Exit::NoRoute => error.detail(models::there_are(config, caller)),
        _ => error,
    };
    let mut ask = ask(&flags, &queue, config, clock::now()).map_err(told)?;
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

/// What models the lines ask for, and whether the caller may have them: known only once all are read, and
/// needed to say of each line whether they can do what it asks.
fn survey(config: &Config, source: Source, ask: &Ask, caller: &Caller) -> Result<Vec<Class>, NotTaken> {
    let mut summary = read(config, source, ask, &mut |_| Ok(()))?;
    let mut bad = Vec::new();
    let mut classes = Vec::with_capacity(summary.classes.len());
    for used in &mut summary.classes {
        settle_auto(used, ask);
        match settle(&config.catalog, ask, caller, used) {
            Ok(class) => classes.push(class),
            Err(error) => bad.push(error),
        }
    }
    if let Some(first) = bad.first_mut() {
        first.message = format!("{}; {}", first.message, models::there_are(config, caller));
    }
    if bad.is_empty() { Ok(classes) } else { Err(NotTaken::Bad(bad)) }
}

/// `auto` is the usual ladder.
fn settle_auto(used: &mut ClassUse, ask: &Ask) {
    if used.class.ladder.0 == [[AUTO]] {
        used.class.ladder = ask.read.class.ladder.clone();
    }
}

/// The models of some lines by their full names, if the caller may use them and someone serves them.
fn settle(catalog: &Catalog, ask: &Ask, caller: &Caller, used: &ClassUse) -> Result<Class, LineError> {
    if used.n_items == 0 {
        return Ok(used.class.clone());
    }
    let wrong = |error: CliError| LineError {
        line: Some(used.first_line),
        param: Some(MODEL.to_owned()),
        ..LineError::from(error)
    };
    let uses = std::slice::from_ref(used);
    let class = ask.classes(catalog, uses).map_err(wrong)?.remove(0);
    let forbidden = class.ladder.0.iter().flatten().find(|model| !caller.may_use(model));
    let message = match forbidden {
        Some(model) => format!("your token may not use {model}"),
        None if class.ladder.0.is_empty() => "no model of the config may be used with your token".to_owned(),
        None => {
            ask.check_routes(catalog, uses, std::slice::from_ref(&class)).map_err(wrong)?;
            return Ok(class);
        }
    };
    Err(LineError {
        code: "model_not_allowed".to_owned(),
        line: Some(used.first_line),
        message,
        param: Some(MODEL.to_owned()),
    })
}

/// Whether one of a line's models takes what it says.
fn fitting(catalog: &Catalog, usual: Judge, classes: &[Class], now: Timestamp) -> Judge {
    let routes_of = |class: &Class| -> Vec<Arc<Route>> {
        class.ladder.0.iter().flatten().filter_map(|name| catalog.route(name, now)).collect()
    };
    let routes: Vec<Vec<Arc<Route>>> = classes.iter().map(routes_of).collect();
    Judge::new(move |item| {
        let of_class = routes.get(usize::from(item.class)).into_iter().flatten();
        let obstacles: Option<Vec<String>> = of_class.map(|route| translate::obstacle(item, route)).collect();
        match obstacles.and_then(|reasons| reasons.into_iter().next()) {
            Some(reason) => Err(reason),
            None => usual.judge(item),
        }
    })
}

/// Reads it to its end, up to the most that is taken.
fn read(
    config: &Config,
    source: Source,
    ask: &Ask,
    each: &mut dyn FnMut(&Item) -> Result<(), NotTaken>,
) -> Result<Summary, NotTaken> {
    let most = config.daemon.max_requests;
    let mut failed = None;
    let mut sink = |item: Item| {
        let kept = if item.index < most { each(&item) } else { Err(NotTaken::Bad(vec![too_many(most)])) };
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

impl From<CliError> for LineError {
    fn from(error: CliError) -> LineError {
        let said: Vec<&str> =
            std::iter::once(&error.message).chain(&error.details).map(String::as_str).collect();
        LineError { code: error.code.to_owned(), line: None, message: said.join("; "), param: None }
    }
}

impl From<CliError> for NotTaken {
    fn from(error: CliError) -> NotTaken {
        NotTaken::Bad(vec![error.into()])
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
