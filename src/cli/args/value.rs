//! Values of flags: what is written, checked as far as that goes without a clock or a file.
//!
//! Pure; [`CheckArg::resolve`] is given what reads a file.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveTime, TimeZone};
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum};

use crate::attempt::ErrorCode;
use crate::check::Check;
use crate::clock::Timestamp;
use crate::job::{Duplicates, Hedge, Ladder, When};

/// A flag's value that cannot be used, and what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

fn wrong<T>(message: impl Into<String>) -> Result<T, ValueError> {
    Err(ValueError(message.into()))
}

/// A span of time: `45s`, `30m`, `2h`, `1h30m`, `30d`.
pub fn parse_span(text: &str) -> Result<Duration, ValueError> {
    let hint = || ValueError("write a span like 45s, 30m, 2h, 1h30m or 30d".to_owned());
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        let unit: u64 = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(hint()),
        };
        let n: u64 = digits.parse().map_err(|_| hint())?;
        seconds = n.checked_mul(unit).and_then(|span| seconds.checked_add(span)).ok_or_else(hint)?;
        digits.clear();
    }
    if text.is_empty() || !digits.is_empty() { Err(hint()) } else { Ok(Duration::from_secs(seconds)) }
}

/// A moment to come, as it may be written: `8h`, `06:00`, `2026-11-24T06:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentArg {
    /// After this long.
    In(Duration),
    /// The next time the clock on the wall shows this.
    Next(NaiveTime),
    /// Then.
    At(Timestamp),
}

impl MomentArg {
    /// The moment meant at `now` in `zone`.
    ///
    /// A wall time that the change to summer time skips is taken an hour later; one that occurs twice is
    /// taken the first time.
    pub fn resolve<Z: TimeZone>(self, now: Timestamp, zone: &Z) -> Timestamp {
        let time = match self {
            MomentArg::In(span) => return now + span,
            MomentArg::At(moment) => return moment,
            MomentArg::Next(time) => time,
        };
        let today = now.utc().with_timezone(zone).date_naive();
        let on = |days: u64| {
            let date = today.checked_add_days(Days::new(days))?;
            let local = |time| zone.from_local_datetime(&date.and_time(time)).earliest();
            let moment =
                local(time).or_else(|| local(time.overflowing_add_signed(chrono::TimeDelta::hours(1)).0))?;
            Some(Timestamp::from(moment.to_utc()))
        };
        let next = (0..3).filter_map(on).find(|&moment| moment > now);
        next.unwrap_or(Timestamp::MAX)
    }
}

impl FromStr for MomentArg {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<MomentArg, ValueError> {
        if let Ok(span) = parse_span(text) {
            return Ok(MomentArg::In(span));
        }
        let wall = NaiveTime::parse_from_str(text, "%H:%M");
        if let Ok(time) = wall.or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S")) {
            return Ok(MomentArg::Next(time));
        }
        match text.parse() {
            Ok(moment) => Ok(MomentArg::At(moment)),
            Err(_) => wrong(
                "write 06:00 (the next one here), a span like 8h, or RFC 3339 like 2026-11-24T06:00:00Z",
            ),
        }
    }
}

/// One step of the ladder: `deepseek/deepseek-flash,openai/gpt-5-mini`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepArg(pub Vec<String>);

impl StepArg {
    /// The ladder of these steps.
    pub fn ladder(steps: &[StepArg]) -> Ladder {
        Ladder(steps.iter().map(|step| step.0.clone()).collect())
    }
}

impl FromStr for StepArg {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<StepArg, ValueError> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().any(String::is_empty) {
            true => wrong("write models like provider/model, equals separated by single commas"),
            false => Ok(StepArg(names)),
        }
    }
}

/// `key=value`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// What is counted by.
    pub key: String,
    /// What it counts as.
    pub value: String,
}

impl FromStr for Tag {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Tag, ValueError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Tag { key: key.to_owned(), value: value.to_owned() }),
            _ => wrong("write a tag like team=search"),
        }
    }
}

/// A field for every request body: JSON where what was written is JSON, else a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(pub crate::input::Setting);

impl FromStr for Setting {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Setting, ValueError> {
        let mut settings = crate::input::settings::parse(&[text]).map_err(ValueError)?;
        settings.pop().map(Setting).ok_or_else(|| ValueError("write a setting like temperature=0".to_owned()))
    }
}

/// A check as it is written; a schema is still the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckArg {
    /// Complete as it is.
    Ready(Check),
    /// The schema in this file.
    SchemaFile(PathBuf),
}

impl CheckArg {
    /// The check that all of these make up; `read` gives the text of a file.
    pub fn resolve<E>(
        checks: &[CheckArg],
        mut read: impl FnMut(&Path) -> Result<String, E>,
    ) -> Result<Option<Check>, E> {
        let mut all = Vec::with_capacity(checks.len());
        for check in checks {
            all.push(match check {
                CheckArg::Ready(check) => check.clone(),
                CheckArg::SchemaFile(path) => Check::JsonSchema(Arc::from(read(path)?)),
            });
        }
        Ok(match all.len() {
            0 | 1 => all.pop(),
            _ => Some(Check::All(all)),
        })
    }
}

impl FromStr for CheckArg {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<CheckArg, ValueError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let hint =
            "write json, schema:FILE, regex:RE, choices:a,b, contains:TEXT, max_chars:N or command:CMD";
        if kind == "json" && !text.contains(':') {
            return Ok(CheckArg::Ready(Check::Json));
        }
        if rest.is_empty() {
            return wrong(hint);
        }
        Ok(CheckArg::Ready(match kind {
            "schema" => return Ok(CheckArg::SchemaFile(rest.into())),
            "regex" => match regex::Regex::new(rest) {
                Ok(_) => Check::Regex(rest.to_owned()),
                Err(error) => return wrong(format!("not a pattern: {error}")),
            },
            "choices" => Check::Choices(rest.split(',').map(|choice| choice.trim().to_owned()).collect()),
            "contains" => Check::Contains(rest.to_owned()),
            "max_chars" => match rest.parse() {
                Ok(most) => Check::MaxChars(most),
                Err(_) => return wrong("write max_chars:N with a whole number"),
            },
            "command" => Check::Command(words(rest)?),
            _ => return wrong(hint),
        }))
    }
}

/// The words of a command; quotes hold words together as in a shell, nothing else is special.
fn words(text: &str) -> Result<Vec<String>, ValueError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => wrong(format!("the command has a {open} without its end")),
        None if words.is_empty() => wrong("the command is empty"),
        None => Ok(words),
    }
}

impl ValueEnum for Hedge {
    fn value_variants<'a>() -> &'a [Hedge] {
        &[Hedge::Auto, Hedge::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Hedge::Auto => {
                PossibleValue::new("auto").help("With a deadline or --when asap, one attempt in 20")
            }
            Hedge::Off => PossibleValue::new("off").help("Never"),
        })
    }
}

impl ValueEnum for Duplicates {
    fn value_variants<'a>() -> &'a [Duplicates] {
        &[Duplicates::Auto, Duplicates::Copy, Duplicates::Send]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Duplicates::Auto => {
                PossibleValue::new("auto").help("Answer it once where temperature is 0; embeddings too")
            }
            Duplicates::Copy => PossibleValue::new("copy").help("Answer it once, at any temperature"),
            Duplicates::Send => PossibleValue::new("send").help("Send it as often as it stands there"),
        })
    }
}

impl ValueEnum for When {
    fn value_variants<'a>() -> &'a [When] {
        &[When::Cheapest, When::Asap, When::OffPeak]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            When::Cheapest => {
                PossibleValue::new("cheapest").help("The cheapest hour that meets the deadline")
            }
            When::Asap => PossibleValue::new("asap").help("At once, at any price inside --max-cost"),
            When::OffPeak => PossibleValue::new("off-peak").help("Only in the cheapest hours"),
        })
    }
}

/// Reads an [`ErrorCode`] by its word, and offers all words.
#[derive(Clone, Copy, Debug)]
pub struct ErrorCodeParser;

impl TypedValueParser for ErrorCodeParser {
    type Value = ErrorCode;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<ErrorCode, clap::Error> {
        let words = clap::builder::PossibleValuesParser::new(ErrorCode::ALL.map(ErrorCode::as_str));
        let word = words.parse_ref(cmd, arg, value)?;
        let code = ErrorCode::ALL.into_iter().find(|code| code.as_str() == word);
        Ok(code.expect("only these words are let through"))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(ErrorCode::ALL.into_iter().map(|code| PossibleValue::new(code.as_str()))))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn spans_are_sums_of_units() {
        for (text, seconds) in [("45s", 45), ("90m", 5_400), ("1h30m", 5_400), ("30d", 2_592_000), ("0s", 0)]
        {
            assert_eq!(parse_span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "5", "h", "1h30", "-2h", "2 h", "1.5h", "99999999999999999999d", "999999999999999999d"]
        {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wall_time_is_the_next_one() {
        let berlin = chrono_tz::Europe::Berlin;
        let resolve = |text: &str, now: &str| text.parse::<MomentArg>().unwrap().resolve(at(now), &berlin);
        let cases = [
            ("8h", "2026-11-20T20:00:00Z", "2026-11-21T04:00:00Z"),
            ("06:00", "2026-11-20T20:00:00Z", "2026-11-21T05:00:00Z"),
            ("23:30", "2026-11-20T20:00:00Z", "2026-11-20T22:30:00Z"),
            ("21:00", "2026-11-20T20:00:00Z", "2026-11-21T20:00:00Z"),
            ("2026-11-24T06:00:00+01:00", "2026-11-20T20:00:00Z", "2026-11-24T05:00:00Z"),
            // Clocks go forward on 2027-03-28 at 02:00: half past two does not exist.
            ("02:30", "2027-03-27T20:00:00Z", "2027-03-28T01:30:00Z"),
            // They go back on 2026-10-25 at 03:00: half past two comes twice.
            ("02:30", "2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z"),
        ];
        for (text, now, meant) in cases {
            assert_eq!(resolve(text, now), at(meant), "{text} at {now}");
        }
    }

    #[test]
    fn a_ladder_is_its_steps_in_order() {
        let steps: Vec<StepArg> = ["a/b, c/d", "e/f"].iter().map(|step| step.parse().unwrap()).collect();
        assert_eq!(StepArg::ladder(&steps).to_string(), "a/b|c/d > e/f");
    }

    #[test]
    fn settings_are_json_where_they_can_be() {
        let value = |text: &str| String::from_utf8(text.parse::<Setting>().unwrap().0.value).unwrap();
        assert_eq!(value("temperature=0"), "0");
        assert_eq!(value("stop=[\"END\"]"), "[\"END\"]");
        assert_eq!(value("user=me=you"), "\"me=you\"");
    }

    #[test]
    fn checks_are_read_and_made_up() {
        let parse = |text: &str| text.parse::<CheckArg>();
        let ready = |text: &str| match parse(text) {
            Ok(CheckArg::Ready(check)) => check,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(ready("json"), Check::Json);
        assert_eq!(ready("regex:^a:b$"), Check::Regex("^a:b$".into()));
        assert_eq!(ready("choices:pos, neg"), Check::Choices(vec!["pos".into(), "neg".into()]));
        assert_eq!(
            ready("command:python3 'my check.py' --strict"),
            Check::Command(vec!["python3".into(), "my check.py".into(), "--strict".into()])
        );
        for text in ["xml", "json:x", "regex:(", "schema:", "max_chars:many", "command:a 'b"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let checks = [parse("schema:s.json").unwrap(), parse("max_chars:9").unwrap()];
        let read = |path: &Path| if path == Path::new("s.json") { Ok("{}".to_owned()) } else { Err(()) };
        let both = Check::All(vec![Check::JsonSchema("{}".into()), Check::MaxChars(9)]);
        assert_eq!(CheckArg::resolve(&checks, read), Ok(Some(both)));
        assert_eq!(CheckArg::resolve(&[], read), Ok(None));
        assert_eq!(CheckArg::resolve(&[CheckArg::SchemaFile("gone".into())], read), Err(()));
    }
}
