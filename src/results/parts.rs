//! Which rows go to which part: one [`Parts`] takes every durable record and closes parts of them.
//!
//! A part's number is the next one of its job and its day is that of its first record. Both follow
//! from the journal alone, so after a crash the records that are fed again rebuild the very part whose
//! commit was not written down, and rename it over what may already stand there. Until a part is
//! closed its rows are in the journal; a full disk therefore costs nothing but time: [`Parts::close`]
//! says so, keeps everything, and works when it is called again.
//!
//! Who feeds it sees to three things: jobs are added before their records come, records come in the
//! order of the journal, and each item is settled once. Records that were seen before are skipped.
//!
//! Shell; the thread that owns it does nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::job::{Job, JobId};
use crate::ledger::JobLedger;
use crate::record::{Ended, Next, PartCommitted, Record, Seq, Settled};
use crate::results::ResultsError;
use crate::results::columns::{AttemptColumns, Columns, ResultColumns};
use crate::results::describe::{self, PriceCatalog};
use crate::results::folder::{self, Folder};
use crate::results::manifest::Manifest;
use crate::results::schema::Table;
use crate::results::table::{Sealed, TableWriter};

/// A part is closed when its rows are this many bytes, before compression.
pub const PART_BYTES: usize = 64 << 20;

/// Or when its first row is this old.
pub const PART_AGE: Duration = Duration::from_secs(600);

/// All open parts together; past it the largest is closed, so that many jobs cost no more than two.
pub const OPEN_BYTES: usize = 128 << 20;

/// What holds for every part of this process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Keep raw responses, `raw = true` in the config.
    pub responses: bool,
    /// The prices in force.
    pub price_catalog: PriceCatalog,
}

/// The open parts of all jobs.
pub struct Parts {
    folder: Folder,
    settings: Settings,
    jobs: BTreeMap<JobId, JobParts>,
}

struct JobParts {
    job: Arc<Job>,
    next: u32,
    seen: Seq,
    open: Option<OpenPart>,
    sealed: Option<SealedPart>,
    committed: BTreeMap<u32, PartCommitted>,
}

impl Parts {
    /// In this folder; removes what an earlier process left unfinished in its `staging`.
    pub fn open(folder: Folder, settings: Settings) -> Result<Parts, ResultsError> {
        folder.clear_staging()?;
        Ok(Parts { folder, settings, jobs: BTreeMap::new() })
    }

    /// Makes an unfinished job known, before its first record comes.
    ///
    /// `parts` and `committed_to` are the ledger's: parts with higher numbers were never written down,
    /// so their rows come again. The next one is replaced when it is rebuilt; those behind it go now,
    /// because the rebuilt one may hold their rows.
    pub fn add(&mut self, job: Arc<Job>, parts: u32, committed_to: Seq) -> Result<(), ResultsError> {
        for table in Table::ALL {
            for (number, _) in self.folder.parts(table, &job.id, None)? {
                if number > parts + 1 {
                    self.folder.remove_stale(table, &job.id, number, None)?;
                }
            }
        }
        let committed = BTreeMap::new();
        let id = job.id.clone();
        let state =
            JobParts { job, next: parts + 1, seen: committed_to, open: None, sealed: None, committed };
        self.jobs.insert(id, state);
        Ok(())
    }

    /// Takes one durable record. Those that make no row, were seen before, or are of a job that was not
    /// added change nothing. An error is a fault of ours, never the disk's.
    pub fn push(&mut self, seq: Seq, record: &Record) -> Result<(), ResultsError> {
        let (job, at) = match record {
            Record::Ended(ended) => (&ended.job, ended.ended_at),
            Record::Settled(settled) => (&settled.job, settled.at),
            _ => return Ok(()),
        };
        let Some(parts) = self.jobs.get_mut(job).filter(|parts| seq > parts.seen) else { return Ok(()) };
        parts.seen = seq;
        let open = parts.open.get_or_insert_with(|| {
            let number = parts.next;
            parts.next += 1;
            OpenPart::new(number, parts.job.clone(), at)
        });
        open.to = seq;
        open.push(record, &self.folder, &self.settings)
    }

    /// Jobs with a part that is to be closed now.
    pub fn due(&self, now: Timestamp) -> Vec<JobId> {
        let mut due: Vec<JobId> = Vec::new();
        let mut young: Vec<(usize, &JobId)> = Vec::new();
        for (job, parts) in &self.jobs {
            match &parts.open {
                _ if parts.sealed.is_some() => due.push(job.clone()),
                Some(open) if open.is_due(now) => due.push(job.clone()),
                Some(open) => young.push((open.bytes, job)),
                None => {}
            }
        }
        young.sort_unstable();
        let mut total: usize = young.iter().map(|(bytes, _)| bytes).sum();
        while total > OPEN_BYTES {
            let (bytes, job) = young.pop().expect("they add up to the total");
            total -= bytes;
            due.push(job.clone());
        }
        due
    }

    /// Completes the job's oldest part that is not in place yet; `None` where no row waits.
    ///
    /// After a retryable error the part is kept, new rows go to the one behind it, and the next call
    /// tries again: at the end of a job, call until it says `None`.
    pub fn close(&mut self, job: &JobId, now: Timestamp) -> Result<Option<PartCommitted>, ResultsError> {
        let Some(parts) = self.jobs.get_mut(job) else { return Ok(None) };
        if parts.sealed.is_none() {
            let Some(open) = parts.open.take() else { return Ok(None) };
            parts.sealed = Some(open.seal(now)?);
        }
        let sealed = parts.sealed.as_mut().expect("sealed above");
        let committed = sealed.publish(&self.folder, job)?;
        parts.sealed = None;
        parts.committed.insert(committed.part, committed.clone());
        Ok(Some(committed))
    }

    /// Writes the manifest of a job all of whose items ended and whose parts are closed and written
    /// down, and forgets the job. Doing it again, after a crash, writes the same.
    pub fn finish(
        &mut self,
        job: &JobId,
        ledger: &JobLedger,
        now: Timestamp,
    ) -> Result<Manifest, ResultsError> {
        let Some(parts) = self.jobs.get(job).filter(|parts| parts.open.is_none() && parts.sealed.is_none())
        else {
            return Err(ResultsError::NotClosed(job.clone()));
        };
        let catalog = &self.settings.price_catalog;
        let manifest = Manifest::collect(&self.folder, &parts.job, ledger, &parts.committed, catalog, now)?;
        manifest.write(&self.folder, job)?;
        self.jobs.remove(job);
        Ok(manifest)
    }
}

/// A part that still takes rows.
struct OpenPart {
    number: u32,
    job: Arc<Job>,
    first: Timestamp,
    to: Seq,
    bytes: usize,
    results: Option<TableWriter<ResultColumns>>,
    attempts: Option<TableWriter<AttemptColumns>>,
}

impl OpenPart {
    fn new(number: u32, job: Arc<Job>, first: Timestamp) -> OpenPart {
        OpenPart { number, job, first, to: 0, bytes: 0, results: None, attempts: None }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        // A first row in the future means the clock was set back.
        self.bytes >= PART_BYTES || now.since(self.first) >= PART_AGE || self.first.since(now) >= PART_AGE
    }

    fn push(&mut self, record: &Record, folder: &Folder, settings: &Settings) -> Result<(), ResultsError> {
        match record {
            Record::Ended(ended) => {
                self.push_attempt(ended, folder, settings)?;
                match &ended.next {
                    Next::Settled(settled) => self.push_result(settled, Some(ended), folder, settings),
                    Next::Pending(_) | Next::Held(_) | Next::Running => Ok(()),
                }
            }
            Record::Settled(settled) => {
                self.push_result(settled, settled.copied.as_deref(), folder, settings)
            }
            _ => Ok(()),
        }
    }

    fn push_attempt(
        &mut self,
        ended: &Ended,
        folder: &Folder,
        settings: &Settings,
    ) -> Result<(), ResultsError> {
        let writer = match &mut self.attempts {
            Some(writer) => writer,
            None => self.attempts.insert(start(folder, &self.job, self.number, settings)?),
        };
        self.bytes += writer.push(|columns| columns.push(ended, settings.responses))?;
        Ok(())
    }

    fn push_result(
        &mut self,
        settled: &Settled,
        last: Option<&Ended>,
        folder: &Folder,
        settings: &Settings,
    ) -> Result<(), ResultsError> {
        let writer = match &mut self.results {
            Some(writer) => writer,
            None => self.results.insert(start(folder, &self.job, self.number, settings)?),
        };
        let job = &self.job;
        self.bytes += writer.push(|columns| columns.push(job, settled, last, settings.responses))?;
        Ok(())
    }

    fn seal(self, now: Timestamp) -> Result<SealedPart, ResultsError> {
        let results = self.results.map(|writer| writer.seal(describe::written_at(now))).transpose()?;
        let attempts = self.attempts.map(|writer| writer.seal(describe::written_at(now))).transpose()?;
        Ok(SealedPart {
            number: self.number,
            to: self.to,
            date: self.first.utc().format("%Y-%m-%d").to_string(),
            results: PartFile::new(Table::Results, results),
            attempts: PartFile::new(Table::Attempts, attempts),
        })
    }
}

fn start<C: Columns>(
    folder: &Folder,
    job: &Job,
    part: u32,
    settings: &Settings,
) -> Result<TableWriter<C>, ResultsError> {
    let about = describe::about(C::TABLE, job, &settings.price_catalog);
    TableWriter::new(folder.staging(C::TABLE, &job.id, part), about)
}

/// A part whose files are whole and on their way to their names.
struct SealedPart {
    number: u32,
    to: Seq,
    date: String,
    results: PartFile,
    attempts: PartFile,
}

struct PartFile {
    table: Table,
    sealed: Option<Sealed>,
    rows: u64,
    sha256: Option<String>,
}

impl SealedPart {
    fn publish(&mut self, folder: &Folder, job: &JobId) -> Result<PartCommitted, ResultsError> {
        for file in [&mut self.results, &mut self.attempts] {
            file.publish(folder, job, self.number, &self.date)?;
        }
        Ok(PartCommitted {
            job: job.clone(),
            part: self.number,
            to: self.to,
            date: self.date.clone(),
            result_rows: self.results.rows,
            attempt_rows: self.attempts.rows,
            results_sha256: self.results.sha256.clone().unwrap_or_default(),
            attempts_sha256: self.attempts.sha256.clone().unwrap_or_default(),
        })
    }
}

impl PartFile {
    fn new(table: Table, sealed: Option<Sealed>) -> PartFile {
        PartFile { table, rows: sealed.as_ref().map_or(0, |sealed| sealed.rows), sealed, sha256: None }
    }

    /// What an earlier process left under this number elsewhere is removed first: its rows are in the
    /// file that comes, and no row may be seen twice.
    fn publish(&mut self, folder: &Folder, job: &JobId, part: u32, date: &str) -> Result<(), ResultsError> {
        let path = folder.part(self.table, date, job, part);
        let keep = (self.rows > 0).then_some(path.as_path());
        folder.remove_stale(self.table, job, part, keep)?;
        if let Some(sealed) = &mut self.sealed {
            self.sha256 = Some(folder::publish(sealed, &path)?);
            self.sealed = None;
        }
        Ok(())
    }
}
