//! `[defaults]`, `[daemon]`, `[results]` and `[state]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::reader::{self, Log, Parsed, Section};
use super::secrets::{self, Reference};
use super::source::{Node, Value};
use super::{Inputs, Webhook, budget};
use crate::catalog::endpoint::Secret;
use crate::job::{Duplicates, Hedge, JobOptions, OnUnknown, When, Worth};

/// What relative paths and missing ones are measured from.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// The folder of the config file, else the working directory.
    pub(super) base: &'a Path,
    pub(super) inputs: &'a Inputs<'a>,
}

/// What jobs ask for where they say nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// The ladder as written: names, patterns and sets; see [`crate::catalog::Catalog::resolve`].
    pub models: Vec<Vec<String>>,
    /// The deadline as written: `24h`, `06:00`, or RFC 3339.
    pub deadline: String,
    /// The check as written.
    pub check: Option<serde_json::Value>,
    /// Goes first where higher.
    pub priority: i8,
    /// The rest; its check is [`None`].
    pub options: JobOptions,
}

/// The daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its callers must show.
    pub token: Option<Secret>,
    /// Names it is reached by, beside those of this machine.
    pub hosts: Vec<String>,
    /// Something in front of it speaks TLS.
    pub behind_proxy: bool,
    /// The largest file that may be uploaded, in bytes.
    pub max_file: u64,
    /// The most requests in one batch.
    pub max_requests: u32,
    /// Who is told that a batch is over.
    pub webhook: Option<Webhook>,
}

impl Daemon {
    /// Why it may not listen there.
    pub fn obstacle(&self, listen: SocketAddr) -> Option<&'static str> {
        match () {
            () if listen.ip().is_loopback() => None,
            () if self.token.is_none() => {
                Some("others can reach this address, so it needs `token = \"env:OVERNIGHT_TOKEN\"` too")
            }
            () if !self.behind_proxy => Some(
                "others can reach this address and it speaks no TLS: put a proxy in front that does, \
                 and say `behind_proxy = true`",
            ),
            () => None,
        }
    }
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    /// The folder.
    pub dir: PathBuf,
    /// Whether whole responses are kept.
    pub raw: bool,
}

const LADDER: &str = r#"["@small", "@large"]"#;
const DEADLINE: &str = "24h";
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)), 8787);
const RESULTS: &str = "./overnight-results";

fn worth(value: &Value) -> Parsed<Worth> {
    match value {
        Value::Text(text) if text == "unlimited" => Ok(Worth::Unlimited),
        other => reader::money(other).map(Worth::UpTo),
    }
}

/// What holds where a config says nothing.
fn usual() -> Defaults {
    Defaults {
        models: vec![vec!["@small".to_owned()], vec!["@large".to_owned()]],
        deadline: DEADLINE.to_owned(),
        check: None,
        priority: 0,
        options: JobOptions::default(),
    }
}

pub(super) fn defaults(section: &mut Section<'_>, log: &mut Log) -> Defaults {
    let defaults = over(&usual(), section, log);
    section.finish(log);
    defaults
}

/// The keys of `[defaults]` in any section, over what holds where they are absent; the caller finishes it.
pub(super) fn over(usual: &Defaults, section: &mut Section<'_>, log: &mut Log) -> Defaults {
    let options = &usual.options;
    Defaults {
        models: section.get_or("models", (usual.models.clone(), LADDER), log, ladder),
        deadline: section.get_or("deadline", (usual.deadline.clone(), "\"24h\""), log, reader::text_or_date),
        check: section.get("check", log, check).or_else(|| usual.check.clone()),
        priority: section.get_or("priority", (usual.priority, "0"), log, reader::whole(-100, 100)),
        options: JobOptions {
            check: None,
            max_cost: section.get("max_cost", log, reader::money).or(options.max_cost),
            max_attempts: section.get_or(
                "max_attempts",
                (options.max_attempts, "4"),
                log,
                reader::whole(1, 100),
            ),
            tags: {
                let mut tags = options.tags.clone();
                tags.extend(section.get("tags", log, reader::text_map).unwrap_or_default());
                tags
            },
            when: section.get_or("when", (options.when, "\"cheapest\""), log, reader::one_of(WHEN)),
            on_unknown: section.get_or(
                "on_unknown",
                (options.on_unknown, "\"resend\""),
                log,
                reader::one_of(ON_UNKNOWN),
            ),
            unknown_resends: section.get_or(
                "unknown_resends",
                (options.unknown_resends, "2"),
                log,
                reader::whole(0, 100),
            ),
            hold_above: section.get_or("hold_above", (options.hold_above, "\"$1\""), log, reader::money),
            accept_truncated: section.get_or(
                "accept_truncated",
                (options.accept_truncated, "false"),
                log,
                reader::boolean,
            ),
            keep_input: section.get_or("keep_input", (options.keep_input, "false"), log, reader::boolean),
            allow_unpriced: section.get_or(
                "allow_unpriced",
                (options.allow_unpriced, "false"),
                log,
                reader::boolean,
            ),
            duplicates: section.get_or(
                "duplicates",
                (options.duplicates, "\"auto\""),
                log,
                reader::one_of(DUPLICATES),
            ),
            give_up_above: section.get("give_up_above", log, worth).or(options.give_up_above),
            hedge: section.get_or("hedge", (options.hedge, "\"auto\""), log, reader::one_of(HEDGE)),
        },
    }
}

const DUPLICATES: &[(&str, Duplicates)] =
    &[("auto", Duplicates::Auto), ("copy", Duplicates::Copy), ("send", Duplicates::Send)];

const HEDGE: &[(&str, Hedge)] = &[("auto", Hedge::Auto), ("off", Hedge::Off)];

const WHEN: &[(&str, When)] =
    &[("cheapest", When::Cheapest), ("asap", When::Asap), ("off-peak", When::OffPeak)];
const ON_UNKNOWN: &[(&str, OnUnknown)] = &[("resend", OnUnknown::Resend), ("hold", OnUnknown::Hold)];

pub(super) fn daemon(section: &mut Section<'_>, env: &BTreeMap<String, String>, log: &mut Log) -> Daemon {
    let shown = "\"127.0.0.1:8787\"";
    let listen = section.get_or("listen", (LISTEN, shown), log, |value| {
        let written = reader::text(value)?;
        written.parse().map_err(|_| format!("{written:?} is not an address like \"127.0.0.1:8787\""))
    });
    let reference: Option<Reference> =
        section.get("token", log, |value| secrets::reference(value, "OVERNIGHT_TOKEN"));
    let found = reference.map(|reference| reference.resolve(env));
    let token = match found {
        Some(Ok(found)) => Some(found.secret),
        // Without it the daemon would be open to all, so here it is no matter of "not set yet".
        Some(Err(error)) => {
            section.problem("token", error.to_string(), log);
            None
        }
        None => None,
    };
    let daemon = Daemon {
        listen,
        token,
        hosts: section.get("hosts", log, reader::texts).unwrap_or_default(),
        behind_proxy: section.get_or("behind_proxy", (false, "false"), log, reader::boolean),
        max_file: 1_000_000 * section.get_or("max_file_mb", (200, "200"), log, reader::whole(1, 100_000)),
        max_requests: section.get_or("max_requests", (50_000, "50000"), log, reader::whole(1, 10_000_000)),
        webhook: budget::hook(section, env, log),
    };
    // That a token cannot be read was said already.
    let is_told = daemon.token.is_none() && section.has("token");
    if let Some(message) = daemon.obstacle(listen).filter(|_| !is_told) {
        section.problem("listen", message, log);
    }
    section.finish(log);
    daemon
}

pub(super) fn results(section: &mut Section<'_>, places: &Places<'_>, log: &mut Log) -> Results {
    let default = places.inputs.cwd.join("overnight-results");
    let shown = toml::Value::from(RESULTS).to_string();
    let results = Results {
        dir: section.get_or("dir", (default, &shown), log, |value| folder(value, places)),
        raw: section.get_or("raw", (true, "true"), log, reader::boolean),
    };
    section.finish(log);
    results
}

pub(super) fn state(section: &mut Section<'_>, places: &Places<'_>, log: &mut Log) -> PathBuf {
    let default = super::find::state_dir(places.inputs);
    let shown = toml::Value::from(default.display().to_string()).to_string();
    let dir = section.get_or("dir", (default, &shown), log, |value| folder(value, places));
    section.finish(log);
    dir
}

/// A folder; a relative one belongs to the folder of the config file.
pub(super) fn folder(value: &Value, places: &Places<'_>) -> Parsed<PathBuf> {
    let written = reader::text(value)?;
    if written.is_empty() {
        return Err("must name a folder".to_owned());
    }
    if written.contains("://") {
        return Err(format!("{written:?} is object storage, which is not supported yet; name a folder"));
    }
    if let Some(below) = written.strip_prefix("~/") {
        let home = places.inputs.env.get("HOME").ok_or("`~` needs HOME to be set; write the whole path")?;
        return Ok(Path::new(home).join(below));
    }
    Ok(places.base.join(written.strip_prefix("./").unwrap_or(&written)))
}

/// `"a"`, `["a", "b"]` (two steps) or `[["a", "b"], "c"]` (equals, then stronger).
pub(super) fn ladder(value: &Value) -> Parsed<Vec<Vec<String>>> {
    let Value::List(steps) = value else { return Ok(vec![reader::texts(value)?]) };
    let step = |node: &Node| match &node.value {
        Value::List(_) | Value::Text(_) => reader::texts(&node.value),
        other => Err(format!("a step is a name or a list of names, not {}", other.kind())),
    };
    let steps: Vec<Vec<String>> = steps.iter().map(step).collect::<Parsed<_>>()?;
    if steps.is_empty() || steps.iter().any(Vec::is_empty) {
        return Err("a ladder needs at least one model in every step".to_owned());
    }
    Ok(steps)
}

fn check(value: &Value) -> Parsed<serde_json::Value> {
    match value {
        Value::Table(table) if table.is_empty() => Err("is empty; write it like { json = true }".to_owned()),
        Value::Table(_) | Value::Text(_) => Ok(value.to_json()),
        other => Err(format!("must be a table like {{ json = true }}, not {}", other.kind())),
    }
}
