//! What can go wrong by chance, by name: the words of `--fault KIND=RATE` and of the request log.
//!
//! Each request meets at most one of these. Faults that last (no credit, a retired model, a wrong
//! key, an outage) are not drawn; they are conditions in [`super::Faults`].
//!
//! Pure.

use std::str::FromStr;

use super::chance::Chance;
use super::words::faults;

faults! {
    /// Something that goes wrong with one request.
    pub enum Fault {
        /// 429 although no limit is reached; every other one says how long to wait.
        RateLimited = "429", "rate limit although none is reached";
        /// 500 before anything was billed.
        ServerError = "500", "server error, not billed";
        /// 500 after the answer was made and billed.
        ServerErrorBilled = "500-billed", "server error after billing";
        /// 503, no room; not billed.
        Overloaded = "503", "overloaded, not billed";
        /// The connection is reset before anything was billed.
        Reset = "reset", "connection reset, not billed";
        /// The connection is reset after the answer was made and billed.
        ResetBilled = "reset-billed", "connection reset after billing";
        /// The answer is made and billed, and nothing is ever sent.
        Hang = "hang", "billed, and never answered";
        /// The answer is billed, and its body breaks off in the middle.
        CutBody = "cut-body", "billed, and the body breaks off";
        /// The answer is billed, and bytes that mean nothing arrive in its place.
        Garbage = "garbage", "billed, and the body means nothing";
        /// The answer is billed, and some gateway's HTML page arrives in its place, with status 200.
        Html = "html", "billed, and an HTML page comes back";
        /// A complete answer with nothing in it; the prompt is billed.
        Empty = "empty", "a complete answer with nothing in it";
        /// A good answer that does not say what it used.
        NoUsage = "no-usage", "no token counts in the answer";
        /// A good answer that reports tokens it did not use.
        WrongUsage = "wrong-usage", "false token counts in the answer";
        /// A good answer that names a model nobody asked for.
        WrongModel = "wrong-model", "the answer names another model";
        /// An answer cut off at the output limit.
        Length = "length", "cut off at the output limit";
        /// The model declines.
        Refusal = "refusal", "the model declines";
        /// A filter takes the answer away.
        ContentFilter = "content-filter", "a filter takes the answer away";
        /// A good answer that takes a hundred times as long as others.
        Slow = "slow", "a good answer, a hundred times as late";
    }
}

/// Why a text is not a fault, or a number not a rate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error("there is no fault {0:?}; the faults are {list}", list = Fault::words())]
    Unknown(String),
    /// A rate is a share of requests.
    #[error("the rate of {0} must lie between 0 and 1, not {1}")]
    Rate(Fault, f64),
    /// At most one fault meets a request, so rates add up.
    #[error("the rates of all faults add up to {0}, which is more than 1")]
    Sum(f64),
}

impl FromStr for Fault {
    type Err = FaultError;
    fn from_str(name: &str) -> Result<Fault, FaultError> {
        Fault::of_word(name).ok_or_else(|| FaultError::Unknown(name.to_owned()))
    }
}

/// What share of requests meets each fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FaultRates([f64; Fault::ALL.len()]);

impl FaultRates {
    /// The rates given, all others 0.
    pub fn new(rates: &[(Fault, f64)]) -> Result<FaultRates, FaultError> {
        let mut all = FaultRates::default();
        for &(fault, rate) in rates {
            all.set(fault, rate)?;
        }
        Ok(all)
    }

    /// Sets one rate; nothing changes where it is refused.
    pub fn set(&mut self, fault: Fault, rate: f64) -> Result<(), FaultError> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(FaultError::Rate(fault, rate));
        }
        let sum = self.0.iter().sum::<f64>() - self.get(fault) + rate;
        // Ten rates of 0.1 add up to a little more than 1 in floating point.
        if sum > 1.0 + 1e-9 {
            return Err(FaultError::Sum(sum));
        }
        self.0[fault as usize] = rate;
        Ok(())
    }

    /// The rate of one fault.
    pub fn get(&self, fault: Fault) -> f64 {
        self.0[fault as usize]
    }

    /// The fault that the next request meets, if any.
    pub(crate) fn draw(&self, chance: &mut Chance) -> Option<Fault> {
        let mut drawn = chance.unit();
        for fault in Fault::ALL {
            drawn -= self.get(fault);
            if drawn < 0.0 {
                return Some(fault);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for fault in Fault::ALL {
            assert_eq!(fault.as_str().parse(), Ok(fault));
        }
    }

    #[test]
    fn an_unknown_name_lists_all_names() {
        let error = "timeout".parse::<Fault>().unwrap_err().to_string();
        for fault in Fault::ALL {
            assert!(error.contains(fault.as_str()), "{error}");
        }
    }

    #[test]
    fn rates_that_cannot_be_are_refused() {
        let mut rates = FaultRates::new(&[(Fault::Hang, 0.6)]).unwrap();
        assert_eq!(rates.set(Fault::Html, -0.1), Err(FaultError::Rate(Fault::Html, -0.1)));
        assert!(matches!(rates.set(Fault::Html, f64::NAN), Err(FaultError::Rate(..))));
        assert_eq!(rates.set(Fault::Html, 0.5), Err(FaultError::Sum(1.1)));
        assert_eq!(rates.set(Fault::Hang, 1.0), Ok(()));
    }

    #[test]
    fn faults_come_as_often_as_their_rates_say() {
        let rates = FaultRates::new(&[(Fault::RateLimited, 0.02), (Fault::Garbage, 0.3)]).unwrap();
        let mut chance = Chance::new(&[1]);
        let drawn: Vec<_> = (0..50_000).map(|_| rates.draw(&mut chance)).collect();
        let share = |fault| drawn.iter().filter(|&&f| f == fault).count() as f64 / 50_000.0;
        assert!((share(Some(Fault::RateLimited)) - 0.02).abs() < 0.004);
        assert!((share(Some(Fault::Garbage)) - 0.3).abs() < 0.01);
        assert!((share(None) - 0.68).abs() < 0.01);
    }
}
