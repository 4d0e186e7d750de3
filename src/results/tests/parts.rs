//! What a part holds, when it is complete, and what a full disk or a deleted folder does to it.

use std::fs;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::PageIndexPolicy;

use super::{chain, ended, folder, union, write};
use crate::attempt::{AttemptStatus, ItemStatus};
use crate::ledger::JobLedger;
use crate::money::Usd;
use crate::record::{ItemTotals, Next, Record, Seq};
use crate::results::read;
use crate::results::schema::Table;
use crate::results::testing::{at, job, parts, rejected, settled, succeeded};

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
    assert_eq!(row.extra_json.as_deref(), Some(r#"{"model_mismatch":true,"response_lossy":true}"#));
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
    assert_eq!(
        attempts[0].extra_json.as_deref(),
        Some(r#"{"at_risk_nano_usd":7,"model_mismatch":true,"tags":{"team":"search"}}"#)
    );
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
    assert_eq!(union(&folder).0, [0, 1]);
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
    assert_eq!(union(&folder).0, (0..12).collect::<Vec<_>>());
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
    assert_eq!(union(&folder).0, [0]);
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
fn files_are_laid_out_for_what_columns_are_for() {
    let (_temp, folder) = folder();
    let job = job("job_abc123", 17_000);
    let records: Vec<Record> = (0..job.n_items).map(|item| ended(succeeded(&job, item))).collect();
    write(&folder, &job, &records);
    let path = folder.part(Table::Results, "2026-11-21", &job.id, 1);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let file = ArrowReaderMetadata::load(&fs::File::open(path).unwrap(), options).unwrap();
    let groups = file.metadata().row_groups();
    assert_eq!(groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(), [16_384, 616]);
    for column in groups[0].columns() {
        let name = column.column_path().string();
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}");
        let few = ["job_id", "status", "request_model", "step"].contains(&name.as_str());
        let many = ["custom_id", "output_text", "response_json", "item_index", "cost_nano_usd"];
        assert!(!few || column.dictionary_page_offset().is_some(), "{name} has no dictionary");
        assert!(
            !many.contains(&name.as_str()) || column.dictionary_page_offset().is_none(),
            "{name} has one"
        );
        let text = ["output_text", "response_json", "input_json", "error_message", "extra_json"];
        assert_eq!(column.statistics().is_none(), text.contains(&name.as_str()), "{name}");
    }
}
