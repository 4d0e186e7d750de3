//! Tonight, played in a moment: what a job would cost and when it would be done.
//!
//! The forecast comes from the very engine that will spend the money, driven by [`night`] with a
//! simulated provider whose prices, limits and context windows are those of the routes. Pass rates,
//! latencies and answer lengths are assumptions, and are labelled so.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::ItemStatus;
use crate::catalog::Route;
use crate::check::Check;
use crate::clock::Timestamp;
use crate::job::{Item, Job, JobOptions};
use crate::money::{Price, Usd};
use crate::plan::route::{BATCH, FLEX};
use crate::provider::simulated::{self, Config, Model, Simulated};
use crate::view::{JobView, Waiting};

mod batches;
#[cfg(test)]
mod families;
pub mod night;
#[cfg(test)]
mod reality;

use night::{Night, NoRows};

/// By then it shows what is waited for.
const AT_FIRST: Duration = Duration::from_secs(1);

/// What is assumed of every model until something is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Share of answers that pass the check.
    pub pass_rate: f64,
    /// Median time of an answer.
    pub latency: Duration,
    /// Output tokens of an answer, on average.
    pub output_tokens: u64,
    /// Of the simulator's chances.
    pub seed: u64,
}

impl Default for Assumptions {
    fn default() -> Assumptions {
        Assumptions {
            pass_rate: 0.96,
            latency: Duration::from_secs(2),
            output_tokens: crate::plan::estimate::ASSUMED_OUTPUT,
            seed: 1,
        }
    }
}

/// How the night went.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The job as it stood at the end.
    pub view: JobView,
    /// What it cost.
    pub cost: Usd,
    /// When it was over; `None` where it could not go on.
    pub finished_at: Option<Timestamp>,
    /// What it waits for at first, in words: a cheaper hour, for one.
    pub waits: Option<String>,
    /// What it waits for, where it could not go on.
    pub stuck: Option<(Waiting, String)>,
    /// Items by how they ended.
    pub ended: BTreeMap<ItemStatus, u32>,
}

/// Plays a job from `now` on, for at most a month.
pub fn rehearse(
    job: &Job,
    items: Vec<Arc<Item>>,
    routes: &[Arc<Route>],
    assumed: &Assumptions,
    now: Timestamp,
) -> Rehearsal {
    // A model's other lanes are other prices of the same model.
    let realtime = routes.iter().filter(|route| ![FLEX, BATCH].contains(&&*route.lane));
    let provider = Simulated::new(Config {
        seed: assumed.seed,
        models: realtime.map(|route| model(route, routes, assumed)).collect(),
        plain_answers: true,
        keep_log: false,
        ..Config::default()
    });
    let job = Arc::new(Job { options: plain_check(&job.options), ..job.clone() });
    let items = items.into_iter().map(plain_item).collect();
    let mut night = Night::new(routes.to_vec(), provider, NoRows, now);
    night.submit(job.clone(), items).expect("no power cut was asked for");
    let waits = waits_at_first(&mut night, &job);
    night.run_until(now + Duration::from_secs(31 * 86_400)).expect("no power cut was asked for");
    Rehearsal { waits, ..summary(&mut night, &job) }
}

/// What is waited for before anything is sent.
fn waits_at_first(night: &mut Night<NoRows>, job: &Job) -> Option<String> {
    let latest = night.now() + AT_FIRST;
    while night.now() < latest && night.step().expect("no power cut was asked for") {
        let view = view(night, job);
        if view.attempts > 0 || view.waiting_for.is_some() {
            return view.waiting_for;
        }
    }
    None
}

fn view(night: &mut Night<NoRows>, job: &Job) -> JobView {
    let views = night.engine.views(night.now());
    views.into_iter().find(|view| view.job_id == job.id).expect("the job was submitted")
}

fn summary(night: &mut Night<NoRows>, job: &Job) -> Rehearsal {
    let view = view(night, job);
    let (_, state) = night.engine.ledger().get(&job.id).expect("the job was submitted");
    let counts = state.counts();
    let stuck = view.waiting.keys().next().filter(|_| state.finished_at.is_none());
    let stuck = stuck.map(|&waiting| (waiting, view.waiting_for.clone().unwrap_or_default()));
    Rehearsal {
        cost: state.shown_cost(),
        finished_at: state.finished_at,
        waits: None,
        stuck,
        ended: BTreeMap::from([
            (ItemStatus::Succeeded, counts.succeeded),
            (ItemStatus::Failed, counts.failed),
            (ItemStatus::Expired, counts.expired),
            (ItemStatus::Cancelled, counts.cancelled),
        ]),
        view,
    }
}

/// A route as the simulator plays it.
fn model(route: &Route, routes: &[Arc<Route>], assumed: &Assumptions) -> Model {
    let on_lane = |lane: &str| {
        let name = format!("{} {lane}", route.name);
        let other = routes.iter().find(|other| *other.name == *name)?;
        Some(other.prices.as_ref()?.base)
    };
    let price = route.prices.as_ref().map_or_else(Price::default, |table| table.base);
    Model {
        pass_rate: assumed.pass_rate,
        latency: assumed.latency,
        output: assumed.output_tokens,
        context: route.context,
        max_output: route.max_output,
        batch_price: on_lane(BATCH),
        flex_price: on_lane(FLEX),
        limits: simulated::Limits {
            rpm: route.limits.rpm,
            tpm: route.limits.tpm,
            concurrency: route.limits.concurrency,
        },
        ..Model::new(&*route.name, price)
    }
}

/// The simulator's plain answers pass or fail by chance, so any check is replaced by one that sees it.
fn plain_check(options: &JobOptions) -> JobOptions {
    let check = options.check.as_ref().map(|_| Check::Contains("pass".to_owned()));
    JobOptions { check, ..options.clone() }
}

fn plain_item(item: Arc<Item>) -> Arc<Item> {
    match &item.options {
        Some(options) if options.check.is_some() => {
            let mut options = options.clone();
            options.check = Some(Check::Contains("pass".to_owned()));
            Arc::new(Item { options: Some(options), ..(*item).clone() })
        }
        _ => item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;
    use crate::job::{Class, JobId, JobOptions, Ladder, Source};
    use crate::plan::testing::item;

    /// A Monday night with DeepSeek's peak from 01:00 to 04:00 UTC.
    fn play(deadline: &str) -> (Option<String>, Timestamp) {
        let now: Timestamp = "2026-11-23T01:30:00Z".parse().unwrap();
        let name = "deepseek/deepseek-flash";
        let route = with_keys(&["deepseek"]).route(name, now).unwrap();
        let ladder = Ladder(vec![vec![name.to_owned()]]);
        let class = Class { ladder, deadline: Some(deadline.parse().unwrap()), ..Class::default() };
        let job = Job {
            id: JobId::new("job_rehearsal"),
            name: None,
            submitted_at: now,
            n_items: 40,
            classes: vec![class],
            class_of: Vec::new(),
            copies: Vec::new(),
            options: JobOptions::default(),
            source: Source::default(),
            retry_of: None,
        };
        let items = (0..40).map(|index| Arc::new(item(index))).collect();
        let rehearsal = rehearse(&job, items, &[route], &Assumptions::default(), now);
        assert_eq!(rehearsal.ended[&ItemStatus::Succeeded], 40);
        (rehearsal.waits, rehearsal.finished_at.unwrap())
    }

    #[test]
    fn a_peak_is_waited_out_and_it_says_so() {
        let at = |time: &str| format!("2026-11-23T{time}:00Z").parse::<Timestamp>().unwrap();
        let (waits, finished) = play("2026-11-23T09:00:00Z");
        assert_eq!(waits.as_deref(), Some("waits for deepseek off-peak, 2 h 30 m"));
        assert!((at("04:00")..at("04:05")).contains(&finished), "{finished}");
        let (waits, finished) = play("2026-11-23T03:00:00Z");
        assert_eq!(waits, None);
        assert!(finished < at("02:50"), "{finished}");
    }
}
