//! [`Board`]: charts on cards, row by row, as one drawing.
//!
//! Pure.

use super::Chart;
use super::letters::{fit, wrap};
use super::pen::{Anchor, Ink, Look, Pen};

const MARGIN: f32 = 40.0;
const GAP: f32 = 16.0;
const PAD: f32 = 20.0;
/// Room for the name of a chart above it.
const TITLE: f32 = 34.0;

/// A drawing that grows downwards.
pub struct Board {
    pen: Pen,
    width: f32,
    y: f32,
}

impl Board {
    /// An empty one of this width.
    pub fn new(width: f32, ink: Ink) -> Board {
        Board { pen: Pen::new(ink), width, y: MARGIN }
    }

    /// What it is of.
    pub fn head(&mut self, title: &str, below: &str) {
        let most = self.width - 2.0 * MARGIN;
        let title = fit(&crate::escape::plain(title), Look::HEAD.size, Look::HEAD.weight, most);
        let below = fit(&crate::escape::plain(below), Look::LABEL.size, Look::LABEL.weight, most);
        self.pen.text(Look::HEAD, (MARGIN, self.y + 22.0), Anchor::Start, &title);
        self.pen.text(Look::MUTED, (MARGIN, self.y + 48.0), Anchor::Start, &below);
        self.y += 68.0;
    }

    /// Numbers in a row: name, number, remark, and whether it is good news.
    pub fn tiles(&mut self, tiles: &[([&str; 3], bool)]) {
        const HEIGHT: f32 = 118.0;
        let width = self.share(tiles.len().max(1));
        for (index, ([name, value, note], is_good)) in tiles.iter().enumerate() {
            let (x, most) = (MARGIN + index as f32 * (width + GAP) + 14.0, width - 28.0);
            let [name, value, note] = [name, value, note].map(|text| crate::escape::plain(text));
            let big = if *is_good { Look::GOOD } else { Look::BIG }.fitting(&value, most);
            self.pen.rect("card", [x - 14.0, self.y, width, HEIGHT], 12.0, "");
            self.pen.text(Look::MUTED, (x, self.y + 26.0), Anchor::Start, &name);
            self.pen.text(big, (x, self.y + 60.0), Anchor::Start, &value);
            let lines = wrap(&note, Look::MUTED.size, Look::MUTED.weight, most, 2);
            for (line, y) in lines.iter().zip([84.0, 101.0]) {
                self.pen.text(Look::MUTED, (x, self.y + y), Anchor::Start, line);
            }
        }
        self.y += HEIGHT + GAP;
    }

    /// Charts side by side; those that are not there leave their room to the others.
    pub fn row(&mut self, charts: &[Option<&Chart>]) {
        let charts: Vec<&Chart> = charts.iter().copied().flatten().collect();
        let Some(height) = charts.iter().map(|chart| chart.height).reduce(f32::max) else { return };
        let width = self.share(charts.len());
        let height = height + TITLE + 2.0 * PAD;
        for (index, chart) in charts.iter().enumerate() {
            let x = MARGIN + index as f32 * (width + GAP);
            self.pen.rect("card", [x, self.y, width, height], 12.0, "");
            let title = fit(
                &crate::escape::plain(&chart.title),
                Look::TITLE.size,
                Look::TITLE.weight,
                width - 2.0 * PAD,
            );
            self.pen.text(Look::TITLE, (x + PAD, self.y + PAD + 12.0), Anchor::Start, &title);
            self.pen.place(x + PAD, self.y + PAD + TITLE, &chart.drawn);
        }
        self.y += height + GAP;
    }

    /// The whole drawing.
    pub fn done(self, title: &str, says: &str) -> Chart {
        Chart {
            title: title.to_owned(),
            says: says.to_owned(),
            width: self.width,
            height: self.y - GAP + MARGIN,
            drawn: self.pen.done(),
        }
    }

    fn share(&self, n: usize) -> f32 {
        let gaps = GAP * (n - 1) as f32;
        (self.width - 2.0 * MARGIN - gaps) / n as f32
    }
}
