//! `--set KEY=VALUE`: keys put into every request body of a job.
//!
//! Pure.

use super::build::quoted;
use super::scan;

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The top-level key.
    pub key: String,
    /// The value as JSON text.
    pub value: Vec<u8>,
}

/// Reads settings; where a key is given twice, the last one counts.
pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Setting>, String> {
    let mut settings: Vec<Setting> = Vec::new();
    for text in texts {
        let setting = one(text.as_ref())?;
        settings.retain(|earlier| earlier.key != setting.key);
        settings.push(setting);
    }
    Ok(settings)
}

/// Reads `temperature=0` or `user=team-a`: JSON where it is JSON, else a string.
fn one(text: &str) -> Result<Setting, String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(format!("--set {text}: write it as KEY=VALUE, such as --set temperature=0"));
    };
    match key {
        "" => return Err(format!("--set {text}: the key is missing")),
        "model" => return Err(format!("--set {text}: choose models with --model")),
        "stream" | "stream_options" => {
            return Err(format!("--set {text}: answers are not streamed; leave this out"));
        }
        _ => {}
    }
    let value = match scan::check(value.as_bytes()) {
        Ok(json) => json.bytes().to_vec(),
        Err(_) => quoted(value),
    };
    Ok(Setting { key: key.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_else_a_string() {
        for (text, value) in [
            ("temperature=0", "0"),
            ("stop=[\"a\",\"b=c\"]", "[\"a\",\"b=c\"]"),
            ("user=team-a", "\"team-a\""),
            ("seed=12345678901234567890", "12345678901234567890"),
            ("note=", "\"\""),
            ("quoted=\"0\"", "\"0\""),
        ] {
            let settings = parse(&[text]).unwrap();
            assert_eq!(std::str::from_utf8(&settings[0].value).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let settings = parse(&["top_p=1", "seed=1", "top_p=0.5"]).unwrap();
        assert_eq!(settings.iter().map(|s| s.key.as_str()).collect::<Vec<_>>(), ["seed", "top_p"]);
    }

    #[test]
    fn keys_that_have_a_flag_or_no_meaning_are_refused() {
        for (text, message) in [
            ("temperature", "KEY=VALUE"),
            ("=1", "key is missing"),
            ("model=x", "--model"),
            ("stream=true", "not streamed"),
        ] {
            assert!(parse(&[text]).unwrap_err().contains(message), "{text}");
        }
    }
}
