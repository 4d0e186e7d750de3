//! [`Snapshot`]: all jobs and where the money stands, as they were a moment ago, looked at once for all who
//! ask.
//!
//! Lists of jobs are long and many clients ask for the same one, so what was made of a snapshot is kept
//! with it and goes when it goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::{ApiError, App};
use crate::control::{Request, Response};
use crate::view::{AllowanceView, BudgetView, JobView};

/// Documents of a snapshot that are kept; more are of clients that ask each for another page, and each may be
/// a megabyte.
const MOST: usize = 8;

/// Everything at a moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Newest first.
    pub(super) jobs: Vec<JobView>,
    pub(super) budgets: Vec<BudgetView>,
    pub(super) allowances: Vec<AllowanceView>,
    documents: Mutex<BTreeMap<String, Bytes>>,
}

impl Snapshot {
    /// As it is now.
    pub(super) async fn look(app: &App) -> Result<Snapshot, ApiError> {
        // Asked together, so that the owner answers them together.
        let (jobs, budgets, allowances) =
            tokio::join!(app.ask(Request::Views), app.ask(Request::Budgets), app.ask(Request::Allowances));
        let (Response::Views(mut jobs), Response::Budgets(budgets), Response::Allowances(allowances)) =
            (jobs?, budgets?, allowances?)
        else {
            return Err(ApiError::internal("everything was asked for, something else came"));
        };
        jobs.sort_by(|a, b| (b.submitted_at, &b.job_id).cmp(&(a.submitted_at, &a.job_id)));
        Ok(Snapshot { jobs, budgets, allowances, documents: Mutex::default() })
    }

    /// A document of it by a name that says all that it depends on; made once.
    pub(super) fn document(
        &self,
        name: String,
        make: impl FnOnce() -> Result<String, ApiError>,
    ) -> Result<Bytes, ApiError> {
        let documents = || self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = documents().get(&name) {
            return Ok(known.clone());
        }
        let document = Bytes::from(make()?);
        let mut documents = documents();
        if documents.len() < MOST {
            documents.insert(name, document.clone());
        }
        Ok(document)
    }
}
