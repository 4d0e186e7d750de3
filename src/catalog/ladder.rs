//! Names a user gives, and the models they mean: `openai/gpt-5-mini`, `gpt-5-mini`, `openai/*-mini`,
//! `@small`.
//!
//! A name with a known provider in front is taken even where the catalog does not list the model:
//! vendors release faster than tables follow. It then has no price unless one is stated.
//!
//! A whole ladder may go by one name ([`Catalog::with_ladders`]), which is then written in place of a
//! model, alone: the steps behind it are models, patterns and sets, never other ladders.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::Catalog;
use super::model::Model;
use super::names;
use crate::clock::Timestamp;
use crate::job::Ladder;

/// Stands for the ladder of the config's `[defaults]`, where a model is asked for by name.
pub const AUTO: &str = "auto";

/// A ladder of full names, and what the user may want to know about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Only `provider/model` names, no patterns.
    pub ladder: Ladder,
    /// Sentences for a person, such as a model that is not in the catalog.
    pub notes: Vec<String>,
}

/// A name that means no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// Nobody serves it.
    #[error("no provider serves {name:?}{}", names::did_you_mean(suggestion.as_deref()))]
    Unknown {
        /// As written.
        name: String,
        /// The nearest name there is.
        suggestion: Option<String>,
    },
    /// Several providers serve it.
    #[error("{name:?} is served by several providers; write one of {}", choices.join(", "))]
    Ambiguous {
        /// As written.
        name: String,
        /// Full names.
        choices: Vec<String>,
    },
    /// A pattern or set that holds nothing.
    #[error("{name:?} {why}")]
    Nothing {
        /// As written.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// The name of a ladder, among others.
    #[error("{name:?} is a ladder and stands alone, in place of all steps")]
    WholeLadder {
        /// As written.
        name: String,
    },
    /// No steps, or a step with nothing in it.
    #[error("a ladder needs at least one model in every step")]
    Empty,
    /// More steps than an item can climb.
    #[error("a ladder has at most {max} steps, this one has {n_steps}", max = Ladder::MAX_STEPS)]
    TooLong {
        /// Steps as written.
        n_steps: usize,
    },
}

/// A name that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `provider/model`.
    pub name: String,
    /// Whether the catalog lists it.
    pub listed: bool,
    /// The listed name nearest to one that is not.
    pub suggestion: Option<String>,
}

impl Catalog {
    /// The same with ladders that go by names.
    pub fn with_ladders(mut self, ladders: BTreeMap<String, Vec<Vec<String>>>) -> Catalog {
        self.ladders = ladders;
        self
    }

    /// The ladders that go by names, as they were written; [`AUTO`] is among those of a config.
    pub fn ladders(&self) -> &BTreeMap<String, Vec<Vec<String>>> {
        &self.ladders
    }

    /// The ladder these steps mean, or everything that is wrong with them.
    pub fn resolve(&self, steps: &[Vec<String>], now: Timestamp) -> Result<Resolved, Vec<LadderError>> {
        let steps = match steps {
            [step] if step.len() == 1 => self.ladders.get(step[0].trim()).map_or(steps, Vec::as_slice),
            _ => steps,
        };
        let mut resolved = Resolved::default();
        let mut errors = Vec::new();
        let mut empty_sets = Vec::new();
        for step in steps {
            let mut names = BTreeSet::new();
            for entry in step {
                match self.entry(entry, now, &mut resolved.notes) {
                    Ok(found) => names.extend(found),
                    Err(error @ LadderError::Nothing { .. }) if entry.starts_with('@') => {
                        empty_sets.push(error);
                    }
                    Err(error) => errors.push(error),
                }
            }
            if !names.is_empty() {
                resolved.ladder.0.push(names.into_iter().collect());
            } else if step.is_empty() {
                errors.push(LadderError::Empty);
            }
        }
        self.judge(resolved, errors, empty_sets)
    }

    /// A set without models only leaves its step out, as long as another step has some.
    fn judge(
        &self,
        mut resolved: Resolved,
        mut errors: Vec<LadderError>,
        empty_sets: Vec<LadderError>,
    ) -> Result<Resolved, Vec<LadderError>> {
        let n_steps = resolved.ladder.0.len();
        if n_steps == 0 && errors.is_empty() {
            errors.extend(empty_sets.into_iter().take(1));
            if errors.is_empty() {
                errors.push(LadderError::Empty);
            }
        } else {
            resolved.notes.extend(empty_sets.iter().map(LadderError::to_string));
        }
        if n_steps > Ladder::MAX_STEPS {
            errors.push(LadderError::TooLong { n_steps });
        }
        if errors.is_empty() { Ok(resolved) } else { Err(errors) }
    }

    fn entry(
        &self,
        entry: &str,
        now: Timestamp,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>, LadderError> {
        let entry = entry.trim();
        if let Some(set) = entry.strip_prefix('@') {
            return self.set(set, now);
        }
        if entry.contains(['*', '?']) {
            return self.glob(entry, now);
        }
        let found = self.find(entry).map_err(|error| match self.ladders.contains_key(entry) {
            true => LadderError::WholeLadder { name: entry.to_owned() },
            false => error,
        })?;
        notes.extend(self.note(&found, now));
        Ok(vec![found.name])
    }

    /// The model a name means.
    pub fn find(&self, name: &str) -> Result<Found, LadderError> {
        let name = name.trim();
        if let Some((prefix, model)) = name.split_once('/')
            && let Some(provider) = self.provider(prefix)
            && !model.is_empty()
        {
            let full = format!("{}/{model}", provider.name);
            let listed = self.known(&provider.name, model).is_some();
            let suggestion = if listed { None } else { self.suggestion(&full) };
            return Ok(Found { name: full, listed, suggestion });
        }
        self.find_bare(name)
    }

    /// A model named without its provider: the one that can be used, or the only one.
    fn find_bare(&self, name: &str) -> Result<Found, LadderError> {
        let serving: Vec<Model> =
            self.providers.keys().filter_map(|provider| self.known(provider, name)).collect();
        let usable: Vec<&Model> =
            serving.iter().filter(|model| self.provider_of(model).unusable().is_none()).collect();
        match (usable.as_slice(), serving.as_slice()) {
            (&[one], _) | ([], [one]) => Ok(Found { name: one.full_name(), listed: true, suggestion: None }),
            (_, []) => Err(LadderError::Unknown { name: name.to_owned(), suggestion: self.suggestion(name) }),
            ([], _) if self.by_plain_name(&serving).len() == 1 => {
                let name = self.by_plain_name(&serving)[0].full_name();
                Ok(Found { name, listed: true, suggestion: None })
            }
            _ => {
                let choices = serving.iter().map(Model::full_name).collect();
                Err(LadderError::Ambiguous { name: name.to_owned(), choices })
            }
        }
    }

    /// Those whose name is the model's own, rather than one the user gave a deployment.
    fn by_plain_name<'a>(&self, models: &'a [Model]) -> Vec<&'a Model> {
        let deployed = |model: &Model| self.provider_of(model).resource_name.is_some();
        models.iter().filter(|model| !deployed(model)).collect()
    }

    /// The listed name nearest to `name`, with or without its provider.
    fn suggestion(&self, name: &str) -> Option<String> {
        let full = names::nearest(name, self.models.keys().map(String::as_str));
        let bare = || {
            let last = name.split_once('/').map_or(name, |(_, model)| model);
            let near = names::nearest(last, self.models.values().map(|model| &*model.name))?;
            let named = self.models.values().filter(|model| &*model.name == near);
            let rank = |model: &&Model| {
                let provider = self.provider_of(model);
                (provider.unusable().is_some(), provider.resource_name.is_some())
            };
            named.min_by_key(rank).map(Model::full_name)
        };
        full.map(str::to_owned).or_else(bare)
    }

    /// What is worth a word about a name that was taken.
    fn note(&self, found: &Found, now: Timestamp) -> Option<String> {
        let name = &found.name;
        let known = name.split_once('/').and_then(|(provider, model)| self.known(provider, model));
        match known {
            Some(model) => retirement(&model, now).or_else(|| self.snapshot(name)),
            None => self.unlisted(name, found.suggestion.as_deref(), now),
        }
    }

    /// A dated snapshot has the price of its model until it is listed by itself.
    fn snapshot(&self, name: &str) -> Option<String> {
        let listed = self.models.contains_key(name) || self.aliases.contains_key(name);
        let stem = names::without_date(name).filter(|_| !listed)?;
        Some(format!("{name} is not in the catalog and taken at the price of {stem}"))
    }

    fn unlisted(&self, name: &str, suggestion: Option<&str>, now: Timestamp) -> Option<String> {
        let priced = self.route(name, now)?.prices.is_some();
        if priced && suggestion.is_none() {
            return None;
        }
        let unpriced = if priced { "" } else { ", its price is unknown" };
        Some(format!("{name} is not in the catalog{unpriced}{}", names::did_you_mean(suggestion)))
    }

    fn set(&self, set: &str, now: Timestamp) -> Result<Vec<String>, LadderError> {
        let name = format!("@{set}");
        let members: Vec<&Model> =
            self.models.values().filter(|model| model.set.as_deref() == Some(set)).collect();
        if members.is_empty() {
            return Err(LadderError::Unknown { name, suggestion: Some("@small or @large".to_owned()) });
        }
        let usable = members
            .iter()
            .filter(|model| self.provider_of(model).unusable().is_none() && !model.is_retired(now));
        let names: Vec<String> = usable.map(|model| model.full_name()).collect();
        if names.is_empty() {
            return Err(LadderError::Nothing { name, why: self.no_keys() });
        }
        Ok(names)
    }

    fn no_keys(&self) -> String {
        "is empty: no provider with a key serves such a model; set a key such as OPENAI_API_KEY \
         (see `overnight providers`), or name models yourself"
            .to_owned()
    }

    fn glob(&self, pattern: &str, now: Timestamp) -> Result<Vec<String>, LadderError> {
        let nothing = |why: String| LadderError::Nothing { name: pattern.to_owned(), why };
        let matching = self.models.values().filter(|model| {
            let subject = if pattern.contains('/') { model.full_name() } else { model.name.to_string() };
            glob_matches(pattern.as_bytes(), subject.as_bytes())
        });
        let alive: Vec<&Model> = matching.filter(|model| !model.is_retired(now)).collect();
        let Some(first) = alive.first() else {
            return Err(nothing("matches no model in the catalog; `overnight models` lists them".to_owned()));
        };
        let unusable = |model: &Model| self.provider_of(model).unusable();
        let names: Vec<String> =
            alive.iter().filter(|model| unusable(model).is_none()).map(|model| model.full_name()).collect();
        if names.is_empty() {
            let why = unusable(first).unwrap_or_default();
            return Err(nothing(format!(
                "matches only models that cannot be used: {}: {why}",
                first.full_name()
            )));
        }
        Ok(names)
    }
}

/// A retirement this near is worth a word at submit.
const RETIRES_SOON_DAYS: i64 = 60;

fn retirement(model: &Model, now: Timestamp) -> Option<String> {
    let day = model.retires?;
    let name = model.full_name();
    if model.is_retired(now) {
        return Some(format!("{name} was retired on {day}"));
    }
    let soon = day <= now.utc().date_naive() + TimeDelta::days(RETIRES_SOON_DAYS);
    soon.then(|| format!("{name} will be retired on {day}"))
}

/// `*` is any run of characters, `?` any one; linear, with one step back to the last star.
pub(crate) fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn resolve(catalog: &Catalog, steps: &[&[&str]]) -> Result<Resolved, Vec<LadderError>> {
        let steps: Vec<Vec<String>> =
            steps.iter().map(|step| step.iter().map(|&name| name.to_owned()).collect()).collect();
        catalog.resolve(&steps, now())
    }

    fn ladder(catalog: &Catalog, steps: &[&[&str]]) -> String {
        resolve(catalog, steps).unwrap().ladder.to_string()
    }

    fn error(catalog: &Catalog, name: &str) -> String {
        resolve(catalog, &[&[name]]).unwrap_err()[0].to_string()
    }

    #[test]
    fn a_name_may_leave_its_provider_out() {
        let catalog = with_keys(&["openai"]);
        assert_eq!(
            ladder(&catalog, &[&["gpt-5-mini"], &["openai/gpt-5.5"]]),
            "openai/gpt-5-mini > openai/gpt-5.5"
        );
        assert_eq!(ladder(&catalog, &[&["dashscope/qwen-plus"]]), "qwen/qwen-plus");
    }

    #[test]
    fn the_provider_with_a_key_is_meant() {
        let shared = "openai/gpt-oss-120b";
        assert_eq!(with_keys(&["groq"]).find_bare(shared).unwrap().name, "groq/openai/gpt-oss-120b");
        let both = with_keys(&["groq", "together"]).find_bare(shared).unwrap_err();
        // OpenRouter and Together list it too; a choice is for the user to make.
        assert!(matches!(both, LadderError::Ambiguous { choices, .. } if choices.len() == 3));
        // A deployment on Azure may be named anything: without keys the vendor's own is meant.
        assert_eq!(with_keys(&[]).find_bare("gpt-5-mini").unwrap().name, "openai/gpt-5-mini");
    }

    const TOGETHER: &str = "together/Qwen/Qwen3.7-Max|together/Qwen/Qwen3.7-Plus|\
         together/moonshotai/Kimi-K2.6|together/moonshotai/Kimi-K2.7-Code|together/openai/gpt-oss-120b|\
         together/openai/gpt-oss-20b|together/zai-org/GLM-5|together/zai-org/GLM-5.1|together/zai-org/GLM-5.2";

    #[test]
    fn a_wrong_name_brings_the_nearest() {
        let catalog = with_keys(&["openai"]);
        assert_eq!(
            error(&catalog, "gpt5-mini"),
            "no provider serves \"gpt5-mini\" (did you mean openai/gpt-5-mini?)"
        );
        assert!(error(&catalog, "opnai/gpt-5-mini").ends_with("(did you mean openai/gpt-5-mini?)"));
    }

    #[test]
    fn unlisted_models_are_taken_with_a_word_about_their_price() {
        let catalog = with_keys(&["openai"]);
        let resolved = resolve(&catalog, &[&["vllm/my-model"], &["openai/gpt-5-mini-next"]]).unwrap();
        assert_eq!(resolved.ladder.to_string(), "vllm/my-model > openai/gpt-5-mini-next");
        let expected = "openai/gpt-5-mini-next is not in the catalog, its price is unknown";
        assert_eq!(resolved.notes.len(), 1, "a local model is free: {:?}", resolved.notes);
        assert!(resolved.notes[0].starts_with(expected), "{:?}", resolved.notes);
    }

    #[test]
    fn a_dated_snapshot_is_taken_with_a_word_about_its_price() {
        let resolved = resolve(&with_keys(&["openai"]), &[&["gpt-5.4-mini-2026-03-17"]]).unwrap();
        assert_eq!(resolved.ladder.to_string(), "openai/gpt-5.4-mini-2026-03-17");
        let expected = "openai/gpt-5.4-mini-2026-03-17 is not in the catalog and taken at the price of openai/gpt-5.4-mini";
        assert_eq!(resolved.notes, [expected]);
    }

    #[test]
    fn patterns_match_living_models_of_providers_with_keys() {
        let catalog = with_keys(&["openai", "together"]);
        let minis = "openai/gpt-4.1-mini|openai/gpt-4o-mini|openai/gpt-5-mini|openai/gpt-5.4-mini";
        assert_eq!(ladder(&catalog, &[&["openai/*-mini"]]), minis);
        assert_eq!(ladder(&catalog, &[&["together/*"]]), TOGETHER); // others are retired
        assert!(error(&catalog, "openai/*-max").contains("matches no model"));
        assert!(error(&catalog, "deepseek/*").contains("set DEEPSEEK_API_KEY"));
    }

    #[test]
    fn sets_hold_models_of_providers_with_keys_and_never_the_simulated_one() {
        let catalog = with_keys(&["openai", "deepseek"]);
        let default: &[&[&str]] = &[&["@small"], &["@large"]];
        assert_eq!(
            ladder(&catalog, default),
            "deepseek/deepseek-flash|openai/gpt-5.6-luna > deepseek/deepseek-v4-pro|openai/gpt-5.6-terra"
        );
        let groq = resolve(&with_keys(&["groq"]), default).unwrap();
        assert_eq!(groq.ladder.to_string(), "groq/openai/gpt-oss-120b");
        assert!(groq.notes[0].starts_with("\"@large\" is empty"));
        // The simulated provider needs no key and must not be what real work falls to.
        let none = resolve(&with_keys(&[]), default).unwrap_err();
        assert_eq!(none.len(), 1);
        assert!(none[0].to_string().contains("set a key such as OPENAI_API_KEY"));
    }

    #[test]
    fn a_model_about_to_retire_is_mentioned() {
        let notes = resolve(&with_keys(&["openai"]), &[&["gpt-5-mini"]]).unwrap().notes;
        assert_eq!(notes, ["openai/gpt-5-mini will be retired on 2026-12-11"]);
    }

    #[test]
    fn a_ladder_has_one_to_fifteen_steps() {
        let catalog = with_keys(&["openai"]);
        assert_eq!(resolve(&catalog, &[]), Err(vec![LadderError::Empty]));
        assert_eq!(resolve(&catalog, &[&["gpt-5-mini"], &[]]), Err(vec![LadderError::Empty]));
        let steps: Vec<&[&str]> = vec![&["gpt-5-mini"]; 16];
        assert_eq!(resolve(&catalog, &steps), Err(vec![LadderError::TooLong { n_steps: 16 }]));
    }

    #[test]
    fn every_error_is_reported_together() {
        let errors = resolve(&with_keys(&["openai"]), &[&["foo"], &["bar", "gpt-5-mini"]]).unwrap_err();
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn globs_step_back_to_the_last_star() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b?c", "abbbc", true),
            ("a?", "a", false),
            ("*-mini", "gpt-5-mini-x", false),
        ] {
            assert_eq!(glob_matches(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
    }
}
