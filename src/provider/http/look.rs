//! A look at a provider that costs nothing: the list of models it has for our key, and what its headers
//! say beside it.
//!
//! Shell.

use chrono::DateTime;
use reqwest::{Method, Request};
use serde_json::Value;
use tokio::time::timeout;

use super::{Chunks, End, HttpProvider, MOST_BODY, receive};
use crate::attempt::{Outcome, RateHints, RefusalKind};
use crate::clock::{self, Timestamp};
use crate::provider::response::Response;
use crate::provider::{limits, refusal};

/// What a look at a provider came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The models it lists for our key.
    pub models: Result<Vec<String>, Problem>,
    /// Limits it stated.
    pub hints: RateHints,
    /// How far our clock is ahead of its, in milliseconds; 0 within what can be told.
    pub clock_ahead_ms: Option<i64>,
}

/// Why a provider gave no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What its refusal means; `None` where it said nothing that can be understood.
    pub kind: Option<RefusalKind>,
    /// In words.
    pub words: String,
}

impl Problem {
    fn new(words: String) -> Problem {
        Problem { kind: None, words }
    }

    /// Whether somebody was there to say it.
    pub fn is_an_answer(&self) -> bool {
        self.kind.is_some() || self.words.starts_with("HTTP ")
    }

    /// Whether it is about where in the world we ask from.
    pub fn is_about_region(&self) -> bool {
        let words = self.words.to_ascii_lowercase();
        ["location is not supported", "country, region", "unsupported_country"]
            .iter()
            .any(|phrase| words.contains(phrase))
    }
}

impl HttpProvider {
    /// Asks for the list of models, `GET /models`.
    pub async fn look(&self) -> Look {
        let mut request = Request::new(Method::GET, self.models_url.clone());
        *request.headers_mut() = self.headers.clone();
        match timeout(self.endpoint.timeout, self.listed(request)).await {
            Ok(look) => look,
            Err(_) => Look::failed(self.timed_out()),
        }
    }

    /// The models this account may use.
    pub async fn models(&self) -> Result<Vec<String>, String> {
        self.look().await.models.map_err(|problem| problem.words)
    }

    async fn listed(&self, request: Request) -> Look {
        let sent_at = clock::now();
        let mut response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Look::failed(self.describe(&error)),
        };
        let answered_at = clock::now();
        let mut chunks = Chunks::default();
        match receive(&mut response, &mut chunks, MOST_BODY).await {
            End::Complete => {}
            end => return Look::failed(self.scrubber.text(&end.describe())),
        }
        let headers = self.scrubber.headers(response.headers());
        let body = self.scrubber.body(chunks.into_bytes());
        let status = response.status().as_u16();
        let date = headers.get("date").and_then(|date| date.to_str().ok());
        Look {
            hints: limits::hints(&headers, &self.endpoint.quirks, answered_at),
            clock_ahead_ms: date.and_then(|date| clock_ahead_ms(date, sent_at, answered_at)),
            models: match status {
                200..=299 => model_names(&body).map_err(Problem::new),
                _ => Err(self.refused(&Response { status, headers: &headers, body })),
            },
        }
    }

    fn refused(&self, response: &Response<'_>) -> Problem {
        let words = format!("HTTP {}: {}", response.status, first_words(&response.body));
        let kind = match refusal::read(response, &self.endpoint.quirks, clock::now()) {
            Outcome::Refused(refusal) => Some(refusal.kind),
            _ => None,
        };
        Problem { kind, words: self.scrubber.text(&words) }
    }
}

impl Look {
    fn failed(words: String) -> Look {
        Look { models: Err(Problem::new(words)), hints: RateHints::default(), clock_ahead_ms: None }
    }
}

/// How far we are ahead of a `date` header. It was written between sending and answering, and leaves out
/// what is less than a second: a difference within that is none.
fn clock_ahead_ms(date: &str, sent_at: Timestamp, answered_at: Timestamp) -> Option<i64> {
    let theirs = DateTime::parse_from_rfc2822(date).ok()?.timestamp_millis();
    let (earliest, latest) =
        (sent_at.micros() / 1_000 - theirs - 1_000, answered_at.micros() / 1_000 - theirs);
    Some(if earliest > 0 { earliest } else { latest.min(0) })
}

/// `{"data": [{"id": …}]}`, the list alone (Together), or `{"models": [{"name": "models/…"}]}` (Gemini).
fn model_names(body: &[u8]) -> Result<Vec<String>, String> {
    let reply: Value =
        serde_json::from_slice(body).map_err(|_| "the list of models is not JSON".to_owned())?;
    if let Some(models) = reply["models"].as_array() {
        let names = models.iter().filter_map(|model| model["name"].as_str());
        return Ok(names.map(|name| name.trim_start_matches("models/").to_owned()).collect());
    }
    let list = if reply.is_array() { &reply } else { &reply["data"] };
    let models = list.as_array().ok_or("the list of models has no `data`")?;
    Ok(models.iter().filter_map(|model| model["id"].as_str()).map(str::to_owned).collect())
}

fn first_words(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let message =
        value["error"]["message"].as_str().or(value["error"].as_str()).or(value["message"].as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_what_cannot_be_explained() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let date = "Sat, 21 Nov 2026 12:00:00 GMT";
        for (sent, answered, ahead) in [
            ("2026-11-21T12:00:00.1Z", "2026-11-21T12:00:00.3Z", 0),
            // Half a second is left out, or the request took so long.
            ("2026-11-21T12:00:00.9Z", "2026-11-21T12:00:01.2Z", 0),
            ("2026-11-21T11:59:50Z", "2026-11-21T12:00:01Z", 0),
            ("2026-11-21T12:00:42Z", "2026-11-21T12:00:42.5Z", 41_000),
            ("2026-11-21T11:59:00Z", "2026-11-21T11:59:01Z", -59_000),
        ] {
            assert_eq!(clock_ahead_ms(date, at(sent), at(answered)), Some(ahead), "{sent}");
        }
        assert_eq!(clock_ahead_ms("yesterday", at("2026-11-21T12:00:00Z"), at("2026-11-21T12:00:00Z")), None);
    }

    #[test]
    fn a_region_is_told_from_a_key() {
        let problem = |words: &str| Problem::new(words.to_owned());
        assert!(problem("HTTP 400: User location is not supported for the API use.").is_about_region());
        assert!(problem("HTTP 403: Country, region, or territory not supported").is_about_region());
        assert!(!problem("HTTP 401: Incorrect API key provided").is_about_region());
    }
}
