//! A machine, providers and the jobs of one night.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use overnight::catalog::batch::{BatchApi, BatchDialect};
use overnight::catalog::calendar::Calendar;
use overnight::catalog::hours::Hours;
use overnight::catalog::{Allowance, Limits, PriceTable, PriceWindow, Route};
use overnight::check::Check;
use overnight::clock::Timestamp;
use overnight::job::{Body, Class, Item, ItemOptions, Job, JobId, Ladder, Needs, Source, Wire};
use overnight::ledger;
use overnight::money::Price;
use overnight::provider::simulated::{self, BatchConfig, Config, Faults, Model, Simulated};
use overnight::rehearse::night::{Night, PowerCut};
use overnight::store::memory::MemoryStore;

use super::rows::Parts;
use super::scenario::{EVENING, Order, OwnOptions, Scenario};

/// Days for which the provider knows when its prices change.
const DAYS: u64 = 40;

pub(super) struct World {
    pub(super) night: Night<Parts>,
    pub(super) jobs: Vec<Submission>,
    pub(super) on_hold: bool,
    pub(super) rpm: Option<u64>,
    /// Prices double from 22:10 to 01:00.
    pub(super) peak: bool,
    /// The budgets of its config.
    pub(super) limits: Option<ledger::Limits>,
    /// What every account gives for nothing.
    pub(super) allowance: Option<Allowance>,
    pub(super) begins: Timestamp,
}

pub(super) struct Submission {
    pub(super) job: Arc<Job>,
    pub(super) items: Vec<Arc<Item>>,
    after_steps: u32,
    accepted: bool,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> World {
        let mut ladder: Vec<Vec<String>> =
            (0..scenario.steps).map(|step| vec![format!("sim/step{step}")]).collect();
        if scenario.equals {
            ladder[0].push("other/step0".to_owned());
        }
        let (mut models, mut routes) = (Vec::new(), Vec::new());
        for (step, names) in ladder.iter().enumerate() {
            for (dearer, name) in names.iter().enumerate() {
                let price = price(step, 10 + dearer as u64);
                models.push(model(scenario, name, step, price));
                let route = route(scenario, name, price);
                routes.extend(scenario.batches.map(|_| Arc::new(batch_lane(&route, price))));
                routes.push(Arc::new(route));
            }
        }
        let provider = Simulated::new(Config {
            seed: scenario.seed,
            models,
            faults: scenario.faults.clone(),
            plain_answers: true,
            batches: BatchConfig { faults: scenario.batches.unwrap_or_default(), ..BatchConfig::default() },
            ..Config::default()
        });
        let mut night = Night::new(routes, provider, Parts::default(), scenario.begins);
        night.store = MemoryStore::with_snapshots_every(scenario.snapshots_every);
        night.sync_time = scenario.sync_time;
        let ladder = Ladder(ladder);
        let jobs = scenario.jobs.iter().enumerate();
        let jobs = jobs.map(|(number, order)| submission(number, order, &ladder, scenario.begins)).collect();
        let (rpm, begins) = (scenario.rpm, scenario.begins);
        let mut world = World {
            night,
            jobs,
            on_hold: false,
            rpm,
            peak: scenario.peak,
            limits: None,
            allowance: scenario.allowance.clone(),
            begins,
        };
        if let Some(limits) = &scenario.limits {
            world.set_limits(limits.clone());
        }
        world.submit_due(0).expect("no cut is planned yet");
        world
    }

    /// Submits what is due after so many steps, unless the store knows it: a submission that was cut off
    /// never happened.
    pub(super) fn submit_due(&mut self, steps: u32) -> Result<(), PowerCut> {
        for submission in &mut self.jobs {
            let known = self.night.engine.ledger().get(&submission.job.id).is_some();
            if known || submission.after_steps > steps {
                continue;
            }
            assert!(!submission.accepted, "G1: a job that was accepted is gone");
            self.night.submit(submission.job.clone(), submission.items.clone())?;
            submission.accepted = true;
        }
        Ok(())
    }

    /// Jobs that the store knows.
    pub(super) fn known(&self) -> impl Iterator<Item = &Submission> {
        self.jobs.iter().filter(|submission| self.night.engine.ledger().get(&submission.job.id).is_some())
    }

    /// The time as the machine's clock shows it.
    pub(super) fn seen_now(&self) -> Timestamp {
        Timestamp::from_micros(self.night.now().micros() + self.night.clock_error)
    }

    /// From here on nothing goes wrong any more.
    pub(super) fn calm(&mut self) {
        self.night.provider.set_faults(Faults::default());
    }
}

/// Each step costs four times the one before; the second of two equals a tenth more than the first.
fn price(step: usize, tenths: u64) -> Price {
    let of = |first: u64| (first << (2 * step)) / 10 * tenths;
    Price { input: of(100_000), output: of(400_000), ..Price::default() }
}

/// Whether prices are doubled then, where they ever are.
pub(super) fn is_peak(at: Timestamp) -> bool {
    let day = at.micros().rem_euclid(86_400_000_000) / 60_000_000;
    !(60..22 * 60 + 10).contains(&day)
}

fn at_peak(price: Price) -> Price {
    Price { input: 2 * price.input, output: 2 * price.output, ..price }
}

fn model(scenario: &Scenario, name: &str, step: usize, price: Price) -> Model {
    let evening = |day: u64| EVENING + Duration::from_secs(day * 86_400);
    let changes = (0..if scenario.peak { DAYS } else { 0 }).flat_map(|day| {
        let (from, until) = (Duration::from_secs(600), Duration::from_secs(3 * 3_600));
        [(evening(day) + from, at_peak(price)), (evening(day) + until, price)]
    });
    Model {
        pass_rate: 1.0 - (1.0 - scenario.pass_rate) / (1.0 + step as f64),
        latency: Duration::from_millis(400),
        output: 60,
        price_changes: changes.collect(),
        batch_price: Some(half(price)),
        limits: simulated::Limits { rpm: scenario.rpm, ..simulated::Limits::default() },
        ..Model::new(name, price)
    }
}

fn route(scenario: &Scenario, name: &str, price: Price) -> Route {
    let (account, model) = name.split_once('/').expect("provider/model");
    let peak = scenario.peak.then(|| {
        let hours = Hours::parse("22:10-01:00").and_then(|hours| hours.calendar()).expect("hours of a day");
        PriceWindow::new("peak", hours, at_peak(price))
    });
    Route {
        name: name.into(),
        provider: account.into(),
        account: account.into(),
        model: model.into(),
        lane: "realtime".into(),
        wires: vec![Wire::Chat],
        context: Some(128_000),
        max_output: Some(16_000),
        features: None,
        prices: Some(PriceTable { windows: peak.into_iter().collect(), ..PriceTable::flat(name, price) }),
        hours: Calendar::always(),
        limits: Limits { concurrency: Some(scenario.concurrency), rpm: scenario.rpm, ..Limits::default() },
        account_limits: Limits::default(),
        allowance: scenario.allowance.clone().map(Arc::new),
        unusable: None,
        batch: None,
    }
}

/// Half the price at every hour.
fn batch_lane(route: &Route, price: Price) -> Route {
    Route {
        name: format!("{} batch", route.name).into(),
        lane: "batch".into(),
        prices: Some(PriceTable::flat(&*route.name, half(price))),
        allowance: None,
        batch: Some(BatchApi::new(BatchDialect::OpenAi).limits),
        ..route.clone()
    }
}

fn half(price: Price) -> Price {
    Price { input: price.input / 2, output: price.output / 2, ..price }
}

fn submission(number: usize, order: &Order, ladder: &Ladder, begins: Timestamp) -> Submission {
    let own = Class {
        ladder: ladder.clone(),
        priority: order.priority,
        deadline: order.deadline.map(|after| begins + after),
        not_before: None,
    };
    let second = order.second_class.map(|class| Class {
        ladder: ladder.clone(),
        priority: class.priority,
        deadline: class.deadline.map(|after| begins + after),
        not_before: class.not_before.map(|after| begins + after),
    });
    let class_of = |item: u32| u16::from(second.is_some() && item % 3 == 2);
    let items = (0..order.items).map(|index| {
        let own = order.own_options.filter(|_| index % 5 == 4);
        let tags = own_tags(order, index);
        let plain = (!tags.is_empty()).then(Box::<ItemOptions>::default);
        let options = own.map(item_options).or(plain).map(|own| Box::new(ItemOptions { tags, ..*own }));
        Arc::new(Item { class: class_of(index), options, ..item(index) })
    });
    let job = Job {
        id: JobId::new(format!("job_night{number:05}")),
        name: None,
        submitted_at: Timestamp::from_micros(begins.micros() + number as i64),
        n_items: order.items,
        class_of: if second.is_some() { (0..order.items).map(class_of).collect() } else { Vec::new() },
        copies: (0..order.items)
            .filter(|item| order.copies && item % 7 > 4)
            .map(|item| (item, item / 7 * 7))
            .collect(),
        classes: [own].into_iter().chain(second.clone()).collect(),
        options: order.options.clone(),
        source: Source {
            bytes: if order.small_pages { u64::from(order.items) << 24 } else { 0 },
            ..Source::default()
        },
        retry_of: None,
    };
    Submission { items: items.collect(), job: Arc::new(job), after_steps: order.after_steps, accepted: false }
}

/// One item in four is another team's, one in three belongs to an app.
fn own_tags(order: &Order, index: u32) -> BTreeMap<String, String> {
    let tags = [("team", "ads", 4), ("app", "web", 3)];
    let own = tags.into_iter().filter(|(.., every)| order.own_tags && index % every == 1);
    own.map(|(key, value, _)| (key.to_owned(), value.to_owned())).collect()
}

fn item_options(own: OwnOptions) -> Box<ItemOptions> {
    Box::new(ItemOptions {
        check: own.any_answer.then_some(Check::MaxChars(1_000)),
        max_cost: Some(own.max_cost),
        max_attempts: Some(own.max_attempts),
        ..ItemOptions::default()
    })
}

fn item(index: u32) -> Item {
    let json = format!(r#"{{"messages":[{{"role":"user","content":"question {index}"}}],"max_tokens":200}}"#);
    Item {
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
    }
}
