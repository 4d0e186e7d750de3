//! `plan --sample N`: some items of the file answered for real, and what they teach of the others.
//!
//! They are a job of its own, named after the file, so that what was paid for is kept: its answers are in
//! the results like any other's. Asking again for the same sample of the same file reuses it.

use std::path::Path;

use super::document::{SamplePlan, SampledModel};
use crate::attempt::AttemptStatus;
use crate::catalog::Catalog;
use crate::cli::ask::Ask;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::format::{self, counted};
use crate::cli::queue::{queue, read_items};
use crate::cli::rows::Rows;
use crate::cli::run::finish_untold;
use crate::cli::session::Hold;
use crate::job::{Item, JobId, When};
use crate::money::Usd;
use crate::plan::forecast::{Forecast, Measured, Observed};
use crate::plan::price;
use crate::results::read;
use crate::results::select::{Filter, Selection, Texts};

/// A range this far from what is expected is near enough.
const NEAR: f64 = 0.05;

/// What a sample showed.
pub(super) struct Sampled {
    pub(super) measured: Measured,
    job: JobId,
    items: u64,
    cost: Usd,
    models: Vec<SampledModel>,
}

/// Asks the user, then answers `items` of a file, spread evenly.
pub(super) fn answer(file: &Path, ask: &Ask, items: u64, context: &Context) -> Result<Sampled, CliError> {
    let config = context.config()?;
    let name = file.to_str().ok_or_else(|| CliError::usage("the name of the file is not UTF-8"))?;
    let mut asked = ask.clone();
    asked.sample = Some(items);
    asked.options.when = When::Asap;
    let mut taken: Vec<Item> = Vec::new();
    let mut keep = |item: Item| {
        taken.push(item);
        Ok(())
    };
    let mut nowhere = std::io::sink();
    let skip: Option<&mut dyn std::io::Write> = if ask.skip_bad { Some(&mut nowhere) } else { None };
    let summary = read_items(name, &asked, &mut keep, skip)?;
    let classes = asked.classes(&config.catalog, &summary.classes)?;
    asked.check_routes(&config.catalog, &summary.classes, &classes)?;
    let ladder = |item: &Item| classes[usize::from(item.class)].ladder.0.as_slice();
    let worst = taken.iter().map(|item| worst_case(item, ladder(item), &config.catalog, ask));
    let worst: Option<Usd> = worst.sum();
    let most = worst.map_or("an unknown amount: no output limit is set".to_owned(), |worst| {
        format!("at most {}", format::total(worst.as_f64()))
    });
    let n = counted(taken.len() as u64, "item");
    if !context.confirm(&format!("send {n} of {name} now, for {most}, to measure what all would cost?"))? {
        return Err(CliError::new("not_asked", Exit::Usage, "nothing was sent").hint("plan without --sample"));
    }
    // What was said to be the most is the most.
    asked.options.max_cost = worst.into_iter().chain(ask.options.max_cost).min();
    // Its own name and its own fingerprint: it is not the job that may follow.
    let title = ask.name.clone().unwrap_or_else(|| stem(file));
    asked.name = Some(format!("{title} (sample)"));
    asked.fingerprint["plan_sample"] = items.into();
    let mut hold = Hold::take(context)?;
    let queued = queue(file, &asked, false, context, &mut hold)?;
    let (exit, views) = finish_untold(std::slice::from_ref(&queued.job_id), context, hold)?;
    if views.iter().any(|view| view.finished_at.is_none()) {
        let message = format!("the sample {} is not answered yet", queued.job_id);
        return Err(CliError::new("not_sampled", exit, message)
            .hint("what was answered is kept; the same plan goes on with the rest"));
    }
    learn(queued.job_id, &taken, context)
}

/// What every attempt showed.
fn learn(job: JobId, taken: &[Item], context: &Context) -> Result<Sampled, CliError> {
    let mut rows = Rows::open(context)?;
    let chain = rows.chain(context, &job)?;
    let selection = Selection::attempts(&rows.folder, &chain.links, &Filter::default())?;
    let (mut measured, mut cost) = (Measured::default(), Usd::ZERO);
    let mut sums: std::collections::BTreeMap<String, (f64, f64)> = std::collections::BTreeMap::new();
    for row in read::attempts(&selection, Texts::Without) {
        let row = row?;
        cost += Usd::from_pico(i128::from(row.cost_nano_usd) * 1_000);
        let is_answer = [AttemptStatus::Succeeded, AttemptStatus::Rejected].map(AttemptStatus::as_str);
        let Some(usage) = row.usage.filter(|_| is_answer.contains(&row.status.as_str())) else { continue };
        let expected = taken.get(row.item_index as usize).map_or(0.0, |item| f64::from(item.input_tokens));
        let seen = Observed {
            expected_input: expected,
            input: usage.input as f64,
            output: usage.output as f64,
            seconds: row.duration_ms as f64 / 1e3,
            passed: row.status == AttemptStatus::Succeeded.as_str(),
        };
        let model = format!("{}/{}", row.provider, row.request_model);
        let (output, seconds) = sums.entry(model.clone()).or_default();
        (*output, *seconds) = (*output + seen.output, *seconds + seen.seconds);
        measured.add(&model, &seen);
    }
    rows.close()?;
    let models = measured.models().map(|(model, attempts, pass_rate)| {
        let (output, seconds) = sums.get(model).copied().unwrap_or_default();
        SampledModel {
            model: model.to_owned(),
            attempts,
            pass_rate,
            output_tokens: output / attempts as f64,
            latency_ms: (1e3 * seconds / attempts as f64).round() as u64,
        }
    });
    let models = models.collect();
    Ok(Sampled { measured, job, items: taken.len() as u64, cost, models })
}

impl Sampled {
    /// As it is printed, of a file of so many items.
    pub(super) fn shown(self, forecast: &Forecast, all: u64) -> SamplePlan {
        let wanted = forecast.cost.items_for(NEAR, self.items);
        let is_possible = forecast.cost.half() > NEAR && wanted < all;
        SamplePlan {
            job_id: self.job.to_string(),
            items: self.items,
            cost_usd: self.cost.as_f64(),
            models: self.models,
            items_for_5_percent: is_possible.then_some(wanted),
        }
    }
}

/// One attempt on the dearest route of every step.
fn worst_case(item: &Item, ladder: &[Vec<String>], catalog: &Catalog, ask: &Ask) -> Option<Usd> {
    let step = |names: &Vec<String>| {
        let routes = names.iter().filter_map(|name| catalog.route(name, ask.read.now));
        let costs = routes.map(|route| price::worst_case(&route, item));
        costs.into_iter().try_fold(Usd::ZERO, |worst, cost| cost.map(|cost| worst.max(cost)))
    };
    ladder.iter().map(step).sum()
}

fn stem(file: &Path) -> String {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("job");
    name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("job").to_owned()
}
