//! The verbs that read the set-up, and keys, which none of them shows.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{Overnight, Ran};

const CANARY: &str = "sk-canary-5f0d1c2b3a";

fn with_key(overnight: &Overnight, line: &str) -> Ran {
    Ran::of(
        &overnight
            .command(line)
            .env("DEEPSEEK_API_KEY", CANARY)
            .env("OPENAI_API_KEY", CANARY)
            .output()
            .unwrap(),
    )
}

/// Answers every request for models: with a list, or as the status says.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                seen.push(byte[0]);
            }
            let key = String::from_utf8_lossy(&seen).contains(CANARY);
            // A rude provider repeats the key.
            let body = if key { body.replace("KEY", CANARY) } else { body.to_owned() };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}/v1")
}

#[test]
fn a_check_tells_who_answers_and_how_fast() {
    let overnight = Overnight::new();
    let good = server("200 OK", r#"{"data":[{"id":"a"},{"id":"b"}]}"#);
    let bad = server("401 Unauthorized", r#"{"error":{"message":"wrong key KEY"}}"#);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[providers.good]\nkind = \"openai\"\nbase_url = \"{good}\"\napi_key = \"env:DEEPSEEK_API_KEY\"\n\
         [providers.bad]\nkind = \"openai\"\nbase_url = \"{bad}\"\napi_key = \"env:DEEPSEEK_API_KEY\"\n\
         [providers.gone]\nkind = \"openai\"\nbase_url = \"http://{closed}/v1\"\n"
    );
    fs::write(overnight.path().join("overnight.toml"), config).unwrap();
    let ran = Ran::of(
        &overnight
            .command("providers check")
            .env("DEEPSEEK_API_KEY", CANARY)
            .env_remove("OPENAI_API_KEY")
            .env("https_proxy", "http://127.0.0.1:1")
            .output()
            .unwrap(),
    );
    let line = |name: &str| {
        let line =
            ran.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{ran:?}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("good ").starts_with("good ok DEEPSEEK_API_KEY 2 models"), "{}", line("good"));
    assert!(line("good ").contains(" ping "), "{}", line("good"));
    assert!(line("bad ").starts_with("bad key rejected DEEPSEEK_API_KEY"), "{}", line("bad"));
    assert!(line("gone ").starts_with("gone down"), "{}", line("gone"));
    assert!(line("vllm ").starts_with("vllm not there"), "{}", line("vllm"));
    assert!(ran.stdout.lines().nth(1).is_some_and(|line| line.starts_with("good")), "{}", ran.stdout);
    assert!(!format!("{ran:?}").contains(CANARY), "{ran:?}");
    assert_eq!(ran.code, 6, "one that is configured does not answer");
}

#[test]
fn the_config_says_where_every_value_comes_from() {
    let overnight = Overnight::new();
    fs::write(overnight.path().join("overnight.toml"), "[budget]\nday = \"$20\"\n").unwrap();
    let shown = overnight.run("config show");
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    assert!(shown.stdout.contains("budget.day = \"$20\""), "{}", shown.stdout);
    let document = overnight.run("config show --json").json();
    assert_eq!(document["schema"], "overnight.config/1");
    assert!(overnight.run("config path").stdout.trim().ends_with("overnight.toml"));
    assert_eq!(overnight.run("config path --json").json()["schema"], "overnight.config_path/1");
    assert!(overnight.run("config check").stdout.contains("is right"));
    assert_eq!(overnight.run("config check --json").json()["problems"], serde_json::json!([]));
}

#[test]
fn a_wrong_config_is_told_whole_and_does_not_stop_the_schema() {
    let overnight = Overnight::new();
    fs::write(
        overnight.path().join("overnight.toml"),
        "[budget]\ndya = \"$20\"\n[defaults]\nwhen = \"soon\"\n",
    )
    .unwrap();
    let ran = overnight.run("config check");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("dya") && ran.stderr.contains("day") && ran.stderr.contains("soon"),
        "{}",
        ran.stderr
    );
    let schema = overnight.run("config schema");
    assert_eq!(schema.code, 0);
    assert!(schema.stdout.contains("[budget]"));
}

#[test]
fn without_a_config_one_is_told_where_it_would_be() {
    let overnight = Overnight::new();
    let ran = overnight.run("config path");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(ran.stderr.contains("/etc/overnight/overnight.toml"), "{}", ran.stderr);
}

#[test]
fn init_writes_what_the_schema_shows_and_it_is_right() {
    let overnight = Overnight::new();
    assert_eq!(overnight.run("init").code, 0);
    let written = fs::read_to_string(overnight.path().join("overnight.toml")).unwrap();
    assert_eq!(written, overnight.run("config schema").stdout);
    assert_eq!(overnight.run("config check").code, 0);
}

#[test]
fn models_windows_and_prices_of_those_with_a_key() {
    let overnight = Overnight::new();
    let shown = |line: &str| with_key(&overnight, line);
    let models = shown("models deepseek/* --json").json();
    assert_eq!(models["schema"], "overnight.models/1");
    assert!(
        models["models"]
            .as_array()
            .unwrap()
            .iter()
            .all(|model| model["name"].as_str().unwrap().starts_with("deepseek/"))
    );
    assert!(shown("models groq/*").stdout.contains("--all"));
    assert!(shown("models groq/* --all").stdout.contains("set GROQ_API_KEY"));
    assert_eq!(shown("windows --json").json()["schema"], "overnight.windows/1");
    assert!(shown("windows deepseek").stdout.contains("off-peak"));
    let prices = shown("prices show deepseek/deepseek-flash --json").json();
    assert_eq!(prices["schema"], "overnight.prices/1");
    assert_eq!(prices["models"].as_array().unwrap().len(), 1);
    assert!(shown("prices show deepseek/deepseek-flash").stdout.contains("$0.15"));
    let unknown = shown("prices show nobody/knows");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (6, ""));
    assert!(shown("providers").stdout.contains("DEEPSEEK_API_KEY"));
    assert_eq!(shown("providers --json").json()["schema"], "overnight.providers/1");
}

#[test]
fn no_verb_shows_a_key() {
    let overnight = Overnight::new();
    let config = "[providers.box]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key = \"env:DEEPSEEK_API_KEY\"\n";
    fs::write(overnight.path().join("overnight.toml"), config).unwrap();
    for line in [
        "config show",
        "config show --json",
        "config check",
        "config check --json",
        "config path",
        "config schema",
        "providers",
        "providers --json",
        "models",
        "models --json",
        "windows --json",
        "prices show --json",
        "doctor",
        "doctor --json",
        "status",
        "report",
        "-v config show",
    ] {
        let ran = with_key(&overnight, line);
        assert!(!format!("{ran:?}").contains(CANARY), "{line}: {ran:?}");
    }
}
