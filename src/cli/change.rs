//! `overnight cancel | pause | resume JOB`: one change to one job, durable when the command returns.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{counted, total};
use super::jobs::Jobs;
use super::style::{Line, Paint};
use crate::money::Usd;
use crate::record::JobChange;
use crate::view::JobView;

/// What is to become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No new sends; what is in flight is still taken.
    Cancel,
    /// No new sends until resumed.
    Pause,
    /// Go on, with a new cap where one is given.
    Resume(Option<Usd>),
}

impl Wish {
    /// The changes that make it so, in order.
    pub(crate) fn changes(self) -> Vec<JobChange> {
        match self {
            Wish::Cancel => vec![JobChange::Cancelled],
            Wish::Pause => vec![JobChange::Paused],
            Wish::Resume(None) => vec![JobChange::Resumed],
            Wish::Resume(Some(cap)) => vec![JobChange::MaxCost(Some(cap)), JobChange::Resumed],
        }
    }

    pub(crate) fn verb(self) -> &'static str {
        match self {
            Wish::Cancel => "cancel",
            Wish::Pause => "pause",
            Wish::Resume(_) => "resume",
        }
    }
}

/// Changes a job and says what it is like then.
pub fn run(asked: &str, wish: Wish, context: &Context, jobs: &mut dyn Jobs) -> Result<Exit, CliError> {
    let job = jobs.find(asked)?;
    if job.finished_at.is_some() {
        let message = format!("{} is already over ({})", job.job_id, job.state);
        return Err(CliError::new("job_over", Exit::Usage, message)
            .hint(format!("to ask again what did not succeed: overnight retry {}", job.job_id)));
    }
    let mut changed = job;
    for change in wish.changes() {
        changed = jobs.change(&changed.job_id.clone(), &change)?;
    }
    context.document(wish.verb(), "job", &changed, || vec![said(wish, &changed)])?;
    Ok(Exit::Done)
}

fn said(wish: Wish, view: &JobView) -> Line {
    let line = Line::new().add(Paint::Name, view.job_id.as_str());
    let flying = match view.counts.running {
        0 => String::new(),
        running => format!("; {} on their way are still taken", counted(running, "answer")),
    };
    match wish {
        Wish::Cancel => line.text(format!("  cancelled, nothing more is sent{flying}")),
        Wish::Pause => line.text(format!("  paused, nothing more is sent{flying}")),
        Wish::Resume(None) => line.text(format!("  goes on, {} to do", counted(view.counts.pending, "item"))),
        Wish::Resume(Some(cap)) => line.text(format!(
            "  goes on, {} to do, cap now {}",
            counted(view.counts.pending, "item"),
            total(cap.as_f64())
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn a_new_cap_is_in_force_before_the_job_goes_on() {
        let cap = Usd::from_pico(8_000_000_000_000);
        let changes = Wish::Resume(Some(cap)).changes();
        assert_eq!(changes, [JobChange::MaxCost(Some(cap)), JobChange::Resumed]);
    }

    #[test]
    fn answers_already_paid_for_are_mentioned() {
        let line = said(Wish::Cancel, &samples::running()).render(200, false);
        assert_eq!(
            line,
            "job_01kb3v6m8d  cancelled, nothing more is sent; 131 answers on their way are still taken"
        );
    }
}
