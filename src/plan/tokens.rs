//! How many tokens a text is, by the family of tokenizer its model uses.
//!
//! The vocabularies OpenAI publishes are embedded, so its texts are [`Basis::Counted`]. Nobody else's may
//! or can be: the others are [`Basis::Assumed`] from documented ratios, by script.
//!
//! | family | ASCII characters a token | Chinese, Japanese, Korean | said by |
//! |---|---|---|---|
//! | `o200k`, `cl100k` | counted | counted | OpenAI |
//! | `claude` | 3.5, and a quarter more for recent models | 1 | Anthropic |
//! | `gemini` | 4 | 1.6 | Google |
//! | `deepseek` | 0.3 tokens each | 0.6 tokens each | DeepSeek |
//! | `qwen` | 4 | 1.5 to 1.8 | Alibaba |
//! | `glm`, `mistral`, `llama`, `other` | 4 | 1 to 1.6 | rule of thumb |
//!
//! A vocabulary takes tenths of a second and some 27 MB to load, once, and only when something is counted
//! with it; so the hot path of submitting estimates, and `plan` counts a sample.
//!
//! Pure: the tables are part of the program.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tiktoken::CoreBpe;

use crate::catalog::Catalog;
use crate::catalog::model::Model;
use crate::input::request;
use crate::job::Wire;

/// Tokenizers that count alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// OpenAI since GPT-4o.
    O200k,
    /// OpenAI before it, and its embeddings.
    Cl100k,
    /// Anthropic.
    Claude,
    /// Google's Gemini and Gemma.
    Gemini,
    /// DeepSeek.
    DeepSeek,
    /// Alibaba's Qwen.
    Qwen,
    /// Zhipu's GLM.
    Glm,
    /// Mistral.
    Mistral,
    /// Meta's Llama.
    Llama,
    /// Anything else.
    #[default]
    Other,
}

/// Where a number of tokens comes from, the most certain first: a sum is as certain as its least certain
/// part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// By what providers reported of answers like it.
    Measured,
    /// By the model's own tokenizer.
    Counted,
    /// By a rule of thumb.
    Assumed,
}

impl Basis {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Measured => "measured",
            Basis::Counted => "counted",
            Basis::Assumed => "assumed",
        }
    }
}

/// A number of tokens and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub tokens: u64,
    /// How we know.
    pub basis: Basis,
}

/// Tokens of a text: counted where the vocabulary is embedded, else by the family's ratios.
pub fn count(family: Family, text: &str) -> Count {
    match family.vocabulary() {
        Some(vocabulary) => Count { tokens: vocabulary.count(text) as u64, basis: Basis::Counted },
        None => Count { tokens: estimate(family, text), basis: Basis::Assumed },
    }
}

/// Tokens of a text by the family's ratios alone.
pub fn estimate(family: Family, text: &str) -> u64 {
    let ratios = family.ratios();
    let millis: u64 = text.chars().map(|c| ratios.of(c)).sum();
    millis.div_ceil(1_000)
}

/// Input tokens of a whole request: its texts, what the chat template adds, its images. An image whose size
/// nobody has read counts as one of 1,024 by 1,024.
pub fn of_request(family: Family, wire: Wire, body: &[u8]) -> Option<Count> {
    let parts = request::parts(wire, body)?;
    let texts: u64 = parts.texts.iter().map(|text| count(family, text).tokens).sum();
    let images = parts.n_images * image(family, 1_024, 1_024, false);
    let is_counted = family.is_counted() && parts.n_images == 0;
    let basis = if is_counted { Basis::Counted } else { Basis::Assumed };
    Some(Count { tokens: (texts + parts.tokens + images).max(1), basis })
}

/// Tokens of an image of this size, by the formulas the vendors document. `detail` is OpenAI's `low`.
pub fn image(family: Family, width: u32, height: u32, low_detail: bool) -> u64 {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let tiles = |side: f64, width: f64, height: f64| ((width / side).ceil() * (height / side).ceil()) as u64;
    match family {
        Family::O200k | Family::Cl100k if low_detail => 85,
        Family::O200k | Family::Cl100k => {
            // Into 2,048 by 2,048, then the short side to 768; never made larger.
            let fit = (2_048.0 / width.max(height)).min(1.0);
            let (width, height) = (width * fit, height * fit);
            let shrink = (768.0 / width.min(height)).min(1.0);
            85 + 170 * tiles(512.0, width * shrink, height * shrink)
        }
        Family::Claude => {
            let fit = (1_568.0 / width.max(height)).min(1.0);
            ((width * fit * height * fit / 750.0).ceil() as u64).max(1)
        }
        Family::Gemini if width <= 384.0 && height <= 384.0 => 258,
        Family::Gemini => 258 * tiles(768.0, width, height),
        _ => crate::input::tokens::IMAGE,
    }
}

/// Thousandths of a token a character is, by script.
struct Ratios {
    ascii: u64,
    /// Cyrillic, Greek, Arabic, accents.
    two_bytes: u64,
    /// Chinese, Japanese, Korean.
    three_bytes: u64,
    /// Emoji.
    four_bytes: u64,
}

impl Ratios {
    fn of(&self, c: char) -> u64 {
        match c.len_utf8() {
            1 => self.ascii,
            2 => self.two_bytes,
            3 => self.three_bytes,
            _ => self.four_bytes,
        }
    }
}

impl Family {
    /// All of them, with the names a catalog gives them.
    pub const ALL: [(&'static str, Family); 10] = [
        ("o200k", Family::O200k),
        ("cl100k", Family::Cl100k),
        ("claude", Family::Claude),
        ("gemini", Family::Gemini),
        ("deepseek", Family::DeepSeek),
        ("qwen", Family::Qwen),
        ("glm", Family::Glm),
        ("mistral", Family::Mistral),
        ("llama", Family::Llama),
        ("other", Family::Other),
    ];

    /// Its name in a catalog.
    pub fn as_str(self) -> &'static str {
        Family::ALL.iter().find(|(_, family)| *family == self).map_or("other", |(name, _)| name)
    }

    /// Reads such a name.
    pub fn parse(name: &str) -> Option<Family> {
        Family::ALL.iter().find(|(known, _)| *known == name).map(|&(_, family)| family)
    }

    /// The family of a model: as the bundled table states it, else by its name, which says more than who
    /// serves it: `groq/openai/gpt-oss-20b`.
    pub fn of_model(full_name: &str) -> Family {
        if let Some(family) = KNOWN.with_borrow(|known| known.get(full_name).copied()) {
            return family;
        }
        let family = LISTED.get(full_name).copied().unwrap_or_else(|| Family::by_name(full_name));
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            known.insert(full_name.into(), family);
        });
        family
    }

    /// The family of a tokenizer as catalogs name it: `o200k_base`, `o200k_harmony`.
    fn of_tokenizer(tokenizer: &str) -> Option<Family> {
        Family::ALL.iter().find(|(known, _)| tokenizer.starts_with(known)).map(|&(_, family)| family)
    }

    fn by_name(full_name: &str) -> Family {
        let name = full_name.to_ascii_lowercase();
        let known = BY_NAME.iter().find(|(part, _)| name.contains(part));
        known.map_or(Family::Other, |&(_, family)| family)
    }

    /// What a count or estimate of this model is multiplied by where more tokens are likely than the
    /// family's rule says.
    pub fn margin(full_name: &str) -> f64 {
        // Which vocabulary GPT-6 uses is not stated.
        if full_name.contains("gpt-6") { 1.1 } else { 1.0 }
    }

    /// How many times our estimate at submit ([`crate::input::tokens`]) the family's rule gives, for text
    /// of mostly ASCII.
    pub fn scale(self) -> f64 {
        self.ratios().ascii as f64 / 250.0
    }

    /// Whether its vocabulary is part of the program.
    pub fn is_counted(self) -> bool {
        matches!(self, Family::O200k | Family::Cl100k)
    }

    fn vocabulary(self) -> Option<&'static CoreBpe> {
        match self {
            Family::O200k => tiktoken::get_encoding("o200k_base"),
            Family::Cl100k => tiktoken::get_encoding("cl100k_base"),
            _ => None,
        }
    }

    fn ratios(self) -> Ratios {
        let (ascii, two_bytes, three_bytes, four_bytes) = match self {
            Family::O200k | Family::Cl100k => (250, 400, 700, 2_000),
            // 1 per 3.5 characters, and a quarter more.
            Family::Claude => (357, 625, 1_000, 2_500),
            Family::DeepSeek => (300, 500, 600, 2_000),
            Family::Gemini | Family::Qwen => (250, 500, 625, 2_000),
            Family::Glm => (250, 500, 650, 2_000),
            Family::Mistral | Family::Llama | Family::Other => (250, 500, 800, 2_000),
        };
        Ratios { ascii, two_bytes, three_bytes, four_bytes }
    }
}

/// Families that are remembered.
const MOST_KNOWN: usize = 256;

thread_local! {
    /// Families worked out before: every attempt asks for that of its model a few times, and to search a name
    /// for all these parts costs more than what is done with the answer.
    static KNOWN: RefCell<HashMap<Box<str>, Family>> = RefCell::default();
}

/// Models whose tokenizer the bundled table states.
static LISTED: LazyLock<BTreeMap<String, Family>> = LazyLock::new(|| {
    let stated =
        |model: &Model| Some((model.full_name(), Family::of_tokenizer(model.tokenizer.as_deref()?)?));
    Catalog::bundled().models().filter_map(stated).collect()
});

/// Parts of names, the more telling first: distillations are named after both of their parents, and
/// tokenize like the one named last here.
const BY_NAME: [(&str, Family); 30] = [
    ("text-embedding", Family::Cl100k),
    ("gpt-4o", Family::O200k),
    ("gpt-4.", Family::O200k),
    ("gpt-4", Family::Cl100k),
    ("gpt-3", Family::Cl100k),
    ("gpt-35", Family::Cl100k),
    ("gpt-oss", Family::O200k),
    ("gpt-", Family::O200k),
    ("chatgpt", Family::O200k),
    ("codex", Family::O200k),
    ("/o1", Family::O200k),
    ("/o3", Family::O200k),
    ("/o4", Family::O200k),
    ("claude", Family::Claude),
    ("gemini", Family::Gemini),
    ("gemma", Family::Gemini),
    ("distill-qwen", Family::Qwen),
    ("distill-llama", Family::Llama),
    ("qwen", Family::Qwen),
    ("qwq", Family::Qwen),
    ("deepseek", Family::DeepSeek),
    ("glm", Family::Glm),
    ("mistral", Family::Mistral),
    ("mixtral", Family::Mistral),
    ("ministral", Family::Mistral),
    ("codestral", Family::Mistral),
    ("magistral", Family::Mistral),
    ("devstral", Family::Mistral),
    ("pixtral", Family::Mistral),
    ("llama", Family::Llama),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_openai_publishes_is_counted_to_the_token() {
        // As the reference implementation counts them.
        for (text, o200k, cl100k) in [
            ("", 0, 0),
            ("hello world", 2, 2),
            ("tiktoken is great!", 6, 6),
            ("<|endoftext|>", 7, 7), // what a user writes is text
        ] {
            assert_eq!(count(Family::O200k, text), Count { tokens: o200k, basis: Basis::Counted }, "{text}");
            assert_eq!(count(Family::Cl100k, text).tokens, cl100k, "{text}");
        }
        let chinese = "你好世界，今天天气很好";
        assert!(count(Family::O200k, chinese).tokens < count(Family::Cl100k, chinese).tokens);
    }

    #[test]
    fn a_request_is_its_texts_and_what_the_template_adds() {
        let body = br#"{"model":"m","messages":[{"role":"system","content":"hello world"},
            {"role":"user","content":[{"type":"text","text":"tiktoken \u0069s great!"}]}],"max_tokens":5}"#;
        let counted = of_request(Family::O200k, Wire::Chat, body).unwrap();
        assert_eq!(counted, Count { tokens: 2 + 6 + 3 + 3 + 3, basis: Basis::Counted });
        assert_eq!(of_request(Family::Claude, Wire::Chat, body).unwrap().basis, Basis::Assumed);
        let image = br#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#;
        let seen = of_request(Family::O200k, Wire::Chat, image).unwrap();
        assert_eq!(seen, Count { tokens: 765 + 6, basis: Basis::Assumed });
        let ids = br#"{"input":[[1,2,3],[40000]]}"#;
        assert_eq!(of_request(Family::Cl100k, Wire::Embeddings, ids).unwrap().tokens, 4);
        assert_eq!(of_request(Family::O200k, Wire::Chat, b"[]"), None);
    }

    #[test]
    fn ratios_are_the_documented_ones() {
        let english = "x".repeat(7_000);
        let chinese = "好".repeat(1_000);
        for (family, ascii, cjk) in [
            (Family::Claude, 2_499, 1_000),
            (Family::Gemini, 1_750, 625),
            (Family::DeepSeek, 2_100, 600),
            (Family::Qwen, 1_750, 625),
            (Family::Other, 1_750, 800),
        ] {
            assert_eq!(count(family, &english), Count { tokens: ascii, basis: Basis::Assumed }, "{family:?}");
            assert_eq!(estimate(family, &chinese), cjk, "{family:?}");
        }
        assert!((Family::DeepSeek.scale() - 1.2).abs() < 1e-9);
    }

    #[test]
    fn a_models_name_tells_its_family_whoever_serves_it() {
        for (name, family) in [
            ("openai/gpt-5-mini", Family::O200k),
            ("openai/gpt-4.1-mini", Family::O200k),
            ("openai/gpt-4-turbo", Family::Cl100k),
            ("openai/o3-mini", Family::O200k),
            ("openai/text-embedding-3-small", Family::Cl100k),
            ("groq/openai/gpt-oss-20b", Family::O200k),
            ("openrouter/anthropic/claude-haiku-5-5", Family::Claude),
            ("together/deepseek-ai/DeepSeek-V4-Flash-0731", Family::DeepSeek),
            ("groq/deepseek-r1-distill-llama-70b", Family::Llama),
            ("zai/glm-4.7-flash", Family::Glm),
            ("sim/small", Family::Other),
        ] {
            assert_eq!(Family::of_model(name), family, "{name}");
        }
        // What the table states is not contradicted by any name it lists.
        for (name, &family) in LISTED.iter() {
            assert_eq!(Family::of_model(name), family, "{name}");
            let by_name = Family::by_name(name);
            assert!(by_name == family || by_name == Family::Other, "{name}: {by_name:?} is not {family:?}");
        }
        assert_eq!(Family::of_tokenizer("o200k_harmony"), Some(Family::O200k));
        assert_eq!(Family::of_tokenizer("grok"), None);
        for (name, family) in Family::ALL {
            assert_eq!((Family::parse(name), family.as_str()), (Some(family), name));
        }
    }

    #[test]
    fn an_image_costs_what_its_size_says() {
        for (family, width, height, low, tokens) in [
            (Family::O200k, 4_000, 4_000, true, 85),
            (Family::O200k, 512, 512, false, 255),
            (Family::O200k, 2_048, 4_096, false, 85 + 170 * 6), // 1,024 by 2,048, then 768 by 1,536
            (Family::Claude, 1_000, 750, false, 1_000),
            (Family::Claude, 10_000, 1, false, 1), // a line, made smaller
            (Family::Gemini, 384, 384, false, 258),
            (Family::Gemini, 1_000, 700, false, 516),
        ] {
            assert_eq!(image(family, width, height, low), tokens, "{family:?} {width}x{height}");
        }
    }
}
