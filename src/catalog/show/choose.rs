//! Which rows a pattern means.

use super::{ModelsShown, WindowsShown};
use crate::catalog::ladder::glob_matches;

/// Whether a name fits a pattern of `*` and `?`; one without either stands for every name it is part of.
pub fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.contains(['*', '?']) {
        true => glob_matches(pattern.as_bytes(), name.as_bytes()),
        false => name.contains(pattern),
    }
}

impl ModelsShown {
    /// Keeps the models that a pattern means.
    pub fn keep(&mut self, pattern: &str) {
        self.models.retain(|model| is_meant(pattern, &model.name));
    }
}

impl WindowsShown {
    /// Keeps the models that a pattern means, and providers without a model we know by their own name.
    pub fn keep(&mut self, pattern: &str) {
        self.windows.retain_mut(|row| {
            let is_bare = row.models.is_empty();
            row.models.retain(|model| is_meant(pattern, model));
            !row.models.is_empty() || (is_bare && is_meant(pattern, &row.provider))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_they_do_for_file_names() {
        for (pattern, name, fits) in [
            ("deepseek/*", "deepseek/deepseek-flash", true),
            ("*-mini", "openai/gpt-5-mini", true),
            ("*-mini", "openai/gpt-5-mini-2", false),
            ("gpt-5", "openai/gpt-5-mini", true),
            ("groq/*-20b", "groq/openai/gpt-oss-20b", true),
            ("openai/*", "groq/openai/gpt-oss-20b", false),
        ] {
            assert_eq!(is_meant(pattern, name), fits, "{pattern} {name}");
        }
    }
}
