//! `[report]`: when the report of the night is written, where to, and who is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;

use super::Webhook;
use super::reader::{self, Log, Parsed, Section};
use super::sections::{self, Places};
use super::source::Value;
use super::{budget, intake};
use crate::schedule::Cron;

const DIR: &str = "./overnight-reports";

/// The report of the night.
#[derive(Clone, Debug)]
pub struct Morning {
    /// Every day at this time.
    pub at: Option<Cron>,
    /// On the clock of this zone; the machine's where absent.
    pub tz: Option<Tz>,
    /// And whenever a job ends.
    pub each_job: bool,
    /// The folder it is written to.
    pub dir: PathBuf,
    /// Where its summary is posted.
    pub webhook: Option<Webhook>,
}

impl Morning {
    /// Whether a report is ever written.
    pub fn is_wanted(&self) -> bool {
        self.at.is_some() || self.each_job
    }
}

pub(super) fn morning(
    section: &mut Section<'_>,
    places: &Places<'_>,
    env: &BTreeMap<String, String>,
    log: &mut Log,
) -> Morning {
    let default = places.inputs.cwd.join("overnight-reports");
    let shown = toml::Value::from(DIR).to_string();
    let morning = Morning {
        at: section.get("at", log, time_of_day),
        tz: section.get("tz", log, intake::zone),
        each_job: section.get_or("each_job", (false, "false"), log, reader::boolean),
        dir: section.get_or("dir", (default, &shown), log, |value| sections::folder(value, places)),
        webhook: budget::hook(section, env, log),
    };
    if morning.webhook.is_some() && !morning.is_wanted() {
        let message = "nothing is posted there without `at = \"07:00\"` or `each_job = true`";
        section.problem("webhook", message, log);
    }
    section.finish(log);
    morning
}

/// `07:00`.
fn time_of_day(value: &Value) -> Parsed<Cron> {
    let written = reader::text_or_date(value)?;
    let parts = written.split_once(':').filter(|(hour, minute)| hour.len() <= 2 && minute.len() == 2);
    let number = |digits: &str, most: u16| digits.parse::<u16>().ok().filter(|number| *number < most);
    parts
        .and_then(|(hour, minute)| Some(Cron::daily(number(hour, 24)? * 60 + number(minute, 60)?)))
        .ok_or_else(|| format!("{written:?} is not a time of day; write it like \"07:00\""))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Inputs, parse};

    fn read(text: &str) -> Result<Config, String> {
        let env = BTreeMap::new();
        let inputs = Inputs { file: None, cwd: Path::new("/srv"), env: &env, flags: &[] };
        parse(text, &inputs).map_err(|error| error.to_string())
    }

    #[test]
    fn a_report_is_written_at_a_time_of_day() {
        let morning = read("[report]\nat = \"7:05\"\ntz = \"Asia/Tokyo\"\ndir = \"out\"").unwrap().morning;
        assert_eq!(morning.at, Some(Cron::parse("5 7 * * *").unwrap()));
        assert_eq!((morning.tz, morning.dir.as_path()), (Some(Tz::Asia__Tokyo), Path::new("/srv/out")));
        assert!(morning.is_wanted() && !read("").unwrap().morning.is_wanted());
        assert!(read("[report]\nat = 07:00:00").is_err(), "a time with seconds is not what is meant");
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (text, words) in [
            ("at = \"25:00\"", "not a time of day"),
            ("at = \"7\"", "not a time of day"),
            ("at = \"07:60\"", "not a time of day"),
            ("webhook = \"https://example.org/\"", "nothing is posted there"),
            ("eachjob = true", "did you mean `each_job`?"),
        ] {
            let error = read(&format!("[report]\n{text}")).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
