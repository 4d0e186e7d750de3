//! `overnight simulate`: flags → a provider that runs until it is told to stop.
//!
//! Shell.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::spec::{self, ModelSpec, Varying};
use super::{Shared, base_url, serve, service};
use crate::clock::{self, Timestamp};
use crate::money::Usd;
use crate::provider::simulated::{
    BatchConfig, BatchFault, BatchFaultRates, Config, Fault, FaultError, FaultRates, Faults, Limits, Model,
};

/// A provider without a key: simulated models over HTTP, in OpenAI's wire format.
///
/// Point any OpenAI client at it, or overnight itself. Everything that happens by chance follows from
/// --seed. Requests are served at /v1/chat/completions, /v1/responses and /v1/embeddings, batches at
/// /v1/batches; GET /sim/ledger tells what was billed, GET /sim/log every request, GET /sim/batches every
/// batch, POST /sim/faults changes what goes wrong while it runs.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = after_help())]
pub struct SimulateArgs {
    /// Where to listen, on this machine only; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8484", value_parser = spec::loopback)]
    pub listen: SocketAddr,

    /// What chance follows from: the same seed and requests give the same answers.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// A model: its price in dollars per million input and output tokens, then options.
    ///
    /// Options are pass=SHARE of prompts it answers well, latency=DURATION[~SPREAD],
    /// output=TOKENS[~SPREAD] (the median, and the factor within which two thirds lie), cuts_off=true
    /// (text longer than a request allows is cut off, not kept short), max_output, context, reasoning=SHARE, cached=SHARE, cached_price, rpm, tpm, concurrency. May be repeated;
    /// without it there are sim/small, sim/medium and sim/large.
    #[arg(long = "model", value_name = "NAME=IN/OUT[:OPTION=VALUE]...", value_parser = spec::model)]
    pub models: Vec<ModelSpec>,

    /// Latency of models that state none; 0 answers at once.
    #[arg(long, value_name = "DURATION[~SPREAD]", value_parser = spec::varying)]
    pub latency: Option<Varying>,

    /// Share of prompts answered well by models that state none.
    #[arg(long, value_name = "SHARE", value_parser = spec::share)]
    pub pass: Option<f64>,

    /// Requests a key may make in any 60 seconds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub rpm: Option<u64>,

    /// Tokens a key may use in any 60 seconds: prompt plus allowed output, counted at arrival.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub tpm: Option<u64>,

    /// Requests a key may have open at the same time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,

    /// Share of requests that meet a fault; may be repeated. --help lists the kinds.
    #[arg(long = "fault", value_name = "KIND=RATE", value_parser = spec::fault)]
    pub faults: Vec<(Fault, f64)>,

    /// From making a batch to its end; POST /sim/clock puts the clock of batches forward.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = spec::duration)]
    pub batch_duration: Duration,

    /// Input tokens that may wait in all batches of one model and key.
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..))]
    pub batch_tokens: Option<u64>,

    /// Share of batches that meet a fault; may be repeated. --help lists the kinds.
    #[arg(long = "batch-fault", value_name = "KIND=RATE", value_parser = spec::batch_fault)]
    pub batch_faults: Vec<(BatchFault, f64)>,

    /// What every other injected 429 asks the client to wait.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = spec::duration)]
    pub retry_after: Duration,

    /// A key has no credit left once it was billed this much.
    #[arg(long, value_name = "USD")]
    pub no_credit_after: Option<Usd>,

    /// A model that is gone; may be repeated.
    #[arg(long = "retired", value_name = "MODEL")]
    pub retired: Vec<String>,

    /// An outage, counted from the start: 10s..40s; may be repeated.
    #[arg(long = "down", value_name = "FROM..UNTIL", value_parser = spec::outage)]
    pub down: Vec<(Duration, Duration)>,

    /// A key that is let in; may be repeated. Without it any is.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,

    /// Write the request log here at the end: JSON lines, and a summary on the last.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
}

fn after_help() -> String {
    format!("Faults:\n{}\nFaults of batches:\n{}", Fault::list(), BatchFault::list())
}

impl SimulateArgs {
    /// The provider they describe, if it were started now.
    pub fn config(&self, now: Timestamp) -> Result<Config, FaultError> {
        Ok(Config {
            seed: self.seed,
            models: self.models(),
            keys: self.keys.iter().cloned().collect(),
            account_limits: Limits { rpm: self.rpm, tpm: self.tpm, concurrency: self.concurrency },
            faults: Faults {
                rates: FaultRates::new(&self.faults)?,
                retry_after: self.retry_after,
                no_credit_after: self.no_credit_after,
                retired: self.retired.iter().cloned().collect(),
                down: self.down.iter().map(|&(from, until)| (now + from, now + until)).collect(),
                ..Faults::default()
            },
            batches: BatchConfig {
                duration: self.batch_duration,
                tokens: self.batch_tokens,
                faults: BatchFaultRates::new(&self.batch_faults),
                ..BatchConfig::default()
            },
            ..Config::default()
        })
    }

    fn models(&self) -> Vec<Model> {
        let open = |model| ModelSpec { model, says_pass: false, says_latency: false };
        let specs = match self.models.is_empty() {
            true => Model::defaults().into_iter().map(open).collect(),
            false => self.models.clone(),
        };
        let fill = |spec: ModelSpec| {
            let mut model = spec.model;
            if let Some(latency) = self.latency.filter(|_| !spec.says_latency) {
                (model.latency, model.latency_spread) = (latency.median, latency.spread);
            }
            if let Some(pass) = self.pass.filter(|_| !spec.says_pass) {
                model.pass_rate = pass;
            }
            model
        };
        specs.into_iter().map(fill).collect()
    }
}

/// Serves until Ctrl-C or SIGTERM, then writes the ledger.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let shared = Shared::new(args.config(clock::now())?);
    if let Some(file) = &args.ledger {
        // A folder that is not there is better found now than after a night.
        std::fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(listen(args.listen, shared.clone()))?;
    // Dropped connections have ended their lines by now.
    drop(runtime);
    if let Some(file) = &args.ledger {
        write_ledger(file, &shared).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let totals = shared.lock().totals().clone();
    eprintln!("{} requests, {} billed", totals.requests, totals.billed);
    Ok(())
}

async fn listen(address: SocketAddr, shared: Shared) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {address}; try --listen 127.0.0.1:0"))?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", base_url(listener.local_addr()?))?;
    stdout.flush()?;
    let shutdown = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    serve(listener, shared, shutdown).await;
    Ok(())
}

fn write_ledger(file: &Path, shared: &Shared) -> std::io::Result<()> {
    let mut out = service::log(shared);
    for batch in super::batch::books(shared).split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(b"{\"batch\":");
        out.extend_from_slice(batch.trim_ascii_end());
        out.extend_from_slice(b"}\n");
    }
    out.extend_from_slice(b"{\"summary\":");
    out.extend_from_slice(&service::to_json(&shared.lock().summary()));
    out.extend_from_slice(b"}\n");
    std::fs::write(file, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn args(line: &str) -> Result<SimulateArgs, String> {
        let words = std::iter::once("simulate").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_there_are_three_models_and_no_faults() {
        let config = args("").unwrap().config(Timestamp::default()).unwrap();
        let names: Vec<&str> = config.models.iter().map(|model| &*model.name).collect();
        assert_eq!(names, ["sim/small", "sim/medium", "sim/large"]);
        assert_eq!(config.faults, Faults::default());
    }

    #[test]
    fn common_flags_hold_for_models_that_state_nothing() {
        let line = "--latency 5ms --pass 0.5 --model a=1/2:latency=1s --model b=1/2:pass=0.9";
        let models = args(line).unwrap().models();
        let of = |model: &Model| (model.latency.as_millis(), model.pass_rate);
        assert_eq!([of(&models[0]), of(&models[1])], [(1_000, 0.5), (5, 0.9)]);
    }

    #[test]
    fn faults_limits_and_outages_arrive() {
        let line = "--fault 429=0.02 --fault hang=0.1 --rpm 60 --down 10s..20s --no-credit-after $2 --key k";
        let config = args(line).unwrap().config(Timestamp::from_micros(0)).unwrap();
        assert_eq!(config.faults.rates.get(Fault::Hang), 0.1);
        assert_eq!(config.account_limits.rpm, Some(60));
        assert_eq!(config.faults.down[0].0.micros(), 10_000_000);
        assert_eq!(config.faults.no_credit_after, Some("$2".parse().unwrap()));
        assert!(config.keys.contains("k"));
    }

    #[test]
    fn impossible_flags_are_refused_with_a_reason() {
        for (line, reason) in [
            ("--listen 0.0.0.0:80", "on this machine only"),
            ("--fault flood=0.1", "the faults are 429, 500,"),
            ("--fault 429=2", "between 0 and 1"),
            ("--rpm 0", "0 is not in 1.."),
        ] {
            let error = args(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
        let too_many = args("--fault 429=0.6 --fault 500=0.6").unwrap().config(Timestamp::default());
        assert_eq!(too_many.unwrap_err(), FaultError::Sum(1.2));
    }
}
