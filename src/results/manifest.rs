//! What a finished job left behind: `RESULTS/manifests/<job>.json`.
//!
//! Rows and hashes are those its parts were committed with; of parts that an earlier process wrote
//! they are read from the files again, and a part the user took away is listed as missing.
//!
//! Shell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock::Timestamp;
use crate::job::{Job, JobId};
use crate::ledger::{Counts, JobLedger};
use crate::record::PartCommitted;
use crate::results::ResultsError;
use crate::results::describe::{JobFacts, PriceCatalog};
use crate::results::folder::{self, Folder};
use crate::results::schema::Table;

/// The manifest of one job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    schema: &'static str,
    version: &'static str,
    written_at: String,
    job: JobFacts,
    price_catalog: PriceCatalog,
    totals: Totals,
    /// Rows of all results files.
    pub result_rows: u64,
    /// Rows of all attempts files.
    pub attempt_rows: u64,
    parts: Vec<Part>,
    /// Numbers of parts none of whose files is there any more.
    pub missing_parts: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Totals {
    counts: Counts,
    failures: BTreeMap<&'static str, u64>,
    attempts: u64,
    unknown_attempts: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_usd: f64,
    cost_pico_usd: i128,
    /// The part of it that is no estimate: it must equal the providers' bills for these attempts.
    known_cost_pico_usd: i128,
    list_cost_usd: f64,
    at_risk_usd: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Part {
    part: u32,
    results: Option<PartFile>,
    attempts: Option<PartFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PartFile {
    /// Relative to the results folder.
    path: String,
    rows: u64,
    sha256: String,
}

impl Manifest {
    /// Whether every item has its row.
    pub fn is_complete(&self) -> bool {
        self.missing_parts.is_empty() && self.result_rows == u64::from(self.totals.counts.total())
    }

    pub(super) fn collect(
        folder: &Folder,
        job: &Job,
        ledger: &JobLedger,
        known: &BTreeMap<u32, PartCommitted>,
        catalog: &PriceCatalog,
        now: Timestamp,
    ) -> Result<Manifest, ResultsError> {
        let results = folder.parts(Table::Results, &job.id, Some(ledger.parts))?;
        let attempts = folder.parts(Table::Attempts, &job.id, Some(ledger.parts))?;
        let mut parts = Vec::new();
        let mut missing_parts = Vec::new();
        for number in 1..=ledger.parts {
            let committed = known.get(&number);
            let part = Part {
                part: number,
                results: PartFile::of(
                    folder,
                    results.get(&number),
                    committed.map(|part| (part.result_rows, &*part.results_sha256)),
                )?,
                attempts: PartFile::of(
                    folder,
                    attempts.get(&number),
                    committed.map(|part| (part.attempt_rows, &*part.attempts_sha256)),
                )?,
            };
            match part {
                Part { results: None, attempts: None, .. } => missing_parts.push(number),
                part => parts.push(part),
            }
        }
        let rows = |file: &Option<PartFile>| file.as_ref().map_or(0, |file| file.rows);
        Ok(Manifest {
            schema: "overnight.manifest/1",
            version: env!("CARGO_PKG_VERSION"),
            written_at: now.to_string(),
            job: JobFacts::of(job),
            price_catalog: catalog.clone(),
            totals: Totals::of(ledger),
            result_rows: parts.iter().map(|part| rows(&part.results)).sum(),
            attempt_rows: parts.iter().map(|part| rows(&part.attempts)).sum(),
            parts,
            missing_parts,
        })
    }

    pub(super) fn write(&self, folder: &Folder, job: &JobId) -> Result<(), ResultsError> {
        let mut json = serde_json::to_vec_pretty(self).expect("plain values are always JSON");
        json.push(b'\n');
        folder.write_manifest(job, &json)
    }
}

impl Totals {
    fn of(ledger: &JobLedger) -> Totals {
        Totals {
            counts: ledger.counts(),
            failures: ledger.failures.iter().map(|(code, &n)| (code.as_str(), n)).collect(),
            attempts: ledger.attempts,
            unknown_attempts: ledger.unknown,
            input_tokens: ledger.usage.input,
            output_tokens: ledger.usage.output,
            cost_usd: ledger.shown_cost().as_f64(),
            cost_pico_usd: ledger.shown_cost().pico(),
            known_cost_pico_usd: ledger.spent.pico(),
            list_cost_usd: ledger.list_cost.as_f64(),
            at_risk_usd: ledger.at_risk.as_f64(),
        }
    }
}

impl PartFile {
    fn of(
        folder: &Folder,
        path: Option<&PathBuf>,
        known: Option<(u64, &str)>,
    ) -> Result<Option<PartFile>, ResultsError> {
        let Some(path) = path else { return Ok(None) };
        let (rows, sha256) = match known {
            Some((rows, sha256)) => (rows, sha256.to_owned()),
            None => (folder::count_rows(path)?, folder::hash(path)?),
        };
        let relative: &Path = path.strip_prefix(folder.root()).unwrap_or(path);
        Ok(Some(PartFile { path: relative.display().to_string(), rows, sha256 }))
    }
}
