//! A file played through on the engine that would do the work, and how that is shown.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::attempt::ItemStatus;
use crate::catalog::Catalog;
use crate::cli::exit::Exit;
use crate::cli::format::{self, count};
use crate::cli::session;
use crate::cli::style::{Line, Paint};
use crate::cli::words::Setting;
use crate::clock::Timestamp;
use crate::job::{Item, Job};
use crate::rehearse::{Assumptions, Rehearsal, rehearse};
use crate::view::Waiting;

/// How the rehearsal went.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RehearsalShown {
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

/// Plays the job from now on.
pub(super) fn play(job: &Job, items: Vec<Arc<Item>>, assumed: &Catalog, now: Timestamp) -> Rehearsal {
    let mixed = items.iter().any(|item| item.class != 0);
    let class_of = if mixed { items.iter().map(|item| item.class).collect() } else { Vec::new() };
    let job = Job { n_items: items.len() as u32, class_of, ..job.clone() };
    let routes = session::on_lanes(assumed, session::routes_of(assumed, &job, now), now);
    rehearse(&job, items, &routes, &Assumptions::default(), now)
}

/// What a rehearsal means for the exit code.
pub(super) fn judged(rehearsal: &Rehearsal, deadline: Option<Timestamp>) -> Exit {
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

impl RehearsalShown {
    pub(super) fn new(rehearsal: &Rehearsal) -> RehearsalShown {
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

/// One line of it.
pub(super) fn rehearsed(rehearsal: &RehearsalShown, deadline: Option<Timestamp>, setting: &Setting) -> Line {
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
