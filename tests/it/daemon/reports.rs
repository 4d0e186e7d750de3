//! The report of the night.

use std::fs;

use super::{all_over, night, prompts, receiver, stop, until};
use crate::support::folder::files;

#[test]
fn a_night_that_ends_is_reported_to_a_folder_and_a_webhook() {
    let (url, received) = receiver();
    let (overnight, _provider) = night(&format!(
        "[report]\nat = \"07:00\"\ntz = \"UTC\"\nwebhook = \"{url}/hook\"\nwebhook_secret = \"env:HOOK\"\n\
         [[watch]]\ndir = \"inbox\"\nsettle = \"1s\"\n"
    ));
    fs::create_dir(overnight.path().join("inbox")).unwrap();
    overnight.write("inbox/good.jsonl", prompts("canary", 3));
    overnight.write("inbox/bad.jsonl", "{\n");
    let mut command = overnight.command("daemon --drain");
    let ran = crate::support::Ran::of(&command.env("HOOK", "whsec_c2VjcmV0").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");

    let today = chrono::DateTime::<chrono::Utc>::from(
        std::fs::metadata(overnight.path().join("daemon.json")).unwrap().modified().unwrap(),
    );
    let page = overnight.path().join(format!("overnight-reports/{}.html", today.format("%Y-%m-%d")));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("What needs you") && page.contains("inbox/rejected/bad.jsonl"), "{page}");
    assert!(!page.contains("canary 1"), "no prompt is in it");

    let (head, body) = received.recv().unwrap();
    for header in ["webhook-id: report_", "webhook-timestamp: ", "webhook-signature: v1,"] {
        assert!(head.iter().any(|line| line.starts_with(header)), "{header} {head:?}");
    }
    assert_eq!((&body["type"], &body["data"]["succeeded"]), (&"report.ready".into(), &3.into()));
    assert_eq!(body["data"]["jobs"][0]["name"], "good");
    assert_eq!(body["data"]["needs"][0]["kind"], "intake");
    assert!(!body.to_string().contains("canary"), "{body}");
}

#[test]
fn a_report_that_is_due_is_written_while_the_daemon_works_and_once() {
    let (overnight, _provider) = night("[report]\nat = \"07:00\"\ntz = \"UTC\"\n");
    overnight.write("in.jsonl", prompts("a", 2));
    overnight.write(
        "daemon.json",
        r#"{"report":{"rule":"0 7 * * * UTC","seen":"2026-10-01T12:00:00Z","firing":null}}"#,
    );
    let mut daemon = overnight.start("daemon");
    daemon.until("wrote the report");
    let diary: serde_json::Value =
        serde_json::from_slice(&fs::read(overnight.path().join("daemon.json")).unwrap()).unwrap();
    assert!(diary["report"]["seen"].as_str().unwrap().ends_with("T07:00:00Z"), "{diary}");
    let stderr = stop(daemon);
    assert!(!stderr.contains("not now"), "{stderr}");
}

#[test]
fn every_job_is_reported_where_that_is_wanted() {
    let (overnight, _provider) = night("[report]\neach_job = true\ndir = \"out\"\n");
    overnight.write("in.jsonl", prompts("a", 2));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit in.jsonl").code, 0);
    let views = until(&overnight, |views| all_over(views, 1));
    daemon.until("wrote the report");
    stop(daemon);
    let page = fs::read_to_string(overnight.path().join(format!("out/{}.html", views[0].job_id))).unwrap();
    assert!(page.contains("<!doctype html>") && page.contains(views[0].job_id.as_str()));
}

#[test]
fn a_second_night_of_a_day_leaves_the_report_of_the_first() {
    let (overnight, _provider) = night("[report]\nat = \"07:00\"\ntz = \"UTC\"\n");
    let night = |name: &str| {
        overnight.write(&format!("{name}.jsonl"), prompts(name, 2));
        assert_eq!(overnight.run(&format!("submit {name}.jsonl")).code, 0);
        assert_eq!(overnight.run("daemon --drain").code, 0);
    };
    night("first");
    let before = files(&overnight.path().join("overnight-reports"));
    let [first] = &before[..] else { panic!("{before:?}") };
    let page = fs::read(first).unwrap();
    night("second");
    assert_eq!(files(&overnight.path().join("overnight-reports")).len(), 2);
    assert_eq!(fs::read(first).unwrap(), page);
}
