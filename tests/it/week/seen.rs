//! What weeks had in them: a judge who saw nothing go wrong proves nothing.

use overnight::provider::simulated::Line;

use super::calendar::shown;
use super::judge::Done;
use super::machine::Machine;
use super::plot::{Cut, Plot};

/// What happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    weeks: u64,
    /// Firings that were missed, and made up for or left out.
    pub(super) made_up: u64,
    pub(super) left_out: u64,
    /// Jobs that nothing came in between of, and those that had to wait for the night.
    pub(super) undisturbed: u64,
    pub(super) calm: u64,
    firings_cut: u64,
    writes_cut: u64,
    /// Looks at which nothing went on for want of money.
    stuck: u64,
    /// Jobs that went on the next day.
    went_on: u64,
    failed_over: u64,
    unknown: u64,
    succeeded: u64,
    /// Mixed of every request: the same where the same was sent at the same moments.
    log: u64,
}

impl Seen {
    pub(super) fn of(machine: &Machine) -> Seen {
        let is_write = |cut: &&Cut| matches!(cut, Cut::Write(_));
        let writes_cut = machine.went.iter().filter(is_write).count() as u64;
        let mix = |log: u64, line: &Line| {
            let fact = line.received_at.micros() as u64 ^ line.billed.pico() as u64;
            (log ^ fact).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        };
        Seen {
            weeks: 1,
            writes_cut,
            firings_cut: machine.went.len() as u64 - writes_cut,
            stuck: machine.looks.iter().filter(|look| look.stuck).count() as u64,
            log: machine.provider().log().iter().fold(0, mix),
            ..Seen::default()
        }
    }

    pub(super) fn add_jobs(&mut self, done: &[Done<'_>], plot: &Plot) {
        for job in done {
            let is_first = |provider: &str| matches!(provider, "alpha" | "night");
            let fails_over = matches!(job.plan.name, "nightly" | "half-past-one");
            let other = job.attempts.iter().filter(|row| !is_first(&row.provider)).count() as u64;
            self.failed_over += if fails_over { other } else { 0 };
            let dates = job.attempts.iter().map(|row| shown(row.queued_at, plot.zone).date());
            let (first, last) = (dates.clone().min(), dates.max());
            self.went_on += u64::from(job.plan.name == "weekly" && first != last);
            self.unknown += job.state.unknown;
            self.succeeded += u64::from(job.state.counts().succeeded);
        }
    }

    /// Adds other weeks.
    pub(super) fn add(&mut self, mut other: Seen) {
        self.weeks += other.weeks;
        for ((sum, ..), (more, ..)) in self.fields().into_iter().zip(other.fields()) {
            *sum += *more;
        }
        self.log ^= other.log;
    }

    /// Whether eight weeks saw enough.
    pub(super) fn check(&mut self) {
        let weeks = self.weeks;
        for (count, least, name) in self.fields() {
            assert!(*count * 8 >= least * weeks, "too few {name}: {count} in {weeks} weeks");
        }
    }

    fn fields(&mut self) -> [(&mut u64, u64, &'static str); 11] {
        [
            (&mut self.made_up, 8, "firings made up for"),
            (&mut self.left_out, 8, "firings left out"),
            (&mut self.undisturbed, 40, "jobs that nothing came in between of"),
            (&mut self.calm, 5, "jobs that had to wait for the night"),
            (&mut self.firings_cut, 4, "firings cut off"),
            (&mut self.writes_cut, 4, "writes cut off"),
            (&mut self.stuck, 20, "looks without money"),
            (&mut self.went_on, 4, "jobs that went on the next day"),
            (&mut self.failed_over, 20, "attempts on the other account"),
            (&mut self.unknown, 20, "unknown outcomes"),
            (&mut self.succeeded, 2_000, "successes"),
        ]
    }
}
