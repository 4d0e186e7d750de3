//! Where keys are, and the keys.
//!
//! A config says `env:NAME` or `file:/path`; a key written into it is refused, and its text is never
//! repeated. A file that everybody on the machine can read is refused as well.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::reader::Parsed;
use super::source::Value;
use crate::catalog::endpoint::Secret;

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
}

/// A key, and the name of its place.
#[derive(Clone, Debug)]
pub(super) struct FoundSecret {
    pub(super) secret: Secret,
    pub(super) name: String,
}

/// Why there is no key; each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretError {
    #[error("set {0}")]
    NotSet(String),
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    #[error("everybody on this machine can read {0}; take that away: chmod o-r {0}")]
    TooOpen(String),
    #[error("{0} is empty")]
    Empty(String),
    #[error("{0} holds more than a key: spaces, line breaks or odd characters")]
    NotAKey(String),
}

/// Reads where a key is. `example` is the variable to propose.
pub(super) fn reference(value: &Value, example: &str) -> Parsed<Reference> {
    let refused = || {
        format!(
            "a key itself must not stand in a config; write \"env:{example}\" to name a variable, \
             or \"file:/path\" to name a file"
        )
    };
    let Value::Text(text) = value else { return Err(refused()) };
    if let Some(name) = text.strip_prefix("env:") {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return if plain { Ok(Reference::Env(name.to_owned())) } else { Err(refused()) };
    }
    match text.strip_prefix("file:") {
        Some(path) if path.starts_with('/') => Ok(Reference::File(path.into())),
        Some(_) => Err("a key's file needs its whole path: \"file:/path\"".to_owned()),
        None => Err(refused()),
    }
}

impl Reference {
    /// The key there.
    pub(super) fn resolve(&self, env: &BTreeMap<String, String>) -> Result<FoundSecret, SecretError> {
        match self {
            Reference::Env(name) => from_env(name, env).ok_or_else(|| SecretError::NotSet(name.clone()))?,
            Reference::File(path) => from_file(path),
        }
    }
}

/// The key in a variable; `None` where the variable is unset or empty.
pub(super) fn from_env(
    name: &str,
    env: &BTreeMap<String, String>,
) -> Option<Result<FoundSecret, SecretError>> {
    let text = env.get(name).filter(|text| !text.trim().is_empty())?;
    Some(key(text, name.to_owned()))
}

fn from_file(path: &PathBuf) -> Result<FoundSecret, SecretError> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| SecretError::Unreadable(name.clone(), error.to_string());
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & READABLE_BY_OTHERS != 0 {
        return Err(SecretError::TooOpen(name));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    key(&text, name)
}

/// The group may read it: that is how secrets are mounted into containers.
const READABLE_BY_OTHERS: u32 = 0o004;

fn key(text: &str, name: String) -> Result<FoundSecret, SecretError> {
    let key = text.trim();
    if key.is_empty() {
        return Err(SecretError::Empty(name));
    }
    // It travels in a header: one line of visible characters.
    if !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(SecretError::NotAKey(name));
    }
    Ok(FoundSecret { secret: Secret::new(key), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn a_key_in_the_config_is_refused_and_not_repeated() {
        for written in ["sk-canary-123", "env:", "env:sk-canary-123", "file:canary", "ENV:canary"] {
            let error = reference(&text(written), "OPENAI_API_KEY").unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
        assert_eq!(reference(&text("env:A_1"), "X"), Ok(Reference::Env("A_1".into())));
    }

    #[test]
    fn a_file_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "sk-canary-123\n").unwrap();
        let resolve = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Reference::File(path.clone()).resolve(&BTreeMap::new())
        };
        assert_eq!(resolve(0o600).unwrap().secret.expose(), "sk-canary-123");
        assert_eq!(resolve(0o640).unwrap().name, path.display().to_string());
        assert!(matches!(resolve(0o604), Err(SecretError::TooOpen(_))));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_place_only() {
        let env: BTreeMap<String, String> = [("A", "two words canary"), ("B", "  "), ("C", "k\u{e9}y")]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        let error = |name: &str| Reference::Env(name.into()).resolve(&env).unwrap_err();
        assert_eq!(error("A"), SecretError::NotAKey("A".into()));
        assert_eq!(error("B"), SecretError::NotSet("B".into()));
        assert_eq!(error("C"), SecretError::NotAKey("C".into()));
        assert_eq!(error("D").to_string(), "set D");
    }
}
