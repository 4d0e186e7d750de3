//! Chat bodies for lines that are not yet a request: a prompt, a list of messages, a conversation.
//!
//! What the line has as JSON (texts, content parts, parameters) goes into the body as the bytes it
//! was written in.
//!
//! Pure.

use super::problem::shown;
use super::scan::{Kind, Member, Raw};

/// Keys of a `prompt` or `messages` line that are parameters of the request; others are data.
pub const PARAMETERS: [&str; 26] = [
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "min_p",
    "modalities",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prediction",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
];

/// A body that is being written.
pub struct Chat {
    json: Vec<u8>,
    n_messages: usize,
    /// Assistant turns left out at the end.
    pub n_dropped: usize,
}

impl Chat {
    /// Starts with the system message, if there is one; it is given as JSON.
    pub fn new(system: Option<Raw<'_>>) -> Chat {
        let mut chat = Chat { json: b"{\"messages\":[".to_vec(), n_messages: 0, n_dropped: 0 };
        if let Some(system) = system {
            chat.message("system", system.bytes());
        }
        chat
    }

    /// Adds a message whose content is given as JSON.
    pub fn message(&mut self, role: &str, content: &[u8]) {
        self.comma();
        self.json.extend_from_slice(b"{\"role\":\"");
        self.json.extend_from_slice(role.as_bytes());
        self.json.extend_from_slice(b"\",\"content\":");
        self.json.extend_from_slice(content);
        self.json.push(b'}');
    }

    /// Adds a list of messages as they are, without assistant turns at its end: those are what is asked for.
    pub fn messages(&mut self, list: Raw<'_>, field: &str) -> Result<(), String> {
        let mut messages: Vec<Raw<'_>> = list.elements().collect();
        for (index, message) in messages.iter().enumerate() {
            let role = message.get("role").filter(|role| role.kind() == Kind::String);
            if role.is_none() {
                return Err(format!("`{field}[{index}]` is not a message: it has no `role`"));
            }
        }
        let is_answer = |message: &Raw<'_>| message.get("role").is_some_and(|role| role.is("assistant"));
        let asked = messages.iter().rposition(|message| !is_answer(message)).map_or(0, |last| last + 1);
        self.n_dropped = messages.len() - asked;
        messages.truncate(asked);
        for message in &messages {
            self.comma();
            self.json.extend_from_slice(message.bytes());
        }
        self.some(field, asked)
    }

    /// Adds a ShareGPT conversation, without assistant turns at its end.
    pub fn conversation(&mut self, list: Raw<'_>) -> Result<(), String> {
        let turns: Vec<(&str, Raw<'_>)> = list
            .elements()
            .enumerate()
            .map(|(index, turn)| share_gpt_turn(index, turn))
            .collect::<Result<_, _>>()?;
        let asked = turns.iter().rposition(|(role, _)| *role != "assistant").map_or(0, |last| last + 1);
        self.n_dropped = turns.len() - asked;
        for (role, value) in &turns[..asked] {
            self.message(role, value.bytes());
        }
        self.some("conversations", asked)
    }

    /// The body, with `parameters` as they were written.
    pub fn finish<'a>(mut self, parameters: impl Iterator<Item = Member<'a>>) -> Vec<u8> {
        self.json.push(b']');
        for member in parameters {
            self.json.push(b',');
            self.json.extend_from_slice(member.key.bytes());
            self.json.push(b':');
            self.json.extend_from_slice(member.value.bytes());
        }
        self.json.push(b'}');
        self.json
    }

    fn some(&self, field: &str, n_messages: usize) -> Result<(), String> {
        match (n_messages, self.n_dropped) {
            (0, 0) => Err(format!("`{field}` has no messages")),
            (0, _) => Err(format!("`{field}` has only assistant turns; there is nothing to answer")),
            _ => Ok(()),
        }
    }

    fn comma(&mut self) {
        if self.n_messages > 0 {
            self.json.push(b',');
        }
        self.n_messages += 1;
    }
}

fn share_gpt_turn(index: usize, turn: Raw<'_>) -> Result<(&'static str, Raw<'_>), String> {
    let from = turn.get("from").and_then(Raw::text);
    let value = turn.get("value").filter(|value| value.kind() == Kind::String);
    let (Some(from), Some(value)) = (from, value) else {
        return Err(format!("`conversations[{index}]` must have `from` and `value`, both text"));
    };
    match &*from {
        "human" | "user" | "prompter" => Ok(("user", value)),
        "gpt" | "assistant" | "bot" | "chatgpt" | "model" => Ok(("assistant", value)),
        "system" => Ok(("system", value)),
        other => {
            Err(format!("`conversations[{index}].from` is {}; known are human, gpt and system", shown(other)))
        }
    }
}

/// `text` as JSON.
pub fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("text is always JSON")
}

#[cfg(test)]
mod tests {
    use super::super::scan::check;
    use super::*;

    fn raw(json: &str) -> Raw<'_> {
        check(json.as_bytes()).unwrap()
    }

    fn text(chat: Chat) -> String {
        String::from_utf8(chat.finish(std::iter::empty())).unwrap()
    }

    #[test]
    fn messages_keep_their_bytes_and_lose_the_last_answer() {
        let mut chat = Chat::new(None);
        let list =
            r#"[ {"role":"user","content":"\u0000\ud800 1e400"} , {"role":"assistant","content":"b"}]"#;
        chat.messages(raw(list), "messages").unwrap();
        assert_eq!(chat.n_dropped, 1);
        assert_eq!(text(chat), r#"{"messages":[{"role":"user","content":"\u0000\ud800 1e400"}]}"#);
    }

    #[test]
    fn a_conversation_becomes_messages() {
        let mut chat = Chat::new(Some(raw(r#""be brief""#)));
        let list =
            r#"[{"from":"human","value":"a"},{"from":"gpt","value":"b"},{"from":"human","value":"c\n"}]"#;
        chat.conversation(raw(list)).unwrap();
        assert_eq!(
            text(chat),
            r#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c\n"}]}"#
        );
    }

    #[test]
    fn lists_without_a_question_are_refused() {
        for (list, message) in [
            ("[]", "has no messages"),
            (r#"[{"role":"assistant","content":"x"}]"#, "only assistant turns"),
            (r#"[{"content":"x"}]"#, "`messages[0]` is not a message"),
            (r#"["x"]"#, "`messages[0]` is not a message"),
        ] {
            let error = Chat::new(None).messages(raw(list), "messages").unwrap_err();
            assert!(error.contains(message), "{list}: {error}");
        }
        for (list, message) in [
            (r#"[{"from":"tool","value":"x"}]"#, "known are human, gpt and system"),
            (r#"[{"role":"user","content":"x"}]"#, "must have `from` and `value`"),
        ] {
            let error = Chat::new(None).conversation(raw(list)).unwrap_err();
            assert!(error.contains(message), "{list}: {error}");
        }
    }
}
