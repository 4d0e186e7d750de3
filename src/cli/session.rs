//! The store, opened by the command itself because no other process owns it.
//!
//! Shell.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::error::CliError;
use crate::catalog::Route;
use crate::clock::{self, Timestamp};
use crate::config::Config;
use crate::job::{Job, JobId};
use crate::ledger::Ledger;
use crate::results::describe::PriceCatalog;
use crate::results::folder::Folder;
use crate::results::parts::{Parts, Settings};
use crate::results::read;
use crate::store::files::FileStore;
use crate::store::{FinalStates, Store, StoreError};

/// The store and what it recovered.
pub struct Session {
    /// Owns the state folder until it is dropped.
    pub store: FileStore,
    /// Every job and how far it is.
    pub ledger: Ledger,
}

impl Session {
    /// Takes the state folder; an error that names the owner where there is one.
    pub fn open(context: &Context) -> Result<Session, CliError> {
        let config = context.config()?;
        let mut store = FileStore::open(&config.state_dir, &config.results.dir, final_states)?;
        let ledger = store.recover()?;
        Ok(Session { store, ledger })
    }

    /// A job by its id.
    pub fn job(&self, id: &JobId) -> Option<&Arc<Job>> {
        self.ledger.get(id).map(|(job, _)| job)
    }
}

/// The results folder of the config.
pub fn results(config: &Config) -> Folder {
    Folder::new(&config.results.dir)
}

/// The writer of Parquet parts as the config wants it.
pub fn parts(config: &Config) -> Result<Parts, CliError> {
    let price_catalog = PriceCatalog { id: config.catalog.as_of().to_owned(), ..PriceCatalog::default() };
    let settings = Settings { responses: config.results.raw, price_catalog };
    Parts::open(results(config), settings).map_err(|error| anyhow::Error::from(error).into())
}

/// Every route a set of jobs may use: those of the catalog, and those of models only their ladders name.
pub fn routes<'a>(
    config: &Config,
    jobs: impl IntoIterator<Item = &'a Arc<Job>>,
    now: Timestamp,
) -> Vec<Arc<Route>> {
    let mut routes = config.catalog.routes(now);
    let ladders =
        jobs.into_iter().flat_map(|job| job.classes.iter().flat_map(|class| class.ladder.0.iter().flatten()));
    for name in ladders {
        if !routes.iter().any(|route| *route.name == **name) {
            routes.extend(config.catalog.route(name, now));
        }
    }
    routes
}

/// Every route there is reason to know now.
pub fn all_routes(config: &Config, ledger: &Ledger) -> Vec<Arc<Route>> {
    routes(
        config,
        ledger.jobs().filter(|(_, state)| state.finished_at.is_none()).map(|(job, _)| job),
        clock::now(),
    )
}

/// How items of committed parts ended, for a store whose index is lost.
fn final_states(results: &Path, job: &JobId, parts: u32) -> Result<FinalStates, StoreError> {
    read::final_states(&Folder::new(results), job, parts)
        .map_err(|error| StoreError::Damaged(error.to_string()))
}
