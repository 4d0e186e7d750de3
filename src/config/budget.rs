//! `[budget]`: what the whole process and each tag may spend, and who is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;

use super::reader::{self, Log, Parsed, Section};
use super::secrets;
use super::source::Value;
use crate::catalog::endpoint::Secret;
use crate::catalog::hours::parse_zone;
use crate::ledger::{Caps, Limits, Zone};
use crate::money::Usd;
use crate::webhook;

/// What may be spent, and who is told.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// By everything in one calendar day.
    pub day: Option<Usd>,
    /// By everything in one calendar month.
    pub month: Option<Usd>,
    /// By what carries a tag, `key=value`.
    pub tags: BTreeMap<String, Caps>,
    /// The zone of days and months; the machine's where absent.
    pub tz: Option<Tz>,
    /// Shares of a budget, in percent, at which a person is told.
    pub alerts: Option<Vec<u8>>,
    /// Where alerts are posted.
    pub webhook: Option<Webhook>,
}

/// Where alerts are posted, and what signs them.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The secret both sides know.
    pub secret: Option<Secret>,
}

impl Budget {
    /// What the ledger is to keep to, on a machine in this zone.
    pub fn limits(&self, machine: Tz) -> Limits {
        let tags = self.tags.iter().map(|(tag, caps)| (Arc::from(tag.as_str()), *caps));
        Limits {
            zone: Zone(self.tz.unwrap_or(machine)),
            process: Caps { day: self.day, month: self.month, total: None },
            tags: tags.collect(),
            alerts: self.alerts.clone().unwrap_or_else(|| Limits::ALERTS.to_vec()),
        }
    }
}

pub(super) fn budget(section: &mut Section<'_>, env: &BTreeMap<String, String>, log: &mut Log) -> Budget {
    let budget = Budget {
        day: section.get("day", log, reader::money),
        month: section.get("month", log, reader::money),
        tz: section
            .get("tz", log, |value| parse_zone(&reader::text(value)?).map_err(|error| error.to_string())),
        alerts: section.get("alerts", log, alerts),
        webhook: hook(section, env, log),
        tags: tags(section, log),
    };
    section.finish(log);
    budget
}

fn tags(section: &mut Section<'_>, log: &mut Log) -> BTreeMap<String, Caps> {
    let mut tags = BTreeMap::new();
    for (tag, mut of_tag) in section.named("tags", log) {
        let (key, value) = tag.split_once('=').unwrap_or_default();
        if key.is_empty() || value.is_empty() {
            of_tag.problem("", "a tag is written as \"key=value\", like \"team=search\"", log);
        }
        let caps = Caps {
            day: of_tag.get("day", log, reader::money),
            month: of_tag.get("month", log, reader::money),
            total: of_tag.get("total", log, reader::money),
        };
        of_tag.finish(log);
        tags.insert(tag, caps);
    }
    tags
}

pub(super) fn hook(
    section: &mut Section<'_>,
    env: &BTreeMap<String, String>,
    log: &mut Log,
) -> Option<Webhook> {
    let url = section.get("webhook", log, |value| {
        let written = reader::text(value)?;
        webhook::check_address(&written).map(|()| written)
    });
    let reference =
        section.get("webhook_secret", log, |value| secrets::reference(value, "OVERNIGHT_WEBHOOK_SECRET"));
    let secret = match reference.map(|reference| reference.resolve(env)) {
        Some(Ok(found)) => Some(found.secret),
        // Unsigned alerts would be dropped by whoever checks them, so it is no matter of "not set yet".
        Some(Err(error)) => {
            section.problem("webhook_secret", error.to_string(), log);
            None
        }
        None => None,
    };
    if let Some(secret) = &secret
        && let Err(error) = webhook::check_secret(secret)
    {
        section.problem("webhook_secret", error, log);
    }
    url.map(|url| Webhook { url, secret })
}

/// `["50%", "80%", "100%"]`, in any order; none where it is empty.
fn alerts(value: &Value) -> Parsed<Vec<u8>> {
    let percent = |word: &String| {
        let number = word.strip_suffix('%').and_then(|digits| digits.trim().parse::<u8>().ok());
        let wrong = || format!("{word:?} is not a share of a budget; write it like \"80%\", up to \"100%\"");
        number.filter(|number| (1..=100).contains(number)).ok_or_else(wrong)
    };
    let mut alerts: Vec<u8> = reader::texts(value)?.iter().map(percent).collect::<Parsed<_>>()?;
    alerts.sort_unstable();
    alerts.dedup();
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs, parse};

    fn read(text: &str) -> Result<Config, String> {
        let env = [("HOOK", "whsec_c2VjcmV0"), ("BENT", "whsec_***")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let inputs = Inputs { file: None, cwd: std::path::Path::new("/srv"), env: &env, flags: &[] };
        parse(text, &inputs).map_err(|error| error.to_string())
    }

    #[test]
    fn budgets_of_the_process_and_of_tags() {
        let text = r#"
            [budget]
            day = "$20"
            tz = "Europe/Berlin"
            alerts = ["100%", "90%"]
            webhook = "https://example.org/hook"
            webhook_secret = "env:HOOK"
            [budget.tags."team=search"]
            day = "$5"
            total = "$100"
        "#;
        let budget = read(text).unwrap().budget;
        let limits = budget.limits(Tz::UTC);
        let usd = |text: &str| Some(text.parse().unwrap());
        assert_eq!(limits.process, Caps { day: usd("$20"), month: None, total: None });
        let search = Caps { day: usd("$5"), month: None, total: usd("$100") };
        assert_eq!(limits.tags, [(Arc::from("team=search"), search)].into());
        assert_eq!((limits.zone.0, limits.alerts), (Tz::Europe__Berlin, vec![90, 100]));
        assert!(budget.webhook.unwrap().secret.is_some());
        let usual = read("").unwrap().budget.limits(Tz::Asia__Tokyo);
        assert_eq!((usual.zone.0, usual.alerts, usual.tags.len()), (Tz::Asia__Tokyo, vec![50, 80, 100], 0));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (text, words) in [
            ("[budget.tags.search]\nday = \"$1\"", "key=value"),
            ("[budget.tags.\"team=search\"]\ndya = \"$1\"", "did you mean `day`?"),
            ("[budget]\nalerts = [\"120%\"]", "120%"),
            ("[budget]\nalerts = [\"0.5\"]", "0.5"),
            ("[budget]\nwebhook = \"http://example.org/\"", "https"),
            ("[budget]\nwebhook_secret = \"env:GONE\"", "set GONE"),
            ("[budget]\nwebhook_secret = \"env:BENT\"", "whsec_"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
