//! The `curl` lines of the README, against the real binary.

use std::process::Command;

use serde_json::Value;

use super::{Daemon, provider};

#[test]
fn the_curl_lines_of_the_readme_work() {
    let readme = include_str!("../../../README.md");
    let mut lines = readme.lines().filter(|line| line.starts_with("curl -s http://127.0.0.1:8787/v1/"));
    let daemon = Daemon::with(provider(std::time::Duration::ZERO), "");
    let base = format!("http://{}", daemon.api.address);
    let run = |line: &str, placeholder: &str, id: &str| {
        let line = line.replace("http://127.0.0.1:8787", &base).replace(placeholder, id);
        let ran = Command::new("bash")
            .args(["-c", &line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let document =
        |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut next = |placeholder: &str, id: &Value| {
        run(
            lines.next().expect("a line of curl"),
            placeholder,
            id.as_str().unwrap_or_else(|| panic!("no id: {id}")),
        )
    };
    let file = document(&next("FILE", &"".into()));
    let batch = document(&next("FILE", &file["id"]));
    assert_eq!(batch["status"], "validating", "{batch}");
    let shown = document(&next("BATCH", &batch["id"]));
    assert_eq!(shown["id"], batch["id"]);
    let done = super::batches::until(&daemon.api, &batch, &["completed"]);
    assert_eq!(done["request_counts"]["total"], 200);
    assert_eq!(next("OUTPUT", &done["output_file_id"]).lines().count(), 200);
    assert_eq!(document(&next("NONE", &"".into()))["object"], "chat.completion");
}
