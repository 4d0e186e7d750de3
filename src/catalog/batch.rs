//! A provider's batch API as data: which dialect it speaks, what it takes, how a lost batch is found.
//!
//! Filled from the bundled table and `[providers.NAME.batch]` of the user's config; used by
//! [`crate::provider::batch`] to make batches and by whoever decides how much goes in one.
//!
//! Pure.

use super::provider::Family;
use crate::job::Wire;

/// How a provider takes batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchApi {
    /// Whose requests and answers it speaks.
    pub dialect: BatchDialect,
    /// What fits in one batch, and in the queue.
    pub limits: BatchLimits,
    /// What a batch is known again by whose creation was never answered.
    pub found_by: FoundBy,
    /// How long the provider may take, in its own words: `24h`; Mistral counts the hours.
    pub window: String,
    /// Put before `/chat/completions` where a line or a batch names its address: `/v1`.
    pub url_prefix: String,
    /// What its files are uploaded for: `batch`, or Together's `batch-api`; not said where it is empty.
    pub purpose: String,
    /// Uploads and lists name the model, so that a LiteLLM proxy finds out whose batches they are.
    pub names_model: bool,
    /// What a batch leaves at the provider stays there, until the provider deletes it.
    pub keep_files: bool,
    /// Tokens of prompt and answer together that a request may have, where that is less than of its own.
    pub context: Option<u64>,
}

/// The requests and answers of a batch API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchDialect {
    /// A file, then a batch over it; results are files.
    OpenAi,
    /// Message Batches: inline, results are one stream of lines.
    Anthropic,
    /// `batchGenerateContent`: inline while small, else a file; a long-running operation.
    Gemini,
    /// Batch jobs: a file, then a job over it that names the model.
    Mistral,
    /// OpenRouter's: inline, and the results are part of the batch itself.
    OpenRouter,
    /// xAI's: a file, then a named batch over it; results come in pages.
    Xai,
}

impl BatchDialect {
    /// Every dialect by its name in tables and configs.
    pub const WORDS: &'static [(&'static str, BatchDialect)] = &[
        ("openai", BatchDialect::OpenAi),
        ("anthropic", BatchDialect::Anthropic),
        ("gemini", BatchDialect::Gemini),
        ("mistral", BatchDialect::Mistral),
        ("openrouter", BatchDialect::OpenRouter),
        ("xai", BatchDialect::Xai),
    ];

    /// Its name in tables and configs.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, dialect)| *dialect == self).expect("every dialect has a name").0
    }

    /// The dialect of a family's own API; `None` where it has none we speak.
    pub fn of_family(family: Family) -> Option<BatchDialect> {
        match family {
            Family::OpenAi => Some(BatchDialect::OpenAi),
            Family::Anthropic => Some(BatchDialect::Anthropic),
            Family::Gemini => Some(BatchDialect::Gemini),
            Family::Bedrock => None,
        }
    }

    /// Whether its batches take requests in this format.
    pub fn takes(self, wire: Wire) -> bool {
        match self {
            BatchDialect::Anthropic => wire == Wire::Messages,
            BatchDialect::Gemini => wire == Wire::GenerateContent,
            // What it answers is a chat completion, whatever was asked.
            BatchDialect::Xai => wire == Wire::Chat,
            BatchDialect::OpenAi | BatchDialect::Mistral | BatchDialect::OpenRouter => {
                matches!(wire, Wire::Chat | Wire::Responses | Wire::Embeddings)
            }
        }
    }
}

/// What a provider takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Requests in one batch.
    pub requests: u64,
    /// Bytes of one batch as it is sent.
    pub bytes: u64,
    /// Input tokens that may wait in all batches of one model together; `None` where none is known.
    pub tokens: Option<u64>,
    /// Up to so many bytes the requests go inline rather than as a file, where both can be.
    pub inline_bytes: u64,
    /// Batches that may be open at a time; `None` where no such limit is known.
    pub open: Option<u32>,
    /// All requests of a batch must ask the same model.
    pub one_model: bool,
}

/// What a batch is known again by whose creation was never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// Our mark, in its metadata or its name.
    Mark,
    /// Our mark, as the name of its input file.
    FileName,
    /// Nothing but when it was made, its size and, once it has ended, the ids of its lines.
    Lines,
}

impl FoundBy {
    /// Every way by its name in tables and configs.
    pub const WORDS: &'static [(&'static str, FoundBy)] =
        &[("mark", FoundBy::Mark), ("file", FoundBy::FileName), ("lines", FoundBy::Lines)];
}

impl BatchApi {
    /// The API of this dialect where nothing else is known of it.
    pub fn new(dialect: BatchDialect) -> BatchApi {
        let limits = BatchLimits {
            requests: 50_000,
            bytes: 100_000_000,
            tokens: None,
            inline_bytes: 0,
            open: None,
            one_model: true,
        };
        let (limits, found_by) = match dialect {
            BatchDialect::OpenAi | BatchDialect::Mistral | BatchDialect::Xai => (limits, FoundBy::Mark),
            BatchDialect::Anthropic => {
                (BatchLimits { requests: 100_000, one_model: false, ..limits }, FoundBy::Lines)
            }
            BatchDialect::Gemini => {
                (BatchLimits { inline_bytes: 19_000_000, open: Some(100), ..limits }, FoundBy::Mark)
            }
            BatchDialect::OpenRouter => (BatchLimits { requests: 5_000, ..limits }, FoundBy::Lines),
        };
        BatchApi {
            dialect,
            limits,
            found_by,
            window: "24h".to_owned(),
            url_prefix: "/v1".to_owned(),
            purpose: if dialect == BatchDialect::Xai { String::new() } else { "batch".to_owned() },
            names_model: false,
            keep_files: false,
            context: None,
        }
    }
}

/// What a table or a config says of a batch API; `None` leaves what is known of its dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchSettings {
    /// The dialect.
    pub dialect: Option<BatchDialect>,
    /// Requests in one batch.
    pub requests: Option<u64>,
    /// Bytes of one batch.
    pub bytes: Option<u64>,
    /// Input tokens that may wait.
    pub tokens: Option<u64>,
    /// Bytes that go inline.
    pub inline_bytes: Option<u64>,
    /// Batches open at a time.
    pub open: Option<u32>,
    /// Whether all requests must ask the same model.
    pub one_model: Option<bool>,
    /// What a lost batch is known by.
    pub found_by: Option<FoundBy>,
    /// How long the provider may take.
    pub window: Option<String>,
    /// Put before the address a line names.
    pub url_prefix: Option<String>,
    /// What files are uploaded for.
    pub purpose: Option<String>,
    /// Whether uploads and lists name the model.
    pub names_model: Option<bool>,
    /// Whether what a batch leaves at the provider stays there.
    pub keep_files: Option<bool>,
    /// Tokens a request may have.
    pub context: Option<u64>,
}

impl BatchSettings {
    /// These settings over what is known already, else over what the dialect or the family has.
    pub fn over(&self, known: Option<&BatchApi>, family: Family) -> Option<BatchApi> {
        let known = known.filter(|api| self.dialect.is_none_or(|dialect| dialect == api.dialect));
        let mut api = match known {
            Some(api) => api.clone(),
            None => BatchApi::new(self.dialect.or_else(|| BatchDialect::of_family(family))?),
        };
        let limits = &mut api.limits;
        limits.requests = self.requests.unwrap_or(limits.requests);
        limits.bytes = self.bytes.unwrap_or(limits.bytes);
        limits.tokens = self.tokens.or(limits.tokens);
        limits.inline_bytes = self.inline_bytes.unwrap_or(limits.inline_bytes);
        limits.open = self.open.or(limits.open);
        limits.one_model = self.one_model.unwrap_or(limits.one_model);
        api.names_model = self.names_model.unwrap_or(api.names_model);
        api.keep_files = self.keep_files.unwrap_or(api.keep_files);
        api.context = self.context.or(api.context);
        api.found_by = self.found_by.unwrap_or(api.found_by);
        for (field, said) in [
            (&mut api.window, &self.window),
            (&mut api.url_prefix, &self.url_prefix),
            (&mut api.purpose, &self.purpose),
        ] {
            if let Some(said) = said {
                field.clone_from(said);
            }
        }
        Some(api)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn api(provider: &str) -> Option<BatchApi> {
        Catalog::bundled().provider(provider).unwrap().quirks.batch.clone()
    }

    #[test]
    fn the_table_says_who_takes_batches() {
        for (name, dialect) in [
            ("openai", BatchDialect::OpenAi),
            ("anthropic", BatchDialect::Anthropic),
            ("gemini", BatchDialect::Gemini),
            ("mistral", BatchDialect::Mistral),
            ("openrouter", BatchDialect::OpenRouter),
            ("zhipu", BatchDialect::OpenAi),
            ("xai", BatchDialect::Xai),
        ] {
            assert_eq!(api(name).map(|api| api.dialect), Some(dialect), "{name}");
        }
        for name in ["deepseek", "ollama", "vllm", "fireworks", "bedrock", "tokenmix"] {
            assert_eq!(api(name), None, "{name}");
        }
        assert_eq!(api("together").unwrap().purpose, "batch-api");
        assert_eq!(api("zhipu").unwrap().url_prefix, "/v4");
        assert_eq!(api("qwen").unwrap().context, Some(256_000));
        assert_eq!(api("xai").unwrap().purpose, "");
    }

    #[test]
    fn what_is_said_goes_over_what_is_known() {
        let known = api("openai");
        let said = BatchSettings { tokens: Some(2_000_000), ..BatchSettings::default() };
        let over = said.over(known.as_ref(), Family::OpenAi).unwrap();
        assert_eq!((over.limits.tokens, over.limits.requests), (Some(2_000_000), 50_000));

        let other = BatchSettings { dialect: Some(BatchDialect::OpenRouter), ..said };
        let over = other.over(known.as_ref(), Family::OpenAi).unwrap();
        assert_eq!(over.limits.requests, 5_000, "another dialect is not bound by the first one's limits");
        assert_eq!(BatchSettings::default().over(None, Family::Bedrock), None);
    }
}
