//! [`Scrubber`]: takes an account's keys out of whatever its provider says.
//!
//! Providers and the gateways before them echo keys: in error messages, in request ids, in the address
//! of a redirect. Bodies and headers are scrubbed before anything reads them, so that no part of the
//! program can keep or show a key by mistake.
//!
//! Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use regex::bytes::{NoExpand, Regex};
use reqwest::header::{HeaderMap, HeaderValue};

use crate::catalog::endpoint::Secret;

/// What stands where a key was.
const MARK: &[u8] = b"[key]";

/// Knows the keys of an account, and finds them; without a key it finds nothing.
pub(super) struct Scrubber(Option<Regex>);

impl Scrubber {
    /// For these keys. Short ones are placeholders such as `x`, which occur in any text.
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a Secret>) -> Scrubber {
        let mut keys: Vec<&str> = keys.into_iter().map(Secret::expose).filter(|key| key.len() >= 4).collect();
        // Of two that begin alike the longer one is looked for first, so that nothing of it is left.
        keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
        let patterns: Vec<String> = keys.into_iter().map(pattern).collect();
        let any = || Regex::new(&patterns.join("|")).expect("escaped keys are a small pattern");
        Scrubber((!patterns.is_empty()).then(any))
    }

    /// The text without the key.
    pub(super) fn text(&self, text: &str) -> String {
        match self.found_in(text.as_bytes()) {
            Some(key) => {
                String::from_utf8_lossy(&key.replace_all(text.as_bytes(), NoExpand(MARK))).into_owned()
            }
            None => text.to_owned(),
        }
    }

    /// The body without the key; the same bytes where it does not occur.
    pub(super) fn body(&self, body: Bytes) -> Bytes {
        match self.found_in(&body) {
            Some(key) => Bytes::from(key.replace_all(&body, NoExpand(MARK)).into_owned()),
            None => body,
        }
    }

    /// The headers without the key; the same map where it does not occur.
    pub(super) fn headers<'a>(&self, headers: &'a HeaderMap) -> Cow<'a, HeaderMap> {
        if headers.values().all(|value| self.found_in(value.as_bytes()).is_none()) {
            return Cow::Borrowed(headers);
        }
        let mut clean = headers.clone();
        for value in clean.values_mut() {
            if let Some(key) = self.found_in(value.as_bytes()) {
                let scrubbed = key.replace_all(value.as_bytes(), NoExpand(MARK));
                *value = HeaderValue::from_bytes(&scrubbed).expect("nothing came in but `[key]`");
            }
        }
        Cow::Owned(clean)
    }

    fn found_in(&self, bytes: &[u8]) -> Option<&Regex> {
        self.0.as_ref().filter(|key| key.is_match(bytes))
    }
}

/// The key as it is, and as JSON may write it: `a/b` is also `a\/b` and `a\u002fb`.
fn pattern(key: &str) -> String {
    let mut pattern = String::new();
    for c in key.chars() {
        let escaped = regex::escape(c.encode_utf8(&mut [0; 4]));
        // Nobody escapes these, and a pattern that is plain text is found much faster.
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            pattern.push_str(&escaped);
        } else {
            let _ = write!(pattern, r"(?:\\?{escaped}|\\u(?i:{:04x}))", u32::from(c));
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber(key: &str) -> Scrubber {
        Scrubber::new([&Secret::new(key)])
    }

    #[test]
    fn a_key_is_found_however_json_writes_it() {
        let scrubber = scrubber("sk-a/b+c\"d=");
        for echo in ["sk-a/b+c\"d=", r#"sk-a\/b+c\"d="#, r"sk-a\u002Fb\u002bc\u0022d\u003D"] {
            assert_eq!(scrubber.text(&format!("<{echo}>")), "<[key]>", "{echo}");
            assert_eq!(scrubber.body(Bytes::from(format!("{echo},{echo}"))), "[key],[key]", "{echo}");
        }
        assert_eq!(scrubber.text("sk-a/b"), "sk-a/b");
    }

    #[test]
    fn headers_are_copied_only_where_the_key_is_in_them() {
        let scrubber = scrubber("sk-canary");
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("req_1"));
        assert!(matches!(scrubber.headers(&headers), Cow::Borrowed(_)));
        headers.insert("location", HeaderValue::from_static("https://x/sk-canary?a"));
        let clean = scrubber.headers(&headers);
        assert_eq!(
            (&clean["location"], &clean["x-request-id"]),
            (&"https://x/[key]?a".parse().unwrap(), &"req_1".parse().unwrap())
        );
    }

    #[test]
    fn a_placeholder_is_no_key() {
        assert_eq!(scrubber("x").text("xx"), "xx");
        assert_eq!(Scrubber::new([]).text("xx"), "xx");
    }

    #[test]
    fn of_several_keys_each_is_found_whole() {
        let keys = ["sk-a", "gw-token", "sk-a-longer", "x"].map(Secret::new);
        assert_eq!(Scrubber::new(&keys).text("sk-a gw-token sk-a-longer x"), "[key] [key] [key] x");
    }
}
