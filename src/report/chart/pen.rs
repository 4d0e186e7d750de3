//! [`Pen`]: writes the few shapes that charts are made of.
//!
//! Colours are class names, given by a style sheet that knows whether it is day or night; all text
//! passes [`escape`], so that nothing of a tag or a model's name is ever markup.
//!
//! Pure.

use std::fmt::Write as _;

use super::letters::{self, Weight};

/// How text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// As text, which can be read aloud, searched and copied.
    #[default]
    Text,
    /// As outlines, for a picture that needs no fonts.
    Outlines,
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A look of text: its class, size and weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    class: &'static str,
    pub(super) size: f32,
    pub(super) weight: Weight,
}

impl Look {
    /// As large as fits, for a number that must not be cut.
    pub(super) fn fitting(self, text: &str, most: f32) -> Look {
        let width = letters::width(text, self.size, self.weight);
        Look { size: if width > most { self.size * most / width } else { self.size }, ..self }
    }

    /// Labels of things.
    pub(super) const LABEL: Look = Look { class: "t", size: 12.5, weight: Weight::Regular };
    /// Values of things.
    pub(super) const VALUE: Look = Look { class: "t", size: 12.5, weight: Weight::Bold };
    /// Ticks and remarks.
    pub(super) const MUTED: Look = Look { class: "m", size: 11.5, weight: Weight::Regular };
    /// Above a chart.
    pub(super) const TITLE: Look = Look { class: "t", size: 15.0, weight: Weight::Bold };
    /// The number of a tile.
    pub(super) const BIG: Look = Look { class: "t", size: 27.0, weight: Weight::Bold };
    /// The number of a tile that is good news.
    pub(super) const GOOD: Look = Look { class: "s3", ..Look::BIG };
    /// The name of a picture.
    pub(super) const HEAD: Look = Look { class: "t", size: 26.0, weight: Weight::Bold };
}

/// Shapes written so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Pen {
    ink: Ink,
    out: String,
}

impl Pen {
    pub(super) fn new(ink: Ink) -> Pen {
        Pen { ink, out: String::new() }
    }

    pub(super) fn done(self) -> String {
        self.out
    }

    /// What is already drawn, at a place.
    pub(super) fn place(&mut self, x: f32, y: f32, drawn: &str) {
        self.write(format_args!("<g transform=\"translate({x:.1} {y:.1})\">{drawn}</g>"));
    }

    /// A filled rectangle; `tip` is shown under the mouse.
    pub(super) fn rect(&mut self, class: &str, [x, y, width, height]: [f32; 4], radius: f32, tip: &str) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        let radius = radius.min(width / 2.0).min(height / 2.0);
        self.write(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius:.1}\""
        ));
        self.close("rect", tip);
    }

    /// A filled circle.
    pub(super) fn dot(&mut self, class: &str, x: f32, y: f32, radius: f32, tip: &str) {
        self.write(format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\""));
        self.close("circle", tip);
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, from: (f32, f32), to: (f32, f32)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.write(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A text on its baseline.
    pub(super) fn text(&mut self, look: Look, (x, y): (f32, f32), anchor: Anchor, text: &str) {
        let Look { class, size, weight } = look;
        let plain = crate::escape::plain(text);
        if self.ink == Ink::Outlines {
            let width = letters::width(&plain, size, weight);
            let x = match anchor {
                Anchor::Start => x,
                Anchor::Middle => x - width / 2.0,
                Anchor::End => x - width,
            };
            let path = letters::outlines(&plain, x, y, size, weight);
            return self.write(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if weight == Weight::Bold { " font-weight=\"600\"" } else { "" };
        let text = escape(text);
        self.write(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{weight}>{text}</text>"
        ));
    }

    fn close(&mut self, name: &str, tip: &str) {
        match tip.is_empty() || self.ink == Ink::Outlines {
            true => self.out.push_str("/>"),
            false => self.write(format_args!("><title>{}</title></{name}>", escape(tip))),
        }
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        self.out.write_fmt(what).expect("a string takes all");
    }
}

/// Other people's words as text of a document: on one line, nothing obeyed, nothing markup.
pub fn escape(text: &str) -> String {
    markup(&crate::escape::plain(text))
}

/// [`escape`] for text that keeps its lines.
pub fn escape_block(text: &str) -> String {
    markup(&crate::escape::block(text))
}

fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Not characters, so not XML either.
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        for (text, safe) in [
            ("<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
            ("a&amp;\"b\"", "a&amp;amp;&quot;b&quot;"),
            ("\u{1b}[2J\u{202e}\u{ffff}", "\\x1b[2J\\u{202e}\u{fffd}"),
        ] {
            assert_eq!(escape(text), safe);
        }
        assert_eq!(escape_block("<a>\n\tb"), "&lt;a&gt;\n\tb");
    }
}
