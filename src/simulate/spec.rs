//! Flags of `overnight simulate` that hold more than a number: models, faults, durations, outages.
//!
//! Pure.

use std::net::SocketAddr;
use std::time::Duration;

use crate::money::{Price, decimal_to_pico};
use crate::provider::simulated::{BatchFault, Fault, Model};

/// A model as it is written on the command line, and what it leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// The model, with defaults for what is left open.
    pub(super) model: Model,
    pub(super) says_pass: bool,
    pub(super) says_latency: bool,
}

/// A duration that varies: `300ms~1.6`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Varying {
    pub(super) median: Duration,
    pub(super) spread: f64,
}

/// The options of a model.
const OPTIONS: &str = "pass, latency, output, cuts_off, max_output, context, reasoning, cached, cached_price, rpm, tpm, \
                       concurrency";

/// Reads `NAME=IN/OUT[:option=value]…`.
pub(super) fn model(text: &str) -> Result<ModelSpec, String> {
    let shape =
        "write a model as NAME=IN/OUT, dollars per million tokens, such as sim/small=0.15/0.60:pass=0.9";
    let (name, rest) = text.split_once('=').ok_or(shape)?;
    let mut parts = rest.split(':');
    let (input, output) = parts.next().and_then(|prices| prices.split_once('/')).ok_or(shape)?;
    let price = Price { input: per_million(input)?, output: per_million(output)?, ..Price::default() };
    if name.is_empty() {
        return Err(shape.to_owned());
    }
    let mut spec = ModelSpec { model: Model::new(name, price), says_pass: false, says_latency: false };
    for part in parts {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not option=value"))?;
        set(&mut spec, key, value)?;
    }
    Ok(spec)
}

fn set(spec: &mut ModelSpec, key: &str, value: &str) -> Result<(), String> {
    let model = &mut spec.model;
    match key {
        "pass" => {
            model.pass_rate = share(value)?;
            spec.says_pass = true;
        }
        "latency" => {
            let latency = varying(value)?;
            (model.latency, model.latency_spread) = (latency.median, latency.spread);
            spec.says_latency = true;
        }
        "output" => {
            let (tokens, spread) = with_spread(value)?;
            (model.output, model.output_spread) = (number(tokens)?, spread.unwrap_or(model.output_spread));
        }
        "cuts_off" => {
            model.cuts_off =
                value.parse().map_err(|_| format!("cuts_off is true or false, not {value:?}"))?;
        }
        "max_output" => model.max_output = Some(number(value)?),
        "context" => model.context = Some(number(value)?),
        "reasoning" => model.reasoning_share = share(value)?,
        "cached" => model.cached_share = share(value)?,
        "cached_price" => model.price.cache_read = Some(per_million(value)?),
        "rpm" => model.limits.rpm = Some(number(value)?),
        "tpm" => model.limits.tpm = Some(number(value)?),
        "concurrency" => model.limits.concurrency = Some(number(value)?),
        _ => return Err(format!("a model has no option {key:?}; its options are {OPTIONS}")),
    }
    Ok(())
}

/// Reads `KIND=RATE`.
pub(super) fn fault(text: &str) -> Result<(Fault, f64), String> {
    let (kind, rate) = text.split_once('=').ok_or("write a fault as KIND=RATE, such as 429=0.02")?;
    let kind: Fault = kind.parse().map_err(|error| format!("{error}"))?;
    Ok((kind, share(rate)?))
}

/// Reads `KIND=RATE` of a fault of batches.
pub(super) fn batch_fault(text: &str) -> Result<(BatchFault, f64), String> {
    let (kind, rate) = text.split_once('=').ok_or("write a fault as KIND=RATE, such as expires=0.1")?;
    let kind: BatchFault = kind.parse().map_err(|error| format!("{error}"))?;
    Ok((kind, share(rate)?))
}

/// Reads `300ms`, or `300ms~1.6` with a spread.
pub(super) fn varying(text: &str) -> Result<Varying, String> {
    let (median, spread) = with_spread(text)?;
    Ok(Varying { median: duration(median)?, spread: spread.unwrap_or(1.0) })
}

/// Reads `10s..40s`, counted from the start.
pub(super) fn outage(text: &str) -> Result<(Duration, Duration), String> {
    let (from, until) = text.split_once("..").ok_or("write an outage as FROM..UNTIL, such as 10s..40s")?;
    let (from, until) = (duration(from)?, duration(until)?);
    if from < until { Ok((from, until)) } else { Err("an outage ends after it begins".to_owned()) }
}

/// Reads an address of this machine only: keys and prompts are not checked, and faults are open to all.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "write an address as IP:PORT, such as 127.0.0.1:8484".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("the simulator listens on this machine only: use 127.0.0.1 or [::1]".to_owned())
    }
}

/// Reads `0`, `250us`, `20ms`, `1.5s`, `2m` or `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("{text:?} is not a duration; write it like 250us, 20ms, 1.5s, 2m or 1h");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (count, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "" if count == "0" => 1.0,
        _ => return Err(error()),
    };
    let count: f64 = count.parse().map_err(|_| error())?;
    Duration::try_from_secs_f64(count * seconds).map_err(|_| error())
}

fn with_spread(text: &str) -> Result<(&str, Option<f64>), String> {
    let Some((median, spread)) = text.split_once('~') else { return Ok((text, None)) };
    match spread.parse::<f64>() {
        Ok(spread) if (1.0..=100.0).contains(&spread) => Ok((median, Some(spread))),
        _ => Err(format!("the spread {spread:?} is not a factor between 1 and 100")),
    }
}

/// Dollars per million tokens, exactly.
fn per_million(text: &str) -> Result<u64, String> {
    let price = decimal_to_pico(text, 6).and_then(|pico| u64::try_from(pico).ok());
    price.ok_or_else(|| format!("{text:?} is not a price with at most six decimals"))
}

/// A share from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is not a share between 0 and 1")),
    }
}

fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().ok().filter(|&n| n > 0).and_then(|n| T::try_from(n).ok());
    number.ok_or_else(|| format!("{text:?} is not a whole number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_with_its_options() {
        let spec = model("acme/fast=0.15/0.6:pass=0.9:latency=300ms~2:output=80:rpm=600:cached_price=0.015");
        let model = spec.unwrap().model;
        assert_eq!((&*model.name, model.price.input, model.price.output), ("acme/fast", 150_000, 600_000));
        assert_eq!(
            (model.pass_rate, model.latency, model.latency_spread),
            (0.9, Duration::from_millis(300), 2.0)
        );
        assert_eq!((model.output, model.output_spread, model.limits.rpm), (80, 1.5, Some(600)));
        assert_eq!(model.price.cache_read, Some(15_000));
    }

    #[test]
    fn what_is_wrong_with_a_model_is_said() {
        let cases = [
            ("fast", "NAME=IN/OUT"),
            ("=1/2", "NAME=IN/OUT"),
            ("fast=1", "NAME=IN/OUT"),
            ("fast=a/1", "not a price"),
            ("fast=1/2:speed=3", "its options are pass,"),
            ("fast=1/2:pass=1.5", "between 0 and 1"),
            ("fast=1/2:rpm=0", "above 0"),
            ("fast=1/2:latency=5", "not a duration"),
            ("fast=1/2:latency=5s~0.5", "between 1 and 100"),
        ];
        for (text, message) in cases {
            let error = model(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn durations_have_units() {
        let cases = [("0", 0), ("250us", 250), ("20ms", 20_000), ("1.5s", 1_500_000), ("2m", 120_000_000)];
        for (text, micros) in cases {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "5", "-1s", "1d", "s", "1e400s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_fault_lists_all() {
        assert_eq!(fault("429=0.02"), Ok((Fault::RateLimited, 0.02)));
        let error = fault("flood=0.1").unwrap_err();
        assert!(error.contains("reset-billed") && error.contains("html"), "{error}");
    }

    #[test]
    fn only_this_machine_may_listen() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:8791").is_ok());
        for text in ["0.0.0.0:1", "192.168.0.1:1", "localhost:1", "127.0.0.1"] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }
}
