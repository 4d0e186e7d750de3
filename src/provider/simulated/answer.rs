//! What a simulated model says: a good answer of the kind that was asked for, or a bad one.
//!
//! Whether a model answers a prompt well is a fixed property of the two: asking again changes
//! nothing, as with a real model at temperature 0. Models share a part of each prompt's difficulty,
//! so that what a weak model fails on is harder than average for a strong one, too.
//!
//! Pure.

use std::fmt::Write;

use super::chance::Chance;
use super::schema::Sketch;

/// The kind of answer a request asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted<'a> {
    /// `pass` or `fail`.
    Plain,
    /// Some sentences.
    Text,
    /// One word of this list, which is JSON text: ` pos, neg or neutral`.
    Choice(&'a str),
    /// Any JSON object.
    JsonObject,
    /// An instance of this schema, given as JSON text.
    Schema(&'a str),
    /// Embeddings.
    Vectors {
        /// How many.
        count: usize,
        /// How long each.
        dimensions: u32,
    },
}

/// What is in an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Embeddings.
    Vectors(Vectors),
}

/// Embeddings that need not be stored: each number follows from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    seed: u64,
    /// How many.
    pub count: usize,
    /// How long each.
    pub dimensions: u32,
}

impl Vectors {
    /// One of them; of length close to 1, as real ones are.
    pub fn row(&self, index: usize) -> impl Iterator<Item = f32> + use<> {
        let mut chance = Chance::new(&[self.seed, index as u64]);
        let scale = (3.0 / f64::from(self.dimensions)).sqrt();
        (0..self.dimensions).map(move |_| ((chance.unit() * 2.0 - 1.0) * scale) as f32)
    }

    /// All of them as JSON: a list of lists.
    pub fn json(&self) -> String {
        let mut out = String::from("[");
        for index in 0..self.count {
            out.push_str(if index > 0 { ",[" } else { "[" });
            for (i, number) in self.row(index).enumerate() {
                let comma = if i > 0 { "," } else { "" };
                write!(out, "{comma}{number}").expect("a string takes everything");
            }
            out.push(']');
        }
        out.push(']');
        out
    }
}

impl Content {
    pub(crate) fn vectors(seed: u64, count: usize, dimensions: u32) -> Content {
        Content::Vectors(Vectors { seed, count, dimensions })
    }

    /// As text; embeddings as JSON.
    pub fn into_text(self) -> String {
        match self {
            Content::Text(text) => text,
            Content::Vectors(vectors) => vectors.json(),
        }
    }
}

/// Whether a model that passes this share of prompts passes this one.
///
/// With probability `shared` the prompt's own difficulty decides, the same for every model, else a
/// draw that is the model's own. Both are even, so that the share is met exactly.
pub(crate) fn passes(seed: u64, model: u64, prompt: u64, pass_rate: f64, shared: f64) -> bool {
    let mut own = Chance::new(&[seed, prompt, model]);
    let difficulty = if own.happens(shared) { Chance::new(&[seed, prompt]).unit() } else { own.unit() };
    difficulty < pass_rate
}

/// An answer in words, at most about as long as `tokens` allow; `sketch` is of the schema wanted.
pub(crate) fn text(
    wanted: Wanted<'_>,
    sketch: Option<&Sketch>,
    good: bool,
    tokens: u64,
    chance: &mut Chance,
) -> String {
    match (wanted, sketch) {
        (Wanted::Plain | Wanted::Vectors { .. }, _) => if good { "pass" } else { "fail" }.to_owned(),
        (Wanted::Choice(list), _) => choose(list, good, chance),
        (Wanted::Schema(_), Some(sketch)) if good => sketch.good(chance),
        (Wanted::Schema(_), Some(sketch)) => sketch.bad(chance),
        (Wanted::JsonObject | Wanted::Schema(_), _) if good => {
            let sentence = *chance.pick(&SENTENCES);
            format!("{{\"answer\":\"{sentence}\",\"confidence\":0.{}}}", 50 + chance.below(50))
        }
        (Wanted::JsonObject | Wanted::Schema(_), _) => {
            format!("Sure! Here is the JSON: {{\"answer\": {}", chance.pick(&SENTENCES))
        }
        (Wanted::Text, _) if good => sentences(tokens, chance),
        (Wanted::Text, _) => (*chance.pick(&EVASIONS)).to_owned(),
    }
}

/// Bytes to a token, in answers as in prompts.
const BYTES_PER_TOKEN: u64 = 4;

/// JSON and a choice are as long as they are; sentences are as long as the model is talkative.
pub(crate) fn has_its_own_length(wanted: Wanted<'_>) -> bool {
    matches!(wanted, Wanted::Choice(_) | Wanted::JsonObject | Wanted::Schema(_))
}

/// What a text counts as; the words of a list are one token each, as most are.
pub(crate) fn tokens(wanted: Wanted<'_>, text: &str) -> u64 {
    match wanted {
        Wanted::Choice(_) => text.split_whitespace().count() as u64,
        _ => (text.len() as u64).div_ceil(BYTES_PER_TOKEN),
    }
}

/// What fits into so many tokens.
pub(crate) fn most_bytes(tokens: u64) -> usize {
    usize::try_from(tokens.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX)
}

/// Keeps so many bytes, or fewer where a character would be torn.
pub(crate) fn cut(text: &mut String, length: usize) {
    text.truncate(text.floor_char_boundary(length));
}

const SENTENCES: [&str; 8] = [
    "The main point is stated in the first paragraph and holds throughout.",
    "Several details support this, and none of them contradicts it.",
    "The tone is calm, and the wording leaves little room for doubt.",
    "Two figures are given, of which the second is the more recent.",
    "A short summary would name the cause, the effect and the date.",
    "What remains open is whether the same would hold in another place.",
    "Compared with the year before, the change is small but steady.",
    "In short, the text says what its title promises.",
];

const EVASIONS: [&str; 4] = ["I am not sure.", "...", "As discussed above.", "It depends."];

fn sentences(tokens: u64, chance: &mut Chance) -> String {
    let length = most_bytes(tokens);
    let mut text = String::with_capacity(length.min(4_096) + 80);
    let mut next = chance.below(SENTENCES.len());
    while text.len() < length {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(SENTENCES[next]);
        next = (next + 1) % SENTENCES.len();
    }
    if text.len() > length {
        // Kept to whole words, but for an answer of no word at all.
        let end = text[..length].rfind(' ').or_else(|| text.find(' '));
        text.truncate(end.unwrap_or(length));
    }
    text
}

fn choose(list: &str, good: bool, chance: &mut Chance) -> String {
    let words: Vec<&str> = words(list);
    if good && !words.is_empty() {
        return (*chance.pick(&words)).to_owned();
    }
    let others = ["unclear", "mixed", "other", "none of these"];
    let off: Vec<&str> = others.into_iter().filter(|other| !words.contains(other)).collect();
    chance.pick(&off).to_string()
}

/// ` "pos", 'neg' or neutral` → pos, neg, neutral.
fn words(list: &str) -> Vec<&str> {
    let quotes = |c: char| c.is_whitespace() || matches!(c, '\\' | '"' | '\'' | '`' | '*');
    let trim = |word: &'_ str| -> (usize, usize) {
        let start = word.len() - word.trim_start_matches(quotes).len();
        (start, word.trim_matches(quotes).len())
    };
    let parts = list.split([',', '|', '/']).flat_map(|part| part.split(" or "));
    let clean = parts.map(|part| {
        let part = part.trim_start().strip_prefix("or ").unwrap_or(part);
        let (start, len) = trim(part);
        &part[start..start + len]
    });
    clean.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_words_is_read_however_it_is_written() {
        for list in [
            " pos, neg, neutral",
            r#" \"pos\", \"neg\", or \"neutral\""#,
            " pos|neg|neutral",
            " `pos`, `neg` or `neutral`",
        ] {
            assert_eq!(words(list), ["pos", "neg", "neutral"], "{list}");
        }
        assert_eq!(words(" very good, so so"), ["very good", "so so"]);
    }

    #[test]
    fn a_good_choice_is_on_the_list_and_a_bad_one_is_not() {
        let list = " mixed, other, positive";
        for seed in 0..100 {
            let pick = |good| choose(list, good, &mut Chance::new(&[seed]));
            assert!(words(list).contains(&&*pick(true)));
            assert!(!words(list).contains(&&*pick(false)));
        }
    }

    #[test]
    fn sentences_are_about_as_long_as_their_tokens() {
        for tokens in [1, 5, 20, 300, 2_000] {
            let text = sentences(tokens, &mut Chance::new(&[tokens]));
            let length = text.len() as u64;
            assert!(!text.is_empty() && length <= tokens.max(2) * 4, "{tokens}: {text}");
            assert!(length + 16 >= tokens * 4, "{tokens}: {text}");
        }
    }

    #[test]
    fn any_object_is_json_when_good_and_not_when_bad() {
        for seed in 0..50 {
            let draw = |good| text(Wanted::JsonObject, None, good, 0, &mut Chance::new(&[seed]));
            let good: serde_json::Value = serde_json::from_str(&draw(true)).unwrap();
            assert!(good.is_object());
            assert!(serde_json::from_str::<serde_json::Value>(&draw(false)).is_err());
        }
    }

    #[test]
    fn the_share_of_passes_is_the_pass_rate() {
        for shared in [0.0, 0.6, 1.0] {
            let passed = (0..10_000).filter(|&prompt| passes(3, 1, prompt, 0.88, shared)).count();
            // Four standard deviations of 10,000 draws are 130.
            assert!(passed.abs_diff(8_800) < 130, "shared {shared}: {passed}");
        }
    }

    #[test]
    fn what_one_model_fails_on_is_harder_for_the_next() {
        let weak_fails: Vec<u64> = (0..40_000).filter(|&p| !passes(3, 1, p, 0.8, 0.6)).collect();
        let both = weak_fails.iter().filter(|&&p| !passes(3, 2, p, 0.9, 0.6)).count();
        let share = both as f64 / weak_fails.len() as f64;
        // Independent models would share a tenth; wholly dependent ones a half.
        assert!((0.2..0.4).contains(&share), "{share}");
    }

    #[test]
    fn vectors_are_the_same_each_time_and_of_length_one() {
        let vectors = Vectors { seed: 5, count: 2, dimensions: 512 };
        let norm: f32 = vectors.row(1).map(|x| x * x).sum();
        assert!((norm - 1.0).abs() < 0.2, "{norm}");
        assert!(vectors.row(0).ne(vectors.row(1)));
        let json: Vec<Vec<f32>> = serde_json::from_str(&vectors.json()).unwrap();
        assert!(json[1].iter().copied().eq(vectors.row(1)));
    }
}
