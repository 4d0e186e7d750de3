//! A request in one format as the same request in another, so that every prompt can go to every
//! provider; and an answer in another format as one of the format that was asked in.
//!
//! | read | written |
//! |---|---|
//! | chat completions, responses, Messages, generateContent | chat completions, Messages, generateContent |
//!
//! What both formats can say goes over: text, system prompt, several turns, images, tools, sampling,
//! stop words, the output limit and JSON schemas. What would change the meaning by being dropped is
//! refused by name, and the route is out before anything is sent ([`obstacle`]). Values are carried
//! over as the bytes they were written in.
//!
//! Pure.

use bytes::Bytes;

use crate::catalog::Route;
use crate::catalog::endpoint::Quirks;
use crate::job::{Item, Wire};

mod ask;
mod chat;
mod gemini;
pub(crate) mod json;
mod messages;
pub mod reply;
mod responses;

use ask::Ask;

/// The format in which a request is sent to who takes these: its own, else one it can be written in.
pub fn target(own: Wire, taken: &[Wire]) -> Option<Wire> {
    if taken.contains(&own) {
        return Some(own);
    }
    let written = [Wire::Chat, Wire::Messages, Wire::GenerateContent];
    written.into_iter().find(|wire| own != Wire::Embeddings && taken.contains(wire))
}

/// What stands in the way of sending an item on a route, in words.
pub fn obstacle(item: &Item, route: &Route) -> Option<String> {
    let Some(wire) = target(item.wire, &route.wires) else {
        return Some("its endpoint does not take this kind of request".to_owned());
    };
    if wire == item.wire {
        return None;
    }
    request(item, wire, &route.model, route.max_output, &Quirks::default()).err()
}

/// The body that asks `model` in the format `wire` what the item asks; `max_output` is what the model
/// may answer where the item does not say.
pub fn request(
    item: &Item,
    wire: Wire,
    model: &str,
    max_output: Option<u64>,
    quirks: &Quirks,
) -> Result<Bytes, String> {
    let ask = read(item)?;
    let body = match wire {
        Wire::Chat => chat::write(&ask, model, quirks)?,
        Wire::Messages => messages::write(&ask, model, max_output)?,
        Wire::GenerateContent => gemini::write(&ask)?,
        Wire::Responses | Wire::Embeddings => return Err("nothing is translated to this format".to_owned()),
    };
    Ok(body.into())
}

fn read(item: &Item) -> Result<Ask<'_>, String> {
    let body =
        std::str::from_utf8(&item.body.json).map_err(|error| format!("the body is no text: {error}"))?;
    match item.wire {
        Wire::Chat => chat::read(body),
        Wire::Responses => responses::read(body),
        Wire::Messages => messages::read(body),
        Wire::GenerateContent => gemini::read(body),
        Wire::Embeddings => Err("embeddings have one format only".to_owned()),
    }
}

#[cfg(test)]
mod tests;
