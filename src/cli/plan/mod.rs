//! `overnight plan FILE…`: what files would cost and when they would be done; sends and writes nothing.
//!
//! Input tokens are those of each model's tokenizer where it is part of the program, counted on a sample of
//! the file; by rules of thumb elsewhere. A key that is missing is no obstacle here: prices are known without
//! it. What earlier jobs taught is used where the state can be read; every number says where it comes from.
//!
//! `--sample N` answers a few items first, as a job of their own, and plans with what they showed.
//! `--rehearse` plays the night on the engine that would do the work. `--replay JOB` plays a finished job
//! again under other terms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::args::{PlanArgs, QueueFlags};
use super::ask::{Ask, ask};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::count;
use super::queue::read_items;
use super::session::Session;
use crate::catalog::{Catalog, Route, show};
use crate::clock;
use crate::config::Config;
use crate::input::Summary;
use crate::job::{Class, Item, Job, JobId, Ladder};
use crate::plan::estimate::{Estimates, class_of};
use crate::plan::forecast::{self, Forecast, Lot, Measured};
use crate::plan::sample::Sample;
use crate::plan::tokens::Basis;

mod beliefs;
mod counts;
mod document;
mod page;
mod rehearsed;
mod replay;
mod sampled;

use beliefs::Known;
use counts::{Sums, by_ladder};
pub use document::Plan;
use document::{ImpossiblePlan, LadderPlan, RoutePlan};
use rehearsed::RehearsalShown;

/// A rehearsal holds the file in memory: about 2.6 KB an item of 1.1 KB.
const MOST_REHEARSED: usize = 1_000_000;

/// Prints what each file would come to.
pub fn run(args: &PlanArgs, context: &Context) -> Result<Exit, CliError> {
    if let Some(job) = &args.replay {
        return replay::run(job, args, context);
    }
    let config = context.config()?;
    let assumed = Config { catalog: config.catalog.clone().assuming_keys(), ..config.clone() };
    let now = clock::now();
    let queue = QueueFlags::default();
    // What the user's own keys make of the ladder comes first; without any, all keys are assumed.
    let mut asked = ask(&args.job, &queue, config, now);
    if asked.as_ref().map_or(true, |asked| !asked.has_ladder()) {
        asked = ask(&args.job, &queue, &assumed, now).or(asked);
    }
    let mut asked = asked?;
    let sample = asked.sample.take();
    let estimates = learned(context);
    let mut plans = Vec::new();
    let mut exit = Exit::Done;
    for file in &args.files {
        let sampled = sample.map(|items| sampled::answer(file, &asked, items, context)).transpose()?;
        let planning = Planning { ask: &asked, config, assumed: &assumed.catalog, estimates: &estimates };
        let (plan, code) = planning.plan(file, sampled, args.rehearse)?;
        exit = exit.max(code);
        plans.push(plan);
    }
    let setting = context.setting();
    context.document("plan", "plans", &plans, || {
        plans.iter().flat_map(|plan| page::page(plan, &setting)).collect()
    })?;
    Ok(exit)
}

/// What a file would come to for whoever asks in another way than by flags; sends nothing.
pub(crate) fn of_file(file: &Path, ask: &Ask, config: &Config, is_rehearsed: bool) -> Result<Plan, CliError> {
    let assumed = config.catalog.clone().assuming_keys();
    let planning = Planning { ask, config, assumed: &assumed, estimates: &Estimates::default() };
    planning.plan(file, None, is_rehearsed).map(|(plan, _)| plan)
}

/// What earlier jobs taught; nothing where there is no state, or where another process has it.
fn learned(context: &Context) -> Estimates {
    let is_there = context.state_dir().is_ok_and(|dir| dir.join("journal").exists());
    let is_free = is_there && matches!(context.owner(), Ok(None));
    match is_free.then(|| Session::open(context)) {
        Some(Ok(session)) => session.ledger.globals.estimates.clone(),
        _ => Estimates::default(),
    }
}

/// What files are planned with.
struct Planning<'a> {
    ask: &'a Ask,
    config: &'a Config,
    assumed: &'a Catalog,
    estimates: &'a Estimates,
}

/// A file that was read.
struct Read {
    summary: Summary,
    sums: BTreeMap<u16, Sums>,
    sample: Sample,
    items: Vec<Arc<Item>>,
}

impl Planning<'_> {
    fn plan(
        &self,
        file: &Path,
        sampled: Option<sampled::Sampled>,
        is_rehearsed: bool,
    ) -> Result<(Plan, Exit), CliError> {
        let read = self.read(file, is_rehearsed)?;
        let Self { ask, config, assumed, .. } = *self;
        let classes = ask.classes(&config.catalog, &read.summary.classes);
        let classes = classes.or_else(|_| ask.classes(assumed, &read.summary.classes))?;
        ask.check_routes(assumed, &read.summary.classes, &classes)?;
        let job = self.job(&classes, &read.summary);
        let ladders = by_ladder(&read.sums, &classes);
        let models = ladders.keys().flat_map(|ladder| ladder.0.iter().flatten().map(String::as_str));
        let known = Known {
            counted: read.sample.corrections(models),
            estimates: self.estimates,
            class: class_of(&job),
            measured: sampled.as_ref().map_or_else(Measured::default, |sampled| sampled.measured.clone()),
        };
        let (mut plan, forecast) = self.forecast(&ladders, &known, &classes, &read.summary);
        plan.deadline_at = classes.iter().filter_map(|class| class.deadline).min();
        plan.sample = sampled.map(|sampled| sampled.shown(&forecast, read.sample.seen()));
        let mut exit = if forecast.impossible.is_some() { Exit::Deadline } else { Exit::Done };
        if is_rehearsed {
            let rehearsal = rehearsed::play(&job, read.items, assumed, ask.read.now);
            exit = exit.max(rehearsed::judged(&rehearsal, plan.deadline_at));
            plan.rehearsal = Some(RehearsalShown::new(&rehearsal));
        }
        Ok((plan, exit))
    }

    fn read(&self, file: &Path, is_rehearsed: bool) -> Result<Read, CliError> {
        let name = file.to_str().ok_or_else(|| CliError::usage("the name of the file is not UTF-8"))?;
        let mut sums: BTreeMap<u16, Sums> = BTreeMap::new();
        let (mut items, mut sample, mut too_many) = (Vec::new(), Sample::default(), false);
        let mut sink = |item: Item| {
            sample.add(&item);
            sums.entry(item.class).or_default().add(&item);
            too_many |= is_rehearsed && items.len() == MOST_REHEARSED;
            if is_rehearsed && !too_many {
                items.push(Arc::new(item));
            }
            Ok(())
        };
        let mut nowhere = std::io::sink();
        let skip: Option<&mut dyn std::io::Write> = if self.ask.skip_bad { Some(&mut nowhere) } else { None };
        let summary = read_items(name, self.ask, &mut sink, skip)?;
        if too_many {
            let most = count(MOST_REHEARSED as u64);
            return Err(CliError::usage(format!("--rehearse plays at most {most} items"))
                .hint(format!("play a part of the file: --limit {MOST_REHEARSED}")));
        }
        Ok(Read { summary, sums, sample, items })
    }

    fn job(&self, classes: &[Class], summary: &Summary) -> Job {
        Job {
            id: JobId::new("job_rehearsal"),
            name: self.ask.name.clone(),
            submitted_at: self.ask.read.now,
            n_items: 0,
            classes: classes.to_vec(),
            class_of: Vec::new(),
            copies: summary.copies.clone(),
            options: self.ask.options.clone(),
            source: summary.source.clone(),
            retry_of: None,
        }
    }

    fn forecast(
        &self,
        ladders: &BTreeMap<Ladder, Sums>,
        known: &Known<'_>,
        classes: &[Class],
        summary: &Summary,
    ) -> (Plan, Forecast) {
        let now = self.ask.read.now;
        let given = (self.assumed, now);
        let lot = |of| known.lot(of, classes, &self.ask.options, given);
        let mut lots: Vec<Lot> = ladders.iter().map(lot).collect();
        without_copies(&mut lots, summary.copies.len() as u64);
        let whole = lots;
        let lots = forecast::worth_it(&whole, self.ask.options.give_up_above, now);
        let forecast = forecast::forecast(&lots, now);
        let levers = forecast::levers::levers(&whole, &lots, &forecast, now);
        let first = || lots.iter().filter_map(|lot| Some((lot, lot.steps.first()?.first()?)));
        let all = |lot: &Lot| (lot.items + lot.copies) as f64;
        let mut plan = Plan {
            file: summary.source.name.clone(),
            items: ladders.values().map(|sums| sums.items).sum(),
            copies: summary.copies.len() as u64,
            input_tokens: first().map(|(lot, rung)| (all(lot) * rung.belief.input.mean).round() as u64).sum(),
            input_tokens_basis: first()
                .map(|(_, rung)| rung.belief.input.basis)
                .max()
                .unwrap_or(Basis::Assumed),
            input_tokens_sampled: 0,
            output_tokens: first()
                .map(|(lot, rung)| (all(lot) * rung.belief.output.mean).round() as u64)
                .sum(),
            output_tokens_basis: first()
                .map(|(_, rung)| rung.belief.output.basis)
                .max()
                .unwrap_or(Basis::Assumed),
            output_tokens_assumed: ladders.values().map(|sums| sums.output).sum(),
            deadline_at: None,
            max_cost_usd: self.ask.options.max_cost.map(|cap| cap.as_f64()),
            ladders: Vec::new(),
            expected_usd: forecast.cost.expected,
            expected_low_usd: forecast.cost.low,
            expected_high_usd: forecast.cost.high,
            expected_successes: forecast.succeeded,
            finish_at: forecast.finish,
            deadline_chance: forecast.chance,
            impossible: forecast.impossible.map(|impossible| ImpossiblePlan {
                earliest_finish_at: impossible.earliest,
                items_that_fit: impossible.fits,
            }),
            run_now_usd: forecast.at_once.cost,
            run_now_finish_at: forecast.at_once.finish,
            waiting_saves_usd: (forecast.at_once.cost - forecast.cost.expected).max(0.0),
            strongest_alone_usd: levers.strongest_alone_usd,
            list_price_now_usd: levers.list_price_now_usd,
            savings: levers.levers,
            expected_in_cheapest_hours_usd: 0.0,
            worst_case_usd: Some(0.0),
            prices_as_of: self.config.catalog.as_of().to_owned(),
            notes: self.ask.notes.iter().chain(&summary.notes).cloned().collect(),
            sample: None,
            rehearsal: None,
        };
        plan.notes.extend(not_asked(&whole, &lots));
        for (number, ((ladder, sums), lot)) in ladders.iter().zip(&lots).enumerate() {
            let first = ladder.0.first().and_then(|step| step.first()).map_or("", String::as_str);
            plan.input_tokens_sampled = known.counted.of(first).n_items;
            plan.expected_in_cheapest_hours_usd += in_cheapest_hours(lot, sums);
            let worst = worst_case(lot, sums);
            plan.worst_case_usd = plan.worst_case_usd.zip(worst).map(|(sum, worst)| sum + worst);
            let routes = self.routes(lot, sums, &forecast, number);
            plan.ladders.push(LadderPlan { ladder: ladder.to_string(), items: sums.items, routes });
        }
        (plan, forecast)
    }

    fn routes(&self, lot: &Lot, sums: &Sums, forecast: &Forecast, number: usize) -> Vec<RoutePlan> {
        let now = self.ask.read.now;
        let mut shown = Vec::new();
        for (step, rungs) in lot.steps.iter().enumerate() {
            for (place, rung) in rungs.iter().enumerate() {
                let row =
                    forecast.rows.iter().find(|row| (row.lot, row.step, row.rung) == (number, step, place));
                let route = &rung.route;
                let table = route.prices.as_ref();
                let rate = table.map(|table| table.at(row.map_or(now, |row| row.starts)));
                let believed = sums.believed(&rung.belief);
                let model = format!("{}/{}", route.provider, route.model);
                let own = self.config.catalog.route_on(&model, &route.lane, now);
                let on_lane = |lane: &str| {
                    let route = self.assumed.route_on(&route.name, lane, now)?;
                    Some(believed.cost(route.prices.as_ref()?.at(now).1))
                };
                shown.push(RoutePlan {
                    step: step + 1,
                    route: route.name.to_string(),
                    lane: route.lane.to_string(),
                    price_window: rate.map_or_else(|| "-".to_owned(), |(window, _)| window.to_string()),
                    price: rate.map_or_else(|| "unknown".to_owned(), |(_, price)| show::in_and_out(price)),
                    input_tokens: believed.input,
                    input_tokens_basis: rung.belief.input.basis,
                    cost_usd: table.map(|table| believed.cost(table.at(now).1)),
                    cheapest_usd: table.map(|table| believed.cost(table.cheapest())),
                    flex_usd: on_lane("flex"),
                    batch_usd: on_lane("batch"),
                    price_changes_at: table.and_then(|table| table.next_change(now)),
                    attempts: row.map_or(0.0, |row| row.attempts),
                    expected_usd: table.map(|_| row.map_or(0.0, |row| row.cost)),
                    starts_at: row.map(|row| row.starts),
                    ends_at: row.map(|row| row.ends),
                    pass_rate: rung.belief.pass.mean,
                    pass_rate_basis: rung.belief.pass.basis,
                    missing: own.and_then(|own: Arc<Route>| own.unusable.clone()),
                });
            }
        }
        shown
    }
}

/// Which models are not asked, because a success there would cost more than it is worth.
fn not_asked(whole: &[Lot], lots: &[Lot]) -> Option<String> {
    let cut = whole.iter().zip(lots).flat_map(|(whole, lot)| whole.steps[lot.steps.len()..].iter().flatten());
    let names: BTreeSet<&str> = cut.map(|rung| &*rung.route.name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let list = names.join(", ");
    (!names.is_empty()).then(|| format!("not asked, as a success would cost more than give_up_above: {list}"))
}

/// Items that only repeat others are sent once; which lot they are of is not known, so each gives its share.
fn without_copies(lots: &mut [Lot], copies: u64) {
    let all: u64 = lots.iter().map(|lot| lot.items).sum();
    let mut left = copies.min(all);
    let n = lots.len();
    for (number, lot) in lots.iter_mut().enumerate() {
        let share = (copies as f64 * lot.items as f64 / all.max(1) as f64).round() as u64;
        let own = if number + 1 == n { left } else { share.min(left) }.min(lot.items);
        (lot.items, lot.copies, left) = (lot.items - own, own, left - own);
    }
}

/// The dearest route of every step once, each with all the tokens it may use.
fn worst_case(lot: &Lot, sums: &Sums) -> Option<f64> {
    let step = |rungs: &Vec<forecast::Rung>| {
        let costs = rungs.iter().map(|rung| sums.worst(&rung.route));
        costs.into_iter().try_fold(0.0, |worst: f64, cost| cost.map(|cost| worst.max(cost)))
    };
    lot.steps.iter().map(step).try_fold(0.0, |sum, step| step.map(|step| sum + step))
}

fn in_cheapest_hours(lot: &Lot, sums: &Sums) -> f64 {
    let (mut needed, mut cost) = (1.0, 0.0);
    for rungs in &lot.steps {
        let cheapest = rungs.iter().filter_map(|rung| {
            let table = rung.route.prices.as_ref()?;
            Some(sums.believed(&rung.belief).cost(table.cheapest()))
        });
        cost += needed * cheapest.reduce(f64::min).unwrap_or(0.0);
        needed *= 1.0 - rungs.first().map_or(0.0, |rung| rung.belief.pass.mean);
    }
    cost
}
