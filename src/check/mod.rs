//! Is this answer good? A [`Check`] is what the user asks of an answer, [`Rule`] its compiled form,
//! a [`Verdict`] what it says of one answer.
//!
//! [`read`] makes checks of what users write; a rule is compiled once and judges many answers.
//!
//! Pure, but for [`command`]: there the verdict is [`Verdict::Run`] and the driver runs the command.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attempt::ErrorCode;

pub mod command;
pub mod read;
pub mod rule;

pub use rule::Rule;

/// What the user asks of an answer.
///
/// Stored with jobs and items, so a schema is kept as the JSON text it was given in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// One JSON value and nothing else (a fenced block around it is taken off first).
    Json,
    /// JSON that this schema, given as JSON text, accepts.
    JsonSchema(Arc<str>),
    /// Text in which this pattern is found.
    Regex(String),
    /// Exactly one of these, white space around it aside.
    Choices(Vec<String>),
    /// Text that contains this.
    Contains(String),
    /// At most this many characters.
    MaxChars(u32),
    /// A command that reads the answer on its standard input; exit code 0 accepts it.
    Command(Vec<String>),
    /// All of these, in order.
    All(Vec<Check>),
}

/// What a check says of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted.
    Pass,
    /// Not accepted, and why: `/sentiment: "meh" is not one of pos, neg, neutral`.
    Fail(ErrorCode, String),
    /// So far accepted; these commands decide.
    Run(Vec<Vec<String>>),
}
