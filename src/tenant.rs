//! Who may use the API: tokens, the tenants they stand for, and what each may see.
//!
//! A token is 256 random bits; only its SHA-256 is kept, and compared in constant time. It stands for
//! the operator, who sees everything, or for a tenant, who sees what carries the tenant's own name and
//! nothing else. The name is a tag on every job of a tenant ([`TAG`]), so budgets and reports know
//! tenants without a word of their own: `[budget.tags."tenant=acme"]`, `report --by tenant`.
//!
//! Pure. Kept in a file by [`crate::serve::tokens`], made by `overnight token`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::ladder::glob_matches;
use crate::clock::Timestamp;

/// The tag that says whose a job is.
pub const TAG: &str = "tenant";

/// One token, as it is kept: nobody can make the token of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its own name, to revoke it by.
    pub id: String,
    /// SHA-256 of the token, in hex.
    pub sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whom it stands for; the operator where absent.
    pub tenant: Option<Tenant>,
}

/// Someone who uses the API beside others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// `[a-z0-9_-]`, 1 to 64 characters.
    pub name: String,
    /// Put on all of its jobs, beside [`TAG`].
    pub tags: BTreeMap<String, String>,
    /// Models it may use, `*` and `?` as in a ladder; all where empty.
    pub models: Vec<String>,
}

/// Every token there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Oldest first.
    pub tokens: Vec<Token>,
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever runs this machine.
    Operator,
    /// One of the tenants.
    Tenant(Arc<Tenant>),
}

impl Caller {
    /// Whether what belongs to `tenant` may be seen; the one place that decides it. What belongs to no
    /// tenant is the operator's.
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        match self {
            Caller::Operator => true,
            Caller::Tenant(own) => tenant == Some(own.name.as_str()),
        }
    }

    /// Whose what they make is.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Caller::Operator => None,
            Caller::Tenant(tenant) => Some(&tenant.name),
        }
    }

    /// Tags on all of their jobs, which nothing they write replaces.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let Caller::Tenant(tenant) = self else { return BTreeMap::new() };
        let mut tags = tenant.tags.clone();
        tags.insert(TAG.to_owned(), tenant.name.clone());
        tags
    }

    /// Whether they may use a model, named in full.
    pub fn may_use(&self, model: &str) -> bool {
        match self {
            Caller::Operator => true,
            Caller::Tenant(tenant) if tenant.models.is_empty() => true,
            Caller::Tenant(tenant) => {
                tenant.models.iter().any(|pattern| glob_matches(pattern.as_bytes(), model.as_bytes()))
            }
        }
    }
}

impl Tokens {
    /// Whom a token stands for.
    pub fn caller(&self, presented: &str) -> Option<Caller> {
        let presented = hash(presented);
        let mut found = None;
        // All of them, so that the time taken says nothing about which came near.
        for token in &self.tokens {
            if same(token.sha256.as_bytes(), presented.as_bytes()) {
                found = Some(match &token.tenant {
                    Some(tenant) => Caller::Tenant(Arc::new(tenant.clone())),
                    None => Caller::Operator,
                });
            }
        }
        found
    }

    /// Takes away the token of this id, or all tokens of the tenant of this name; how many.
    pub fn revoke(&mut self, named: &str) -> usize {
        let before = self.tokens.len();
        let is_meant = |token: &Token| {
            token.id == named || token.tenant.as_ref().is_some_and(|tenant| tenant.name == named)
        };
        self.tokens.retain(|token| !is_meant(token));
        before - self.tokens.len()
    }
}

/// A token made of random bytes, to be shown once: `on_` and 64 hexadecimal digits.
pub fn token_of(random: &[u8; 32]) -> String {
    format!("on_{}", hex(random))
}

/// What is kept of a token.
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Why a name cannot be a tenant's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name is 1 to 64 characters of a-z, 0-9, - and _")]
pub struct NotAName;

/// Checks a tenant's name, which becomes a tag and part of listings.
pub fn check_name(name: &str) -> Result<(), NotAName> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) { Ok(()) } else { Err(NotAName) }
}

/// Equality whose time depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `the operator`, or the tenant's name.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.tenant().unwrap_or("the operator"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str, models: &[&str]) -> Tenant {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        Tenant { name: name.to_owned(), tags: BTreeMap::new(), models }
    }

    fn tokens() -> Tokens {
        let token = |id: &str, text: &str, tenant: Option<Tenant>| Token {
            id: id.to_owned(),
            sha256: hash(text),
            created_at: Timestamp::default(),
            tenant,
        };
        Tokens {
            tokens: vec![
                token("tok_1", "one", Some(tenant("acme", &[]))),
                token("tok_2", "two", Some(tenant("acme", &[]))),
                token("tok_3", "three", None),
            ],
        }
    }

    #[test]
    fn a_token_stands_for_whom_it_was_made() {
        let tokens = tokens();
        assert_eq!(tokens.caller("two").unwrap().tenant(), Some("acme"));
        assert_eq!(tokens.caller("three"), Some(Caller::Operator));
        for wrong in ["", "on", "one ", "One", &hash("one")] {
            assert_eq!(tokens.caller(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn tokens_are_revoked_one_by_one_or_all_of_a_tenant() {
        let mut all = tokens();
        assert_eq!((all.revoke("tok_1"), all.caller("one")), (1, None));
        assert!(all.caller("two").is_some());
        assert_eq!((all.revoke("acme"), all.tokens.len()), (1, 1));
        assert_eq!(all.revoke("nobody"), 0);
    }

    #[test]
    fn a_tenant_sees_its_own_and_nothing_else() {
        let acme = Caller::Tenant(Arc::new(tenant("acme", &[])));
        assert!(acme.sees(Some("acme")));
        assert!(!acme.sees(Some("other")) && !acme.sees(None));
        assert!(Caller::Operator.sees(Some("acme")) && Caller::Operator.sees(None));
    }

    #[test]
    fn a_tenants_name_wins_over_a_tag_of_the_same_key() {
        let mut own = tenant("acme", &[]);
        own.tags.insert(TAG.to_owned(), "other".to_owned());
        assert_eq!(Caller::Tenant(Arc::new(own)).tags()[TAG], "acme");
    }

    #[test]
    fn models_are_allowed_by_pattern() {
        let caller = Caller::Tenant(Arc::new(tenant("acme", &["sim/*", "openai/gpt-5-mini"])));
        assert!(caller.may_use("sim/small") && caller.may_use("openai/gpt-5-mini"));
        assert!(!caller.may_use("openai/gpt-5") && !caller.may_use("simulated/small"));
        assert!(Caller::Tenant(Arc::new(tenant("acme", &[]))).may_use("openai/gpt-5"));
    }

    #[test]
    fn only_plain_names_are_tenants() {
        assert_eq!(check_name("team-a_1"), Ok(()));
        for name in ["", "A", "a b", "../a", "a=b", &"a".repeat(65)] {
            assert_eq!(check_name(name), Err(NotAName), "{name}");
        }
    }
}
