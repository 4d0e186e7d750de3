//! How long answers took: the median, the 95th and the 99th percentile of each row, on one axis.
//!
//! The axis counts by factors, because the slowest answers of one model are often a hundred times
//! slower than the usual ones of another.
//!
//! Pure.

use super::letters::{Weight, fit, width as text_width};
use super::pen::{Anchor, Ink, Look, Pen};
use super::scale::decades;
use super::{Chart, GAP, SLACK};
use crate::report::text;

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// What it is.
    pub name: String,
    /// Median, 95th and 99th percentile, in milliseconds.
    pub ms: [u64; 3],
}

const ROW: f32 = 34.0;
const FOOT: f32 = 26.0;
const TOP: f32 = 26.0;
/// More rows are left out, and said to be.
const MOST: usize = 12;
const CLASSES: [&str; 3] = ["s1", "s2", "bad"];

/// These rows, as they come.
pub fn latency(rows: &[Spread], width: f32, ink: Ink) -> Option<Chart> {
    let shown = &rows[..rows.len().min(MOST)];
    let all = || shown.iter().flat_map(|row| row.ms).map(|ms| ms.max(1) as f64);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    if shown.is_empty() {
        return None;
    }
    let marks = decades(least, most);
    let (from, to) = (marks.first()?.ln(), marks.last()?.ln());
    let names = shown.iter().map(|row| text_width(&row.name, 12.5, Weight::Regular) * SLACK);
    let left = names.fold(0.0, f32::max).min(width * 0.4) + GAP + 6.0;
    let room = width - left - 24.0;
    let x_of = |ms: f64| left + room * ((ms.ln() - from) / (to - from)) as f32;
    let foot = TOP + shown.len() as f32 * ROW;
    let mut pen = Pen::new(ink);
    legend(&mut pen, left);
    // Only as many marks as have room for their names.
    let every = (marks.len() as f32 * 46.0 / room).ceil().max(1.0) as usize;
    for mark in marks.iter().step_by(every) {
        pen.line("g", (x_of(*mark), TOP), (x_of(*mark), foot));
        let name = text::latency(mark.round() as u64).replace(".0s", "s");
        pen.text(Look::MUTED, (x_of(*mark), foot + 17.0), Anchor::Middle, &name);
    }
    for (row, spread) in shown.iter().enumerate() {
        let y = TOP + row as f32 * ROW + ROW / 2.0;
        let name = fit(&spread.name, 12.5, Weight::Regular, left - GAP - 5.5);
        pen.text(Look::LABEL, (left - GAP - 6.0, y + 4.5), Anchor::End, &name);
        let xs = spread.ms.map(|ms| x_of(ms.max(1) as f64));
        pen.line("span", (xs[0], y), (xs[2], y));
        for (index, word) in ["p99", "p95", "median"].iter().enumerate() {
            let at = 2 - index;
            let tip = format!("{}: {word} {}", spread.name, text::latency(spread.ms[at]));
            pen.dot(CLASSES[at], xs[at], y, 6.0, &tip);
        }
    }
    let said = shown.iter().map(|row| {
        let [p50, p95, p99] = row.ms.map(text::latency);
        format!("{} median {p50}, p95 {p95}, p99 {p99}", row.name)
    });
    let mut says: Vec<String> = said.collect();
    if rows.len() > MOST {
        says.push(format!("and {} more", rows.len() - MOST));
    }
    let title = "Latency of answers".to_owned();
    Some(Chart { title, says: says.join("; "), width, height: foot + FOOT, drawn: pen.done() })
}

fn legend(pen: &mut Pen, left: f32) {
    let mut x = left;
    for (class, word) in CLASSES.iter().zip(["median", "p95", "p99"]) {
        pen.dot(class, x + 5.0, 10.0, 5.0, "");
        pen.text(Look::MUTED, (x + 15.0, 14.0), Anchor::Start, word);
        x += 15.0 + text_width(word, 11.5, Weight::Regular) + 18.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_lies_in_order_and_equal_ones_on_one_spot() {
        let row = |name: &str, ms| Spread { name: name.into(), ms };
        let svg =
            latency(&[row("a", [331, 709, 1_200]), row("b", [0, 0, 0])], 600.0, Ink::Text).unwrap().svg();
        let xs: Vec<f32> = svg
            .split("cx=\"")
            .skip(4)
            .take(3)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(xs[0] > xs[1] && xs[1] > xs[2], "{xs:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(latency(&[], 600.0, Ink::Text), None);
        assert!(latency(&[row("one", [1_000; 3])], 600.0, Ink::Text).is_some());
    }
}
