//! The prompts' thread: reads what the engine wants next, so that no read waits for a sync.
//!
//! Shell.

use std::sync::mpsc::Receiver;

use super::inbox::{Inbox, News};
use crate::job::{ItemIndex, JobId};
use crate::store::prompts::PromptReader;

/// Items of a job, in the order wanted.
pub(super) type Wanted = (JobId, Vec<ItemIndex>);

/// Runs until the sending end is gone.
pub(super) fn spawn(mut reader: PromptReader, wanted: Receiver<Wanted>, inbox: Inbox) {
    std::thread::Builder::new()
        .name("prompts".to_owned())
        .spawn(move || {
            while let Ok((job, items)) = wanted.recv() {
                match reader.read(&job, &items) {
                    Ok(items) => inbox.send(News::Prompts(job, items)),
                    Err(error) => {
                        inbox.send(News::Fatal(error.to_string()));
                        return;
                    }
                }
            }
        })
        .expect("the system can start a thread");
}
