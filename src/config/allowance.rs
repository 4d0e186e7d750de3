//! `[providers.NAME.free]`: what an account gives for nothing.

use chrono_tz::Tz;

use super::reader::{self, Log, Section};
use crate::catalog::hours::parse_zone;
use crate::catalog::{Allowance, Per};

const MOST: u64 = 1_000_000_000_000;

/// Reads the table, where `free` is one and no plain `true` or `false`.
pub(super) fn allowance(provider: &mut Section<'_>, log: &mut Log) -> Option<Allowance> {
    if !provider.is_table("free") {
        return None;
    }
    let mut section = provider.section("free", log);
    let allowance = Allowance {
        requests: section.get("requests", log, reader::whole(1, MOST)),
        tokens: section.get("tokens", log, reader::whole(1, MOST)),
        money: section.get("usd", log, reader::money),
        per: section.get("per", log, reader::one_of(Per::WORDS)).unwrap_or(Per::Once),
        zone: section
            .get("tz", log, |value| parse_zone(&reader::text(value)?).map_err(|error| error.to_string()))
            .unwrap_or(Tz::UTC),
        expires: section.get("expires", log, |value| {
            let written = reader::text_or_date(value)?;
            written.parse().map_err(|_| format!("{written:?} is not a date; write it like \"2026-12-31\""))
        }),
        models: section.get("models", log, reader::texts).unwrap_or_default(),
    };
    let says_how_much = ["requests", "tokens", "usd"].into_iter().any(|key| section.has(key));
    if !says_how_much {
        section.problem("", "say how much: requests = 1000, tokens = 1_000_000 or usd = \"$5\"", log);
    }
    if !section.has("per") {
        section.problem("", "say how often it is given: per = \"day\", \"month\" or \"once\"", log);
    }
    section.finish(log);
    Some(allowance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs, parse};
    use crate::money::Usd;

    fn read(text: &str) -> Result<Config, String> {
        let env = [].into();
        let inputs = Inputs { file: None, cwd: std::path::Path::new("/srv"), env: &env, flags: &[] };
        parse(text, &inputs).map_err(|error| error.to_string())
    }

    fn given(name: &str, text: &str) -> Option<Allowance> {
        read(text).unwrap().catalog.provider(name).unwrap().allowance.clone()
    }

    #[test]
    fn everything_that_is_given_for_nothing() {
        let text = r#"
            [providers.sim.free]
            requests = 1_000
            tokens = 250_000
            usd = "$5"
            per = "month"
            tz = "America/Los_Angeles"
            expires = 2026-12-31
            models = ["small*", "large"]
        "#;
        let expected = Allowance {
            requests: Some(1_000),
            tokens: Some(250_000),
            money: Some(Usd::from_pico(5_000_000_000_000)),
            per: Per::Month,
            zone: Tz::America__Los_Angeles,
            expires: "2026-12-31".parse().ok(),
            models: vec!["small*".to_owned(), "large".to_owned()],
        };
        assert_eq!(given("sim", text), Some(expected));
        assert_eq!(given("sim", "[providers.sim]\nfree = true"), None);
        assert!(read("[providers.sim]\nfree = true").unwrap().catalog.provider("sim").unwrap().free);
    }

    #[test]
    fn the_users_word_stands_in_place_of_the_bundled_one() {
        let bundled = given("openrouter", "").unwrap();
        assert_eq!((bundled.requests, bundled.per, &*bundled.models[0]), (Some(50), Per::Day, "*:free"));
        let own = given("openrouter", "[providers.openrouter.free]\nrequests = 1000\nper = \"day\"").unwrap();
        assert_eq!((own.requests, own.models.len()), (Some(1_000), 0));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (lines, words) in [
            ("per = \"day\"", "say how much"),
            ("requests = 5", "say how often"),
            ("requests = 0\nper = \"day\"", "whole number"),
            ("usd = 5\nper = \"once\"", "write \"$5\""),
            ("requests = 5\nper = \"week\"", "day, month, once"),
            ("requests = 5\nper = \"day\"\ntz = \"Mars/Base\"", "Mars/Base"),
            ("requests = 5\nper = \"day\"\nexpires = \"soon\"", "not a date"),
            ("request = 5\nper = \"day\"", "did you mean `requests`?"),
        ] {
            let error = read(&format!("[providers.sim.free]\n{lines}")).unwrap_err();
            assert!(error.contains(words), "{lines}: {error}");
        }
    }
}
