//! How much may be sent on a route, and when: requests and tokens per minute, parallel calls.
//!
//! Ceilings from config and catalog always hold. Below them limits are learned: what a provider
//! states in its headers is believed, and parallel calls follow its refusals (halved when they come
//! together, grown by one for every round of answers). `Retry-After` is obeyed to the letter. A lone
//! refusal among many answers that names no time says nothing of our pace: large providers give a few
//! at any load, and a route that stood still for each would hardly move.
//!
//! Counting is `governor`'s, on the engine's own clock. A bucket of `burst` that refills at
//! (0.95 × limit − burst) a minute lets no 60-second window hold more than 95% of the limit,
//! wherever the window starts; the 5% absorb the time a request takes to arrive. A request larger than
//! the bucket takes all of it, and what the bucket cannot count a `window` does.
//!
//! Pure.

use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};

use crate::attempt::RateHints;
use crate::catalog::Limits;
use crate::clock::Timestamp;

mod window;

use window::Window;

/// Parallel calls on a route nobody stated a limit for.
pub const DEFAULT_CONCURRENCY: u32 = 64;

/// Share of a limit that is never used.
const MARGIN: f64 = 0.05;

/// How much the last outcome weighs in the share of refusals: about the last fifty count.
const NEWEST: f64 = 0.02;

/// The share from which refusals are about our pace.
const TOO_MANY: f64 = 0.1;

/// So many without an answer between them are, too.
const TOGETHER: u32 = 3;

/// Longest pause after refusals that named no time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What one route may send.
pub struct Quota {
    ceiling: Limits,
    learned: Limits,
    requests: Bucket,
    tokens: Bucket,
    input: Bucket,
    output: Bucket,
    clock: EngineClock,
    parallel: f64,
    in_flight: u32,
    paused_until: Timestamp,
    refusals_in_a_row: u32,
    since_answer: u32,
    /// Share of refusals among the latest outcomes, fading.
    refused_share: f64,
    last_cut: Timestamp,
}

/// Why a quota does not admit a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When to ask again; `None` where an answer in flight has to come first.
    pub until: Option<Timestamp>,
}

impl Quota {
    /// Under the given ceilings, with nothing used yet.
    pub fn new(ceiling: Limits, now: Timestamp) -> Quota {
        let clock = EngineClock::at(now);
        let mut quota = Quota {
            ceiling,
            learned: Limits::default(),
            requests: Bucket::default(),
            tokens: Bucket::default(),
            input: Bucket::default(),
            output: Bucket::default(),
            clock,
            parallel: f64::from(ceiling.concurrency.unwrap_or(DEFAULT_CONCURRENCY)),
            in_flight: 0,
            paused_until: Timestamp::default(),
            refusals_in_a_row: 0,
            since_answer: 0,
            refused_share: 0.0,
            last_cut: Timestamp::default(),
        };
        quota.apply_limits(false);
        quota
    }

    /// For an account: limits where they are stated, and no ceiling on parallel calls of its own.
    pub fn unlimited_unless(ceiling: Limits, now: Timestamp) -> Quota {
        Quota::new(Limits { concurrency: ceiling.concurrency.or(Some(u32::MAX)), ..ceiling }, now)
    }

    /// Other ceilings from now on; what is in flight stays counted, what was learned holds below them.
    pub fn set_ceiling(&mut self, ceiling: Limits, now: Timestamp) {
        if ceiling == self.ceiling {
            return;
        }
        self.clock.set(now);
        let most = f64::from(ceiling.concurrency.unwrap_or(DEFAULT_CONCURRENCY));
        // A pace that was cut by refusals is not sped up by a config that says nothing new of it.
        let is_other = ceiling.concurrency != self.ceiling.concurrency;
        self.parallel = if is_other { most } else { self.parallel };
        self.ceiling = ceiling;
        // What was sent this minute counts under a limit that was not there before, too.
        self.apply_limits(true);
    }

    /// Takes room for one request of `input` and `output` tokens, or says why there is none.
    pub fn take(&mut self, now: Timestamp, input: u64, output: u64) -> Result<(), Busy> {
        self.opens(now)?;
        self.clock.set(now);
        // Tokens first: they refuse more often, and what an earlier bucket gave is not given back.
        self.tokens.take(&self.clock, input + output)?;
        self.input.take(&self.clock, input)?;
        self.output.take(&self.clock, output)?;
        self.requests.take(&self.clock, 1)?;
        self.in_flight += 1;
        Ok(())
    }

    /// Whether one more call may be in flight at all.
    pub fn room(&self, now: Timestamp) -> Result<(), Busy> {
        if now < self.paused_until {
            return Err(Busy { until: Some(self.paused_until) });
        }
        if self.in_flight >= self.concurrency() {
            return Err(Busy { until: None });
        }
        Ok(())
    }

    /// Whether a request has a chance now: there is room, and no per-minute limit is known to be used up.
    pub fn opens(&self, now: Timestamp) -> Result<(), Busy> {
        self.room(now)?;
        match self.opens_at(now) {
            Timestamp::MAX => Ok(()),
            until => Err(Busy { until: Some(until) }),
        }
    }

    /// Parallel calls allowed at present.
    pub fn concurrency(&self) -> u32 {
        (self.parallel as u32).max(1)
    }

    /// The ceilings in force: stated, learned, and the parallel calls allowed at present.
    pub fn limits(&self) -> Limits {
        let lower = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        let (stated, learned) = (&self.ceiling, &self.learned);
        Limits {
            rpm: lower(stated.rpm, learned.rpm),
            tpm: lower(stated.tpm, learned.tpm),
            input_tpm: lower(stated.input_tpm, learned.input_tpm),
            output_tpm: lower(stated.output_tpm, learned.output_tpm),
            concurrency: Some(self.concurrency()),
        }
    }

    /// Every limit a minute in force: what it counts, how much, what was taken in the last minute, and
    /// whether the provider stated it.
    pub fn used(&self, now: Timestamp) -> Vec<(&'static str, u64, u64, bool)> {
        let buckets = [
            ("requests", &self.requests, self.learned.rpm),
            ("tokens", &self.tokens, self.learned.tpm),
            ("input_tokens", &self.input, self.learned.input_tpm),
            ("output_tokens", &self.output, self.learned.output_tpm),
        ];
        let used = buckets.into_iter().filter_map(|(counts, bucket, learned)| {
            let limit = bucket.limit?;
            Some((counts, limit, bucket.window.sum(now), learned == Some(limit)))
        });
        used.collect()
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// A call that took room has ended, whatever came of it.
    pub fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// An answer came: the pace is right, so allow a little more.
    pub fn answered(&mut self) {
        self.refusals_in_a_row = 0;
        self.since_answer = 0;
        self.refused_share *= 1.0 - NEWEST;
        let most = f64::from(self.ceiling.concurrency.unwrap_or(DEFAULT_CONCURRENCY));
        self.parallel = (self.parallel + 1.0 / self.parallel).min(most);
    }

    /// The provider refused for its rate or its load, and may have said for how long.
    pub fn refused(&mut self, now: Timestamp, retry_after: Option<Duration>) {
        self.refused_share += (1.0 - self.refused_share) * NEWEST;
        self.since_answer += 1;
        let is_lone = self.since_answer < TOGETHER && self.refused_share < TOO_MANY;
        // Calls sent at the old pace are refused together; they are one lesson.
        if !is_lone && now.since(self.last_cut) >= Duration::from_secs(1) {
            self.refusals_in_a_row += 1;
            self.parallel = (self.parallel / 2.0).max(1.0);
            self.last_cut = now;
        }
        let unstated = Duration::from_millis(500) * 2u32.pow(self.refusals_in_a_row.min(7));
        // To wait for no time at all is no pause: the provider would be asked as fast as it refuses.
        let stated = retry_after.filter(|pause| !pause.is_zero());
        let unstated = if is_lone { Duration::ZERO } else { unstated.min(LONGEST_PAUSE) };
        let pause = stated.unwrap_or(unstated);
        self.paused_until = self.paused_until.max(now + pause);
    }

    /// Believes what the provider says its limits are.
    pub fn learn(&mut self, hints: &RateHints) {
        // A limit of none is not a limit of ours: whoever has one gets no response at all.
        let stated = |limit: Option<u64>| limit.filter(|&limit| limit > 0);
        let learned = Limits {
            rpm: stated(hints.limit_requests),
            tpm: stated(hints.limit_tokens),
            ..Limits::default()
        };
        let changed = |new: Option<u64>, old: Option<u64>| new.is_some() && new != old;
        if changed(learned.rpm, self.learned.rpm) || changed(learned.tpm, self.learned.tpm) {
            self.learned.rpm = learned.rpm.or(self.learned.rpm);
            self.learned.tpm = learned.tpm.or(self.learned.tpm);
            self.apply_limits(false);
        }
    }

    /// Until when nothing is sent, where a refusal said so.
    pub fn paused_until(&self) -> Timestamp {
        self.paused_until
    }

    /// When time alone makes room again; [`Timestamp::MAX`] where only an answer does.
    pub fn opens_at(&self, now: Timestamp) -> Timestamp {
        let buckets = [&self.requests, &self.tokens, &self.input, &self.output];
        let refilled = buckets.into_iter().map(|bucket| bucket.refused_until).max();
        let opens = self.paused_until.max(refilled.unwrap_or_default());
        if opens > now { opens } else { Timestamp::MAX }
    }

    /// Forgets pauses and refills, and starts with empty buckets: the clock was set back, so their times
    /// mean nothing, or an earlier process may have sent a moment ago.
    pub fn restart(&mut self, now: Timestamp) {
        self.clock = EngineClock::at(now);
        self.paused_until = self.paused_until.min(now + LONGEST_PAUSE);
        self.last_cut = self.last_cut.min(now);
        for bucket in [&mut self.requests, &mut self.tokens, &mut self.input, &mut self.output] {
            *bucket = Bucket::default();
        }
        self.apply_limits(true);
    }

    fn apply_limits(&mut self, start_empty: bool) {
        let lower = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        self.requests.set(lower(self.ceiling.rpm, self.learned.rpm), &self.clock, start_empty);
        self.tokens.set(lower(self.ceiling.tpm, self.learned.tpm), &self.clock, start_empty);
        self.input.set(lower(self.ceiling.input_tpm, self.learned.input_tpm), &self.clock, start_empty);
        self.output.set(lower(self.ceiling.output_tpm, self.learned.output_tpm), &self.clock, start_empty);
    }
}

/// One per-minute limit.
#[derive(Default)]
struct Bucket {
    limit: Option<u64>,
    burst: u32,
    limiter: Option<RateLimiter<NotKeyed, InMemoryState, EngineClock, NoOpMiddleware<EngineInstant>>>,
    window: Window,
    refused_until: Timestamp,
}

impl Bucket {
    /// Under another limit. What the old one let through is known to the window only, so a bucket that
    /// was in use starts empty; so does one of a process that was not the first to send.
    fn set(&mut self, limit: Option<u64>, clock: &EngineClock, start_empty: bool) {
        let limit = limit.map(|limit| limit.max(1));
        if limit == self.limit {
            return;
        }
        let start_empty = start_empty || self.limit.is_some();
        self.limit = limit;
        self.refused_until = Timestamp::default();
        self.burst = limit.map_or(0, |limit| u32::try_from(limit / 20).unwrap_or(u32::MAX).max(1));
        self.limiter = limit.map(|limit| {
            let burst = NonZeroU32::new(self.burst).expect("a burst is at least one");
            let limiter = RateLimiter::direct_with_clock(rate(limit, burst), clock.clone());
            if start_empty {
                let _ = limiter.check_n(burst);
            }
            limiter
        });
    }

    fn take(&mut self, clock: &EngineClock, n: u64) -> Result<(), Busy> {
        let Some(limit) = self.limit else { return Ok(()) };
        if n == 0 {
            return Ok(());
        }
        let now = clock.timestamp();
        if now < self.refused_until {
            return Err(Busy { until: Some(self.refused_until) });
        }
        let usable = (limit as f64 * (1.0 - MARGIN)).ceil() as u64;
        if let Err(until) = self.window.has_room(now, n, usable) {
            self.refused_until = until;
            return Err(Busy { until: Some(until) });
        }
        let from_bucket = u32::try_from(n.min(u64::from(self.burst))).expect("no more than the burst");
        let from_bucket = NonZeroU32::new(from_bucket).expect("neither is zero");
        let limiter = self.limiter.as_ref().expect("a limit has a limiter");
        match limiter.check_n(from_bucket) {
            Ok(Ok(())) => {
                self.window.add(now, n);
                Ok(())
            }
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(clock.now()) + Duration::from_micros(1);
                self.refused_until = now + wait;
                Err(Busy { until: Some(self.refused_until) })
            }
            Err(_) => unreachable!("no more than the burst was asked for"),
        }
    }
}

/// At most 95% of `limit` in any minute, `burst` of them at once.
fn rate(limit: u64, burst: NonZeroU32) -> Rate {
    let usable = limit as f64 * (1.0 - MARGIN);
    let per_minute = usable - f64::from(burst.get());
    // A burst of one may stand at both ends of a minute, so small limits refill a little slower still.
    let period = if burst.get() == 1 { 60.0 * (1.0 + MARGIN) / limit as f64 } else { 60.0 / per_minute };
    let period = Duration::from_secs_f64(period).max(Duration::from_nanos(1));
    Rate::with_period(period).expect("a period is never zero").allow_burst(burst)
}

/// The share of a per-minute limit that is used by who always has something to send.
pub fn steady_share(limit: u64) -> f64 {
    let limit = limit.max(1);
    let burst = (limit / 20).max(1);
    if burst == 1 {
        return 1.0 / (1.0 + MARGIN);
    }
    (1.0 - MARGIN) - burst as f64 / limit as f64
}

/// The engine's time as `governor` reads it; set before every question.
#[derive(Clone, Debug)]
struct EngineClock(Arc<AtomicI64>);

impl EngineClock {
    fn at(now: Timestamp) -> EngineClock {
        EngineClock(Arc::new(AtomicI64::new(now.micros())))
    }

    fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::Relaxed);
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

impl Clock for EngineClock {
    type Instant = EngineInstant;

    fn now(&self) -> EngineInstant {
        EngineInstant(self.0.load(Ordering::Relaxed).max(0).unsigned_abs() * 1_000)
    }
}

/// Nanoseconds since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EngineInstant(u64);

impl Add<Nanos> for EngineInstant {
    type Output = EngineInstant;

    fn add(self, nanos: Nanos) -> EngineInstant {
        EngineInstant(self.0.saturating_add(nanos.as_u64()))
    }
}

impl Reference for EngineInstant {
    fn duration_since(&self, earlier: EngineInstant) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> EngineInstant {
        EngineInstant(self.0.saturating_sub(duration.as_u64()))
    }
}

#[cfg(test)]
mod tests;
