//! [`BatchOrder`]: a batch as a client orders it.
//!
//! Pure.

use bytes::Bytes;
use serde_json::Value;

use crate::catalog::batch::BatchDialect;
use crate::job::Wire;
use crate::provider::simulated::{Asked, Prompt, Wanted, body};

/// A batch as it is ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOrder {
    /// In whose words it is described.
    pub dialect: BatchDialect,
    /// The format of its requests.
    pub wire: Wire,
    /// The model, where the batch names it rather than its requests.
    pub model: Option<String>,
    /// The same as the client calls it, where that is another name.
    pub called: Option<String>,
    /// Where its requests would go one by one.
    pub endpoint: String,
    /// The file they are from, by the name it was given.
    pub input_file: Option<String>,
    /// What the client calls it: metadata or a name.
    pub label: Value,
    /// Its requests.
    pub lines: Vec<BatchLine>,
}

/// A request in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// The client's name for it.
    pub id: String,
    /// What is asked.
    pub asks: Asks,
}

/// What is asked in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// What a body says, in this format.
    Body(Wire, Bytes),
    /// `pass` or `fail`, whatever the body says.
    Plain {
        /// What the model knows of the prompt.
        prompt: Prompt,
        /// Output tokens allowed for each choice.
        max_output: Option<u64>,
        /// Answers asked for.
        choices: u16,
    },
}

impl Asks {
    /// The same as a request has it; `model` is the batch's own, where it names one.
    pub(super) fn read<'a>(&'a self, model: Option<&'a str>) -> Result<Asked<'a>, String> {
        match self {
            Asks::Body(wire, body) => body::read_for(*wire, body, model),
            Asks::Plain { prompt, max_output, choices } => Ok(Asked {
                model: model.unwrap_or_default().into(),
                prompt: *prompt,
                max_output: *max_output,
                choices: *choices,
                wanted: Wanted::Plain,
                base64: false,
                tool: None,
                stream: false,
                flex: false,
            }),
        }
    }
}
