//! `plan --replay JOB`: what a job that is over would have cost under another ladder, other prices or
//! another budget.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use crate::attempt::AttemptStatus;
use crate::catalog::Catalog;
use crate::catalog::import::{self, Source};
use crate::cli::args::PlanArgs;
use crate::cli::context::{Context, document_of};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::format::{self, count, counted};
use crate::cli::rows::Rows;
use crate::cli::style::{Line, Paint};
use crate::clock::{self, Timestamp};
use crate::job::{JobId, Ladder, When};
use crate::money::Usd;
use crate::plan::forecast::replay::{Moment, Replayed, Terms, Tried, replay};
use crate::results::read;
use crate::results::select::{Filter, Selection, Texts};

/// A job played again.
#[derive(Clone, Debug, Serialize)]
struct ReplayShown {
    replay: Replay,
}

#[derive(Clone, Debug, Serialize)]
struct Replay {
    job_id: String,
    items: u64,
    paid_usd: f64,
    succeeded: u64,
    ladder: String,
    prices: String,
    replayed_usd: f64,
    replayed_succeeded: f64,
    replayed_attempts: f64,
    /// Items for which a model was guessed that was not asked in the real night.
    guessed: u64,
    /// Items that the budget left unsent.
    unsent: u64,
    unpriced_models: Vec<String>,
}

/// The other terms, as the user gave them.
#[derive(Default)]
struct With {
    ladder: Option<Vec<Vec<String>>>,
    prices: Option<String>,
    max_cost: Option<Usd>,
    give_up_above: Option<Usd>,
}

/// What really happened.
struct Night {
    items: BTreeMap<u32, Vec<Tried>>,
    paid: Usd,
    succeeded: u64,
    ladder: Vec<Vec<String>>,
}

/// Prints what it would have come to.
pub(super) fn run(asked: &str, args: &PlanArgs, context: &Context) -> Result<Exit, CliError> {
    let with = With::parse(args)?;
    let config = context.config()?;
    let now = clock::now();
    let (catalog, prices) = match &with.prices {
        None => (config.catalog.clone(), format!("prices of {}", config.catalog.as_of())),
        Some(file) => (imported(file, &config.catalog)?, format!("prices of {file}")),
    };
    let (job, submitted_at, night) = night(asked, context)?;
    let ladder = match &with.ladder {
        None => night.ladder.clone(),
        Some(written) => {
            let known = catalog.clone().assuming_keys();
            let resolved =
                known.resolve(written, now).map_err(|errors| crate::cli::ask::no_model(&errors))?;
            resolved.ladder.0
        }
    };
    let when = args.job.when.unwrap_or_default();
    let routes: BTreeMap<&str, _> = ladder
        .iter()
        .flatten()
        .filter_map(|name| Some((name.as_str(), catalog.route(name, submitted_at)?)))
        .collect();
    let price = |model: &str, moment: &Moment<'_>| {
        let table = routes.get(model)?.prices.as_ref()?;
        Some(
            match when {
                When::Cheapest => table.cost(moment.usage, moment.at.unwrap_or(submitted_at)),
                When::Asap => table.cost(moment.usage, submitted_at),
                When::OffPeak => table.cheapest().cost(moment.usage),
            }
            .as_f64(),
        )
    };
    let replayed = replay(
        &night.items,
        &Terms {
            ladder: &ladder,
            price: &price,
            max_cost: with.max_cost.map(Usd::as_f64),
            give_up_above: with.give_up_above.map(Usd::as_f64),
        },
    );
    let shown = shown(&job, &night, &ladder, prices, replayed);
    match context.globals.json {
        true => context.print(&document_of("plan", &ReplayShown { replay: shown })?)?,
        false => context.lines(&page(&shown))?,
    }
    Ok(Exit::Done)
}

fn night(asked: &str, context: &Context) -> Result<(JobId, Timestamp, Night), CliError> {
    let mut rows = Rows::open(context)?;
    let job = rows.find(asked)?;
    let chain = rows.chain(context, &job)?;
    let view = rows.view(&job).cloned();
    if view.as_ref().is_some_and(|view| view.finished_at.is_none()) {
        return Err(CliError::usage(format!("{job} is not over"))
            .hint(format!("wait for it: overnight wait {job}; then replay it")));
    }
    let mut night = Night { items: BTreeMap::new(), paid: Usd::ZERO, succeeded: 0, ladder: Vec::new() };
    let mut submitted_at = view.map(|view| view.submitted_at);
    let links = &chain.links[..1];
    let selection = Selection::attempts(&rows.folder, links, &Filter::default())?;
    for row in read::attempts(&selection, Texts::Without) {
        let row = row?;
        submitted_at = Some(submitted_at.map_or(row.queued_at, |at| at.min(row.queued_at)));
        night.paid += Usd::from_pico(i128::from(row.cost_nano_usd) * 1_000);
        let model = format!("{}/{}", row.provider, row.request_model);
        let step = usize::try_from(row.step).unwrap_or(0);
        if night.ladder.len() <= step {
            night.ladder.resize(step + 1, Vec::new());
        }
        if !night.ladder[step].contains(&model) {
            night.ladder[step].push(model.clone());
        }
        let passed = match row.status.as_str() {
            status if status == AttemptStatus::Succeeded.as_str() => Some(true),
            status if status == AttemptStatus::Rejected.as_str() => Some(false),
            _ => None,
        };
        night.succeeded += u64::from(passed == Some(true));
        let tried = Tried { model, usage: row.usage.unwrap_or_default(), passed, at: Some(row.started_at) };
        night.items.entry(row.item_index).or_default().push(tried);
    }
    rows.close()?;
    night.ladder.retain(|step| !step.is_empty());
    if night.items.is_empty() {
        return Err(CliError::usage(format!("{job} has no attempts to replay")));
    }
    Ok((job, submitted_at.unwrap_or_default(), night))
}

fn shown(job: &JobId, night: &Night, ladder: &[Vec<String>], prices: String, replayed: Replayed) -> Replay {
    Replay {
        job_id: job.to_string(),
        items: replayed.items,
        paid_usd: night.paid.as_f64(),
        succeeded: night.succeeded,
        ladder: Ladder(ladder.to_vec()).to_string(),
        prices,
        replayed_usd: replayed.cost,
        replayed_succeeded: replayed.succeeded,
        replayed_attempts: replayed.attempts,
        guessed: replayed.guessed,
        unsent: replayed.unsent,
        unpriced_models: replayed.unpriced,
    }
}

fn page(replay: &Replay) -> Vec<Line> {
    let mut first = Line::new().add(Paint::Strong, &replay.job_id).text(format!(
        "  {} · paid {} for {} successes",
        counted(replay.items, "item"),
        format::total(replay.paid_usd),
        count(replay.succeeded)
    ));
    if replay.succeeded > 0 {
        first = first.text(format!(" · {} each", format::usd(replay.paid_usd / replay.succeeded as f64)));
    }
    let mut second =
        Line::new().add(Paint::Strong, "replayed ").add(Paint::Name, &replay.ladder).text(format!(
            " · {} for ~{} successes",
            format::total(replay.replayed_usd),
            count(replay.replayed_succeeded.round() as u64)
        ));
    if replay.replayed_succeeded >= 0.5 {
        second =
            second.text(format!(" · {} each", format::usd(replay.replayed_usd / replay.replayed_succeeded)));
    }
    second = second.text(format!(" · {}", replay.prices));
    let mut lines = vec![first, second];
    if replay.guessed > 0 {
        lines.push(Line::new().add(
            Paint::Warn,
            format!(
                "{} guessed: a model of this ladder was not asked for them",
                counted(replay.guessed, "item")
            ),
        ));
    }
    if replay.unsent > 0 {
        lines.push(
            Line::new()
                .add(Paint::Warn, format!("{} left unsent by the cap", counted(replay.unsent, "item"))),
        );
    }
    if !replay.unpriced_models.is_empty() {
        let models = replay.unpriced_models.join(", ");
        lines.push(Line::new().add(Paint::Warn, format!("no price is known of {models}: counted as free")));
    }
    lines
}

impl With {
    /// `--model` and `--max-cost` are other words for `ladder=` and `max_cost=`.
    fn parse(args: &PlanArgs) -> Result<With, CliError> {
        let mut with = With { max_cost: args.job.max_cost, ..With::default() };
        if !args.job.models.is_empty() {
            with.ladder = Some(args.job.models.iter().map(|step| step.0.clone()).collect());
        }
        for written in &args.with {
            let money = |text: &str| {
                text.parse::<Usd>().map_err(|error| CliError::usage(format!("--with {written}: {error}")))
            };
            match written.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("ladder", ladder)) => with.ladder = Some(steps(ladder)),
                Some(("prices", file)) => with.prices = Some(file.to_owned()),
                Some(("max_cost", most)) => with.max_cost = Some(money(most)?),
                Some(("give_up_above", most)) => with.give_up_above = Some(money(most)?),
                _ => {
                    return Err(CliError::usage(format!("--with {written}: it is not a term of a replay"))
                        .hint("ladder='A|B > C', prices=FILE, max_cost=$5 or give_up_above=$0.05"));
                }
            }
        }
        Ok(with)
    }
}

/// `a|b > c`: equals, then stronger.
fn steps(written: &str) -> Vec<Vec<String>> {
    let names = |step: &str| step.split(['|', ',']).map(|name| name.trim().to_owned()).collect();
    written.split('>').map(names).collect()
}

/// The catalog with the prices of a list in a file, which win here.
fn imported(file: &str, catalog: &Catalog) -> Result<Catalog, CliError> {
    let text = fs::read_to_string(file)
        .map_err(|error| CliError::usage(format!("--with prices={file}: {error}")))?;
    let mut reasons = Vec::new();
    for source in Source::ALL {
        match import::read(source, &text, catalog.as_of(), catalog) {
            Ok(list) if list.models.values().any(|model| model.prices.is_some()) => {
                return Ok(catalog.clone().repriced(&list));
            }
            Ok(_) => {}
            Err(error) => reasons.push(error.to_string()),
        }
    }
    let error = CliError::usage(format!("--with prices={file}: no price list that is known"));
    Err(reasons.into_iter().fold(error, CliError::detail))
}
