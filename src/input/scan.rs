//! JSON by byte position: is this text one JSON value, and where do its parts stand?
//!
//! Takes UTF-8 text, gives spans. Bodies must reach a provider as the bytes the user wrote: reading
//! them into values and writing those out again would change big numbers, duplicate keys and odd
//! unicode. So a text is judged once, strictly, by [`check_object`]; after that [`Raw`] walks it and
//! hands out pieces of the very same bytes.
//!
//! Pure.

use std::borrow::Cow;

use memchr::memchr2;

use super::syntax::{self, Fault};

/// Checks that `text` is exactly one JSON object, white space around it aside, and gives it back.
pub fn check_object(text: &[u8]) -> Result<Raw<'_>, Fault> {
    let value = check(text)?;
    match value.kind() {
        Kind::Object => Ok(value),
        kind => {
            let what = format!("is {}; each line must be one JSON object", kind.with_article());
            Err(Fault { at: text.len() - text.trim_ascii_start().len(), what })
        }
    }
}

/// Checks that `text` is exactly one JSON value, white space around it aside, and gives it back.
///
/// The text must be UTF-8; escapes of lone surrogates are accepted, because they are only passed on.
pub fn check(text: &[u8]) -> Result<Raw<'_>, Fault> {
    Ok(Raw(&text[syntax::value_in(text)?]))
}

/// What sort of value a [`Raw`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

impl Kind {
    /// For messages: `an array`.
    pub fn with_article(self) -> &'static str {
        match self {
            Kind::Object => "an object",
            Kind::Array => "an array",
            Kind::String => "a string",
            Kind::Number => "a number",
            Kind::Bool => "true or false",
            Kind::Null => "null",
        }
    }
}

/// One JSON value that [`check`] accepted, without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

/// One key and its value within an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The key, quotes included.
    pub key: Raw<'a>,
    /// The value.
    pub value: Raw<'a>,
    /// Where the key starts, from the object's `{`.
    pub start: usize,
    /// Where the value starts, from the object's `{`.
    pub value_start: usize,
}

impl Member<'_> {
    /// Where the value ends, from the object's `{`.
    pub fn end(&self) -> usize {
        self.value_start + self.value.0.len()
    }
}

impl<'a> Raw<'a> {
    /// The bytes as they were written.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What it is, told by its first byte.
    pub fn kind(self) -> Kind {
        match self.0[0] {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Its members in order, duplicates included; none where it is not an object.
    pub fn members(self) -> Members<'a> {
        Members(Walk::new(self, Kind::Object))
    }

    /// Its elements in order; none where it is not an array.
    pub fn elements(self) -> Elements<'a> {
        Elements(Walk::new(self, Kind::Array))
    }

    /// The value under `key`; the last one where the key is repeated.
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        self.members().filter(|member| member.key.is(key)).last().map(|member| member.value)
    }

    /// Whether it is the string `text`.
    pub fn is(self, text: &str) -> bool {
        match self.plain() {
            Some(plain) => plain == text.as_bytes(),
            None => self.text().is_some_and(|own| own == text),
        }
    }

    /// The bytes of a string, escapes resolved where they can be; empty for other values.
    pub fn name(self) -> Cow<'a, [u8]> {
        if let Some(plain) = self.plain() {
            return Cow::Borrowed(plain);
        }
        match self.text() {
            Some(text) => Cow::Owned(text.into_owned().into_bytes()),
            None => Cow::Borrowed(self.inner().unwrap_or_default()),
        }
    }

    /// What is between the quotes, where it is a string; escapes stay as they are.
    pub fn inner(self) -> Option<&'a [u8]> {
        self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// The bytes of a string without escapes.
    fn plain(self) -> Option<&'a [u8]> {
        let inner = self.inner()?;
        memchr::memchr(b'\\', inner).is_none().then_some(inner)
    }

    /// The text of a string; `None` for other values and for escapes that are not unicode.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self.plain() {
            Some(plain) => std::str::from_utf8(plain).ok().map(Cow::Borrowed),
            None => serde_json::from_slice::<String>(self.0).ok().map(Cow::Owned),
        }
    }

    /// A whole number that fits; `None` for everything else.
    pub fn whole(self) -> Option<u64> {
        std::str::from_utf8(self.0).ok()?.parse().ok()
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }
}

/// Members of one object; see [`Raw::members`].
pub struct Members<'a>(Walk<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let start = self.0.next_start()?;
        let key = self.0.take_value();
        let value_start = self.0.next_start()?;
        let value = self.0.take_value();
        Some(Member { key, value, start, value_start })
    }
}

/// Elements of one array; see [`Raw::elements`].
pub struct Elements<'a>(Walk<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.0.next_start()?;
        Some(self.0.take_value())
    }
}

/// Steps over the values directly inside an object or array that is known to be valid.
struct Walk<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn new(value: Raw<'a>, kind: Kind) -> Walk<'a> {
        match value.kind() == kind {
            true => Walk { text: value.0, at: 1 },
            false => Walk { text: &[], at: 0 },
        }
    }

    /// Moves past punctuation to the next value; `None` at the closing bracket.
    fn next_start(&mut self) -> Option<usize> {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => self.at += 1,
                b'}' | b']' => return None,
                _ => return Some(self.at),
            }
        }
        None
    }

    fn take_value(&mut self) -> Raw<'a> {
        let start = self.at;
        self.at = value_end(self.text, start);
        Raw(&self.text[start..self.at])
    }
}

/// Where the value that starts at `at` ends, in a text known to be valid.
fn value_end(text: &[u8], mut at: usize) -> usize {
    match text[at] {
        b'"' => return string_end(text, at),
        b'{' | b'[' => {}
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            return text[at..].iter().position(ends).map_or(text.len(), |len| at + len);
        }
    }
    let mut open = 0usize;
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    at
}

/// Where the string that starts at `at` ends, in a text known to be valid.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(ahead) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += ahead;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(text: &str) -> Raw<'_> {
        check_object(text.as_bytes()).unwrap()
    }

    #[test]
    fn members_stand_where_they_were_written() {
        let text = r#"{ "a" : 12345678901234567890 , "b\u0041":[1,{"c":"]}\""}] ,"a":null}"#;
        let found: Vec<(&str, &str)> = object(text)
            .members()
            .map(|m| (&text[m.start..m.start + m.key.bytes().len()], &text[m.value_start..m.end()]))
            .collect();
        let expected =
            [("\"a\"", "12345678901234567890"), ("\"b\\u0041\"", r#"[1,{"c":"]}\""}]"#), ("\"a\"", "null")];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_last_of_repeated_keys_counts_and_escaped_keys_are_found() {
        let value = object(r#"{"a":1,"\u0061":2,"b":"x"}"#);
        assert_eq!(value.get("a").unwrap().whole(), Some(2));
        assert_eq!(value.get("b").unwrap().text().unwrap(), "x");
        assert!(value.get("c").is_none());
    }

    /// Random JSON text with white space, duplicate keys and escapes in it.
    fn json() -> impl Strategy<Value = String> {
        let string = prop::sample::select(vec![
            r#""""#,
            r#""a""#,
            r#""\\""#,
            r#""\"""#,
            r#""\\\"{""#,
            r#""\ud800""#,
            r#""é漢🙂""#,
            r#""}],:""#,
        ]);
        let leaf = prop_oneof![
            string.clone().prop_map(str::to_owned),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
            prop::sample::select(vec!["true", "false", "null", "0", "-0.0"]).prop_map(str::to_owned),
        ];
        let space = prop::sample::select(vec!["", " ", "\n\t"]);
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let members = prop::collection::vec((string.clone(), inner.clone(), space.clone()), 0..5);
            prop_oneof![
                (prop::collection::vec(inner, 0..5), space.clone())
                    .prop_map(|(all, s)| format!("[{s}{}{s}]", all.join(&format!("{s},{s}")))),
                members.prop_map(|all| {
                    let parts: Vec<String> =
                        all.iter().map(|(k, v, s)| format!("{s}{k}{s}:{s}{v}{s}")).collect();
                    format!("{{{}}}", parts.join(","))
                }),
            ]
        })
    }

    /// Writes a value from its spans alone, without the white space between them.
    fn rewrite(value: Raw<'_>, out: &mut String) {
        let raw = |value: Raw<'_>| std::str::from_utf8(value.bytes()).unwrap().to_owned();
        match value.kind() {
            Kind::Object => {
                let members: Vec<String> = value
                    .members()
                    .map(|member| {
                        let mut text = format!("{}:", raw(member.key));
                        rewrite(member.value, &mut text);
                        text
                    })
                    .collect();
                out.push_str(&format!("{{{}}}", members.join(",")));
            }
            Kind::Array => {
                let elements: Vec<String> = value
                    .elements()
                    .map(|element| {
                        let mut text = String::new();
                        rewrite(element, &mut text);
                        text
                    })
                    .collect();
                out.push_str(&format!("[{}]", elements.join(",")));
            }
            _ => out.push_str(&raw(value)),
        }
    }

    fn without_space(text: &str) -> String {
        let mut quoted = false;
        let mut escaped = false;
        text.chars()
            .filter(|&c| {
                let keep = quoted || !c.is_ascii_whitespace();
                if c == '"' && !escaped {
                    quoted = !quoted;
                }
                escaped = quoted && c == '\\' && !escaped;
                keep
            })
            .collect()
    }

    proptest! {
        #[test]
        fn spans_of_random_json_give_the_text_back(text in json()) {
            let mut rewritten = String::new();
            rewrite(check(text.as_bytes()).unwrap(), &mut rewritten);
            prop_assert_eq!(rewritten, without_space(&text));
        }

        #[test]
        fn damaged_json_is_judged_as_serde_json_judges_it(
            text in json(),
            at in any::<prop::sample::Index>(),
            byte in prop::sample::select(b" ,:[]{}\"\\0-.e1tnu\n".to_vec()),
            cut in any::<bool>(),
        ) {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(text) = std::str::from_utf8(&bytes) {
                let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
                prop_assert_eq!(check(&bytes).is_ok(), theirs, "{}", text);
            }
        }
    }
}
