//! One line at a time: JSON, ids, requests, caps.

use std::fs;

use serde_json::{Value, json};

use super::{ONE, nothing_queued, quiet, says};
use crate::support::folder::{config, files};
use crate::support::script::{Say, Script};
use crate::support::{Overnight, Ran};

/// Refused with these words beside line 2 of a file of two lines; the first is well.
#[track_caller]
fn refused(second: &str, said: &str) {
    let overnight = quiet();
    let ran = overnight.submit(format!("{ONE}{second}\n"), "");
    says(&ran, 4, &["error[bad_input]: in.jsonl: 1 of 2 lines cannot be used", "  = line 2", said]);
    nothing_queued(&overnight, &ran);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    refused("{\"prompt\":", "column 11: the JSON ends too early");
    refused("hello", "line 2, column 1: not JSON");
    refused("{'prompt':'x'}", "double quotes");
}

#[test]
fn an_array_is_no_request() {
    refused("[{\"prompt\":\"x\"}]", "is an array");
}

#[test]
fn json_nested_too_deep_is_refused() {
    refused(
        &format!("{{\"prompt\":{}1{}}}", "[".repeat(200), "]".repeat(200)),
        "nested deeper than 100 levels",
    );
}

#[test]
fn numbers_that_json_does_not_have_are_refused() {
    refused("{\"prompt\":\"x\",\"temperature\":NaN}", "NaN and Infinity are not JSON");
}

#[test]
fn a_key_given_twice_is_refused() {
    refused("{\"prompt\":\"x\",\"prompt\":\"y\"}", "the key \"prompt\" is used twice");
}

#[test]
fn a_huge_line_is_refused_with_the_limit() {
    refused(
        &format!("{{\"prompt\":\"{}\"}}", "x".repeat(5 << 20)),
        "longer than 4 MiB, the most a line may have",
    );
}

#[test]
fn all_bad_lines_are_said_together_and_skipped_only_when_asked() {
    let lines: String = (0..50)
        .map(|n| if n % 2 == 0 { format!("{{\"prompt\":\"{n}\"}}\n") } else { format!("{{bad {n}\n") })
        .collect();
    let overnight = quiet();
    let ran = overnight.submit(&lines, "");
    says(
        &ran,
        4,
        &["25 of 50 lines", "line 2, column", "line 40, column", "and 5 more", "queue the other 25"],
    );
    nothing_queued(&overnight, &ran);
    let ran = overnight.submit(&lines, "--skip-bad");
    says(&ran, 0, &["25 items queued", "25 bad lines left out, see in.rejected.jsonl"]);
    assert_eq!(overnight.job()["items"], 25);
    let rejected = fs::read_to_string(overnight.path().join("in.rejected.jsonl")).unwrap();
    let expected: String = (0..50).filter(|n| n % 2 == 1).map(|n| format!("{{bad {n}\n")).collect();
    assert_eq!(rejected, expected, "as they were");
}

#[test]
fn a_batch_line_without_custom_id_is_refused_and_can_be_numbered() {
    let body = r#""method":"POST","url":"/v1/chat/completions","body":{"model":"box/small","messages":[{"role":"user","content":"x"}]}"#;
    let file = format!("{{\"custom_id\":\"a\",{body}}}\n{{\"custom_id\":null,{body}}}\n");
    let overnight = quiet();
    let ran = overnight.submit(&file, "");
    says(&ran, 4, &["line 2: `custom_id` is missing", "--auto-id"]);
    nothing_queued(&overnight, &ran);
    assert_eq!(overnight.submit(&file, "--auto-id").code, 0);
    assert_eq!(overnight.job()["items"], 2);
}

#[test]
fn an_id_used_twice_is_refused_naming_both_lines() {
    let overnight = quiet();
    let file = format!("{ONE}{{\"custom_id\":\"b\",\"prompt\":\"x\"}}\n{ONE}");
    let ran = overnight.submit(&file, "");
    says(&ran, 4, &["line 3: `custom_id` \"a\" is already used on line 1"]);
    nothing_queued(&overnight, &ran);
    says(&overnight.submit(&file, "--auto-id"), 0, &["3 items queued", "named by its number"]);
}

/// Ids that attack whatever shows, stores or exports them.
fn hostile_ids() -> Vec<String> {
    let ids = [
        "../../etc/passwd",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "=cmd|'/c calc'!A1",
        "+1",
        "@x",
        "<script>alert(1)</script>",
        "🦉🌙",
        "\u{202e}evil",
        "a\"b,c\nd",
        "\u{0}nul",
    ];
    let mut ids: Vec<String> = ids.map(str::to_owned).into();
    ids.push("x".repeat(512));
    ids
}

#[test]
fn an_id_longer_than_512_bytes_is_refused() {
    refused(
        &json!({"custom_id": "x".repeat(10_000), "prompt": "x"}).to_string(),
        "has 10000 bytes; at most 512",
    );
}

#[test]
fn hostile_ids_are_kept_exactly_and_never_used_as_paths_or_sent() {
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    let ids = hostile_ids();
    let file: String =
        ids.iter().map(|id| format!("{}\n", json!({"custom_id": id, "prompt": "x"}))).collect();
    let ran = overnight.work(&file, "");
    says(&ran, 0, &[]);
    for table in ["results", "attempts"] {
        let kept: Vec<Value> = overnight.rows(table).iter().map(|row| row["custom_id"].clone()).collect();
        assert_eq!(kept, ids, "{table}");
    }
    for request in server.heard() {
        assert!(ids.iter().all(|id| id.len() < 3 || !request.head.contains(id.as_str())), "{request:?}");
        assert_eq!(request.text(), r#"{"model":"small","messages":[{"role":"user","content":"x"}]}"#);
    }
    for path in files(overnight.path()) {
        let path = path.display().to_string();
        assert!(
            !["passwd", "cmd", "script", "evil", "xxx", "🦉", "\u{1b}"]
                .iter()
                .any(|part| path.contains(part)),
            "{path}"
        );
    }
}

#[test]
fn hostile_ids_command_neither_the_terminal_nor_a_spreadsheet() {
    let answer = "=1+1 \u{1b}[2J\u{202e}evil";
    let server = Script::always(Say::answer(answer));
    let overnight = Overnight::asking(&server.base_url());
    let ids = hostile_ids();
    let file: String =
        ids.iter().map(|id| format!("{}\n", json!({"custom_id": id, "prompt": "x"}))).collect();
    says(&overnight.work(&file, ""), 0, &[]);
    let job = overnight.job_id();

    let listed = overnight.run(&format!("items {job} --color always"));
    assert_eq!(listed.code, 0, "{listed:?}");
    let mut shown = vec![listed];
    for id in ids.iter().filter(|id| !id.contains('\0')) {
        let ran = overnight.command("show").arg(&job).arg("--").arg(id).output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{id:?}: {ran:?}");
        shown.push(Ran::of(&ran));
    }
    for Ran { stdout, stderr, .. } in &shown {
        for bad in ["\u{1b}[2J", "\u{1b}]", "\u{7}", "\u{202e}", "\0"] {
            assert!(!stdout.contains(bad) && !stderr.contains(bad), "{bad:?} in {stdout}");
        }
    }
    assert!(shown[0].stdout.contains("\\x1b[2J"), "{}", shown[0].stdout);

    let export = |line: &str| {
        let ran = overnight.run(&format!("results {job} {line}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    };
    let jsonl = export("-o - --format jsonl");
    let exact: Vec<String> = jsonl
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(exact, ids);

    let csv_text = export("-o - --format csv");
    let mut csv = csv::Reader::from_reader(csv_text.as_bytes());
    let column =
        |name: &str, headers: &csv::StringRecord| headers.iter().position(|header| header == name).unwrap();
    let headers = csv.headers().unwrap().clone();
    let (id_at, text_at) = (column("custom_id", &headers), column("output_text", &headers));
    for (record, id) in csv.records().zip(&ids) {
        let record = record.unwrap();
        let quoted = id.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert_eq!(&record[id_at], if quoted { format!("'{id}") } else { id.clone() });
        assert_eq!(&record[text_at], format!("'{answer}"));
    }
}

#[test]
fn a_body_is_sent_as_the_bytes_that_were_given() {
    let body = r#"{ "messages":[{"role":"user","content":"\u0000 \ud83e\udd89 🦉 é é \/ \u00e9"}] ,"seed":9007199254740993, "big":123456789012345678901234567890, "small":1.10e-0, "z":1,"a":2 , "nul":null}"#;
    let line = format!(r#"{{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{body}}}"#);
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    says(&overnight.work(line, "--keep-input"), 0, &[]);
    // The model is the one edit, and it is told which.
    let expected = body.replacen("{ \"messages\"", "{\"model\":\"small\", \"messages\"", 1);
    assert_eq!(server.heard()[0].text(), expected);
    assert_eq!(overnight.result()["input_json"], body);
}

#[test]
fn streaming_is_taken_out_and_noted() {
    let body = r#"{"model":"box/small","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}"#;
    let line = format!(r#"{{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{body}}}"#);
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    says(&overnight.work(line, ""), 0, &["1 line asked for streaming; `stream` was taken out of it"]);
    assert_eq!(server.heard()[0].text(), r#"{"model":"small","messages":[{"role":"user","content":"x"}]}"#);
}

#[test]
fn several_choices_are_reserved_in_full() {
    // 1,000 tokens at $2 a million are $0.002 a choice, and the prompt is next to nothing.
    let line = |n: u32| {
        format!(
            r#"{{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{{"model":"box/small","n":{n},"messages":[{{"role":"user","content":"x"}}]}}}}"#
        )
    };
    let server = Script::always(Say::answer("ok"));
    let fits = |n: u32, cap: &str| {
        Overnight::asking(&server.base_url()).work(line(n), &format!("--max-cost {cap}")).code
    };
    assert_eq!(
        [fits(1, "$0.0025"), fits(5, "$0.0025"), fits(5, "$0.0099"), fits(5, "$0.0105")],
        [0, 5, 5, 0]
    );
}

#[test]
fn an_endpoint_that_is_not_served_is_refused() {
    let line = r#"{"custom_id":"b","method":"POST","url":"/v1/images/generations","body":{"model":"box/small","prompt":"x"}}"#;
    let overnight = quiet();
    let ran = overnight.submit(line, "");
    says(&ran, 4, &["line 1: `url` \"/v1/images/generations\" is not an endpoint that is served"]);
    nothing_queued(&overnight, &ran);
}

#[test]
fn a_model_nobody_serves_is_refused_naming_the_line() {
    let overnight = quiet();
    let file = format!("{ONE}{{\"custom_id\":\"r-17\",\"prompt\":\"x\",\"model\":\"gpt5-mini\"}}\n");
    let ran = overnight.submit(&file, "");
    let said = [
        "error[no_route]: item r-17 (line 2) asks for model \"gpt5-mini\"",
        "did you mean openai/gpt-5-mini?",
        "nothing was queued; fix the line, or map the name:  --model openai/gpt-5-mini",
    ];
    says(&ran, 6, &said);
    nothing_queued(&overnight, &ran);
    assert_eq!(overnight.submit(&file, "--model box/small").code, 0);
}

#[test]
fn several_models_in_one_file_each_go_where_the_line_says() {
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::configured(&format!(
        "{}[models.\"box/large\"]\nprice = {{ input = 10, output = 20 }}\nmax_output = 1_000\n",
        config(&server.base_url())
    ));
    let file = format!("{ONE}{{\"custom_id\":\"b\",\"prompt\":\"x\",\"model\":\"box/large\"}}\n");
    says(&overnight.work(file, ""), 0, &[]);
    let asked: Vec<Value> =
        overnight.rows("results").iter().map(|row| row["request_model"].clone()).collect();
    assert_eq!(asked, ["small", "large"]);
}

#[test]
fn a_model_without_a_price_is_refused_with_the_way_to_state_one() {
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::configured(&format!(
        "[defaults]\nmodels = [\"box/odd\"]\n[providers.box]\nbase_url = \"{}\"\nauth = \"none\"\n[models.\"box/odd\"]\nmax_output = 100\n",
        server.base_url()
    ));
    let ran = overnight.submit(ONE, "--max-cost $1");
    says(
        &ran,
        6,
        &["its price is unknown", "[models.\"box/odd\"]", "--allow-unpriced", "nothing was queued"],
    );
    nothing_queued(&overnight, &ran);
    assert_eq!(overnight.submit(ONE, "").code, 6, "without a cap too");
    says(&overnight.work(ONE, "--allow-unpriced"), 0, &[]);
    assert_eq!(overnight.result()["cost_basis"], "unpriced");
}

#[test]
fn without_max_tokens_the_most_the_model_may_answer_is_reserved() {
    let server = Script::always(Say::answer("ok"));
    let limited = ONE.replace("\"hi\"", "\"hi\",\"max_tokens\":10");
    let work = |line: &str, cap: &str| {
        Overnight::asking(&server.base_url()).work(line, &format!("--max-cost {cap}"))
    };
    says(&work(ONE, "$0.0019"), 5, &["$0.0019 left of $0.0019, the next request may cost $0.0021"]);
    assert_eq!([work(ONE, "$0.0025").code, work(&limited, "$0.0019").code], [0, 0]);
}

#[test]
fn what_a_cap_keeps_for_answers_without_a_limit_is_said() {
    let overnight = quiet();
    let two = format!("{ONE}{}", ONE.replace("\"a\"", "\"b\""));
    let said = "2 lines set no max_tokens: each keeps up to $0.0020 of the cap while it is answered";
    says(&overnight.submit(&two, "--max-cost $1"), 0, &[said]);
    let limited = two.replace("\"hi\"", "\"hi\",\"max_tokens\":10");
    for (file, flags) in [(&two, ""), (&limited, "--max-cost $1")] {
        let ran = overnight.submit(file, flags);
        assert!(ran.code == 0 && !ran.stderr.contains("max_tokens"), "{ran:?}");
    }
}

#[test]
fn a_cap_that_could_not_hold_is_refused() {
    let overnight =
        Overnight::configured(&config("http://127.0.0.1:9/v1").replace("max_output = 1_000\n", ""));
    let ran = overnight.submit(ONE, "--max-cost $1");
    says(&ran, 6, &["1 line sets no max_tokens", "no cap would hold", "--set max_tokens=1000"]);
    nothing_queued(&overnight, &ran);
    assert_eq!(overnight.submit(ONE, "--max-cost $1 --set max_tokens=1000").code, 0);
}

#[test]
fn a_cap_below_one_item_blocks_the_job_until_it_is_raised() {
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    let ran = overnight.work(ONE, "--max-cost $0.000001");
    says(
        &ran,
        5,
        &["error[max_cost]", "$0.0000010 left of $0.0000010, the next request may cost", "--max-cost"],
    );
    assert_eq!(server.heard().len(), 0);
    let job = overnight.job();
    assert_eq!((job["state"].as_str(), job["counts"]["pending"].as_u64()), (Some("in_progress"), Some(1)));
    let id = overnight.job_id();
    says(&overnight.run(&format!("resume {id} --max-cost $1")), 0, &[]);
    says(&overnight.run(&format!("run --resume {id}")), 0, &[]);
    assert_eq!((overnight.result()["status"].as_str(), server.heard().len()), (Some("succeeded"), 1));
}
