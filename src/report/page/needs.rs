//! What waits for a person, as the page shows it.
//!
//! Pure.

use crate::report::chart::escape;
use crate::report::needs::Need;

/// A list; nothing where nobody is needed.
pub(super) fn html(needs: &[Need]) -> String {
    if needs.is_empty() {
        return String::new();
    }
    let line = |need: &Need| {
        let command = need
            .command
            .as_deref()
            .map_or_else(String::new, |command| format!(" <code>{}</code>", escape(command)));
        format!(
            "<li><b><bdi>{}</bdi></b> <bdi>{}</bdi>{command}</li>",
            escape(&need.subject),
            escape(&need.words)
        )
    };
    let lines: String = needs.iter().map(line).collect();
    format!("<section><h2>What needs you</h2><ul class=\"needs\">{lines}</ul></section>\n")
}
