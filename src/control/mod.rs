//! The control socket: how other commands talk to the process that owns the store.
//!
//! One JSON document a line, over a Unix socket that only the owner's user can open. The owner speaks
//! first and says who it is ([`Hello`]); then the client asks ([`Ask`]) and every question is answered
//! with a line ([`Response`]), or, where the client asked to be kept posted, with a line whenever
//! something changed.
//!
//! ```text
//! owner   {"overnight":"0.1.0","protocol":1,"pid":4711}
//! client  {"request":{"view":{"job":"job_01kb3v6m8d"}},"every_ms":null}
//! owner   {"views":[{"job_id":"job_01kb3v6m8d", …}]}
//! ```
//!
//! | file | takes → gives |
//! |---|---|
//! | `place` | state folder → where the socket is, and who listens there |
//! | `server` | connections → questions for the driver, one channel |
//! | `client` | a command's question → the answer, or a clear error |
//!
//! Every line has a limit and every wait an end: neither side can make the other one hang or swell.
//!
//! Shell, but for the types here.

use serde::{Deserialize, Serialize};

use crate::job::JobId;
use crate::record::JobChange;
use crate::view::{AllowanceView, BudgetView, DispatchView, JobView, OddsView};

mod client;
mod place;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Client, ControlError, Watch};
pub use server::{Asked, Listener, serve};

/// The number of this protocol; client and owner must speak the same.
pub const PROTOCOL: u32 = 1;

/// The longest question: names and numbers, never prompts.
pub const MAX_REQUEST: usize = 64 << 10;

/// The longest answer: about 60,000 jobs.
pub const MAX_RESPONSE: usize = 64 << 20;

/// The first line on every connection: who owns the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the owner's program.
    pub overnight: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its process id.
    pub pid: u32,
}

impl Hello {
    /// Of this process.
    pub fn ours() -> Hello {
        Hello { overnight: env!("CARGO_PKG_VERSION").to_owned(), protocol: PROTOCOL, pid: std::process::id() }
    }
}

/// A question, and whether the client wants to be kept posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// Answer again at this pace, in milliseconds, until the client hangs up; for views only.
    pub every_ms: Option<u64>,
}

/// What a command may ask of the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// All jobs.
    Views,
    /// One job.
    View {
        /// Which.
        job: JobId,
    },
    /// Several jobs; those that are not there are left out.
    ViewsOf {
        /// Which.
        jobs: Vec<JobId>,
    },
    /// Change a job; answered when the change is durable.
    Change {
        /// Which.
        job: JobId,
        /// How.
        change: JobChange,
    },
    /// Take over a job the client has staged beside the accepted ones; answered when it is durable.
    Adopt {
        /// Which.
        job: JobId,
    },
    /// Close the current part of a job, so that all rows so far can be read.
    Flush {
        /// Which.
        job: JobId,
    },
    /// Where every budget stands.
    Budgets,
    /// What is left of what accounts give for nothing.
    Allowances,
    /// What every route at work may send, and what is planned for it.
    Dispatch,
    /// What checks taught of the models.
    Odds,
    /// Forget it; answered when that is durable.
    ResetOdds {
        /// Of one class; of all where absent.
        class: Option<String>,
    },
    /// Remove what is kept of jobs that are over, their rows aside; answered when it is gone.
    Remove {
        /// Which; those that are not over or not there are left alone.
        jobs: Vec<JobId>,
    },
    /// What a monitor reads, see [`crate::metrics`].
    Metrics,
    /// Read the config again.
    Reload,
    /// Stop as on SIGTERM.
    Stop,
}

impl Request {
    /// The job it is about.
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Request::View { job }
            | Request::Change { job, .. }
            | Request::Adopt { job }
            | Request::Flush { job } => Some(job),
            Request::Views
            | Request::Budgets
            | Request::Allowances
            | Request::Dispatch
            | Request::Odds
            | Request::ResetOdds { .. }
            | Request::ViewsOf { .. }
            | Request::Remove { .. }
            | Request::Metrics
            | Request::Reload
            | Request::Stop => None,
        }
    }

    /// Whether asking again and again changes nothing.
    pub fn is_view(&self) -> bool {
        matches!(self, Request::Views | Request::View { .. } | Request::ViewsOf { .. })
    }
}

/// The owner's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Views`] and [`Request::View`].
    Views(Vec<JobView>),
    /// To [`Request::Budgets`].
    Budgets(Vec<BudgetView>),
    /// To [`Request::Allowances`].
    Allowances(Vec<AllowanceView>),
    /// To [`Request::Dispatch`].
    Dispatch(Vec<DispatchView>),
    /// To [`Request::Odds`].
    Odds(Vec<OddsView>),
    /// To [`Request::Metrics`].
    Metrics(String),
    /// It is done, and durable.
    Done,
    /// It is not done, and why.
    Refused(Refused),
}

impl Response {
    /// A refusal in a few words.
    pub fn refused(code: RefusedCode, message: impl Into<String>) -> Response {
        Response::Refused(Refused { code, message: message.into(), hint: None })
    }

    /// There is no such job.
    pub fn no_such_job(job: &JobId) -> Response {
        Response::refused(RefusedCode::NoSuchJob, format!("there is no job {job}"))
    }
}

/// Why the owner did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What kind of reason.
    pub code: RefusedCode,
    /// The reason, lowercase, without a full stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// The kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCode {
    /// There is no such job.
    NoSuchJob,
    /// The job is over, or the change makes no sense for it.
    NotPossible,
    /// The question could not be read.
    BadRequest,
    /// The owner is about to stop.
    Stopping,
    /// The owner tried and could not.
    Failed,
}
