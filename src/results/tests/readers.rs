//! What other programs see of a folder; and what a row costs, run by name.

use std::fs;

use super::{ended, folder, records};
use crate::job::ItemIndex;
use crate::record::{Record, Seq};
use crate::results::folder::Folder;
use crate::results::testing::{at, job, parts, succeeded};

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
fn duckdb_polars_and_pyarrow_read_the_folder() {
    let (_temp, folder) = folder();
    assert_eq!(varied(&folder, 12_000), 12_000);
    let python = std::env::var_os("OVERNIGHT_TEST_PYTHON").expect(
        "this needs duckdb, polars, pyarrow and pandas for Python: run tests/run, which installs them",
    );
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
