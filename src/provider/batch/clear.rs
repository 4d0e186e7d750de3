//! Deleting what a batch leaves at its provider: the prompts that were uploaded and the answers to them.
//!
//! The rule it protects: nothing is deleted that is not ours for certain, and nothing of a batch that goes
//! on. Whether its rows are durable only the caller knows.
//!
//! Shell.

use super::client::Batches;
use super::dialect::Address;
use crate::batch::{AskError, BatchRef, Mark};
use crate::job::Wire;

/// Pages of a list of files that are looked through; a hundred files each.
const MOST_PAGES: usize = 100;

impl Batches<'_> {
    /// Deletes what a batch left, as far as its provider lets us; says what is gone now. Nothing is, where
    /// the account keeps its files ([`BatchApi::keep_files`](crate::catalog::batch::BatchApi::keep_files)),
    /// the batch goes on, or nothing on it says that it is ours.
    ///
    /// The outcome of every line must be durable. Asking again is harmless, and finishes what broke off.
    pub async fn clear(&self, batch: &BatchRef) -> Result<Vec<String>, AskError> {
        if self.api.keep_files {
            return Ok(Vec::new());
        }
        let seen = match self.get(&self.dialect().one(&batch.id), batch.wire).await {
            Ok(answer) => self.read(&answer)?,
            Err(AskError::Gone(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_nothing_there = seen.left.is_empty() && self.dialect().files(None).is_none();
        if is_nothing_there || !seen.state.has_ended() || self.is_ours(&seen, batch).await? != Some(true) {
            return Ok(Vec::new());
        }
        let (mut gone, mut failure) = (Vec::new(), None);
        for path in seen.left {
            match self.delete(&Address::new(path.clone()), batch.wire).await {
                Ok(()) => gone.push(path),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        // Not everybody says over which file a batch was made.
        if seen.input_file.is_none() && self.api.limits.inline_bytes == 0 {
            gone.extend(self.clear_unmade(batch.mark, batch.wire).await?);
        }
        failure.map_or(Ok(gone), Err)
    }

    /// Deletes the files of requests that a batch which was never made may have left; says what is gone now.
    /// That there is none must be certain, as [`Found::Nothing`](crate::batch::Found::Nothing) makes it.
    pub async fn clear_unmade(&self, mark: Mark, wire: Wire) -> Result<Vec<String>, AskError> {
        let (mut gone, mut page) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let Some(list) = self.dialect().files(page.as_deref()).filter(|_| !self.api.keep_files) else {
                break;
            };
            let answer = self.get(&list, wire).await?;
            let named = self.dialect().named(&answer, page.as_deref());
            let (files, next) = named.ok_or_else(|| AskError::Broken("no files are listed".to_owned()))?;
            for (file, _) in files.into_iter().filter(|(_, given)| is_of(mark, given)) {
                let path = self.dialect().file(&file);
                self.delete(&Address::new(path.clone()), wire).await?;
                gone.push(path);
            }
            page = next;
            if page.is_none() {
                break;
            }
        }
        Ok(gone)
    }

    /// Deletes a file of requests of which no batch was made. Where that fails it lies there, and no worse.
    pub(super) async fn discard(&self, file: &str, wire: Wire) {
        if !self.api.keep_files {
            let _ = self.delete(&Address::new(self.dialect().file(file)), wire).await;
        }
    }
}

/// Whether a file was named after a batch of this mark.
fn is_of(mark: Mark, name: &str) -> bool {
    Mark::parse(name.strip_suffix(".jsonl").unwrap_or(name)) == Some(mark)
}
