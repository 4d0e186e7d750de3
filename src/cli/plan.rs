//! `overnight plan FILE…`: what files would cost and when they would be done; sends and writes nothing.
//!
//! Input tokens are those of each model's tokenizer where it is part of the program, counted on a sample of
//! the file; by rules of thumb elsewhere. A key that is missing is no obstacle here: prices are known without it. Answers are assumed to be as
//! long as [`ASSUMED_OUTPUT`] says where the request does not allow fewer tokens, and the page says so.
//! With `--rehearse` the night is played on the engine that would do the work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::args::{PlanArgs, QueueFlags};
use super::ask::{Ask, ask};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{self, count, counted, rounded};
use super::queue::read_items;
use super::style::{Align, Line, Paint, table};
use super::words::Setting;
use crate::attempt::ItemStatus;
use crate::catalog::{Catalog, Route, show};
use crate::clock::{self, Timestamp};
use crate::config::Config;
use crate::input::Summary;
use crate::job::{Class, Item, Job, JobId, Ladder};
use crate::money::{Price, Usage, Usd};
use crate::plan::estimate::ASSUMED_OUTPUT;
use crate::plan::sample::{Correction, Corrections, Sample};
use crate::plan::tokens::Basis;
use crate::rehearse::{Assumptions, Rehearsal, rehearse};
use crate::view::Waiting;

/// Share of answers assumed to fail their check and move up a step.
const ASSUMED_ESCALATION: f64 = 0.04;
/// A rehearsal holds the file in memory: about 2.6 KB an item of 1.1 KB.
const MOST_REHEARSED: usize = 1_000_000;

/// What one file would come to.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    file: String,
    items: u64,
    /// As the first route of each ladder counts them.
    input_tokens: u64,
    /// `counted` or `assumed`.
    input_tokens_basis: Basis,
    /// Items that were counted or estimated one by one with the rules of that model.
    input_tokens_sampled: u64,
    output_tokens_assumed: u64,
    deadline_at: Option<Timestamp>,
    max_cost_usd: Option<f64>,
    ladders: Vec<LadderPlan>,
    /// Step 1 at its cheapest route's price now, and the assumed share on the steps above.
    expected_usd: f64,
    /// The same in the cheapest hours of each route.
    expected_in_cheapest_hours_usd: f64,
    /// One attempt on the dearest route of every step, each with as many tokens as the request allows.
    worst_case_usd: Option<f64>,
    prices_as_of: String,
    notes: Vec<String>,
    rehearsal: Option<RehearsalShown>,
}

#[derive(Clone, Debug, Serialize)]
struct LadderPlan {
    ladder: String,
    items: u64,
    routes: Vec<RoutePlan>,
}

/// One route, if all items of its ladder went there now.
#[derive(Clone, Debug, Serialize)]
struct RoutePlan {
    step: usize,
    route: String,
    price_window: String,
    price: String,
    /// As this model counts them.
    input_tokens: u64,
    /// `counted` or `assumed`.
    input_tokens_basis: Basis,
    cost_usd: Option<f64>,
    cheapest_usd: Option<f64>,
    /// When another price holds.
    price_changes_at: Option<Timestamp>,
    /// What keeps it from being used today.
    missing: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct RehearsalShown {
    cost_usd: f64,
    finished_at: Option<Timestamp>,
    succeeded: u32,
    failed: u32,
    expired: u32,
    stuck_on: Option<String>,
    assumed_pass_rate: f64,
    assumed_latency_ms: u128,
    assumed_output_tokens: u64,
}

/// Prints what each file would come to.
pub fn run(args: &PlanArgs, context: &Context) -> Result<Exit, CliError> {
    let config = context.config()?;
    let assumed = Config { catalog: config.catalog.clone().assuming_keys(), ..config.clone() };
    let now = clock::now();
    let queue = QueueFlags::default();
    // What the user's own keys make of the ladder comes first; without any, all keys are assumed.
    let mut asked = ask(&args.job, &queue, config, now);
    if asked.as_ref().map_or(true, |asked| !asked.has_ladder()) {
        asked = ask(&args.job, &queue, &assumed, now).or(asked);
    }
    let asked = asked?;
    let mut plans = Vec::new();
    let mut exit = Exit::Done;
    for file in &args.files {
        let name = file.to_str().ok_or_else(|| CliError::usage("the name of the file is not UTF-8"))?;
        let (plan, rehearsal) = plan(name, &asked, config, &assumed.catalog, args.rehearse)?;
        exit = exit.max(rehearsal.map_or(Exit::Done, |rehearsal| judged(&rehearsal, plan.deadline_at)));
        plans.push(plan);
    }
    let setting = context.setting();
    context
        .document("plan", "plans", &plans, || plans.iter().flat_map(|plan| page(plan, &setting)).collect())?;
    Ok(exit)
}

fn plan(
    name: &str,
    ask: &Ask,
    config: &Config,
    assumed: &Catalog,
    is_rehearsed: bool,
) -> Result<(Plan, Option<Rehearsal>), CliError> {
    let mut sums: BTreeMap<u16, Sums> = BTreeMap::new();
    let mut items = Vec::new();
    let mut sample = Sample::default();
    let mut too_many = false;
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
    let skip: Option<&mut dyn std::io::Write> = if ask.skip_bad { Some(&mut nowhere) } else { None };
    let summary = read_items(name, ask, &mut sink, skip)?;
    if too_many {
        return Err(CliError::usage(format!(
            "--rehearse plays at most {} items",
            count(MOST_REHEARSED as u64)
        ))
        .hint(format!("play a part of the file: --sample {MOST_REHEARSED}")));
    }
    let classes = ask.classes(&config.catalog, &summary.classes);
    let classes = classes.or_else(|_| ask.classes(assumed, &summary.classes))?;
    ask.check_routes(assumed, &summary.classes, &classes)?;
    let by_ladder = by_ladder(&sums, &classes);
    let models = by_ladder.keys().flat_map(|ladder| ladder.0.iter().flatten().map(String::as_str));
    let counted = sample.corrections(models);
    let mut plan = costs(&by_ladder, &counted, ask, config, assumed, &summary);
    let rehearsal = is_rehearsed.then(|| play(items, &classes, ask, assumed, &summary));
    plan.rehearsal = rehearsal.as_ref().map(RehearsalShown::new);
    plan.deadline_at = classes.iter().filter_map(|class| class.deadline).min();
    Ok((plan, rehearsal))
}

/// What the items of a class add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    items: u64,
    input: u64,
    most_input: u64,
    /// Of the longest request.
    longest: u64,
    /// Expected, where a limit of the request is no lower.
    output: u64,
    /// Allowed by requests that say so.
    most_output: u64,
    /// Answers asked for by requests that do not.
    unlimited: u64,
}

impl Sums {
    fn add(&mut self, item: &Item) {
        let choices = u64::from(item.choices.max(1));
        let assumed = ASSUMED_OUTPUT * choices;
        self.items += 1;
        self.input += u64::from(item.input_tokens);
        self.most_input += item.most_input_tokens();
        self.longest = self.longest.max(item.most_input_tokens());
        self.output += item.max_output.map_or(assumed, |most| u64::from(most).min(assumed));
        self.most_output += u64::from(item.max_output.unwrap_or(0));
        self.unlimited += if item.max_output.is_none() { choices } else { 0 };
    }

    fn plus(&mut self, other: &Sums) {
        self.items += other.items;
        self.input += other.input;
        self.most_input += other.most_input;
        self.longest = self.longest.max(other.longest);
        self.output += other.output;
        self.most_output += other.most_output;
        self.unlimited += other.unlimited;
    }

    /// With the input tokens a model counts, as a sample says.
    fn counted(&self, correction: &Correction) -> Sums {
        Sums { input: (self.input as f64 * correction.ratio).round() as u64, ..*self }
    }

    fn cost(&self, price: &Price) -> f64 {
        let usage = Usage { input: self.input, output: self.output, ..Usage::default() };
        self.with_requests(price, price.cost(&usage))
    }

    fn worst(&self, route: &Route) -> Option<f64> {
        let table = route.prices.as_ref()?;
        let unlimited = if self.unlimited > 0 { self.unlimited * route.max_output? } else { 0 };
        let output = self.most_output + unlimited;
        let cost = |price: &Price| self.with_requests(price, price.worst_case(self.most_input, output));
        table.prices_up_to(self.longest).map(cost).reduce(f64::max)
    }

    /// Prices count one request; there are as many as items.
    fn with_requests(&self, price: &Price, cost: Usd) -> f64 {
        cost.as_f64() + price.request.as_f64() * self.items.saturating_sub(1) as f64
    }
}

fn by_ladder(sums: &BTreeMap<u16, Sums>, classes: &[Class]) -> BTreeMap<Ladder, Sums> {
    let mut by_ladder: BTreeMap<Ladder, Sums> = BTreeMap::new();
    for (class, sums) in sums {
        by_ladder.entry(classes[usize::from(*class)].ladder.clone()).or_default().plus(sums);
    }
    by_ladder
}

fn costs(
    by_ladder: &BTreeMap<Ladder, Sums>,
    counted: &Corrections,
    ask: &Ask,
    config: &Config,
    assumed: &Catalog,
    summary: &Summary,
) -> Plan {
    let now = ask.read.now;
    let mut plan = Plan {
        file: summary.source.name.clone(),
        items: by_ladder.values().map(|sums| sums.items).sum(),
        input_tokens: 0,
        input_tokens_basis: Basis::Measured,
        input_tokens_sampled: 0,
        output_tokens_assumed: by_ladder.values().map(|sums| sums.output).sum(),
        deadline_at: None,
        max_cost_usd: ask.options.max_cost.map(|cap| cap.as_f64()),
        ladders: Vec::new(),
        expected_usd: 0.0,
        expected_in_cheapest_hours_usd: 0.0,
        worst_case_usd: Some(0.0),
        prices_as_of: config.catalog.as_of().to_owned(),
        notes: ask.notes.iter().chain(&summary.notes).cloned().collect(),
        rehearsal: None,
    };
    for (ladder, sums) in by_ladder {
        let mut routes = Vec::new();
        let mut share = 1.0;
        plan.count_input(ladder, sums, counted);
        for (number, step) in ladder.0.iter().enumerate() {
            let of_step: Vec<Arc<Route>> = step.iter().filter_map(|name| assumed.route(name, now)).collect();
            let shown: Vec<RoutePlan> = of_step
                .iter()
                .map(|route| RoutePlan::new(number + 1, route, sums, counted, config, now))
                .collect();
            let least = |cost: fn(&RoutePlan) -> Option<f64>| shown.iter().filter_map(cost).reduce(f64::min);
            plan.expected_usd += share * least(|route| route.cost_usd).unwrap_or(0.0);
            plan.expected_in_cheapest_hours_usd += share * least(|route| route.cheapest_usd).unwrap_or(0.0);
            let worst = of_step
                .iter()
                .map(|route| sums.worst(route))
                .try_fold(0.0, |worst: f64, cost| cost.map(|cost| worst.max(cost)));
            plan.worst_case_usd = plan.worst_case_usd.zip(worst).map(|(sum, worst)| sum + worst);
            routes.extend(shown);
            share *= ASSUMED_ESCALATION;
        }
        plan.ladders.push(LadderPlan { ladder: ladder.to_string(), items: sums.items, routes });
    }
    plan
}

impl Plan {
    /// Adds the input tokens of a ladder, as its first model counts them.
    fn count_input(&mut self, ladder: &Ladder, sums: &Sums, counted: &Corrections) {
        let first = ladder.0.first().and_then(|step| step.first()).map_or("", String::as_str);
        let correction = counted.of(first);
        self.input_tokens += sums.counted(&correction).input;
        self.input_tokens_basis = self.input_tokens_basis.max(correction.basis);
        self.input_tokens_sampled = correction.n_items;
    }

    /// `counted`, `counted on 512 of them`, `assumed`.
    fn input_basis(&self) -> String {
        let basis = self.input_tokens_basis.as_str();
        match self.input_tokens_basis == Basis::Counted && self.input_tokens_sampled < self.items {
            true => format!("{basis} on {} of them", count(self.input_tokens_sampled)),
            false => basis.to_owned(),
        }
    }
}

impl RoutePlan {
    fn new(
        step: usize,
        route: &Route,
        sums: &Sums,
        counted: &Corrections,
        config: &Config,
        now: Timestamp,
    ) -> RoutePlan {
        let correction = counted.of(&route.name);
        let (sums, basis) = (sums.counted(&correction), correction.basis);
        let own = config.catalog.route(&route.name, now);
        let missing = own.and_then(|own| own.unusable.clone());
        let Some(table) = &route.prices else {
            return RoutePlan {
                step,
                route: route.name.to_string(),
                price_window: "-".to_owned(),
                price: "unknown".to_owned(),
                input_tokens: sums.input,
                input_tokens_basis: basis,
                cost_usd: None,
                cheapest_usd: None,
                price_changes_at: None,
                missing,
            };
        };
        let (window, price) = table.at(now);
        RoutePlan {
            step,
            route: route.name.to_string(),
            price_window: window.to_string(),
            price: show::in_and_out(price),
            input_tokens: sums.input,
            input_tokens_basis: basis,
            cost_usd: Some(sums.cost(price)),
            cheapest_usd: Some(sums.cost(table.cheapest())),
            price_changes_at: table.next_change(now),
            missing,
        }
    }
}

fn play(
    items: Vec<Arc<Item>>,
    classes: &[Class],
    ask: &Ask,
    assumed: &Catalog,
    summary: &Summary,
) -> Rehearsal {
    let now = ask.read.now;
    let mixed = items.iter().any(|item| item.class != 0);
    let job = Job {
        id: JobId::new("job_rehearsal"),
        name: ask.name.clone(),
        submitted_at: now,
        n_items: items.len() as u32,
        classes: classes.to_vec(),
        class_of: if mixed { items.iter().map(|item| item.class).collect() } else { Vec::new() },
        copies: summary.copies.clone(),
        options: ask.options.clone(),
        source: summary.source.clone(),
        retry_of: None,
    };
    let routes = super::session::routes_of(assumed, &job, now);
    rehearse(&job, items, &routes, &Assumptions::default(), now)
}

impl RehearsalShown {
    fn new(rehearsal: &Rehearsal) -> RehearsalShown {
        let ended = |status| rehearsal.ended.get(&status).copied().unwrap_or(0);
        let assumed = Assumptions::default();
        RehearsalShown {
            cost_usd: rehearsal.cost.as_f64(),
            finished_at: rehearsal.finished_at,
            succeeded: ended(ItemStatus::Succeeded),
            failed: ended(ItemStatus::Failed),
            expired: ended(ItemStatus::Expired),
            stuck_on: rehearsal.stuck.as_ref().map(|(waiting, words)| {
                if words.is_empty() {
                    waiting.as_str().to_owned()
                } else {
                    format!("{}: {words}", waiting.as_str())
                }
            }),
            assumed_pass_rate: assumed.pass_rate,
            assumed_latency_ms: assumed.latency.as_millis(),
            assumed_output_tokens: assumed.output_tokens,
        }
    }
}

/// What a rehearsal means for the exit code.
fn judged(rehearsal: &Rehearsal, deadline: Option<Timestamp>) -> Exit {
    let expired = rehearsal.ended.get(&ItemStatus::Expired).is_some_and(|&n| n > 0);
    let late = rehearsal.finished_at.zip(deadline).is_some_and(|(end, deadline)| end > deadline);
    match &rehearsal.stuck {
        _ if expired || late => Exit::Deadline,
        Some((Waiting::NoRoute, _)) => Exit::NoRoute,
        Some((Waiting::Budget, _)) => Exit::MaxCost,
        Some(_) => Exit::Deadline,
        None => Exit::Done,
    }
}

fn page(plan: &Plan, setting: &Setting) -> Vec<Line> {
    let mut lines = vec![Line::new().add(Paint::Strong, &plan.file).text(format!(
        "  {} · {} tokens in ({}) · ~{} out (assumed, at most {ASSUMED_OUTPUT} an answer)",
        counted(plan.items, "item"),
        rounded(plan.input_tokens),
        plan.input_basis(),
        rounded(plan.output_tokens_assumed)
    ))];
    for ladder in &plan.ladders {
        if plan.ladders.len() > 1 {
            let items = counted(ladder.items, "item");
            lines.push(Line::new().text(format!("{items} asking for ")).add(Paint::Name, &ladder.ladder));
        }
        lines.extend(routes(&ladder.routes, setting));
    }
    lines.extend(plan.notes.iter().map(|note| Line::new().add(Paint::Warn, note)));
    lines.push(totals(plan));
    lines.extend(plan.rehearsal.iter().map(|rehearsal| rehearsed(rehearsal, plan.deadline_at, setting)));
    lines
}

fn routes(routes: &[RoutePlan], setting: &Setting) -> Vec<Line> {
    let headings = [
        ("STEP", Align::Right),
        ("ROUTE", Align::Left),
        ("PRICE WINDOW", Align::Left),
        ("IN / OUT PER 1M", Align::Right),
        ("ALL ITEMS", Align::Right),
        ("CHEAPEST HOURS", Align::Right),
        ("", Align::Left),
    ];
    let money = |cost: Option<f64>| cost.map_or("?".to_owned(), format::total);
    let row = |route: &RoutePlan| {
        let window = match route.price_changes_at {
            Some(at) => format!("{} until {}", route.price_window, setting.moment(at)),
            None => route.price_window.clone(),
        };
        vec![
            (Paint::Plain, route.step.to_string()),
            (Paint::Name, route.route.clone()),
            (Paint::Plain, window),
            (Paint::Plain, route.price.clone()),
            (Paint::Plain, money(route.cost_usd)),
            (Paint::Plain, money(route.cheapest_usd)),
            (Paint::Warn, route.missing.as_ref().map_or(String::new(), |what| format!("to use it: {what}"))),
        ]
    };
    table(&headings, &routes.iter().map(row).collect::<Vec<_>>())
}

fn totals(plan: &Plan) -> Line {
    let mut line = Line::new()
        .add(Paint::Strong, "expected ")
        .add(Paint::Strong, format::total(plan.expected_usd))
        .text(" now");
    if plan.expected_in_cheapest_hours_usd < plan.expected_usd {
        line = line
            .text(format!(" · {} in the cheapest hours", format::total(plan.expected_in_cheapest_hours_usd)));
    }
    let several = plan.ladders.iter().any(|ladder| ladder.routes.iter().any(|route| route.step > 1));
    if several {
        line = line.text(format!(" · assumed {:.0}% of each step move up", 100.0 * ASSUMED_ESCALATION));
    }
    line = line.text(match plan.worst_case_usd {
        Some(worst) => format!(" · worst case {}, one attempt on every step", format::total(worst)),
        None => " · worst case unknown: a request or a model sets no output limit".to_owned(),
    });
    if let Some(cap) = plan.max_cost_usd {
        line = line.text(format!(" · cap {}", format::total(cap)));
    }
    line.text(format!(" · prices of {}", plan.prices_as_of))
}

fn rehearsed(rehearsal: &RehearsalShown, deadline: Option<Timestamp>, setting: &Setting) -> Line {
    let mut line =
        Line::new().add(Paint::Strong, "rehearsed ").text(format!("{} ok", count(rehearsal.succeeded)));
    for (n, word) in [(rehearsal.failed, "failed"), (rehearsal.expired, "expired")] {
        if n > 0 {
            line = line.add(Paint::Bad, format!(" · {} {word}", count(n)));
        }
    }
    line = line.text(format!(" · {}", format::total(rehearsal.cost_usd)));
    match (rehearsal.finished_at, deadline) {
        (Some(end), Some(deadline)) if end > deadline => {
            line = line.add(
                Paint::Bad,
                format!(" · done {}, {} late", setting.moment(end), format::rough(end.since(deadline))),
            );
        }
        (Some(end), _) => line = line.text(format!(" · done {}", setting.moment(end))),
        (None, _) => {}
    }
    if let Some(stuck) = &rehearsal.stuck_on {
        line = line.add(Paint::Bad, format!(" · cannot go on: {stuck}"));
    }
    let latency = Duration::from_millis(rehearsal.assumed_latency_ms as u64);
    line.add(
        Paint::Faint,
        format!(
            " · assumed {:.0}% of answers pass, {} each, ~{} tokens out",
            100.0 * rehearsal.assumed_pass_rate,
            format::latency(latency.as_millis() as u64),
            rehearsal.assumed_output_tokens
        ),
    )
}
