//! A command's side: asks the owner and waits for the answer, but not forever.
//!
//! Shell, blocking: commands have nothing else to do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::place::Place;
use super::{Ask, Hello, MAX_RESPONSE, PROTOCOL, Refused, Request, Response};
use crate::job::JobId;
use crate::record::JobChange;
use crate::view::{AllowanceView, BudgetView, JobView, OddsView};

/// An owner that says nothing for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer, where the owner has files to write first.
const LONG_PATIENCE: Duration = Duration::from_secs(300);
/// How often the owner looks whether something changed for [`Client::watch`].
const PACE_MS: u64 = 200;

/// A connection to the process that owns the store.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    owner: Hello,
    patience: Duration,
}

/// Why the owner could not be asked, or would not.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It was asked, and said no.
    #[error("{}", .0.message)]
    Refused(Refused),
    /// It took the connection and then said nothing.
    #[error("the process that owns the store (pid {pid}) does not answer")]
    Silent {
        /// Its process id.
        pid: u32,
    },
    /// It speaks another protocol.
    #[error(
        "the process that owns the store (pid {pid}) is overnight {theirs}, and this is overnight {}: \
         they do not speak the same protocol", env!("CARGO_PKG_VERSION")
    )]
    OtherVersion {
        /// Its process id.
        pid: u32,
        /// Its version.
        theirs: String,
    },
    /// It hung up before it answered.
    #[error("the process that owned the store (pid {pid}) hung up before it answered")]
    Gone {
        /// Its process id.
        pid: u32,
    },
    /// Something else listens where the owner should, or an owner that cannot be understood.
    #[error("what the process that owns the store (pid {pid}) says cannot be understood: {what}")]
    NotOurs {
        /// Its process id.
        pid: u32,
        /// What is wrong with it.
        what: String,
    },
    /// The socket cannot be used.
    #[error("the control socket of the store cannot be used: {0}")]
    Io(#[source] io::Error),
}

impl Client {
    /// Connects to the owner of `state`; `None` where nobody owns it.
    pub fn connect(state: &Path) -> Result<Option<Client>, ControlError> {
        Client::connect_with(state, PATIENCE)
    }

    pub(super) fn connect_with(state: &Path, patience: Duration) -> Result<Option<Client>, ControlError> {
        let Some(place) = Place::read(state).map_err(ControlError::Io)? else { return Ok(None) };
        let stream = match UnixStream::connect(&place.socket) {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(ControlError::Io(error)),
        };
        stream.set_write_timeout(Some(patience)).map_err(ControlError::Io)?;
        let unknown = Hello { overnight: String::new(), protocol: PROTOCOL, pid: place.pid };
        let mut client = Client { stream: BufReader::new(stream), owner: unknown, patience };
        client.owner = client.hear(patience)?;
        match client.owner.protocol {
            PROTOCOL => Ok(Some(client)),
            _ => Err(ControlError::OtherVersion { pid: client.owner.pid, theirs: client.owner.overnight }),
        }
    }

    /// Who owns the store.
    pub fn owner(&self) -> &Hello {
        &self.owner
    }

    /// All jobs.
    pub fn views(&mut self) -> Result<Vec<JobView>, ControlError> {
        self.ask_views(Request::Views)
    }

    /// Where every budget stands.
    pub fn budgets(&mut self) -> Result<Vec<BudgetView>, ControlError> {
        match self.ask(Request::Budgets, self.patience)? {
            Response::Budgets(views) => Ok(views),
            Response::Refused(refused) => Err(ControlError::Refused(refused)),
            _ => Err(self.not_ours("it answered without budgets")),
        }
    }

    /// What is left of what accounts give for nothing.
    pub fn allowances(&mut self) -> Result<Vec<AllowanceView>, ControlError> {
        match self.ask(Request::Allowances, self.patience)? {
            Response::Allowances(views) => Ok(views),
            Response::Refused(refused) => Err(ControlError::Refused(refused)),
            _ => Err(self.not_ours("it answered without allowances")),
        }
    }

    /// What a monitor reads.
    pub fn metrics(&mut self) -> Result<String, ControlError> {
        match self.ask(Request::Metrics, self.patience)? {
            Response::Metrics(text) => Ok(text),
            Response::Refused(refused) => Err(ControlError::Refused(refused)),
            _ => Err(self.not_ours("it answered without metrics")),
        }
    }

    /// What checks taught of the models.
    pub fn odds(&mut self) -> Result<Vec<OddsView>, ControlError> {
        match self.ask(Request::Odds, self.patience)? {
            Response::Odds(views) => Ok(views),
            Response::Refused(refused) => Err(ControlError::Refused(refused)),
            _ => Err(self.not_ours("it answered without odds")),
        }
    }

    /// Has the owner forget what checks taught: of one class, or of all.
    pub fn reset_odds(&mut self, class: Option<String>) -> Result<(), ControlError> {
        self.ask_done(Request::ResetOdds { class })
    }

    /// Removes what is kept of jobs that are over.
    pub fn remove(&mut self, jobs: Vec<JobId>) -> Result<(), ControlError> {
        self.ask_done(Request::Remove { jobs })
    }

    /// One job.
    pub fn view(&mut self, job: JobId) -> Result<JobView, ControlError> {
        let views = self.ask_views(Request::View { job })?;
        views.into_iter().next().ok_or_else(|| self.not_ours("it answered with no job"))
    }

    /// Changes a job; done and durable when this returns.
    pub fn change(&mut self, job: JobId, change: JobChange) -> Result<(), ControlError> {
        self.ask_done(Request::Change { job, change })
    }

    /// Has the owner take over a staged job; done and durable when this returns.
    pub fn adopt(&mut self, job: JobId) -> Result<(), ControlError> {
        self.ask_done(Request::Adopt { job })
    }

    /// Has the owner write all rows of a job so far where they can be read.
    pub fn flush(&mut self, job: JobId) -> Result<(), ControlError> {
        self.ask_done(Request::Flush { job })
    }

    /// Has the owner read its config again.
    pub fn reload(&mut self) -> Result<(), ControlError> {
        self.ask_done(Request::Reload)
    }

    /// Has the owner stop.
    pub fn stop(&mut self) -> Result<(), ControlError> {
        self.ask_done(Request::Stop)
    }

    /// Follows one job, or all: the present state first, then one whenever it changed, and now and then
    /// one that did not. Ends with an error when the owner stops.
    pub fn watch(mut self, job: Option<JobId>) -> Result<Watch, ControlError> {
        let request = job.map_or(Request::Views, |job| Request::View { job });
        self.say(&Ask { request, every_ms: Some(PACE_MS) })?;
        Ok(Watch { client: self })
    }

    fn ask_views(&mut self, request: Request) -> Result<Vec<JobView>, ControlError> {
        match self.ask(request, self.patience)? {
            Response::Views(views) => Ok(views),
            Response::Refused(refused) => Err(ControlError::Refused(refused)),
            _ => Err(self.not_ours("it answered without jobs")),
        }
    }

    fn ask_done(&mut self, request: Request) -> Result<(), ControlError> {
        match self.ask(request, self.patience.max(LONG_PATIENCE))? {
            Response::Done => Ok(()),
            Response::Refused(refused) => Err(ControlError::Refused(refused)),
            _ => Err(self.not_ours("it answered with something else")),
        }
    }

    fn ask(&mut self, request: Request, patience: Duration) -> Result<Response, ControlError> {
        self.say(&Ask { request, every_ms: None })?;
        self.hear(patience)
    }

    fn say(&mut self, ask: &Ask) -> Result<(), ControlError> {
        let mut line = serde_json::to_vec(ask).expect("a question is always JSON");
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(|error| self.failed(error))
    }

    fn hear<T: serde::de::DeserializeOwned>(&mut self, patience: Duration) -> Result<T, ControlError> {
        self.stream.get_ref().set_read_timeout(Some(patience)).map_err(ControlError::Io)?;
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_RESPONSE as u64);
        let read = limited.read_until(b'\n', &mut line);
        read.map_err(|error| self.failed(error))?;
        match line.last() {
            Some(b'\n') => serde_json::from_slice(&line).map_err(|error| self.not_ours(&error.to_string())),
            Some(_) if line.len() == MAX_RESPONSE => Err(self.not_ours("the answer is too long")),
            _ => Err(ControlError::Gone { pid: self.owner.pid }),
        }
    }

    fn failed(&self, error: io::Error) -> ControlError {
        let pid = self.owner.pid;
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ControlError::Silent { pid },
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ControlError::Gone { pid },
            _ => ControlError::Io(error),
        }
    }

    fn not_ours(&self, what: &str) -> ControlError {
        ControlError::NotOurs { pid: self.owner.pid, what: what.to_owned() }
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// One job or all, again and again; see [`Client::watch`].
#[derive(Debug)]
pub struct Watch {
    client: Client,
}

impl Iterator for Watch {
    type Item = Result<Vec<JobView>, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.client.hear(self.client.patience) {
            Ok(Response::Views(views)) => Ok(views),
            Ok(Response::Refused(refused)) => Err(ControlError::Refused(refused)),
            Ok(_) => Err(self.client.not_ours("it answered without jobs")),
            Err(error) => Err(error),
        })
    }
}
