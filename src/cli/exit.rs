//! [`Exit`]: how a command ended, as a number that scripts can branch on.
//!
//! The numbers are part of the interface and never change their meaning; the table that `--help`
//! prints is made from this list.
//!
//! Pure.

use std::process::ExitCode;

use crate::view::JobView;

/// How a command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done; for `run` and `wait`: every item succeeded.
    #[default]
    Done = 0,
    /// Something we did not foresee.
    Unexpected = 1,
    /// Wrong flags or a wrong config.
    Usage = 2,
    /// Over, and some items failed or were cancelled; [`Exit::Deadline`] and [`Exit::MaxCost`] win over it.
    SomeFailed = 3,
    /// Input that cannot be used; nothing was queued.
    BadInput = 4,
    /// Stopped by `max_cost` or a budget.
    MaxCost = 5,
    /// No usable route: missing key, unknown model, no price.
    NoRoute = 6,
    /// The process that owns the store does not answer, or owns it and must not.
    Owner = 7,
    /// The deadline cannot be met, or was missed.
    Deadline = 8,
    /// No such job or item.
    NotFound = 9,
    /// `wait --timeout` ran out.
    Timeout = 124,
    /// Interrupted; everything is saved.
    Interrupted = 130,
}

impl Exit {
    /// Every number with its meaning, as `--help` prints it.
    pub const TABLE: [(Exit, &'static str); 12] = [
        (Exit::Done, "done (run, wait: every item succeeded)"),
        (Exit::Unexpected, "unexpected error"),
        (Exit::Usage, "wrong flags or wrong config"),
        (Exit::SomeFailed, "finished, but some items failed or were cancelled"),
        (Exit::BadInput, "bad input; nothing was queued"),
        (Exit::MaxCost, "stopped by max_cost or a budget"),
        (Exit::NoRoute, "no usable route: missing key, unknown model, no price"),
        (Exit::Owner, "the process that owns the store is in the way, or does not answer"),
        (Exit::Deadline, "the deadline cannot be met (plan) or was missed (run, wait)"),
        (Exit::NotFound, "no such job or item"),
        (Exit::Timeout, "wait --timeout ran out"),
        (Exit::Interrupted, "interrupted; everything is saved"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What a finished job means for the command that waited for it.
    pub fn of_finished(view: &JobView) -> Exit {
        let counts = &view.counts;
        if counts.expired > 0 {
            Exit::Deadline
        } else if view.failures.contains_key("max_cost") {
            Exit::MaxCost
        } else if counts.failed + counts.cancelled > 0 {
            Exit::SomeFailed
        } else {
            Exit::Done
        }
    }

    /// The part of `--help` that lists the numbers.
    pub fn help() -> String {
        let lines = Exit::TABLE.map(|(exit, meaning)| format!("  {:>3}  {meaning}", exit.code()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn a_missed_deadline_and_a_reached_cap_win_over_failed_items() {
        let mut view = samples::completed();
        assert_eq!(Exit::of_finished(&view), Exit::Done);
        view.counts.cancelled = 1;
        assert_eq!(Exit::of_finished(&view), Exit::SomeFailed);
        view.counts.failed = 2;
        view.failures.insert("max_cost".into(), 2);
        assert_eq!(Exit::of_finished(&view), Exit::MaxCost);
        view.counts.expired = 1;
        assert_eq!(Exit::of_finished(&view), Exit::Deadline);
    }

    #[test]
    fn the_table_is_in_order_and_has_no_number_twice() {
        assert!(Exit::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
