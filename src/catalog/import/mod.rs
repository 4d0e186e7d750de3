//! Price lists of others, read into [`Model`]s: LiteLLM's price file, models.dev's `api.json` and
//! OpenRouter's `/models`.
//!
//! Numbers are taken as the text they are written as, so `1.5e-07` is exact; a price finer than a
//! pico-dollar a token is rounded to the nearest. What is missing is unknown, never free. An entry with
//! a price that cannot be one (negative, not a number, absurd) is left out and told, the others are kept.
//!
//! The user's settings and the bundled rows win over imported ones; a provider's own list wins over the
//! bundled rows of that provider.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::model::Model;
use super::{Catalog, PriceTable};
use crate::job::{Needs, Wire};

mod litellm;
mod models_dev;
mod number;
mod openrouter;

/// A list that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// LiteLLM's price file: lanes, tiers, hours.
    LiteLlm,
    /// models.dev: sizes, features, tiers.
    ModelsDev,
    /// OpenRouter's own list of what it serves.
    OpenRouter,
}

impl Source {
    /// All of them; where two list the same model, the first one's entry is used.
    pub const ALL: [Source; 3] = [Source::OpenRouter, Source::LiteLlm, Source::ModelsDev];

    /// Its name on the command line and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::LiteLlm => "litellm",
            Source::ModelsDev => "models-dev",
            Source::OpenRouter => "openrouter",
        }
    }

    /// Reads such a name.
    pub fn parse(text: &str) -> Option<Source> {
        Source::ALL.into_iter().find(|source| source.as_str() == text)
    }

    /// Where it is published.
    pub fn url(self) -> &'static str {
        match self {
            Source::LiteLlm => {
                "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
            }
            Source::ModelsDev => "https://models.dev/api.json",
            Source::OpenRouter => "https://openrouter.ai/api/v1/models",
        }
    }

    /// The provider whose own list it is, if it is one's.
    fn own_provider(self) -> Option<&'static str> {
        (self == Source::OpenRouter).then_some("openrouter")
    }
}

/// What a list says of models at providers we know.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The list.
    pub source: Source,
    /// The day it was read there: `2026-11-21`.
    pub as_of: String,
    /// By `provider/model`.
    pub models: BTreeMap<String, Model>,
    /// Entries left out, and why.
    pub problems: Vec<Problem>,
    /// Entries that are none of ours: unknown providers, models that neither talk nor embed.
    pub ignored: usize,
}

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As the list names it.
    pub entry: String,
    /// What is wrong.
    pub why: String,
}

/// A file that is not such a list at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not {}: {why}", .source_list.what())]
pub struct ImportError {
    source_list: Source,
    why: String,
}

impl Source {
    fn what(self) -> &'static str {
        match self {
            Source::LiteLlm => "LiteLLM's price file",
            Source::ModelsDev => "models.dev's api.json",
            Source::OpenRouter => "OpenRouter's list of models",
        }
    }
}

/// Reads a list as it was on the day `as_of`; `catalog` says which providers are known.
pub fn read(source: Source, text: &str, as_of: &str, catalog: &Catalog) -> Result<Imported, ImportError> {
    let text = number::quoted(text);
    let imported = Imported {
        source,
        as_of: as_of.to_owned(),
        models: BTreeMap::new(),
        problems: Vec::new(),
        ignored: 0,
    };
    let mut list = List { imported, catalog };
    let done = match source {
        Source::LiteLlm => litellm::read(&text, &mut list),
        Source::ModelsDev => models_dev::read(&text, &mut list),
        Source::OpenRouter => openrouter::read(&text, &mut list),
    };
    done.map_err(|error| ImportError { source_list: source, why: error.to_string() })?;
    if list.imported.models.is_empty() {
        return Err(ImportError {
            source_list: source,
            why: "no model in it is at a provider we know".to_owned(),
        });
    }
    Ok(list.imported)
}

impl Catalog {
    /// The catalog with the models of an imported list that it does not have, and those of whose provider
    /// the list is the authority.
    pub fn with_imported(mut self, imported: &Imported) -> Catalog {
        for (name, model) in &imported.models {
            let own = imported.source.own_provider() == Some(&*model.provider);
            if own || !self.models.contains_key(name) {
                self.add(model.clone());
            }
        }
        self
    }

    /// The catalog with the prices of an imported list in place of its own: what would it cost there?
    pub fn repriced(mut self, imported: &Imported) -> Catalog {
        for (name, model) in imported.models.iter().filter(|(_, model)| model.prices.is_some()) {
            match self.models.get_mut(name) {
                Some(own) => own.prices.clone_from(&model.prices),
                None => self.add(model.clone()),
            }
        }
        self
    }
}

/// A list while it is read.
struct List<'a> {
    imported: Imported,
    catalog: &'a Catalog,
}

impl List<'_> {
    /// Our name of a provider; models of local ones are free and need no list.
    fn provider(&self, theirs: &str) -> Option<Arc<str>> {
        let ours = PROVIDERS.iter().find(|(name, _)| *name == theirs).map_or(theirs, |(_, ours)| ours);
        self.catalog.provider(ours).filter(|provider| !provider.local).map(|provider| provider.name.clone())
    }

    fn ignore(&mut self) {
        self.imported.ignored += 1;
    }

    /// Takes an entry, or tells what is wrong with it.
    fn take(&mut self, entry: &str, read: Result<Entry, String>) {
        let model = match read {
            Ok(read) => read.model(self.imported.source, &self.imported.as_of),
            Err(why) => return self.imported.problems.push(Problem { entry: entry.to_owned(), why }),
        };
        let name = model.full_name();
        match self.imported.models.get(&name) {
            Some(known)
                if known.prices.as_ref().map(|table| &table.base)
                    != model.prices.as_ref().map(|table| &table.base) =>
            {
                let why = format!("{name} is listed twice with different prices; the first one is used");
                self.imported.problems.push(Problem { entry: entry.to_owned(), why });
            }
            Some(_) => {}
            None => {
                self.imported.models.insert(name, model);
            }
        }
    }
}

/// Providers by the names lists give them, where those are not ours.
const PROVIDERS: [(&str, &str); 13] = [
    ("alibaba", "qwen"),
    ("alibaba-cn", "qwen-cn"),
    ("amazon-bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("bigmodel", "zhipu"),
    ("dashscope", "qwen"),
    ("fireworks-ai", "fireworks"),
    ("fireworks_ai", "fireworks"),
    ("google", "gemini"),
    ("together_ai", "together"),
    ("togetherai", "together"),
    ("x-ai", "xai"),
    ("zhipuai", "zhipu"),
];

/// What a list says of one model, in one shape for all lists.
#[derive(Debug, Default)]
struct Entry {
    provider: Arc<str>,
    name: String,
    context: Option<u64>,
    max_output: Option<u64>,
    features: Needs,
    reasoning: bool,
    modalities: Vec<String>,
    embeds: bool,
    prices: Option<PriceTable>,
    flex: Option<PriceTable>,
    batch: Option<PriceTable>,
    retires: Option<String>,
    note: Option<String>,
}

impl Entry {
    fn model(self, source: Source, as_of: &str) -> Model {
        let id = |lane: &str| format!("{}/{}{lane} {} {as_of}", self.provider, self.name, source.as_str());
        let with_id = |table: Option<PriceTable>, lane: &str| {
            table.map(|table| PriceTable { id: id(lane).into(), ..table })
        };
        Model {
            context: self.context,
            max_output: self.max_output.filter(|_| !self.embeds),
            features: (!self.embeds).then_some(self.features),
            reasoning: self.reasoning,
            modalities: self.modalities,
            wires: self.embeds.then(|| vec![Wire::Embeddings]),
            prices: with_id(self.prices, ""),
            flex: with_id(self.flex, " flex"),
            batch: with_id(self.batch, " batch"),
            retires: self.retires.and_then(|day| day.get(..10)?.parse().ok()),
            source: Some(source.as_str().to_owned()),
            as_of: Some(as_of.to_owned()),
            note: self.note,
            ..Model::unlisted(&self.provider, &self.name)
        }
    }
}

/// The fields of a JSON object, values as they are written.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn flag(fields: &Fields<'_>, name: &str) -> bool {
    fields.get(name).is_some_and(|raw| raw.get() == "true")
}

fn word(fields: &Fields<'_>, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

fn words(fields: &Fields<'_>, name: &str) -> Vec<String> {
    fields.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn object<'a>(fields: &Fields<'a>, name: &str) -> Fields<'a> {
    fields.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn count(fields: &Fields<'_>, name: &str) -> Option<u64> {
    number::count(fields.get(name)?)
}

#[cfg(test)]
mod tests;
