//! The verbs that read what was done: results, items, show, report; and retry, which reads first, gc,
//! which removes what was read, and config, providers, models, windows, prices, which read the set-up.

use std::fs;

use overnight::attempt::ErrorCode;
use overnight::control::{Request, Response};
use overnight::job::{AttemptId, Job, JobId};
use overnight::record::Record;
use overnight::store::Store;
use overnight::view::JobView;

mod setup;
mod world;

use world::{End, World, job, started};

const REVIEWS: &str = "job_reviews001";
const NAMES: [&str; 5] = ["r-0", "r-1", "r-2", "=cmd()\u{1b}[2J", "r-4"];

/// A job of five of which three ended, one is on its way and one waits; all of it in the journal only.
fn half_done() -> World {
    let mut world = World::new();
    let job = job(REVIEWS, 5);
    world.submit(&job, &NAMES);
    world.record(
        &job,
        &[
            (0, NAMES[0], End::Succeeds),
            (3, NAMES[3], End::Fails(ErrorCode::SchemaMismatch)),
            (1, NAMES[1], End::Fails(ErrorCode::NotJson)),
        ],
    );
    world.append(&[Record::Started(started(&job, AttemptId(90), 2))]);
    world
}

/// The same job with nothing left to do, and over.
fn over() -> World {
    let mut world = World::new();
    let job = job(REVIEWS, 3);
    world.submit(&job, &NAMES[..3]);
    world.record(
        &job,
        &[
            (0, NAMES[0], End::Succeeds),
            (1, NAMES[1], End::Fails(ErrorCode::NotJson)),
            (2, NAMES[2], End::Fails(ErrorCode::SchemaMismatch)),
        ],
    );
    assert_eq!(world.run("report reviews").code, 0);
    world.finish(&job);
    world
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rows_that_only_the_journal_has_are_exported_and_the_store_stays_in_order() {
    let world = half_done();
    for time in ["first", "second"] {
        let ran = world.run("results reviews -o - --format jsonl");
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{time}");
        let rows = lines(&ran.stdout);
        let names: Vec<&str> = rows.iter().map(|row| row["custom_id"].as_str().unwrap()).collect();
        assert_eq!(names, [NAMES[0], NAMES[1], NAMES[3]], "{time}");
    }
    let mut store = world.store();
    let ledger = store.recover().unwrap();
    let (_, state) = ledger.get(&JobId::new(REVIEWS)).unwrap();
    assert_eq!((state.parts, state.counts().pending, state.counts().running), (1, 1, 1));
    let mut uncommitted = 0;
    store.replay(state.committed_to, &mut |_, _| uncommitted += 1).unwrap();
    assert_eq!(uncommitted, 0);
}

#[test]
fn an_owner_is_asked_for_its_rows_first() {
    let world = half_done();
    let mut view: JobView = serde_json::from_value(world.run("report --json").json()["jobs"][0].clone())
        .unwrap_or_else(|_| view_of(&world));
    view.counts =
        overnight::ledger::Counts { pending: 1, running: 1, succeeded: 1, failed: 2, ..Default::default() };
    let owner = world.overnight.owned_with(vec![view]);
    let ran = world.run("results reviews -o - --format jsonl --state failed");
    assert_eq!((ran.code, lines(&ran.stdout).len()), (0, 2), "{ran:?}");
    let flush = Request::Flush { job: JobId::new(REVIEWS) };
    assert!(owner.heard.lock().unwrap().contains(&flush));
    let items = world.run("items reviews");
    assert!(
        items.stdout.ends_with("not listed while they are being worked on: 1 pending, 1 running\n"),
        "{items:?}"
    );
    let shown = world.run("show reviews r-4");
    assert!(shown.stdout.starts_with("r-4  not ended yet   0 attempts"), "{shown:?}");
    assert!(shown.stdout.contains("prompt of r-4"), "{shown:?}");
}

/// What the library knows of the job.
fn view_of(world: &World) -> JobView {
    let mut store = world.store();
    let ledger = store.recover().unwrap();
    let (job, state) = ledger.get(&JobId::new(REVIEWS)).unwrap();
    let view = JobView::of(job, state);
    store.close().unwrap();
    view
}

#[test]
fn a_file_is_written_with_the_line_that_opens_it() {
    let world = half_done();
    let ran = world.run("results reviews");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let size = regex::Regex::new(r"[0-9.]+ kB").unwrap();
    insta::assert_snapshot!(size.replace(&ran.stdout, "N kB"));
    assert!(world.overnight.path().join("reviews.parquet").is_file());
    let again = world.run("results reviews");
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("-o") && again.stderr.contains("-y"), "{again:?}");
    assert_eq!(world.run("results reviews -y").code, 0);
}

#[test]
fn the_file_a_job_was_read_from_is_not_replaced_by_its_answers() {
    let world = half_done();
    let input = world.overnight.path().join("reviews.jsonl");
    fs::write(&input, "the user's").unwrap();
    assert_eq!(world.run("results reviews --format jsonl").code, 2);
    assert_eq!(fs::read_to_string(&input).unwrap(), "the user's");
}

#[test]
fn every_format_and_attempts_too() {
    let world = half_done();
    for (line, file) in [
        ("results reviews -o a.csv", "a.csv"),
        ("results reviews -o a.jsonl --format openai-batch", "a.errors.jsonl"),
        ("results reviews --attempts", "reviews.attempts.parquet"),
        ("results reviews --attempts -o a.txt --format csv", "a.txt"),
    ] {
        let ran = world.run(line);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        assert!(world.overnight.path().join(file).is_file(), "{line}");
    }
    let document = world.run("--json results reviews -o b.csv").json();
    assert_eq!(document["schema"], "overnight.results/1");
    assert_eq!(document["written"]["by_status"]["failed"], 2);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let world = half_done();
    for format in ["csv", "jsonl", "openai-batch", "parquet"] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("overnight"));
        command
            .current_dir(world.overnight.path())
            .env_clear()
            .env("OVERNIGHT_STATE__DIR", world.overnight.path());
        command.args(["results", "reviews", "-o", "-", "--format", format]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ran = child.wait_with_output().unwrap();
        assert_eq!(
            (ran.status.code(), String::from_utf8_lossy(&ran.stderr).as_ref()),
            (Some(0), ""),
            "{format}"
        );
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_a_way_out() {
    let world = half_done();
    for (line, code, said) in [
        ("results nothing", 9, "overnight status"),
        ("results reviews --state pending", 2, "overnight items"),
        ("results reviews -o rows.xlsx", 2, ".parquet"),
        ("results reviews --attempts --format openai-batch", 2, "--attempts"),
        ("results reviews -o no/such/folder/a.csv", 1, "no/such/folder"),
        ("show reviews r-9", 9, "custom_id"),
        ("items nothing", 9, "overnight status"),
        ("report nothing", 9, "overnight status"),
        ("retry nothing", 9, "overnight status"),
    ] {
        let ran = world.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{line}: {ran:?}");
        assert!(ran.stderr.contains(said), "{line}: {}", ran.stderr);
    }
}

#[test]
fn rows_that_are_elsewhere_are_not_taken_for_none() {
    let world = over();
    let moved = world.overnight.path().join("elsewhere");
    fs::rename(world.overnight.path().join("overnight-results"), moved).unwrap();
    let ran = world.run("results reviews");
    assert_eq!(ran.code, 9);
    assert!(ran.stderr.contains("OVERNIGHT_RESULTS__DIR"), "{ran:?}");
    let mut command = world.overnight.command("results reviews");
    let found = command.env("OVERNIGHT_RESULTS__DIR", "elsewhere").output().unwrap();
    assert_eq!(found.status.code(), Some(0), "{found:?}");
}

#[test]
fn nothing_is_made_where_there_is_nothing() {
    let world = World::new();
    let state = world.overnight.path().join("state");
    let ran = world.run("--state-dir state results reviews");
    assert_eq!((ran.code, state.exists()), (9, false), "{ran:?}");
    assert_eq!(world.run("--state-dir state gc").code, 0);
    assert!(!state.exists());
}

#[test]
fn items_that_ended_and_items_that_wait() {
    let world = half_done();
    insta::assert_snapshot!(world.run("items reviews").stdout);
    let names = |line: &str| -> Vec<String> {
        let document = world.run(line).json();
        assert_eq!(document["schema"], "overnight.items/1");
        document["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["custom_id"].as_str().unwrap().into())
            .collect()
    };
    assert_eq!(names("--json items reviews --state failed"), [NAMES[1], NAMES[3]]);
    assert_eq!(names("--json items reviews --reason not_json"), [NAMES[1]]);
    assert_eq!(names("--json items reviews --state pending,running"), [NAMES[2], NAMES[4]]);
    assert_eq!(names("--json items reviews --tag team=search --state pending"), [NAMES[4]]);
    assert!(names("--json items reviews --tag team=ads").is_empty());
    let few = world.run("--json items reviews --limit 4").json();
    assert_eq!((few["items"].as_array().unwrap().len(), few["more"].as_u64()), (4, Some(1)));
    let fewer = world.run("--json items reviews --limit 1").json();
    assert_eq!((fewer["items"].as_array().unwrap().len(), fewer["more"].as_u64()), (1, Some(4)));
}

#[test]
fn one_item_with_its_attempts_prompt_and_answer() {
    let world = half_done();
    insta::assert_snapshot!(world.run("show reviews r-1").stdout);
    let document = world.run("--json show reviews r-0").json();
    assert_eq!(document["schema"], "overnight.show/1");
    assert_eq!(document["result"]["cost_nano_usd"], 180_000);
    assert_eq!(document["attempts"][0]["upstream_request_id"], "req_r-0");
    let waiting = world.run("show reviews r-4");
    insta::assert_snapshot!("show_waiting", waiting.stdout);
    let odd = world.overnight.command("show reviews").arg(NAMES[3]).output().unwrap();
    assert!(!String::from_utf8(odd.stdout).unwrap().contains('\u{1b}'));
}

#[test]
fn a_report_of_jobs_and_of_late() {
    let world = over();
    insta::assert_snapshot!(world.run("report reviews").stdout);
    let document = world.run("--json report reviews").json();
    assert_eq!(document["schema"], "overnight.report/1");
    assert_eq!(document["jobs"][0]["routes"][0]["rejected"]["not_json"], 1);
    let all = world.run("--json report --since 9999d").json();
    assert_eq!(all["jobs"].as_array().unwrap().len(), 1);
}

/// The id that `retry` printed.
fn retried(ran: &crate::support::Ran) -> String {
    assert_eq!(ran.code, 0, "{ran:?}");
    let id = ran.stdout.trim().to_owned();
    assert!(JobId::parse(&id).is_some(), "{ran:?}");
    id
}

fn header(world: &World, id: &str) -> Job {
    overnight::store::beside::Beside::of(world.overnight.path()).job(&JobId::new(id)).unwrap()
}

#[test]
fn what_failed_is_queued_again_as_a_job_of_its_own() {
    let mut world = over();
    let dry = world.run("retry reviews --dry-run");
    assert_eq!((dry.code, dry.stderr.as_str()), (0, ""));
    let moment = regex::Regex::new(r"deadline .*").unwrap();
    insta::assert_snapshot!(moment.replace(&dry.stdout, "deadline THEN"));
    assert_eq!(world.run("--json retry reviews --dry-run").json()["job_id"], serde_json::Value::Null);

    let ran =
        world.run("retry reviews --model openai/gpt-5-mini --reason not_json --max-cost $3 --check json");
    let id = retried(&ran);
    assert!(ran.stderr.contains("overnight run --resume"), "{ran:?}");
    let again = header(&world, &id);
    assert_eq!(again.retry_of, Some(JobId::new(REVIEWS)));
    assert_eq!((again.n_items, again.title()), (1, "reviews"));
    assert_eq!(again.classes[0].ladder.to_string(), "openai/gpt-5-mini");
    assert_eq!(again.options.max_cost.map(|cap| cap.as_f64()), Some(3.0));
    assert_eq!(again.options.check, Some(overnight::check::Check::Json));
    assert!(again.classes[0].deadline.unwrap() > overnight::clock::now(), "the old deadline is past");
    let mut reader = overnight::store::beside::Beside::of(world.overnight.path()).reader();
    let items = reader.read(&again.id, &[0]).unwrap();
    assert_eq!(&*items[0].custom_id, "r-1");
    assert!(String::from_utf8_lossy(&items[0].body.json).contains("prompt of r-1"));

    // It is not over: the same item is not bought twice, the other one may be.
    let rest = world.run("--json retry reviews --dry-run").json();
    assert_eq!((rest["items"].as_u64(), rest["already_queued"].as_u64()), (Some(1), Some(1)));
    assert_eq!(world.run("retry reviews --reason not_json").code, 9);

    // Its rows take the place of the old ones; the old job says what it said.
    world.record(&again, &[(0, "r-1", End::Succeeds)]);
    let rows = lines(&world.run(&format!("results {REVIEWS} -o - --format jsonl")).stdout);
    let states: Vec<_> = rows.iter().map(|row| (row["custom_id"].as_str(), row["status"].as_str())).collect();
    assert_eq!(
        states,
        [(Some("r-0"), Some("succeeded")), (Some("r-1"), Some("succeeded")), (Some("r-2"), Some("failed")),]
    );
    assert_eq!(rows[1]["job_id"], id.as_str());
    let shown = world.run(&format!("--json show {REVIEWS} r-1")).json();
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 2);
    let report = world.run(&format!("report {REVIEWS}")).stdout;
    assert!(report.contains(&format!("reviews (retry of {REVIEWS})   1 item in")), "{report}");
    assert!(report.contains("2 jobs   3 items   2 ok"), "{report}");
    let left = world.run(&format!("--json retry {REVIEWS} --dry-run")).json();
    assert_eq!((left["items"].as_u64(), left["reasons"]["schema_mismatch"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn an_owner_adopts_the_retry() {
    let world = over();
    let view = view_of(&world);
    let state = world.overnight.path().to_owned();
    let owner = world.overnight.owned(move |request| match request {
        Request::Views => Response::Views(vec![view.clone()]),
        Request::Adopt { job } => {
            assert!(state.join(format!("prompts/.staging-{job}")).is_dir());
            Response::Done
        }
        _ => Response::Done,
    });
    let ran = world.run("retry reviews");
    let id = retried(&ran);
    assert!(!ran.stderr.contains("no daemon"), "{ran:?}");
    assert!(owner.heard.lock().unwrap().contains(&Request::Adopt { job: JobId::new(id) }));
}

#[test]
fn what_succeeded_or_waits_is_not_retried() {
    let world = half_done();
    assert_eq!(world.run("retry reviews --state succeeded").code, 2);
    assert_eq!(world.run("retry reviews --state pending").code, 2);
    assert_eq!(world.run("retry reviews --state cancelled").code, 9);
    assert_eq!(world.run("retry reviews --model nobody/knows").code, 6);
    assert_eq!(world.run("retry reviews --deadline 2020-01-01T00:00:00Z").code, 2);
}

#[test]
fn gc_frees_prompts_and_keeps_results() {
    let world = over();
    assert!(world.run("gc").stdout.contains("nothing is old enough"));
    let dry = world.run("gc --older-than 1h --dry-run");
    assert!(dry.stdout.contains("1 job would be removed"), "{dry:?}");
    assert_eq!(world.run("gc --older-than 1h").code, 2, "nobody is here to answer");
    let ran = world.run("--json gc --older-than 1h -y").json();
    assert_eq!(
        (ran["schema"].as_str(), ran["removed"]["jobs"][0]["job_id"].as_str()),
        (Some("overnight.gc/1"), Some(REVIEWS))
    );
    assert!(ran["removed"]["freed_bytes"].as_u64() > Some(0));
    assert!(!world.overnight.path().join("prompts").join(REVIEWS).exists());
    let rows = world.run(&format!("results {REVIEWS} -o - --format jsonl"));
    assert_eq!((rows.code, lines(&rows.stdout).len()), (0, 3), "{rows:?}");
    assert_eq!(world.run(&format!("show {REVIEWS} r-1")).code, 0);
    assert_eq!(world.run(&format!("items {REVIEWS}")).code, 0);
    assert_eq!(world.run(&format!("retry {REVIEWS}")).code, 9);
    assert_eq!(world.run(&format!("report {REVIEWS}")).code, 9);
    assert_eq!(world.run("report").code, 0, "the store opens as before");
}
