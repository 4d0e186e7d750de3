//! The store: opened by the command itself where no other process owns it, else its owner.
//!
//! Shell.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::jobs::Jobs;
use crate::catalog::{Catalog, Route};
use crate::clock::{self, Timestamp};
use crate::config::Config;
use crate::control::{Client, ControlError, RefusedCode};
use crate::job::{Job, JobId};
use crate::ledger::{Budgets, Day, Drawn, Ledger, Limits};
use crate::plan::route::{BATCH, FLEX};
use crate::record::{JobChange, Record};
use crate::results::describe::PriceCatalog;
use crate::results::folder::Folder;
use crate::results::parts::{Parts, Settings};
use crate::results::read;
use crate::store::files::FileStore;
use crate::store::{FinalStates, Store, StoreError};
use crate::view::{AllowanceView, BudgetView, JobView, OddsView, Waiting};

/// How often a command looks again at a store that another command has open for a moment.
const LOOKS: u32 = 30;
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who owns the store.
pub enum Hold {
    /// This process does.
    Ours(Box<Session>),
    /// Another one does.
    Theirs(Client),
}

impl Hold {
    /// Reaches the owner of the store, or opens it. Commands have a store open for moments, so one that
    /// is taken and has no owner to talk to is tried again for a while.
    pub fn take(context: &Context) -> Result<Hold, CliError> {
        let mut looks = 0;
        loop {
            if let Some(client) = context.owner()? {
                return Ok(Hold::Theirs(client));
            }
            match Session::open(context) {
                Ok(session) => return Ok(Hold::Ours(Box::new(session))),
                Err(error) if error.code == "store_owned" && looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(LOOK_EVERY);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reaches the owner anew: it hangs up on whoever says nothing for a minute, and reading a large file may
    /// take longer.
    pub fn reach_again(&mut self, context: &Context) -> Result<(), CliError> {
        if let Hold::Theirs(client) = self {
            *client = context.owner()?.ok_or_else(|| {
                CliError::new("owner_gone", Exit::Owner, "the process that owned the store stopped meanwhile")
                    .hint("nothing was queued; run the same command again")
            })?;
        }
        Ok(())
    }

    /// The state of all jobs; a store that is not there yet is not made for that.
    pub fn jobs(context: &Context) -> Result<Box<dyn Jobs>, CliError> {
        if !context.state_dir()?.join("journal").exists() {
            return Ok(match context.owner()? {
                Some(client) => Box::new(client),
                None => Box::new(Nothing(limits_of(context.config()?), context.config()?.catalog.clone())),
            });
        }
        Ok(match Hold::take(context)? {
            Hold::Ours(session) => session,
            Hold::Theirs(client) => Box::new(client),
        })
    }

    /// A job, where there is one of this name.
    pub fn known(&mut self, id: &JobId) -> Result<Option<JobView>, CliError> {
        Ok(match self {
            Hold::Ours(session) => session.view(id),
            Hold::Theirs(client) => match client.view(id.clone()) {
                Ok(view) => Some(view),
                Err(ControlError::Refused(refused)) if refused.code == RefusedCode::NoSuchJob => None,
                Err(error) => return Err(error.into()),
            },
        })
    }
}

/// A store that was never used, the budgets that will hold there, and who gives something for nothing.
struct Nothing(Limits, Catalog);

impl Jobs for Nothing {
    fn views(&mut self) -> Result<Vec<JobView>, CliError> {
        Ok(Vec::new())
    }

    fn budgets(&mut self) -> Result<Vec<BudgetView>, CliError> {
        Ok(standing(&Budgets::default(), &self.0))
    }

    fn allowances(&mut self) -> Result<Vec<AllowanceView>, CliError> {
        Ok(AllowanceView::all(&self.1, &Drawn::default(), clock::now()))
    }

    fn odds(&mut self) -> Result<Vec<OddsView>, CliError> {
        Ok(Vec::new())
    }

    fn reset_odds(&mut self, _: Option<&str>) -> Result<(), CliError> {
        Ok(())
    }

    fn change(&mut self, job: &JobId, _: &JobChange) -> Result<JobView, CliError> {
        Err(CliError::no_such_job(job.as_str()))
    }
}

/// The store and what it recovered.
pub struct Session {
    /// Owns the state folder until it is dropped.
    pub store: FileStore,
    /// Every job and how far it is.
    pub ledger: Ledger,
    /// The budgets of the config.
    limits: Limits,
    /// Its providers.
    catalog: Catalog,
}

impl Session {
    /// Takes the state folder; an error that names the owner where there is one.
    pub fn open(context: &Context) -> Result<Session, CliError> {
        let config = context.config()?;
        let mut store = FileStore::open(&config.state_dir, &config.results.dir, final_states)?;
        let ledger = store.recover()?;
        Ok(Session { store, ledger, limits: limits_of(config), catalog: config.catalog.clone() })
    }

    /// A job by its id.
    pub fn job(&self, id: &JobId) -> Option<&Arc<Job>> {
        self.ledger.get(id).map(|(job, _)| job)
    }

    fn view(&self, id: &JobId) -> Option<JobView> {
        let (job, state) = self.ledger.get(id)?;
        let mut view = JobView::of(job, state);
        if view.counts.pending > 0 {
            view.waiting.insert(Waiting::NoDaemon, view.counts.pending);
        }
        Some(view)
    }
}

/// The state as it is while nobody works on it.
impl Jobs for Session {
    fn views(&mut self) -> Result<Vec<JobView>, CliError> {
        let ids: Vec<JobId> = self.ledger.jobs().map(|(job, _)| job.id.clone()).collect();
        let mut views: Vec<JobView> = ids.iter().filter_map(|id| self.view(id)).collect();
        views.sort_by(|a, b| (a.submitted_at, &a.job_id).cmp(&(b.submitted_at, &b.job_id)));
        Ok(views)
    }

    fn budgets(&mut self) -> Result<Vec<BudgetView>, CliError> {
        Ok(standing(&self.ledger.globals.budgets, &self.limits))
    }

    fn allowances(&mut self) -> Result<Vec<AllowanceView>, CliError> {
        Ok(AllowanceView::all(&self.catalog, &self.ledger.globals.drawn, clock::now()))
    }

    fn odds(&mut self) -> Result<Vec<OddsView>, CliError> {
        Ok(OddsView::all(&self.ledger))
    }

    fn reset_odds(&mut self, class: Option<&str>) -> Result<(), CliError> {
        let record = Record::OddsReset(class.map(Into::into));
        self.store.append(std::slice::from_ref(&record))?;
        self.store.sync()?;
        self.ledger.apply(&record);
        Ok(())
    }

    /// Writes the change down; the next process that works on the job acts on it.
    fn change(&mut self, job: &JobId, change: &JobChange) -> Result<JobView, CliError> {
        let record = Record::Changed(job.clone(), change.clone());
        self.store.append(std::slice::from_ref(&record))?;
        self.store.sync()?;
        self.ledger.apply(&record);
        self.view(job).ok_or_else(|| CliError::no_such_job(job.as_str()))
    }
}

/// The budgets of the config, in the zone it names or this machine's.
pub fn limits_of(config: &Config) -> Limits {
    config.budget.limits(super::zone::named())
}

/// Where budgets stand now if these limits are in force.
fn standing(budgets: &Budgets, limits: &Limits) -> Vec<BudgetView> {
    let mut budgets = budgets.clone();
    budgets.set_limits(limits.clone());
    BudgetView::all(&budgets, Day::of(clock::now(), limits.zone.0))
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

/// Every route there is reason to know now: those of the catalog, and those only unfinished jobs name.
pub fn all_routes(config: &Config, ledger: &Ledger) -> Vec<Arc<Route>> {
    let now = clock::now();
    let unfinished = ledger.jobs().filter(|(_, state)| state.finished_at.is_none());
    let mut routes = config.catalog.routes(now);
    for (job, _) in unfinished {
        for route in routes_of(&config.catalog, job, now) {
            if !routes.iter().any(|known| known.name == route.name) {
                routes.push(route);
            }
        }
    }
    on_lanes(&config.catalog, routes, now)
}

/// With the flex and batch routes of models whose provider's `lanes` name these lanes: the engine takes the
/// flex ones for equals of the realtime ones and plans with the batch ones.
pub fn on_lanes(catalog: &Catalog, mut routes: Vec<Arc<Route>>, now: Timestamp) -> Vec<Arc<Route>> {
    let has = |route: &Route, lane: &str| {
        let provider = catalog.provider(&route.provider);
        provider.is_some_and(|provider| provider.lanes.iter().any(|of| of == lane))
    };
    let on_lane = |lane| {
        let routes = routes.iter().filter(move |route| has(route, lane));
        routes.filter_map(move |route| catalog.route_on(&route.name, lane, now))
    };
    let others: Vec<Arc<Route>> = [FLEX, BATCH].into_iter().flat_map(on_lane).collect();
    routes.extend(others);
    routes
}

/// The routes that a job's ladders name, listed in the catalog or not.
pub fn routes_of(catalog: &Catalog, job: &Job, now: Timestamp) -> Vec<Arc<Route>> {
    let mut names: Vec<&String> =
        job.classes.iter().flat_map(|class| class.ladder.0.iter().flatten()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter_map(|name| catalog.route(name, now)).collect()
}

/// How items of committed parts ended, for a store whose index is lost.
pub(super) fn final_states(results: &Path, job: &JobId, parts: u32) -> Result<FinalStates, StoreError> {
    read::final_states(&Folder::new(results), job, parts)
        .map_err(|error| StoreError::Damaged(error.to_string()))
}
