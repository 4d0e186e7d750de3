//! Parts as a reader finds them: written, cut, crashed and read back.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus};
use crate::job::{ItemIndex, Job, JobId};
use crate::ledger::JobLedger;
use crate::money::Usd;
use crate::record::{ItemTotals, Next, PartCommitted, Record, Seq};
use crate::results::export::{self, Export, Format};
use crate::results::folder::Folder;
use crate::results::parts::Parts;
use crate::results::read;
use crate::results::schema::Table;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::results::testing::{at, job, parts, rejected, settled, succeeded};

fn folder() -> (tempfile::TempDir, Folder) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::new(temp.path().join("overnight-results"));
    (temp, folder)
}

fn write(folder: &Folder, job: &Arc<Job>, records: &[Record]) -> Vec<PartCommitted> {
    let mut open = parts(folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    for (index, record) in records.iter().enumerate() {
        open.push(index as Seq + 1, record).unwrap();
    }
    std::iter::from_fn(|| open.close(&job.id, at(100)).unwrap()).collect()
}

fn ended(ended: crate::record::Ended) -> Record {
    Record::Ended(Box::new(ended))
}

fn chain(job: &Job) -> Vec<Link> {
    vec![Link::all(job.id.clone())]
}

/// Every result row there is, and the cost of all attempts: what any reader of the folder would see.
fn union(folder: &Folder, job: &JobId) -> (Vec<ItemIndex>, BTreeMap<String, i64>) {
    let link = [Link::all(job.clone())];
    let results = Selection::results(folder, &link, &Filter::default()).unwrap();
    let items = read::results(&results, Texts::Without).map(|row| row.unwrap().item_index).collect();
    let attempts = Selection::attempts(folder, &link, &Filter::default()).unwrap();
    let mut costs = BTreeMap::new();
    for row in read::attempts(&attempts, Texts::Without) {
        let row = row.unwrap();
        assert_eq!(costs.insert(row.attempt_id, row.cost_nano_usd), None, "an attempt is there twice");
    }
    (items, costs)
}

#[test]
fn an_item_reads_back_as_its_records_say() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 1);
    let first = rejected(&job, 0, 1);
    let mut last = rejected(&job, 0, 2);
    last.status = AttemptStatus::Succeeded;
    last.error = None;
    last.text = Some("a\0b \u{fffd} \u{1b}[0m".into());
    last.body = Bytes::from_static(b"{\"bad\":\"\xff\"}");
    let mut end = settled(&job, 0, ItemStatus::Succeeded, last.totals);
    end.custom_id = "../=cmd()\u{202e}".into();
    end.step = Some(1);
    end.priority = -100;
    last.next = Next::Settled(Box::new(end));
    write(&folder, &job, &[ended(first.clone()), ended(last.clone())]);

    let (result, attempts) = read::item(&folder, &chain(&job), "../=cmd()\u{202e}").unwrap();
    let row = result.unwrap();
    assert_eq!((row.output_text.as_deref(), row.priority, row.step), (last.text.as_deref(), -100, Some(2)));
    assert_eq!(row.response_json.as_deref(), Some("{\"bad\":\"\u{fffd}\"}"));
    assert_eq!(row.extra_json.as_deref(), Some("{\"response_lossy\":true}"));
    assert_eq!((row.ended_at, row.deadline_met, row.latency_ms), (at(2), Some(true), Some(4_000)));
    assert_eq!(row.tags, [("team".to_owned(), "search".to_owned())]);
    assert_eq!((row.usage, row.cost_nano_usd), (last.totals.usage, last.totals.cost.nano()));
    assert!(attempts.is_empty(), "attempts carry the name of their own record");

    let (_, attempts) = read::item(&folder, &chain(&job), "r-0").unwrap();
    assert_eq!(attempts.iter().map(|row| row.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(attempts[0].check_message, first.error.map(|(_, message)| message));
    assert_eq!(attempts[0].response_json.as_deref(), Some("{\"id\":\"r0\",\n \"choices\":[]}"));
    assert_eq!(attempts[1].response_json, None, "an accepted answer is kept once");
    assert_eq!(attempts[0].usage, first.usage);
    assert_eq!(attempts[0].input_price_usd_per_mtok, 0.15);
}

#[test]
fn an_item_that_was_never_sent_has_a_row_of_nulls() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 1);
    let mut end = settled(&job, 0, ItemStatus::Expired, ItemTotals::default());
    end.step = None;
    end.at = end.deadline.unwrap();
    let committed = write(&folder, &job, &[Record::Settled(Box::new(end))]);
    assert_eq!((committed[0].attempt_rows, &*committed[0].attempts_sha256), (0, ""));
    let (result, attempts) = read::item(&folder, &chain(&job), "r-0").unwrap();
    let row = result.unwrap();
    assert_eq!((row.provider, row.step, row.latency_ms, row.started_at), (None, None, None, None));
    assert_eq!((row.deadline_met, row.error_code.as_deref()), (Some(false), Some("deadline")));
    assert!(attempts.is_empty());
}

#[test]
fn an_unknown_outcome_says_what_it_may_cost() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 1);
    let mut lost = rejected(&job, 0, 1);
    lost.status = AttemptStatus::Unknown;
    lost.usage = None;
    lost.body = Bytes::new();
    lost.at_risk = Usd::from_pico(7_000);
    write(&folder, &job, &[ended(lost)]);
    let (_, attempts) = read::item(&folder, &chain(&job), "r-0").unwrap();
    assert_eq!(attempts[0].extra_json.as_deref(), Some("{\"at_risk_nano_usd\":7}"));
    assert_eq!((attempts[0].usage, &attempts[0].check_message), (None, &None));
}

#[test]
fn only_two_columns_of_committed_parts_rebuild_the_index() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 3);
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    open.push(1, &ended(succeeded(&job, 2))).unwrap();
    open.close(&job.id, at(0)).unwrap();
    let end = settled(&job, 0, ItemStatus::Cancelled, ItemTotals::default());
    open.push(2, &Record::Settled(Box::new(end))).unwrap();
    open.close(&job.id, at(0)).unwrap();
    assert_eq!(read::final_states(&folder, &job.id, 1).unwrap(), [(2, ItemStatus::Succeeded)]);
    let both = [(2, ItemStatus::Succeeded), (0, ItemStatus::Cancelled)];
    assert_eq!(read::final_states(&folder, &job.id, 2).unwrap(), both);
}

#[test]
fn a_part_is_due_by_age_by_size_and_after_the_clock_was_set_back() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 9);
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    assert!(open.due(at(0)).is_empty());
    open.push(1, &ended(succeeded(&job, 0))).unwrap();
    for (now, due) in [(2, false), (601, false), (602, true), (-597, false), (-598, true)] {
        assert_eq!(open.due(at(now)), if due { vec![job.id.clone()] } else { vec![] }, "{now}");
    }
    let mut large = succeeded(&job, 1);
    large.body = vec![b' '; 64 << 20].into();
    open.push(2, &ended(large)).unwrap();
    assert_eq!(open.due(at(0)), std::slice::from_ref(&job.id));
    open.close(&job.id, at(0)).unwrap().unwrap();
    assert!(open.due(at(100_000)).is_empty());
}

#[test]
fn many_open_jobs_together_stay_bounded() {
    let (_temp, folder) = folder();
    let mut open = parts(&folder).unwrap();
    let jobs: Vec<_> = (0..5).map(|n| job(&format!("job_abc12{n}"), 9)).collect();
    for (n, job) in jobs.iter().enumerate() {
        open.add(job.clone(), 0, 0).unwrap();
        let mut large = succeeded(job, 0);
        large.body = vec![b' '; (30 + n) << 20].into();
        open.push(n as Seq + 1, &ended(large)).unwrap();
    }
    assert_eq!(open.due(at(0)), [jobs[4].id.clone()], "the largest");
}

#[test]
fn a_full_disk_costs_nothing_but_time() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 9);
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    open.push(1, &ended(succeeded(&job, 0))).unwrap();
    fs::write(folder.root(), "in the way").unwrap();
    assert!(open.close(&job.id, at(0)).unwrap_err().is_retryable());
    open.push(2, &ended(succeeded(&job, 1))).unwrap();
    assert!(open.close(&job.id, at(0)).unwrap_err().is_retryable());
    assert_eq!(open.due(at(0)), std::slice::from_ref(&job.id));

    fs::remove_file(folder.root()).unwrap();
    let closed: Vec<_> = std::iter::from_fn(|| open.close(&job.id, at(0)).unwrap()).collect();
    assert_eq!(closed.iter().map(|part| (part.part, part.to)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    assert_eq!(union(&folder, &job.id).0, [0, 1]);
}

#[test]
fn a_deleted_folder_is_made_again() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 12);
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    // Not to be compressed, so that a row group fills up and reaches the disk.
    let mut random = 1u64;
    for item in 0..12 {
        let mut large = succeeded(&job, item);
        let noise = (0..2_000_000).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 57) as u8
        });
        large.body = noise.collect();
        open.push(Seq::from(item) + 1, &ended(large)).unwrap();
    }
    let staged = fs::read_dir(folder.root().join("staging")).map_or(0, Iterator::count);
    assert_eq!(staged, 1, "the test must reach a file in staging");
    fs::remove_dir_all(folder.root()).unwrap();
    open.close(&job.id, at(0)).unwrap().unwrap();
    assert_eq!(union(&folder, &job.id).0, (0..12).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(folder.root().join("staging")).unwrap().count(), 0);
}

#[test]
fn a_rebuilt_part_replaces_the_one_of_another_day() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 9);
    write(&folder, &job, &[ended(succeeded(&job, 0)), ended(succeeded(&job, 1))]);
    for table in Table::ALL {
        let root = folder.root().join(table.as_str());
        fs::rename(root.join("2026-11-21"), root.join("2026-11-20")).unwrap();
    }
    let committed = write(&folder, &job, &[ended(succeeded(&job, 0))]);
    assert_eq!(committed[0].date, "2026-11-21");
    assert_eq!(union(&folder, &job.id).0, [0]);
}

#[test]
fn a_manifest_lists_parts_of_earlier_processes_and_what_was_taken_away() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 3);
    write(&folder, &job, &[ended(succeeded(&job, 0)), ended(succeeded(&job, 1))]);
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 1, 2).unwrap();
    open.push(3, &ended(succeeded(&job, 2))).unwrap();
    let ledger = JobLedger { parts: 2, ..JobLedger::new(&job) };
    assert!(open.finish(&job.id, &ledger, at(0)).is_err(), "rows are still open");
    open.close(&job.id, at(0)).unwrap();

    let manifest = open.finish(&job.id, &ledger, at(0)).unwrap();
    assert!(manifest.is_complete());
    assert_eq!((manifest.result_rows, manifest.attempt_rows), (3, 3));
    let json = fs::read_to_string(folder.manifest(&job.id)).unwrap();
    assert!(json.contains("\"path\": \"results/2026-11-21/job_abc123-00002.parquet\""), "{json}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["parts"][0]["results"]["rows"], 2);

    for path in [Table::Results, Table::Attempts].map(|table| folder.part(table, "2026-11-21", &job.id, 1)) {
        fs::remove_file(path).unwrap();
    }
    open.add(job.clone(), 2, 3).unwrap();
    let manifest = open.finish(&job.id, &ledger, at(0)).unwrap();
    assert_eq!((manifest.missing_parts.as_slice(), manifest.is_complete()), ([1].as_slice(), false));
}

#[test]
fn filters_take_what_they_name() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 4);
    let records: Vec<Record> = (0..4)
        .map(|item| match item {
            3 => Record::Settled(Box::new(settled(&job, 3, ItemStatus::Expired, ItemTotals::default()))),
            item => ended(succeeded(&job, item)),
        })
        .collect();
    write(&folder, &job, &records);
    let tag = |value: &str| vec![("team".to_owned(), value.to_owned())];
    for (filter, items, attempts) in [
        (Filter::default(), vec![0, 1, 2, 3], 3),
        (Filter { states: vec![ItemStatus::Succeeded], ..Filter::default() }, vec![0, 1, 2], 3),
        (Filter { reasons: vec![ErrorCode::Deadline], ..Filter::default() }, vec![3], 0),
        (Filter { tags: tag("ads"), ..Filter::default() }, vec![1, 3], 1),
        (Filter { tags: tag("ads"), states: vec![ItemStatus::Succeeded], ..Filter::default() }, vec![1], 1),
        (Filter { custom_id: Some("r-2".into()), ..Filter::default() }, vec![2], 1),
    ] {
        let results = Selection::results(&folder, &chain(&job), &filter).unwrap();
        let found: Vec<_> = read::results(&results, Texts::With).map(|row| row.unwrap().item_index).collect();
        assert_eq!(found, items, "{filter:?}");
        assert_eq!(
            Selection::attempts(&folder, &chain(&job), &filter).unwrap().len(),
            attempts,
            "{filter:?}"
        );
    }
}

/// A job of four items of which two failed, and its retry, in which one of them succeeded.
fn with_retry(folder: &Folder) -> Vec<Link> {
    let first = job("job_abc123", 4);
    let failed =
        |item| Record::Settled(Box::new(settled(&first, item, ItemStatus::Failed, ItemTotals::default())));
    write(folder, &first, &[failed(3), ended(succeeded(&first, 2)), failed(0), ended(succeeded(&first, 1))]);
    let second = job("job_abc124", 2);
    let mut retried = succeeded(&second, 0);
    retried.custom_id = "r-3".into();
    if let Next::Settled(end) = &mut retried.next {
        end.custom_id = "r-3".into();
    }
    write(folder, &second, &[ended(retried)]);
    [first, second].map(|job| Link::all(job.id.clone())).into()
}

#[test]
fn a_retry_stands_in_the_place_of_what_it_repeats() {
    let (_temp, folder) = folder();
    let chain = with_retry(&folder);
    let rows = |filter| {
        let selection = Selection::results(&folder, &chain, &filter).unwrap();
        let rows = read::results(&selection, Texts::Without).map(|row| {
            let row = row.unwrap();
            (row.custom_id, row.job_id, row.status)
        });
        rows.collect::<Vec<_>>()
    };
    let row = |id: &str, job: &str, status: &str| (id.to_owned(), job.to_owned(), status.to_owned());
    let all = [
        row("r-0", "job_abc123", "failed"),
        row("r-1", "job_abc123", "succeeded"),
        row("r-2", "job_abc123", "succeeded"),
        row("r-3", "job_abc124", "succeeded"),
    ];
    assert_eq!(rows(Filter::default()), all);
    let failed = Filter { states: vec![ItemStatus::Failed], ..Filter::default() };
    assert_eq!(rows(failed), all[..1], "what was repeated with success is not failed any more");
}

fn exported(folder: &Folder, chain: Vec<Link>, table: Table, format: Format) -> Vec<u8> {
    let export = Export { chains: vec![chain], filter: Filter::default(), table, format };
    let mut out = Vec::new();
    export::to_stream(folder, &export, &mut out, at(0)).unwrap();
    out
}

#[test]
fn exports_are_sorted_and_read_back() {
    let (temp, folder) = folder();
    let chain = with_retry(&folder);
    let jsonl = String::from_utf8(exported(&folder, chain.clone(), Table::Results, Format::Jsonl)).unwrap();
    let lines: Vec<serde_json::Value> =
        jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["custom_id"]).collect::<Vec<_>>(), ["r-0", "r-1", "r-2", "r-3"]);
    assert_eq!(lines[1].as_object().unwrap().len(), Table::Results.schema().fields().len());
    assert_eq!(
        (&lines[1]["ended_at"], &lines[1]["ended_date"]),
        (&"2026-11-21T22:00:03Z".into(), &"2026-11-21".into())
    );
    assert_eq!((&lines[1]["tags"]["team"], &lines[1]["valid"]), (&"ads".into(), &true.into()));

    let path = temp.path().join("all.parquet");
    let export = Export {
        chains: vec![chain],
        filter: Filter::default(),
        table: Table::Results,
        format: Format::from_path(&path).unwrap(),
    };
    let written = export::to_file(&folder, &export, &path, at(0)).unwrap();
    assert_eq!((written.rows, written.by_status["succeeded"], written.by_status["failed"]), (4, 3, 1));
    assert_eq!(written.files, [(path.clone(), fs::metadata(&path).unwrap().len())]);
    let read = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        fs::File::open(&path).unwrap(),
    );
    let read = read.unwrap();
    assert_eq!(read.schema().fields(), Table::Results.schema().fields());
    let about = read.metadata().file_metadata().key_value_metadata().unwrap();
    let keys: Vec<&str> =
        about.iter().map(|entry| entry.key.as_str()).filter(|key| key.starts_with("overnight")).collect();
    assert_eq!(
        keys,
        [
            "overnight.schema",
            "overnight.version",
            "overnight.job",
            "overnight.price_catalog",
            "overnight.written_at"
        ]
    );
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "no draft is left");
}

#[test]
fn more_rows_than_a_window_come_in_order() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 8_500);
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    // Every third item first, so that a window needs rows of all parts.
    let order = (0..3).flat_map(|start| (start..job.n_items).step_by(3));
    for (index, item) in order.enumerate() {
        let end = settled(&job, item, ItemStatus::Expired, ItemTotals::default());
        open.push(index as Seq + 1, &Record::Settled(Box::new(end))).unwrap();
        if index % 3_000 == 0 {
            open.close(&job.id, at(0)).unwrap();
        }
    }
    open.close(&job.id, at(0)).unwrap();
    assert_eq!(union(&folder, &job.id).0, (0..job.n_items).collect::<Vec<_>>());
}

#[test]
fn no_csv_cell_is_a_formula() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 6);
    let texts = ["=1+1", "+1", "-1", "@x", "\ttab", "two\r\nlines \"quoted\", here"];
    let records: Vec<Record> = texts
        .iter()
        .enumerate()
        .map(|(item, text)| {
            let mut record = succeeded(&job, item as ItemIndex);
            record.text = Some((*text).to_owned());
            ended(record)
        })
        .collect();
    write(&folder, &job, &records);
    let out = exported(&folder, chain(&job), Table::Results, Format::Csv);
    assert!(out.starts_with(b"job_id,custom_id,status,") && out.ends_with(b"\r\n"));
    let mut reader = csv::Reader::from_reader(out.as_slice());
    let column = reader.headers().unwrap().iter().position(|name| name == "output_text").unwrap();
    let cells: Vec<String> = reader.records().map(|row| row.unwrap()[column].to_owned()).collect();
    assert_eq!(cells, ["'=1+1", "'+1", "'-1", "'@x", "'\ttab", texts[5]]);
}

#[test]
fn openai_lines_carry_the_call_that_ended_the_item() {
    let (temp, folder) = folder();
    let job = job("job_abc123", 3);
    let mut refused = rejected(&job, 1, 2);
    refused.status = AttemptStatus::Error;
    refused.http_status = Some(400);
    refused.body = Bytes::from_static(b"{\"error\":{\"message\":\"no\"}}");
    refused.next = Next::Settled(Box::new(settled(&job, 1, ItemStatus::Failed, refused.totals)));
    let expired = settled(&job, 2, ItemStatus::Expired, ItemTotals::default());
    write(
        &folder,
        &job,
        &[
            ended(rejected(&job, 1, 1)),
            ended(refused),
            Record::Settled(Box::new(expired)),
            ended(succeeded(&job, 0)),
        ],
    );
    let path = temp.path().join("out.jsonl");
    let format = Format::OpenAiBatch;
    let export =
        Export { chains: vec![chain(&job)], filter: Filter::default(), table: Table::Results, format };
    let written = export::to_file(&folder, &export, &path, at(0)).unwrap();
    assert_eq!(written.files.len(), 2);
    let read = |path| fs::read_to_string(path).unwrap();
    insta::assert_snapshot!(format!(
        "{}---\n{}",
        read(path.clone()),
        read(temp.path().join("out.errors.jsonl"))
    ));
    let stream = exported(&folder, chain(&job), Table::Results, format);
    assert_eq!(String::from_utf8(stream).unwrap().lines().count(), 3);
}

/// The folder of a job of several parts, with every kind of row.
fn varied(folder: &Folder, n_items: ItemIndex) -> u64 {
    let job = job("job_abc123", n_items);
    let items: Vec<(u16, bool)> = (0..n_items).map(|n| ((n % 5 == 0).into(), n % 11 == 0)).collect();
    let mut open = parts(folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    let mut n_rows = 0;
    for (index, record) in records(&job, &items).iter().enumerate() {
        open.push(index as Seq + 1, record).unwrap();
        if index % 5_000 == 4_999 {
            n_rows += open.close(&job.id, at(0)).unwrap().unwrap().result_rows;
        }
    }
    n_rows + open.close(&job.id, at(0)).unwrap().map_or(0, |part| part.result_rows)
}

#[test]
#[ignore = "needs a Python with duckdb, polars, pyarrow and pandas, named by PYTHON"]
fn duckdb_polars_and_pyarrow_read_the_folder() {
    let (_temp, folder) = folder();
    assert_eq!(varied(&folder, 12_000), 12_000);
    let python = std::env::var_os("PYTHON").expect("PYTHON names an interpreter");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for script in [
        "tests/readers.py",
        "examples/analysis/duckdb_report.py",
        "examples/analysis/polars_report.py",
        "examples/analysis/pandas_report.py",
    ] {
        let run =
            std::process::Command::new(&python).arg(root.join(script)).arg(folder.root()).output().unwrap();
        let (out, error) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success(), "{script}: {out}{error}");
        println!("{script}: {out}");
    }
}

#[test]
#[ignore = "a measurement, for a release build"]
fn cpu_of_both_rows_of_an_item() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 100_000);
    let body = format!(
        "{{\"choices\":[{{\"message\":{{\"content\":\"{}\"}}}}]}}",
        "some words of an answer ".repeat(24)
    );
    let records = (0..job.n_items).map(|item| {
        let mut record = succeeded(&job, item);
        record.body = body.replace("words", &item.to_string()).into();
        ended(record)
    });
    let records: Vec<Record> = records.collect();
    let mut open = parts(&folder).unwrap();
    open.add(job.clone(), 0, 0).unwrap();
    // Nanoseconds this thread was on a processor.
    let cpu = || {
        let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = cpu();
    for (index, record) in records.iter().enumerate() {
        open.push(index as Seq + 1, record).unwrap();
        for job in open.due(at(0)) {
            open.close(&job, at(0)).unwrap();
        }
    }
    open.close(&job.id, at(0)).unwrap();
    let micros = (cpu() - before) as f64 / 1e3 / f64::from(job.n_items);
    println!("{micros:.2} µs CPU an item, {} bytes of response each", body.len());
}

/// What happens between two records.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next record becomes durable and is fed.
    Feed,
    /// A part is closed and its commit is written down.
    Close,
    /// A part is closed, its commit is lost, the process dies.
    CloseAndCrash,
    /// The process dies between the two renames of a part.
    HalfClosed,
    /// The process dies.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => Just(Step::Feed),
        2 => Just(Step::Close),
        1 => Just(Step::CloseAndCrash),
        1 => Just(Step::HalfClosed),
        1 => Just(Step::Crash),
    ]
}

/// Each item: rejected attempts before its end, and whether it ends without a further attempt.
fn records(job: &Job, items: &[(u16, bool)]) -> Vec<Record> {
    let mut records: Vec<(u16, Record)> = Vec::new();
    for (item, &(rejections, expires)) in items.iter().enumerate() {
        let item = item as ItemIndex;
        records.extend((1..=rejections).map(|number| (number, ended(rejected(job, item, number)))));
        let last = match expires {
            true => Record::Settled(Box::new(settled(job, item, ItemStatus::Expired, ItemTotals::default()))),
            false => ended(succeeded(job, item)),
        };
        let last = match last {
            Record::Ended(mut last) => {
                last.attempt.0 += u64::from(rejections);
                Record::Ended(last)
            }
            other => other,
        };
        records.push((rejections + 1, last));
    }
    // Items run side by side: their attempts come in turns.
    records.sort_by_key(|(number, _)| *number);
    records.into_iter().map(|(_, record)| record).collect()
}

/// The durable world around the parts: what recovery knows.
struct World {
    folder: Folder,
    job: Arc<Job>,
    records: Vec<Record>,
    durable: usize,
    parts: u32,
    committed_to: Seq,
}

impl World {
    fn recover(&self) -> Parts {
        let mut open = parts(&self.folder).unwrap();
        open.add(self.job.clone(), self.parts, self.committed_to).unwrap();
        for (index, record) in self.records[..self.durable].iter().enumerate() {
            open.push(index as Seq + 1, record).unwrap();
        }
        open
    }

    fn feed(&mut self, open: &mut Parts) {
        if let Some(record) = self.records.get(self.durable) {
            self.durable += 1;
            open.push(self.durable as Seq, record).unwrap();
        }
    }

    fn close(&mut self, open: &mut Parts) -> bool {
        let Some(committed) = open.close(&self.job.id, at(0)).unwrap() else { return false };
        self.parts = committed.part;
        self.committed_to = committed.to;
        true
    }

    /// Leaves the folder as if only the results file had been renamed: attempts are as they were.
    fn half_close(&self, open: &mut Parts) {
        let path = self.folder.root().join("attempts");
        let before = snapshot(&path);
        if open.close(&self.job.id, at(0)).unwrap().is_some() {
            drop(fs::remove_dir_all(&path));
            for (file, bytes) in before {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, bytes).unwrap();
            }
        }
    }

    fn check_unique(&self) {
        let (mut items, _) = union(&self.folder, &self.job.id);
        let n = items.len();
        items.dedup();
        assert_eq!(items.len(), n, "an item is there twice");
    }
}

fn snapshot(root: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let days = fs::read_dir(root).into_iter().flatten();
    let files = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut anywhere, crashed anywhere: every settled item has exactly one row, every attempt too, and
    /// no reader ever sees a row twice on the way.
    #[test]
    fn parts_hold_every_row_exactly_once(
        items in prop::collection::vec((0u16..3, any::<bool>()), 1..12),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let (_temp, folder) = folder();
        let job = job("job_abc123", items.len() as ItemIndex);
        let records = records(&job, &items);
        let mut world = World { folder, job, records, durable: 0, parts: 0, committed_to: 0 };
        let mut open = world.recover();
        for step in steps {
            match step {
                Step::Feed => world.feed(&mut open),
                Step::Close => drop(world.close(&mut open)),
                Step::CloseAndCrash => {
                    open.close(&world.job.id, at(0)).unwrap();
                    open = world.recover();
                }
                Step::HalfClosed => {
                    world.half_close(&mut open);
                    open = world.recover();
                }
                Step::Crash => open = world.recover(),
            }
            world.check_unique();
        }
        while world.durable < world.records.len() {
            world.feed(&mut open);
        }
        while world.close(&mut open) {}
        let ledger = JobLedger { parts: world.parts, ..JobLedger::new(&world.job) };
        let manifest = open.finish(&world.job.id, &ledger, at(0)).unwrap();
        prop_assert!(manifest.is_complete());

        let (found, costs) = union(&world.folder, &world.job.id);
        prop_assert_eq!(found, (0..items.len() as ItemIndex).collect::<Vec<_>>());
        let expected: BTreeMap<String, i64> = world.records.iter().filter_map(|record| match record {
            Record::Ended(ended) => Some((ended.attempt.to_string(), ended.cost.nano())),
            _ => None,
        }).collect();
        prop_assert_eq!(costs, expected);
    }
}
