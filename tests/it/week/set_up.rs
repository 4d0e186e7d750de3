//! What a machine is set up with: the config, files of prompts, and the providers.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use overnight::cli::args::Globals;
use overnight::cli::context::Context;
use overnight::config::{self, Inputs};
use overnight::money::Price;
use overnight::provider::simulated::{self, Config, Model};

use super::calendar::{A_DAY, MINUTE, is_peak};
use super::plot::{PLANS, Plot};

/// The config in this text, of a machine whose home is here.
pub(super) fn context(home: &Path, config: &str) -> Context {
    let env = BTreeMap::from([("HOME".to_owned(), home.display().to_string())]);
    let inputs = Inputs { file: None, cwd: home, env: &env, flags: &[] };
    let config = config::parse(config, &inputs).unwrap_or_else(|error| panic!("{error}"));
    Context::with_config(Globals::default(), config)
}

/// Where a file of prompts is: jobs are named by it, so it is the same whenever a week is played.
pub(super) fn prompts(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("week").join(format!("{name}.jsonl"))
}

pub(super) fn write_prompts() {
    for &(name, items) in PLANS.iter().flat_map(|plan| plan.files) {
        let line = |n| format!("{{\"id\":\"{name}-{n}\",\"prompt\":\"{name} {n}\",\"max_tokens\":200}}\n");
        let (path, lines) = (prompts(name), (0..items).map(line).collect::<String>());
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
        // Weeks are played side by side: a file is there whole or not at all.
        let mut aside = tempfile::NamedTempFile::new_in(path.parent().expect("as above")).expect("a file");
        aside.write_all(lines.as_bytes()).expect("a file can be written");
        aside.persist(path).expect("a file can be renamed");
    }
}

/// Everything but the schedules.
pub(super) fn settings(plot: &Plot) -> String {
    let ((day, of_tag), zone) = (plot.budgets, plot.zone);
    let (hour, minute) = plot.report_at;
    format!(
        r#"
        [state]
        dir = "state"
        [results]
        dir = "results"
        [report]
        at = "{hour:02}:{minute:02}"
        tz = "{zone}"
        dir = "reports"
        [defaults]
        check = {{ contains = "pass" }}
        [budget]
        day = "$0.{day:03}"
        tz = "{zone}"
        [budget.tags."team=ads"]
        day = "$0.{of_tag:03}"
        month = "$1"
        [providers.alpha]
        kind = "openai"
        base_url = "http://127.0.0.1:9/v1"
        max_concurrency = 2
        [providers.beta]
        kind = "openai"
        base_url = "http://127.0.0.1:9/v1"
        max_concurrency = 3
        [providers.night]
        kind = "openai"
        base_url = "http://127.0.0.1:9/v1"
        max_concurrency = 1
        hours = ["22:00-07:00 {zone}"]
        [models."alpha/small"]
        price = {{ input = 1, output = 4, window = "off-peak" }}
        max_output = 4096
        windows = [{{ name = "peak", days = "mon-fri", hours = ["08:00-20:00"], tz = "{zone}", multiply = 2 }}]
        [models."alpha/large"]
        price = {{ input = 4, output = 16 }}
        max_output = 4096
        [models."beta/small"]
        price = {{ input = 1.1, output = 4.4 }}
        max_output = 4096
        [models."night/small"]
        price = {{ input = 0.5, output = 2 }}
        max_output = 4096
        "#
    )
}

/// And the schedules.
pub(super) fn config(plot: &Plot) -> String {
    let mut config = settings(plot);
    for plan in &PLANS {
        let files: Vec<String> = plan.files.iter().map(|(name, _)| format!("{:?}", prompts(name))).collect();
        let (name, files, terms) = (plan.name, files.join(", "), plan.terms);
        config += &format!(
            "\n[[schedule]]\nname = \"{name}\"\ntz = \"{}\"\nfiles = [{files}]\n{terms}\n",
            plot.zone
        );
    }
    config
}

/// The provider keeps to its own list of prices and hours.
pub(super) fn provider(plot: &Plot) -> Config {
    let price = |input, output| Price { input, output, ..Price::default() };
    let small = price(1_000_000, 4_000_000);
    let peak = price(2_000_000, 8_000_000);
    let mut changes = Vec::new();
    let mut at = plot.days[0].0 - A_DAY;
    let mut was_peak = false;
    while at < plot.end() + A_DAY * 14 {
        if is_peak(at, plot.zone) != was_peak {
            was_peak = !was_peak;
            changes.push((at, if was_peak { peak } else { small }));
        }
        at = at + MINUTE * 15;
    }
    let model = |name: &str, price, pass_rate| Model {
        pass_rate,
        latency: Duration::from_secs(20),
        latency_spread: 1.6,
        output: 60,
        ..Model::new(name, price)
    };
    let limits = simulated::Limits { rpm: Some(plot.rpm), ..simulated::Limits::default() };
    Config {
        seed: plot.seed,
        models: vec![
            Model { price_changes: changes, ..model("alpha/small", small, 0.85) },
            model("alpha/large", price(4_000_000, 16_000_000), 0.99),
            Model { limits, ..model("beta/small", price(1_100_000, 4_400_000), 0.9) },
            model("night/small", price(500_000, 2_000_000), 0.9),
        ],
        faults: plot.faults.clone(),
        plain_answers: true,
        ..Config::default()
    }
}
