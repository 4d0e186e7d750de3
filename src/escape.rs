//! Text from users and providers, made safe to print.
//!
//! An id, a file name or an error message may hold terminal commands, line breaks or marks that turn
//! the writing direction; printed as they are they could hide or forge what a person reads. Every such
//! text goes through [`plain`] before it is printed; `--json` and Parquet keep the exact bytes.
//!
//! Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` on one line, with every control and direction mark shown as `\x1b` or `\u{202e}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if !is_unsafe(c) => safe.push(c),
            c if (c as u32) < 0x100 => write!(safe, "\\x{:02x}", c as u32).expect("a string takes all"),
            c => write!(safe, "\\u{{{:x}}}", c as u32).expect("a string takes all"),
        }
    }
    Cow::Owned(safe)
}

/// [`plain`] for text whose line breaks and tabs are wanted, such as an answer shown in full.
pub fn block(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let parts: Vec<Cow<'_, str>> = line.split('\t').map(plain).collect();
        parts.join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// [`plain`], cut to `max` characters with `…` at the end.
pub fn short(text: &str, max: usize) -> String {
    let safe = plain(text);
    if safe.chars().count() <= max {
        return safe.into_owned();
    }
    let kept: String = safe.chars().take(max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// C0, C1, DEL, and the marks of Unicode that turn, isolate or break the line without being seen.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_commands_line_breaks_and_direction_marks_are_shown_not_obeyed() {
        let cases = [
            ("r-17", "r-17"),
            ("größe 东京 🎉", "größe 东京 🎉"),
            ("\u{1b}[2Jgone", "\\x1b[2Jgone"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\x00"),
            ("\u{9b}31m\u{7f}", "\\x9b31m\\x7f"),
            ("abc\u{202e}cba\u{2066}", "abc\\u{202e}cba\\u{2066}"),
            ("\u{feff}x\u{200b}", "\\u{feff}x\\u{200b}"),
        ];
        for (text, shown) in cases {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn a_block_keeps_its_lines_and_nothing_else() {
        assert_eq!(block("a\tb\r\nc\u{1b}d"), "a\tb\nc\\x1bd");
    }

    #[test]
    fn short_text_is_cut_by_characters() {
        assert_eq!(short("größer als", 5), "größ…");
        assert_eq!(short("kurz", 5), "kurz");
    }
}
