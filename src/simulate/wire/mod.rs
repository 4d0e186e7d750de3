//! Replies in the formats of the families.
//!
//! By hand, because a tree of values for each answer would cost more than the rest of the server;
//! texts are escaped by serde_json.
//!
//! Pure.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::attempt::RateHints;
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::provider::simulated::{Answer, Refusal};

mod anthropic;
mod gemini;
mod openai;
mod stream;

pub(super) use gemini::models as gemini_models;
pub(super) use openai::models;
pub(super) use stream::stream;

/// What an answer is known by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// Its number.
    pub(super) number: u64,
    /// When it was made, in seconds since 1970.
    pub(super) created: i64,
}

/// How an answer is written.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// In which format.
    pub(super) wire: Wire,
    /// Embeddings as base64 instead of numbers.
    pub(super) base64: bool,
    /// The tool that is called with it.
    pub(super) tool: Option<String>,
}

/// A complete answer.
pub(super) fn answer(shape: &Shape, stamp: Stamp, answer: &Answer) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    let tool = shape.tool.as_deref();
    match shape.wire {
        Wire::Chat => openai::chat(&mut out, tool, stamp, answer),
        Wire::Responses => openai::response(&mut out, tool, stamp, answer),
        Wire::Embeddings => openai::embeddings(&mut out, shape.base64, answer),
        Wire::Messages => anthropic::message(&mut out, tool, stamp, answer),
        Wire::GenerateContent => gemini::content(&mut out, tool, stamp, answer),
    }
    out
}

/// An error response.
pub(super) fn error(wire: Wire, refusal: &Refusal) -> Vec<u8> {
    match wire {
        Wire::Chat | Wire::Responses | Wire::Embeddings => openai::error(refusal),
        Wire::Messages => anthropic::error(refusal),
        Wire::GenerateContent => gemini::error(refusal),
    }
}

/// Names the request, as its family does.
pub(super) fn write_id(wire: Wire, headers: &mut HeaderMap, stamp: Stamp) {
    let name = match wire {
        Wire::Chat | Wire::Responses | Wire::Embeddings => "x-request-id",
        Wire::Messages => "request-id",
        Wire::GenerateContent => return,
    };
    headers.insert(name, header(&format!("sim-{:x}", stamp.number)));
}

/// States the limits; Gemini does not.
pub(super) fn write_hints(wire: Wire, headers: &mut HeaderMap, hints: &RateHints, now: Timestamp) {
    match wire {
        Wire::Chat | Wire::Responses | Wire::Embeddings => openai::write_hints(headers, hints),
        Wire::Messages => anthropic::write_hints(headers, hints, now),
        Wire::GenerateContent => {}
    }
}

/// States how long to wait; Gemini does so in the body.
pub(super) fn write_retry_after(wire: Wire, headers: &mut HeaderMap, wait: Duration) {
    match wire {
        Wire::Chat | Wire::Responses | Wire::Embeddings => openai::write_retry_after(headers, wait),
        Wire::Messages => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        Wire::GenerateContent => {}
    }
}

/// What a model says that declines.
const DECLINED: &str = "I'm sorry, but I can't help with that.";

fn comma(index: usize) -> &'static str {
    if index > 0 { "," } else { "" }
}

fn put(out: &mut Vec<u8>, what: fmt::Arguments<'_>) {
    out.write_fmt(what).expect("memory takes every write");
}

fn text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is always JSON");
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("our own words are plain ASCII")
}

fn count(headers: &mut HeaderMap, name: &'static str, count: Option<u64>) {
    if let Some(count) = count {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
}
