//! The Gemini wire family in three mappings and nothing else: [`request`], and [`read`], which makes
//! an answer or a refusal of a response; [`embed`] does the same for vectors.
//!
//! Pure.

use bytes::Bytes;

use crate::attempt::Outcome;
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::input::edit::{self, Edit};
use crate::input::scan::check_object;
use crate::job::Item;
use crate::provider::response::Response;
use crate::provider::{refusal, text::lossy};

mod answer;
pub mod embed;
mod quota;

pub(crate) use answer::parse;

/// Where a request for `model` goes, below the base URL. A model's own path (`tunedModels/x`) stays.
pub fn path(model: &str) -> String {
    let prefix = if model.contains('/') { "" } else { "models/" };
    format!("/{prefix}{model}:generateContent")
}

/// What is sent for an item of this family's own format. The model stands in the address, so that
/// one in the body is taken out.
pub fn request(item: &Item) -> Result<Bytes, String> {
    let body = &item.body.json;
    if item.body.model_at.is_none() {
        return Ok(body.clone());
    }
    let object = check_object(body).map_err(|fault| format!("the body cannot be read: {}", fault.what))?;
    Ok(edit::apply(object, &[Edit::Remove("model")]).into())
}

/// What a response means.
pub fn read(response: &Response<'_>, quirks: &Quirks, now: Timestamp) -> Outcome {
    let refused = || quota::until_the_day_ends(refusal::read(response, quirks, now), &response.body, now);
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
