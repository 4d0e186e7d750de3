//! One night on four families, at the prices of the bundled table: DeepSeek in its cheap hours, what it fails
//! in the batches of Gemini, what these fail on OpenAI's flex lane, and the rest at Anthropic.
//!
//! The plan is made before the night, of what a sample showed and again of what the night itself showed; the
//! night is played on the engine; the provider keeps books of its own; the report is read from the files that
//! the night leaves. Time is virtual.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::night::{Night, Rows};
use crate::attempt::{AttemptStatus, ItemStatus};
use crate::catalog::settings::{ProviderSettings, Settings};
use crate::catalog::testing::with_keys;
use crate::catalog::{Catalog, Route};
use crate::check::Check;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Body, Class, Hedge, Item, Job, JobId, JobOptions, Ladder, Source};
use crate::ledger::JobLedger;
use crate::money::{Price, Usd};
use crate::plan::forecast::spread::normal;
use crate::plan::forecast::{Belief, Forecast, Lot, Measured, Observed, Rung, forecast};
use crate::plan::route::{BATCH, FLEX};
use crate::plan::testing::item;
use crate::plan::tokens::Basis;
use crate::provider::simulated::{
    BatchConfig, BatchFault, BatchFaultRates, Config, Fault, FaultRates, Faults, Line, Model, Simulated,
};
use crate::record::{Ended, Next, PartCommitted, Record, Seq};
use crate::report::against::Against;
use crate::report::attribution::{Attribution, Books};
use crate::report::by::Key;
use crate::report::{JobReport, Tally};
use crate::results::folder::Folder;
use crate::results::parts::Parts;
use crate::results::read;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::results::testing::parts;

const NIGHTS: u64 = 3;
const ITEMS: u32 = 3_000;
const SAMPLE: u32 = 1_000;
/// Of a step's calls that were paid for, how many hundredths went out on its lane at least.
const ON_LANE: usize = 95;
/// How near a plan made of a sample is to come, where the luck of its draw allows it.
const NEAR: f64 = 0.10;
/// How near one comes that knows how often each model passes in this very night.
const SURE: f64 = 0.02;
/// A plan's range ends so many standard errors from what is expected.
const NINETY: f64 = 1.645;

/// A step of the ladder: the route that is to serve it, and what its model is like.
struct Step {
    model: &'static str,
    lane: &'static str,
    window: &'static str,
    pass_rate: f64,
    output: u64,
    latency: Duration,
}

const LADDER: [Step; 4] = [
    Step {
        model: "deepseek/deepseek-flash",
        lane: "realtime",
        window: "off-peak",
        pass_rate: 0.75,
        output: 180,
        latency: Duration::from_secs(4),
    },
    Step {
        model: "gemini/gemini-3.8-flash",
        lane: BATCH,
        window: "flat",
        pass_rate: 0.6,
        output: 150,
        latency: Duration::from_secs(3),
    },
    Step {
        model: "openai/gpt-6.1-terra",
        lane: FLEX,
        window: "flat",
        pass_rate: 0.7,
        output: 160,
        latency: Duration::from_secs(9),
    },
    Step {
        model: "anthropic/claude-sonnet-5-5",
        lane: "realtime",
        window: "flat",
        pass_rate: 0.9,
        output: 200,
        latency: Duration::from_secs(5),
    },
];

impl Step {
    fn route(&self) -> String {
        if self.lane == "realtime" { self.model.to_owned() } else { format!("{} {}", self.model, self.lane) }
    }
}

/// An evening in San Francisco: DeepSeek's peak has an hour and a half to go.
fn evening() -> Timestamp {
    "2026-11-24T02:30:00Z".parse().expect("a time")
}

fn off_peak() -> Timestamp {
    "2026-11-24T04:00:00Z".parse().expect("a time")
}

/// Seven o'clock there.
fn morning() -> Timestamp {
    "2026-11-24T15:00:00Z".parse().expect("a time")
}

/// The bundled table of someone who sends to Gemini in batches alone, and to OpenAI on flex where it has room.
fn catalog() -> Catalog {
    let on = |provider: &str, lanes: &[&str]| {
        let lanes = lanes.iter().map(|&lane| lane.to_owned()).collect();
        let set = ProviderSettings { lanes: Some(lanes), ..ProviderSettings::default() };
        (provider.to_owned(), set)
    };
    let providers = [on("gemini", &[BATCH]), on("openai", &["realtime", FLEX])].into();
    let keys = with_keys(&["deepseek", "gemini", "openai", "anthropic"]);
    keys.merge(&Settings { providers, ..Settings::default() }).0
}

/// A night's prompts and answers.
struct World {
    seed: u64,
    catalog: Catalog,
}

/// A night that was played.
struct Played {
    night: Night<Kept>,
    items: Vec<Item>,
}

/// Every record's rows, and the files they are in.
struct Kept {
    parts: Parts,
    ended: Vec<Ended>,
    folder: Folder,
    _temp: tempfile::TempDir,
}

impl Kept {
    fn new() -> Kept {
        let temp = tempfile::tempdir().expect("a folder of its own");
        let folder = Folder::new(temp.path());
        Kept { parts: parts(&folder).unwrap(), ended: Vec::new(), folder, _temp: temp }
    }
}

impl Rows for Kept {
    const WANTED: bool = true;

    fn add(&mut self, job: &Arc<Job>, parts: u32, committed_to: Seq) {
        self.parts.add(job.clone(), parts, committed_to).unwrap();
    }
    fn push(&mut self, seq: Seq, record: &Record) {
        self.parts.push(seq, record).unwrap();
        if let Record::Ended(ended) = record {
            self.ended.push((**ended).clone());
        }
    }
    fn close(&mut self, job: &JobId, now: Timestamp) -> Option<PartCommitted> {
        self.parts.close(job, now).unwrap()
    }
    fn finish(&mut self, _: &JobId, _: &JobLedger) {}
}

impl World {
    fn new(seed: u64) -> World {
        World { seed, catalog: catalog() }
    }

    /// Every route there is, those left out with their reason.
    fn routes(&self) -> Vec<Arc<Route>> {
        let routes = LADDER.iter().flat_map(|step| {
            let realtime = self.catalog.route(step.model, evening());
            let others = [FLEX, BATCH].map(|lane| self.catalog.route_on(step.model, lane, evening()));
            let is_used = |route: &Arc<Route>| {
                let lanes = &self.catalog.provider(&route.provider).expect("it has a route").lanes;
                lanes.iter().any(|lane| **lane == *route.lane)
            };
            realtime.into_iter().chain(others.into_iter().flatten().filter(is_used))
        });
        routes.collect()
    }

    fn provider(&self) -> Simulated {
        let often = |name: &str| name.parse::<Fault>().expect("a fault of the table");
        let rates = FaultRates::new(&[(often("429"), 0.01), (often("503"), 0.005)]).expect("small rates");
        let faults = BatchFaultRates::new(&[(BatchFault::Late, 0.3), (BatchFault::Cut, 0.3)]);
        Simulated::new(Config {
            seed: self.seed,
            models: LADDER.iter().map(|step| self.model(step)).collect(),
            faults: Faults { rates, ..Faults::default() },
            batches: BatchConfig { duration: Duration::from_secs(40 * 60), faults, ..BatchConfig::default() },
            ..Config::default()
        })
    }

    fn model(&self, step: &Step) -> Model {
        let table = |lane| self.catalog.route_on(step.model, lane, evening())?.prices.clone();
        let realtime = table("realtime").expect("it has a price");
        let mut changes: Vec<(Timestamp, Price)> = Vec::new();
        while let Some(at) = realtime.next_change(changes.last().map_or(evening(), |change| change.0)) {
            if at > morning() {
                break;
            }
            changes.push((at, *realtime.at(at).1));
        }
        Model {
            pass_rate: step.pass_rate,
            latency: step.latency,
            latency_spread: 1.5,
            output: step.output,
            output_spread: 1.3,
            price_changes: changes,
            batch_price: table(BATCH).map(|table| table.base),
            flex_price: table(FLEX).map(|table| table.base),
            max_output: None,
            context: None,
            ..Model::new(step.model, *realtime.at(evening()).1)
        }
    }

    /// A prompt of a hundred to seven hundred tokens.
    fn item(&self, index: u32) -> Item {
        let words = 50 + (u64::from(index) * 7_919 + self.seed * 104_729) % 300;
        let text = format!("{} {index}: {}", self.seed, "what holds ".repeat(words as usize / 2));
        let json = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"max_tokens":600}}"#);
        let input_tokens = json.len() as u32 / 4;
        let body = Body { json: Bytes::from(json), model_at: None };
        Item { index, body, input_tokens, max_output: Some(600), ..item(index) }
    }

    fn play(&self, items: Vec<Item>) -> Played {
        let job = Arc::new(Job {
            id: JobId::new("job_families"),
            name: None,
            submitted_at: evening(),
            n_items: items.len() as u32,
            classes: vec![Class {
                ladder: Ladder(LADDER.iter().map(|step| vec![step.model.to_owned()]).collect()),
                deadline: Some(morning()),
                ..Class::default()
            }],
            class_of: Vec::new(),
            copies: Vec::new(),
            options: JobOptions {
                // Evasions are shorter.
                check: Some(Check::Regex(".{30}".to_owned())),
                max_attempts: 12,
                // What a call would have billed that lost a race is not known.
                hedge: Hedge::Off,
                ..JobOptions::default()
            },
            source: Source::default(),
            retry_of: None,
        });
        let items: Vec<Item> = items
            .into_iter()
            .enumerate()
            .map(|(at, item)| Item { index: at as u32, custom_id: format!("item-{at}").into(), ..item })
            .collect();
        let mut night = Night::new(self.routes(), self.provider(), Kept::new(), evening());
        night.submit(job, items.iter().cloned().map(Arc::new).collect()).expect("no cut is planned");
        night.run_until(morning() + Duration::from_secs(86_400)).expect("no cut is planned");
        assert!(night.is_over(), "seed {}", self.seed);
        Played { night, items }
    }

    /// What is to be expected of the whole job, by what a night showed.
    fn plan(&self, shown: &Played) -> Forecast {
        let mut measured = Measured::default();
        for ended in &shown.night.rows.ended {
            let Some(usage) = ended.usage else { continue };
            let seen = Observed {
                expected_input: f64::from(shown.items[ended.item as usize].input_tokens),
                input: usage.input as f64,
                output: usage.output as f64,
                seconds: ended.ended_at.since(ended.started_at).as_secs_f64(),
                passed: ended.status == AttemptStatus::Succeeded,
            };
            measured.add(&format!("{}/{}", ended.route.provider, ended.route.model), &seen);
        }
        let all: f64 = (0..ITEMS).map(|index| f64::from(self.item(index).input_tokens)).sum();
        let mean = all / f64::from(ITEMS);
        let assumed = Belief::assumed(mean, Basis::Assumed, 300.0);
        let rungs = |step: &Step| {
            let routes = self.catalog.routes_on_lanes(step.model, evening());
            let belief = measured.belief(step.model, mean, &assumed);
            routes.into_iter().map(|route| Rung { route, belief, held_output: 600.0 }).collect()
        };
        let lot = Lot {
            items: u64::from(ITEMS),
            copies: 0,
            deadline: Some(morning()),
            when: Default::default(),
            priority: 0,
            steps: LADDER.iter().map(rungs).collect(),
        };
        self.goes_the_four_lanes(&forecast(std::slice::from_ref(&lot), evening()), &lot)
    }

    /// The plan names the lanes and the hour that the night is to take.
    fn goes_the_four_lanes(&self, plan: &Forecast, lot: &Lot) -> Forecast {
        for (number, step) in LADDER.iter().enumerate() {
            let rows = plan.rows.iter().filter(|row| row.step == number);
            let names: BTreeSet<&str> =
                rows.clone().map(|row| &*lot.steps[number][row.rung].route.name).collect();
            assert_eq!(names, BTreeSet::from([&*step.route()]), "seed {}: step {number}", self.seed);
            assert!(rows.map(|row| row.starts).min() >= Some(off_peak()), "seed {}", self.seed);
        }
        assert!(plan.impossible.is_none() && plan.finish <= Some(morning()), "{plan:?}");
        plan.clone()
    }
}

impl Played {
    fn paid(&self) -> Usd {
        self.night.rows.ended.iter().map(|ended| ended.cost).sum()
    }

    /// Every item has one result, in time.
    fn every_item_ended_once(&self) {
        let selection = self.selection(Selection::results);
        let rows = read::results(&selection, Texts::Without);
        let names: Vec<String> = rows.map(|row| row.unwrap().custom_id).collect();
        let unique: BTreeSet<&String> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (self.items.len(), self.items.len()));
        let last = self.night.rows.ended.iter().map(|ended| ended.ended_at).max();
        assert!(last < Some(morning()), "the last answer is in at {last:?}");
    }

    /// Our books and the provider's say the same of every request, to the last digit.
    fn books_agree(&self) {
        let lines: BTreeMap<AttemptId, &Line> =
            self.night.provider.log().iter().map(|line| (attempt(line), line)).collect();
        for ended in &self.night.rows.ended {
            let billed = lines.get(&ended.attempt).map_or(Usd::ZERO, |line| line.billed);
            assert_eq!((ended.cost, ended.at_risk), (billed, Usd::ZERO), "{ended:?}");
        }
        assert_eq!(self.paid(), self.night.provider.totals().billed);
    }

    /// Every step was served on its own lane and in its own hours, and passed a share of its items up.
    fn went_the_four_lanes(&self) {
        let mut reach = self.items.len();
        for (number, step) in LADDER.iter().enumerate() {
            let own = || self.night.rows.ended.iter().filter(|ended| usize::from(ended.step) == number);
            let paid = || own().filter(|ended| ended.cost > Usd::ZERO);
            for ended in paid() {
                assert_eq!(
                    (&*ended.route.window, ended.upstream_batch.is_some()),
                    (step.window, step.lane == BATCH)
                );
                assert!(ended.started_at >= off_peak(), "{ended:?}");
            }
            let on_lane = paid().filter(|ended| *ended.route.lane == *step.lane).count();
            assert!(
                100 * on_lane >= ON_LANE * paid().count(),
                "step {number}: {on_lane} of {}",
                paid().count()
            );
            let items: BTreeSet<u32> = own().map(|ended| ended.item).collect();
            let passed = own().filter(|ended| ended.status == AttemptStatus::Succeeded).count();
            assert_eq!(items.len(), reach, "step {number}");
            assert!(passed > 0 && passed < reach, "step {number}: {passed} of {reach}");
            reach -= passed;
        }
    }

    fn selection(
        &self,
        of: impl Fn(&Folder, &[Link], &Filter) -> Result<Selection, crate::results::ResultsError>,
    ) -> Selection {
        let link = Link::all(JobId::new("job_families"));
        of(&self.night.rows.folder, &[link], &Filter::default()).unwrap()
    }

    /// What is reported of the files, by route.
    fn report(&mut self, catalog: &Catalog) -> (JobReport, Attribution) {
        let mut books = Books::new(&[Key::Route], Against::new(catalog));
        books.against().add("job_families", evening(), [LADDER[3].model.to_owned()]);
        let mut tally = Tally::default();
        for row in read::attempts(&self.selection(Selection::attempts), Texts::Without) {
            let row = row.unwrap();
            tally.add(&row);
            books.add_attempt(&row);
        }
        for row in read::results(&self.selection(Selection::results), Texts::Without) {
            books.add_item(&row.unwrap());
        }
        let now = self.night.now();
        let view = self.night.engine.views(now).remove(0);
        (JobReport::new(&view, Some(tally), now), books.close(0))
    }

    /// The report says of every success where it came from, and of every dollar where it went.
    fn report_shows_where_each_success_came_from(&mut self, catalog: &Catalog) {
        let (job, all) = self.report(catalog);
        let mut came_from: BTreeMap<String, u64> = BTreeMap::new();
        for ended in &self.night.rows.ended {
            if matches!(&ended.next, Next::Settled(settled) if settled.status == ItemStatus::Succeeded) {
                *came_from.entry(route_of(ended)).or_default() += 1;
            }
        }
        assert!(LADDER.iter().all(|step| came_from.contains_key(&step.route())), "{came_from:?}");
        assert_eq!(came_from.values().sum::<u64>(), u64::from(job.succeeded));
        let of_job: BTreeMap<String, u64> =
            job.routes.iter().map(|route| (route.route.clone(), route.succeeded)).collect();
        let of_groups: BTreeMap<String, u64> =
            all.groups.iter().map(|group| (group.name(), group.succeeded)).collect();
        for reported in [of_job, of_groups] {
            let some: BTreeMap<String, u64> = reported.into_iter().filter(|&(_, count)| count > 0).collect();
            assert_eq!(some, came_from);
        }
        assert_eq!(all.total.succeeded, u64::from(job.succeeded));
        let of_groups: i64 = all.groups.iter().map(|group| group.cost_nano_usd).sum();
        assert_eq!(of_groups, all.total.cost_nano_usd);
        assert!((all.total.cost_usd - self.paid().as_f64()).abs() < 1e-9 * f64::from(ITEMS));
        assert!(all.total.cost_nano_usd < all.total.list_cost_nano_usd, "cheaper lanes and hours save");
    }
}

/// The name of the route that an attempt took.
fn route_of(ended: &Ended) -> String {
    let model = format!("{}/{}", ended.route.provider, ended.route.model);
    if &*ended.route.lane == "realtime" { model } else { format!("{model} {}", ended.route.lane) }
}

fn attempt(line: &Line) -> AttemptId {
    match &line.client_id {
        Some(crate::provider::simulated::ClientId::Attempt(attempt)) => *attempt,
        other => panic!("a request without an attempt's name: {other:?}"),
    }
}

/// How near the plans of all nights came.
#[derive(Default)]
struct Score {
    near: u32,
    inside: u32,
    /// Of those that knew the odds of the night itself.
    sure: u32,
    /// How many come as near whose only fault is the luck of their sample, and the variance.
    by_luck: (f64, f64),
}

impl Score {
    fn add(&mut self, plan: &Forecast, knowing: f64, paid: f64) {
        let error = plan.cost.half() / NINETY;
        let chance = 2.0 * normal(NEAR / error) - 1.0;
        self.by_luck = (self.by_luck.0 + chance, self.by_luck.1 + chance * (1.0 - chance));
        self.near += u32::from((paid / plan.cost.expected - 1.0).abs() <= NEAR);
        self.sure += u32::from((paid / knowing - 1.0).abs() <= SURE);
        self.inside += u32::from((plan.cost.low..=plan.cost.high).contains(&paid));
    }
}

#[test]
fn a_ladder_over_four_families_costs_what_was_planned() {
    let mut score = Score::default();
    for seed in 1..=NIGHTS {
        let world = World::new(seed);
        let every = ITEMS / SAMPLE;
        let sample = world.play((0..SAMPLE).map(|index| world.item(every * index)).collect());
        let planned = world.plan(&sample);
        let mut played = world.play((0..ITEMS).map(|index| world.item(index)).collect());
        played.every_item_ended_once();
        played.books_agree();
        played.went_the_four_lanes();
        let paid = played.paid().as_f64();
        let knowing = world.plan(&played).cost.expected;
        println!(
            "seed {seed}: planned ${:.4} (standard error {:.1}%), knowing the odds ${knowing:.4}, paid ${paid:.4}: {:+.2}%, {:+.2}%",
            planned.cost.expected,
            100.0 * planned.cost.half() / NINETY,
            100.0 * (paid / planned.cost.expected - 1.0),
            100.0 * (paid / knowing - 1.0),
        );
        score.add(&planned, knowing, paid);
        played.report_shows_where_each_success_came_from(&world.catalog);
    }
    let Score { near, inside, sure, by_luck } = score;
    println!("near: {near} of {NIGHTS}, {:.1} by luck alone; inside the range: {inside}", by_luck.0);
    assert_eq!(u64::from(sure), NIGHTS, "lanes, hours and prices are as planned");
    // Farther off than the luck of the draw explains would be the plan's own fault.
    assert!(f64::from(near) >= by_luck.0 - 2.0 * by_luck.1.sqrt(), "see the seeds above");
    assert!(u64::from(inside) + 1 >= NIGHTS, "see the seeds above");
}
