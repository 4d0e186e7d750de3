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

/// A mark as an axis of such steps says it: `$0`, `$2.50`, `$0.015`; all marks have as many decimals.
pub(super) fn dollars(mark: f64, step: f64) -> String {
    if mark == 0.0 {
        return "$0".to_owned();
    }
    // The fewest decimals in which the step is exact, for money at least two or none.
    let is_exact = |decimals: &i32| {
        let scaled = step * 10f64.powi(*decimals);
        (scaled - scaled.round()).abs() < 1e-6
    };
    let decimals = (0..12).find(is_exact).unwrap_or(12);
    let decimals = if decimals == 0 { 0 } else { decimals.max(2) as usize };
    format!("${mark:.decimals$}")
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
    fn money_on_an_axis_is_short_and_even() {
        for (mark, step, shown) in [
            (0.0, 0.5, "$0"),
            (2.0, 1.0, "$2"),
            (2.5, 2.5, "$2.50"),
            (5.0, 2.5, "$5.00"),
            (0.02, 0.005, "$0.020"),
            (0.0005, 0.0005, "$0.0005"),
            (4_000.0, 2_000.0, "$4000"),
        ] {
            assert_eq!(dollars(mark, step), shown, "{mark}");
        }
    }
}
