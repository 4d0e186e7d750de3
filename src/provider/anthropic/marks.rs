//! Cache marks: where a Messages request says "keep the prompt up to here".
//!
//! Anthropic keeps nothing unasked. The mark stands behind the last block that another request, sent close
//! to this one, has too: what is kept is read by the other at a fraction of its price, and nothing that
//! only this request says is written. Tools come before everything else there, so that where they differ
//! nothing is shared. A request with marks of its user's own stays as it is.
//!
//! Whether it pays is [`Price::cache_pays`](crate::money::Price::cache_pays)'s to say.
//!
//! Pure.

use bytes::Bytes;

use crate::input::scan::{Kind, Raw, check_object};

/// What is kept for the shortest time, which every reading starts anew.
const MARK: &str = r#""cache_control":{"type":"ephemeral"}"#;

/// Shorter beginnings are not kept by any model: 512 tokens.
const LEAST: usize = 2_048;

/// Blocks that cannot be marked.
const NOT_MARKED: [&str; 2] = ["thinking", "redacted_thinking"];

/// `body` with a mark behind what `other` begins with too, where that is worth keeping.
pub(crate) fn marked(body: Bytes, other: &[u8]) -> Bytes {
    match last_common(&body, other) {
        Some(block) => with_mark(&body, block),
        None => body,
    }
}

/// A text that is a whole `system` or `content`, or one block of it.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// Whose words they are; `None` for the system prompt.
    role: Option<Raw<'a>>,
    raw: Raw<'a>,
}

impl Block<'_> {
    fn says_the_same(&self, other: &Block<'_>) -> bool {
        self.raw == other.raw && self.role == other.role
    }

    fn can_be_marked(&self) -> bool {
        match self.raw.kind() {
            Kind::String => self.raw.inner().is_some_and(|text| !text.is_empty()),
            Kind::Object => match self.raw.get("type") {
                Some(kind) => !NOT_MARKED.iter().any(|name| kind.is(name)),
                None => false,
            },
            _ => false,
        }
    }
}

/// The last block that both begin with, if all that they share is long enough.
fn last_common<'a>(body: &'a [u8], other: &[u8]) -> Option<Raw<'a>> {
    let (ours, theirs) = (check_object(body).ok()?, check_object(other).ok()?);
    if memchr::memmem::find(body, b"\"cache_control\"").is_some() {
        return None;
    }
    let tools = ours.get("tools");
    if tools != theirs.get("tools") {
        return None;
    }
    let theirs = blocks(theirs);
    let mut length = tools.map_or(0, |tools| tools.bytes().len());
    let mut last = None;
    for (block, other) in blocks(ours).into_iter().zip(&theirs) {
        if !block.says_the_same(other) {
            break;
        }
        length += block.raw.bytes().len();
        if block.can_be_marked() {
            last = Some(block.raw);
        }
    }
    last.filter(|_| length >= LEAST)
}

/// All blocks, in the order in which they are read.
fn blocks(body: Raw<'_>) -> Vec<Block<'_>> {
    let mut blocks = parts(None, body.get("system"));
    for message in body.get("messages").into_iter().flat_map(Raw::elements) {
        blocks.extend(parts(message.get("role"), message.get("content")));
    }
    blocks
}

fn parts<'a>(role: Option<Raw<'a>>, content: Option<Raw<'a>>) -> Vec<Block<'a>> {
    match content {
        Some(list) if list.kind() == Kind::Array => list.elements().map(|raw| Block { role, raw }).collect(),
        Some(raw) => vec![Block { role, raw }],
        None => Vec::new(),
    }
}

fn with_mark(body: &[u8], block: Raw<'_>) -> Bytes {
    let bytes = block.bytes();
    let start = bytes.as_ptr().addr() - body.as_ptr().addr();
    let mut out = Vec::with_capacity(body.len() + MARK.len() + 32);
    out.extend_from_slice(&body[..start]);
    match block.kind() {
        Kind::String => {
            out.extend_from_slice(br#"[{"type":"text","text":"#);
            out.extend_from_slice(bytes);
            out.push(b',');
            out.extend_from_slice(MARK.as_bytes());
            out.extend_from_slice(b"}]");
        }
        _ => {
            out.extend_from_slice(&bytes[..bytes.len() - 1]);
            out.push(b',');
            out.extend_from_slice(MARK.as_bytes());
            out.push(b'}');
        }
    }
    out.extend_from_slice(&body[start + bytes.len()..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn marked(body: &Value, other: &Value) -> Value {
        let out = super::marked(body.to_string().into(), other.to_string().as_bytes());
        serde_json::from_slice(&out).unwrap()
    }

    fn long(what: &str) -> String {
        format!("{what} \"quoted\" ").repeat(200)
    }

    fn mark() -> Value {
        json!({"type": "ephemeral"})
    }

    #[test]
    fn a_shared_system_prompt_is_kept() {
        let ask = |question: &str| json!({"system": long("Judge."), "messages": [{"role": "user", "content": question}]});
        let out = marked(&ask("one"), &ask("two"));
        assert_eq!(out["system"], json!([{"type": "text", "text": long("Judge."), "cache_control": mark()}]));
        assert_eq!(out["messages"], ask("one")["messages"], "nothing else is touched");
    }

    #[test]
    fn the_mark_stands_behind_the_last_block_that_is_shared() {
        let ask = |question: &str| {
            json!({
                "tools": [{"name": "t", "input_schema": {}}],
                "system": [{"type": "text", "text": "Be brief."}],
                "messages": [
                    {"role": "user", "content": long("An example.")},
                    {"role": "assistant", "content": [{"type": "text", "text": "pos"}]},
                    {"role": "user", "content": [{"type": "text", "text": long("Rules.")}, {"type": "text", "text": question}]}
                ]
            })
        };
        let out = marked(&ask("one"), &ask("two"));
        let mut expected = ask("one");
        expected["messages"][2]["content"][0]["cache_control"] = mark();
        assert_eq!(out, expected);
        let mut others_tools = ask("two");
        others_tools["tools"][0]["name"] = json!("u");
        assert_eq!(marked(&ask("one"), &others_tools), ask("one"), "tools come first");
        let mut others_role = ask("two");
        others_role["messages"][0]["role"] = json!("assistant");
        assert_eq!(marked(&ask("one"), &others_role), ask("one"), "too little is shared before it");
    }

    #[test]
    fn what_is_short_or_marked_already_or_unreadable_stays() {
        let ask = |system: &str, question: &str| json!({"system": system, "messages": [{"role": "user", "content": question}]});
        assert_eq!(marked(&ask("Be brief.", "one"), &ask("Be brief.", "two")), ask("Be brief.", "one"));
        let mut own = ask(&long("Judge."), "one");
        own["cache_control"] = mark();
        assert_eq!(marked(&own, &ask(&long("Judge."), "two")), own);
        let one = ask(&long("Judge."), "one");
        assert_eq!(marked(&one, &json!("no object")), one);
        assert_eq!(marked(&one, &ask(&long("Rate."), "one")), one, "the same question behind other rules");
    }

    #[test]
    fn every_other_byte_stays_as_it_was_written() {
        let system = long("Judge.").replace('"', "");
        let body = |n: &str| {
            format!(
                r#"{{ "max_tokens":1.50, "system" : "{system}","messages":[{{"role":"user","content":{n}}}],"x":1e400 }}"#
            )
        };
        let out = super::marked(body("\"a\"").into(), body("\"b\"").as_bytes());
        let expected = body("\"a\"").replace(
            &format!("\"{system}\""),
            &format!(r#"[{{"type":"text","text":"{system}","cache_control":{{"type":"ephemeral"}}}}]"#),
        );
        assert_eq!(out, expected.as_bytes());
    }
}
