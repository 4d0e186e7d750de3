//! The config, the keys and who else owns the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{ONE, nothing_queued, quiet, says};
use crate::support::folder::config;
use crate::support::{Overnight, Ran};

#[test]
fn every_problem_of_a_config_is_said_at_once_with_what_was_meant() {
    let overnight = Overnight::configured(
        r#"
[defaults]
modles = ["box/small"]
max_cost = "plenty"
when = "later"
[providers.opnai]
rpm = 10
[providers.box]
base_url = "localhost:8000"
api_key = "sk-canary-0123456789"
[sideways]
"#,
    );
    for line in ["submit in.jsonl", "run in.jsonl", "status", "config check", "daemon --drain"] {
        overnight.write("in.jsonl", ONE);
        let ran = overnight.run(line);
        let said = [
            "overnight.toml: 7 problems",
            "line 3: `defaults.modles`: unknown key (did you mean `models`?)",
            "line 4: `defaults.max_cost`",
            "line 5: `defaults.when`",
            "line 6: `providers.opnai`: unknown provider (did you mean `openai`?)",
            "line 9: `providers.box.base_url`",
            "line 10: `providers.box.api_key`: a key itself must not stand in a config; write \"env:",
            "line 11: `sideways`",
        ];
        says(&ran, 2, &said);
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
    }
    let quiet: Vec<_> = crate::support::folder::files(&overnight.path().join("journal"));
    assert!(quiet.is_empty(), "{quiet:?}");
}

#[test]
fn a_config_that_is_no_toml_is_said_with_its_place() {
    let overnight = Overnight::configured("[defaults\nmodels = 1\n");
    says(&overnight.run("status"), 2, &["overnight.toml", "line 1"]);
}

#[test]
fn a_config_that_was_named_must_be_there() {
    let overnight = Overnight::new();
    says(
        &overnight.run("status --config nowhere.toml"),
        2,
        &["--config names", "nowhere.toml", "there is no such file"],
    );
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let overnight = Overnight::new();
    let key = overnight.write("key", "sk-canary-0123456789\n");
    let written = config("http://127.0.0.1:9/v1")
        .replace("auth = \"none\"", &format!("api_key = \"file:{}\"", key.display()));
    overnight.write("overnight.toml", written);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = overnight.submit(ONE, "");
    let mend = format!("chmod o-r {}", key.display());
    says(&ran, 2, &["line", "`providers.box.api_key`", "everybody on this machine can read", &mend]);
    assert!(!ran.stderr.contains("canary"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(overnight.submit(ONE, "").code, 0);
}

#[test]
fn a_variable_with_one_underscore_too_few_is_told_before_anything_is_kept() {
    let overnight = quiet();
    overnight.write("in.jsonl", ONE);
    let mut command = overnight.command("submit in.jsonl");
    let ran = Ran::of(&command.env("OVERNIGHT_STATE_DIR", overnight.path().join("state")).output().unwrap());
    says(&ran, 2, &["OVERNIGHT_STATE_DIR", "did you mean OVERNIGHT_STATE__DIR?"]);
    nothing_queued(&overnight, &ran);
}

#[test]
fn a_second_owner_is_refused_in_one_sentence_that_names_the_first() {
    let overnight = quiet();
    let state = overnight.path().join("state");
    let results = overnight.path().join("overnight-results");
    // A process that has the store and does not talk: the lock alone must keep the second one out.
    let _store =
        overnight::store::files::FileStore::open(&state, &results, |_, _, _| unreachable!()).unwrap();
    overnight.write("in.jsonl", ONE);
    let ran = overnight.run("submit in.jsonl --state-dir state");
    let pid = format!("process {}", std::process::id());
    says(&ran, 7, &["error[store_owned]", &std::process::id().to_string(), "--state-dir"]);
    let first = ran.stderr.lines().next().unwrap();
    assert!(first.contains("state") && (first.contains(&pid) || first.contains("pid")), "{first}");
    nothing_queued(&overnight, &ran);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let overnight = quiet();
    assert_eq!(overnight.submit(ONE, "").code, 0);
    let format = overnight.path().join("FORMAT");
    let written = fs::read_to_string(&format).unwrap();
    let newer = written.replacen(|c: char| c.is_ascii_digit(), "9", 1);
    assert_ne!(newer, written);
    fs::write(&format, &newer).unwrap();
    for line in ["submit in.jsonl", "status", "daemon --drain"] {
        let ran = overnight.run(line);
        says(&ran, 2, &["error[store_newer]", "newer overnight"]);
    }
    assert_eq!(fs::read_to_string(&format).unwrap(), newer);
    fs::write(&format, written).unwrap();
    assert_eq!(overnight.job()["items"], 1);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = Overnight::new().run(&format!("simulate --listen {address}"));
    says(&ran, 2, &[&address, "in use"]);
    assert_eq!(ran.stderr.lines().next().unwrap().matches(". ").count(), 0, "one sentence");
}
