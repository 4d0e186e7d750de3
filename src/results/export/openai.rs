//! Results as OpenAI's Batch API would give them: output lines and error lines.
//!
//! | item | line |
//! |---|---|
//! | succeeded | `response` with the provider's status, request id and body, `error` null |
//! | failed with a refusal (status 400 or higher) | the same, to the error file |
//! | failed otherwise | `response` null, `error` with our code and message, to the error file |
//! | expired, cancelled | `response` null, `error` `batch_expired` or `batch_cancelled`, to the error file |
//!
//! Status and request id come from the attempt that ended the item. Bodies are those of the provider
//! that answered; where it answered in another format than was asked in, they are translated.
//!
//! Shell.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int16Type;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::catalog::words;
use crate::provider::translate::reply::reply;
use crate::results::ResultsError;
use crate::results::export::Exported;
use crate::results::gather::Position;
use crate::results::select::{Selected, Selection};

/// One line of an output or error file.
#[derive(Serialize)]
struct Line<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: i16,
    request_id: Option<&'a str>,
    body: Body<'a>,
}

/// The response as it came; a body that is no JSON stands as text.
#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Json(Box<RawValue>),
    Text(Cow<'a, str>),
    None,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

/// Where lines go.
pub(super) struct Lines<'a> {
    /// Of items that succeeded.
    pub(super) output: &'a mut dyn Write,
    /// Of all others; `None` puts them between those that succeeded.
    pub(super) errors: Option<&'a mut dyn Write>,
    /// How many of which.
    pub(super) exported: Exported,
}

/// Writes every selected result row as a line; `attempts` are those of the same chain.
pub(super) fn write(
    results: &Selection,
    attempts: &Selection,
    lines: &mut Lines<'_>,
) -> Result<(), WriteError> {
    // By job and item: where the last attempt is. Attempts come in order, so the last one stays.
    let last: HashMap<(u16, u32), Position> =
        attempts.rows.iter().map(|row| ((row.link, row.item), row.position)).collect();
    for window in results.windows() {
        let batch = results.fetch(window, &RESULT_COLUMNS)?;
        let calls = Calls::fetch(attempts, window, &last)?;
        for row in 0..batch.num_rows() {
            let status = text(&batch, "status", row).unwrap_or_default();
            let out = match &mut lines.errors {
                Some(errors) if status != "succeeded" => &mut **errors,
                _ => &mut *lines.output,
            };
            serde_json::to_writer(&mut *out, &line(&batch, row, status, &calls)).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            lines.exported.count_row(status);
        }
    }
    Ok(())
}

/// What went wrong: reading our files, or writing theirs.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Read(#[from] ResultsError),
    #[error(transparent)]
    Write(#[from] io::Error),
}

const RESULT_COLUMNS: [&str; 9] = [
    "job_id",
    "custom_id",
    "status",
    "item_index",
    "error_code",
    "error_message",
    "output_text",
    "response_json",
    "extra_json",
];

/// Status and request id of the last attempt of each row of a window; missing where none was made.
struct Calls {
    batch: Option<RecordBatch>,
    rows: Vec<Option<usize>>,
}

impl Calls {
    fn fetch(
        attempts: &Selection,
        window: &[Selected],
        last: &HashMap<(u16, u32), Position>,
    ) -> Result<Calls, ResultsError> {
        let mut positions = Vec::new();
        let rows = window.iter().map(|row| {
            let position = last.get(&(row.link, row.item))?;
            positions.push(*position);
            Some(positions.len() - 1)
        });
        let rows = rows.collect();
        let columns = ["http_status", "upstream_request_id"];
        let batch = (!positions.is_empty()).then(|| attempts.fetch_at(&positions, &columns)).transpose()?;
        Ok(Calls { batch, rows })
    }

    fn status(&self, row: usize) -> Option<i16> {
        let (batch, row) = (self.batch.as_ref()?, self.rows[row]?);
        let column = batch["http_status"].as_primitive::<Int16Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn request_id(&self, row: usize) -> Option<&str> {
        let (batch, row) = (self.batch.as_ref()?, self.rows[row]?);
        text(batch, "upstream_request_id", row)
    }
}

fn line<'a>(batch: &'a RecordBatch, row: usize, status: &str, calls: &'a Calls) -> Line<'a> {
    let job = text(batch, "job_id", row).unwrap_or_default();
    let item = batch["item_index"].as_primitive::<arrow::datatypes::Int64Type>().value(row);
    let code = text(batch, "error_code", row).unwrap_or("internal");
    let message = text(batch, "error_message", row).unwrap_or_default();
    let http_status = calls.status(row);
    let answered = |status_code| Response {
        status_code,
        request_id: calls.request_id(row),
        body: Body::of(response(batch, row), text(batch, "output_text", row)),
    };
    let (response, error) = match (status, http_status) {
        ("succeeded", status_code) => (Some(answered(status_code.unwrap_or(200))), None),
        ("failed", Some(status_code @ 400..)) => (Some(answered(status_code)), None),
        ("expired", _) => (None, Some(Error { code: "batch_expired", message })),
        ("cancelled", _) => (None, Some(Error { code: "batch_cancelled", message })),
        _ => (None, Some(Error { code, message })),
    };
    let id = format!("batch_req_{}_{item}", job.trim_start_matches("job_"));
    let custom_id = text(batch, "custom_id", row).unwrap_or_default();
    Line { id, custom_id, response, error }
}

impl<'a> Body<'a> {
    /// Without raw responses (`raw = false`) all that is left is the answer's text.
    fn of(response: Option<Cow<'a, str>>, answer: Option<&'a str>) -> Body<'a> {
        let Some(response) = response else {
            return answer.map_or(Body::None, |text| Body::Text(text.into()));
        };
        // Outside of strings a line break is white space, and inside of them there is none; a line of
        // JSONL must not have any.
        let one_line = response.replace(['\n', '\r'], " ");
        RawValue::from_string(one_line).map_or(Body::Text(response), Body::Json)
    }
}

/// The response, in the format that was asked in.
fn response(batch: &RecordBatch, row: usize) -> Option<Cow<'_, str>> {
    let response = text(batch, "response_json", row)?;
    let extra: Value = serde_json::from_str(text(batch, "extra_json", row).unwrap_or("null")).ok()?;
    let asked_as = extra["asked_as"].as_str().and_then(words::wire);
    let translated = asked_as.and_then(|wire| reply(response, wire));
    Some(translated.map_or(Cow::Borrowed(response), Cow::Owned))
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}
