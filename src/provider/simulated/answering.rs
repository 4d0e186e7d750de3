//! A model and a prompt → the answer, what it uses, and what a fault makes of both.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::body::Kept;
use super::chance::Chance;
use super::schema::Sketch;
use super::{Answer, Content, Fault, Request, Simulated, Wanted, answer, chance};
use crate::attempt::Finish;
use crate::clock::Timestamp;
use crate::money::Usage;

/// Shorter beginnings are not kept.
const LEAST_KEPT: u64 = 512;
/// A beginning is kept for so long after it was last read.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// Schemas kept compiled; a client that sends a new one with every request gains nothing from more.
const MAX_SKETCHES: usize = 256;

impl Simulated {
    /// The answer of this model to this prompt, always the same, and what it used.
    pub(super) fn answer(&mut self, request: &Request<'_>, index: u16) -> (Answer, Usage) {
        let sketch = self.sketch(request.wanted);
        let model = &self.config.models[usize::from(index)];
        let (seed, prompt) = (self.config.seed, request.prompt.hash);
        let good =
            answer::passes(seed, u64::from(index), prompt, model.pass_rate, self.config.shared_difficulty);
        let mut chance = Chance::new(&[seed, u64::from(index), prompt, 1]);
        let limits = [request.max_output, model.max_output];
        let limit = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
        let mut finish = Finish::Complete;
        let (content, output) = match request.wanted {
            Wanted::Vectors { count, dimensions } => (Content::vectors(prompt, count, dimensions), 0),
            wanted => {
                let drawn = chance.around(model.output as f64, model.output_spread).max(1.0) as u64;
                let visible = (drawn.min(limit) as f64 * (1.0 - model.reasoning_share)).ceil() as u64;
                let mut text = answer::text(wanted, sketch.as_deref(), good, visible, &mut chance);
                let mut output = drawn;
                if model.cuts_off && drawn > limit {
                    finish = Finish::Truncated;
                }
                if answer::has_its_own_length(wanted) {
                    let tokens = answer::tokens(wanted, &text) as f64;
                    output = (tokens / (1.0 - model.reasoning_share).max(0.01)).ceil() as u64;
                    if output > limit && !matches!(wanted, Wanted::Choice(_)) {
                        finish = Finish::Truncated;
                        answer::cut(&mut text, answer::most_bytes(limit));
                    }
                }
                (Content::Text(text), output.min(limit))
            }
        };
        let input = request.prompt.input_tokens;
        let output = output * u64::from(request.choices);
        let usage = Usage {
            input,
            cache_read: share(input, model.cached_share),
            output,
            reasoning: share(output, model.reasoning_share),
            ..Usage::default()
        };
        let name = Arc::clone(&self.models[usize::from(index)].name);
        let answer =
            Answer { content, choices: request.choices, finish, usage: Some(usage), model: name, tier: None };
        (answer, usage)
    }

    /// Bills the beginning of a prompt as read where it is kept, and else as written.
    pub(super) fn cache(&mut self, now: Timestamp, whose: (u32, u16), kept: Kept, usage: &mut Usage) {
        if kept.tokens < LEAST_KEPT {
            return;
        }
        let tokens = kept.tokens.min(usage.input);
        let until = self.caches.insert((whose.0, whose.1, kept.hash), now + KEPT_FOR);
        match until.is_some_and(|until| until > now) {
            true => usage.cache_read = tokens,
            false => (usage.cache_read, usage.cache_write) = (0, tokens),
        }
    }

    fn sketch(&mut self, wanted: Wanted<'_>) -> Option<Arc<Sketch>> {
        let Wanted::Schema(schema) = wanted else { return None };
        let key = chance::hash(schema.as_bytes());
        if self.sketches.len() >= MAX_SKETCHES && !self.sketches.contains_key(&key) {
            self.sketches.clear();
        }
        Some(Arc::clone(self.sketches.entry(key).or_insert_with(|| Arc::new(Sketch::new(schema)))))
    }
}

/// What a fault does to an answer that is made, and to its bill.
pub(super) fn spoil(
    fault: Fault,
    request: &Request<'_>,
    answer: &mut Answer,
    usage: &mut Usage,
    chance: &mut Chance,
) {
    let silence = |answer: &mut Answer, finish, usage: &mut Usage, output| {
        answer.finish = finish;
        answer.content = Content::Text(String::new());
        (usage.output, usage.reasoning) = (output, 0);
        answer.usage = Some(*usage);
    };
    match fault {
        Fault::Empty => silence(answer, Finish::Empty, usage, 0),
        Fault::Refusal => silence(answer, Finish::Refusal, usage, usage.output.min(12)),
        Fault::ContentFilter => silence(answer, Finish::ContentFilter, usage, usage.output.min(3)),
        Fault::Length => {
            answer.finish = Finish::Truncated;
            if let Content::Text(text) = &mut answer.content {
                answer::cut(text, text.len() / 2);
            }
            // Cut off means that all that was allowed is used up.
            let limit = request.max_output.map(|limit| limit * u64::from(request.choices));
            usage.output = limit.unwrap_or(usage.output);
            answer.usage = Some(*usage);
        }
        Fault::NoUsage => answer.usage = None,
        Fault::WrongUsage => {
            let factor = *chance.pick(&[0, 1_000]);
            let times = |tokens: u64| tokens * factor;
            answer.usage = Some(Usage {
                input: times(usage.input),
                output: times(usage.output) + factor,
                ..Usage::default()
            });
        }
        Fault::WrongModel => answer.model = "sim/someone-else".into(),
        _ => {}
    }
}

fn share(tokens: u64, share: f64) -> u64 {
    (tokens as f64 * share) as u64
}
