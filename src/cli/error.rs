//! [`CliError`]: what went wrong, for a person and for a script.
//!
//! On stderr as
//!
//! ```text
//! error[no_route]: item r-17 (line 17) asks for model "gpt5-mini"
//!   = no provider serves that name · did you mean openai/gpt-5-mini?
//!   = nothing was queued; fix the line, or map the name:  --model openai/gpt-5-mini
//! ```
//!
//! or with `--json` as `{"error":{"code","message","details","hint","exit"}}`. The code is a word scripts
//! may compare; the message says what the user did, the hint what to do next. Texts from outside are
//! made safe when they are printed, so whoever makes an error need not think of it.

use std::fmt;
use std::io;

use serde_json::json;

use super::exit::Exit;
use super::style::Paint;
use crate::escape;
use crate::store::StoreError;

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// A word scripts may compare: `no_route`, `no_such_job`.
    pub code: &'static str,
    /// What happened, lowercase, without a full stop.
    pub message: String,
    /// More of it, a line each.
    pub details: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// The command's exit code.
    pub exit: Exit,
}

impl CliError {
    /// An error without details or hint.
    pub fn new(code: &'static str, exit: Exit, message: impl Into<String>) -> CliError {
        CliError { code, message: message.into(), details: Vec::new(), hint: None, exit }
    }

    /// Wrong flags.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new("usage", Exit::Usage, message)
    }

    /// A job that is not there.
    pub fn no_such_job(name: &str) -> CliError {
        CliError::new("no_such_job", Exit::NotFound, format!("there is no job {name:?}"))
            .hint("`overnight status` lists all jobs")
    }

    /// With one more line of detail.
    pub fn detail(mut self, detail: impl Into<String>) -> CliError {
        self.details.push(detail.into());
        self
    }

    /// With what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the reader of our output went away, which is no error of anyone's.
    pub fn is_broken_pipe(&self) -> bool {
        self.code == BROKEN_PIPE
    }

    /// For people: the message, then a `= ` line for every detail and the hint.
    pub fn human(&self, colour: bool) -> String {
        let label = Paint::Bad.on(&format!("error[{}]", self.code), colour);
        let mut text = format!("{label}: {}\n", escape::plain(&self.message));
        let mark = Paint::Faint.on("=", colour);
        for line in self.details.iter().chain(&self.hint) {
            text.push_str(&format!("  {mark} {}\n", escape::plain(line)));
        }
        text
    }

    /// For scripts.
    pub fn json(&self) -> String {
        let error = json!({
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "hint": self.hint,
            "exit": self.exit.code(),
        });
        format!("{}\n", json!({ "error": error }))
    }
}

const BROKEN_PIPE: &str = "broken_pipe";

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

/// Anything not foreseen: the whole chain on one line, exit code 1.
impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> CliError {
        match error.downcast::<CliError>() {
            Ok(error) => error,
            Err(error) => CliError::new("unexpected", Exit::Unexpected, format!("{error:#}")),
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { BROKEN_PIPE } else { "io" };
        CliError::new(code, Exit::Unexpected, error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        let message = error.to_string();
        match error {
            StoreError::Owned { pid, .. } => CliError::new("store_owned", Exit::Owner, message)
                .hint(format!("let it finish, stop it (kill {pid}), or use another store with --state-dir")),
            StoreError::DiskFull(_) => CliError::new("disk_full", Exit::Unexpected, message)
                .hint("free some space and run the same command again; nothing was lost"),
            StoreError::Newer(_) => CliError::new("store_newer", Exit::Usage, message)
                .hint("run the newer overnight that wrote this store, or use another with --state-dir"),
            StoreError::Damaged(_) => CliError::new("store_damaged", Exit::Unexpected, message),
            StoreError::Io(..) => CliError::new("store_io", Exit::Unexpected, chain(&error)),
        }
    }
}

/// An error and its causes on one line, a cause left out where its effect already says it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_message_then_what_to_do() {
        let error =
            CliError::new("no_route", Exit::NoRoute, "item r-17 (line 17) asks for model \"gpt5-mini\"")
                .detail("no provider serves that name · did you mean openai/gpt-5-mini?")
                .hint("nothing was queued; fix the line, or map the name:  --model openai/gpt-5-mini");
        insta::assert_snapshot!(error.human(false), @r#"
        error[no_route]: item r-17 (line 17) asks for model "gpt5-mini"
          = no provider serves that name · did you mean openai/gpt-5-mini?
          = nothing was queued; fix the line, or map the name:  --model openai/gpt-5-mini
        "#);
    }

    #[test]
    fn scripts_read_one_document() {
        let error = CliError::no_such_job("job_x");
        insta::assert_snapshot!(error.json().trim_end(), @r#"{"error":{"code":"no_such_job","details":[],"exit":9,"hint":"`overnight status` lists all jobs","message":"there is no job \"job_x\""}}"#);
    }

    #[test]
    fn terminal_commands_in_messages_are_not_obeyed() {
        let error = CliError::usage("bad id \u{1b}[2J").detail("line\nbreak");
        assert!(!error.human(false).contains('\u{1b}'));
        assert!(error.human(false).contains("line\\nbreak"));
    }

    #[test]
    fn an_error_keeps_its_code_through_anyhow() {
        let error: CliError = anyhow::Error::from(CliError::no_such_job("x")).into();
        assert_eq!(error.exit, Exit::NotFound);
        let error: CliError = anyhow::anyhow!("low").context("high").into();
        assert_eq!((error.code, error.message.as_str()), ("unexpected", "high: low"));
    }

    #[test]
    fn a_second_process_is_told_who_owns_the_store() {
        let error: CliError = StoreError::Owned { pid: 4711, path: "/state".into() }.into();
        assert_eq!(error.exit, Exit::Owner);
        assert!(error.human(false).contains("4711"));
    }
}
