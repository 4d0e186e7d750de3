//! How to reach a provider: address, authentication and the ways it differs from its family, as data.
//!
//! Pure. Filled from the bundled table and the user's config; used by the provider adapters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::batch::BatchApi;
use crate::attempt::RefusalKind;

/// A provider account we can call.
#[derive(Clone)]
pub struct Endpoint {
    /// The provider's name in the config.
    pub provider: Arc<str>,
    /// Scheme, host and path prefix, without a slash at the end: `https://api.openai.com/v1`.
    pub base_url: String,
    /// How the key is presented.
    pub auth: Auth,
    /// The key; `None` where the provider needs none.
    pub key: Option<Secret>,
    /// Name of the key's source, to name it in messages: `OPENAI_API_KEY`.
    pub key_name: Option<String>,
    /// Headers sent with every request.
    pub headers: Vec<Header>,
    /// Ways it differs from its family.
    pub quirks: Quirks,
    /// From sending the first byte to having the whole response.
    pub timeout: Duration,
}

impl Endpoint {
    /// Every key that is sent along: its own, and those in headers.
    pub fn keys(&self) -> impl Iterator<Item = &Secret> {
        let in_headers = self.headers.iter().filter(|header| header.is_key).map(|header| &header.value);
        self.key.iter().chain(in_headers)
    }
}

/// Headers by name only: some hold keys.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|header| header.name.as_str()).collect();
        f.debug_struct("Endpoint")
            .field("provider", &self.provider)
            .field("base_url", &self.base_url)
            .field("auth", &self.auth)
            .field("key", &self.key)
            .field("key_name", &self.key_name)
            .field("headers", &headers)
            .field("quirks", &self.quirks)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A header the user adds to every request.
#[derive(Clone, Debug)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// The value is a key: it was taken from where keys are, not written in the config.
    pub is_key: bool,
}

/// How a key is presented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// The key as the value of this header.
    Header(String),
    /// No key.
    None,
}

/// Ways a provider differs from its family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// What its own error codes mean, by `error.code` or `error.type`; looked up before the family's.
    pub error_codes: BTreeMap<String, RefusalKind>,
    /// What its status codes mean where they differ from the family's, such as Groq's 498.
    pub statuses: BTreeMap<u16, RefusalKind>,
    /// Its `x-ratelimit-*-requests` headers count a day, not a minute (Groq).
    pub requests_per_day: bool,
    /// Response header that states the cost in USD (LiteLLM's `x-litellm-response-cost`).
    pub cost_header: Option<String>,
    /// It wants `max_tokens` where newer OpenAI models want `max_completion_tokens`.
    pub old_max_tokens: bool,
    /// How it takes batches; `None` where it does not.
    pub batch: Option<BatchApi>,
}

/// A key: never printed, never stored.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a key.
    pub fn new(key: &str) -> Secret {
        Secret(key.trim().into())
    }

    /// The key itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}
