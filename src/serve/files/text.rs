//! Whether an upload is text that a job can be read from: UTF-8 without NUL, with something in it.
//!
//! Looked at while it passes, so that a file that is no text is refused before it is kept. Places are
//! told as an editor shows them.
//!
//! Pure.

/// Looks at a file piece by piece.
#[derive(Clone, Debug, Default)]
pub(super) struct TextCheck {
    /// The beginning of a character whose rest is in the next piece.
    carried: Vec<u8>,
    line: u64,
    column: u64,
    has_content: bool,
}

/// Why it is no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadText {
    #[error("line {line}, column {column}: these bytes are not UTF-8; save the file as UTF-8")]
    NotUtf8 { line: u64, column: u64 },
    #[error("line {line}, column {column}: a NUL byte; save the file as UTF-8")]
    Nul { line: u64, column: u64 },
    #[error("no requests in it; give one JSON object a line")]
    Empty,
}

impl TextCheck {
    /// The next piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), BadText> {
        let joined;
        let mut rest = match self.carried.is_empty() {
            true => piece,
            false => {
                joined = [&self.carried, piece].concat();
                joined.as_slice()
            }
        };
        let tail = match std::str::from_utf8(rest) {
            Ok(_) => &[][..],
            Err(error) => {
                let (valid, tail) = rest.split_at(error.valid_up_to());
                rest = valid;
                if error.error_len().is_some() {
                    self.pass(rest)?;
                    return Err(BadText::NotUtf8 { line: self.line + 1, column: self.column + 1 });
                }
                tail
            }
        };
        let tail = tail.to_vec();
        self.pass(rest)?;
        self.carried = tail;
        Ok(())
    }

    /// The end of the file.
    pub(super) fn finish(&self) -> Result<(), BadText> {
        match (self.carried.is_empty(), self.has_content) {
            (false, _) => Err(BadText::NotUtf8 { line: self.line + 1, column: self.column + 1 }),
            (true, false) => Err(BadText::Empty),
            (true, true) => Ok(()),
        }
    }

    /// Counts lines and characters of what is UTF-8.
    fn pass(&mut self, text: &[u8]) -> Result<(), BadText> {
        if let Some(at) = memchr::memchr(0, text) {
            self.count(&text[..at]);
            return Err(BadText::Nul { line: self.line + 1, column: self.column + 1 });
        }
        self.count(text);
        Ok(())
    }

    fn count(&mut self, text: &[u8]) {
        let characters = |bytes: &[u8]| bytes.iter().filter(|&byte| byte & 0xc0 != 0x80).count() as u64;
        match memchr::memrchr(b'\n', text) {
            Some(last) => {
                self.line += memchr::memchr_iter(b'\n', text).count() as u64;
                self.column = characters(&text[last + 1..]);
            }
            None => self.column += characters(text),
        }
        self.has_content = self.has_content || !text.trim_ascii().is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict, whatever the pieces.
    fn check(bytes: &[u8]) -> Result<(), BadText> {
        let whole = |size: usize| {
            let mut text = TextCheck::default();
            bytes.chunks(size).try_for_each(|piece| text.push(piece))?;
            text.finish()
        };
        let verdicts: Vec<_> = [1, 2, 3, 7, 1_000].into_iter().map(whole).collect();
        assert!(verdicts.windows(2).all(|two| two[0] == two[1]), "{verdicts:?}");
        verdicts[0].clone()
    }

    #[test]
    fn text_is_text_wherever_it_is_cut() {
        assert_eq!(check("{\"a\":\"漢字 🙂\"}\n{}\n".as_bytes()), Ok(()));
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        assert_eq!(check(b"ab\n\xe6\xbc\xa2x\xff"), Err(BadText::NotUtf8 { line: 2, column: 3 }));
        assert_eq!(check(b"{}\n\xe6\xbc"), Err(BadText::NotUtf8 { line: 2, column: 1 }));
        assert_eq!(check(b"a\n\nbc\0"), Err(BadText::Nul { line: 3, column: 3 }));
        assert_eq!(check(b"\xff\xfea\0"), Err(BadText::NotUtf8 { line: 1, column: 1 }));
    }

    #[test]
    fn blank_lines_are_no_requests() {
        assert_eq!(check(b""), Err(BadText::Empty));
        assert_eq!(check(b"\n \r\n\t"), Err(BadText::Empty));
    }
}
