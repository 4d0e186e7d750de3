//! Round numbers along an axis.
//!
//! Pure.

/// From 0 to the first round number that holds `most`, in at most `parts` round steps.
pub(super) fn ticks(most: f64, parts: usize) -> Vec<f64> {
    if !(most > 0.0 && most.is_finite()) {
        return vec![0.0, 1.0];
    }
    let rough = most / parts.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough * 0.999_999);
    let step = step.unwrap_or(power * 10.0);
    let n = (most / step * 0.999_999).ceil().max(1.0) as usize;
    (0..=n).map(|i| i as f64 * step).collect()
}

/// 1, 2 and 5 of every power of ten from at most `least` to at least `most`.
pub(super) fn decades(least: f64, most: f64) -> Vec<f64> {
    let least = least.max(1e-9);
    let most = most.max(least);
    let mut marks = Vec::new();
    let first = least.log10().floor() as i32;
    for power in first..first + 12 {
        for digit in [1.0, 2.0, 5.0] {
            let mark = digit * 10f64.powi(power);
            if mark <= least * 1.000_001 {
                marks.clear();
            }
            marks.push(mark);
            if mark >= most * 0.999_999 && marks.len() > 1 {
                return marks;
            }
        }
    }
    marks
}

/// As an axis says it: `$0`, `$2.50`, `$0.0005`.
pub(super) fn dollars(amount: f64) -> String {
    if amount == 0.0 {
        return "$0".to_owned();
    }
    let decimals = if amount >= 10.0 { 0 } else { (1.0 - amount.log10().floor()).clamp(0.0, 9.0) as usize };
    let shown = format!("{amount:.decimals$}");
    let shown = match shown.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole.to_owned(),
        // Cents come in twos, smaller amounts without idle noughts.
        Some((whole, fraction)) if fraction.len() > 2 => {
            let fraction = fraction.trim_end_matches('0');
            format!("{whole}.{fraction:0<2}")
        }
        Some((whole, fraction)) => format!("{whole}.{fraction:0<2}"),
        None => shown,
    };
    format!("${shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_steps_and_holds_everything() {
        assert_eq!(ticks(4.17, 4), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(ticks(100.0, 4), [0.0, 25.0, 50.0, 75.0, 100.0]);
        assert_eq!(ticks(0.0, 4), [0.0, 1.0]);
        assert_eq!(ticks(f64::NAN, 4), [0.0, 1.0]);
        for most in [0.000_003, 0.7, 3.0, 9.99, 12_345.0] {
            let ticks = ticks(most, 4);
            assert!(*ticks.last().unwrap() >= most && ticks.len() <= 6, "{most}: {ticks:?}");
        }
    }

    #[test]
    fn decades_enclose_what_is_shown() {
        assert_eq!(decades(331.0, 3_500.0), [200.0, 500.0, 1_000.0, 2_000.0, 5_000.0]);
        assert_eq!(decades(1_000.0, 1_000.0), [1_000.0, 2_000.0]);
    }

    #[test]
    fn money_on_an_axis_is_short() {
        for (amount, shown) in [
            (0.0, "$0"),
            (2.0, "$2"),
            (2.5, "$2.50"),
            (40.0, "$40"),
            (0.0005, "$0.0005"),
            (0.02, "$0.02"),
            (0.5, "$0.50"),
        ] {
            assert_eq!(dollars(amount), shown, "{amount}");
        }
    }
}
