//! Made-up answers of known structure, so that the router is not judged on the sets it was looked at with.

use overnight::plan::tally::Tally;

use super::answers::{Answer, Answers};
use super::chance::Chance;
use super::score::{POLICIES, Score, Scores};
use super::show::{mean, p90};

/// How a set is made. Abilities and difficulties are log-odds.
#[derive(Clone, Copy)]
struct World {
    name: &'static str,
    models: usize,
    items: usize,
    /// How much difficulty varies between items: 0 makes failures independent.
    spread: f64,
    /// Mean ability, and how much of it is luck.
    level: f64,
    luck: f64,
    /// How much ability goes with price, from the cheapest to the dearest.
    with_price: f64,
    /// The dearest costs so many times the cheapest.
    gap: f64,
    /// Kinds of items, each with abilities of its own.
    kinds: usize,
    /// Share that is passed by guessing.
    guessed: f64,
    /// Every third item is passed by hardly anybody.
    two_kinds_of_hard: bool,
    /// The second cheapest model is the best.
    cheap_good: bool,
}

const PLAIN: World = World {
    name: "items of varying difficulty",
    models: 8,
    items: 1_000,
    spread: 2.0,
    level: 1.0,
    luck: 0.5,
    with_price: 2.0,
    gap: 30.0,
    kinds: 1,
    guessed: 0.0,
    two_kinds_of_hard: false,
    cheap_good: false,
};

const WORLDS: [World; 18] = [
    PLAIN,
    World { name: "independent models", spread: 0.0, level: 0.5, luck: 0.4, with_price: 1.0, ..PLAIN },
    World { name: "nearly the same failures", spread: 8.0, level: 2.5, luck: 1.0, with_price: 5.0, ..PLAIN },
    World { name: "a cheap model is the best", cheap_good: true, ..PLAIN },
    World { name: "near-equal models", luck: 0.05, with_price: 0.1, gap: 1.5, ..PLAIN },
    World { name: "two models", models: 2, ..PLAIN },
    World { name: "one model", models: 1, ..PLAIN },
    World { name: "all weak", level: -2.5, ..PLAIN },
    World { name: "all strong", level: 4.0, ..PLAIN },
    World { name: "prices within 1.2 ×", gap: 1.2, ..PLAIN },
    World { name: "prices within 100 ×", gap: 100.0, ..PLAIN },
    World { name: "three kinds of items", kinds: 3, luck: 1.5, ..PLAIN },
    World { name: "the dear are weak", with_price: -2.0, ..PLAIN },
    World { name: "price says nothing", with_price: 0.0, ..PLAIN },
    World { name: "a quarter is guessed", guessed: 0.25, ..PLAIN },
    World { name: "a third hardly possible", two_kinds_of_hard: true, ..PLAIN },
    World { name: "fifteen models", models: 15, ..PLAIN },
    World { name: "150 items", items: 150, ..PLAIN },
];

/// One line a world: ours and the depth discount beside each other.
pub(super) fn show(seeds: u64) -> anyhow::Result<()> {
    println!("{:28} {:>27}   {:>27}", "", POLICIES[0].0, POLICIES[1].0);
    let head = format!("{:>6} {:>6} {:>6} {:>6}", "mean", "p90", "50", "shift");
    println!("{:28} {head}   {head}", "R static");
    let mut sums = [[0.0; 4]; 2];
    for (seed, world) in (1..).zip(WORLDS) {
        let scores = Scores::of(&world.answers(seed), seeds);
        let lines = [0, 1].map(|policy: usize| figures(&scores.policies[POLICIES[policy].0]));
        for (sum, figure) in sums.as_flattened_mut().iter_mut().zip(lines.as_flattened()) {
            *sum += figure / WORLDS.len() as f64;
        }
        println!("{:28} {}   {}", world.name, line(&lines[0]), line(&lines[1]));
    }
    println!("{:28} {}   {}", "mean", line(&sums[0]), line(&sums[1]));
    Ok(())
}

fn figures(score: &Score) -> [f64; 4] {
    let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
    [mean(&score.r_static), p90(&score.r_static), mean(&score.small), mean(&score.after_shift)].map(of)
}

fn line(figures: &[f64; 4]) -> String {
    figures.map(|figure| format!("{figure:>6.3}")).join(" ")
}

impl World {
    fn answers(&self, seed: u64) -> Answers {
        assert!(self.models <= Tally::MAX_MODELS, "made to be played");
        let chance = &mut Chance::new(seed);
        let place = |model: usize| model as f64 / (self.models - 1).max(1) as f64;
        let price: Vec<f64> = (0..self.models)
            .map(|model| self.gap.powf(place(model)) * (0.15 * normal(chance)).exp())
            .collect();
        let mut abilities = Vec::new();
        for model in 0..self.models {
            let expected = self.level + self.with_price * (place(model) - 0.5);
            abilities
                .push((0..self.kinds).map(|_| expected + self.luck * normal(chance)).collect::<Vec<_>>());
        }
        if self.cheap_good {
            abilities[1] = abilities[self.models - 1].iter().map(|ability| ability + 0.3).collect();
        }
        let items = (0..self.items).map(|item| self.item(item, &price, &abilities, chance)).collect();
        let models = (0..self.models).map(|model| format!("model-{model:02}")).collect();
        Answers { models, items, notes: Vec::new() }
    }

    fn item(
        &self,
        item: usize,
        prices: &[f64],
        abilities: &[Vec<f64>],
        chance: &mut Chance,
    ) -> Vec<Option<Answer>> {
        let kind = chance.below(self.kinds);
        let difficulty = match self.two_kinds_of_hard {
            true if item.is_multiple_of(3) => 6.0,
            true => -1.0,
            false => self.spread * normal(chance),
        };
        let size = (0.4 * normal(chance)).exp();
        let answer = |(price, abilities): (&f64, &Vec<f64>)| {
            let able = 1.0 / (1.0 + (difficulty - abilities[kind]).exp());
            let passed = chance.share() < self.guessed + (1.0 - self.guessed) * able;
            let length = size * (0.2 * normal(chance)).exp() * if passed { 1.0 } else { 1.2 };
            Some(Answer { passed, cost: price * length })
        };
        prices.iter().zip(abilities).map(answer).collect()
    }
}

/// Standard normal.
fn normal(chance: &mut Chance) -> f64 {
    let radius = (-2.0 * (1.0 - chance.share()).ln()).sqrt();
    radius * (std::f64::consts::TAU * chance.share()).cos()
}
