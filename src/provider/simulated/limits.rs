//! Limits as a provider keeps them: over every sliding minute, counted when a request arrives.
//!
//! A fixed minute or a token bucket would let twice the limit through in some 60 seconds; a true
//! sliding window never does, so that what it admits is what the limit says. Only admitted requests
//! count: a refused one takes no room.
//!
//! Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::attempt::RateHints;
use crate::clock::Timestamp;

/// The minute that limits are counted over.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Ceilings; `None` is no ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in any 60 seconds.
    pub rpm: Option<u64>,
    /// Tokens in any 60 seconds: the prompt, and the output it may ask for.
    pub tpm: Option<u64>,
    /// Requests at the same time.
    pub concurrency: Option<u32>,
}

/// Which ceiling a request would break, and when it would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Requests { limit: u64, wait: Duration },
    Tokens { limit: u64, wait: Duration },
    TooManyTokensForAnyMinute { limit: u64 },
    Concurrency { limit: u32 },
}

/// What one set of limits has admitted of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    requests: Option<Window>,
    tokens: Option<Window>,
    concurrency: Option<u32>,
    in_flight: u32,
    most_in_flight: u32,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Gate {
        Gate {
            requests: limits.rpm.map(Window::new),
            tokens: limits.tpm.map(Window::new),
            concurrency: limits.concurrency,
            in_flight: 0,
            most_in_flight: 0,
        }
    }

    /// Whether a request of `tokens` would break a ceiling now; nothing is taken.
    pub(crate) fn excess(&mut self, now: Timestamp, tokens: u64) -> Option<Excess> {
        if let Some(limit) = self.concurrency.filter(|&limit| self.in_flight >= limit) {
            return Some(Excess::Concurrency { limit });
        }
        if let Some(window) = &mut self.requests {
            // A limit of none lets nobody through, ever.
            let wait = window.wait_for(now, 1).unwrap_or(WINDOW);
            if !wait.is_zero() {
                return Some(Excess::Requests { limit: window.limit, wait });
            }
        }
        if let Some(window) = &mut self.tokens {
            let limit = window.limit;
            return match window.wait_for(now, tokens) {
                None => Some(Excess::TooManyTokensForAnyMinute { limit }),
                Some(wait) if !wait.is_zero() => Some(Excess::Tokens { limit, wait }),
                Some(_) => None,
            };
        }
        None
    }

    /// Takes room for a request that [`Gate::excess`] has nothing against.
    pub(crate) fn admit(&mut self, now: Timestamp, tokens: u64) {
        if let Some(window) = &mut self.requests {
            window.take(now, 1);
        }
        if let Some(window) = &mut self.tokens {
            window.take(now, tokens);
        }
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
    }

    /// An admitted request is over.
    pub(crate) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(crate) fn most_in_flight(&self) -> u32 {
        self.most_in_flight
    }

    /// What the provider says of its limits with a response.
    pub(crate) fn hints(&self, now: Timestamp) -> RateHints {
        let mut hints = RateHints::default();
        if let Some(window) = &self.requests {
            hints.limit_requests = Some(window.limit);
            hints.remaining_requests = Some(window.room());
            hints.reset_requests = Some(window.reset(now));
        }
        if let Some(window) = &self.tokens {
            hints.limit_tokens = Some(window.limit);
            hints.remaining_tokens = Some(window.room());
            hints.reset_tokens = Some(window.reset(now));
        }
        hints
    }
}

/// The tighter of two statements, part by part.
pub(crate) fn tighter(a: RateHints, b: RateHints) -> RateHints {
    let left = |remaining: Option<u64>| remaining.unwrap_or(u64::MAX);
    let requests = if left(a.remaining_requests) <= left(b.remaining_requests) { a } else { b };
    let tokens = if left(a.remaining_tokens) <= left(b.remaining_tokens) { a } else { b };
    RateHints {
        limit_requests: requests.limit_requests,
        remaining_requests: requests.remaining_requests,
        reset_requests: requests.reset_requests,
        limit_tokens: tokens.limit_tokens,
        remaining_tokens: tokens.remaining_tokens,
        reset_tokens: tokens.reset_tokens,
    }
}

/// Amounts taken in the 60 seconds up to now, and how much may be.
#[derive(Clone, Debug)]
struct Window {
    limit: u64,
    taken: VecDeque<(Timestamp, u64)>,
    sum: u64,
}

impl Window {
    fn new(limit: u64) -> Window {
        Window { limit, taken: VecDeque::new(), sum: 0 }
    }

    /// How long until `amount` fits: zero where it does now, `None` where it never will.
    fn wait_for(&mut self, now: Timestamp, amount: u64) -> Option<Duration> {
        self.slide(now);
        let mut excess = (self.sum + amount).saturating_sub(self.limit);
        if excess == 0 {
            return Some(Duration::ZERO);
        }
        for &(at, taken) in &self.taken {
            excess = excess.saturating_sub(taken);
            if excess == 0 {
                return Some((at + WINDOW).since(now));
            }
        }
        None
    }

    fn take(&mut self, now: Timestamp, amount: u64) {
        self.taken.push_back((now, amount));
        self.sum += amount;
    }

    fn room(&self) -> u64 {
        self.limit.saturating_sub(self.sum)
    }

    /// How long until all of it is free again.
    fn reset(&self, now: Timestamp) -> Duration {
        self.taken.back().map_or(Duration::ZERO, |&(at, _)| (at + WINDOW).since(now))
    }

    fn slide(&mut self, now: Timestamp) {
        while let Some(&(at, amount)) = self.taken.front()
            && now.since(at) >= WINDOW
        {
            self.taken.pop_front();
            self.sum -= amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_micros((seconds * 1e6) as i64)
    }

    fn gate(rpm: Option<u64>, tpm: Option<u64>, concurrency: Option<u32>) -> Gate {
        Gate::new(Limits { rpm, tpm, concurrency })
    }

    #[test]
    fn a_window_slides_and_says_to_the_microsecond_when_there_is_room() {
        let mut gate = gate(Some(2), None, None);
        for second in [0.0, 59.0] {
            assert_eq!(gate.excess(at(second), 0), None);
            gate.admit(at(second), 0);
        }
        let wait = Duration::from_micros(500_000);
        assert_eq!(gate.excess(at(59.5), 0), Some(Excess::Requests { limit: 2, wait }));
        assert_eq!(gate.excess(at(60.0), 0), None);
        gate.admit(at(60.0), 0);
        let wait = Duration::from_secs(59);
        assert_eq!(gate.excess(at(60.0), 0), Some(Excess::Requests { limit: 2, wait }));
    }

    #[test]
    fn tokens_wait_for_as_many_as_they_need() {
        let mut gate = gate(None, Some(100), None);
        for (second, tokens) in [(0.0, 40), (10.0, 40)] {
            gate.admit(at(second), tokens);
        }
        assert_eq!(gate.excess(at(20.0), 20), None);
        let tokens = |seconds| Some(Excess::Tokens { limit: 100, wait: Duration::from_secs(seconds) });
        assert_eq!(gate.excess(at(20.0), 60), tokens(40));
        assert_eq!(gate.excess(at(20.0), 61), tokens(50));
        assert_eq!(gate.excess(at(20.0), 101), Some(Excess::TooManyTokensForAnyMinute { limit: 100 }));
    }

    #[test]
    fn a_place_is_free_once_a_request_leaves() {
        let mut gate = gate(None, None, Some(1));
        gate.admit(at(0.0), 5);
        assert_eq!(gate.excess(at(100.0), 5), Some(Excess::Concurrency { limit: 1 }));
        gate.leave();
        assert_eq!(gate.excess(at(100.0), 5), None);
        assert_eq!(gate.most_in_flight(), 1);
    }

    #[test]
    fn hints_tell_of_the_tighter_limit() {
        let (mut model, mut account) = (gate(Some(10), Some(500), None), gate(Some(4), Some(9_000), None));
        model.admit(at(0.0), 100);
        account.admit(at(0.0), 100);
        let hints = tighter(model.hints(at(15.0)), account.hints(at(15.0)));
        assert_eq!((hints.limit_requests, hints.remaining_requests), (Some(4), Some(3)));
        assert_eq!((hints.limit_tokens, hints.remaining_tokens), (Some(500), Some(400)));
        assert_eq!(hints.reset_tokens, Some(Duration::from_secs(45)));
    }
}
