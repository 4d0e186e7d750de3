//! How much longer an answer that was cut off may become.
//!
//! Pure.

use crate::catalog::Route;
use crate::job::Item;

/// A cut-off answer is given this many times the room it had.
const FACTOR: u64 = 4;

/// The output limit, for each choice, with which a cut-off answer is asked for again; `None` where the
/// request had no limit, or the model is not known to allow a larger one.
pub fn larger(route: &Route, item: &Item) -> Option<u32> {
    let had = u64::from(item.max_output? / u32::from(item.choices.max(1)));
    let window = route.context.map_or(u64::MAX, |context| context.saturating_sub(item.input_tokens.into()));
    let larger = (had * FACTOR).min(route.max_output?).min(window);
    u32::try_from(larger).ok().filter(|&larger| u64::from(larger) > had)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{item, route};

    #[test]
    fn the_limit_grows_fourfold_up_to_what_model_and_window_allow() {
        let limit = |max_output, context, asked, choices| {
            let route = Route { max_output, context, ..route("a/m", 1) };
            larger(&route, &Item { max_output: asked, choices, input_tokens: 10, ..item(0) })
        };
        assert_eq!(limit(Some(1_000), None, Some(100), 1), Some(400));
        assert_eq!(limit(Some(1_000), None, Some(200), 2), Some(400));
        assert_eq!(limit(Some(1_000), None, Some(900), 1), Some(1_000));
        assert_eq!(limit(Some(1_000), Some(510), Some(400), 1), Some(500));
        assert_eq!(limit(Some(1_000), None, Some(1_000), 1), None);
        assert_eq!(limit(Some(1_000), Some(110), Some(100), 1), None);
        assert_eq!(limit(None, None, Some(100), 1), None);
        assert_eq!(limit(Some(1_000), None, None, 1), None);
        assert_eq!(limit(Some(u64::MAX), None, Some(u32::MAX), 1), None);
    }
}
