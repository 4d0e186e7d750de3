//! Text as outlines, and how wide it is, in the fonts that come with the program.
//!
//! A picture has to look the same on a server without fonts, and every number on it has to fit; so the
//! letters are ours: subsets of Inter with Latin, Greek and Cyrillic. A character they lack is drawn as
//! a box. In HTML the reader's own fonts are used, and these only tell widths.
//!
//! Pure.

use std::fmt::Write as _;
use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static REGULAR: LazyLock<Face<'static>> = LazyLock::new(|| parse(include_bytes!("font/Inter-Regular.otf")));
static BOLD: LazyLock<Face<'static>> = LazyLock::new(|| parse(include_bytes!("font/Inter-SemiBold.otf")));

fn parse(font: &'static [u8]) -> Face<'static> {
    Face::parse(font, 0).expect("the tests have read the bundled fonts")
}

/// How heavy letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// For all but the following.
    Regular,
    /// For titles and numbers that matter.
    Bold,
}

impl Weight {
    fn face(self) -> &'static Face<'static> {
        match self {
            Weight::Regular => &REGULAR,
            Weight::Bold => &BOLD,
        }
    }
}

/// How wide a text is at a size.
pub(super) fn width(text: &str, size: f32, weight: Weight) -> f32 {
    let face = weight.face();
    let units: u32 = text.chars().map(|c| advance(face, glyph(face, c))).sum();
    units as f32 * size / f32::from(face.units_per_em())
}

/// The text, cut with `…` so that it is at most this wide.
pub(super) fn fit(text: &str, size: f32, weight: Weight, most: f32) -> String {
    if width(text, size, weight) <= most {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() {
        let cut = format!("{}…", kept.trim_end());
        if width(&cut, size, weight) <= most {
            return cut;
        }
    }
    String::new()
}

/// The text in at most this many lines, broken between words; what does not fit ends in `…`.
pub(super) fn wrap(text: &str, size: f32, weight: Weight, most: f32, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let longer = wrapped.last().map(|line| format!("{line} {word}"));
        match longer {
            Some(longer) if wrapped.len() >= lines || width(&longer, size, weight) <= most => {
                wrapped.pop();
                wrapped.push(longer);
            }
            _ => wrapped.push(word.to_owned()),
        }
    }
    wrapped.iter().map(|line| fit(line, size, weight, most)).collect()
}

/// The text as the data of an SVG path, its baseline beginning at `x`, `y`.
pub(super) fn outlines(text: &str, x: f32, y: f32, size: f32, weight: Weight) -> String {
    let face = weight.face();
    let scale = size / f32::from(face.units_per_em());
    let mut path = Path { data: String::new(), x, y, scale };
    for c in text.chars() {
        let glyph = glyph(face, c);
        face.outline_glyph(glyph, &mut path);
        path.x += advance(face, glyph) as f32 * scale;
    }
    path.data
}

fn glyph(face: &Face<'_>, c: char) -> GlyphId {
    let known = [c, '□'].into_iter().find_map(|c| face.glyph_index(c));
    known.unwrap_or_default()
}

fn advance(face: &Face<'_>, glyph: GlyphId) -> u32 {
    u32::from(face.glyph_hor_advance(glyph).unwrap_or(0))
}

/// A path being drawn at a place; fonts count upwards, pictures downwards.
struct Path {
    data: String,
    x: f32,
    y: f32,
    scale: f32,
}

impl Path {
    fn step(&mut self, command: char, points: &[(f32, f32)]) {
        self.data.push(command);
        for (x, y) in points {
            let (x, y) = (self.x + x * self.scale, self.y - y * self.scale);
            write!(self.data, "{x:.2} {y:.2} ").expect("a string takes all");
        }
    }
}

impl OutlineBuilder for Path {
    fn move_to(&mut self, x: f32, y: f32) {
        self.step('M', &[(x, y)]);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.step('L', &[(x, y)]);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.step('Q', &[(x1, y1), (x, y)]);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.step('C', &[(x1, y1), (x2, y2), (x, y)]);
    }

    fn close(&mut self) {
        self.data.push('Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_we_print_is_in_both_fonts() {
        let printed = "azAZ09$%.,:·…–—−×→≈/()[]{}<>&\"'_#äßéœžАяΩ";
        for weight in [Weight::Regular, Weight::Bold] {
            for c in printed.chars() {
                assert!(weight.face().glyph_index(c).is_some(), "{c:?} {weight:?}");
            }
        }
    }

    #[test]
    fn text_is_cut_to_fit_and_never_wider() {
        let name = "openrouter/meta-llama/llama-3.3-70b-instruct";
        let cut = fit(name, 12.0, Weight::Regular, 120.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0, Weight::Regular) <= 120.0, "{cut}");
        assert_eq!(fit("short", 12.0, Weight::Regular, 120.0), "short");
        assert_eq!(fit("no room", 12.0, Weight::Regular, 1.0), "");
    }

    #[test]
    fn text_is_broken_between_words_and_loses_none_that_fit() {
        let wrap = |most| wrap("failures and escalations included", 11.5, Weight::Regular, most, 2);
        assert_eq!(wrap(120.0), ["failures and", "escalations included"]);
        assert_eq!(wrap(900.0), ["failures and escalations included"]);
        let short = wrap(70.0);
        assert!(short.len() == 2 && short[1].ends_with('…'), "{short:?}");
    }

    #[test]
    fn letters_without_a_shape_are_boxes() {
        assert_eq!(
            outlines("東", 0.0, 0.0, 10.0, Weight::Regular),
            outlines("□", 0.0, 0.0, 10.0, Weight::Regular)
        );
        assert!(outlines(" ", 0.0, 0.0, 10.0, Weight::Regular).is_empty());
    }
}
