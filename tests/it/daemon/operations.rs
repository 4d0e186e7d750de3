//! What an operator does: backup and restore, looking after the store, the service manager.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use super::{all_over, configure, night, night_with, prompts, stop, until};
use crate::support::Overnight;
use crate::support::folder::files;
use crate::support::running::Running;

#[test]
fn a_backup_of_a_daemon_at_work_is_restored_and_goes_on() {
    let (overnight, provider) = night_with(Duration::from_millis(100), "");
    overnight.write("done.jsonl", prompts("done", 5));
    overnight.write("open.jsonl", prompts("open", 400));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit done.jsonl").code, 0);
    until(&overnight, |views| all_over(views, 1));
    assert_eq!(overnight.run("submit open.jsonl").code, 0);
    until(&overnight, |views| views.iter().any(|view| view.counts.succeeded > 20 && view.items == 400));
    // Some of its rows are in parts only.
    assert_eq!(overnight.run("results open -o now.parquet").code, 0);
    let made = overnight.run("backup kept --json");
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(overnight.run("backup kept").code, 2, "what is there is not written over");
    daemon.terminate();
    assert_eq!(daemon.end().code, 0);

    // Another machine, with nothing but the config and the backup.
    let other = Overnight::new();
    configure(&other, &provider, "");
    let from = overnight.path().join("kept");
    let restored = other.run(&format!("restore {}", from.display()));
    assert!(restored.code == 0 && restored.stdout.contains("restored 2 jobs"), "{restored:?}");
    assert_eq!(other.run(&format!("restore {}", from.display())).code, 2, "a store is not written over");
    let before = other.jobs();
    let answered = |name: &str| {
        let job = before.iter().find(|job| job["name"] == name).unwrap();
        job["counts"]["succeeded"].as_u64().unwrap()
    };
    assert_eq!(answered("done"), 5);
    assert!(answered("open") > 20, "{before:?}");
    let sent = provider.summary().totals.requests;
    let ran = other.run("daemon --drain");
    assert_eq!(ran.code, 0, "{ran:?}");
    let after = other.jobs();
    assert!(after.iter().all(|job| job["state"] == "completed"), "{after:?}");
    let sent = provider.summary().totals.requests - sent;
    assert!(sent <= 400 - answered("open"), "{sent} sent, {} were answered", answered("open"));
    let rows: Vec<_> = other.rows("results").into_iter().filter(|row| row["job_name"] == "open").collect();
    assert_eq!(rows.len(), 400, "one row an item");
}

#[test]
fn space_is_given_back_while_the_daemon_works() {
    let (overnight, _provider) = night("");
    overnight.write("first.jsonl", prompts("first", 5));
    overnight.write("second.jsonl", prompts("second", 5));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit first.jsonl").code, 0);
    let first = until(&overnight, |views| all_over(views, 1)).remove(0).job_id;
    assert!(overnight.run("gc").stdout.contains("nothing is old enough"));
    let ran = overnight.run("gc --older-than 0s -y --json");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["removed"]["jobs"][0]["job_id"], first.as_str());
    assert!(
        files(&overnight.path().join("prompts"))
            .iter()
            .all(|path| !path.display().to_string().contains(first.as_str()))
    );
    assert!(overnight.jobs().is_empty());

    // It goes on, and what is gone stays gone.
    assert_eq!(overnight.run("submit second.jsonl").code, 0);
    until(&overnight, |views| all_over(views, 1));
    stop(daemon);
    let jobs = overnight.jobs();
    assert_eq!(jobs.iter().map(|job| job["name"].as_str()).collect::<Vec<_>>(), [Some("second")]);
    assert_eq!(overnight.rows("results").len(), 10, "rows are the user's");
}

#[test]
fn a_backup_that_is_not_whole_is_not_restored() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("a", 3));
    assert_eq!(overnight.run("submit in.jsonl").code, 0);
    assert_eq!(overnight.run("backup kept").code, 0);
    let journal = overnight.path().join("kept/state/journal/000001.seg");
    let mut bytes = fs::read(&journal).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&journal, bytes).unwrap();
    let refused = overnight.run("restore kept --state-dir new");
    assert!(refused.code == 1 && refused.stderr.contains("is not what was backed up"), "{refused:?}");
    assert!(!overnight.path().join("new").exists());
    fs::remove_file(overnight.path().join("kept/backup.json")).unwrap();
    let refused = overnight.run("restore kept --state-dir new");
    assert!(refused.code == 2 && refused.stderr.contains("holds no backup"), "{refused:?}");
    // Nor one that names files elsewhere.
    let list = r#"{"schema":"overnight.backup/1","overnight":"0","format":1,"made_at":"2026-11-20T00:00:00Z",
        "files":{"state/../../evil":{"bytes":0,"sha256":""}}}"#;
    overnight.write("kept/backup.json", list);
    let refused = overnight.run("restore kept --state-dir new");
    assert!(refused.code == 1 && refused.stderr.contains("which is none"), "{refused:?}");
}

#[test]
fn a_store_is_checked_rebuilt_and_repaired() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("a", 30));
    assert_eq!(overnight.run("run in.jsonl --no-progress").code, 0);
    assert_eq!(overnight.run("submit in.jsonl --again").code, 0);
    let checked = overnight.run("store check --json").json();
    assert_eq!((&checked["checked"]["jobs"], &checked["checked"]["items"]), (&2.into(), &60.into()));

    fs::remove_dir_all(overnight.path().join("index")).unwrap();
    let rebuilt = overnight.run("store rebuild");
    assert!(rebuilt.code == 0 && rebuilt.stdout.contains("1 job not over"), "{rebuilt:?}");
    assert_eq!(overnight.run("store check").code, 0);

    let prompts = files(&overnight.path().join("prompts"));
    let segment = prompts.iter().find(|path| path.extension().is_some_and(|ending| ending == "seg")).unwrap();
    let whole = fs::read(segment).unwrap();
    let mut bent = whole.clone();
    bent[40] ^= 1;
    fs::write(segment, bent).unwrap();
    let checked = overnight.run("store check");
    assert!(checked.code == 1 && checked.stderr.contains("damaged"), "{checked:?}");
    fs::write(segment, whole).unwrap();

    let repaired = overnight.run("store repair -y");
    assert!(repaired.code == 0 && repaired.stdout.contains("nothing is damaged"), "{repaired:?}");
    fs::remove_dir_all(overnight.path().join("overnight-results/results")).unwrap();
    let checked = overnight.run("store check");
    assert!(checked.code == 1 && checked.stdout.contains("30 rows not in the results folder"), "{checked:?}");
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_is() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("a", 1));
    assert_eq!(overnight.run("submit in.jsonl").code, 0);
    overnight.write("FORMAT", "999\n");
    let refused = overnight.run("daemon --drain");
    assert!(refused.code == 2 && refused.stderr.contains("newer version"), "{refused:?}");
    assert_eq!(fs::read_to_string(overnight.path().join("FORMAT")).unwrap(), "999\n");
}

/// A service manager's socket, and the daemon that talks to it.
fn managed(overnight: &Overnight, line: &str) -> (UnixDatagram, Running) {
    let path = overnight.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    // A daemon that says nothing is a failure, and not a test that never ends.
    socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let command = overnight.command(line);
    let mut process = std::process::Command::new(command.get_program());
    process.args(command.get_args()).current_dir(overnight.path()).env_clear();
    process.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    process.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    (socket, Running::of(process))
}

#[test]
fn the_service_manager_hears_of_ready_alive_reloading_and_stopping() {
    let (overnight, _provider) = night("");
    let (socket, daemon) = managed(&overnight, "daemon");
    let hear = |wanted: &str| loop {
        let mut bytes = [0; 4_096];
        let n = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
        if text.contains(wanted) {
            return text;
        }
    };
    hear("READY=1");
    for _ in 0..3 {
        hear("WATCHDOG=1");
    }
    daemon.hang_up();
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="), "systemd wants to know when");
    hear("READY=1");
    daemon.terminate();
    assert!(hear("STOPPING=1").contains("EXTEND_TIMEOUT_USEC="));
    assert_eq!(daemon.end().code, 0);
}

#[test]
fn what_a_daemon_writes_is_its_owners_alone_and_it_leaves_no_core() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("a", 2));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit in.jsonl").code, 0);
    until(&overnight, |views| all_over(views, 1));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    assert!(status.lines().any(|line| line.split_whitespace().eq(["Umask:", "0077"])), "{status}");
    stop(daemon);
    for path in files(&overnight.path().join("overnight-results")) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
    }
}

#[test]
fn the_systemd_unit_is_one() {
    let (overnight, _provider) = night("");
    let unit = overnight.run("init --service");
    assert_eq!(unit.code, 0);
    for line in ["Type=notify", "WatchdogSec=", "LimitCORE=0", "UMask=0077", "NoNewPrivileges=yes"] {
        assert!(unit.stdout.lines().any(|found| found.starts_with(line)), "{line}\n{}", unit.stdout);
    }
    // Judged by systemd itself, where it is there; the program it names is none of this machine.
    let analyze = Path::new("/usr/bin/systemd-analyze");
    if !analyze.exists() {
        return;
    }
    let binary = assert_cmd::cargo::cargo_bin!("overnight").display().to_string();
    let path = overnight.write("overnight.service", unit.stdout.replace("/usr/local/bin/overnight", &binary));
    let verified =
        std::process::Command::new(analyze).arg("verify").arg("--man=no").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!said.contains("overnight.service"), "{said}");
    let scored = std::process::Command::new(analyze)
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(scored.status.success(), "{}", String::from_utf8_lossy(&scored.stdout));
}

#[test]
fn the_doctor_sees_folders_that_cannot_be_watched() {
    let (overnight, _provider) = night(
        "[[watch]]\ndir = \"inbox\"\n[[schedule]]\nname = \"past\"\ncron = \"0 0 0 1 1 * 2020\"\nfiles = \"a.jsonl\"\n",
    );
    let sick = overnight.run("doctor");
    assert!(sick.code == 1 && sick.stdout.contains("is not there: mkdir"), "{sick:?}");
    assert!(sick.stdout.contains("never comes again"), "{sick:?}");
    fs::create_dir(overnight.path().join("inbox")).unwrap();
    let well = overnight.run("doctor");
    assert!(well.code == 0 && well.stdout.contains("it is watched while a daemon runs"), "{well:?}");
}
