//! `overnight providers`: who can be reached, with which key.

use std::fmt::Display;

use chrono::TimeZone;
use serde::Serialize;

use super::{clock, columns, in_words, next_price_change};
use crate::catalog::endpoint::Auth;
use crate::catalog::model::Model;
use crate::catalog::provider::{Key, Provider};
use crate::catalog::{Catalog, Limits, PriceTable};
use crate::clock::Timestamp;
use crate::ledger::Drawn;
use crate::view::AllowanceView;

/// All providers, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProvidersShown {
    /// `overnight.providers/1`.
    pub schema: &'static str,
    /// Those that can be used first, then by name.
    pub providers: Vec<ProviderRow>,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderRow {
    /// Its name in the config and in front of its models.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// `ready`, `no key`, `no address`, `lane off` or `prices only`; of a local one that can be asked,
    /// `running` or `not running`. `providers check` puts what it found in its place.
    pub state: String,
    /// Where its key is from.
    pub key: Option<String>,
    /// Models listed.
    pub models: usize,
    /// Its address.
    pub base_url: Option<String>,
    /// Ceilings of the account, in words.
    pub limits: Option<String>,
    /// Name of its present price window, where prices vary.
    pub price_window: Option<String>,
    /// The window that opens next.
    pub next_window: Option<String>,
    /// When it does.
    #[serde(serialize_with = "super::rfc3339::option")]
    pub next_window_at: Option<Timestamp>,
    /// What its account gives for nothing, and what is left of it.
    pub allowance: Option<AllowanceView>,
    /// What to do where it cannot be used.
    pub hint: Option<String>,
    /// The command that starts a local one.
    pub start: Option<String>,
    /// What is not confirmed, or good to know.
    pub note: Option<String>,
    /// What `providers check` found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// What asking a provider for its models came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// How long the answer took.
    pub ping_ms: u64,
    /// Models it lists for this key.
    pub models: Option<usize>,
    /// Models of the table that it lists no more.
    pub gone: Vec<String>,
    /// How far this machine's clock is ahead of its.
    pub clock_ahead_ms: Option<i64>,
    /// Limits it stated, in words.
    pub limits: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// A clock that is off by less is no trouble: times of requests are for people, and limits renew slowly.
const CLOCK_OFF_MS: i64 = 5_000;

/// Names of models that are shown; the others are counted.
const MOST_NAMES: usize = 3;

impl ProviderRow {
    /// Puts what asking came to in the place of what was known before.
    pub fn set_found(&mut self, state: &str, found: Found) {
        state.clone_into(&mut self.state);
        self.found = Some(found);
    }
}

impl Found {
    /// What there is to say beside that it answers.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = vec![format!("ping {}ms", self.ping_ms)];
        remarks.extend(self.limits.clone());
        if !self.gone.is_empty() {
            let more = self.gone.len().saturating_sub(MOST_NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let names = &self.gone[..self.gone.len().min(MOST_NAMES)];
            remarks.push(format!("lists no more: {}{more}", names.join(", ")));
        }
        if let Some(ahead) = self.clock_ahead_ms.filter(|ahead| ahead.abs() >= CLOCK_OFF_MS) {
            let side = if ahead > 0 { "ahead of" } else { "behind" };
            remarks.push(format!("this clock is {}s {side} theirs", ahead.abs() / 1_000));
        }
        remarks
    }
}

/// All providers.
pub fn providers(catalog: &Catalog, now: Timestamp) -> ProvidersShown {
    let mut rows: Vec<ProviderRow> =
        catalog.providers().map(|provider| row(catalog, provider, now)).collect();
    rows.sort_by_key(|row| (row.hint.is_some(), row.name.clone()));
    ProvidersShown { schema: "overnight.providers/1", providers: rows }
}

fn row(catalog: &Catalog, provider: &Provider, now: Timestamp) -> ProviderRow {
    let here = |model: &&Model| model.provider == provider.name && !model.is_retired(now);
    let models = || catalog.models().filter(here);
    let tables = models().filter_map(|model| model.prices.as_ref());
    let varying = tables.into_iter().find(|table| next_price_change(table, now).is_some());
    let next_at = varying.and_then(|table| next_price_change(table, now));
    let window = |table: &PriceTable, at| table.at(at).0.to_string();
    ProviderRow {
        name: provider.name.to_string(),
        title: provider.title.clone(),
        state: state(provider).to_owned(),
        key: key(provider),
        models: models().count(),
        base_url: provider.url(),
        limits: limits(&provider.limits),
        price_window: varying.map(|table| window(table, now)),
        next_window: varying.zip(next_at).map(|(table, at)| window(table, at)),
        next_window_at: next_at,
        allowance: provider
            .allowance
            .as_ref()
            .and_then(|given| AllowanceView::of(&provider.name, given, &Drawn::default(), now)),
        hint: provider.unusable(),
        start: provider.start.clone(),
        note: provider.note.clone(),
        found: None,
    }
}

fn state(provider: &Provider) -> &'static str {
    match provider.unusable() {
        None => "ready",
        Some(_) if !provider.family.has_adapter() => "prices only",
        Some(_) if !provider.has_key() => "no key",
        Some(_) if provider.url().is_none() => "no address",
        Some(_) => "lane off",
    }
}

fn key(provider: &Provider) -> Option<String> {
    match &provider.key {
        Key::Found(_, name) if provider.auth != Auth::None => Some(name.clone()),
        _ => None,
    }
}

/// `5,000 rpm / 4M tpm / 64 at a time`.
fn limits(limits: &Limits) -> Option<String> {
    let rate =
        |limit: Option<u64>, unit: &str| limit.map(|limit| format!("{} {unit}", super::tokens(Some(limit))));
    let parts = [
        rate(limits.rpm, "rpm"),
        rate(limits.tpm, "tpm"),
        rate(limits.input_tpm, "input tpm"),
        rate(limits.output_tpm, "output tpm"),
        limits.concurrency.map(|limit| format!("{limit} at a time")),
    ];
    let stated: Vec<String> = parts.into_iter().flatten().collect();
    (!stated.is_empty()).then(|| stated.join(" / "))
}

impl ProvidersShown {
    /// A table; times in `zone`.
    pub fn text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let rows = self.providers.iter().map(|row| {
            vec![
                row.name.clone(),
                row.state.clone(),
                row.key.clone().unwrap_or_else(|| "-".to_owned()),
                match row.found.as_ref().and_then(|found| found.models).unwrap_or(row.models) {
                    0 if row.found.is_some() => "no models".to_owned(),
                    0 => "any model".to_owned(),
                    1 => "1 model".to_owned(),
                    n => format!("{n} models"),
                },
                row.remark(now, zone),
            ]
        });
        columns(&["PROVIDER", "STATE", "KEY", "MODELS", ""], rows.collect(), &[])
    }
}

impl ProviderRow {
    /// `off-peak opens 10:00 UTC (in 1h48m)`; empty where prices do not vary.
    pub fn window_text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        match (&self.next_window, self.next_window_at) {
            (Some(window), Some(at)) => {
                format!("{window} opens {} (in {})", clock(at, now, zone), in_words(at.since(now)))
            }
            _ => String::new(),
        }
    }

    fn remark<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        if let Some(hint) = &self.hint {
            return hint.clone();
        }
        if let Some(problem) = self.found.as_ref().and_then(|found| found.problem.as_ref()) {
            let start = self.start.as_ref().map(|start| format!("; start it with `{start}`"));
            return format!("{problem}{}", start.unwrap_or_default());
        }
        let window = Some(self.window_text(now, zone)).filter(|text| !text.is_empty());
        let free = self.allowance.as_ref().map(|view| free(view, now, zone));
        let parts = [window, free, self.limits.clone(), self.base_url.clone()].into_iter().flatten();
        let found = self.found.iter().flat_map(Found::remarks);
        parts.chain(found).collect::<Vec<_>>().join("   ")
    }
}

/// `950 requests left free (renews 00:00 UTC)`.
fn free<Z: TimeZone>(view: &AllowanceView, now: Timestamp, zone: &Z) -> String
where
    Z::Offset: Display,
{
    let renews = view.renews_at.map(|at| format!(" (renews {})", clock(at, now, zone)));
    format!("{} left free{}", left(view), renews.unwrap_or_default())
}

/// What is left of an allowance: `950 requests and 4M tokens`.
pub fn left(view: &AllowanceView) -> String {
    let parts = [
        view.requests_left.map(|n| format!("{} requests", super::tokens(Some(n)))),
        view.tokens_left.map(|n| format!("{} tokens", super::tokens(Some(n)))),
        view.left_usd.map(|amount| format!("${amount:.2}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;

    #[test]
    fn what_a_check_found_is_said_where_it_matters() {
        let names = |n: usize| (0..n).map(|n| format!("m{n}")).collect();
        let found = Found { ping_ms: 7, clock_ahead_ms: Some(-4_000), gone: names(1), ..Found::default() };
        assert_eq!(found.remarks(), ["ping 7ms", "lists no more: m0"]);
        let found = Found { ping_ms: 7, clock_ahead_ms: Some(-42_500), gone: names(5), ..Found::default() };
        assert_eq!(
            found.remarks(),
            ["ping 7ms", "lists no more: m0, m1, m2 and 2 more", "this clock is 42s behind theirs"]
        );
    }

    #[test]
    fn those_that_can_be_used_come_first_and_the_others_say_why_not() {
        let now = "2026-11-23T08:12:00Z".parse().unwrap();
        let shown = providers(&with_keys(&["deepseek"]), now);
        let text = shown.text(now, &chrono::Utc);
        let line = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            line("deepseek"),
            "deepseek ready DEEPSEEK_API_KEY 2 models off-peak opens 10:00 UTC (in 1h48m) https://api.deepseek.com"
        );
        assert_eq!(line("openai"), "openai no key - 22 models set OPENAI_API_KEY");
        assert_eq!(line("ollama"), "ollama ready - any model 4 at a time http://127.0.0.1:11434/v1");
        assert!(line("bedrock").contains("prices only"));
        assert!(line("anthropic").contains("set ANTHROPIC_API_KEY"));
        assert!(text.find("deepseek") < text.find("anthropic"));
        assert!(!text.contains("canary"));
        let openrouter = providers(&with_keys(&["openrouter"]), now).text(now, &chrono::Utc);
        assert!(openrouter.contains("50 requests left free (renews "), "{openrouter}");
        assert_eq!(serde_json::to_value(&shown).unwrap()["schema"], "overnight.providers/1");
    }
}
