//! A key that is planted in the environment and echoed by the provider appears in no file, log, error
//! or export; a prompt appears where prompts are kept, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::support::folder::{config, files, holding};
use crate::support::script::{Say, Script, USAGE, chat};
use crate::support::{Overnight, Ran};

const KEY: &str = "sk-canary-4f1e8b7a2c";
/// In a header of the user's own, as gateways want it.
const GATEWAY_KEY: &str = "gw-canary-5d20c9e3";
const PROMPT: &str = "prompt-canary-93b1d6";
/// Stands in the same bodies as the key, to prove that what should be found is found.
const ECHO: &str = "echo-canary-77aa01";

/// What a provider says that puts the key it was given into everything it says.
fn echoing(n: usize, key: &str) -> Say {
    let error = |status, code: &str| {
        Say::with(
            status,
            &format!("x-request-id: req-{key}"),
            format!(
                r#"{{"error":{{"message":"{ECHO}: the key {key} did this","code":"{code}","type":"{key}"}}}}"#
            ),
        )
    };
    match n {
        0 => error(500, "oops"),
        1 => error(400, "invalid_value"),
        2 => Say::with(307, &format!("location: https://elsewhere.example/{key}"), ""),
        3 => Say::with(200, "content-type: text/html", format!("<html>{ECHO} {key}</html>")),
        4 => Say::with(429, "retry-after-ms: 20", format!("{ECHO} slow down, {key}")),
        5 => Say::cut(200, &format!("x-request-id: {key}"), 9_999, format!("{{\"id\":\"{ECHO} {key}\"")),
        6 => Say::HangUp,
        7 => error(401, "invalid_api_key"),
        _ => {
            let body = chat(&format!("\"{ECHO} {key}\""), "stop", USAGE);
            Say::with(200, &format!("x-request-id: {key}\r\nx-ratelimit-limit-requests: {key}"), body)
        }
    }
}

/// Ten items, each with the prompt that is looked for.
fn job() -> String {
    (0..10).map(|n| format!("{{\"custom_id\":\"i-{n}\",\"prompt\":\"{PROMPT} {n}\"}}\n")).collect()
}

/// An [`Overnight`] whose key is in its environment, and all that it ever said.
struct Watched {
    overnight: Overnight,
    /// Where the other key is.
    _keys: TempDir,
    said: String,
}

impl Watched {
    fn run(&mut self, line: &str) -> Ran {
        let mut command = self.overnight.command(line);
        command.env("BOX_KEY", KEY);
        let ran = Ran::of(&command.output().unwrap());
        assert!(ran.code != 101 && !ran.stderr.contains("error[bug]"), "{line}: {ran:?}");
        for said in [&ran.stdout, &ran.stderr] {
            let says_key = said.contains(KEY) || said.contains(GATEWAY_KEY);
            assert!(!says_key, "`overnight {line}` says a key:\n{said}");
            self.said.push_str(said);
        }
        ran
    }
}

/// A night in which everything goes wrong that makes a provider talk about the key.
fn night(flags: &str) -> Watched {
    let server = Script::start(|n, request| {
        let header = |name: &str| request.head.lines().find_map(|line| line.strip_prefix(name));
        let key = header("authorization: Bearer ").expect("the key is sent");
        let gateway_key = header("x-gateway-key: ").expect("the other one, too");
        echoing(n, &format!("{key}/{gateway_key}"))
    });
    let models = "[models.\"box/spare\"]\nprice = { input = 1, output = 2 }\nmax_output = 1_000\n";
    let written = config(&server.base_url())
        .replace("auth = \"none\"", "api_key = \"env:BOX_KEY\"\nheaders = { x-gateway-key = \"file:GATEWAY_KEY\" }\nmax_concurrency = 1")
        .replace("[\"box/small\"]", "[[\"box/small\", \"box/spare\"]]")
        + models;
    let keys = tempfile::tempdir().unwrap();
    let gateway_key = keys.path().join("gateway-key");
    fs::write(&gateway_key, GATEWAY_KEY).unwrap();
    fs::set_permissions(&gateway_key, fs::Permissions::from_mode(0o600)).unwrap();
    let written = written.replace("GATEWAY_KEY", &gateway_key.display().to_string());
    let overnight = Overnight::configured(&written);
    overnight.write("in.jsonl", job());
    let mut watched = Watched { overnight, _keys: keys, said: String::new() };
    let ran = watched.run(&format!("run in.jsonl -vv {flags}"));
    assert_eq!(ran.code, 6, "the key is rejected in the end: {ran:?}");
    // While work is left the journal holds what came; it is not compressed.
    let told = holding(&watched.overnight.path().join("journal"), ECHO.as_bytes());
    assert!(!told.is_empty(), "what the provider said is on record");
    no_file_holds_the_key(watched.overnight.path());
    let id = watched.overnight.job_id();
    let ran = watched.run(&format!("run --resume {id} -vv --json"));
    assert_eq!(ran.code, 3, "one request was refused as invalid: {ran:?}");
    assert!(server.heard().len() > 10);
    watched
}

#[track_caller]
fn no_file_holds_the_key(folder: &Path) {
    for key in [KEY, GATEWAY_KEY] {
        assert_eq!(holding(folder, key.as_bytes()), [] as [&Path; 0]);
    }
}

#[test]
fn a_key_that_providers_echo_is_nowhere_afterwards() {
    let mut watched = night("");
    let id = watched.overnight.job_id();
    for line in [
        "status -vv".to_owned(),
        format!("status {id} --json"),
        format!("items {id} --json"),
        format!("items {id}"),
        format!("report {id}"),
        format!("results {id} -o out.jsonl"),
        format!("results {id} -o out.csv"),
        format!("results {id} --attempts -o attempts.csv"),
        format!("results {id} --format openai-batch -o out.batch.jsonl"),
        format!("results {id} -o out.parquet"),
        format!("retry {id} --dry-run"),
        "config show".to_owned(),
        "config show --json".to_owned(),
        "config check".to_owned(),
        "doctor".to_owned(),
        "doctor --json".to_owned(),
        "providers".to_owned(),
        "providers check".to_owned(),
        "providers check --json -vv".to_owned(),
        "models".to_owned(),
    ] {
        watched.run(&line);
    }
    for n in 0..10 {
        watched.run(&format!("show {id} i-{n}"));
        watched.run(&format!("show {id} i-{n} --json"));
    }
    assert!(watched.said.contains("BOX_KEY"), "its name is no secret");
    assert!(watched.said.contains(ECHO), "what the provider said is told");

    let folder = watched.overnight.path();
    no_file_holds_the_key(folder);
    let rows: String = ["results", "attempts"]
        .iter()
        .flat_map(|table| watched.overnight.rows(table))
        .map(|row| row.to_string())
        .collect();
    assert!(
        rows.contains(ECHO) && rows.contains("[key]"),
        "Parquet is compressed, so its rows are looked through"
    );
    for key in [KEY, GATEWAY_KEY] {
        assert!(!rows.contains(key), "{}", &rows[rows.find(key).unwrap().saturating_sub(300)..]);
    }
    let exported = fs::read_to_string(folder.join("attempts.csv")).unwrap();
    assert!(exported.contains(ECHO), "exports are looked through too");
}

#[test]
fn prompts_are_kept_with_the_job_and_nowhere_else() {
    let mut watched = night("");
    let rows = |watched: &Watched, table| -> String {
        watched.overnight.rows(table).iter().map(|row| row.to_string()).collect()
    };
    assert!(!watched.said.contains(PROMPT), "{}", watched.said);
    let folder = watched.overnight.path().to_owned();
    let outside: Vec<_> = holding(&folder, PROMPT.as_bytes())
        .into_iter()
        .filter(|path| !path.starts_with(folder.join("prompts")) && *path != folder.join("in.jsonl"))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    assert!(!(rows(&watched, "results") + &rows(&watched, "attempts")).contains(PROMPT));
    let id = watched.overnight.job_id();
    let shown = watched.run(&format!("show {id} i-9")).stdout;
    assert!(shown.contains(PROMPT), "who asks for an item sees it: {shown}");
}

#[test]
fn prompts_that_are_to_be_kept_are_in_the_results_only() {
    let watched = night("--keep-input");
    let results = watched.overnight.rows("results");
    assert!(results.iter().all(|row| row["input_json"].as_str().unwrap().contains(PROMPT)));
    for mut row in results {
        row["input_json"].take();
        assert!(!row.to_string().contains(PROMPT), "{row}");
    }
    let attempts: String = watched.overnight.rows("attempts").iter().map(|row| row.to_string()).collect();
    assert!(!attempts.contains(PROMPT) && !watched.said.contains(PROMPT));
}

/// The index makes its files as it likes, so it is their folder that keeps others out.
#[test]
fn state_and_results_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    overnight.write("in.jsonl", job());
    assert_eq!(overnight.run("run in.jsonl --state-dir state").code, 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = overnight.path();
    assert_eq!(mode(&folder.join("state")), 0o700);
    for path in files(&folder.join("state")) {
        let within = path.strip_prefix(folder.join("state/index")).is_ok();
        assert!(within || mode(&path) == 0o600, "{}: {:o}", path.display(), mode(&path));
    }
    assert_eq!(mode(&folder.join("state/index")), 0o700);
    assert_eq!(mode(&folder.join("overnight-results")), 0o700);
    let results = files(&folder.join("overnight-results"));
    assert!(results.len() >= 3, "two tables and a manifest: {results:?}");
    for path in results {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
