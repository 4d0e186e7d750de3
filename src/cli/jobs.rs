//! The jobs there are, wherever their state is just now.
//!
//! One process owns the store. While one does, commands ask it over the control socket
//! ([`crate::control::Client`]); while none does, they open the store themselves. Both are [`Jobs`], so
//! that a command is written once.

use super::error::CliError;
use super::exit::Exit;
use crate::control::{Client, ControlError, RefusedCode};
use crate::job::JobId;
use crate::record::JobChange;
use crate::view::{AllowanceView, BudgetView, JobView, OddsView};

/// What commands ask of the state.
pub trait Jobs {
    /// Every job, oldest first.
    fn views(&mut self) -> Result<Vec<JobView>, CliError>;

    /// Where every budget stands.
    fn budgets(&mut self) -> Result<Vec<BudgetView>, CliError>;

    /// What is left of what accounts give for nothing.
    fn allowances(&mut self) -> Result<Vec<AllowanceView>, CliError>;

    /// What checks taught of the models.
    fn odds(&mut self) -> Result<Vec<OddsView>, CliError>;

    /// Forgets it durably, of one class or of all.
    fn reset_odds(&mut self, class: Option<&str>) -> Result<(), CliError>;

    /// Changes a job, durably, and says what it is like afterwards.
    fn change(&mut self, job: &JobId, change: &JobChange) -> Result<JobView, CliError>;

    /// One job, named as people name it: its id, the start of it, or a name only one job has.
    fn find(&mut self, asked: &str) -> Result<JobView, CliError> {
        let views = self.views()?;
        let id = find_job(asked, views.iter().map(|view| (&view.job_id, view.name.as_str())))?;
        views.into_iter().find(|view| view.job_id == id).ok_or_else(|| CliError::no_such_job(asked))
    }
}

impl<J: Jobs + ?Sized> Jobs for Box<J> {
    fn views(&mut self) -> Result<Vec<JobView>, CliError> {
        (**self).views()
    }

    fn budgets(&mut self) -> Result<Vec<BudgetView>, CliError> {
        (**self).budgets()
    }

    fn allowances(&mut self) -> Result<Vec<AllowanceView>, CliError> {
        (**self).allowances()
    }

    fn odds(&mut self) -> Result<Vec<OddsView>, CliError> {
        (**self).odds()
    }

    fn reset_odds(&mut self, class: Option<&str>) -> Result<(), CliError> {
        (**self).reset_odds(class)
    }

    fn change(&mut self, job: &JobId, change: &JobChange) -> Result<JobView, CliError> {
        (**self).change(job, change)
    }
}

/// The state as its owner sees it.
impl Jobs for Client {
    fn views(&mut self) -> Result<Vec<JobView>, CliError> {
        Ok(Client::views(self)?)
    }

    fn budgets(&mut self) -> Result<Vec<BudgetView>, CliError> {
        Ok(Client::budgets(self)?)
    }

    fn allowances(&mut self) -> Result<Vec<AllowanceView>, CliError> {
        Ok(Client::allowances(self)?)
    }

    fn odds(&mut self) -> Result<Vec<OddsView>, CliError> {
        Ok(Client::odds(self)?)
    }

    fn reset_odds(&mut self, class: Option<&str>) -> Result<(), CliError> {
        Ok(Client::reset_odds(self, class.map(str::to_owned))?)
    }

    fn change(&mut self, job: &JobId, change: &JobChange) -> Result<JobView, CliError> {
        Client::change(self, job.clone(), change.clone())?;
        Ok(Client::view(self, job.clone())?)
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> CliError {
        let message = super::error::chain(&error);
        let (code, exit, hint) = match &error {
            ControlError::Refused(refused) => {
                let (code, exit) = match refused.code {
                    RefusedCode::NoSuchJob => ("no_such_job", Exit::NotFound),
                    RefusedCode::NotPossible => ("not_possible", Exit::Usage),
                    RefusedCode::BadRequest => ("bad_request", Exit::Unexpected),
                    RefusedCode::Stopping => ("owner_stopping", Exit::Owner),
                    RefusedCode::Failed => ("owner_failed", Exit::Unexpected),
                };
                (code, exit, refused.hint.clone())
            }
            ControlError::Silent { pid } => (
                "owner_silent",
                Exit::Owner,
                Some(format!(
                    "try again; if it stays silent, end it (kill {pid}) and start it again: nothing is lost"
                )),
            ),
            ControlError::OtherVersion { pid, .. } => (
                "owner_version",
                Exit::Owner,
                Some(format!(
                    "stop it (kill {pid}) and start it with this version, or use the other overnight"
                )),
            ),
            ControlError::Gone { .. } => {
                ("owner_gone", Exit::Owner, Some("run the same command again".to_owned()))
            }
            ControlError::NotOurs { .. } | ControlError::Io(_) => ("control", Exit::Owner, None),
        };
        CliError { code, message, details: Vec::new(), hint, exit }
    }
}

/// Finds the job a user means: its id, the unique start of one, or a name only one job has.
pub fn find_job<'a>(
    asked: &str,
    jobs: impl IntoIterator<Item = (&'a JobId, &'a str)>,
) -> Result<JobId, CliError> {
    let jobs: Vec<(&JobId, &str)> = jobs.into_iter().collect();
    if let Some((id, _)) = jobs.iter().find(|(id, _)| id.as_str() == asked) {
        return Ok((*id).clone());
    }
    let starts = |id: &JobId| {
        let long_enough = asked.trim_start_matches("job_").len() >= 4;
        long_enough && (id.as_str().starts_with(asked) || id.as_str()["job_".len()..].starts_with(asked))
    };
    let meant: Vec<&JobId> =
        jobs.iter().filter(|(id, name)| *name == asked || starts(id)).map(|(id, _)| *id).collect();
    match meant.as_slice() {
        [id] => Ok((*id).clone()),
        [] => Err(CliError::no_such_job(asked)),
        several => {
            let ids: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            Err(CliError::new(
                "ambiguous_job",
                Exit::NotFound,
                format!("{asked:?} may be any of {} jobs", ids.len()),
            )
            .detail(ids.join(" · "))
            .hint("name it by its id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_id_by_a_unique_start_or_by_a_name_of_its_own() {
        let ids: Vec<JobId> =
            ["job_01kb3v6m8d", "job_01kb3t02ya", "job_01kb2zqq41"].into_iter().map(JobId::new).collect();
        let names = ["reviews", "embed", "reviews"];
        let find = |asked: &str| find_job(asked, ids.iter().zip(names)).map_err(|error| error.code);
        assert_eq!(find("job_01kb3v6m8d").as_ref(), Ok(&ids[0]));
        assert_eq!(find("job_01kb3t").as_ref(), Ok(&ids[1]));
        assert_eq!(find("01kb2").as_ref(), Ok(&ids[2]));
        assert_eq!(find("embed").as_ref(), Ok(&ids[1]));
        assert_eq!(find("reviews"), Err("ambiguous_job"));
        assert_eq!(find("01kb3"), Err("ambiguous_job"));
        assert_eq!(find("job_"), Err("no_such_job"));
        assert_eq!(find("nothing"), Err("no_such_job"));
    }
}
