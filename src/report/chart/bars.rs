//! One number a row, as bars from the left.
//!
//! Pure.

use super::letters::{Weight, fit, width as text_width};
use super::pen::{Anchor, Ink, Look, Pen};
use super::{Chart, GAP, SLACK};

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// What it says at its end.
    pub shown: String,
    /// What it says under the mouse, beside that.
    pub tip: String,
}

const ROW: f32 = 30.0;
/// More rows than this are added up in words below.
const MOST: usize = 12;

/// These rows, as they come; `class` is the colour.
pub fn bars(title: &str, rows: &[Bar], class: &str, width: f32, ink: Ink) -> Option<Chart> {
    let most = rows.iter().map(|bar| bar.value).fold(0.0, f64::max);
    if rows.is_empty() || !most.is_finite() {
        return None;
    }
    let shown = &rows[..rows.len().min(MOST)];
    let widest = |texts: &mut dyn Iterator<Item = &str>, weight| {
        texts.map(|text| text_width(text, 12.5, weight) * SLACK).fold(0.0, f32::max)
    };
    let left = widest(&mut shown.iter().map(|bar| bar.name.as_str()), Weight::Regular).min(width * 0.4) + GAP;
    let right = widest(&mut shown.iter().map(|bar| bar.shown.as_str()), Weight::Bold) + GAP;
    let room = (width - left - right).max(20.0);
    let mut pen = Pen::new(ink);
    for (row, bar) in shown.iter().enumerate() {
        let y = row as f32 * ROW;
        let name = fit(&bar.name, 12.5, Weight::Regular, left - GAP + 0.5);
        let share = if most > 0.0 { (bar.value.max(0.0) / most) as f32 } else { 0.0 };
        let length = (room * share).max(2.0);
        pen.text(Look::LABEL, (left - GAP, y + 19.5), Anchor::End, &name);
        pen.rect("track", [left, y + 6.0, room, 18.0], 3.0, "");
        pen.rect(
            class,
            [left, y + 6.0, length, 18.0],
            3.0,
            &format!("{}: {} {}", bar.name, bar.shown, bar.tip),
        );
        pen.text(Look::VALUE, (left + room + 8.0, y + 19.5), Anchor::Start, &bar.shown);
    }
    let mut height = shown.len() as f32 * ROW;
    if rows.len() > MOST {
        let more = format!("and {} more", rows.len() - MOST);
        pen.text(Look::MUTED, (left, height + 14.0), Anchor::Start, &more);
        height += 22.0;
    }
    let says: Vec<String> = shown.iter().map(|bar| format!("{} {}", bar.name, bar.shown)).collect();
    Some(Chart { title: title.to_owned(), says: says.join("; "), width, height, drawn: pen.done() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_hold_any_name_and_no_number_breaks_them() {
        let bar = |name: &str, value| Bar { name: name.into(), value, shown: "$1".into(), ..Bar::default() };
        let rows = [bar("<script>alert(1)</script>", 3.0), bar("b", 0.0), bar(&"long".repeat(90), -1.0)];
        let svg = bars("cost", &rows, "s1", 500.0, Ink::Text).unwrap().svg();
        assert!(!svg.contains("<script") && !svg.contains("NaN") && svg.contains("&lt;script&gt;"));
        assert_eq!(bars("cost", &[], "s1", 500.0, Ink::Text), None);
        assert_eq!(bars("cost", &[bar("a", f64::INFINITY)], "s1", 500.0, Ink::Text), None);
        let many = vec![bar("a", 1.0); 40];
        assert!(bars("cost", &many, "s1", 500.0, Ink::Text).unwrap().svg().contains("and 28 more"));
    }
}
