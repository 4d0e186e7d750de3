//! [`Beside`]: what a command may read in a state folder that another process owns.
//!
//! Accepted prompts never change, so anyone may read them. Nothing here takes the lock, and nothing here
//! touches journal or index.
//!
//! Shell.

use std::path::{Path, PathBuf};

use super::StoreError;
use super::prompts::{PromptReader, job_dir, read_job};
use crate::job::{Job, JobId};

/// The prompts of a state folder, without owning it.
#[derive(Clone, Debug)]
pub struct Beside {
    prompts: PathBuf,
}

impl Beside {
    /// Of this state folder, whether it is there or not.
    pub fn of(state: &Path) -> Beside {
        Beside { prompts: state.join("prompts") }
    }

    /// Whether the folder has ever held a job.
    pub fn is_there(&self) -> bool {
        self.prompts.is_dir()
    }

    /// Whether the prompts of a job are there.
    pub fn has(&self, job: &JobId) -> bool {
        job_dir(&self.prompts, job).is_dir()
    }

    /// The header of an accepted job.
    pub fn job(&self, job: &JobId) -> Result<Job, StoreError> {
        read_job(&job_dir(&self.prompts, job))
    }

    /// Reads prompts of accepted jobs.
    pub fn reader(&self) -> PromptReader {
        PromptReader::new(self.prompts.clone())
    }

    /// How many bytes the files of a job take.
    pub fn size(&self, job: &JobId) -> Result<u64, StoreError> {
        let dir = job_dir(&self.prompts, job);
        let failed = |error| StoreError::io("read", &dir)(error);
        let mut bytes = 0;
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            bytes += entry.and_then(|entry| entry.metadata()).map_err(failed)?.len();
        }
        Ok(bytes)
    }
}
