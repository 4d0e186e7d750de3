//! Embeddings over Gemini's own wire: a request in OpenAI's format goes as `batchEmbedContents`, and the
//! vectors come back as those of any other provider.
//!
//! Pure.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::attempt::{Answer, Finish, Outcome};
use crate::catalog::endpoint::Quirks;
use crate::clock::Timestamp;
use crate::job::Item;
use crate::provider::conventions;
use crate::provider::refusal;
use crate::provider::response::Response;
use crate::provider::translate::json::{Object, list, quoted};

/// Where a request for vectors of `model` goes, below the base URL.
pub fn path(model: &str) -> String {
    super::path(model).replace(":generateContent", ":batchEmbedContents")
}

/// A request in OpenAI's format, as far as it can be said in this one.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    dimensions: Option<u32>,
    #[serde(borrow)]
    encoding_format: Option<&'a RawValue>,
}

/// What is sent for an item that asks for embeddings.
pub fn request(item: &Item, model: &str) -> Result<Bytes, String> {
    let asked: Asked<'_> = serde_json::from_slice(&item.body.json)
        .map_err(|error| format!("the body cannot be read: {error}"))?;
    if asked.encoding_format.is_some_and(|format| format.get() == "\"base64\"") {
        return Err("`encoding_format` base64 has no counterpart in Gemini's format".to_owned());
    }
    let model = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    let dimensions = asked.dimensions.map(|n| n.to_string());
    let one = |text: &str| {
        let parts = list([Object::new().with("text", text).end()]);
        Object::new()
            .with_text("model", &model)
            .with("content", &Object::new().with("parts", &parts).end())
            .with_some("outputDimensionality", dimensions.as_deref())
            .end()
    };
    let texts = texts(asked.input.ok_or("`input` is missing")?)?;
    Ok(Object::new().with("requests", &list(texts.into_iter().map(one))).end().into())
}

/// The texts of an `input`, as the JSON strings they were written in.
fn texts(input: &RawValue) -> Result<Vec<&str>, String> {
    if input.get().starts_with('"') {
        return Ok(vec![input.get()]);
    }
    let items: Vec<&RawValue> =
        serde_json::from_str(input.get()).map_err(|error| format!("`input`: {error}"))?;
    if items.is_empty() {
        return Err("`input` is empty".to_owned());
    }
    let text = |item: &'_ RawValue| item.get().starts_with('"');
    match items.iter().all(|item| text(item)) {
        true => Ok(items.into_iter().map(RawValue::get).collect()),
        false => Err("`input` of token numbers has no counterpart in Gemini's format".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embedded<'a> {
    #[serde(borrow)]
    embeddings: Option<Vec<Vector<'a>>>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

/// What a response means.
pub fn read(response: &Response<'_>, quirks: &Quirks, now: Timestamp) -> Outcome {
    let refused =
        || super::quota::until_the_day_ends(refusal::read(response, quirks, now), &response.body, now);
    if !(200..=299).contains(&response.status) {
        return refused();
    }
    let embedded: Embedded<'_> = match serde_json::from_slice(&response.body) {
        Ok(embedded) => embedded,
        Err(error) => return response.garbage(&error.to_string()),
    };
    let Some(vectors) = embedded.embeddings.filter(|vectors| !vectors.is_empty()) else {
        return response.garbage("JSON without an embedding");
    };
    let text = match vectors.as_slice() {
        [one] => one.values.get().to_owned(),
        several => list(several.iter().map(|vector| vector.values.get())),
    };
    Outcome::Answer(Answer {
        text,
        finish: Finish::Complete,
        usage: embedded.usage_metadata.and_then(conventions::gemini).filter(|usage| usage.input > 0),
        request_id: response.request_id().map(str::to_owned),
        http_status: response.status,
        body: response.body.clone(),
        ..Answer::default()
    })
}

/// A body of vectors as OpenAI would have given it; `None` where it is another's.
pub(crate) fn as_embeddings(body: &str) -> Option<String> {
    let embedded: Embedded<'_> = serde_json::from_str(body).ok()?;
    let vectors = embedded.embeddings?;
    let data = vectors.iter().enumerate().map(|(index, vector)| {
        let object = Object::new().with_text("object", "embedding").with("index", &index.to_string());
        object.with("embedding", vector.values.get()).end()
    });
    let input = embedded.usage_metadata.and_then(conventions::gemini).unwrap_or_default().input.to_string();
    let usage = Object::new().with("prompt_tokens", &input).with("total_tokens", &input);
    let object = Object::new().with("object", &quoted("list")).with("data", &list(data));
    Some(object.with("usage", &usage.end()).end())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::attempt::RefusalKind;
    use crate::job::{Body, Needs, Wire};

    fn sent(body: &Value) -> Result<Value, String> {
        let item = Item {
            index: 0,
            custom_id: "r-1".into(),
            class: 0,
            wire: Wire::Embeddings,
            body: Body { json: body.to_string().into(), model_at: None },
            input_tokens: 1,
            max_output: Some(0),
            choices: 1,
            needs: Needs::default(),
            options: None,
        };
        Ok(serde_json::from_slice(&request(&item, "gemini-embedding-001")?).unwrap())
    }

    fn received(status: u16, body: &str) -> Outcome {
        let headers = HeaderMap::new();
        let response = Response { status, headers: &headers, body: Bytes::copy_from_slice(body.as_bytes()) };
        read(&response, &Quirks::default(), "2026-11-21T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn every_text_is_a_request_of_its_own() {
        let one = |text: &str| {
            json!({
                "model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]},
                "outputDimensionality": 3
            })
        };
        let both =
            sent(&json!({"input": ["a", "b\"\n"], "dimensions": 3, "encoding_format": "float"})).unwrap();
        assert_eq!(both, json!({"requests": [one("a"), one("b\"\n")]}));
        let single = sent(&json!({"input": "a"})).unwrap();
        assert_eq!(single["requests"][0]["content"]["parts"][0]["text"], "a");
        assert!(single["requests"][0].get("outputDimensionality").is_none());
        assert_eq!(path("gemini-embedding-001"), "/models/gemini-embedding-001:batchEmbedContents");
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_name() {
        for (body, name) in [
            (json!({"input": [1, 2]}), "token numbers"),
            (json!({"input": [[1], [2]]}), "token numbers"),
            (json!({"input": []}), "is empty"),
            (json!({}), "is missing"),
            (json!({"input": "a", "encoding_format": "base64"}), "base64"),
        ] {
            let why = sent(&body).unwrap_err();
            assert!(why.contains(name), "{body}: {why}");
        }
    }

    #[test]
    fn vectors_are_those_of_any_other_provider() {
        let body = r#"{"embeddings":[{"values":[0.1,-2e-3]},{"values":[1]}],"usageMetadata":{"promptTokenCount":7}}"#;
        let Outcome::Answer(answer) = received(200, body) else { panic!() };
        assert_eq!((answer.text.as_str(), answer.usage.unwrap().input), ("[[0.1,-2e-3],[1]]", 7));
        let Outcome::Answer(answer) = received(200, r#"{"embeddings":[{"values":[1]}]}"#) else { panic!() };
        assert_eq!((answer.text.as_str(), answer.usage), ("[1]", None));
        let exported: Value = serde_json::from_str(&as_embeddings(body).unwrap()).unwrap();
        assert_eq!(exported["data"][1], json!({"object": "embedding", "index": 1, "embedding": [1]}));
        assert_eq!(exported["usage"]["prompt_tokens"], 7);
        assert_eq!(as_embeddings(r#"{"data":[]}"#), None);
        assert!(matches!(received(200, "{}"), Outcome::Garbage { .. }));
        let gone = r#"{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}"#;
        let Outcome::Refused(refusal) = received(404, gone) else { panic!() };
        assert_eq!(refusal.kind, RefusalKind::ModelGone);
    }
}
