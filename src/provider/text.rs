//! Text out of JSON as providers write it: borrowed where it can be, forgiving about its shape, and
//! lossy only where nothing else is possible.
//!
//! Pure.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string, or the text parts of an array of parts; anything else is no text.
///
/// Some vendors send `content` as parts, with their thinking beside the text, and ids as numbers;
/// none of that may cost an answer that was paid for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text; empty where there is none.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text as a value of its own; empty where there is none.
    pub(super) fn into_string(self) -> String {
        self.0.map(Cow::into_owned).unwrap_or_default()
    }

    /// The text as a value of its own; `None` where it is empty.
    pub(super) fn into_some(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty()).map(Cow::into_owned)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Text<'de>, M::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut parts: S) -> Result<Text<'de>, S::Error> {
                let mut all: Option<Cow<'de, str>> = None;
                while let Some(part) = parts.next_element::<Part<'de>>()? {
                    let Some(text) = part.text.0 else { continue };
                    match &mut all {
                        None => all = Some(text),
                        Some(before) => before.to_mut().push_str(&text),
                    }
                }
                Ok(Text(all))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A part of an array; parts of thinking keep their text under another name, so they have none here.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
}

/// The body with everything in it replaced that keeps it from being read as text: bytes that are not
/// UTF-8, and `\ud83d` without its other half, become U+FFFD.
pub(super) fn lossy(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match surrogate(rest) {
            Some(0xD800..=0xDBFF) if matches!(rest.get(6..).and_then(surrogate), Some(0xDC00..=0xDFFF)) => 12,
            Some(_) => {
                out.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            // An escape of one character, which may itself be a backslash.
            None => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// The surrogate that `text` starts with as a JSON escape.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let unit = u16::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&unit).then_some(unit)
}

/// The first `most` characters, with `…` where something was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_from_any_shape() {
        for (json, expected) in [
            (r#""plain""#, Some("plain")),
            (r#""a\nb""#, Some("a\nb")),
            ("null", None),
            ("7", Some("7")),
            ("[]", None),
            (
                r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"},{"type":"text","text":"b"}]"#,
                Some("ab"),
            ),
            (r#"{"text":"no"}"#, None),
            ("true", None),
            ("1.5", None),
        ] {
            let text: Text<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(text.0.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn only_lone_surrogates_are_replaced() {
        for (json, expected) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83dé\ud83d\n""#, "\u{fffd}é\u{fffd}\n"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        ] {
            let text: String = serde_json::from_str(&lossy(json.as_bytes())).unwrap();
            assert_eq!(text, expected, "{json}");
        }
        assert_eq!(lossy(b"a\xffb\\"), "a\u{fffd}b\\");
    }

    #[test]
    fn cutting_respects_characters() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
