//! Names people mistype: the nearest known one. Names that providers vary: the same model.
//!
//! Pure.

use chrono::NaiveDate;

/// The known name nearest to `wrong`, where one is near enough to be meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = plain(wrong);
    let scored = known.into_iter().map(|name| (distance(&plain, name), name));
    let (distance, name) = scored.min()?;
    // A third of the letters: `priorty` is meant to be `priority`, `foo` is not meant to be `rpm`.
    (distance <= (plain.chars().count() / 3).max(1)).then_some(name)
}

/// ` (did you mean X?)`, or nothing.
pub fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// Whether two names are of one model, maker and date aside: `gpt-4o-mini-2024-07-18` and
/// `openai/gpt-4o-mini` are.
pub fn is_same_model(one: &str, other: &str) -> bool {
    one == other || family(one).eq_ignore_ascii_case(family(other))
}

/// A model's name without maker and date.
fn family(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or_default();
    let undated = |digits: &[usize]| {
        let mut rest = name;
        for &n in digits.iter().rev() {
            let (before, last) = rest.rsplit_once('-')?;
            rest = (last.len() == n && last.bytes().all(|b| b.is_ascii_digit())).then_some(before)?;
        }
        Some(rest)
    };
    let dates: [&[usize]; 6] = [&[4, 2, 2], &[8], &[7], &[6], &[5], &[4]];
    let latest = name.strip_suffix("-latest");
    if !name.ends_with(|c: char| c.is_ascii_digit()) {
        return latest.unwrap_or(name);
    }
    latest.or_else(|| dates.iter().find_map(|digits| undated(digits))).unwrap_or(name)
}

/// The name of which `name` is a dated snapshot: `gpt-5-mini-2025-08-07`, `claude-haiku-4-5-20251001`,
/// `claude-sonnet-4-5@20250929`; `None` where it bears no date.
pub fn without_date(name: &str) -> Option<&str> {
    let dated = |format: &str, digits: usize| {
        let at = name.len().checked_sub(digits + 1)?;
        let (stem, end) = (name.get(..at)?, name.get(at..)?);
        let date = end.strip_prefix(['-', '@'])?;
        let whole = date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        (whole && !stem.is_empty() && NaiveDate::parse_from_str(date, format).is_ok()).then_some(stem)
    };
    dated("%Y-%m-%d", 10).or_else(|| dated("%Y%m%d", 8))
}

fn distance(wrong: &str, name: &str) -> usize {
    strsim::damerau_levenshtein(wrong, &plain(name))
}

/// Separators are what people get wrong most, and say least.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["priority", "models", "rpm"];
        assert_eq!(nearest("priorty", known), Some("priority"));
        assert_eq!(nearest("Model", known), Some("models"));
        assert_eq!(nearest("foo", known), None);
    }

    #[test]
    fn a_dated_name_is_the_same_model() {
        for (asked, answered, same) in [
            ("gpt-5-mini", "gpt-5-mini-2025-08-07", true),
            ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", true),
            ("openai/gpt-oss-20b", "gpt-oss-20b", true),
            ("GLM-4.7", "glm-4.7", true),
            ("mistral-small-latest", "mistral-small-2506", true),
            ("claude-haiku-4-5", "claude-haiku-4-5-20251001", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-5-mini", "gpt-5-08-07", false),
            ("deepseek-flash", "deepseek-v4-pro", false),
            ("qwen-30b", "qwen-235b", false),
        ] {
            assert_eq!(is_same_model(asked, answered), same, "{asked} {answered}");
        }
    }

    #[test]
    fn a_snapshot_bears_a_date_that_exists() {
        for (name, stem) in [
            ("gpt-5-mini-2025-08-07", Some("gpt-5-mini")),
            ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
            ("claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5")),
            ("gpt-5-mini-2025-13-07", None),
            ("gpt-5-mini", None),
            ("-2025-08-07", None),
            ("grok-4.20-0309", None),
            ("模型-20251001", Some("模型")),
            ("模型模型模", None),
        ] {
            assert_eq!(without_date(name), stem, "{name}");
        }
    }
}
