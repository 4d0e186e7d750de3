//! Colour, and lines that fit a terminal.
//!
//! A [`Line`] is a row of coloured pieces; it is cut to the width of the terminal before the colours
//! are put on, so that no escape sequence is ever cut in half and no line ever wraps. Text that comes
//! from users or providers is made safe by [`crate::escape`] when it enters a line.
//!
//! Pure.

use std::fmt::Write as _;

use clap::ValueEnum;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::escape;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorWhen {
    /// Whether a stream is coloured, given what the environment says of it.
    pub fn on(self, is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
        match self {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                is_terminal && no_color.is_none_or(str::is_empty) && term.is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// What a piece of a line means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// What the line is about.
    Strong,
    /// Beside the point.
    Faint,
    /// Going well.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// A name.
    Name,
}

impl Paint {
    fn sgr(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Good => "32",
            Paint::Warn => "33",
            Paint::Bad => "31",
            Paint::Name => "36",
        }
    }

    /// `text` in this colour, or as it is.
    pub fn on(self, text: &str, colour: bool) -> String {
        match self.sgr() {
            "" => text.to_owned(),
            _ if !colour || text.is_empty() => text.to_owned(),
            sgr => format!("\x1b[{sgr}m{text}\x1b[0m"),
        }
    }
}

/// One line of output in coloured pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Paint, String)>);

impl Line {
    /// An empty line.
    pub fn new() -> Line {
        Line::default()
    }

    /// Adds text; what is unsafe to print in it is escaped.
    pub fn add(mut self, paint: Paint, text: impl AsRef<str>) -> Line {
        self.push(paint, text);
        self
    }

    /// Adds text as it is meant.
    pub fn text(self, text: impl AsRef<str>) -> Line {
        self.add(Paint::Plain, text)
    }

    /// Adds text; what is unsafe to print in it is escaped.
    pub fn push(&mut self, paint: Paint, text: impl AsRef<str>) {
        self.0.push((paint, escape::plain(text.as_ref()).into_owned()));
    }

    /// The same two columns further in.
    pub fn indented(mut self) -> Line {
        self.0.insert(0, (Paint::Plain, "  ".to_owned()));
        self
    }

    /// Columns it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// The line as it is printed: cut to `width` columns, then coloured.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let mut out = String::new();
        let cut = self.width() > width;
        let mut left = if cut { width.saturating_sub(1) } else { width };
        for (paint, text) in &self.0 {
            let kept = fitting(text, left);
            left -= kept.width();
            out.push_str(&paint.on(kept, colour));
            if kept.len() < text.len() {
                break;
            }
        }
        if cut && width > 0 {
            out.push('…');
        }
        if colour { out } else { out.trim_end().to_owned() }
    }
}

/// The longest start of `text` that takes at most `width` columns.
fn fitting(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// `text` filled with spaces on the right to `width` columns.
pub fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// `text` filled with spaces on the left to `width` columns.
pub fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings, in columns as wide as their widest cell, two spaces apart.
pub fn table(headings: &[(&str, Align)], rows: &[Vec<(Paint, String)>]) -> Vec<Line> {
    let cell_width =
        |row: &[(Paint, String)], column: usize| row.get(column).map_or(0, |(_, text)| text.width());
    let rows: Vec<Vec<(Paint, String)>> = rows.iter().map(|row| safe(row)).collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let widest = rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0);
            widest.max(headings[column].0.width())
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = (Paint, String)>| {
        let mut line = Line::new();
        for (column, (paint, text)) in cells.enumerate() {
            let text = match headings[column].1 {
                Align::Left => left(&text, widths[column]),
                Align::Right => right(&text, widths[column]),
            };
            let gap = if column == 0 { "" } else { "  " };
            line = line.text(gap).add(paint, text);
        }
        line
    };
    let heading = line(&mut headings.iter().map(|(name, _)| (Paint::Faint, (*name).to_owned())));
    let body = rows.iter().map(|row| line(&mut row.iter().cloned()));
    std::iter::once(heading).chain(body).collect()
}

fn safe(row: &[(Paint, String)]) -> Vec<(Paint, String)> {
    row.iter().map(|(paint, text)| (*paint, escape::plain(text).into_owned())).collect()
}

/// Every line as it is printed, each ended by a line break.
pub fn print(lines: &[Line], width: usize, colour: bool) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{}", line.render(width, colour)).expect("a string takes all");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_off_where_it_is_not_wanted() {
        assert!(ColorWhen::Auto.on(true, None, Some("xterm")));
        assert!(ColorWhen::Auto.on(true, Some(""), None));
        assert!(!ColorWhen::Auto.on(true, Some("1"), Some("xterm")));
        assert!(!ColorWhen::Auto.on(true, None, Some("dumb")));
        assert!(!ColorWhen::Auto.on(false, None, Some("xterm")));
        assert!(ColorWhen::Always.on(false, Some("1"), Some("dumb")));
        assert!(!ColorWhen::Never.on(true, None, None));
    }

    #[test]
    fn a_line_is_cut_by_columns_and_its_colours_stay_whole() {
        let line = Line::new().add(Paint::Good, "ok 12").text(" ").add(Paint::Bad, "东京东京");
        assert_eq!(line.width(), 14);
        assert_eq!(line.render(14, false), "ok 12 东京东京");
        assert_eq!(line.render(11, false), "ok 12 东京…");
        assert_eq!(line.render(10, false), "ok 12 东…");
        assert_eq!(line.render(4, true), "\x1b[32mok \x1b[0m…");
        assert_eq!(line.render(0, false), "");
    }

    #[test]
    fn what_users_send_cannot_colour_or_break_a_line() {
        let line = Line::new().text("id\u{1b}[31m\n");
        assert_eq!(line.render(80, true), "id\\x1b[31m\\n");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec![(Paint::Name, "日本".to_owned()), (Paint::Plain, "1,000".to_owned())],
            vec![(Paint::Name, "a".to_owned()), (Paint::Plain, "7".to_owned())],
        ];
        let lines = table(&[("NAME", Align::Left), ("DONE", Align::Right)], &rows);
        assert_eq!(print(&lines, 80, false), "NAME   DONE\n日本  1,000\na         7\n");
    }
}
