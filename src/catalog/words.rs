//! The words of the bundled table and the config for formats, features, meanings and authentication.
//!
//! Pure.

use super::endpoint::Auth;
use crate::attempt::RefusalKind;
use crate::job::{Needs, Wire};

/// Wire formats by name.
pub const WIRES: [(&str, Wire); 5] = [
    ("chat", Wire::Chat),
    ("responses", Wire::Responses),
    ("embeddings", Wire::Embeddings),
    ("messages", Wire::Messages),
    ("generate_content", Wire::GenerateContent),
];

/// Features a model may have; `reasoning` is known, but no request asks for it.
pub const FEATURES: [&str; 4] = ["tools", "vision", "json_schema", "reasoning"];

/// A wire format by name.
pub fn wire(word: &str) -> Option<Wire> {
    WIRES.iter().find(|(name, _)| *name == word).map(|&(_, wire)| wire)
}

/// The name of a wire format.
pub fn wire_name(wire: Wire) -> &'static str {
    WIRES.iter().find(|&&(_, known)| known == wire).expect("every format has a name").0
}

/// What a list of features means; the first unknown word where there is one.
pub fn features(words: &[String]) -> Result<Needs, String> {
    if let Some(unknown) = words.iter().find(|word| !FEATURES.contains(&word.as_str())) {
        return Err(unknown.clone());
    }
    let has = |feature: &str| words.iter().any(|word| word == feature);
    Ok(Needs { tools: has("tools"), vision: has("vision"), json_schema: has("json_schema") })
}

/// What a refusal means.
pub fn refusal(word: &str) -> Option<RefusalKind> {
    Some(match word {
        "rate" => RefusalKind::Rate,
        "capacity" => RefusalKind::Capacity,
        "server" => RefusalKind::Server,
        "no_credit" => RefusalKind::NoCredit,
        "auth" => RefusalKind::Auth,
        "model_gone" => RefusalKind::ModelGone,
        "too_long" => RefusalKind::TooLong,
        "blocked" => RefusalKind::Blocked,
        "invalid" => RefusalKind::Invalid,
        _ => return None,
    })
}

/// `bearer`, `none` or `header:NAME`.
pub fn auth(text: &str) -> Option<Auth> {
    match text {
        "bearer" => Some(Auth::Bearer),
        "none" => Some(Auth::None),
        _ => {
            let name = text.strip_prefix("header:")?;
            is_header_name(name).then(|| Auth::Header(name.to_owned()))
        }
    }
}

/// Whether HTTP allows this as a header's name.
pub fn is_header_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_is_three_words() {
        assert_eq!(auth("bearer"), Some(Auth::Bearer));
        assert_eq!(auth("header:api-key"), Some(Auth::Header("api-key".into())));
        assert_eq!(auth("header:a b"), None);
        assert_eq!(auth("basic"), None);
    }
}
