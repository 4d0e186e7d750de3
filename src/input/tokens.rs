//! How many input tokens a request probably bills, before anyone has counted them.
//!
//! Takes the parts of a body, gives an estimate in one pass over their bytes and without memory of
//! its own. Tokenizers differ by model and most are not public, so this counts characters: what is
//! really billed is learned from the answers.
//!
//! | text | tokens | why |
//! |---|---|---|
//! | ASCII | 1 per 4 characters | the vendors' own rule of thumb for English |
//! | two-byte characters (Cyrillic, Greek, Arabic, accents) | 1 per 2 | |
//! | three-byte characters (Chinese, Japanese, Korean) | 1 per 1.6 | Qwen states 1.5–1.8, DeepSeek 1.7 |
//! | four-byte characters (emoji) | 2 each | |
//! | a message | 3 more | roles and separators of the chat template |
//! | tools and schemas | their JSON text | providers render it into the prompt |
//! | an image | [`IMAGE`] | between 258 and 1,600 by provider and size, which we do not decode |
//! | other media (sound, PDF) | 1 per 64 characters of base64 | about right for both |
//!
//! Pure.

use super::scan::{Kind, Raw};

/// Tokens of one image.
pub const IMAGE: u64 = 1_000;

/// Characters of base64 that make one token of sound or PDF.
const MEDIA_CHARS: u64 = 64;

/// Weights below are in 80ths of a token, so that all of them are whole.
const UNIT: u64 = 80;
const ASCII: u8 = 20;
const TWO_BYTES: u8 = 40;
const THREE_BYTES: u8 = 50;
const FOUR_BYTES: u8 = 160;

/// The weight of a byte of UTF-8: that of its character at the first, nothing at the others.
const WEIGHT: [u8; 256] = {
    let mut weight = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        weight[byte] = match byte {
            0x00..=0x7f => ASCII,
            0xc0..=0xdf => TWO_BYTES,
            0xe0..=0xef => THREE_BYTES,
            0xf0..=0xff => FOUR_BYTES,
            _ => 0,
        };
        byte += 1;
    }
    weight
};

/// Adds up the parts of one request.
#[derive(Debug, Default)]
pub struct Counter {
    weight: u64,
    tokens: u64,
    n_images: u64,
    token_ids: bool,
    /// The texts themselves, where they are to be counted and not weighed.
    texts: Option<Vec<String>>,
}

/// What a tokenizer has to count of one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Texts, as the model reads them.
    pub texts: Vec<String>,
    /// Tokens known without a tokenizer: roles, separators, token ids, sound and PDF.
    pub tokens: u64,
    /// Images among the parts.
    pub n_images: u64,
}

impl Counter {
    /// A counter for text that may be given as token ids, as embeddings take it.
    pub fn of_token_ids() -> Counter {
        Counter { token_ids: true, ..Counter::default() }
    }

    /// A counter that keeps the texts, for [`Counter::into_parts`].
    pub fn keeping_texts(self) -> Counter {
        Counter { texts: Some(Vec::new()), ..self }
    }

    /// What was kept.
    pub fn into_parts(self) -> Parts {
        Parts { texts: self.texts.unwrap_or_default(), tokens: self.tokens, n_images: self.n_images }
    }

    /// A prompt in any wire format: text, a list of messages, or a list of contents.
    pub fn prompt(&mut self, value: Raw<'_>) {
        match value.kind() {
            Kind::String => self.text(value),
            Kind::Array => value.elements().for_each(|element| self.prompt(element)),
            Kind::Object => self.object(value),
            Kind::Number if self.token_ids => self.tokens += 1,
            Kind::Number => self.schema(value),
            Kind::Bool | Kind::Null => {}
        }
    }

    /// A tool list or a schema, which is sent as JSON text.
    pub fn schema(&mut self, value: Raw<'_>) {
        match &mut self.texts {
            Some(texts) => texts.push(String::from_utf8_lossy(value.bytes()).into_owned()),
            None => self.weight += weight_of(value.bytes()),
        }
    }

    /// Adds what a chat template puts before the reply.
    pub fn reply_start(&mut self) {
        self.tokens += 3;
    }

    /// Whether an image was among the parts.
    pub fn has_images(&self) -> bool {
        self.n_images > 0
    }

    /// The estimate; at least one token.
    pub fn total(&self) -> u32 {
        let total = self.tokens + self.weight.div_ceil(UNIT) + self.n_images * IMAGE;
        u32::try_from(total.max(1)).unwrap_or(u32::MAX)
    }

    fn object(&mut self, value: Raw<'_>) {
        if is_image(value) {
            self.n_images += 1;
            return;
        }
        for member in value.members() {
            match &*member.key.name() {
                b"role" => self.tokens += 3,
                b"data" | b"file_data" if member.value.kind() == Kind::String => self.media(member.value),
                key if is_label(key) => {}
                _ => self.prompt(member.value),
            }
        }
    }

    fn text(&mut self, value: Raw<'_>) {
        let inner = value.inner().unwrap_or_default();
        if inner.starts_with(b"data:")
            && memchr::memmem::find(&inner[..inner.len().min(128)], b";base64,").is_some()
        {
            return self.media(value);
        }
        match &mut self.texts {
            Some(texts) => texts.push(value.text().unwrap_or_default().into_owned()),
            None => self.weight += weight_of(inner),
        }
    }

    fn media(&mut self, value: Raw<'_>) {
        self.tokens += value.bytes().len() as u64 / MEDIA_CHARS;
    }
}

/// Whether an object is an image part: of OpenAI and Anthropic by its `type`, of Gemini by its media type.
fn is_image(value: Raw<'_>) -> bool {
    let mut image = false;
    for member in value.members() {
        match &*member.key.name() {
            b"type" => {
                image |= ["image_url", "input_image", "image"].iter().any(|kind| member.value.is(kind));
            }
            b"inlineData" | b"inline_data" | b"fileData" | b"file_data" => {
                let kind = member.value.get("mimeType").or_else(|| member.value.get("mime_type"));
                image |= kind.and_then(Raw::inner).is_some_and(|kind| kind.starts_with(b"image/"));
            }
            _ => {}
        }
    }
    image
}

/// Keys whose values steer a request but are not read by the model.
fn is_label(key: &[u8]) -> bool {
    matches!(
        key,
        b"type"
            | b"id"
            | b"detail"
            | b"url"
            | b"image_url"
            | b"file_id"
            | b"file_url"
            | b"fileUri"
            | b"file_uri"
            | b"filename"
            | b"mimeType"
            | b"mime_type"
            | b"media_type"
            | b"format"
            | b"tool_call_id"
            | b"tool_use_id"
            | b"call_id"
            | b"cache_control"
            | b"signature"
            | b"thoughtSignature"
    )
}

/// The weight of JSON text, where an escape counts as the character it stands for.
fn weight_of(text: &[u8]) -> u64 {
    let mut weight = 0;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        weight += plain_weight(&rest[..at]);
        let escape = &rest[at..];
        let (of_escape, len) = match escape.get(1) {
            Some(b'u') => (escape_weight(escape), 6),
            _ => (ASCII, 2),
        };
        weight += u64::from(of_escape);
        rest = escape.get(len..).unwrap_or_default();
    }
    weight + plain_weight(rest)
}

fn plain_weight(text: &[u8]) -> u64 {
    text.iter().map(|&byte| u64::from(WEIGHT[usize::from(byte)])).sum()
}

/// The weight of `\uXXXX`; a surrogate is half of a four-byte character.
fn escape_weight(escape: &[u8]) -> u8 {
    let digits = escape.get(2..6).and_then(|hex| std::str::from_utf8(hex).ok());
    match digits.and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0) {
        0..=0x7f => ASCII,
        0x80..=0x7ff => TWO_BYTES,
        0xd800..=0xdfff => FOUR_BYTES / 2,
        _ => THREE_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::check;
    use super::*;

    fn prompt(json: &str) -> Counter {
        let mut counter = Counter::default();
        counter.prompt(check(json.as_bytes()).unwrap());
        counter
    }

    #[test]
    fn characters_are_weighed_by_their_script() {
        for (json, tokens) in [
            (r#""""#, 1),
            (r#""four""#, 1),
            (r#""fives""#, 2),
            (r#""a\n\"b""#, 1),
            (r#""Привет, мир""#, 5),
            (r#""你好世界你好世界""#, 5),
            (r#""\u4f60\u597d\u4e16\u754c\u4f60\u597d\u4e16\u754c""#, 5),
            (r#""🙂""#, 2),
            (r#""\ud83d\ude42""#, 2),
        ] {
            assert_eq!(prompt(json).total(), tokens, "{json}");
        }
    }

    #[test]
    fn a_message_costs_three_tokens_more_than_its_text() {
        let text = "x".repeat(400);
        let json = format!(r#"[{{"role":"user","content":"{text}"}},{{"role":"user","content":""}}]"#);
        assert_eq!(prompt(&json).total(), 100 + 6);
    }

    #[test]
    fn images_are_not_counted_as_the_text_of_their_base64() {
        let data = "iVBORw0KGgo".repeat(10_000);
        for part in [
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#),
            format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#),
            format!(
                r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#
            ),
            format!(r#"{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}"#),
        ] {
            let counter = prompt(&format!(r#"[{{"role":"user","content":[{part}]}}]"#));
            assert!(counter.has_images());
            assert_eq!(counter.total(), 1_003, "{}", &part[..60]);
        }
    }

    #[test]
    fn sound_is_counted_by_its_length_and_needs_no_vision() {
        let data = "AAAA".repeat(1_600);
        let json = format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#);
        assert_eq!(prompt(&json).total(), 100);
        assert!(!prompt(&json).has_images());
    }

    #[test]
    fn token_ids_count_one_each() {
        let mut counter = Counter::of_token_ids();
        counter.prompt(check(b"[[1,2,3],[40000]]").unwrap());
        assert_eq!(counter.total(), 4);
    }
}
