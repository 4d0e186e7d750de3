//! From what it would have cost to what was paid: one bar a lever, each beginning where the last ended.
//!
//! Pure.

use super::letters::{Weight, fit, width as text_width};
use super::pen::{Anchor, Ink, Look, Pen};
use super::{Chart, GAP, SLACK};
use crate::money::Usd;

const ROW: f32 = 34.0;

/// `from` less every step is what was paid; a step that saved nothing is left out.
pub fn levers(from: (&str, i64), steps: &[(&str, i64)], width: f32, ink: Ink) -> Option<Chart> {
    let usd = |nano: i64| Usd::from_pico(i128::from(nano) * 1_000);
    let (first, whole) = from;
    let steps: Vec<&(&str, i64)> = steps.iter().filter(|(_, saved)| *saved != 0).collect();
    if whole <= 0 || steps.is_empty() {
        return None;
    }
    let mut rows: Vec<(String, &str, [i64; 2], String)> =
        vec![(first.to_owned(), "s6", [0, whole], usd(whole).to_string())];
    let mut at = whole;
    for &&(name, saved) in &steps {
        let class = if saved > 0 { "s3" } else { "s2" };
        let sign = if saved > 0 { "−" } else { "+" };
        rows.push((
            name.to_owned(),
            class,
            [at.min(at - saved), at.max(at - saved)],
            format!("{sign}{}", usd(saved.abs())),
        ));
        at -= saved;
    }
    rows.push(("paid".to_owned(), "s1", [0, at], usd(at).to_string()));
    let most = rows.iter().map(|(_, _, [_, end], _)| *end).max().unwrap_or(whole).max(1) as f32;
    let names = rows.iter().map(|(name, ..)| text_width(name, 12.5, Weight::Regular) * SLACK);
    let left = names.fold(0.0, f32::max).min(width * 0.42) + GAP;
    let right =
        rows.iter().map(|row| text_width(&row.3, 12.5, Weight::Bold) * SLACK).fold(0.0, f32::max) + GAP;
    let room = (width - left - right).max(20.0);
    let x_of = |nano: i64| left + room * nano.max(0) as f32 / most;
    let mut pen = Pen::new(ink);
    for (row, (name, class, [start, end], shown)) in rows.iter().enumerate() {
        let y = row as f32 * ROW;
        pen.text(
            Look::LABEL,
            (left - GAP, y + 21.5),
            Anchor::End,
            &fit(name, 12.5, Weight::Regular, left - GAP + 0.5),
        );
        let (x, to) = (x_of(*start), x_of(*end));
        pen.rect(class, [x, y + 6.0, (to - x).max(2.0), 22.0], 3.0, &format!("{name}: {shown}"));
        pen.text(Look::VALUE, (to.max(x + 2.0) + 8.0, y + 21.5), Anchor::Start, shown);
        if row + 1 < rows.len() {
            // What is left after this row is where the next one hangs.
            let x = if row == 0 || *class == "s2" { to } else { x };
            pen.line("a", (x, y + 28.0), (x, y + ROW + 6.0));
        }
    }
    let says: Vec<String> = rows.iter().map(|(name, _, _, shown)| format!("{name} {shown}")).collect();
    let height = rows.len() as f32 * ROW;
    let title = "What it saved, by lever".to_owned();
    Some(Chart { title, says: says.join("; "), width, height, drawn: pen.done() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bar_is_what_is_left_and_a_loss_is_said_to_be_one() {
        let chart = levers(
            ("strong alone", 10_000_000_000),
            &[("cheap first", 7_000_000_000), ("windows", 0), ("lanes", -1_000_000_000)],
            600.0,
            Ink::Text,
        );
        let says = chart.unwrap().says;
        assert_eq!(says, "strong alone $10.00; cheap first −$7.00; lanes +$1.00; paid $4.00");
        assert_eq!(levers(("strong alone", 0), &[("cheap first", 0)], 600.0, Ink::Text), None);
    }
}
