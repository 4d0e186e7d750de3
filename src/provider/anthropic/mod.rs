//! The Anthropic wire family: where its requests go ([`PATH`], [`VERSION`]), and [`read`], which makes
//! an answer or a refusal of a response. Requests in its own format go as they were written, others
//! through [`translate`](super::translate); either gets its cache mark from `marks`.
//!
//! Pure.

use crate::attempt::Outcome;
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::provider::response::Response;
use crate::provider::{refusal, text::lossy};

mod answer;
mod limit;
mod marks;

pub(crate) use answer::parse;
pub(crate) use marks::marked;

/// Where messages go, below the base URL.
pub const PATH: &str = "/messages";

/// The header that names the version of the protocol; without it nothing is answered.
pub const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// What a response means.
pub fn read(response: &Response<'_>, quirks: &Quirks, now: Timestamp) -> Outcome {
    let refused = || limit::until_it_opens(refusal::read(response, quirks, now), now);
    if !(200..=299).contains(&response.status) {
        return refused();
    }
    // Bytes that are no text are rare; only then is the body copied.
    let parsed =
        parse(&response.body).or_else(|why| parse(lossy(&response.body).as_bytes()).map_err(|_| why));
    match parsed {
        Ok(reply) => Outcome::Answer(reply.into_answer(response)),
        Err(answer::NoAnswer::Error) => refused(),
        Err(answer::NoAnswer::Unreadable(why)) => response.garbage(&why),
    }
}

#[cfg(test)]
mod tests;
