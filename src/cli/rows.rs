//! [`Rows`]: the jobs there are and their rows, for the verbs that read results.
//!
//! The newest rows of a running job are in the journal only. Where a process owns the store it is asked
//! to write them out; where none does, this process takes the store and writes them itself, with the
//! same records as the owner would, so that whoever works on the job next finds everything in order.
//!
//! A job whose prompts were removed is known by its rows alone.
//!
//! Shell.

use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::jobs::{Jobs, find_job};
use super::session::{self, Hold, Session};
use crate::clock;
use crate::config::Config;
use crate::job::{Job, JobId};
use crate::record::{Record, Seq};
use crate::results::ResultsError;
use crate::results::folder::Folder;
use crate::results::parts::{PART_BYTES, Parts};
use crate::results::read;
use crate::results::schema::Table;
use crate::results::select::Link;
use crate::store::Store;
use crate::store::beside::Beside;
use crate::view::JobView;

/// The jobs there are, and their rows.
pub struct Rows {
    /// Where the rows are.
    pub folder: Folder,
    /// Prompts and headers of the jobs.
    pub prompts: Beside,
    /// Every job, oldest first.
    pub views: Vec<JobView>,
    /// Who owns the store; nobody where there is none yet.
    pub hold: Option<Hold>,
}

/// A job and the retries of what failed in it, oldest first, ready to be read.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The job that was asked for.
    pub id: JobId,
    /// What the user calls it.
    pub name: String,
    /// It and its retries.
    pub links: Vec<Link>,
    /// Items of them that ended.
    pub ended: u64,
    /// Those of them whose rows are not in the results folder.
    pub missing: u64,
}

impl Rows {
    /// Asks the owner of the store for its jobs, or takes the store. Makes nothing where there is none.
    pub fn open(context: &Context) -> Result<Rows, CliError> {
        let config = context.config()?;
        let prompts = Beside::of(&config.state_dir);
        let hold = match prompts.is_there() {
            true => Some(Hold::take(context)?),
            false => context.owner()?.map(Hold::Theirs),
        };
        Rows::held(context, hold)
    }

    /// The same with a store that was taken, or whose owner was reached.
    pub fn held(context: &Context, mut hold: Option<Hold>) -> Result<Rows, CliError> {
        let config = context.config()?;
        let views = match &mut hold {
            Some(Hold::Ours(session)) => session.views()?,
            Some(Hold::Theirs(client)) => Jobs::views(client)?,
            None => Vec::new(),
        };
        let prompts = Beside::of(&config.state_dir);
        Ok(Rows { folder: session::results(config), prompts, views, hold })
    }

    /// The job a user means. A name stands for the first job that has it, not for retries of it; a job
    /// whose prompts were removed must be named by its whole id.
    pub fn find(&self, asked: &str) -> Result<JobId, CliError> {
        let find = |retries: bool| {
            let views = self.views.iter().filter(|view| retries || view.retry_of.is_none());
            find_job(asked, views.map(|view| (&view.job_id, view.name.as_str())))
        };
        find(false).or_else(|_| find(true)).or_else(|error| match JobId::parse(asked) {
            Some(job) if self.has_rows(&job) => Ok(job),
            _ => Err(error),
        })
    }

    /// What is known of a job; nothing where only its rows are left.
    pub fn view(&self, job: &JobId) -> Option<&JobView> {
        self.views.iter().find(|view| view.job_id == *job)
    }

    /// A job and all retries that go back to it, oldest first.
    pub fn with_retries(&self, job: &JobId) -> Vec<JobId> {
        let mut chain = vec![job.clone()];
        let mut views: Vec<&JobView> = self.views.iter().collect();
        views.sort_by(|a, b| (a.submitted_at, &a.job_id).cmp(&(b.submitted_at, &b.job_id)));
        for view in views {
            if view.retry_of.as_ref().is_some_and(|of| chain.contains(of)) && !chain.contains(&view.job_id) {
                chain.push(view.job_id.clone());
            }
        }
        chain
    }

    /// Makes all rows of a job and its retries readable.
    pub fn chain(&mut self, context: &Context, job: &JobId) -> Result<Chain, CliError> {
        self.write_out(context, &self.with_retries(job))?;
        self.as_written(job)
    }

    /// The rows of a job and its retries that are readable already: what one may ask for often, because it
    /// makes no parts.
    pub fn as_written(&self, job: &JobId) -> Result<Chain, CliError> {
        let jobs = self.with_retries(job);
        let mut chain = Chain {
            id: job.clone(),
            name: self.view(job).map_or_else(|| job.to_string(), |view| view.name.clone()),
            links: jobs.iter().cloned().map(Link::all).collect(),
            ended: 0,
            missing: 0,
        };
        for job in &jobs {
            let Some(view) = self.view(job) else { continue };
            let ended = u64::from(view.counts.ended());
            let found = read::final_states(&self.folder, job, u32::MAX)?.len() as u64;
            chain.ended += ended;
            chain.missing += ended.saturating_sub(found);
        }
        Ok(chain)
    }

    /// Gives the store back in good order.
    pub fn close(self) -> Result<(), CliError> {
        match self.hold {
            Some(Hold::Ours(session)) => Ok(session.store.close()?),
            Some(Hold::Theirs(_)) | None => Ok(()),
        }
    }

    fn has_rows(&self, job: &JobId) -> bool {
        Table::ALL.into_iter().any(|table| {
            let parts = self.folder.parts(table, job, None);
            parts.is_ok_and(|parts| !parts.is_empty())
        })
    }

    fn write_out(&mut self, context: &Context, jobs: &[JobId]) -> Result<(), CliError> {
        let is_open = |job: &&JobId| self.view(job).is_some_and(|view| view.finished_at.is_none());
        let open: Vec<JobId> = jobs.iter().filter(is_open).cloned().collect();
        match &mut self.hold {
            Some(Hold::Theirs(client)) => open.into_iter().try_for_each(|job| Ok(client.flush(job)?)),
            Some(Hold::Ours(session)) => commit(session, context.config()?, &open),
            None => Ok(()),
        }
    }
}

impl Chain {
    /// An error where none of the rows is where they are looked for.
    pub fn require_rows(&self, folder: &Folder) -> Result<(), CliError> {
        if self.missing == 0 || self.missing < self.ended {
            return Ok(());
        }
        let message = format!("no rows of {} are in {}", self.id, folder.root().display());
        Err(CliError::new("results_elsewhere", Exit::NotFound, message)
            .detail("they were written to the results folder of the config that was in use then, or moved since")
            .hint("name that config with --config, or the folder: OVERNIGHT_RESULTS__DIR=DIR overnight results …"))
    }
}

/// Writes rows that only the journal has to parts, and says so in the journal, as the owner does.
fn commit(session: &mut Session, config: &Config, jobs: &[JobId]) -> Result<(), CliError> {
    let known = jobs.iter().filter_map(|job| session.ledger.get(job));
    let open: Vec<(Arc<Job>, u32, Seq)> =
        known.map(|(job, state)| (job.clone(), state.parts, state.committed_to)).collect();
    let Some(from) = open.iter().map(|(_, _, to)| *to).min() else { return Ok(()) };
    let mut desk =
        Desk { parts: session::parts(config)?, jobs: Vec::new(), waiting: 0, committed: Vec::new() };
    for (job, parts, to) in open {
        desk.jobs.push(job.id.clone());
        desk.parts.add(job, parts, to)?;
    }
    let mut done = Ok(());
    session.store.replay(from, &mut |seq, record| {
        if done.is_ok() {
            done = desk.push(seq, &record);
        }
    })?;
    done.and_then(|()| desk.close())?;
    if desk.committed.is_empty() {
        return Ok(());
    }
    session.store.append(&desk.committed)?;
    session.store.sync()?;
    desk.committed.iter().for_each(|record| session.ledger.apply(record));
    Ok(())
}

/// Parts being written from the journal.
struct Desk {
    parts: Parts,
    jobs: Vec<JobId>,
    /// Bytes of texts since parts were last closed.
    waiting: usize,
    committed: Vec<Record>,
}

impl Desk {
    fn push(&mut self, seq: Seq, record: &Record) -> Result<(), ResultsError> {
        self.parts.push(seq, record)?;
        if let Record::Ended(ended) = record {
            self.waiting += ended.body.len() + ended.text.as_ref().map_or(0, String::len);
        }
        if self.waiting >= PART_BYTES { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), ResultsError> {
        self.waiting = 0;
        for job in &self.jobs {
            while let Some(part) = self.parts.close(job, clock::now())? {
                self.committed.push(Record::PartCommitted(part));
            }
        }
        Ok(())
    }
}

impl From<ResultsError> for CliError {
    fn from(error: ResultsError) -> CliError {
        // Whoever closed our stdout does not want to hear it.
        if let ResultsError::Io { source, .. } = &error
            && source.kind() == std::io::ErrorKind::BrokenPipe
        {
            return std::io::Error::from(std::io::ErrorKind::BrokenPipe).into();
        }
        let message = super::error::chain(&error);
        let code = if error.is_disk_full() { "disk_full" } else { "results" };
        let error = CliError::new(code, Exit::Unexpected, message);
        if code == "disk_full" {
            error.hint("free some space and run the same command again; nothing was lost")
        } else {
            error
        }
    }
}
