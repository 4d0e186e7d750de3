//! What a night is made of, drawn from a seed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use overnight::catalog::calendar::Calendar;
use overnight::catalog::{Limits, PriceTable, Route};
use overnight::check::Check;
use overnight::clock::Timestamp;
use overnight::job::{Body, Class, Item, Job, JobId, JobOptions, Ladder, Needs, OnUnknown, Source, Wire};
use overnight::money::{Price, Usd};
use overnight::provider::simulated::{Config, Fault, FaultRates, Faults, Model, Simulated};
use overnight::rehearse::night::{Night, PowerCut};

use super::rows::Parts;

/// 2026-11-21 22:00 UTC.
pub(super) const EVENING: Timestamp = Timestamp::from_micros(1_795_298_400_000_000);

/// Random numbers from a seed (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6f76_6572)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn hit(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// Zero in half of all nights: each night has faults of its own kinds.
    fn rate(&mut self, most: f64) -> f64 {
        if self.hit(0.5) { 0.0 } else { self.share() * most }
    }
}

/// One night, described.
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) items: u32,
    pub(super) steps: usize,
    pub(super) pass_rate: f64,
    pub(super) faults: Faults,
    pub(super) max_cost: Option<Usd>,
    pub(super) options: JobOptions,
    pub(super) concurrency: u32,
    pub(super) sync_time: Duration,
    pub(super) power_cuts: u32,
    pub(super) commands: u32,
    pub(super) clock_jumps: f64,
    pub(super) unsafe_steps: u32,
}

impl Scenario {
    /// Drawn by chance.
    pub(super) fn draw(chance: &mut Chance) -> Scenario {
        let mut rates = FaultRates::default();
        for (name, most) in [
            ("429", 0.2),
            ("500", 0.2),
            ("503", 0.1),
            ("reset", 0.1),
            ("reset-billed", 0.1),
            ("500-billed", 0.05),
            ("hang", 0.03),
            ("cut-body", 0.05),
            ("garbage", 0.05),
            ("empty", 0.05),
            ("no-usage", 0.1),
            ("length", 0.05),
            ("refusal", 0.05),
            ("content-filter", 0.05),
        ] {
            let rate = chance.rate(most);
            if rate > 0.0 {
                rates.set(fault(name), rate).expect("rates that add up to less than one");
            }
        }
        let mut faults = Faults { rates, ..Faults::default() };
        if chance.hit(0.1) {
            let from = EVENING + Duration::from_secs(chance.below(600));
            faults.down.push((from, from + Duration::from_secs(chance.below(7_200))));
        }
        if chance.hit(0.05) {
            faults.no_credit_after = Some(Usd::from_pico(i128::from(chance.below(20_000_000_000))));
        }
        let on_unknown = if chance.hit(0.15) { OnUnknown::Hold } else { OnUnknown::Resend };
        Scenario {
            seed: chance.next(),
            items: 1 + chance.below(40) as u32,
            steps: 1 + chance.below(3) as usize,
            pass_rate: 0.3 + 0.7 * chance.share(),
            faults,
            max_cost: chance.hit(0.4).then(|| Usd::from_pico(i128::from(chance.below(60_000_000_000)))),
            options: JobOptions {
                on_unknown,
                max_attempts: 1 + chance.below(6) as u8,
                ..JobOptions::default()
            },
            concurrency: 1 + chance.below(16) as u32,
            sync_time: Duration::from_millis(chance.below(20)),
            power_cuts: chance.below(6) as u32,
            commands: if chance.hit(0.3) { 1 + chance.below(4) as u32 } else { 0 },
            clock_jumps: chance.rate(0.02),
            unsafe_steps: 200 + chance.below(800) as u32,
        }
    }

    /// Thirty items, two steps, a few faults: small enough to cut at every write.
    pub(super) fn fixed() -> Scenario {
        let mut rates = FaultRates::default();
        rates.set(fault("500"), 0.1).expect("a small rate");
        rates.set(fault("reset-billed"), 0.05).expect("a small rate");
        Scenario {
            seed: 7,
            items: 30,
            steps: 2,
            pass_rate: 0.7,
            faults: Faults { rates, ..Faults::default() },
            max_cost: None,
            options: JobOptions { unknown_resends: 3, ..JobOptions::default() },
            concurrency: 2,
            sync_time: Duration::from_millis(5),
            power_cuts: 0,
            commands: 0,
            clock_jumps: 0.0,
            unsafe_steps: 0,
        }
    }
}

/// A machine, a provider and one job.
pub(super) struct World {
    pub(super) night: Night<Parts>,
    pub(super) job: Arc<Job>,
    items: Vec<Arc<Item>>,
    submitted: bool,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> World {
        let names: Vec<String> = (0..scenario.steps).map(|step| format!("sim/step{step}")).collect();
        let price = |step: usize| Price {
            input: 100_000 << (2 * step),
            output: 400_000 << (2 * step),
            ..Price::default()
        };
        let models = names.iter().enumerate().map(|(step, name)| Model {
            pass_rate: 1.0 - (1.0 - scenario.pass_rate) / (1.0 + step as f64),
            latency: Duration::from_millis(400),
            output: 60,
            ..Model::new(name.clone(), price(step))
        });
        let provider = Simulated::new(Config {
            seed: scenario.seed,
            models: models.collect(),
            faults: scenario.faults.clone(),
            plain_answers: true,
            ..Config::default()
        });
        let routes = names.iter().enumerate().map(|(step, name)| {
            Arc::new(route(
                name,
                price(step),
                Limits { concurrency: Some(scenario.concurrency), ..Limits::default() },
            ))
        });
        let mut night = Night::new(routes.collect(), provider, Parts::default(), EVENING);
        night.sync_time = scenario.sync_time;
        let options = JobOptions {
            check: Some(Check::Contains("pass".to_owned())),
            max_cost: scenario.max_cost,
            ..scenario.options.clone()
        };
        let ladder = Ladder(names.into_iter().map(|name| vec![name]).collect());
        let job = Arc::new(job(scenario.items, ladder, options));
        let items = (0..scenario.items).map(item).collect();
        let mut world = World { night, job, items, submitted: false };
        world.submit_if_lost().expect("no cut is planned yet");
        world
    }

    /// Submits the job unless the store knows it: a submission that was cut off never happened.
    pub(super) fn submit_if_lost(&mut self) -> Result<(), PowerCut> {
        if self.night.engine.ledger().get(&self.job.id).is_some() {
            return Ok(());
        }
        assert!(!self.submitted, "a job that was accepted is gone");
        self.night.submit(self.job.clone(), self.items.clone())?;
        self.submitted = true;
        Ok(())
    }

    /// From here on nothing goes wrong any more.
    pub(super) fn calm(&mut self) {
        self.night.provider.set_faults(Faults::default());
    }
}

fn fault(name: &str) -> Fault {
    name.parse().unwrap_or_else(|_| panic!("{name} is a fault of the simulator's table"))
}

fn route(name: &str, price: Price, limits: Limits) -> Route {
    Route {
        name: name.into(),
        provider: "sim".into(),
        account: "sim".into(),
        model: name.trim_start_matches("sim/").into(),
        lane: "realtime".into(),
        wires: vec![Wire::Chat],
        context: Some(128_000),
        max_output: Some(16_000),
        features: None,
        prices: Some(PriceTable {
            id: name.into(),
            base_window: "flat".into(),
            base: price,
            windows: Vec::new(),
        }),
        hours: Calendar::always(),
        limits,
        account_limits: Limits::default(),
        unusable: None,
    }
}

fn job(n_items: u32, ladder: Ladder, options: JobOptions) -> Job {
    Job {
        id: JobId::new("job_night00001"),
        name: None,
        submitted_at: EVENING,
        n_items,
        classes: vec![Class { ladder, ..Class::default() }],
        class_of: Vec::new(),
        options,
        source: Source::default(),
        retry_of: None,
    }
}

fn item(index: u32) -> Arc<Item> {
    let json = format!(r#"{{"messages":[{{"role":"user","content":"question {index}"}}],"max_tokens":200}}"#);
    Arc::new(Item {
        index,
        custom_id: format!("item-{index}").into(),
        class: 0,
        wire: Wire::Chat,
        body: Body { json: Bytes::from(json), model_at: None },
        input_tokens: 12,
        max_output: Some(200),
        choices: 1,
        needs: Needs::default(),
        options: None,
    })
}
