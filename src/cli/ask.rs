//! What is asked of a job: flags over config over defaults, checked before a file is opened.
//!
//! Takes the flags of `submit`, `run` and `plan`; gives how the file is to be read and what the job asks
//! for. Models that lines name themselves are settled by [`Ask::classes`] once the file was read.
//!
//! Shell: reads the files that flags name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Local;
use serde_json::json;

use super::args::value::CheckArg;
use super::args::{JobFlags, QueueFlags};
use super::error::CliError;
use super::exit::Exit;
use crate::catalog::ladder::LadderError;
use crate::catalog::{Catalog, Route};
use crate::check::{Check, Rule};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::input::{ClassUse, Judge, ReadOptions, Template, Zone, when};
use crate::job::{Class, Item, JobOptions, Ladder};
use crate::provider::translate;

/// What is asked of a job.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How its file is read.
    pub read: ReadOptions,
    /// What the job asks for.
    pub options: JobOptions,
    /// What the user calls it.
    pub name: Option<String>,
    /// Take only so many lines, spread evenly.
    pub sample: Option<u64>,
    /// Leave out lines that cannot be used.
    pub skip_bad: bool,
    /// What the user may want to know.
    pub notes: Vec<String>,
    /// Names the job in place of its file's content: what is queued under a key is queued once.
    pub key: Option<String>,
    /// Where lines that are left out are written; the working directory where absent.
    pub rejects: Option<PathBuf>,
    /// Why lines that name no model have none.
    no_ladder: Option<CliError>,
    /// All that makes it another job, as it was written.
    pub fingerprint: serde_json::Value,
}

/// What flags and config ask of a job submitted now.
pub fn ask(flags: &JobFlags, queue: &QueueFlags, config: &Config, now: Timestamp) -> Result<Ask, CliError> {
    let written: Vec<Vec<String>> = match flags.models.as_slice() {
        [] => config.defaults.models.clone(),
        steps => steps.iter().map(|step| step.0.clone()).collect(),
    };
    let is_fixed = !flags.models.is_empty();
    let (ladder, notes, no_ladder) = match config.catalog.resolve(&written, now) {
        Ok(resolved) => (resolved.ladder, resolved.notes, None),
        // Lines may name models themselves; only where one does not is this an error.
        Err(errors) if !is_fixed => (Ladder::default(), Vec::new(), Some(no_model(&errors))),
        Err(errors) => return Err(no_model(&errors)),
    };
    let (deadline, deadline_as_written) = deadline(flags, config, now)?;
    let options = options(flags, queue, config)?;
    let class = Class {
        ladder,
        priority: flags.priority.unwrap_or(config.defaults.priority),
        deadline: Some(deadline),
        not_before: None,
    };
    let names = class.ladder.0.iter().flatten();
    let routes = names.filter_map(|name| config.catalog.route(name, now)).collect();
    let prompt = flags.prompt.as_deref().map(Template::parse).transpose().map_err(CliError::usage)?;
    let fingerprint = json!({
        "models": written, "is_fixed": is_fixed, "deadline": deadline_as_written, "priority": class.priority,
        "options": options, "system": flags.system, "prompt": flags.prompt,
        "set": flags.settings.iter().map(|set| (&set.0.key, String::from_utf8_lossy(&set.0.value))).collect::<Vec<_>>(),
        "name": flags.name, "id_field": flags.id_field, "auto_id": flags.auto_id,
        "limit": flags.limit, "sample": flags.sample, "skip_bad": flags.skip_bad,
    });
    Ok(Ask {
        read: ReadOptions {
            zone: Zone::Machine,
            class,
            ladder_is_fixed: is_fixed,
            system: flags.system.clone(),
            set: flags.settings.iter().map(|set| set.0.clone()).collect(),
            prompt,
            id_field: flags.id_field.clone(),
            auto_id: flags.auto_id,
            duplicates: options.duplicates,
            limit: flags.limit.map(|limit| u64::from(limit.get())),
            judge: judge(routes),
            ..ReadOptions::new(now)
        },
        options,
        name: flags.name.clone(),
        sample: flags.sample.map(|sample| u64::from(sample.get())),
        skip_bad: flags.skip_bad,
        notes,
        key: None,
        rejects: None,
        no_ladder,
        fingerprint,
    })
}

impl Ask {
    /// Whether lines that name no model have one.
    pub fn has_ladder(&self) -> bool {
        self.no_ladder.is_none()
    }

    /// The classes of a file that was read, with the full names of their models; an error where a line
    /// asks for what nobody serves.
    pub fn classes(&self, catalog: &Catalog, uses: &[ClassUse]) -> Result<Vec<Class>, CliError> {
        let mut known: BTreeMap<Ladder, Ladder> = BTreeMap::new();
        let mut classes = Vec::with_capacity(uses.len());
        for class in uses {
            let asked = &class.class.ladder;
            if class.n_items == 0 || *asked == self.read.class.ladder {
                classes.push(class.class.clone());
                continue;
            }
            let ladder = match known.get(asked) {
                Some(ladder) => ladder.clone(),
                None => {
                    let resolved = catalog.resolve(&asked.0, self.read.now);
                    let ladder = resolved.map_err(|errors| asked_by_line(class, &errors))?.ladder;
                    known.insert(asked.clone(), ladder.clone());
                    ladder
                }
            };
            classes.push(Class { ladder, ..class.class.clone() });
        }
        let nameless = uses.iter().any(|class| class.n_items > 0 && class.class.ladder.0.is_empty());
        match &self.no_ladder {
            Some(error) if nameless => Err(error.clone()),
            _ => Ok(classes),
        }
    }

    /// Whether every step of these classes has a route that can be used; an error that says what to do.
    pub fn check_routes(
        &self,
        catalog: &Catalog,
        uses: &[ClassUse],
        classes: &[Class],
    ) -> Result<(), CliError> {
        let used = uses.iter().zip(classes).filter(|(used, _)| used.n_items > 0);
        for (_, class) in used {
            for (number, step) in class.ladder.0.iter().enumerate() {
                let checked = check_step(catalog, step, number, self.options.allow_unpriced, self.read.now);
                checked.map_err(|error| self.notes.iter().fold(error, CliError::detail))?;
            }
        }
        Ok(())
    }
}

/// What else a line must hold: a format that one of the job's `routes` takes, and a check that is one.
fn judge(routes: Vec<Arc<Route>>) -> Judge {
    Judge::new(move |item| {
        can_be_sent(item, &routes)?;
        check_is_sound(item)
    })
}

/// Whether some route takes what the line says. Lines of other classes may have models of their own,
/// which are known when all is read; the engine then says what does not fit.
fn can_be_sent(item: &Item, routes: &[Arc<Route>]) -> Result<(), String> {
    let mut reasons = routes.iter().filter(|_| item.class == 0).map(|route| translate::obstacle(item, route));
    let Some(first) = reasons.next() else { return Ok(()) };
    match first {
        Some(reason) if reasons.all(|other| other.is_some()) => Err(reason),
        _ => Ok(()),
    }
}

fn check_is_sound(item: &Item) -> Result<(), String> {
    match item.options.as_ref().and_then(|options| options.check.as_ref()) {
        Some(check) => Rule::compile(check).map(drop).map_err(|error| format!("`check`: {error}")),
        None => Ok(()),
    }
}

pub(super) fn deadline(
    flags: &JobFlags,
    config: &Config,
    now: Timestamp,
) -> Result<(Timestamp, String), CliError> {
    if let Some(moment) = flags.deadline {
        let at = moment.resolve(now, &Local);
        if at <= now {
            return Err(CliError::usage(format!("the deadline {at} is already past"))
                .hint("give one that is still to come: --deadline 8h, 06:00 or RFC 3339"));
        }
        return Ok((at, format!("{moment:?}")));
    }
    let written = &config.defaults.deadline;
    let at = when::deadline(written, now, Zone::Machine).map_err(|error| {
        CliError::new("bad_config", Exit::Usage, format!("[defaults] deadline: {error}"))
            .hint("correct it in the config, or pass --deadline")
    })?;
    Ok((at, written.clone()))
}

fn options(flags: &JobFlags, queue: &QueueFlags, config: &Config) -> Result<JobOptions, CliError> {
    let usual = &config.defaults.options;
    let mut tags = usual.tags.clone();
    tags.extend(flags.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
    Ok(JobOptions {
        check: check(flags, config)?,
        max_cost: flags.max_cost.or(usual.max_cost),
        give_up_above: flags.give_up_above.or(usual.give_up_above),
        tags,
        when: flags.when.unwrap_or(usual.when),
        duplicates: flags.duplicates.unwrap_or(usual.duplicates),
        hedge: flags.hedge.unwrap_or(usual.hedge),
        accept_truncated: flags.accept_truncated || usual.accept_truncated,
        keep_input: queue.keep_input || usual.keep_input,
        allow_unpriced: flags.allow_unpriced || usual.allow_unpriced,
        ..usual.clone()
    })
}

pub(super) fn check(flags: &JobFlags, config: &Config) -> Result<Option<Check>, CliError> {
    let check = match (&flags.checks, &config.defaults.check) {
        (checks, _) if !checks.is_empty() => CheckArg::resolve(checks, read_schema)?,
        (_, Some(written)) => Some(Check::from_json(written).map_err(|error| {
            CliError::new("bad_config", Exit::Usage, format!("[defaults] check: {error}"))
        })?),
        _ => None,
    };
    if let Some(check) = &check {
        Rule::compile(check)
            .map_err(|error| CliError::new("bad_check", Exit::Usage, format!("the check: {error}")))?;
    }
    Ok(check)
}

fn read_schema(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::usage(format!("--check schema:{}: {error}", path.display())))
}

pub(super) fn no_model(errors: &[LadderError]) -> CliError {
    let mut said = errors.iter().map(ToString::to_string);
    let error = CliError::new("no_route", Exit::NoRoute, said.next().unwrap_or_default());
    said.fold(error, CliError::detail).hint("nothing was queued; `overnight models` lists what there is")
}

fn asked_by_line(class: &ClassUse, errors: &[LadderError]) -> CliError {
    let models = class.class.ladder.to_string();
    let message = format!("item {} (line {}) asks for model {models:?}", class.first_id, class.first_line);
    let error = CliError::new("no_route", Exit::NoRoute, message);
    let error = errors.iter().fold(error, |error, reason| error.detail(reason.to_string()));
    let suggested = errors.iter().find_map(|error| match error {
        LadderError::Unknown { suggestion: Some(name), .. } => Some(name.as_str()),
        _ => None,
    });
    let model = suggested.unwrap_or("PROVIDER/MODEL");
    error.hint(format!("nothing was queued; fix the line, or map the name:  --model {model}"))
}

pub(super) fn check_step(
    catalog: &Catalog,
    step: &[String],
    number: usize,
    allow_unpriced: bool,
    now: Timestamp,
) -> Result<(), CliError> {
    let mut reasons = Vec::new();
    for name in step {
        let route = catalog.route(name, now);
        match route.as_deref().map(|route| obstacle(route, allow_unpriced)) {
            Some(None) => return Ok(()),
            Some(Some(reason)) => reasons.push(format!("{name}: {reason}")),
            None => reasons.push(format!("{name}: no provider in the config serves it")),
        }
    }
    let message = match step {
        [one] => format!("{one} cannot be used"),
        several => format!("none of the {} models of step {} can be used", several.len(), number + 1),
    };
    let error = CliError::new("no_route", Exit::NoRoute, message);
    let error = reasons.into_iter().fold(error, CliError::detail);
    Err(error.hint("nothing was queued; `overnight providers` lists what can be used"))
}

/// Why nothing can be sent to a route until a person does something about it.
pub fn obstacle(route: &Route, allow_unpriced: bool) -> Option<String> {
    if let Some(reason) = &route.unusable {
        return Some(reason.clone());
    }
    let unpriced = route.prices.is_none() && !allow_unpriced;
    let name = &route.name;
    unpriced.then(|| {
        format!("its price is unknown: state it under [models.\"{name}\"], or pass --allow-unpriced")
    })
}
