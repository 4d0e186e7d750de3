//! What is wrong with an input, said so that it can be mended: every bad line with its number.
//!
//! Pure.

use std::fmt::Write as _;
use std::io;

use super::syntax::Fault;

/// Bad lines that are kept with their reason; of more, only the count.
pub const KEPT: usize = 100;

/// Bad lines that [`BadLines::render`] shows.
const SHOWN: usize = 20;

/// Why one line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Byte offset within the line, where one byte is to blame.
    pub at: Option<usize>,
    /// The reason.
    pub message: String,
}

impl From<String> for Problem {
    fn from(message: String) -> Problem {
        Problem { at: None, message }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem { at: Some(fault.at), message: fault.what }
    }
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the file, from 1.
    pub line: u64,
    /// The character to blame, from 1, where it is one.
    pub column: Option<u32>,
    /// The reason.
    pub message: String,
}

impl BadLine {
    /// `problem` of line number `line`, whose bytes are `text`.
    pub fn new(line: u64, text: &[u8], problem: Problem) -> BadLine {
        let column = problem.at.map(|at| column(text, at));
        BadLine { line, column, message: problem.message }
    }
}

/// The character, from 1, that holds byte `at`.
fn column(text: &[u8], at: usize) -> u32 {
    let before = &text[..at.min(text.len())];
    let starts = before.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    u32::try_from(starts + 1).unwrap_or(u32::MAX)
}

/// All that is wrong with one file's lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadLines {
    /// The file as the user named it.
    pub name: String,
    /// The first [`KEPT`] of them, in order.
    pub lines: Vec<BadLine>,
    /// How many there are in all.
    pub n_bad: u64,
    /// How many lines could be used.
    pub n_good: u64,
    /// A way out that helps with these lines in particular.
    pub hint: Option<String>,
}

impl BadLines {
    /// Adds one, keeping its reason while there is room.
    pub fn push(&mut self, bad: BadLine) {
        self.n_bad += 1;
        if self.lines.len() < KEPT {
            self.lines.push(bad);
        }
    }

    /// The whole message for a terminal, without a final newline.
    pub fn render(&self) -> String {
        let total = self.n_bad + self.n_good;
        let which = match total {
            1 => "its only line".to_owned(),
            _ => format!("{} of {total} lines", self.n_bad),
        };
        let mut text = format!("error: {}: {which} cannot be used, nothing was queued", self.name);
        for bad in self.lines.iter().take(SHOWN) {
            let _ = match bad.column {
                Some(column) => write!(text, "\n  line {}, column {column}: {}", bad.line, bad.message),
                None => write!(text, "\n  line {}: {}", bad.line, bad.message),
            };
        }
        let more = self.n_bad.saturating_sub(SHOWN as u64);
        if more > 0 {
            let _ = write!(text, "\n  … and {more} more");
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n{hint}");
        }
        text.push_str("\nfix these lines and submit again");
        match self.n_good {
            0 => {}
            1 => text.push_str(", or pass --skip-bad to queue the other one"),
            n_good => {
                let _ = write!(text, ", or pass --skip-bad to queue the other {n_good}");
            }
        }
        text
    }
}

/// Why a file gives no job.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Some lines cannot be used; nothing of the file may be queued.
    #[error("{}", .0.render())]
    BadLines(Box<BadLines>),
    /// Nothing but blank lines.
    #[error("{0}: no requests in it; give one JSON object a line")]
    NoRequests(String),
    /// The file as a whole cannot be read as what it is.
    #[error("{name}: {reason}")]
    Unreadable {
        /// The file as the user named it.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The options do not fit the file.
    #[error("{0}")]
    Options(String),
    /// Reading it failed.
    #[error("{name}: cannot be read: {error}")]
    Io {
        /// The file as the user named it.
        name: String,
        /// What the operating system or the decompressor says.
        error: io::Error,
    },
    /// What came out of it could not be kept.
    #[error("cannot store what was read: {0}")]
    Sink(#[source] io::Error),
}

/// Text of the user's as it may stand in a message: quoted, escaped, not too long.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The known word that was probably meant.
pub fn suggestion<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let best = known.iter().copied().min_by_key(|candidate| distance(candidate))?;
    let near = distance(best) <= 1 + best.len() / 4 && distance(best) < best.len();
    near.then_some(best)
}

/// `unknown field `priorty` (did you mean `priority`?)`
pub fn unknown_field(field: &str, known: &[&str]) -> String {
    match suggestion(field, known) {
        Some(meant) => format!("unknown field `{}` (did you mean `{meant}`?)", field.escape_debug()),
        None => format!("unknown field `{}`; known are {}", field.escape_debug(), known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(line: u64, message: &str) -> BadLine {
        BadLine { line, column: None, message: message.to_owned() }
    }

    #[test]
    fn the_message_lists_the_lines_and_says_what_to_do() {
        let mut lines =
            BadLines { name: "jobs/reviews.jsonl".to_owned(), n_good: 198, ..BadLines::default() };
        lines.push(bad(17, &unknown_field("priorty", &["models", "priority"])));
        lines.push(bad(40, "`custom_id` \"r-12\" is already used on line 12"));
        assert_eq!(
            lines.render(),
            "error: jobs/reviews.jsonl: 2 of 200 lines cannot be used, nothing was queued\n  \
             line 17: unknown field `priorty` (did you mean `priority`?)\n  \
             line 40: `custom_id` \"r-12\" is already used on line 12\n\
             fix these lines and submit again, or pass --skip-bad to queue the other 198"
        );
    }

    #[test]
    fn of_many_bad_lines_the_first_are_kept_and_the_rest_counted() {
        let mut lines = BadLines::default();
        (1..=250).for_each(|line| lines.push(bad(line, "not JSON")));
        assert_eq!((lines.lines.len(), lines.n_bad), (KEPT, 250));
        assert!(lines.render().contains("  line 20: not JSON\n  … and 230 more\n"));
        assert!(!lines.render().contains("--skip-bad"));
    }

    #[test]
    fn columns_count_characters() {
        let problem = Problem { at: Some(3), message: String::new() };
        assert_eq!(BadLine::new(1, "漢x".as_bytes(), problem).column, Some(2));
    }

    #[test]
    fn text_in_messages_is_escaped_and_short() {
        assert_eq!(shown("a\u{1b}[31m\u{202e}b"), r#""a\u{1b}[31m\u{202e}b""#);
        assert!(shown(&"x".repeat(10_000)).len() < 80);
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["models", "deadline", "priority", "tags"];
        for (word, meant) in [
            ("priorty", Some("priority")),
            ("model", Some("models")),
            ("tag", Some("tags")),
            ("colour", None),
        ] {
            assert_eq!(suggestion(word, &known), meant, "{word}");
        }
    }
}
