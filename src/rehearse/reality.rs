//! The plan against reality: random jobs on providers whose pass rates, answers, latencies and limits the
//! plan does not know. Two hundred items are answered, the plan is made of what they showed, and then the
//! whole job is played on the engine. Time is virtual.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::night::{Night, Rows};
use crate::attempt::AttemptStatus;
use crate::catalog::{Limits, Route};
use crate::check::Check;
use crate::clock::Timestamp;
use crate::job::{Body, Class, Item, Job, JobId, JobOptions, Ladder};
use crate::ledger::JobLedger;
use crate::plan::forecast::spread::normal;
use crate::plan::forecast::{Belief, Forecast, Lot, Measured, Observed, Rung, forecast};
use crate::plan::testing::{at, item, price, route, with_windows};
use crate::plan::tokens::Basis;
use crate::provider::simulated::{self, Config, Model, Simulated};
use crate::record::{Ended, PartCommitted, Record, Seq};

const JOBS: u64 = 50;
const SAMPLE: u32 = 200;
const NEAR: f64 = 0.05;
/// A plan's range ends so many standard errors from what is expected.
const NINETY: f64 = 1.645;

/// A job, and what is true of its models.
struct World {
    seed: u64,
    items: u32,
    routes: Vec<Arc<Route>>,
    models: Vec<Model>,
    begins: Timestamp,
    deadline: Duration,
    sizes: (f64, f64),
}

/// Rows kept as they come.
#[derive(Default)]
struct Kept(Vec<Ended>);

impl Rows for Kept {
    const WANTED: bool = true;

    fn add(&mut self, _: &Arc<Job>, _: u32, _: Seq) {}
    fn push(&mut self, _: Seq, record: &Record) {
        if let Record::Ended(ended) = record {
            self.0.push((**ended).clone());
        }
    }
    fn close(&mut self, _: &JobId, _: Timestamp) -> Option<PartCommitted> {
        None
    }
    fn finish(&mut self, _: &JobId, _: &JobLedger) {}
}

/// Numbers that follow from a seed.
struct Draw(u64);

impl Draw {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    fn log(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    fn one_in(&mut self, n: f64) -> bool {
        self.share() < 1.0 / n
    }
}

impl World {
    fn new(seed: u64) -> World {
        let mut draw = Draw(seed);
        let n_steps = if draw.one_in(3.0) { 1 } else { 2 };
        let first = draw.log(100_000.0, 1_000_000.0);
        let gap = draw.log(1.5, 10.0);
        let mut world = World {
            seed,
            items: draw.log(2_000.0, 8_000.0) as u32,
            routes: Vec::new(),
            models: Vec::new(),
            begins: at("12:00"),
            deadline: Duration::from_secs(12 * 3_600),
            sizes: (draw.log(100.0, 2_000.0), draw.between(1.2, 2.0)),
        };
        let has_peak = draw.one_in(3.0);
        for step in 0..n_steps {
            let name = format!("sim/model-{step}");
            let a_token = (first * f64::powi(gap, step)) as u64;
            let mut route = route(&name, a_token);
            route.context = None;
            if let Some(table) = &mut route.prices {
                table.base.output = 4 * a_token;
            }
            if has_peak {
                route = with_windows(route, &[("10:00-14:00", 2 * a_token)]);
                let table = route.prices.as_mut().expect("made with a price");
                table.windows[0].price.output = 8 * a_token;
            }
            route.limits = Limits {
                rpm: draw.one_in(2.0).then(|| draw.log(200.0, 3_000.0) as u64),
                tpm: draw.one_in(3.0).then(|| draw.log(1e6, 1e7) as u64),
                concurrency: Some(draw.log(8.0, 64.0) as u32),
                ..Limits::default()
            };
            world.models.push(Model {
                pass_rate: draw.between(0.75, 0.99),
                latency: Duration::from_secs_f64(draw.log(0.5, 5.0)),
                latency_spread: draw.between(1.2, 1.8),
                output: draw.log(40.0, 300.0) as u64,
                output_spread: draw.between(1.1, 1.5),
                max_output: None,
                context: None,
                limits: simulated::Limits::default(),
                ..Model::new(name, price(0))
            });
            world.routes.push(Arc::new(route));
        }
        world
    }

    fn item(&self, index: u32) -> Item {
        let mut draw = Draw(self.seed ^ (u64::from(index) << 20));
        let normal: f64 = (0..12).map(|_| draw.share()).sum::<f64>() - 6.0;
        let tokens = (self.sizes.0 * self.sizes.1.powf(normal)) as u32 + 1;
        let padding = "x".repeat(4 * tokens as usize);
        let json = format!(r#"{{"messages":[],"user":"{} {index} {padding}"}}"#, self.seed);
        let body = Body { json: Bytes::from(json), model_at: None };
        Item { index, body, input_tokens: tokens, max_output: Some(1_000), ..item(index) }
    }

    /// Plays these items, and gives what was paid, when it ended and every attempt.
    fn play(&self, items: Vec<Item>) -> (f64, Duration, Vec<Ended>) {
        let provider = Simulated::new(Config {
            seed: self.seed,
            models: self.models.clone(),
            plain_answers: true,
            keep_log: false,
            ..Config::default()
        });
        let ladder = Ladder(self.routes.iter().map(|route| vec![route.name.to_string()]).collect());
        let job = Job {
            id: JobId::new("job_reality"),
            name: None,
            submitted_at: self.begins,
            n_items: items.len() as u32,
            classes: vec![Class { ladder, deadline: Some(self.begins + self.deadline), ..Class::default() }],
            class_of: Vec::new(),
            copies: Vec::new(),
            options: JobOptions { check: Some(Check::Contains("pass".to_owned())), ..JobOptions::default() },
            source: Default::default(),
            retry_of: None,
        };
        let items = items.into_iter().enumerate().map(|(at, item)| Item { index: at as u32, ..item });
        let mut night = Night::new(self.routes.clone(), provider, Kept::default(), self.begins);
        night.submit(Arc::new(job), items.map(Arc::new).collect()).expect("no cut is planned");
        night.run_until(self.begins + Duration::from_secs(5 * 86_400)).expect("no cut is planned");
        let paid = night.rows.0.iter().map(|ended| ended.cost.as_f64()).sum();
        let last = night.rows.0.iter().map(|ended| ended.ended_at).max().unwrap_or(self.begins);
        (paid, last.since(self.begins), night.rows.0)
    }

    /// What is to be expected after so many items were answered, spread evenly.
    fn plan(&self, sample: u32) -> Forecast {
        let of = |n: u32| (u64::from(n) * u64::from(self.items) / u64::from(sample)) as u32;
        let sample: Vec<Item> = (0..sample).map(|n| self.item(of(n))).collect();
        let expected: Vec<f64> = sample.iter().map(|item| f64::from(item.input_tokens)).collect();
        let (_, _, ended) = self.play(sample);
        let mut measured = Measured::default();
        for ended in &ended {
            let Some(usage) = ended.usage else { continue };
            measured.add(
                &format!("sim/{}", ended.route.model),
                &Observed {
                    expected_input: expected[ended.item as usize],
                    input: usage.input as f64,
                    output: usage.output as f64,
                    seconds: ended.ended_at.since(ended.started_at).as_secs_f64(),
                    passed: ended.status == AttemptStatus::Succeeded,
                },
            );
        }
        let all: f64 = (0..self.items).map(|n| f64::from(self.item(n).input_tokens)).sum();
        let mean = all / f64::from(self.items);
        let rung = |route: &Arc<Route>| {
            let prior = Belief::assumed(mean, Basis::Assumed, 300.0);
            vec![Rung {
                route: route.clone(),
                belief: measured.belief(&route.name, mean, &prior),
                held_output: 1_000.0,
            }]
        };
        let lot = Lot {
            items: u64::from(self.items),
            copies: 0,
            deadline: Some(self.begins + self.deadline),
            when: Default::default(),
            priority: 0,
            steps: self.routes.iter().map(rung).collect(),
        };
        forecast(&[lot], self.begins)
    }
}

/// How near a plan came.
#[derive(Default)]
struct Score {
    near: u32,
    inside: u32,
    on_time: u32,
    sure: u32,
    sure_and_near: u32,
    /// How many a plan would bring as near whose only fault is the luck of its sample, and the variance.
    by_luck: (f64, f64),
}

impl Score {
    fn add(&mut self, world: &World, plan: &Forecast, sample: u32, (paid, took): (f64, Duration)) {
        let off = paid / plan.cost.expected - 1.0;
        let finish = plan.finish.map_or(0.0, |finish| finish.since(world.begins).as_secs_f64());
        let late = took.as_secs_f64() / finish.max(1.0) - 1.0;
        println!(
            "seed {:2}  {} steps  {:5} items  {sample:5} sampled  cost {:+6.2}% (standard error {:5.2}%)  {:6.0}s {:+6.2}%",
            world.seed,
            world.routes.len(),
            world.items,
            100.0 * off,
            100.0 * plan.cost.half() / NINETY,
            took.as_secs_f64(),
            100.0 * late
        );
        let error = plan.cost.half() / NINETY;
        let chance = 2.0 * normal(NEAR / error) - 1.0;
        self.by_luck = (self.by_luck.0 + chance, self.by_luck.1 + chance * (1.0 - chance));
        let (is_near, is_sure) = (off.abs() <= NEAR, plan.cost.half() <= NEAR);
        self.near += u32::from(is_near);
        self.inside += u32::from((plan.cost.low..=plan.cost.high).contains(&paid));
        self.on_time += u32::from(late.abs() <= 0.10);
        self.sure += u32::from(is_sure);
        self.sure_and_near += u32::from(is_sure && is_near);
    }

    fn print(&self, what: &str) {
        let Score { near, inside, on_time, sure, sure_and_near, by_luck } = self;
        println!(
            "{what}: of {JOBS}, cost within 5%: {near}, {:.1} ± {:.1} by sampling noise alone; inside the range: {inside}; finish within 10%: {on_time}; \
             promised within 5%: {sure}, of which kept: {sure_and_near}",
            by_luck.0,
            by_luck.1.sqrt(),
        );
    }
}

/// Two hundred items say how often a model passes to within a few points, whatever is made of them; where
/// a failure costs much more than a pass, that alone is more than 5% of the cost. The plan knows: its range
/// holds nine times out of ten, and it names the sample that would make the range 5%, which then holds too.
#[test]
fn what_a_sample_promises_the_job_keeps() {
    let (mut plain, mut enough) = (Score::default(), Score::default());
    for seed in 1..=JOBS {
        let world = World::new(seed);
        let (paid, took, _) = world.play((0..world.items).map(|n| world.item(n)).collect());
        let plan = world.plan(SAMPLE);
        plain.add(&world, &plan, SAMPLE, (paid, took));
        let wanted = plan.cost.items_for(NEAR, u64::from(SAMPLE)).min(u64::from(world.items)) as u32;
        if wanted > SAMPLE {
            enough.add(&world, &world.plan(wanted), wanted, (paid, took));
        } else {
            enough.add(&world, &plan, SAMPLE, (paid, took));
        }
    }
    plain.print("200 items sampled");
    enough.print("as many as the plan asks for");
    // Farther off than the luck of the draw explains would be the plan's own fault.
    assert!(f64::from(plain.near) >= plain.by_luck.0 - 2.0 * plain.by_luck.1.sqrt(), "see the seeds above");
    assert!(plain.inside >= 43 && plain.on_time >= 45, "see the seeds above");
    assert!(plain.sure_and_near * 10 >= plain.sure * 9, "see the seeds above");
    assert!(enough.near >= 45 && enough.on_time >= 45, "see the seeds above");
}
