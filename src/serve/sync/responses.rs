//! A whole response as the events of OpenAI's Responses API: what is begun, said in one piece, and done.
//!
//! Texts and unknown fields are passed on as the provider wrote them.
//!
//! Pure.

use serde_json::value::{RawValue, to_raw_value};

use super::chunks::{Fields, flat, read};

/// The events of a response.
pub(super) fn of_response(body: &str) -> Result<String, serde_json::Error> {
    let whole: Fields = serde_json::from_str(body)?;
    let mut begun = whole.clone();
    begun.insert("status".to_owned(), to_raw_value("in_progress")?);
    begun.insert("output".to_owned(), empty()?);
    begun.insert("usage".to_owned(), to_raw_value(&())?);
    let begun = to_raw_value(&begun)?;

    let mut events = Events::default();
    events.push("response.created", &[("response", &begun)])?;
    events.push("response.in_progress", &[("response", &begun)])?;
    for (place, item) in read::<Vec<Fields>>(&whole, "output")?.into_iter().enumerate() {
        events.item(&to_raw_value(&place)?, item)?;
    }
    let end = match read::<String>(&whole, "status")?.as_str() {
        "incomplete" => "response.incomplete",
        "failed" => "response.failed",
        _ => "response.completed",
    };
    events.push(end, &[("response", &to_raw_value(&whole)?)])?;
    Ok(events.text)
}

#[derive(Default)]
struct Events {
    text: String,
    /// How many there are.
    n: u64,
}

impl Events {
    fn push(&mut self, kind: &str, fields: &[(&str, &RawValue)]) -> Result<(), serde_json::Error> {
        let mut event: Fields =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        event.insert("type".to_owned(), to_raw_value(kind)?);
        event.insert("sequence_number".to_owned(), to_raw_value(&self.n)?);
        self.n += 1;
        self.text += &format!("event: {kind}\ndata: {}\n\n", flat(&serde_json::to_string(&event)?));
        Ok(())
    }

    fn item(&mut self, place: &RawValue, item: Fields) -> Result<(), serde_json::Error> {
        let kind: String = read(&item, "type")?;
        let mut begun = item.clone();
        begun.insert("status".to_owned(), to_raw_value("in_progress")?);
        match kind.as_str() {
            "message" => drop(begun.insert("content".to_owned(), empty()?)),
            "function_call" => drop(begun.insert("arguments".to_owned(), to_raw_value("")?)),
            _ => {}
        }
        self.push(
            "response.output_item.added",
            &[("output_index", place), ("item", &to_raw_value(&begun)?)],
        )?;
        let id = item.get("id").cloned().map_or_else(|| to_raw_value(""), Ok)?;
        let of_item = [("item_id", &*id), ("output_index", place)];
        match kind.as_str() {
            "message" => {
                for (number, part) in read::<Vec<Fields>>(&item, "content")?.into_iter().enumerate() {
                    self.part(&of_item, &to_raw_value(&number)?, &part)?;
                }
            }
            "function_call" => self.said("function_call_arguments", "arguments", &of_item, &item)?,
            _ => {}
        }
        self.push("response.output_item.done", &[("output_index", place), ("item", &to_raw_value(&item)?)])
    }

    fn part(
        &mut self,
        of_item: &[(&str, &RawValue)],
        number: &RawValue,
        part: &Fields,
    ) -> Result<(), serde_json::Error> {
        let kind: String = read(part, "type")?;
        let text = if kind == "refusal" { "refusal" } else { "text" };
        let mut begun = part.clone();
        begun.insert(text.to_owned(), to_raw_value("")?);
        let of_part = [of_item, &[("content_index", number)]].concat();
        let begun = to_raw_value(&begun)?;
        self.push("response.content_part.added", &[of_part.as_slice(), &[("part", &begun)]].concat())?;
        self.said(&kind, text, &of_part, part)?;
        let whole = to_raw_value(part)?;
        self.push("response.content_part.done", &[of_part.as_slice(), &[("part", &whole)]].concat())
    }

    /// All of a text as its only piece, and that it is whole.
    fn said(
        &mut self,
        kind: &str,
        field: &str,
        place: &[(&str, &RawValue)],
        of: &Fields,
    ) -> Result<(), serde_json::Error> {
        let Some(text) = of.get(field) else { return Ok(()) };
        let none = empty()?;
        // Clients that read the likelihood of words look for it here.
        let more: &[(&str, &RawValue)] = if kind == "output_text" { &[("logprobs", &none)] } else { &[] };
        self.push(&format!("response.{kind}.delta"), &[place, &[("delta", text)], more].concat())?;
        self.push(&format!("response.{kind}.done"), &[place, &[(field, text)], more].concat())
    }
}

fn empty() -> Result<Box<RawValue>, serde_json::Error> {
    to_raw_value::<[(); 0]>(&[])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn events(body: &Value) -> Vec<Value> {
        let text = of_response(&serde_json::to_string_pretty(body).unwrap()).unwrap();
        let event = |text: &str| {
            let (kind, data) = text.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], kind.strip_prefix("event: ").unwrap());
            data
        };
        text.split_terminator("\n\n").map(event).collect()
    }

    #[test]
    fn a_response_is_begun_said_and_done() {
        let message = json!({ "type": "message", "id": "m", "role": "assistant", "status": "completed",
                              "content": [{ "type": "output_text", "text": "a\nb", "annotations": [] }] });
        let call =
            json!({ "type": "function_call", "id": "f", "name": "look", "arguments": "{}", "call_id": "c" });
        let body = json!({ "id": "r", "object": "response", "status": "completed", "output": [message, call],
                           "usage": { "total_tokens": 5 } });
        let events = events(&body);
        let kinds: Vec<&str> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap().strip_prefix("response.").unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
                "completed"
            ]
        );
        assert!(events.iter().enumerate().all(|(n, event)| event["sequence_number"] == n));
        assert_eq!(
            (&events[0]["response"]["output"], &events[0]["response"]["usage"]),
            (&json!([]), &Value::Null)
        );
        assert_eq!(events[3]["part"], json!({ "type": "output_text", "text": "", "annotations": [] }));
        assert_eq!(
            (&events[4]["delta"], &events[4]["item_id"], &events[4]["content_index"]),
            (&json!("a\nb"), &json!("m"), &json!(0))
        );
        assert_eq!((&events[9]["delta"], &events[9]["output_index"]), (&json!("{}"), &json!(1)));
        assert_eq!(events[12]["response"], body);
    }

    #[test]
    fn how_it_ended_is_the_last_event() {
        for (status, kind) in [("incomplete", "response.incomplete"), ("failed", "response.failed")] {
            assert_eq!(events(&json!({ "status": status })).last().unwrap()["type"], kind);
        }
    }
}
