//! `overnight demo`: the main job on a file of reviews, against simulated providers on this machine.
//!
//! Nothing of it is played: the file is queued, sent over HTTP, checked, moved up the ladder where the
//! check says no, and written as Parquet by the same code as always. Only the models are simulated, and
//! they fail as providers do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::args::value::{CheckArg, StepArg};
use super::args::{DemoArgs, JobFlags, QueueFlags};
use super::ask::ask;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format;
use super::queue::queue;
use super::run::finish;
use super::session::Hold;
use super::style::{Line, Paint};
use crate::check::Check;
use crate::clock;
use crate::config::{self, Inputs};
use crate::job::JobId;
use crate::money::{Price, Usd};
use crate::provider::simulated::{Config, Fault, FaultRates, Faults, Limits, Model};
use crate::results::folder::Folder;
use crate::results::schema::Table;
use crate::simulate::{self, Handle};

const REVIEWS: &str = include_str!("../../jobs/classify-reviews.jsonl");
const SCHEMA: &str = include_str!("../../jobs/review.schema.json");

/// Plays it all in `args.dir`.
pub fn run(args: &DemoArgs, context: &Context) -> Result<Exit, CliError> {
    fs::create_dir_all(&args.dir)?;
    let dir = fs::canonicalize(&args.dir)?;
    let provider = simulate::spawn(provider())?;
    let own = Context::with_config(context.globals.clone(), settings(&dir, &provider)?);
    let file = args.dir.join("reviews.jsonl");
    fs::write(&file, REVIEWS)?;

    explain(&own, &file, &provider);
    let mut hold = Hold::take(&own)?;
    let ask = ask(&flags()?, &QueueFlags::default(), own.config()?, clock::now())?;
    let queued = queue(&file, &ask, true, &own, &mut hold)?;
    let jobs = [queued.job_id];
    let (exit, views) = finish(&jobs, &own, hold)?;
    if exit != Exit::Interrupted {
        let unknown = views.iter().map(|view| view.unknown_attempts).sum();
        explain_end(&args.dir, &own, &provider, &jobs[0], unknown)?;
    }
    // Items may fail here as they do at night; the demo has shown it all the same.
    Ok(if exit == Exit::SomeFailed { Exit::Done } else { exit })
}

/// Two models, a weak and a strong one, on an account that fails as accounts do.
fn provider() -> Config {
    let model = |name: &str, input, output, pass_rate, latency_ms| Model {
        pass_rate,
        latency: Duration::from_millis(latency_ms),
        latency_spread: 1.6,
        ..Model::new(name, Price { input, output, ..Price::default() })
    };
    let rates =
        [(Fault::RateLimited, 0.03), (Fault::ServerError, 0.03), (Fault::Reset, 0.01), (Fault::Length, 0.03)];
    Config {
        seed: 7,
        models: vec![
            model("sim/small", 150_000, 600_000, 0.85, 400),
            model("sim/large", 3_000_000, 15_000_000, 0.995, 900),
        ],
        account_limits: Limits { concurrency: Some(12), ..Limits::default() },
        faults: Faults {
            rates: FaultRates::new(&rates).expect("small rates that add up to less than one"),
            ..Faults::default()
        },
        ..Config::default()
    }
}

fn settings(dir: &Path, provider: &Handle) -> Result<config::Config, CliError> {
    let text = format!(
        r#"
        [state]
        dir = "state"
        [results]
        dir = "results"
        [providers.sim]
        kind = "openai"
        base_url = "{}"
        [models."sim/small"]
        price = {{ input = 0.15, output = 0.60 }}
        max_output = 16384
        [models."sim/large"]
        price = {{ input = 3, output = 15 }}
        max_output = 16384
        "#,
        provider.base_url()
    );
    let inputs = Inputs { file: None, cwd: dir, env: &BTreeMap::new(), flags: &[] };
    config::parse(&text, &inputs).map_err(|error| anyhow::Error::from(error).into())
}

fn flags() -> Result<JobFlags, CliError> {
    let step = |name: &str| StepArg(vec![name.to_owned()]);
    Ok(JobFlags {
        models: vec![step("sim/small"), step("sim/large")],
        checks: vec![CheckArg::Ready(Check::JsonSchema(SCHEMA.into()))],
        max_cost: Some(Usd::from_pico(1_000_000_000_000)),
        ..JobFlags::default()
    })
}

fn explain(context: &Context, file: &Path, provider: &Handle) {
    let lines = [
        format!("{}: {} product reviews to classify as JSON", file.display(), REVIEWS.lines().count()),
        format!(
            "a simulated provider listens on {}: 3% 429s, 3% 500s, 1% resets, 3% cut-off answers,",
            provider.base_url()
        ),
        "  12 parallel requests at most, and sim/small fails the JSON schema on 15% of the reviews"
            .to_owned(),
        "what fails its check moves up to sim/large, which costs twenty times as much".to_owned(),
    ];
    lines.iter().for_each(|line| context.note(&Line::new().add(Paint::Faint, line)));
}

fn explain_end(
    dir: &Path,
    context: &Context,
    provider: &Handle,
    job: &JobId,
    unknown: u64,
) -> Result<(), CliError> {
    let totals = provider.summary().totals;
    context.print(&format!(
        "\nthe provider counted {} requests and billed {}; what it billed for {} that got no answer is estimated above\n",
        format::count(totals.requests),
        format::usd(totals.billed.as_f64()),
        format::counted(unknown, "request")
    ))?;
    let folder = Folder::new(context.config()?.results.dir.clone());
    for table in [Table::Results, Table::Attempts] {
        let parts = folder.parts(table, job, None).map_err(anyhow::Error::from)?;
        for path in parts.values() {
            let size = fs::metadata(path).map_or(0, |found| found.len());
            let shown = path.strip_prefix(folder.root()).unwrap_or(path);
            context.print(&format!(
                "{}  {}\n",
                dir.join("results").join(shown).display(),
                format::bytes(size)
            ))?;
        }
    }
    let glob = dir.join("results/results/*/*.parquet");
    context.print(&format!(
        "\n  duckdb -c \"select request_model, status, count(*), sum(cost_usd) from '{}' group by all\"\n",
        glob.display()
    ))?;
    context.note(
        &Line::new()
            .add(Paint::Faint, "with a key of your own:  OPENAI_API_KEY=… overnight run prompts.jsonl"),
    );
    Ok(())
}
