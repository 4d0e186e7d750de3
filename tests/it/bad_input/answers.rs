//! What providers send back.

use std::io::Write;

use overnight::money::Price;
use overnight::provider::simulated::{Config, Model};
use overnight::simulate;
use serde_json::Value;

use super::{ONE, says};
use crate::support::folder::config;
use crate::support::script::{Say, Script, USAGE, chat};
use crate::support::{Overnight, Ran};

/// One item, asked of a provider that says this; at most one attempt.
struct Night {
    overnight: Overnight,
    server: Script,
    ran: Ran,
}

impl Night {
    fn of(say: Say) -> Night {
        Night::with("max_attempts = 1", say)
    }

    /// With this line more under `[defaults]`.
    fn with(defaults: &str, say: Say) -> Night {
        Night::scripted(defaults, move |_| say.clone())
    }

    fn scripted(defaults: &str, mut say: impl FnMut(usize) -> Say + Send + 'static) -> Night {
        let server = Script::start(move |n, _| say(n));
        let config = config(&server.base_url()).replace("[defaults]", &format!("[defaults]\n{defaults}"));
        Night::configured(&config, server)
    }

    fn configured(config: &str, server: Script) -> Night {
        let overnight = Overnight::configured(config);
        let ran = overnight.work(ONE, "");
        Night { overnight, server, ran }
    }

    /// It failed for this reason, in these words; the attempt, to look further.
    #[track_caller]
    fn failed(&self, code: &str, words: &str) -> Value {
        says(&self.ran, 3, &[]);
        let result = self.overnight.result();
        assert_eq!(
            (result["status"].as_str(), result["error_code"].as_str()),
            (Some("failed"), Some(code)),
            "{result}"
        );
        assert!(text(&result, "error_message").contains(words), "{result}");
        self.overnight.rows("attempts").pop().unwrap()
    }

    #[track_caller]
    fn succeeded(&self) -> Value {
        says(&self.ran, 0, &[]);
        let result = self.overnight.result();
        assert_eq!(result["status"], "succeeded", "{result}");
        result
    }
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("{column} of {row}"))
}

/// A success status with a body that is no answer counts as billed for the worst case we know of, and
/// what came is kept.
#[track_caller]
fn bad_response(say: Say, words: &str, kept: &str) {
    let night = Night::of(say);
    let attempt = night.failed("bad_response", words);
    assert_eq!(text(&attempt, "response_json"), kept);
    assert_eq!((text(&attempt, "cost_basis"), attempt["http_status"].as_i64()), ("estimated", Some(200)));
    assert!(attempt["cost_nano_usd"].as_i64().unwrap() > 0, "{attempt}");
    let reserved = night.overnight.job()["reserved_usd"].as_f64().unwrap();
    assert!(reserved >= 0.002, "what it may have cost stays reserved: {reserved}");
}

#[test]
fn a_page_in_place_of_an_answer() {
    let page = "<html><title>Welcome to nginx</title></html>";
    bad_response(Say::with(200, "content-type: text/html", page), "an HTML page instead of JSON", page);
}

#[test]
fn json_that_ends_too_early() {
    let cut = r#"{"id":"x","choices":[{"message":{"content":"hal"#;
    bad_response(Say::json(200, cut), "not an answer: EOF", cut);
}

#[test]
fn bytes_that_mean_nothing() {
    bad_response(
        Say::json(200, b"\x00\xff\x01garbage".to_vec()),
        "not an answer",
        "\u{0}\u{fffd}\u{1}garbage",
    );
    bad_response(Say::json(200, r#"{"ok":true}"#), "JSON without a choice", r#"{"ok":true}"#);
    bad_response(Say::json(200, "[]"), "not an answer", "[]");
}

#[test]
fn a_success_without_a_body() {
    let night = Night::of(Say::json(200, ""));
    night.failed("bad_response", "an empty body instead of JSON");
}

#[test]
fn a_body_that_is_too_large_is_read_no_further_and_its_start_is_kept() {
    let night = Night::of(Say::json(200, vec![b' '; 65 << 20]));
    let attempt = night.failed("bad_response", "larger than 64 MiB");
    assert_eq!(text(&attempt, "response_json").len(), 64 << 10);
}

#[test]
fn a_body_that_unpacks_without_end_is_read_no_further() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b'0'; 100 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 200_000);
    let night = Night::of(Say::with(200, "content-type: application/json\r\ncontent-encoding: gzip", bomb));
    let attempt = night.failed("bad_response", "larger than 64 MiB");
    assert_eq!(text(&attempt, "response_json"), "0".repeat(64 << 10));
}

#[test]
fn a_body_that_is_not_what_its_encoding_says() {
    let night = Night::of(Say::with(200, "content-encoding: gzip", "not gzip"));
    night.failed("bad_response", "cannot be decompressed");
}

#[test]
fn an_empty_answer_is_asked_for_once_more() {
    let server = |n: usize| match n {
        0 => Say::json(200, chat("\"\"", "stop", USAGE)),
        _ => Say::answer("now"),
    };
    let night = Night::scripted("", server);
    assert_eq!(text(&night.succeeded(), "output_text"), "now");
    let attempts = night.overnight.rows("attempts");
    assert_eq!((attempts.len(), text(&attempts[0], "error_code")), (2, "empty_response"));
    assert_eq!(text(&attempts[0], "cost_basis"), "computed", "it was billed all the same");

    let night = Night::with("", Say::json(200, chat("null", "stop", USAGE)));
    night.failed("empty_response", "the answer is empty");
    assert_eq!(night.server.heard().len(), 2);
}

/// An answer that bills this is taken, at a cost that is marked as estimated.
#[track_caller]
fn estimated(usage: &str) {
    let night = Night::of(Say::json(200, chat("\"ok\"", "stop", usage)));
    let result = night.succeeded();
    assert_eq!(text(&result, "cost_basis"), "estimated", "{usage}");
    let cost = result["cost_nano_usd"].as_i64().unwrap();
    assert!((1..=2_100_000).contains(&cost), "{usage} costs {cost}: more than its worst case, or nothing");
    let tokens = (result["input_tokens"].as_i64().unwrap(), result["output_tokens"].as_i64().unwrap());
    assert!(tokens.0 >= 0 && tokens.1 >= 0 && tokens.1 < 1_000_000, "{usage}: {tokens:?}");
}

#[test]
fn usage_that_is_absent_or_zero() {
    estimated("null");
    estimated("{}");
    estimated(r#"{"prompt_tokens":0,"completion_tokens":0}"#);
}

#[test]
fn usage_that_cannot_be() {
    estimated(r#"{"prompt_tokens":-5,"completion_tokens":-1}"#);
    estimated(r#"{"prompt_tokens":"many","completion_tokens":[]}"#);
    estimated(r#"{"prompt_tokens":10,"completion_tokens":999999999999999999}"#);
}

#[test]
fn an_answer_that_was_cut_off_is_no_success() {
    let say = || Say::json(200, chat("\"half\"", "length", USAGE));
    let night = Night::of(say());
    let attempt = night.failed("truncated", "cut off at the output limit");
    assert_eq!((text(&attempt, "finish_reason"), text(&attempt, "cost_basis")), ("length", "computed"));
    assert_eq!(attempt["cost_nano_usd"], 20_000, "10 tokens in, 5 out");
    assert_eq!(text(&night.overnight.result(), "output_text"), "half", "paid for, so it is kept");

    let night = Night::with("accept_truncated = true", say());
    assert_eq!(text(&night.succeeded(), "output_text"), "half");
}

/// A line in OpenAI's batch format with this endpoint and body.
fn line(endpoint: &str, body: &str) -> String {
    format!("{{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/{endpoint}\",\"body\":{body}}}\n")
}

#[test]
fn a_cut_off_answer_is_asked_for_once_more_with_a_larger_limit() {
    let price = Price { input: 1_000_000, output: 2_000_000, ..Price::default() };
    let model = Model { output: 120, output_spread: 1.0, cuts_off: true, ..Model::new("small", price) };
    let provider = simulate::spawn(Config { models: vec![model], ..Config::default() }).unwrap();
    for (endpoint, body) in [
        (
            "chat/completions",
            r#"{"max_tokens":50,"model":"box/small","messages":[{"role":"user","content":"hi"}]}"#,
        ),
        ("responses", r#"{"max_output_tokens":50,"model":"box/small","input":"hi"}"#),
    ] {
        let overnight = Overnight::asking(&provider.base_url());
        says(&overnight.work(line(endpoint, body), ""), 0, &[]);
        let attempts = overnight.rows("attempts");
        let of =
            |attempt: &Value| (attempt["error_code"].clone(), attempt["output_tokens"].as_i64().unwrap());
        assert_eq!(
            attempts.iter().map(of).collect::<Vec<_>>(),
            [("truncated".into(), 50), (Value::Null, 120)],
            "{endpoint}"
        );
        let result = overnight.result();
        assert_eq!(
            (&result["status"], result["attempts"].as_i64()),
            (&"succeeded".into(), Some(2)),
            "{result}"
        );
        assert!(text(&result, "output_text").len() >= 4 * 100, "{result}");
    }
}

#[test]
fn only_the_limit_of_a_cut_off_request_changes_and_no_further_than_the_model_allows() {
    let body = r#"{"temperature":0.10,"max_completion_tokens":400,"model":"box/small","messages":[{"role":"user","content":"\ud800"}],"seed":12345678901234567890}"#;
    let cut = |_, _: &_| Say::json(200, chat("\"half\"", "length", USAGE));
    let server = Script::start(cut);
    let overnight = Overnight::asking(&server.base_url());
    says(&overnight.work(line("chat/completions", body), ""), 3, &[]);
    assert_eq!(overnight.result()["error_code"], "truncated");
    let sent: Vec<String> = server.heard().iter().map(|heard| heard.text().to_owned()).collect();
    let asked = body.replace("box/small", "small");
    assert_eq!(sent, [asked.clone(), asked.replace("400", "1000")]);
}

/// This text, whole, from a model that calls itself so.
fn said_by(model: &str, content: &str) -> Say {
    let body = chat(&format!("{content:?}"), "stop", USAGE);
    Say::json(200, body.replace("\"model\":\"small\"", &format!("\"model\":{model:?}")))
}

#[test]
fn another_model_that_answers_is_billed_at_its_own_price() {
    for (answered, nanos, extra) in [
        ("small-2026-08-07", 20_000, Value::Null),
        ("large", 200_000, r#"{"model_mismatch":true}"#.into()),
        ("large-2026-08-07", 200_000, r#"{"model_mismatch":true}"#.into()),
        ("unheard-of", 20_000, r#"{"model_mismatch":true}"#.into()),
    ] {
        let server = Script::always(said_by(answered, "ok"));
        let overnight = Overnight::configured(&format!(
            "{}[models.\"box/large\"]\nprice = {{ input = 10, output = 20 }}\nmax_output = 1_000\n",
            config(&server.base_url())
        ));
        says(&overnight.work(ONE, ""), 0, &[]);
        let attempt = overnight.rows("attempts").remove(0);
        assert_eq!(
            (&attempt["cost_nano_usd"], &attempt["extra_json"]),
            (&nanos.into(), &extra),
            "{answered}"
        );
        assert_eq!((text(&attempt, "request_model"), text(&attempt, "response_model")), ("small", answered));
        let price = if nanos == 20_000 { "box/small config" } else { "box/large config" };
        assert_eq!(text(&attempt, "price_id"), price, "{answered}");
        assert_eq!(overnight.job()["cost_usd"].as_f64(), Some(nanos as f64 / 1e9));
    }
}

#[test]
fn an_answer_that_was_filtered_is_not_asked_for_again_there() {
    let night = Night::with("", Say::json(200, chat("\"\"", "content_filter", USAGE)));
    night.failed("content_filter", "a content filter");
    assert_eq!(night.server.heard().len(), 1);
}

#[test]
fn a_refused_answer_goes_to_the_next_step() {
    let server = Script::start(|_, request| match request.text().contains("\"large\"") {
        true => said_by("large", "done"),
        false => Say::json(200, chat("null,\"refusal\":\"I cannot\"", "stop", USAGE)),
    });
    let overnight = Overnight::configured(&format!(
        "{}[models.\"box/large\"]\nprice = {{ input = 10, output = 20 }}\nmax_output = 1_000\n",
        config(&server.base_url())
    ));
    says(&overnight.work(ONE, "--model box/small --model box/large"), 0, &[]);
    let attempts = overnight.rows("attempts");
    assert_eq!(text(&attempts[0], "escalation_reason"), "refusal");
    let result = overnight.result();
    assert_eq!((text(&result, "output_text"), result["step"].as_i64()), ("done", Some(2)));
    assert_eq!(result["cost_nano_usd"], 20_000 + 200_000, "both are paid");
}

#[test]
fn text_that_is_no_unicode_is_mended_and_the_raw_answer_kept() {
    let content = r#""a\ud800b \u001b[31mred\u001b[0m \u0000 \u202eevil""#;
    let body = chat(content, "stop", USAGE);
    let night = Night::of(Say::json(200, body.clone()));
    let result = night.succeeded();
    assert_eq!(text(&result, "output_text"), "a\u{fffd}b \u{1b}[31mred\u{1b}[0m \u{0} \u{202e}evil");
    assert_eq!(text(&result, "response_json"), body);
    let shown = night.overnight.run(&format!("show {} a", night.overnight.job_id()));
    assert!(shown.stdout.contains("\\x1b[31mred"), "{shown:?}");
    for ran in [&night.ran, &shown] {
        assert!(
            !ran.stderr.contains('\u{1b}') && !ran.stdout.contains(['\u{1b}', '\u{202e}', '\0']),
            "{ran:?}"
        );
    }
}

#[test]
fn another_model_than_asked_is_named() {
    let body = chat("\"ok\"", "stop", USAGE).replace("\"small\"", "\"smaller-2026\"");
    let result = Night::of(Say::json(200, body)).succeeded();
    assert_eq!((text(&result, "request_model"), text(&result, "response_model")), ("small", "smaller-2026"));
    assert_eq!(text(&result, "extra_json"), r#"{"model_mismatch":true}"#);
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    let night = Night::of(Say::json(200, r#"{"error":{"message":"upstream fell over","code":502}}"#));
    let result = night.overnight.result();
    assert_eq!(result["status"], "failed", "{result}");
    assert!(text(&result, "error_message").contains("upstream fell over"), "{result}");
}

#[test]
fn a_server_error_is_tried_again_and_not_billed() {
    let server = |n: usize| match n {
        0 => Say::json(500, r#"{"error":{"message":"oops"}}"#),
        _ => Say::answer("ok"),
    };
    let night = Night::scripted("", server);
    night.succeeded();
    let attempts = night.overnight.rows("attempts");
    assert_eq!(
        (text(&attempts[0], "error_code"), text(&attempts[0], "error_message")),
        ("server_error", "oops")
    );
    assert_eq!(attempts[0]["cost_nano_usd"], 0);
}

/// The outcome is unknown: sent again as often as allowed, then given up, and counted at its estimate.
#[track_caller]
fn unknown(say: Say, code: &str) {
    is_unknown(&Night::with("unknown_resends = 1", say), code);
}

#[track_caller]
fn is_unknown(night: &Night, code: &str) {
    let attempt = night.failed("outcome_unknown", "sent 2 times without learning the outcome");
    assert_eq!((text(&attempt, "status"), text(&attempt, "cost_basis")), ("unknown", "estimated"));
    let attempts = night.overnight.rows("attempts");
    assert_eq!((attempts.len(), night.server.heard().len()), (2, 2));
    assert_eq!(text(&attempts[0], "error_code"), code);
    let job = night.overnight.job();
    assert_eq!(job["unknown_attempts"], 2);
    assert!(job["reserved_usd"].as_f64().unwrap() >= 0.004, "the worst case of both stays reserved: {job}");
}

#[test]
fn a_connection_that_ends_after_the_request() {
    unknown(Say::HangUp, "network");
}

#[test]
fn a_body_that_breaks_off() {
    unknown(Say::cut(200, "content-type: application/json", 10_000, "{\"id\":"), "network");
}

#[test]
fn an_answer_that_does_not_come() {
    let server = Script::always(Say::Silence);
    let config = config(&server.base_url())
        .replace("[defaults]", "[defaults]\nunknown_resends = 1")
        .replace("timeout = \"20s\"", "timeout = \"1s\"");
    is_unknown(&Night::configured(&config, server), "timeout");
}

#[test]
fn a_gateway_that_lost_its_upstream() {
    unknown(Say::with(504, "content-type: text/html", "<title>504 Gateway Time-out</title>"), "timeout");
}

#[test]
fn unknown_outcomes_wait_for_a_person_where_that_is_wanted() {
    let server = |n: usize| if n == 0 { Say::HangUp } else { Say::answer("ok") };
    let night = Night::scripted("on_unknown = \"hold\"", server);
    says(&night.ran, 3, &["error[held]"]);
    assert_eq!(night.overnight.job()["counts"]["held"], 1);
    let ran = night.overnight.run(&format!("run --resume {}", night.overnight.job_id()));
    says(&ran, 0, &[]);
    assert_eq!(text(&night.overnight.result(), "output_text"), "ok");
}
