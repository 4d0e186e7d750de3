//! A few items of a file, counted with the tokenizer of a model: how far off our estimate of all is.
//!
//! Takes items one by one, keeps every `n`th so that the whole file is represented and memory is bounded.
//! A file of up to [`MOST`] items is counted whole.
//!
//! Pure.

use std::collections::BTreeMap;

use super::tokens::{Basis, Family, of_request};
use crate::job::{Body, Item, Wire};

/// Items that are kept at most.
pub const MOST: usize = 512;
/// Bytes of bodies that are counted at most: a second or so of work.
const MOST_BYTES: usize = 4 << 20;

/// Every `n`th item of those that were added.
#[derive(Clone, Debug)]
pub struct Sample {
    kept: Vec<Kept>,
    seen: u64,
    step: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    wire: Wire,
    body: Body,
    estimate: u32,
}

/// How a count compares with our estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correction {
    /// What our estimate is multiplied by.
    pub ratio: f64,
    /// How the sample was counted.
    pub basis: Basis,
    /// Items that were counted.
    pub n_items: u64,
}

impl Correction {
    /// Where nothing was counted.
    fn unseen(family: Family) -> Correction {
        Correction { ratio: family.scale(), basis: Basis::Assumed, n_items: 0 }
    }
}

/// How the tokenizers of some models compare with our estimate.
#[derive(Clone, Debug, Default)]
pub struct Corrections {
    by_family: BTreeMap<Family, Correction>,
}

impl Corrections {
    /// That of a model.
    pub fn of(&self, model: &str) -> Correction {
        let family = Family::of_model(model);
        let found = self.by_family.get(&family).copied();
        let correction = found.unwrap_or_else(|| Correction::unseen(family));
        match Family::margin(model) {
            1.0 => correction,
            // A margin is not counted.
            margin => Correction { ratio: correction.ratio * margin, basis: Basis::Assumed, ..correction },
        }
    }
}

impl Default for Sample {
    fn default() -> Sample {
        Sample { kept: Vec::new(), seen: 0, step: 1 }
    }
}

impl Sample {
    /// Looks at one more item.
    pub fn add(&mut self, item: &Item) {
        if self.seen.is_multiple_of(self.step) {
            if self.kept.len() == MOST {
                self.thin_out();
            }
            if self.seen.is_multiple_of(self.step) {
                self.kept.push(Kept {
                    wire: item.wire,
                    body: item.body.clone(),
                    estimate: item.input_tokens,
                });
            }
        }
        self.seen += 1;
    }

    /// Items that were looked at.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// What the tokenizers of these models say of the items kept; each is asked once.
    pub fn corrections<'a>(&self, models: impl IntoIterator<Item = &'a str>) -> Corrections {
        let mut by_family = BTreeMap::new();
        for model in models {
            let family = Family::of_model(model);
            by_family.entry(family).or_insert_with(|| self.of_family(family));
        }
        Corrections { by_family }
    }

    fn of_family(&self, family: Family) -> Correction {
        let bytes: usize = self.kept.iter().map(|kept| kept.body.json.len()).sum();
        let step = bytes.div_ceil(MOST_BYTES).max(1);
        let (mut counted, mut estimated, mut n_items) = (0, 0, 0);
        let mut basis = Basis::Counted;
        for kept in self.kept.iter().step_by(step) {
            let Some(count) = of_request(family, kept.wire, &kept.body.json) else { continue };
            counted += count.tokens;
            estimated += u64::from(kept.estimate);
            basis = basis.max(count.basis);
            n_items += 1;
        }
        if estimated == 0 {
            return Correction::unseen(family);
        }
        Correction { ratio: counted as f64 / estimated as f64, basis, n_items }
    }

    /// Keeps every other one.
    fn thin_out(&mut self) {
        let mut at = 0;
        self.kept.retain(|_| {
            at += 1;
            at % 2 == 1
        });
        self.step *= 2;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::plan::testing::item;

    fn asking(text: &str, estimate: u32) -> Item {
        let json = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let body = Body { json: Bytes::from(json), model_at: None };
        Item { body, input_tokens: estimate, ..item(0) }
    }

    #[test]
    fn a_small_file_is_counted_whole() {
        let mut sample = Sample::default();
        for _ in 0..10 {
            sample.add(&asking("hello world", 16)); // 2 of text, 6 of the template
        }
        let names = ["openai/gpt-5-mini", "openai/gpt-6-luna", "anthropic/claude-opus-5"];
        let all = sample.corrections(names);
        let counted = all.of("openai/gpt-5-mini");
        assert_eq!(counted, Correction { ratio: 0.5, basis: Basis::Counted, n_items: 10 });
        let unsure = all.of("openai/gpt-6-luna");
        assert_eq!((unsure.basis, (unsure.ratio * 100.0).round()), (Basis::Assumed, 55.0));
        assert_eq!(all.of("anthropic/claude-opus-5").basis, Basis::Assumed);
        assert_eq!(Sample::default().corrections(names).of("openai/gpt-5-mini").basis, Basis::Assumed);
    }

    #[test]
    fn a_long_file_is_sampled_from_end_to_end() {
        let mut sample = Sample::default();
        for n in 0..100_000u32 {
            sample.add(&asking("x", n));
        }
        assert!((MOST / 2..=MOST).contains(&sample.kept.len()), "{}", sample.kept.len());
        let gaps: Vec<u32> = sample.kept.windows(2).map(|pair| pair[1].estimate - pair[0].estimate).collect();
        assert!(gaps.iter().all(|&gap| gap == gaps[0]), "evenly");
        assert!(sample.kept.last().unwrap().estimate > 99_000);
    }
}
