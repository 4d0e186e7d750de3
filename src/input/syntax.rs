//! Is this text JSON? RFC 8259 and nothing more, with the byte and the reason where it is not.
//!
//! Stricter than it need be to find one's way, because what is accepted here is sent as it is.
//!
//! Pure.

use std::ops::Range;

use memchr::memchr2;

/// Levels of nesting that are accepted; deeper texts are refused, not followed.
pub const MAX_DEPTH: usize = 100;

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the first byte that cannot be.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// Where the one JSON value stands that is all of `text`, white space around it aside.
///
/// The text must be UTF-8; escapes of lone surrogates are accepted, because they are only passed on.
pub fn value_in(text: &[u8]) -> Result<Range<usize>, Fault> {
    let mut checker = Checker { text, at: 0 };
    checker.skip_space();
    let start = checker.at;
    checker.value(1)?;
    let end = checker.at;
    checker.skip_space();
    match checker.at == text.len() {
        true => Ok(start..end),
        false => Err(checker.fault("more text after the end of the JSON value")),
    }
}

/// Reads through a text.
struct Checker<'a> {
    text: &'a [u8],
    at: usize,
}

impl Checker<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn fault(&self, what: &str) -> Fault {
        Fault { at: self.at, what: what.to_owned() }
    }

    /// Reads one value that is the `depth`-th around itself.
    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') if depth > MAX_DEPTH => {
                Err(self.fault(&format!("nested deeper than {MAX_DEPTH} levels")))
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'N' | b'I') => Err(self.fault("NaN and Infinity are not JSON; write a number or null")),
            Some(b'\'') => Err(self.fault("single quotes are not JSON; write \"…\"")),
            None => Err(self.fault("the JSON ends too early")),
            Some(_) => Err(self.fault("not JSON")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'}') => return Err(self.fault("a comma before the closing brace")),
                None => return Err(self.fault("the JSON ends too early")),
                Some(_) => return Err(self.fault("a key in double quotes is expected here")),
            }
            self.skip_space();
            match self.peek() {
                Some(b':') => self.at += 1,
                None => return Err(self.fault("the JSON ends too early")),
                Some(_) => return Err(self.fault("a colon is expected here")),
            }
            self.skip_space();
            self.value(depth + 1)?;
            if self.closes(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() == Some(b']') {
                return Err(self.fault("a comma before the closing bracket"));
            }
            self.value(depth + 1)?;
            if self.closes(b']')? {
                return Ok(());
            }
        }
    }

    /// After a part: true at the closing bracket, false after a comma.
    fn closes(&mut self, bracket: u8) -> Result<bool, Fault> {
        self.skip_space();
        let closed = match self.peek() {
            Some(b',') => false,
            Some(byte) if byte == bracket => true,
            None => return Err(self.fault("the JSON ends too early")),
            Some(_) => return Err(self.fault("a comma or a closing bracket is expected here")),
        };
        self.at += 1;
        if !closed {
            self.skip_space();
        }
        Ok(closed)
    }

    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(ahead) = memchr2(b'"', b'\\', rest) else {
                return Err(Fault { at: start, what: "a string that is not closed".to_owned() });
            };
            // Folded rather than searched: this form runs sixteen bytes at a time.
            if rest[..ahead].iter().fold(false, |found, &b| found | (b < 0x20)) {
                let control = rest.iter().position(|&b| b < 0x20).unwrap_or(ahead);
                self.at += control;
                return Err(self.fault("a control character in a string; write it as an escape such as \\n"));
            }
            self.at += ahead + 1;
            if rest[ahead] == b'"' {
                return Ok(());
            }
            self.escape()?;
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        let digits = match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.fault("not an escape that JSON knows; write a backslash as \\\\")),
        };
        self.at += 1;
        let hex = self.text.get(self.at..self.at + digits).unwrap_or_default();
        if hex.len() < digits || !hex.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.fault("\\u must be followed by four hexadecimal digits"));
        }
        self.at += digits;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(b'I' | b'N') => {
                return Err(self.fault("NaN and Infinity are not JSON; write a number or null"));
            }
            _ => return Err(self.fault("not a number")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        match self.peek() {
            Some(b'0'..=b'9') => Err(self.fault("a number does not start with 0")),
            _ => Ok(()),
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'0'..=b'9') => self.digits(),
            _ => return Err(self.fault("a digit is expected here")),
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        match self.text[self.at..].starts_with(word.as_bytes()) {
            true => self.at += word.len(),
            false => return Err(self.fault("not JSON")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{check, check_object};
    use super::*;

    #[test]
    fn faults_name_the_byte_and_the_reason() {
        for (text, at, what) in [
            (r#"{"a":NaN}"#, 5, "NaN"),
            (r#"{"a":-Infinity}"#, 6, "NaN and Infinity"),
            (r#"{"a":01}"#, 6, "does not start with 0"),
            (r#"{"a":1.}"#, 7, "digit"),
            (r#"{"a":1,}"#, 7, "comma before"),
            (r#"{"a":[1,]}"#, 8, "comma before"),
            (r#"{"a" 1}"#, 5, "colon"),
            (r#"{"a":1"#, 6, "too early"),
            (r#"{"a":"b"#, 5, "not closed"),
            ("{\"a\":\"b\tc\"}", 7, "control character"),
            (r#"{"a":"\x"}"#, 7, "escape"),
            (r#"{"a":"\u12G4"}"#, 8, "hexadecimal"),
            (r#"{"a":'b'}"#, 5, "single quotes"),
            (r#"{a:1}"#, 1, "double quotes"),
            (r#"{"a":1} {"b":2}"#, 8, "more text"),
            ("[1,2]", 0, "is an array"),
            ("  7", 2, "is a number"),
            ("hello", 0, "not JSON"),
            ("", 0, "too early"),
        ] {
            let fault = check_object(text.as_bytes()).unwrap_err();
            assert!(fault.what.contains(what), "{text}: {}", fault.what);
            assert_eq!(fault.at, at, "{text}: {}", fault.what);
        }
    }

    #[test]
    fn a_hundred_levels_are_accepted_and_one_more_is_not() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(nested(MAX_DEPTH).as_bytes()).is_ok());
        let fault = check(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!((fault.at, fault.what.as_str()), (MAX_DEPTH, "nested deeper than 100 levels"));
        assert!(check(nested(1_000_000).as_bytes()).is_err());
    }
}
