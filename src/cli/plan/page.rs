//! What `plan` says of one file, as people read it.

use super::document::{Plan, RoutePlan, SamplePlan};
use super::rehearsed::rehearsed;
use crate::cli::format::{self, count, counted, rounded};
use crate::cli::style::{Align, Line, Paint, table};
use crate::cli::words::Setting;
use crate::clock::Timestamp;
use crate::plan::estimate::ASSUMED_OUTPUT;
use crate::plan::tokens::Basis;

/// Chances above this are not worth a warning.
const SAFE: f64 = 0.95;
/// From this far ahead, a moment is named rather than a distance.
const AN_HOUR: u64 = 3_600;

/// All lines of it.
pub(super) fn page(plan: &Plan, setting: &Setting) -> Vec<Line> {
    let mut lines = vec![head(plan)];
    for ladder in &plan.ladders {
        if plan.ladders.len() > 1 {
            let items = counted(ladder.items, "item");
            lines.push(Line::new().text(format!("{items} asking for ")).add(Paint::Name, &ladder.ladder));
        }
        lines.extend(routes(&ladder.routes, setting));
    }
    lines.extend(plan.notes.iter().map(|note| Line::new().add(Paint::Warn, note)));
    lines.extend(plan.sample.iter().map(sampled));
    lines.push(steps(plan));
    lines.extend(when(plan, setting));
    lines.push(total(plan));
    lines.extend(savings(plan));
    lines.extend(lanes(plan));
    lines.extend(plan.rehearsal.iter().map(|rehearsal| rehearsed(rehearsal, plan.deadline_at, setting)));
    lines
}

fn head(plan: &Plan) -> Line {
    let out = match plan.output_tokens_basis {
        Basis::Measured => "measured".to_owned(),
        _ if plan.items > 50 => {
            format!("assumed, at most {ASSUMED_OUTPUT} an answer; --sample 50 sends 50 to measure it")
        }
        _ => format!("assumed, at most {ASSUMED_OUTPUT} an answer"),
    };
    let mut line = Line::new().add(Paint::Strong, &plan.file).text(format!(
        "  {} · {} tokens in ({}) · ~{} out ({out})",
        counted(plan.items, "item"),
        rounded(plan.input_tokens),
        plan.input_basis(),
        rounded(plan.output_tokens)
    ));
    if plan.copies > 0 {
        line = line.text(format!(" · {} answered once", counted(plan.copies, "repeated request")));
    }
    line
}

fn routes(routes: &[RoutePlan], setting: &Setting) -> Vec<Line> {
    let headings = [
        ("STEP", Align::Right),
        ("ROUTE", Align::Left),
        ("PRICE WINDOW", Align::Left),
        ("IN / OUT PER 1M", Align::Right),
        ("IF ALL NOW", Align::Right),
        ("EXPECTED", Align::Right),
        ("STARTS", Align::Left),
        ("ENDS", Align::Left),
        ("", Align::Left),
    ];
    let money = |cost: Option<f64>| cost.map_or("?".to_owned(), format::total);
    let row = |route: &RoutePlan| {
        let window = match route.price_changes_at {
            Some(at) if route.starts_at.is_none_or(|starts| starts < at) => {
                format!("{} until {}", route.price_window, setting.moment(at))
            }
            _ => route.price_window.clone(),
        };
        let name = match &*route.lane {
            "realtime" => route.route.clone(),
            lane => format!("{} {lane}", route.route.trim_end_matches(lane).trim_end()),
        };
        let time =
            |at: Option<Timestamp>, about: &str| at.map_or("-".to_owned(), |at| near(at, about, setting));
        vec![
            (Paint::Plain, route.step.to_string()),
            (Paint::Name, name),
            (Paint::Plain, window),
            (Paint::Plain, route.price.clone()),
            (Paint::Plain, money(route.cost_usd)),
            (Paint::Strong, money(route.expected_usd)),
            (Paint::Plain, time(route.starts_at, "")),
            (Paint::Plain, time(route.ends_at, "~")),
            (Paint::Warn, route.missing.as_ref().map_or(String::new(), |what| format!("to use it: {what}"))),
        ]
    };
    table(&headings, &routes.iter().map(row).collect::<Vec<_>>())
}

/// `now`, `~in 12s`, `~10:50 UTC`.
fn near(at: Timestamp, about: &str, setting: &Setting) -> String {
    let distance = at.since(setting.now);
    match distance.as_secs() {
        0 if about.is_empty() => "now".to_owned(),
        0 => format!("{about}in 1s"),
        secs if secs < AN_HOUR => format!("{about}in {}", format::span(distance)),
        _ => format!("{about}{}", setting.moment(at)),
    }
}

fn sampled(sample: &SamplePlan) -> Line {
    let mut line = Line::new().add(Paint::Strong, "sample ").text(format!(
        "{} answered as {} for {}",
        counted(sample.items, "item"),
        sample.job_id,
        format::total(sample.cost_usd)
    ));
    for model in &sample.models {
        line = line.text(format!(
            " · {}: {:.0}% of {} pass, {:.0} tokens out, {}",
            model.model,
            100.0 * model.pass_rate,
            count(model.attempts),
            model.output_tokens,
            format::latency(model.latency_ms)
        ));
    }
    match sample.items_for_5_percent {
        Some(items) => line.add(Paint::Faint, format!(" · --sample {items} would make the range ±5%")),
        None => line,
    }
}

/// What moves up, and what waits.
fn steps(plan: &Plan) -> Line {
    let mut line = Line::new().add(Paint::Strong, "plan ");
    let starts = plan.ladders.iter().flat_map(|ladder| &ladder.routes).filter_map(|route| route.starts_at);
    let all = plan.ladders.iter().flat_map(|ladder| ladder.routes.iter());
    line = match starts.min() {
        None => line.text("nothing can be sent"),
        Some(_) => line.text(format!(
            "~{} of {} succeed",
            rounded(plan.expected_successes.round() as u64),
            rounded(plan.items)
        )),
    };
    let lowest = all.clone().filter(|route| route.step > 1 && route.attempts > 0.0);
    for route in lowest {
        let below = all.clone().find(|other| other.step + 1 == route.step);
        let basis = below.map_or(Basis::Assumed, |below| below.pass_rate_basis);
        let share = 100.0 * route.attempts / plan.items.saturating_sub(plan.copies).max(1) as f64;
        line = line.text(format!(
            " · {} moves up to {} ({}: {})",
            percent(share),
            route.route,
            basis.as_str(),
            format::total(route.expected_usd.unwrap_or(0.0))
        ));
    }
    line
}

fn percent(share: f64) -> String {
    if share >= 1.0 { format!("{share:.0}%") } else { format!("{share:.1}%") }
}

fn when(plan: &Plan, setting: &Setting) -> Vec<Line> {
    let mut lines = Vec::new();
    if let (Some(impossible), Some(deadline)) = (&plan.impossible, plan.deadline_at) {
        let earliest = impossible.earliest_finish_at.map_or_else(
            || "no hours known are enough".to_owned(),
            |at| format!("the earliest finish is {}", setting.moment(at)),
        );
        lines.push(Line::new().add(
            Paint::Bad,
            format!(
                "the deadline {} cannot be met: {earliest}; {} of {} fit",
                setting.moment(deadline),
                count(impossible.items_that_fit),
                counted(plan.items, "item")
            ),
        ));
    } else if let (Some(chance), Some(deadline)) = (plan.deadline_chance, plan.deadline_at) {
        let words = format!("{:.0}% chance to be done by {}", 100.0 * chance, setting.moment(deadline));
        if chance < SAFE {
            lines.push(Line::new().add(Paint::Warn, words));
        }
    }
    lines
}

fn total(plan: &Plan) -> Line {
    let mut line =
        Line::new().add(Paint::Strong, "total ").add(Paint::Strong, format::total(plan.expected_usd));
    line = line.text(format!(
        " expected ({} to {})",
        format::total(plan.expected_low_usd),
        format::total(plan.expected_high_usd)
    ));
    if let Some(cap) = plan.max_cost_usd {
        line = line.text(format!(" · cap {}", format::total(cap)));
    }
    if plan.waiting_saves_usd > 0.0005 * plan.run_now_usd {
        line = line.text(format!(
            " · run now instead: {} · waiting saves {} ({:.0}%)",
            format::total(plan.run_now_usd),
            format::total(plan.waiting_saves_usd),
            100.0 * plan.waiting_saves_usd / plan.run_now_usd
        ));
    }
    line = match plan.worst_case_usd {
        Some(worst) => {
            line.text(format!(" · worst case {}, one attempt on every step", format::total(worst)))
        }
        None => line.text(" · worst case unknown: a request or a model sets no output limit"),
    };
    if plan.max_cost_usd.zip(plan.worst_case_usd).is_some_and(|(cap, worst)| worst > cap) {
        line = line.add(Paint::Warn, ", above the cap: it may stop there");
    }
    line.text(format!(" · prices of {}", plan.prices_as_of))
}

/// Cheaper lanes of the models that are planned with, were all items to go there.
fn lanes(plan: &Plan) -> Option<Line> {
    let used = plan.ladders.iter().flat_map(|ladder| &ladder.routes).filter(|route| route.attempts > 0.0);
    let mut line =
        Line::new().add(Paint::Strong, "lanes ").text("not used here; all items at once would cost");
    let mut some = false;
    let is_planned =
        |name: &str| plan.ladders.iter().flat_map(|ladder| &ladder.routes).any(|of| of.route == name);
    for route in used.filter(|route| route.step == 1) {
        for (lane, cost) in [("flex", route.flex_usd), ("batch", route.batch_usd)] {
            let is_cheaper = |&cost: &f64| route.cost_usd.is_none_or(|now| cost < now);
            let Some(cost) =
                cost.filter(is_cheaper).filter(|_| !is_planned(&format!("{} {lane}", route.route)))
            else {
                continue;
            };
            line = line.text(format!(" · {} {lane} {}", route.route, format::total(cost)));
            some = true;
        }
    }
    some.then_some(line)
}

/// Each lever on what the ones before it left.
fn savings(plan: &Plan) -> Option<Line> {
    if plan.savings.is_empty() {
        return None;
    }
    let mut line = Line::new()
        .add(Paint::Strong, "saved ")
        .text(format!("strongest model alone, now: {}", format::total(plan.strongest_alone_usd)));
    for lever in &plan.savings {
        let share = 100.0 * (1.0 - lever.factor);
        line = line.text(format!(" · {} -{}", lever.name, percent(share)));
    }
    Some(line)
}
