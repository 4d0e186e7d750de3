use super::stream::read;
use super::*;
use crate::attempt::{Answer, Finish, Refusal, RefusalKind};
use crate::catalog::Catalog;
use crate::money::Usage;

fn route(name: &str) -> Route {
    let route = Catalog::bundled().route(name, "2026-11-21T12:00:00Z".parse().unwrap()).unwrap();
    Route::clone(&route)
}

fn exchange(outcome: Outcome, status: u16, body: &str) -> Exchange {
    Exchange {
        outcome,
        sent_at: "2026-11-21T12:00:00Z".parse().unwrap(),
        hints: RateHints::default(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        http_status: Some(status),
        latency: Duration::from_millis(412),
        first_byte: None,
    }
}

fn answered(text: &str, finish: Finish) -> Outcome {
    let usage = Some(Usage { input: 1_000, output: 100, ..Usage::default() });
    Outcome::Answer(Answer { text: text.to_owned(), finish, usage, http_status: 200, ..Answer::default() })
}

fn refused(kind: RefusalKind, http_status: u16) -> Outcome {
    let message = "no such thing".to_owned();
    Outcome::Refused(Refusal {
        kind,
        http_status,
        message,
        retry_after: None,
        request_id: None,
        body: Bytes::new(),
    })
}

#[test]
fn a_trial_is_judged_by_what_it_asked_for() {
    use Finish::{Complete, Empty, Truncated};
    use Verdict::{Differs, Fails, Works};
    let calls = r#"[{"function":{"name":"weather"}}]"#;
    for (trial, outcome, verdict) in [
        (Trial::Chat, answered("yes", Complete), Works),
        (Trial::Chat, answered("ye", Truncated), Works),
        (Trial::Chat, answered("", Empty), Differs),
        (Trial::Json, answered("{\"wet\":true}", Complete), Works),
        (Trial::Json, answered("Sure! {\"wet\":true}", Complete), Differs),
        (Trial::Json, answered("", Truncated), Differs),
        (Trial::Tools, answered(calls, Complete), Works),
        (Trial::Tools, answered("It rains.", Complete), Differs),
        (Trial::Stream, answered("yes", Complete), Differs),
        (Trial::Embeddings, answered("[0.1,0.2]", Complete), Works),
        (Trial::Embeddings, answered("null", Complete), Differs),
        (Trial::Embeddings, refused(RefusalKind::ModelGone, 404), Fails),
        (Trial::Error, refused(RefusalKind::ModelGone, 404), Works),
        (Trial::Error, refused(RefusalKind::Invalid, 400), Differs),
        (Trial::Error, answered("yes", Complete), Differs),
        (Trial::Chat, Outcome::NotSent { message: "nobody there".to_owned() }, Fails),
    ] {
        let finding = judge(trial, &route("vllm/m"), Wire::Chat, &exchange(outcome.clone(), 200, ""));
        assert_eq!(finding.verdict, verdict, "{trial:?}: {outcome:?}: {}", finding.words);
    }
    let silent = Outcome::Answer(Answer { text: "yes".to_owned(), ..Answer::default() });
    let finding = judge(Trial::Chat, &route("vllm/m"), Wire::Chat, &exchange(silent, 200, ""));
    assert_eq!(finding.words, "answers, but says nothing of what was used");
}

#[test]
fn what_was_said_and_what_it_costs_is_kept() {
    let body = r#"{"usage":{"prompt_tokens":1,"details":{"cached_tokens":0}},"choices":[1]}"#;
    let route = route("openai/gpt-5-mini");
    let finding =
        judge(Trial::Chat, &route, Wire::Chat, &exchange(answered("yes", Finish::Complete), 200, body));
    // 1,000 at 0.25 and 100 at 2.00.
    assert_eq!(finding.cost_usd, Some(0.000_45));
    assert_eq!(finding.usage_fields, ["details.cached_tokens", "prompt_tokens"]);
    let body = r#"{"error":{"message":"m","details":[{"reason":"x"}]},"id":7}"#;
    let finding =
        judge(Trial::Error, &route, Wire::Chat, &exchange(refused(RefusalKind::ModelGone, 404), 404, body));
    assert_eq!(finding.error_fields, ["error.details[].reason", "error.message", "id"]);
    assert_eq!((finding.understood_as, finding.cost_usd), (Some("model_gone"), None));
}

#[test]
fn the_most_a_trial_may_cost_is_known_before() {
    let most = |trial: Trial, name| trial.most_cost(&route(name));
    assert_eq!(most(Trial::Chat, "vllm/m"), Some(Usd::ZERO));
    assert_eq!(most(Trial::Chat, "openai/nobody-knows"), None);
    let chat = most(Trial::Chat, "openai/gpt-5-mini").unwrap();
    // 64 tokens out are $0.000128.
    assert!(chat > "0.000128".parse().unwrap() && chat < "0.0003".parse().unwrap(), "{}", chat.precise());
    assert_eq!(most(Trial::Error, "openai/gpt-5-mini"), Some(Usd::ZERO));
}

#[test]
fn a_route_is_asked_for_json_in_words_it_has() {
    let format = |name| Trial::Json.item(&route(name)).body;
    let asks = |body: &Body, word: &str| std::str::from_utf8(&body.json).unwrap().contains(word);
    assert!(asks(&format("openai/gpt-5-mini"), "json_object"));
    assert!(asks(&format("anthropic/claude-haiku-4-5"), "json_schema"));
}

#[test]
fn pieces_are_counted_in_every_family() {
    let chat = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
                data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
                data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let streamed = read(Wire::Chat, chat).unwrap();
    assert_eq!((streamed.pieces, streamed.ended), (1, true));
    assert_eq!(streamed.tokens(Wire::Chat).map(|usage| (usage.input, usage.output)), Some((9, 2)));

    let messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n\
                    data: {\"type\":\"content_block_delta\"}\n\n\
                    data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n\
                    data: {\"type\":\"message_stop\"}\n\n";
    let streamed = read(Wire::Messages, messages).unwrap();
    assert_eq!((streamed.pieces, streamed.ended), (1, true));
    assert_eq!(streamed.tokens(Wire::Messages).map(|usage| (usage.input, usage.output)), Some((5, 7)));

    let contents = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n\
                    data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":2}}\n\n";
    let streamed = read(Wire::GenerateContent, contents).unwrap();
    assert_eq!((streamed.pieces, streamed.ended), (2, true));
    assert_eq!(streamed.tokens(Wire::GenerateContent).map(|usage| usage.output), Some(2));
    assert_eq!(read(Wire::Chat, "{\"choices\":[]}"), None);
}

#[test]
fn limits_burn_down_and_fill_up() {
    let finding = |requests, tokens| {
        let hints =
            RateHints { remaining_requests: requests, remaining_tokens: tokens, ..RateHints::default() };
        let exchange = Exchange { hints, ..exchange(answered("yes", Finish::Complete), 200, "") };
        judge(Trial::Chat, &route("vllm/m"), Wire::Chat, &exchange)
    };
    let findings = [finding(Some(59), Some(9_000)), finding(None, None), finding(Some(55), Some(9_500))];
    assert_eq!(burned(&findings), (Some(4), Some(0)));
    assert_eq!(burned(&[finding(None, None)]), (None, None));
}
