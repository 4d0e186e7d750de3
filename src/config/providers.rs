//! `[providers.NAME]`: built-in ones changed, and the user's own.

use std::collections::BTreeMap;

use super::allowance::allowance;
use super::batch::batch;
use super::hours;
use super::reader::{self, Log, Parsed, Section};
use super::secrets::{self, Reference};
use super::sections::Places;
use super::source::Value;
use crate::catalog::endpoint::{Auth, Header, Secret};
use crate::catalog::provider::{Family, Key, Provider};
use crate::catalog::settings::ProviderSettings;
use crate::catalog::{Catalog, Limits, names, words};
use crate::job::Wire;

const LANES: [&str; 3] = ["realtime", "flex", "batch"];

/// What the config says of providers, and the keys the environment holds for the others.
pub(super) fn read(
    root: &mut Section<'_>,
    bundled: &Catalog,
    places: &Places<'_>,
    log: &mut Log,
) -> BTreeMap<String, ProviderSettings> {
    let mut all = BTreeMap::new();
    for (written, mut section) in root.named("providers", log) {
        let known = bundled.provider(&written);
        let name = known.map_or(written, |provider| provider.name.to_string());
        let settings = one(&mut section, &name, known, places, log);
        section.finish(log);
        if all.insert(name, settings).is_some() {
            section.problem("", "the same provider is already given under another name", log);
        }
    }
    for provider in bundled.providers() {
        let settings = all.entry(provider.name.to_string()).or_default();
        from_environment(settings, provider, places.inputs.env);
    }
    all
}

fn one(
    section: &mut Section<'_>,
    name: &str,
    known: Option<&Provider>,
    places: &Places<'_>,
    log: &mut Log,
) -> ProviderSettings {
    let env = places.inputs.env;
    let example = known.and_then(|provider| provider.key_names.first());
    let example =
        example.cloned().unwrap_or_else(|| format!("{}_API_KEY", name.to_uppercase().replace('-', "_")));
    let key: Option<Reference> = section.get("api_key", log, |value| secrets::reference(value, &example));
    // A key that is given is there to be sent, to a provider that usually wants none, too.
    let wants_none = known.is_some_and(|provider| provider.auth == Auth::None);
    let by_key = (wants_none && key.is_some()).then_some(Auth::Bearer);
    let settings = ProviderSettings {
        configured: true,
        family: section.get("kind", log, family),
        base_url: section.get("base_url", log, base_url),
        resource: section.get("resource", log, resource),
        auth: section.get("auth", log, auth).or(by_key),
        key: Key::Missing,
        headers: headers(section, env, log),
        wires: section.get("wires", log, wires),
        lanes: section.get("lanes", log, lanes),
        hours: hours::list(section, log),
        limits: limits(section, log),
        timeout: section.get("timeout", log, reader::duration),
        allowance: allowance(section, log),
        batch: batch(section, log),
        free: if section.is_table("free") { None } else { section.get("free", log, reader::boolean) },
    };
    if known.is_none() {
        check_own(section, name, &settings, log);
    }
    ProviderSettings { key: key_at(key, env, section, log), ..settings }
}

/// What was found where the config says the key is.
fn key_at(
    reference: Option<Reference>,
    env: &BTreeMap<String, String>,
    section: &Section<'_>,
    log: &mut Log,
) -> Key {
    let Some(reference) = reference else { return Key::Missing };
    match reference.resolve(env) {
        Ok(found) => Key::Found(found.secret, found.name),
        Err(error @ secrets::SecretError::TooOpen(_)) => {
            section.problem("api_key", error.to_string(), log);
            Key::Missing
        }
        // One provider without its key is no reason to refuse the whole config.
        Err(error) => Key::Unreadable(error.to_string()),
    }
}

/// Looks for what the config leaves to the environment.
fn from_environment(settings: &mut ProviderSettings, provider: &Provider, env: &BTreeMap<String, String>) {
    if matches!(settings.key, Key::Missing) {
        let found = provider.key_names.iter().find_map(|name| secrets::from_env(name, env));
        settings.key = match found {
            Some(Ok(found)) => Key::Found(found.secret, found.name),
            Some(Err(error)) => Key::Unreadable(error.to_string()),
            None => Key::Missing,
        };
    }
    if settings.resource.is_none()
        && let Some(name) = &provider.resource_name
    {
        let value = env.get(name).map(|text| text.trim()).filter(|text| is_host_part(text));
        settings.resource = value.map(str::to_owned);
    }
}

/// A provider the table does not know must be reachable, and may be a slip of the pen.
fn check_own(section: &Section<'_>, name: &str, settings: &ProviderSettings, log: &mut Log) {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(plain) {
        section.problem("", "a provider's name has lower-case letters, digits, `-`, `_` and `.` only", log);
    }
    if settings.base_url.is_none() && !section.has("base_url") {
        let bundled = Catalog::bundled();
        let nearest = names::nearest(name, bundled.providers().map(|provider| &*provider.name));
        let message = match nearest {
            Some(known) => {
                format!("unknown provider (did you mean `{known}`?); one of your own needs `base_url`")
            }
            None => "a provider of your own needs `base_url`".to_owned(),
        };
        section.problem("", message, log);
    }
}

/// Ceilings, for providers and models alike.
pub(super) fn limits(section: &mut Section<'_>, log: &mut Log) -> Limits {
    let mut ceiling = |key| section.get(key, log, reader::whole(1u64, u64::MAX / 4));
    let (rpm, tpm) = (ceiling("rpm"), ceiling("tpm"));
    let (input_tpm, output_tpm) = (ceiling("input_tpm"), ceiling("output_tpm"));
    let concurrency = section.get("max_concurrency", log, reader::whole(1u32, 1_000_000));
    Limits { rpm, tpm, input_tpm, output_tpm, concurrency }
}

/// Formats by name.
pub(super) fn wires(value: &Value) -> Parsed<Vec<Wire>> {
    let wire = |word: &String| {
        words::wire(word).ok_or_else(|| {
            let known: Vec<&str> = words::WIRES.iter().map(|&(name, _)| name).collect();
            format!("{word:?} is not one of {}", known.join(", "))
        })
    };
    reader::texts(value)?.iter().map(wire).collect()
}

fn family(value: &Value) -> Parsed<Family> {
    let written = reader::text(value)?;
    Family::parse(&written)
        .ok_or_else(|| format!("{written:?} is not one of openai, anthropic, gemini, bedrock"))
}

fn auth(value: &Value) -> Parsed<Auth> {
    let written = reader::text(value)?;
    words::auth(&written).ok_or_else(|| "must be \"bearer\", \"none\" or \"header:NAME\"".to_owned())
}

fn lanes(value: &Value) -> Parsed<Vec<String>> {
    let lanes = reader::texts(value)?;
    match lanes.iter().find(|lane| !LANES.contains(&lane.as_str())) {
        Some(unknown) => Err(format!("{unknown:?} is not one of {}", LANES.join(", "))),
        None => Ok(lanes),
    }
}

/// An address we can append a path to, without a password in it.
fn base_url(value: &Value) -> Parsed<String> {
    let written = reader::text(value)?;
    let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    match host {
        // Not repeated: there is a password in it.
        Some(host) if host.contains('@') => {
            Err("holds a password; give it with api_key or headers".to_owned())
        }
        Some("") | None => Err(format!("{written:?} is not an address like \"http://10.0.0.7:8000/v1\"")),
        Some(_) if !written.bytes().all(|b| b.is_ascii_graphic()) || written.contains(['?', '#']) => {
            Err(format!("{written:?} is not an address like \"http://10.0.0.7:8000/v1\""))
        }
        Some(_) => Ok(written.trim_end_matches('/').to_owned()),
    }
}

fn resource(value: &Value) -> Parsed<String> {
    let written = reader::text(value)?;
    if is_host_part(&written) {
        return Ok(written);
    }
    Err(format!("{written:?} cannot be part of a host name"))
}

fn is_host_part(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Headers; a value is literal or, like a key, the name of a place. What looks like a secret must be
/// the latter.
fn headers(section: &mut Section<'_>, env: &BTreeMap<String, String>, log: &mut Log) -> Vec<Header> {
    let read = section.get("headers", log, |value| {
        let Value::Table(table) = value else { return Err("must be a table of texts".to_owned()) };
        table.iter().map(|(name, node)| header(name, &node.value, env)).collect()
    });
    read.unwrap_or_default()
}

/// A header with one of these in its name carries a secret.
const SECRET_WORDS: [&str; 8] =
    ["key", "apikey", "token", "secret", "password", "auth", "authorization", "cookie"];

fn header(name: &str, value: &Value, env: &BTreeMap<String, String>) -> Parsed<Header> {
    if !words::is_header_name(name) {
        return Err(format!("{name:?} is not the name of a header"));
    }
    let secret = name.split(['-', '_']).any(|word| SECRET_WORDS.contains(&word.to_lowercase().as_str()));
    let written = reader::text(value).map_err(|error| format!("{name}: {error}"))?;
    if secret || written.starts_with("env:") || written.starts_with("file:") {
        let example = name.to_uppercase().replace('-', "_");
        let found = secrets::reference(value, &example)?.resolve(env);
        let found = found.map_err(|error| format!("{name}: {error}"))?;
        return Ok(Header { name: name.to_owned(), value: found.secret, is_key: true });
    }
    let visible = written.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if visible {
        Ok(Header { name: name.to_owned(), value: Secret::new(&written), is_key: false })
    } else {
        Err(format!("{name}: a header's value is one line of plain text"))
    }
}
