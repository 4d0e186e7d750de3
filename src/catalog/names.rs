//! Names people mistype: the nearest known one.
//!
//! Pure.

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
}
