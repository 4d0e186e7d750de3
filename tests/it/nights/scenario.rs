//! What a night is made of, drawn from a seed.

use std::time::Duration;

use overnight::catalog::Allowance;
use overnight::check::Check;
use overnight::clock::Timestamp;
use overnight::job::{JobOptions, OnUnknown, When, Worth};
use overnight::ledger::Limits;
use overnight::money::Usd;
use overnight::provider::simulated::{BatchFault, BatchFaultRates, Fault, FaultRates, Faults};

use super::chance::Chance;
use super::{budgets, free};

/// 2026-11-21 22:00 UTC.
pub(super) const EVENING: Timestamp = Timestamp::from_micros(1_795_298_400_000_000);

/// One night, described.
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) jobs: Vec<Order>,
    pub(super) steps: usize,
    /// The first step has a second route, on an account of its own.
    pub(super) equals: bool,
    /// Prices double from 22:10 to 01:00.
    pub(super) peak: bool,
    pub(super) pass_rate: f64,
    pub(super) faults: Faults,
    pub(super) concurrency: u32,
    pub(super) rpm: Option<u64>,
    pub(super) sync_time: Duration,
    pub(super) snapshots_every: u64,
    pub(super) power_cuts: u32,
    pub(super) commands: u32,
    pub(super) holds: f64,
    pub(super) clock_jumps: f64,
    pub(super) unsafe_steps: u32,
    /// Budgets of the process and of tags.
    pub(super) limits: Option<Limits>,
    /// What every account gives for nothing.
    pub(super) allowance: Option<Allowance>,
    /// When it begins.
    pub(super) begins: Timestamp,
    /// What goes wrong with batches, where the providers take any.
    pub(super) batches: Option<BatchFaultRates>,
}

/// One job of a night.
pub(super) struct Order {
    pub(super) items: u32,
    pub(super) options: JobOptions,
    pub(super) priority: i8,
    /// When it must be done, after the night has begun.
    pub(super) deadline: Option<Duration>,
    /// Every third item has these instead of its job's.
    pub(super) second_class: Option<Class>,
    /// Every fifth item brings options of its own.
    pub(super) own_options: Option<OwnOptions>,
    /// Every fourth item carries tags of its own.
    pub(super) own_tags: bool,
    /// Queues hold a handful of items loaded, as for very long lines.
    pub(super) small_pages: bool,
    /// Two of every seven items ask what the first of them asks.
    pub(super) copies: bool,
    /// Submitted after so many steps.
    pub(super) after_steps: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Class {
    pub(super) priority: i8,
    pub(super) deadline: Option<Duration>,
    pub(super) not_before: Option<Duration>,
}

#[derive(Clone, Copy)]
pub(super) struct OwnOptions {
    pub(super) max_cost: Usd,
    pub(super) max_attempts: u8,
    pub(super) any_answer: bool,
}

impl Scenario {
    /// Drawn by chance.
    pub(super) fn draw(chance: &mut Chance) -> Scenario {
        let n_jobs = 1 + chance.below(3) as u32;
        let clock_jumps = chance.rate(0.02);
        let equals = chance.hit(0.4);
        // Whose clock is wrong pays by another hour than it believes.
        let peak = clock_jumps == 0.0 && chance.hit(0.3);
        let (limits, begins) = budgets::draw(chance, EVENING, peak);
        let crowded = limits.is_some() && chance.hit(0.04);
        let mut jobs: Vec<Order> = (0..n_jobs).map(|number| Order::draw(chance, number)).collect();
        for order in jobs.iter_mut().filter(|_| limits.is_some()) {
            order.tag(chance);
        }
        if crowded {
            jobs[0].items = 300;
        }
        let mut faults = faults(chance, equals, begins);
        let (mut steps, mut pass_rate) = (1 + chance.below(3) as usize, 0.3 + 0.7 * chance.share());
        if chance.hit(0.15) {
            jobs[0].hurry();
            (steps, pass_rate) = (steps.max(2), pass_rate.max(0.6));
            let rates = [("slow", 0.3), ("429", 0.1), ("reset-billed", 0.05), ("hang", 0.02)];
            let rates = rates.map(|(name, rate)| (fault(name), rate));
            faults.rates = FaultRates::new(&rates).expect("rates that add up to less than one");
        }
        Scenario {
            seed: chance.next(),
            jobs,
            steps,
            equals,
            peak,
            pass_rate,
            faults,
            concurrency: if crowded { 256 } else { 1 + chance.below(16) as u32 },
            rpm: chance.hit(0.2).then(|| 20 + chance.below(200)),
            sync_time: Duration::from_millis(chance.below(20)),
            snapshots_every: if chance.hit(0.5) { 1 + chance.below(60) } else { 10_000 },
            power_cuts: if chance.hit(0.8) { chance.below(6) as u32 } else { 0 },
            commands: if chance.hit(0.3) { 1 + chance.below(4) as u32 } else { 0 },
            holds: if chance.hit(0.2) { 0.05 } else { 0.0 },
            clock_jumps,
            unsafe_steps: 200 + chance.below(800) as u32,
            limits,
            allowance: free::draw(chance),
            begins,
            batches: chance.hit(0.3).then(|| batch_faults(chance)),
        }
    }

    /// The fixed night with batches, of which most meet something.
    pub(super) fn fixed_with_batches() -> Scenario {
        let rates = BatchFault::ALL.map(|fault| (fault, if fault == BatchFault::Stuck { 0.0 } else { 0.2 }));
        let mut scenario = Scenario { batches: Some(BatchFaultRates::new(&rates)), ..Scenario::fixed() };
        scenario.jobs[0].items = 16;
        scenario.jobs[0].options.when = When::Cheapest;
        scenario
    }

    /// Thirty items, two steps, a few faults: small enough to cut at every write.
    pub(super) fn fixed() -> Scenario {
        let mut rates = FaultRates::default();
        rates.set(fault("500"), 0.1).expect("a small rate");
        rates.set(fault("reset-billed"), 0.05).expect("a small rate");
        let options = JobOptions {
            unknown_resends: 3,
            check: Some(Check::Contains("pass".to_owned())),
            ..JobOptions::default()
        };
        let order = Order {
            items: 30,
            options,
            priority: 0,
            deadline: None,
            second_class: None,
            own_options: None,
            own_tags: false,
            small_pages: false,
            copies: false,
            after_steps: 0,
        };
        Scenario {
            seed: 7,
            jobs: vec![order],
            steps: 2,
            equals: false,
            peak: false,
            pass_rate: 0.7,
            faults: Faults { rates, ..Faults::default() },
            concurrency: 2,
            rpm: None,
            sync_time: Duration::from_millis(5),
            snapshots_every: 20,
            power_cuts: 0,
            commands: 0,
            holds: 0.0,
            clock_jumps: 0.0,
            unsafe_steps: 0,
            limits: None,
            allowance: None,
            begins: EVENING,
            batches: None,
        }
    }
}

impl Order {
    /// Makes it one whose late answers are raced: near its deadline, with tries to spare.
    fn hurry(&mut self) {
        self.deadline = Some(Duration::from_secs(540));
        (self.own_options, self.options.give_up_above) = (None, None);
        self.options.max_attempts = self.options.max_attempts.max(4);
        self.options.on_unknown = OnUnknown::Resend;
    }

    /// Gives it tags that have budgets.
    fn tag(&mut self, chance: &mut Chance) {
        if chance.hit(0.8) {
            let team = ["search", "ads"][chance.below(2) as usize];
            self.options.tags.insert("team".to_owned(), team.to_owned());
        }
        self.own_tags = chance.hit(0.5);
    }

    fn draw(chance: &mut Chance, number: u32) -> Order {
        let most = if number == 0 { 40 } else { 12 };
        let plain = Check::Contains("pass".to_owned());
        let judged = Check::All(vec![plain.clone(), Check::Command(vec!["judge".to_owned()])]);
        let within = |chance: &mut Chance, seconds| Some(Duration::from_secs(chance.below(seconds)));
        let second_class = chance.hit(0.3).then(|| Class {
            priority: chance.below(3) as i8 - 1,
            deadline: if chance.hit(0.6) { within(chance, 1_200) } else { None },
            not_before: if chance.hit(0.5) { within(chance, 600) } else { None },
        });
        Order {
            items: 1 + chance.below(most) as u32,
            options: JobOptions {
                check: Some(if chance.hit(0.2) { judged } else { plain }),
                max_cost: chance.hit(0.4).then(|| Usd::from_pico(i128::from(chance.below(60_000_000_000)))),
                on_unknown: if chance.hit(0.15) { OnUnknown::Hold } else { OnUnknown::Resend },
                max_attempts: 1 + chance.below(6) as u8,
                give_up_above: chance
                    .hit(0.3)
                    .then(|| Worth::UpTo(Usd::from_pico(i128::from(chance.below(2_000_000_000))))),
                when: [When::Cheapest, When::Asap, When::OffPeak][chance.below(3) as usize],
                ..JobOptions::default()
            },
            priority: chance.below(3) as i8 - 1,
            deadline: chance.hit(0.3).then(|| Duration::from_secs(60 + chance.below(900))),
            second_class,
            own_options: chance.hit(0.2).then(|| OwnOptions {
                max_cost: Usd::from_pico(i128::from(chance.below(3_000_000_000))),
                max_attempts: 1 + chance.below(4) as u8,
                any_answer: chance.hit(0.5),
            }),
            own_tags: false,
            small_pages: chance.hit(0.3),
            copies: chance.hit(0.3),
            after_steps: if number > 0 && chance.hit(0.5) { chance.below(300) as u32 } else { 0 },
        }
    }
}

fn faults(chance: &mut Chance, equals: bool, begins: Timestamp) -> Faults {
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
        let from = begins + Duration::from_secs(chance.below(600));
        faults.down.push((from, from + Duration::from_secs(chance.below(7_200))));
    }
    if chance.hit(0.05) {
        faults.no_credit_after = Some(Usd::from_pico(i128::from(chance.below(20_000_000_000))));
    }
    if equals && chance.hit(0.3) {
        faults.retired.insert("sim/step0".to_owned());
    }
    if equals && chance.hit(0.3) {
        faults.revoked_keys.insert("sim".to_owned());
    }
    faults
}

fn batch_faults(chance: &mut Chance) -> BatchFaultRates {
    let rates = BatchFault::ALL.map(|fault| (fault, chance.rate(0.3)));
    BatchFaultRates::new(&rates)
}

fn fault(name: &str) -> Fault {
    name.parse().unwrap_or_else(|_| panic!("{name} is a fault of the simulator's table"))
}
