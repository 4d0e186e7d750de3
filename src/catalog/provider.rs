//! A [`Provider`]: who serves models, and what we know of reaching it.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::calendar::Calendar;
use super::endpoint::{Auth, Endpoint, Header, Quirks, Secret};
use super::{Allowance, Limits};
use crate::job::Wire;

/// Who serves models, under one account.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the config and in front of its models.
    pub name: Arc<str>,
    /// Its name for people.
    pub title: String,
    /// The wire formats it speaks.
    pub family: Family,
    /// Other names it is called by.
    pub aliases: Vec<String>,
    /// Scheme, host and path prefix; may hold `{resource}`.
    pub base_url: Option<String>,
    /// What `{resource}` stands for.
    pub resource: Option<String>,
    /// The environment variable `{resource}` is read from.
    pub resource_name: Option<String>,
    /// How the key is presented.
    pub auth: Auth,
    /// Environment variables a key is looked for in, in order.
    pub key_names: Vec<String>,
    /// Whether it also works without a key.
    pub key_optional: bool,
    /// What became of the search for a key.
    pub key: Key,
    /// Headers sent with every request; some hold keys.
    pub headers: Vec<Header>,
    /// Formats it takes.
    pub wires: Vec<Wire>,
    /// Whether it runs on the user's own machines.
    pub local: bool,
    /// Whether it forwards to other providers.
    pub gateway: bool,
    /// Whether its models cost nothing unless a price is stated.
    pub free: bool,
    /// What the account gives for nothing.
    pub allowance: Option<Allowance>,
    /// Ways it differs from its family.
    pub quirks: Quirks,
    /// Ceilings of the account.
    pub limits: Limits,
    /// Lanes that may be used; all where empty.
    pub lanes: Vec<String>,
    /// When we may send to it.
    pub hours: Calendar,
    /// From sending the first byte to having the whole response.
    pub timeout: Duration,
    /// The command that starts it, for local ones.
    pub start: Option<String>,
    /// What is not confirmed, or good to know.
    pub note: Option<String>,
    /// Whether the user's config names it.
    pub configured: bool,
}

/// Providers of a family speak the same wire formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Chat completions, responses, embeddings.
    #[default]
    OpenAi,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
    /// Converse.
    Bedrock,
}

impl Family {
    /// Its name in tables and configs.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::OpenAi => "openai",
            Family::Anthropic => "anthropic",
            Family::Gemini => "gemini",
            Family::Bedrock => "bedrock",
        }
    }

    /// Reads such a name.
    pub fn parse(text: &str) -> Option<Family> {
        let all = [Family::OpenAi, Family::Anthropic, Family::Gemini, Family::Bedrock];
        all.into_iter().find(|family| family.as_str() == text)
    }

    /// Whether we can speak its formats.
    pub fn has_adapter(self) -> bool {
        self != Family::Bedrock
    }

    /// The formats its providers take, where nothing else is known.
    pub fn wires(self) -> Vec<Wire> {
        match self {
            Family::OpenAi => vec![Wire::Chat, Wire::Responses, Wire::Embeddings],
            Family::Anthropic => vec![Wire::Messages],
            Family::Gemini => vec![Wire::GenerateContent, Wire::Embeddings],
            Family::Bedrock => Vec::new(),
        }
    }

    /// How its providers want the key, where nothing else is known.
    pub fn auth(self) -> Auth {
        match self {
            Family::OpenAi | Family::Bedrock => Auth::Bearer,
            Family::Anthropic => Auth::Header("x-api-key".to_owned()),
            Family::Gemini => Auth::Header("x-goog-api-key".to_owned()),
        }
    }
}

/// What became of the search for a provider's key.
#[derive(Clone, Debug, Default)]
pub enum Key {
    /// Nobody has looked, or nothing was found: see [`Provider::key_names`].
    #[default]
    Missing,
    /// Found, and where: `OPENAI_API_KEY`.
    Found(Secret, String),
    /// The user named a place that holds none: why.
    Unreadable(String),
}

impl Provider {
    /// A provider nothing is known of but its name, of the OpenAI family.
    pub fn new(name: &str) -> Provider {
        Provider {
            name: name.into(),
            title: name.to_owned(),
            family: Family::default(),
            aliases: Vec::new(),
            base_url: None,
            resource: None,
            resource_name: None,
            auth: Auth::Bearer,
            key_names: Vec::new(),
            key_optional: true,
            key: Key::Missing,
            headers: Vec::new(),
            wires: Family::default().wires(),
            local: false,
            gateway: false,
            free: false,
            allowance: None,
            quirks: Quirks::default(),
            limits: Limits::default(),
            lanes: Vec::new(),
            hours: Calendar::always(),
            timeout: DEFAULT_TIMEOUT,
            start: None,
            note: None,
            configured: false,
        }
    }

    /// Whether a request needs no key, or has one.
    pub fn has_key(&self) -> bool {
        self.auth == Auth::None || matches!(self.key, Key::Found(..)) || self.may_go_without_key()
    }

    fn may_go_without_key(&self) -> bool {
        self.key_optional && matches!(self.key, Key::Missing)
    }

    /// Whether a person meant to use it: there is a key, or the config names it. One that merely
    /// could be there, such as Ollama, is no trouble when it is not.
    pub fn wanted(&self) -> bool {
        self.configured || (self.auth != Auth::None && matches!(self.key, Key::Found(..)))
    }

    /// Why nothing can be sent to it, as a sentence for the user.
    pub fn unusable(&self) -> Option<String> {
        let realtime = self.lanes.is_empty() || self.lanes.iter().any(|lane| lane == "realtime");
        let left_out = || format!("`lanes` of [providers.{}] leaves out \"realtime\"", self.name);
        self.unreachable().or_else(|| (!realtime).then(left_out))
    }

    /// The same of any lane.
    pub fn unreachable(&self) -> Option<String> {
        if !self.family.has_adapter() {
            let family = self.family.as_str();
            return Some(format!("the {family} format is not supported yet; prices only"));
        }
        if let Key::Unreadable(why) = &self.key {
            return Some(why.clone());
        }
        if !self.has_key() {
            return Some(self.how_to_give_a_key());
        }
        if self.url().is_none() {
            return Some(self.how_to_give_an_address());
        }
        None
    }

    /// Its address with everything filled in.
    pub fn url(&self) -> Option<String> {
        let url = self.base_url.as_deref()?.trim_end_matches('/');
        match &self.resource {
            Some(resource) => Some(url.replace("{resource}", resource)),
            None => (!url.contains("{resource}")).then(|| url.to_owned()),
        }
    }

    /// How to reach it; `None` where nothing can be sent to it.
    pub fn endpoint(&self) -> Option<Endpoint> {
        if self.unreachable().is_some() {
            return None;
        }
        let (key, key_name) = match &self.key {
            Key::Found(secret, name) if self.auth != Auth::None => (Some(secret.clone()), Some(name.clone())),
            _ => (None, None),
        };
        Some(Endpoint {
            provider: self.name.clone(),
            base_url: self.url()?,
            auth: self.auth.clone(),
            key,
            key_name,
            headers: self.headers.clone(),
            quirks: Quirks { embeds_contents: self.family == Family::Gemini, ..self.quirks.clone() },
            timeout: self.timeout,
        })
    }

    fn how_to_give_a_key(&self) -> String {
        match self.key_names.first() {
            Some(name) => format!("set {name}"),
            None => format!("set api_key = \"env:NAME\" under [providers.{}]", self.name),
        }
    }

    fn how_to_give_an_address(&self) -> String {
        match &self.resource_name {
            Some(name) => format!("set {name}, or base_url under [providers.{}]", self.name),
            None => format!("set base_url under [providers.{}]", self.name),
        }
    }
}

/// The official SDKs wait as long; models that think are slow.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;

    #[test]
    fn a_provider_is_wanted_by_its_key_or_by_the_config() {
        let catalog = with_keys(&["openai"]);
        let wanted = |name: &str| catalog.provider(name).is_some_and(Provider::wanted);
        assert!(wanted("openai"));
        assert!(!wanted("deepseek") && !wanted("litellm") && !wanted("ollama"));
        let configured = Provider { configured: true, ..Provider::new("box") };
        assert!(configured.wanted());
    }
}
