//! Which accounts and routes answer at present.
//!
//! Ten failures in a row open an account's circuit: nothing is sent but one probe at a time, with
//! growing pauses. A rejected key or used-up credit stops the account at once; it is probed every ten
//! minutes, because a person may mend it in the night. A route whose model is gone is not used again.
//!
//! Retries of transport failures are held to a tenth of the sends of an account: a token bucket that
//! delays and never drops.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;

/// Failures in a row that open the circuit.
const FAILURES_TO_OPEN: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const STOPPED_PROBE: Duration = Duration::from_secs(600);

/// Retries allowed for every send.
const RETRY_SHARE: f64 = 0.1;
const RETRY_RESERVE: f64 = 50.0;

/// Whether an account answers.
#[derive(Debug)]
pub struct Account {
    failures_in_a_row: u32,
    pauses: u32,
    shut: Option<Shut>,
    retry_credit: f64,
    credited_at: Timestamp,
}

/// A closed door: when to knock, and why it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shut {
    /// When one probe may be sent.
    pub probe_at: Timestamp,
    /// Whether a probe is out.
    probing: bool,
    /// Why: the provider's words.
    pub reason: Arc<str>,
    /// Whether a person has to act: no credit, rejected key.
    pub stopped: bool,
}

impl Account {
    /// Healthy.
    pub fn new(now: Timestamp) -> Account {
        Account { failures_in_a_row: 0, pauses: 0, shut: None, retry_credit: RETRY_RESERVE, credited_at: now }
    }

    /// Whether a request may be sent now; the door otherwise.
    pub fn admits(&self, now: Timestamp) -> Result<(), &Shut> {
        match &self.shut {
            Some(shut) if shut.probing || now < shut.probe_at => Err(shut),
            _ => Ok(()),
        }
    }

    /// Why nothing is sent, where nothing is.
    pub fn shut(&self) -> Option<&Shut> {
        self.shut.as_ref()
    }

    /// A request was sent; on a shut account it is the probe.
    pub fn sent(&mut self, now: Timestamp) {
        self.refill(now);
        self.retry_credit = (self.retry_credit + RETRY_SHARE).min(RETRY_RESERVE);
        if let Some(shut) = &mut self.shut {
            shut.probing = true;
        }
    }

    /// It answered. Returns whether that opened a shut door.
    pub fn answered(&mut self) -> bool {
        self.failures_in_a_row = 0;
        self.pauses = 0;
        self.shut.take().is_some()
    }

    /// It failed or could not be reached. Returns whether that shut the door.
    pub fn failed(&mut self, now: Timestamp, reason: &str) -> bool {
        self.failures_in_a_row += 1;
        let was_open = self.shut.is_none();
        if was_open && self.failures_in_a_row < FAILURES_TO_OPEN {
            return false;
        }
        let probe_failed = self.shut.as_ref().is_some_and(|shut| shut.probing);
        if was_open || probe_failed {
            let pause = (FIRST_PAUSE * 2u32.pow(self.pauses.min(6))).min(LONGEST_PAUSE);
            self.pauses += 1;
            let stopped = self.shut.as_ref().is_some_and(|shut| shut.stopped);
            let pause = if stopped { STOPPED_PROBE } else { pause };
            self.shut = Some(Shut { probe_at: now + pause, probing: false, reason: reason.into(), stopped });
        }
        was_open
    }

    /// It refused for want of credit or a valid key. Returns whether that is news.
    ///
    /// It is asked again now and then, and not before `wait` is over, where the provider says when its
    /// limit opens.
    pub fn stop(&mut self, now: Timestamp, reason: &str, wait: Option<Duration>) -> bool {
        let news = !self.shut.as_ref().is_some_and(|shut| shut.stopped);
        self.shut = Some(Shut {
            probe_at: now + wait.unwrap_or_default().max(STOPPED_PROBE),
            probing: false,
            reason: reason.into(),
            stopped: true,
        });
        news
    }

    /// A probe came to nothing that tells: it was never sent, or was cancelled.
    pub fn probe_lost(&mut self) {
        if let Some(shut) = &mut self.shut {
            shut.probing = false;
        }
    }

    /// The user says it is mended, or the clock was set back: knock now.
    pub fn knock(&mut self, now: Timestamp) {
        // A clock that was set back would let no retry come back until it is where it was.
        self.credited_at = self.credited_at.min(now);
        if let Some(shut) = &mut self.shut {
            shut.probe_at = now;
        }
    }

    /// Takes one retry from the budget, or says how long until there is one.
    pub fn take_retry(&mut self, now: Timestamp) -> Duration {
        self.refill(now);
        self.retry_credit -= 1.0;
        if self.retry_credit >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.retry_credit) }
    }

    /// One retry a second comes back by itself, so that a job's last items are not stuck.
    fn refill(&mut self, now: Timestamp) {
        let gained = now.since(self.credited_at).as_secs_f64();
        self.credited_at = self.credited_at.max(now);
        self.retry_credit = (self.retry_credit + gained).min(RETRY_RESERVE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    #[test]
    fn ten_failures_in_a_row_shut_the_door_and_one_probe_at_a_time_knocks() {
        let mut account = Account::new(START);
        for _ in 0..9 {
            assert!(!account.failed(START, "down"));
        }
        assert!(account.failed(START, "down"));
        assert!(account.admits(START + Duration::from_secs(4)).is_err());
        let later = START + FIRST_PAUSE;
        assert!(account.admits(later).is_ok());
        account.sent(later);
        assert!(account.admits(later).is_err(), "the probe is out");
        account.failed(later, "down");
        assert!(account.admits(later + FIRST_PAUSE).is_err(), "the second pause is longer");
        let much_later = later + FIRST_PAUSE * 2;
        account.sent(much_later);
        assert!(account.answered());
        assert!(account.admits(much_later).is_ok());
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        let mut account = Account::new(START);
        for _ in 0..100 {
            for _ in 0..9 {
                assert!(!account.failed(START, "down"));
            }
            account.answered();
        }
    }

    #[test]
    fn a_stopped_account_is_news_once_and_probed_every_ten_minutes() {
        let mut account = Account::new(START);
        assert!(account.stop(START, "no credit", None));
        assert!(!account.stop(START, "no credit", Some(Duration::from_secs(1))));
        assert!(account.admits(START + STOPPED_PROBE - Duration::from_secs(1)).is_err());
        assert!(account.admits(START + STOPPED_PROBE).is_ok());
        let month = Duration::from_secs(9 * 24 * 3_600);
        account.stop(START, "spend limit", Some(month));
        assert!(account.admits(START + month - Duration::from_secs(1)).is_err());
        assert!(account.admits(START + month).is_ok());
    }

    #[test]
    fn retries_are_a_tenth_of_the_sends_beyond_the_reserve() {
        let mut account = Account::new(START);
        for _ in 0..50 {
            assert_eq!(account.take_retry(START), Duration::ZERO);
        }
        assert!(account.take_retry(START) > Duration::ZERO);
        for _ in 0..20 {
            account.sent(START);
        }
        assert_eq!(account.take_retry(START), Duration::ZERO);
    }

    #[test]
    fn retries_come_back_after_the_clock_was_set_back() {
        let mut account = Account::new(START);
        let earlier = START - Duration::from_secs(3_600);
        account.knock(earlier);
        while account.take_retry(earlier).is_zero() {}
        assert_eq!(account.take_retry(earlier + Duration::from_secs(60)), Duration::ZERO);
    }
}
