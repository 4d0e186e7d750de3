//! Which rows a user gets, in which order, in which format.

use std::fs;

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{chain, ended, folder, write};
use crate::attempt::{AttemptStatus, ErrorCode, ItemStatus};
use crate::job::ItemIndex;
use crate::record::{ItemTotals, Next, Record, Seq};
use crate::report::text;
use crate::results::export::{self, Export, Format};
use crate::results::folder::Folder;
use crate::results::read;
use crate::results::schema::Table;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::results::testing::{at, job, parts, rejected, settled, succeeded};

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
    let (shown, size) = (path.display(), text::size(written.files[0].1));
    assert_eq!(
        written.render(&export),
        format!(
            "{shown}  4 rows (1 failed, 3 succeeded) · {size} · schema results/1\n  duckdb -c \"select \
             request_model, count(*), sum(cost_usd) from '{shown}' group by 1\"\n"
        )
    );
    let read = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap());
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
    let all = Selection::results(&folder, &chain(&job), &Filter::default()).unwrap();
    let items: Vec<_> = read::results(&all, Texts::Without).map(|row| row.unwrap().item_index).collect();
    assert_eq!(items, (0..job.n_items).collect::<Vec<_>>());
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
