//! Jobs that nobody submits.

use std::fs;
use std::path::Path;

use super::{all_over, night, prompts, stop, until};
use crate::support::Overnight;

/// Puts a file where a writer would put it when it is done.
fn drop_into(overnight: &Overnight, folder: &str, name: &str, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(overnight.path().join(folder)).unwrap();
    overnight.write(&format!("{folder}/{name}"), bytes);
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// As if the daemon had last looked at the schedule then.
fn looked_at(overnight: &Overnight, name: &str, cron: &str, seen: &str, firing: Option<&str>) {
    let entry = serde_json::json!({ "rule": format!("{cron} UTC"), "seen": seen, "firing": firing });
    let page = serde_json::json!({ "schedules": { name: entry } });
    overnight.write("daemon.json", page.to_string());
}

const REVIEWS: &str =
    "[[schedule]]\nname = \"reviews\"\ncron = \"0 22 * * *\"\ntz = \"UTC\"\nfiles = [\"in/*.jsonl\"]\n";

#[test]
fn a_firing_that_was_missed_is_made_up_for_once() {
    let (overnight, provider) = night(REVIEWS);
    drop_into(&overnight, "in", "a.jsonl", prompts("a", 3));
    drop_into(&overnight, "in", "b.jsonl", prompts("b", 4));
    // The machine was off for three nights.
    looked_at(&overnight, "reviews", "0 22 * * *", "2026-10-01T12:00:00Z", None);
    let daemon = overnight.start("daemon");
    let views = until(&overnight, |views| all_over(views, 2));
    let stderr = stop(daemon);
    assert!(stderr.contains("missed, and not made up for"), "{stderr}");
    assert_eq!(views.iter().map(|view| view.counts.succeeded).sum::<u32>(), 7);
    // Neither the next start nor the same firing again makes other jobs of it.
    let again = overnight.run("daemon --drain");
    assert_eq!((again.code, overnight.jobs().len()), (0, 2), "{again:?}");
    assert_eq!(provider.summary().totals.billed_requests, 7);
}

#[test]
fn a_firing_that_a_crash_interrupted_is_carried_out_to_its_end() {
    let (overnight, provider) = night(REVIEWS);
    drop_into(&overnight, "in", "a.jsonl", prompts("a", 3));
    let firing = "2026-11-20T22:00:00Z";
    looked_at(&overnight, "reviews", "0 22 * * *", firing, Some(firing));
    assert_eq!(overnight.run("daemon --drain").code, 0);
    // As after a crash between the first file and the second, which came to hold other prompts meanwhile.
    looked_at(&overnight, "reviews", "0 22 * * *", firing, Some(firing));
    drop_into(&overnight, "in", "a.jsonl", prompts("other", 3));
    drop_into(&overnight, "in", "b.jsonl", prompts("b", 4));
    assert_eq!(overnight.run("daemon --drain").code, 0);
    assert_eq!(overnight.jobs().len(), 2, "one job of each file");
    assert_eq!(provider.summary().totals.billed_requests, 7);
    // The next night is another firing.
    let firing = "2026-11-21T22:00:00Z";
    looked_at(&overnight, "reviews", "0 22 * * *", firing, Some(firing));
    assert_eq!(overnight.run("daemon --drain").code, 0);
    assert_eq!(overnight.jobs().len(), 4);
}

#[test]
fn a_schedule_that_skips_makes_nothing_of_what_it_missed() {
    let (overnight, provider) = night(&format!("{REVIEWS}missed = \"skip\"\n"));
    drop_into(&overnight, "in", "a.jsonl", prompts("a", 3));
    looked_at(&overnight, "reviews", "0 22 * * *", "2026-10-01T12:00:00Z", None);
    let ran = overnight.run("daemon --drain");
    assert!(ran.code == 0 && ran.stderr.contains("missed, and not made up for"), "{ran:?}");
    assert_eq!((overnight.jobs().len(), provider.summary().totals.requests), (0, 0));
}

#[test]
fn a_schedule_fires_by_the_clock_with_its_own_terms() {
    let schedule = "[[schedule]]\nname = \"minutely\"\ncron = \"* * * * *\"\nfiles = \"rows.csv\"\n\
                    models = [\"sim/large\"]\nprompt = \"Say {{ word }}\"\nid_field = \"word\"\n";
    let (overnight, provider) = night(schedule);
    overnight.write("rows.csv", "word,n\nfoo,1\nbar,2\n");
    looked_at(&overnight, "minutely", "* * * * *", "2026-10-01T12:00:00Z", None);
    let daemon = overnight.start("daemon");
    let views = until(&overnight, |views| views.iter().any(|view| view.finished_at.is_some()));
    stop(daemon);
    let view = &views[0];
    assert_eq!((view.name.as_str(), view.items, view.counts.succeeded), ("rows", 2, 2));
    assert_eq!(view.routes[0].route, "sim/large");
    assert!(provider.summary().totals.billed_requests >= 2);
    let tags = overnight.rows("results")[0]["tags"].clone();
    assert!(tags.to_string().contains("minutely"), "{tags}");
    let shown = overnight.run("schedules --json").json();
    assert_eq!(shown["schedules"][0]["next"].as_array().unwrap().len(), 5);
}

const INBOX: &str = "[[watch]]\ndir = \"inbox\"\nsettle = \"1s\"\n";

#[test]
fn a_file_that_is_dropped_becomes_a_job_and_moves() {
    let (overnight, provider) = night(INBOX);
    let inbox = overnight.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let daemon = overnight.start("daemon");
    until(&overnight, |_| true);
    drop_into(&overnight, "inbox", "good.jsonl", prompts("good", 3));
    drop_into(
        &overnight,
        "inbox",
        "packed.jsonl.zst",
        zstd::encode_all(prompts("packed", 2).as_bytes(), 1).unwrap(),
    );
    drop_into(&overnight, "inbox", "bad.jsonl", "{\"prompt\": \n{\"id\":\"x\"}\n");
    drop_into(&overnight, "inbox", "note.txt", "not prompts\n");
    let secret = overnight.write("secret.jsonl", prompts("secret", 1));
    std::os::unix::fs::symlink(&secret, inbox.join("link.jsonl")).unwrap();
    until(&overnight, |views| all_over(views, 2) && names(&inbox.join("rejected")).len() == 2);
    stop(daemon);
    assert_eq!(names(&inbox), ["accepted", "link.jsonl", "note.txt", "rejected"]);
    assert_eq!(names(&inbox.join("accepted")), ["good.jsonl", "packed.jsonl.zst"]);
    assert_eq!(names(&inbox.join("rejected")), ["bad.jsonl", "bad.jsonl.reason.txt"]);
    let reason = fs::read_to_string(inbox.join("rejected/bad.jsonl.reason.txt")).unwrap();
    assert!(reason.contains("2 of 2 lines cannot be used") && reason.contains("line 1"), "{reason}");
    assert_eq!(provider.summary().totals.billed_requests, 5);
}

#[test]
fn a_crash_between_submitting_and_moving_runs_nothing_twice() {
    let (overnight, provider) = night(INBOX);
    drop_into(&overnight, "inbox", "a.jsonl", prompts("a", 3));
    assert_eq!(overnight.run("daemon --drain").code, 0);
    // As if the move had not happened.
    let inbox = overnight.path().join("inbox");
    fs::rename(inbox.join("accepted/a.jsonl"), inbox.join("a.jsonl")).unwrap();
    let ran = overnight.run("daemon --drain");
    assert!(ran.code == 0 && ran.stderr.contains("queued_before=true"), "{ran:?}");
    assert_eq!(names(&inbox.join("accepted")), ["a.jsonl"]);
    assert_eq!((overnight.jobs().len(), provider.summary().totals.requests), (1, 3));
}

#[test]
fn bad_lines_are_left_out_where_the_folder_says_so() {
    let (overnight, _provider) = night(&format!("{INBOX}skip_bad = true\nmax_cost = \"$1\"\n"));
    drop_into(&overnight, "inbox", "a.jsonl", format!("{}{{\n", prompts("a", 3)));
    assert_eq!(overnight.run("daemon --drain").code, 0);
    assert_eq!(overnight.job()["max_cost_usd"], 1.0);
    assert_eq!(names(&overnight.path().join("inbox/rejected")), ["a.rejected.jsonl"]);
}

#[test]
fn a_daemon_ends_at_its_time() {
    let (overnight, _provider) = night("");
    let ran = overnight.run("daemon --until 1s");
    assert!(ran.code == 0 && ran.stderr.contains("everything is saved"), "{ran:?}");
}
