//! A refusal by what it means: the code decides, then the type, then the message, then the status. A
//! few phrases go before all of it, where vendors call different things by one code.
//!
//! A status that a gateway gives when its own upstream went quiet is not a refusal: the request may
//! have been served and billed, so its outcome is unknown.
//!
//! Pure.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::response::{MOST_KEPT, Response};
use super::text::cut;
use super::words;
use crate::attempt::{ErrorCode, Outcome, Refusal, RefusalKind};
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::provider::limits;

/// How much of a provider's words is kept.
const MOST_MESSAGE: usize = 2_000;

/// What a response that is no answer means.
pub(super) fn read(response: &Response<'_>, quirks: &Quirks, now: Timestamp) -> Outcome {
    let said = Said::read(response);
    let status = effective_status(response.status, &said);
    let message = cut(&said.describe(response), MOST_MESSAGE);
    match meaning(&said, status, quirks) {
        Meaning::Unknown(code) => Outcome::Unknown { message, code, http_status: Some(response.status) },
        Meaning::Refused(kind) => Outcome::Refused(Refusal {
            kind,
            http_status: response.status,
            message,
            retry_after: limits::retry_after(response.headers, now).or(said.retry_after),
            request_id: response.request_id().map(str::to_owned).or(said.request_id),
            body: Bytes::copy_from_slice(&response.body[..response.body.len().min(MOST_KEPT)]),
        }),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Refused(RefusalKind),
    Unknown(ErrorCode),
}

fn meaning(said: &Said, status: u16, quirks: &Quirks) -> Meaning {
    use RefusalKind::{Auth, ModelGone, TooLong};

    if let Some(kind) = words::strong_phrase(&said.message).filter(|_| status != 422) {
        return Meaning::Refused(kind);
    }
    let of_vendor = said.words.iter().find_map(|word| quirks.error_codes.get(word).copied());
    if let Some(kind) = of_vendor {
        return Meaning::Refused(kind);
    }
    // Too large stays too large, even where the code beside it speaks of a rate (Groq).
    if status == 413 {
        return Meaning::Refused(TooLong);
    }
    if let Some(kind) = said.words.iter().find_map(|word| words::word(word)) {
        return Meaning::Refused(kind);
    }
    // A tier this project may not use: the route is dead, the item is sound.
    if status == 400 && said.param.as_deref() == Some("service_tier") {
        return Meaning::Refused(ModelGone);
    }
    // OpenRouter's moderation answers 403, which is no fault of the key.
    if status == 403 && said.moderated {
        return Meaning::Refused(RefusalKind::Blocked);
    }
    // Portkey's own refusals are about how it is set up, and so about every item alike.
    if said.portkey_failure && matches!(status, 400..=403) {
        return Meaning::Refused(Auth);
    }
    // A gateway that lost, or could not read, what was answered behind it. Portkey's own failures are of
    // that kind: what it refuses before it asks is a 400.
    if status == 500 && (said.portkey_failure || words::lost_behind(&said.message)) {
        return Meaning::Unknown(ErrorCode::Network);
    }
    if let Some(&kind) = quirks.statuses.get(&status) {
        return Meaning::Refused(kind);
    }
    // 422 quotes the request, whose words are not the provider's; and below 429 nobody is overloaded.
    let weak = words::weak_phrase(&said.message)
        .filter(|kind| status != 422 && (*kind != RefusalKind::Capacity || status >= 429));
    match (of_status(status), weak) {
        (Meaning::Refused(_), Some(kind)) => Meaning::Refused(kind),
        (meaning, _) => meaning,
    }
}

fn of_status(status: u16) -> Meaning {
    use RefusalKind::*;
    Meaning::Refused(match status {
        401 | 403 => Auth,
        402 => NoCredit,
        // The address or the model does not exist; a redirect would carry the key elsewhere.
        300..=399 | 404 | 405 | 410 => ModelGone,
        // A lock or a replay guard: passing.
        409 | 425 => Server,
        413 => TooLong,
        429 => Rate,
        529 => Capacity,
        408 | 504 | 522 | 524 => return Meaning::Unknown(ErrorCode::Timeout),
        502 | 520..=528 => return Meaning::Unknown(ErrorCode::ServerError),
        500.. => Server,
        // A success status with an error inside that names no reason.
        200..=299 => Server,
        _ => Invalid,
    })
}

/// The status that counts: inside a success it is the one the error itself states.
fn effective_status(status: u16, said: &Said) -> u16 {
    if !(200..=299).contains(&status) {
        return status;
    }
    said.words
        .iter()
        .find_map(|word| word.parse().ok().filter(|code| (400..=599).contains(code)))
        .unwrap_or(status)
}

/// What an error body says, in whatever shape.
#[derive(Debug, Default)]
struct Said {
    /// Codes, then types, in the order in which they count.
    words: Vec<String>,
    message: String,
    param: Option<String>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
    moderated: bool,
    portkey_failure: bool,
}

impl Said {
    fn read(response: &Response<'_>) -> Said {
        let mut said = match serde_json::from_slice::<Value>(&response.body) {
            // Gemini's OpenAI endpoint wraps its error in an array.
            Ok(Value::Array(items)) => items.first().map(Said::of_body).unwrap_or_default(),
            Ok(body) => Said::of_body(&body),
            Err(_) => Said { message: page_text(&response.body), ..Said::default() },
        };
        // Bedrock names the exception in a header: `ThrottlingException:http://…`.
        if let Some(name) = response.header("x-amzn-errortype") {
            said.words.push(name.split(':').next().unwrap_or_default().to_owned());
        }
        said
    }

    fn of_body(body: &Value) -> Said {
        // A choice that broke off carries its error itself.
        let inner = match &body["error"] {
            Value::Null => &body["choices"][0]["error"],
            error => error,
        };
        let error = if inner.is_object() { inner } else { body };
        let mut said = Said {
            message: message(error, inner.as_str()),
            param: text(&error["param"]),
            request_id: text(&body["request_id"]),
            portkey_failure: body["status"] == "failure",
            ..Said::default()
        };
        said.add_words(error);
        said.add_google(&error["details"]);
        said.add_openrouter(&error["metadata"]);
        said
    }

    fn add_words(&mut self, error: &Value) {
        let words = [
            &error["code"],
            &error["metadata"]["error_type"],
            &error["details"]["error_code"],
            &error["innererror"]["code"],
            &error["type"],
            &error["status"],
            &error["__type"],
        ];
        self.words.extend(words.into_iter().filter_map(text));
    }

    /// `google.rpc` details: why, and how long to wait.
    fn add_google(&mut self, details: &Value) {
        for detail in details.as_array().into_iter().flatten() {
            // More exact than the status word beside it: a bad key is `INVALID_ARGUMENT` there.
            if let Some(reason) = text(&detail["reason"]) {
                self.words.insert(0, reason);
            }
            if let Some(delay) = detail["retryDelay"].as_str() {
                self.retry_after = limits::go_duration(delay);
            }
        }
    }

    fn add_openrouter(&mut self, metadata: &Value) {
        self.moderated = metadata["reasons"].is_array();
        // OpenRouter says "Provider returned error" and puts the provider's words here.
        if let Some(raw) = text(&metadata["raw"]) {
            self.message = format!("{}: {raw}", self.message);
        }
    }

    fn describe(&self, response: &Response<'_>) -> String {
        let status = response.status;
        let address = response.header("location");
        match (status, address) {
            (300..=399, Some(address)) => {
                format!("redirected to {address}, which is not followed; set base_url to the final address")
            }
            _ if self.message.trim().is_empty() => format!("HTTP {status} without a message"),
            _ => self.message.clone(),
        }
    }
}

/// The provider's words: a plain string, a `message`, FastAPI's `detail`, or what Portkey makes of a page.
fn message(error: &Value, plain: Option<&str>) -> String {
    if let Some(plain) = plain {
        return plain.to_owned();
    }
    let fields = [&error["message"], &error["detail"], &error["msg"], &error["html-message"]];
    match fields.into_iter().find(|field| !field.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(problems)) => {
            let each: Vec<String> = problems.iter().map(problem).collect();
            each.join("; ")
        }
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// One of FastAPI's problems, `{loc, msg}`; what it quotes of the request is left out.
fn problem(problem: &Value) -> String {
    let place = problem["loc"].as_array().map(|path| {
        let steps: Vec<String> = path.iter().filter_map(text).collect();
        steps.join(".")
    });
    match (place, problem["msg"].as_str()) {
        (Some(place), Some(words)) => format!("{place}: {words}"),
        (None, Some(words)) => words.to_owned(),
        _ => problem.to_string(),
    }
}

/// A string or a number as text; codes are written as both.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a body that is not JSON says: the title of an HTML page, else its text.
fn page_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MOST_KEPT)]);
    let text = text.trim();
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = start + lower[start..].find("</title>")?;
        Some(text[start..end].trim())
    });
    format!("an HTML page: {}", title.unwrap_or("without a title"))
}

#[cfg(test)]
mod tests;
