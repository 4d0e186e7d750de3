//! `[[schedule]]` and `[[watch]]`: where jobs come from while nobody submits them.
//!
//! Both take the keys of `[defaults]` for the jobs they make, and how their files are read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;

use super::reader::{self, Log, Parsed, Section};
use super::sections::{self, Defaults, Places};
use super::source::Value;
use crate::catalog::hours::parse_zone;
use crate::input::Template;
use crate::schedule::{Cron, Missed};

/// The longest name of a schedule.
const LONGEST_NAME: usize = 64;
/// How long a file must not have changed, where nothing else is said.
const SETTLE: Duration = Duration::from_secs(5);
/// Less would take files whose writer paused for breath.
const LEAST_SETTLE: Duration = Duration::from_millis(200);

/// What the jobs of a schedule or a folder ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// In place of `[defaults]`.
    pub defaults: Defaults,
    /// Every row is rendered with it.
    pub prompt: Option<String>,
    /// For every item that has none.
    pub system: Option<String>,
    /// Item ids are taken from this field.
    pub id_field: Option<String>,
    /// Lines without an id are numbered.
    pub auto_id: bool,
    /// Lines that cannot be used are left out.
    pub skip_bad: bool,
}

/// Files that are submitted by the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name: jobs carry it as the tag `schedule`.
    pub name: String,
    /// When.
    pub cron: Cron,
    /// On the clock of this zone; the machine's where absent.
    pub tz: Option<Tz>,
    /// What is done about firings nobody was there for.
    pub missed: Missed,
    /// Files and patterns of files, absolute.
    pub files: Vec<PathBuf>,
    /// What its jobs ask for.
    pub terms: Terms,
}

/// A folder whose files are submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// Which.
    pub dir: PathBuf,
    /// How long a file must not have changed.
    pub settle: Duration,
    /// What its jobs ask for.
    pub terms: Terms,
}

pub(super) fn schedules(
    root: &mut Section<'_>,
    defaults: &Defaults,
    places: &Places<'_>,
    log: &mut Log,
) -> Vec<Schedule> {
    let mut names = BTreeSet::new();
    let mut schedules = Vec::new();
    for mut section in root.list("schedule", log).unwrap_or_default() {
        let name = section.get("name", log, name);
        if let Some(name) = &name
            && !names.insert(name.clone())
        {
            section.problem("name", format!("another schedule is called {name:?}"), log);
        }
        let cron = section
            .get("cron", log, |value| Cron::parse(&reader::text(value)?).map_err(|error| error.to_string()));
        let files = section.get("files", log, |value| files(value, places));
        for (key, example) in
            [("name", "\"reviews\""), ("cron", "\"0 22 * * *\""), ("files", "[\"inbox/*.jsonl\"]")]
        {
            if !section.has(key) {
                section.problem("", format!("a schedule needs `{key}`, like {key} = {example}"), log);
            }
        }
        let tz = section.get("tz", log, zone);
        let missed = section.get("missed", log, reader::one_of(MISSED)).unwrap_or_default();
        let terms = terms(&mut section, defaults, log);
        section.finish(log);
        if let (Some(name), Some(cron), Some(files)) = (name, cron, files) {
            schedules.push(Schedule { name, cron, tz, missed, files, terms });
        }
    }
    schedules
}

pub(super) fn watches(
    root: &mut Section<'_>,
    defaults: &Defaults,
    places: &Places<'_>,
    log: &mut Log,
) -> Vec<Watch> {
    let mut dirs = BTreeSet::new();
    let mut watches = Vec::new();
    for mut section in root.list("watch", log).unwrap_or_default() {
        let dir = section.get("dir", log, |value| sections::folder(value, places));
        if !section.has("dir") {
            section.problem("", "a watched folder needs `dir`, like dir = \"inbox\"", log);
        }
        if let Some(dir) = &dir
            && !dirs.insert(dir.clone())
        {
            section.problem("dir", "this folder is watched already", log);
        }
        let settle = section.get("settle", log, settle).unwrap_or(SETTLE);
        let terms = terms(&mut section, defaults, log);
        section.finish(log);
        if let Some(dir) = dir {
            watches.push(Watch { dir, settle, terms });
        }
    }
    watches
}

const MISSED: &[(&str, Missed)] = &[("run", Missed::Run), ("skip", Missed::Skip)];

fn terms(section: &mut Section<'_>, defaults: &Defaults, log: &mut Log) -> Terms {
    section.keep_quiet();
    Terms {
        defaults: sections::over(defaults, section, log),
        prompt: section.get("prompt", log, |value| {
            let prompt = reader::text(value)?;
            Template::parse(&prompt).map(|_| prompt).map_err(|error| error.to_string())
        }),
        system: section.get("system", log, reader::text),
        id_field: section.get("id_field", log, reader::text),
        auto_id: section.get("auto_id", log, reader::boolean).unwrap_or(false),
        skip_bad: section.get("skip_bad", log, reader::boolean).unwrap_or(false),
    }
}

/// A name that can stand in a tag, a log line and a file.
fn name(value: &Value) -> Parsed<String> {
    let name = reader::text(value)?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    match plain && (1..=LONGEST_NAME).contains(&name.len()) {
        true => Ok(name),
        false => Err(format!("{name:?} is not a name: write letters, digits, `-`, `_` and `.` only")),
    }
}

pub(super) fn zone(value: &Value) -> Parsed<Tz> {
    parse_zone(&reader::text(value)?).map_err(|error| error.to_string())
}

fn files(value: &Value, places: &Places<'_>) -> Parsed<Vec<PathBuf>> {
    let written = reader::texts(value)?;
    if written.is_empty() {
        return Err("names no file".to_owned());
    }
    let file = |written: &String| {
        glob::Pattern::new(written).map_err(|error| format!("{written:?} is not a pattern: {error}"))?;
        sections::folder(&Value::Text(written.clone()), places)
    };
    written.iter().map(file).collect()
}

fn settle(value: &Value) -> Parsed<Duration> {
    let settle = reader::duration(value)?;
    match settle >= LEAST_SETTLE {
        true => Ok(settle),
        false => Err(format!("must be at least {}ms", LEAST_SETTLE.as_millis())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Inputs, parse};
    use crate::job::When;

    fn read(text: &str) -> Result<Config, String> {
        let env = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
        let inputs = Inputs { file: None, cwd: Path::new("/srv"), env: &env, flags: &[] };
        parse(text, &inputs).map_err(|error| error.to_string())
    }

    #[test]
    fn a_schedule_asks_for_what_it_says_and_else_for_the_defaults() {
        let config = read(
            r#"
            [defaults]
            max_cost = "$5"
            when = "off-peak"
            tags = { team = "search" }
            [[schedule]]
            name = "reviews"
            cron = "0 22 * * mon-fri"
            tz = "Europe/Berlin"
            missed = "skip"
            files = ["in/*.jsonl", "~/more.jsonl", "/abs.jsonl"]
            when = "asap"
            tags = { kind = "reviews" }
            [[watch]]
            dir = "inbox"
            settle = "30s"
            max_cost = "$1"
            prompt = "Summarise: {{ text }}"
            "#,
        )
        .unwrap();
        let schedule = &config.schedules[0];
        assert_eq!((schedule.name.as_str(), schedule.missed), ("reviews", Missed::Skip));
        assert_eq!(schedule.tz, Some(Tz::Europe__Berlin));
        let files = ["/srv/in/*.jsonl", "/home/me/more.jsonl", "/abs.jsonl"].map(PathBuf::from);
        assert_eq!(schedule.files, files);
        let options = &schedule.terms.defaults.options;
        assert_eq!((options.when, options.max_cost), (When::Asap, Some("$5".parse().unwrap())));
        let tags = [("kind", "reviews"), ("team", "search")];
        assert_eq!(options.tags, tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let watch = &config.watches[0];
        assert_eq!((watch.dir.as_path(), watch.settle), (Path::new("/srv/inbox"), Duration::from_secs(30)));
        assert_eq!(watch.terms.defaults.options.when, When::OffPeak);
        assert_eq!(watch.terms.defaults.options.max_cost, Some("$1".parse().unwrap()));
        let shown: Vec<&str> = config.settings.iter().map(|setting| setting.key.as_str()).collect();
        assert!(shown.contains(&"schedule[0].when") && !shown.contains(&"schedule[0].priority"), "{shown:?}");
    }

    #[test]
    fn every_problem_of_schedules_and_folders_is_told() {
        let error = read(
            r#"
            [[schedule]]
            name = "a b"
            cron = "0 25 * * *"
            tz = "Mars/Base"
            misssed = "run"
            files = []
            max_cost = "five"
            [[schedule]]
            [[schedule]]
            name = "twice"
            cron = "@daily"
            files = "a[.jsonl"
            [[schedule]]
            name = "twice"
            cron = "@daily"
            files = "a.jsonl"
            missed = "maybe"
            prompt = "{{ text"
            [[watch]]
            settle = "1ms"
            [[watch]]
            dir = "in"
            [[watch]]
            dir = "./in"
            "#,
        )
        .unwrap_err();
        for words in [
            "\"a b\" is not a name",
            "is not a cron we can use",
            "\"Mars/Base\" is not a time zone",
            "did you mean `missed`?",
            "names no file",
            "schedule[0].max_cost",
            "a schedule needs `name`",
            "a schedule needs `cron`",
            "a schedule needs `files`",
            "\"a[.jsonl\" is not a pattern",
            "another schedule is called \"twice\"",
            "\"maybe\" is not one of run, skip",
            "schedule[3].prompt",
            "a watched folder needs `dir`",
            "must be at least 200ms",
            "this folder is watched already",
        ] {
            assert!(error.contains(words), "{words}:\n{error}");
        }
    }
}
