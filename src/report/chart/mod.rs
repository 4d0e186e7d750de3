//! Charts as pure functions: rows in, one SVG drawing out.
//!
//! A [`Chart`] names its colours by class and nothing else, so the same drawing stands in a page that is
//! light by day and dark by night, in a dashboard, and in a picture. It can be written with text, or with
//! outlines where there are no fonts ([`Ink`]). A chart that has nothing to show is `None`.
//!
//! | file | shows |
//! |---|---|
//! | [`hours`] | spend over time, by price window |
//! | [`bars`] | one number a row |
//! | [`latency`] | median, 95th and 99th percentile a row |
//! | [`levers`] | from one sum to a smaller one, step by step |
//! | [`board`] | several of them on one drawing |
//! | [`picture`] | any of them as a PNG |
//!
//! Pure.

pub mod bars;
pub mod board;
pub mod hours;
pub mod latency;
mod letters;
pub mod levers;
mod pen;
pub mod picture;
mod scale;

pub use pen::{Ink, escape, escape_block};

/// Colours by day.
pub const LIGHT: &str = include_str!("light.css");
/// Colours by night.
pub const DARK: &str = include_str!("dark.css");

/// Between the name of a row and its bar.
const GAP: f32 = 12.0;
/// Where text is text, a reader's font may be wider than ours.
const SLACK: f32 = 1.09;

/// A drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What it says, for whoever cannot see it.
    pub says: String,
    /// In pixels.
    pub width: f32,
    /// In pixels.
    pub height: f32,
    drawn: String,
}

impl Chart {
    /// As an element of an HTML page.
    pub fn svg(&self) -> String {
        let Chart { width, height, drawn, .. } = self;
        let label = escape(&format!("{}: {}", self.title, self.says));
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{label}\">{drawn}</svg>"
        )
    }

    /// As a file of its own, in the colours of the day.
    pub fn document(&self) -> String {
        let Chart { width, height, drawn, .. } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\"><style>{LIGHT}</style>\
             <rect class=\"paper\" width=\"100%\" height=\"100%\"/>{drawn}</svg>"
        )
    }
}

/// The colour of a price window: cheap hours are green, dear ones amber, others in turn.
fn window_class(window: &str, turn: usize) -> &'static str {
    match window {
        name if name.contains("off") => "s3",
        name if name.contains("peak") => "s2",
        "flat" | "standard" => "s1",
        _ => ["s5", "s4", "s6"][turn % 3],
    }
}
