//! `[ladders]`: steps of models that go by one name, for who would rather ask for `careful` than know what
//! that is this month.

use std::collections::BTreeMap;

use super::reader::{Log, Parsed, Section};
use super::sections;
use crate::catalog::ladder::AUTO;

/// The longest name.
const LONGEST: usize = 64;

/// Every ladder with a name, as it was written.
pub(super) fn read(root: &mut Section<'_>, log: &mut Log) -> BTreeMap<String, Vec<Vec<String>>> {
    root.values("ladders", log, |name, value| {
        check_name(name)?;
        sections::ladder(value)
    })
}

/// These and, as [`AUTO`], the usual one, which may itself be one of them by its name.
pub(super) fn with_usual(
    mut ladders: BTreeMap<String, Vec<Vec<String>>>,
    usual: &[Vec<String>],
) -> BTreeMap<String, Vec<Vec<String>>> {
    let named = match usual {
        [step] if step.len() == 1 => ladders.get(&step[0]),
        _ => None,
    };
    let usual = named.cloned().unwrap_or_else(|| usual.to_vec());
    ladders.insert(AUTO.to_owned(), usual);
    ladders
}

/// What else may stand where a model does has signs of its own, which a name must not hold.
fn check_name(name: &str) -> Parsed<()> {
    let is_sign = |c: char| !(c.is_alphanumeric() || "-_.".contains(c));
    if name == AUTO {
        return Err(format!("`{AUTO}` is the ladder of [defaults]; take another name"));
    }
    if name.is_empty() || name.len() > LONGEST || name.contains(is_sign) {
        return Err(format!("a ladder's name is up to {LONGEST} letters, digits and - _ ."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::clock::Timestamp;
    use crate::config::{Config, Inputs, parse};

    fn read(text: &str) -> Result<Config, String> {
        let env = [("OPENAI_API_KEY".to_owned(), "k".to_owned())].into();
        let inputs = Inputs { file: None, cwd: std::path::Path::new("/srv"), env: &env, flags: &[] };
        parse(text, &inputs).map_err(|error| error.to_string())
    }

    #[test]
    fn a_ladder_is_asked_for_by_its_name_alone() {
        let text = r#"
            [defaults]
            models = "careful"
            [ladders]
            careful = [["openai/gpt-5-mini", "openai/gpt-5-nano"], "openai/gpt-5.1"]
            gpt-5 = ["openai/gpt-5-nano", "openai/gpt-5"]
        "#;
        let config = read(text).unwrap();
        let resolve = |steps: &[&str]| {
            let steps: Vec<Vec<String>> = steps.iter().map(|name| vec![(*name).to_owned()]).collect();
            config.catalog.resolve(&steps, Timestamp::default()).map(|resolved| resolved.ladder.to_string())
        };
        let careful = "openai/gpt-5-mini|openai/gpt-5-nano > openai/gpt-5.1";
        assert_eq!(resolve(&["careful"]).as_deref(), Ok(careful));
        let usual = config.catalog.resolve(&config.defaults.models, Timestamp::default()).unwrap();
        assert_eq!(usual.ladder.to_string(), careful);
        assert_eq!(resolve(&["auto"]).as_deref(), Ok(careful));
        // It may be called like one of its models, and then comes first.
        assert_eq!(resolve(&["gpt-5"]).as_deref(), Ok("openai/gpt-5-nano > openai/gpt-5"));
        let error = resolve(&["careful", "openai/gpt-5"]).unwrap_err().remove(0).to_string();
        assert!(error.contains("stands alone"), "{error}");
    }

    #[test]
    fn what_cannot_be_a_ladder_is_told() {
        for (text, words) in [
            ("auto = [\"openai/gpt-5\"]", "is the ladder of [defaults]"),
            ("\"a/b\" = [\"openai/gpt-5\"]", "letters, digits"),
            ("careful = []", "at least one model"),
            ("careful = 5", "must be"),
            ("careful = [\"nobody-5\"]", "no provider serves"),
        ] {
            let error = read(&format!("[ladders]\n{text}")).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
