//! Disks and folders that fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;

use overnight::cli::session;
use overnight::config::{Config, Inputs, load};
use overnight::live::{self, Ended, Setup, Show, Until};
use overnight::provider::client::client;
use overnight::provider::http::Providers;
use overnight::store::Store;
use overnight::store::disk::{Disk, Fault};
use overnight::store::files::{FileStore, Sizes};
use overnight::view::Waiting;

use super::{ONE, nothing_queued, says};
use crate::support::folder::parquet_rows;
use crate::support::running::Running;
use crate::support::script::{Say, Script};
use crate::support::{Overnight, Ran};

/// Lines of a job, `i-0` to `i-n`.
fn job_of(n: usize) -> String {
    (0..n).map(|n| format!("{{\"custom_id\":\"i-{n}\",\"prompt\":\"{n}\"}}\n")).collect()
}

fn config_of(overnight: &Overnight) -> Config {
    let mut env = BTreeMap::new();
    env.insert("OVERNIGHT_STATE__DIR".to_owned(), overnight.path().display().to_string());
    load(&Inputs { file: None, cwd: overnight.path(), env: &env, flags: &[] }).unwrap()
}

/// The night of a config whose store writes to `disk`.
fn setup(config: &Config, disk: Disk) -> Setup {
    let final_states = Box::new(|_: &Path, _: &_, _| panic!("no index was lost"));
    let mut store =
        FileStore::open_on(disk, Sizes::default(), &config.state_dir, &config.results.dir, final_states)
            .unwrap();
    let ledger = store.recover().unwrap();
    let catalog = config.catalog.clone();
    Setup {
        routes: session::all_routes(config, &ledger),
        routes_for: Box::new(move |job| session::routes_of(&catalog, job, overnight::clock::now())),
        providers: Arc::new(Providers::new(config.catalog.endpoints(), &client().unwrap()).unwrap()),
        parts: session::parts(config).unwrap(),
        store,
        ledger,
        limits: Default::default(),
        webhook: None,
        reload: None,
        traces: None,
    }
}

/// The disk is full from some write on, in the middle of the night, until someone makes room.
#[test]
fn a_full_disk_pauses_the_night_until_there_is_room() {
    let disk = Disk::with_faults();
    let (full, n) = (disk.clone(), 200);
    // A few answers are known when the disk fills up.
    let server = Script::start(move |n, _| {
        if n == 5 {
            full.fail_at(full.ops() + 1, Fault::Full);
        }
        Say::answer("ok")
    });
    let overnight = Overnight::asking(&server.base_url());
    assert_eq!(overnight.submit(job_of(n), "").code, 0);
    let config = config_of(&overnight);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut told, mut shown_while_full) = (Vec::new(), None);
    let ended = runtime.block_on(async {
        let (_asks, asked) = tokio::sync::mpsc::channel(1);
        let show = |shown: Show<'_>| match shown {
            Show::DiskFull(trouble) => told.push(trouble.map(str::to_owned)),
            Show::Views(views) if told.len() == 1 => {
                shown_while_full.get_or_insert(views[0].clone());
                disk.heal();
            }
            _ => {}
        };
        live::run(setup(&config, disk.clone()), Until::Idle, asked, std::future::pending(), show).await
    });
    assert_eq!(ended.unwrap(), Ended::Done);
    let view = shown_while_full.unwrap();
    let why = view.waiting_for.as_deref().unwrap_or_default();
    assert!(view.waiting.contains_key(&Waiting::Disk) && why.contains("needed in"), "{view:?}");
    assert!(
        matches!(told.as_slice(), [Some(why), None] if why.contains("needed in") && why.contains("journal")),
        "{told:?}"
    );
    assert_eq!(overnight.rows("results").len(), n);
    assert_eq!(overnight.rows("attempts").len(), n, "nothing was sent twice");
    assert_eq!(server.heard().len(), n);
}

/// A store that cannot be written to ends the process; what it had is there afterwards.
#[test]
fn a_broken_disk_ends_the_night_and_the_next_one_goes_on() {
    let disk = Disk::with_faults();
    let (broken, n) = (disk.clone(), 40);
    let server = Script::start(move |n, _| {
        if n == 5 {
            broken.fail_at(broken.ops() + 1, Fault::Broken);
        }
        Say::answer("ok")
    });
    let overnight = Overnight::asking(&server.base_url());
    assert_eq!(overnight.submit(job_of(n), "").code, 0);
    let config = config_of(&overnight);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let (_asks, asked) = tokio::sync::mpsc::channel(1);
        live::run(setup(&config, disk.clone()), Until::Idle, asked, std::future::pending(), |_| ()).await
    });
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("what is written down can no longer be relied on"), "{error}");
    says(&overnight.run(&format!("run --resume {}", overnight.job_id())), 0, &[]);
    assert_eq!(overnight.rows("results").len(), n);
    let attempts = overnight.rows("attempts");
    let unknown = attempts.iter().filter(|row| row["status"] == "unknown").count();
    let sent = server.heard().len();
    assert!(sent <= attempts.len(), "{sent} requests and {} attempts on record", attempts.len());
    assert!(
        unknown > 0 && sent - n <= unknown,
        "{sent} requests for {n} items, {unknown} of unknown outcome"
    );
}

/// Runs a shell script in which file systems may be mounted, where the kernel lets anyone do that.
fn with_mounts(overnight: &Overnight, script: &str) -> Option<Command> {
    let can = Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !can.is_ok_and(|ran| ran.status.success()) {
        eprintln!("not tested: this machine lets nobody but root mount file systems");
        return None;
    }
    let program = overnight.command("").get_program().to_owned();
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-euc", script, "sh"]).arg(program).current_dir(overnight.path());
    command.env("OVERNIGHT_STATE__DIR", overnight.path().join("state")).env("HOME", overnight.path());
    Some(command)
}

#[test]
fn a_disk_without_room_for_the_job_refuses_it_and_says_how_much_is_missing() {
    let overnight = Overnight::asking("http://127.0.0.1:9/v1");
    overnight.write("in.jsonl", ONE);
    fs::create_dir(overnight.path().join("state")).unwrap();
    let script = "mount -t tmpfs -o size=10m tmpfs state; exec \"$1\" submit in.jsonl";
    let Some(command) = with_mounts(&overnight, script) else { return };
    let ran = Running::of(command).end();
    says(
        &ran,
        1,
        &["error[disk_full]: disk full:", "needed in", "free some space and run the same command again"],
    );
    nothing_queued(&overnight, &ran);
}

#[test]
fn a_results_folder_that_is_read_only_makes_rows_wait_and_loses_none() {
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    overnight.write("in.jsonl", job_of(3));
    fs::create_dir(overnight.path().join("overnight-results")).unwrap();
    let script = "mount -t tmpfs -o ro tmpfs overnight-results; exec \"$1\" run in.jsonl";
    let Some(command) = with_mounts(&overnight, script) else { return };
    let mut running = Running::of(command);
    let line = running.until("results wait");
    assert!(line.contains("overnight-results") && line.contains("no row is lost"), "{line}");
    drop(running);
    let ran = rerun(&overnight);
    says(&ran, 0, &[]);
    assert_eq!(
        (overnight.rows("results").len(), server.heard().len()),
        (3, 3),
        "and nothing is bought twice"
    );
}

/// The same job again, in the state folder of the mounts.
fn rerun(overnight: &Overnight) -> Ran {
    overnight.run("run in.jsonl --state-dir state")
}

/// For any user: where the folder should be stands a file.
#[test]
fn a_results_folder_that_cannot_be_made_makes_rows_wait_until_it_can() {
    let server = Script::always(Say::answer("ok"));
    let overnight = Overnight::asking(&server.base_url());
    overnight.write("in.jsonl", job_of(3));
    fs::create_dir(overnight.path().join("overnight-results")).unwrap();
    let in_the_way = overnight.write("overnight-results/results", "");
    let mut running = overnight.start("run in.jsonl");
    let line = running.until("results wait");
    assert!(line.contains("overnight-results"), "{line}");
    fs::remove_file(in_the_way).unwrap();
    running.until("results are written again");
    says(&running.end(), 0, &[]);
    assert_eq!(overnight.rows("results").len(), 3);
}

#[test]
fn a_results_folder_that_is_deleted_while_rows_are_made_is_made_again() {
    let (folder, path) = mpsc::channel::<std::path::PathBuf>();
    let server = Script::start(move |n, _| {
        if n == 2 {
            let _ = fs::remove_dir_all(path.recv().unwrap());
        }
        Say::answer("ok")
    });
    let overnight = Overnight::configured(
        &crate::support::folder::config(&server.base_url())
            .replace("timeout", "max_concurrency = 1\ntimeout"),
    );
    folder.send(overnight.path().join("overnight-results")).unwrap();
    says(&overnight.work(job_of(5), ""), 0, &[]);
    assert_eq!(overnight.rows("results").len(), 5);
    let id = overnight.job_id();
    assert_eq!(overnight.run(&format!("results {id} -o out.parquet")).code, 0);
    assert_eq!(parquet_rows(&overnight.path().join("out.parquet")).len(), 5);
}

#[test]
fn a_state_folder_that_cannot_be_made_is_said() {
    let overnight = Overnight::asking("http://127.0.0.1:9/v1");
    let file = overnight.write("taken", "");
    overnight.write("in.jsonl", ONE);
    let ran = overnight.run("submit in.jsonl --state-dir taken/state");
    says(&ran, 1, &["taken/state"]);
    assert_eq!(ran.stdout, "");
    assert_eq!(fs::read(file).unwrap(), b"");
}
