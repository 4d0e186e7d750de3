//! What providers say of batches, as it stands in their own pages, and what we make of it.

use serde_json::{Value, json};

use super::dialect::{self, Seen, What};
use crate::attempt::RefusalKind;
use crate::batch::{BatchState, Ended, Mark, NotRun, Order, ResultsAt, Why};
use crate::catalog::Catalog;
use crate::catalog::batch::{BatchApi, BatchDialect, FoundBy};
use crate::job::Wire;

use BatchDialect::{Anthropic, Gemini, Mistral, OpenAi, OpenRouter, Xai};

const MARK: Mark = Mark { store: 1, number: 2 };

fn seen(dialect: BatchDialect, batch: &Value) -> Seen {
    dialect::of(dialect).read(batch).unwrap_or_else(|| panic!("{batch}"))
}

fn order(wire: Wire) -> Order {
    Order { mark: MARK, model: "a-model".into(), wire }
}

fn api(provider: &str) -> BatchApi {
    Catalog::bundled().provider(provider).unwrap().quirks.batch.clone().unwrap()
}

#[test]
fn states_mean_the_same_whatever_the_word() {
    let failed = |why| BatchState::Ended(Ended::Failed { why, message: String::new() });
    let invalid = || failed(Why::Refused(RefusalKind::Invalid));
    let server = || failed(Why::Refused(RefusalKind::Server));
    let ended = BatchState::Ended;
    use BatchState::{Ending, Queued, Running};
    for (dialect, field, states) in [
        (
            OpenAi,
            "status",
            vec![
                ("validating", Queued),
                ("in_progress", Running),
                ("finalizing", Ending),
                ("cancelling", Ending),
                ("completed", ended(Ended::Completed)),
                ("expired", ended(Ended::Expired)),
                ("cancelled", ended(Ended::Cancelled)),
                ("failed", server()),
                // Together shouts.
                ("IN_PROGRESS", Running),
                ("COMPLETED", ended(Ended::Completed)),
            ],
        ),
        (
            Mistral,
            "status",
            vec![
                ("QUEUED", Queued),
                ("RUNNING", Running),
                ("CANCELLATION_REQUESTED", Ending),
                ("SUCCESS", ended(Ended::Completed)),
                ("TIMEOUT_EXCEEDED", ended(Ended::Expired)),
                ("CANCELLED", ended(Ended::Cancelled)),
                ("FAILED", server()),
            ],
        ),
        (
            Anthropic,
            "processing_status",
            vec![("in_progress", Running), ("canceling", Ending), ("ended", ended(Ended::Completed))],
        ),
        (
            Gemini,
            "state",
            vec![
                ("BATCH_STATE_PENDING", Queued),
                ("BATCH_STATE_RUNNING", Running),
                ("BATCH_STATE_SUCCEEDED", ended(Ended::Completed)),
                ("BATCH_STATE_EXPIRED", ended(Ended::Expired)),
                ("BATCH_STATE_CANCELLED", ended(Ended::Cancelled)),
                ("JOB_STATE_QUEUED", Queued),
                ("JOB_STATE_CANCELLING", Ending),
                ("JOB_STATE_PARTIALLY_SUCCEEDED", ended(Ended::Completed)),
                ("BATCH_STATE_FAILED", server()),
            ],
        ),
    ] {
        for (word, expected) in states {
            let batch = match dialect {
                Gemini => json!({"name": "batches/1", "metadata": {(field): word}}),
                _ => json!({"id": "1", (field): word}),
            };
            let state = without_words(seen(dialect, &batch).state);
            assert_eq!(state, expected, "{dialect:?} {word}");
        }
    }
    let batch =
        json!({"id": "1", "status": "failed", "errors": {"data": [{"code": "invalid_url", "message": "x"}]}});
    assert_eq!(without_words(seen(OpenAi, &batch).state), invalid());
    let batch = json!({"name": "batches/1", "done": true, "error": {"code": 3, "message": "bad"}});
    assert_eq!(without_words(seen(Gemini, &batch).state), invalid());
}

#[test]
fn what_xai_counts_says_how_its_batch_stands() {
    let ended = BatchState::Ended;
    let failed = |why| ended(Ended::Failed { why, message: String::new() });
    let counts = |requests: u64, pending: u64, cancelled: u64| {
        json!({"num_requests": requests, "num_pending": pending, "num_success": requests - pending - cancelled,
            "num_error": 0, "num_cancelled": cancelled})
    };
    for (state, more, expected) in [
        (counts(0, 0, 0), json!({}), BatchState::Queued),
        (counts(9, 9, 0), json!({}), BatchState::Running),
        (counts(9, 0, 0), json!({}), ended(Ended::Completed)),
        (counts(9, 0, 4), json!({}), ended(Ended::Expired)),
        (counts(9, 2, 4), json!({"cancel_time": "2026-09-27"}), BatchState::Ending),
        (counts(9, 0, 4), json!({"cancel_time": "2026-09-27"}), ended(Ended::Cancelled)),
        (
            counts(0, 0, 0),
            json!({"cancel_time": "2026-09-27", "cancel_by_xai_message": "JSONL file validation failed: x"}),
            failed(Why::Refused(RefusalKind::Invalid)),
        ),
        (
            counts(0, 0, 0),
            json!({"cancel_by_xai_message": "Model grok-4.6 is not supported for batch processing."}),
            failed(Why::NoBatches),
        ),
    ] {
        let mut batch = json!({"batch_id": "b", "state": state});
        batch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(without_words(seen(Xai, &batch).state), expected, "{batch}");
    }
}

#[test]
fn a_day_is_over_at_its_end() {
    let batch = seen(
        Xai,
        &json!({"batch_id": "b", "create_time": "2026-09-23", "expire_time": "2026-09-24T10:00:00Z"}),
    );
    assert_eq!(batch.made_at, Some("2026-09-23T23:59:59Z".parse().unwrap()), "it is not older than that");
    assert_eq!(batch.expires_at, Some("2026-09-24T10:00:00Z".parse().unwrap()));
}

#[test]
fn what_is_left_there_is_named_and_nothing_else() {
    for (dialect, batch, left) in [
        (
            OpenAi,
            json!({"id": "b", "status": "completed", "input_file_id": "i", "output_file_id": "o", "error_file_id": "e"}),
            vec!["/files/o", "/files/e", "/files/i"],
        ),
        (OpenAi, json!({"id": "b", "status": "failed", "input_file_id": "i"}), vec!["/files/i"]),
        (
            Mistral,
            json!({"id": "b", "status": "SUCCESS", "input_files": ["i"], "output_file": "o", "error_file": null}),
            vec!["/files/o", "/files/i"],
        ),
        (Anthropic, json!({"id": "b", "processing_status": "ended"}), vec!["/messages/batches/b"]),
        (
            Gemini,
            json!({"name": "batches/1", "done": true, "response": {"responsesFile": "files/o"},
                "metadata": {"inputConfig": {"fileName": "files/i"}}}),
            vec!["/files/o", "/files/i", "/batches/1"],
        ),
        (Gemini, json!({"name": "batches/1", "done": true}), vec!["/batches/1"]),
        (OpenRouter, json!({"id": "b", "status": "completed"}), vec![]),
        (Xai, json!({"batch_id": "b", "input_file_id": "i", "state": {}}), vec!["/files/i"]),
    ] {
        assert_eq!(seen(dialect, &batch).left, left, "{dialect:?}");
    }
}

#[test]
fn what_is_no_list_is_not_taken_for_an_empty_one() {
    for dialect in [OpenAi, Anthropic, Gemini, Mistral, OpenRouter, Xai] {
        for answer in [json!({"error": {"message": "try later"}}), json!("<html>"), json!(null)] {
            assert_eq!(dialect::of(dialect).listed(&answer, None), None, "{dialect:?} {answer}");
        }
        let empty = match dialect {
            Gemini => json!({}),
            Mistral => json!({"object": "list", "total": 0}),
            Xai => json!({"batches": [], "pagination_token": null}),
            _ => json!({"data": [], "has_more": false}),
        };
        assert_eq!(dialect::of(dialect).listed(&empty, None), Some((vec![], None)), "{dialect:?}");
    }
}

fn without_words(state: BatchState) -> BatchState {
    match state {
        BatchState::Ended(Ended::Failed { why, .. }) => {
            BatchState::Ended(Ended::Failed { why, message: String::new() })
        }
        other => other,
    }
}

#[test]
fn an_end_without_results_names_none() {
    let completed = json!({"id": "1", "status": "completed", "output_file_id": null, "error_file_id": "e"});
    assert_eq!(seen(OpenAi, &completed).results, [ResultsAt::Address("/files/e/content".into())]);
    let archived = json!({"id": "1", "processing_status": "ended", "archived_at": "2026-12-01T00:00:00Z"});
    assert_eq!(seen(Anthropic, &archived).results, []);
    let done = json!({"name": "batches/1", "done": true, "metadata": {"state": "BATCH_STATE_SUCCEEDED"}});
    assert_eq!(seen(Gemini, &done).results, []);
    let cancelled = json!({"id": "1", "status": "cancelled", "results": null});
    assert_eq!(seen(OpenRouter, &cancelled).results, []);
}

#[test]
fn results_are_where_either_version_of_gemini_has_them() {
    let file = json!({"responsesFile": "files/out"});
    let address = [ResultsAt::Address("/files/out:download?alt=media".into())];
    for operation in [
        json!({"name": "batches/1", "done": true, "metadata": {"output": file}}),
        json!({"name": "batches/1", "done": true, "metadata": {"state": "BATCH_STATE_SUCCEEDED"}, "response": file}),
    ] {
        assert_eq!(seen(Gemini, &operation).results, address, "{operation}");
    }
    let inline = json!({"name": "batches/1", "done": true, "response": {"inlinedResponses": {"inlinedResponses": []}}});
    assert_eq!(seen(Gemini, &inline).results, [ResultsAt::Inline]);
}

#[test]
fn the_results_are_fetched_from_the_host_that_has_the_key() {
    let batch =
        json!({"id": "b", "processing_status": "ended", "results_url": "https://elsewhere.example/x"});
    assert_eq!(seen(Anthropic, &batch).results, [ResultsAt::Address("/messages/batches/b/results".into())]);
}

#[test]
fn times_are_seconds_or_text() {
    let at = |text: &str| Some(text.parse().unwrap());
    let batch =
        json!({"id": "1", "status": "completed", "created_at": 1_763_700_000, "expires_at": 1_763_786_400});
    let batch = seen(OpenAi, &batch);
    assert_eq!((batch.made_at, batch.expires_at), (at("2025-11-21T04:40:00Z"), at("2025-11-22T04:40:00Z")));
    let job = json!({"job": {"id": "1", "status": "IN_PROGRESS", "created_at": "2026-01-15T14:30:00Z",
        "job_deadline": "2026-01-16T14:30:00Z", "input_file_id": "f"}, "warning": ""});
    let job = seen(OpenAi, &job);
    assert_eq!((job.made_at, job.expires_at), (at("2026-01-15T14:30:00Z"), at("2026-01-16T14:30:00Z")));
    assert_eq!((job.id.as_str(), job.input_file.as_deref()), ("1", Some("f")), "Together wraps it");
}

#[test]
fn a_mark_comes_back_from_where_it_was_put() {
    let text = MARK.to_string();
    let metadata = json!({"id": "1", "status": "validating", "metadata": {"overnight": text}});
    assert_eq!(seen(OpenAi, &metadata).mark, Some(MARK));
    let job = json!({"id": "1", "status": "QUEUED", "metadata": {"overnight": text, "x": 1}});
    assert_eq!(seen(Mistral, &job).mark, Some(MARK));
    let named = json!({"name": "batches/1", "metadata": {"displayName": text}});
    assert_eq!(seen(Gemini, &named).mark, Some(MARK));
}

#[test]
fn batches_are_made_as_each_provider_wants_them() {
    for (provider, wire, expected) in [
        (
            "openai",
            Wire::Responses,
            json!({"input_file_id": "f", "endpoint": "/v1/responses",
            "completion_window": "24h", "metadata": {"overnight": "ovn-00000001-000000000002"}}),
        ),
        (
            "zhipu",
            Wire::Chat,
            json!({"input_file_id": "f", "endpoint": "/v4/chat/completions",
            "completion_window": "24h", "metadata": {"overnight": "ovn-00000001-000000000002"}}),
        ),
        (
            "mistral",
            Wire::Embeddings,
            json!({"input_files": ["f"], "endpoint": "/v1/embeddings",
            "model": "a-model", "timeout_hours": 24, "metadata": {"overnight": "ovn-00000001-000000000002"}}),
        ),
        ("xai", Wire::Chat, json!({"input_file_id": "f", "name": "ovn-00000001-000000000002"})),
        (
            "gemini",
            Wire::GenerateContent,
            json!({"batch": {"displayName": "ovn-00000001-000000000002",
            "inputConfig": {"fileName": "f"}}}),
        ),
    ] {
        let api = api(provider);
        let post = dialect::of(api.dialect).create(&order(wire), &api, Some("f"));
        let body: Value = serde_json::from_str(&post.head).unwrap();
        assert_eq!(body, expected, "{provider}");
    }
    let days = BatchApi { window: "7d".into(), ..api("mistral") };
    let post = dialect::of(Mistral).create(&order(Wire::Chat), &days, Some("f"));
    assert!(post.head.contains("\"timeout_hours\":168"), "{}", post.head);
    let litellm = api("litellm");
    let upload = dialect::of(OpenAi).upload(&order(Wire::Chat), &litellm, 1).unwrap();
    assert!(upload.head.contains("name=\"target_model_names\"\r\n\r\na-model\r\n"), "{}", upload.head);
    let list = dialect::of(OpenAi).list(&order(Wire::Chat), &litellm, Some("b/1"));
    assert_eq!(list.query.last(), Some(&("target_model_names", "a-model".to_owned())));
    let together = api("together");
    let post = dialect::of(OpenAi).create(&order(Wire::Chat), &together, Some("f"));
    assert!(!post.head.contains("metadata"), "{}", post.head);
    assert_eq!(together.found_by, FoundBy::FileName);
    let upload = dialect::of(OpenAi).upload(&order(Wire::Chat), &together, 1).unwrap();
    assert!(
        upload.head.contains("\r\n\r\nbatch-api\r\n") && upload.head.contains("filename=\"ovn-00000001-")
    );
}

#[test]
fn a_line_is_read_in_the_words_of_each() {
    let ran = |status| format!("{status} {{\"n\":12345678901234567890}}");
    let body = r#"{"n":12345678901234567890}"#;
    let cases = [
        (OpenAi, format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{body}}},"error":null}}"#), ran(200)),
        (Mistral, format!(r#"{{"custom_id":"a","response":{{"status_code":422,"body":{body}}}}}"#), ran(422)),
        (OpenRouter, format!(r#"{{"custom_id":"a","response":{{"body":{body}}},"error":null}}"#), ran(200)),
        (Anthropic, format!(r#"{{"custom_id":"a","result":{{"type":"succeeded","message":{body}}}}}"#), ran(200)),
        (Gemini, format!(r#"{{"key":"a","response":{body}}}"#), ran(200)),
        (Gemini, format!(r#"{{"metadata":{{"key":"a"}},"response":{body}}}"#), ran(200)),
        (
            Anthropic,
            r#"{"custom_id":"a","result":{"type":"errored","error":{"type":"error","error":{"type":"overloaded_error","message":"x"}}}}"#.into(),
            r#"529 {"type":"error","error":{"type":"overloaded_error","message":"x"}}"#.into(),
        ),
        (
            OpenAi,
            r#"{"custom_id":"a","response":null,"error":{"code":"server_error","message":"x"}}"#.into(),
            r#"500 {"error":{"code":"server_error","message":"x"}}"#.into(),
        ),
        (
            Gemini,
            r#"{"key":"a","error":{"code":8,"message":"x"}}"#.into(),
            r#"429 {"error":{"code":8,"message":"x"}}"#.into(),
        ),
        (OpenAi, r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}"#.into(), "expired".into()),
        (OpenAi, r#"{"custom_id":"a","response":null,"error":{"code":"batch_cancelled"}}"#.into(), "cancelled".into()),
        (Anthropic, r#"{"custom_id":"a","result":{"type":"expired"}}"#.into(), "expired".into()),
        (Anthropic, r#"{"custom_id":"a","result":{"type":"canceled"}}"#.into(), "cancelled".into()),
        (
            Xai,
            format!(r#"{{"batch_request_id":"a","batch_result":{{"response":{{"chat_get_completion":{body}}},"error":null}}}}"#),
            ran(200),
        ),
        (
            Xai,
            r#"{"batch_request_id":"a","batch_result":{"error":{"code":3,"message":"x"}}}"#.into(),
            r#"400 {"error":{"code":3,"message":"x"}}"#.into(),
        ),
        (
            Xai,
            r#"{"batch_request_id":"a","batch_result":{"response":{"chat_get_completion":null}},"error_message":"x"}"#.into(),
            r#"500 {"error":{"message":"x"}}"#.into(),
        ),
        (Xai, r#"{"batch_request_id":"a","batch_result":{"error":{"code":1}}}"#.into(), "cancelled".into()),
        (Xai, r#"{"batch_request_id":"a","batch_result":{"error":{"code":"cancelled"}}}"#.into(), "cancelled".into()),
        (Xai, r#"{"batch_request_id":"a","batch_result":{"error":{"code":4}}}"#.into(), "expired".into()),
    ];
    for (dialect, text, expected) in cases {
        let line: Value = serde_json::from_str(&text).unwrap();
        let said = dialect::of(dialect).line(&line, text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        let what = match said.what {
            What::Response { status, body, .. } => format!("{status} {body}"),
            What::NotRun(NotRun::Expired) => "expired".to_owned(),
            What::NotRun(NotRun::Cancelled) => "cancelled".to_owned(),
        };
        assert_eq!((said.id.as_str(), what), ("a", expected), "{dialect:?}");
    }
}

#[test]
fn nothing_that_is_said_makes_it_panic() {
    let odd = [
        json!(null),
        json!([]),
        json!("x"),
        json!({"id": 7}),
        json!({"id": "1", "status": 3}),
        json!({"name": "x"}),
    ];
    for dialect in [OpenAi, Anthropic, Gemini, Mistral, OpenRouter, Xai].map(dialect::of) {
        for value in &odd {
            let raw = value.to_string();
            let _ = (dialect.read(value), dialect.listed(value, Some("x")), dialect.uploaded(value));
            assert_eq!(dialect.line(value, raw.as_bytes()), None, "{value}");
        }
    }
}
