//! `--prompt`: a MiniJinja template and the row that fills it.
//!
//! Strict: a variable the row does not have is an error, never an empty hole in a prompt.
//!
//! Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::problem::suggestion;
use super::scan::Raw;

const NAME: &str = "prompt";

/// A template that has been read.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    variables: Arc<BTreeSet<String>>,
}

impl Template {
    /// Reads a template; the error says where it is wrong.
    pub fn parse(source: &str) -> Result<Template, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A prompt is text, whatever the template is called.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| format!("the prompt template cannot be read: {error}"))?;
        let template = environment.get_template(NAME).map_err(|error| error.to_string())?;
        let variables = template.undeclared_variables(false).into_iter().collect();
        Ok(Template { environment: Arc::new(environment), variables: Arc::new(variables) })
    }

    /// The prompt for one row, a JSON object.
    pub fn render(&self, row: Raw<'_>) -> Result<String, String> {
        let values: serde_json::Value = serde_json::from_slice(row.bytes())
            .map_err(|error| format!("the row cannot be read: {error}"))?;
        let template = self.environment.get_template(NAME).expect("it was added when it was parsed");
        let prompt =
            template.render(Value::from(Serde(&values))).map_err(|error| self.explain(&values, &error))?;
        match prompt.trim().is_empty() {
            true => Err("the template gives an empty prompt for this row".to_owned()),
            false => Ok(prompt),
        }
    }

    /// Names the variable that is missing, where that is what went wrong.
    fn explain(&self, row: &serde_json::Value, error: &minijinja::Error) -> String {
        let keys: Vec<&str> = row.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let missing = self.variables.iter().find(|name| !keys.contains(&name.as_str()));
        match (error.kind(), missing) {
            (minijinja::ErrorKind::UndefinedError, Some(name)) => match suggestion(name, &keys) {
                Some(meant) => format!(
                    "the template uses `{name}`, which this row does not have (did you mean `{meant}`?)"
                ),
                None => format!("the template uses `{name}`, which this row does not have"),
            },
            _ => format!("the template cannot be filled from this row: {error}"),
        }
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("variables", &self.variables).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::check;
    use super::*;

    fn render(template: &str, row: &str) -> Result<String, String> {
        Template::parse(template)?.render(check(row.as_bytes()).unwrap())
    }

    #[test]
    fn a_row_fills_the_template() {
        let row = r#"{"text":"<b>&","n":9007199254740993,"tags":["a","b"],"who":{"name":"Zoë"}}"#;
        let template = "{{ text }} {{ n }} {{ tags|join('+') }} {{ who.name }} {{ tags|tojson }}";
        assert_eq!(render(template, row).unwrap(), r#"<b>& 9007199254740993 a+b Zoë ["a", "b"]"#);
    }

    #[test]
    fn a_missing_variable_is_named_with_a_suggestion() {
        let error = |template: &str| render(template, r#"{"title":"x"}"#).unwrap_err();
        assert_eq!(
            error("{{ titel }}"),
            "the template uses `titel`, which this row does not have (did you mean `title`?)"
        );
        assert_eq!(error("{{ body }}"), "the template uses `body`, which this row does not have");
        assert!(error("{{ title.no.such }}").contains("cannot be filled"));
        assert!(error("{% if body %}x{% endif %}").contains("`body`"));
        assert!(error("{{ title").contains("cannot be read"));
        assert!(error("  ").contains("empty prompt"));
    }
}
