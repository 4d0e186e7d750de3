//! What a report can be broken down by: [`Key`]s, as `--by tag.team,model` names them.
//!
//! A key has a value for every attempt and for every item. Of an item it is the value of the attempt
//! that ended it, so that money is counted where it was spent and a success where it was won.
//!
//! Pure.

use std::fmt;
use std::str::FromStr;

use crate::catalog::names::{did_you_mean, nearest};
use crate::clock::Timestamp;
use crate::report::row::{AttemptRow, ResultRow};

/// One thing to tell groups apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The job's id.
    Job,
    /// The provider's name.
    Provider,
    /// `provider/model`, as ladders name it.
    Model,
    /// `realtime`, `flex` or `batch`.
    Lane,
    /// `provider/model`, and the lane where it is not realtime.
    Route,
    /// The price window.
    Window,
    /// The step of the ladder, from 1.
    Step,
    /// How it ended: attempts and items have words of their own.
    Status,
    /// Why it did not succeed.
    ErrorCode,
    /// The day it ended, UTC.
    Day,
    /// The hour it ended, UTC.
    Hour,
    /// The value of a tag.
    Tag(String),
}

/// A word that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is nothing to group by{suggestion}; it can be any of {}, tag.KEY", words().join(", "))]
pub struct UnknownKey {
    word: String,
    suggestion: String,
}

const PLAIN: [(&str, Key); 11] = [
    ("job", Key::Job),
    ("provider", Key::Provider),
    ("model", Key::Model),
    ("lane", Key::Lane),
    ("route", Key::Route),
    ("window", Key::Window),
    ("step", Key::Step),
    ("status", Key::Status),
    ("error_code", Key::ErrorCode),
    ("day", Key::Day),
    ("hour", Key::Hour),
];

fn words() -> Vec<&'static str> {
    PLAIN.iter().map(|(word, _)| *word).collect()
}

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Key, UnknownKey> {
        let word = text.trim();
        if let Some(tag) = word.strip_prefix("tag.").filter(|tag| !tag.is_empty()) {
            return Ok(Key::Tag(tag.to_owned()));
        }
        let known = PLAIN.iter().find(|(known, _)| *known == word);
        known.map(|(_, key)| key.clone()).ok_or_else(|| UnknownKey {
            word: word.to_owned(),
            suggestion: match word {
                // The commonest slip is to leave the prefix out.
                "tag" | "tag." => " (did you mean tag.KEY, such as tag.team?)".to_owned(),
                _ => did_you_mean(nearest(word, words())),
            },
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Tag(tag) => write!(f, "tag.{tag}"),
            key => {
                let (word, _) =
                    PLAIN.iter().find(|(_, plain)| plain == key).expect("every other key is plain");
                f.write_str(word)
            }
        }
    }
}

impl Key {
    /// Whether groups read best in their own order, instead of the dearest first.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Key::Day | Key::Hour | Key::Step)
    }

    /// Of an attempt and the tags it carries; `None` where it has no such value.
    pub fn of_attempt(&self, row: &AttemptRow, tags: &[(String, String)]) -> Option<String> {
        Some(match self {
            Key::Job => row.job_id.clone(),
            Key::Provider => row.provider.clone(),
            Key::Model => format!("{}/{}", row.provider, row.request_model),
            Key::Lane => row.lane.clone(),
            Key::Route => row.route(),
            Key::Window => row.price_window.clone(),
            Key::Step => row.step.to_string(),
            Key::Status => row.status.clone(),
            Key::ErrorCode => return row.error_code.clone(),
            Key::Day => day(row.ended_at),
            Key::Hour => hour(row.ended_at),
            Key::Tag(key) => return tag(tags, key),
        })
    }

    /// Of an item: that of the attempt that ended it.
    pub fn of_item(&self, row: &ResultRow) -> Option<String> {
        let model = || Some(format!("{}/{}", row.provider.as_ref()?, row.request_model.as_ref()?));
        match self {
            Key::Job => Some(row.job_id.clone()),
            Key::Provider => row.provider.clone(),
            Key::Model => model(),
            Key::Lane => row.lane.clone(),
            Key::Route => match row.lane.as_deref() {
                Some("realtime") | None => model(),
                Some(lane) => model().map(|model| format!("{model} {lane}")),
            },
            Key::Window => row.price_window.clone(),
            Key::Step => row.step.map(|step| step.to_string()),
            Key::Status => Some(row.status.clone()),
            Key::ErrorCode => row.error_code.clone(),
            Key::Day => Some(day(row.ended_at)),
            Key::Hour => Some(hour(row.ended_at)),
            Key::Tag(key) => tag(&row.tags, key),
        }
    }
}

fn tag(tags: &[(String, String)], key: &str) -> Option<String> {
    tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
}

/// `2026-11-21`.
pub fn day(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d").to_string()
}

/// `2026-11-21 14:00`.
pub fn hour(at: Timestamp) -> String {
    at.utc().format("%Y-%m-%d %H:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for word in words().into_iter().chain(["tag.team", "tag.a.b"]) {
            assert_eq!(word.parse::<Key>().unwrap().to_string(), word);
        }
        assert_eq!(" model".parse(), Ok(Key::Model));
    }

    #[test]
    fn a_wrong_key_says_which_would_be_right() {
        for (wrong, suggested) in
            [("modle", "did you mean model?"), ("tag", "tag.team"), ("tag.", "tag.team")]
        {
            let said = wrong.parse::<Key>().unwrap_err().to_string();
            assert!(said.contains(suggested) && said.contains("error_code"), "{said}");
        }
        let said = "xyzzy".parse::<Key>().unwrap_err().to_string();
        assert!(!said.contains("did you mean"), "{said}");
    }
}
