//! Flags of the verbs that look at jobs, results and the set-up.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::value::{ErrorCodeParser, Tag, parse_span};
use crate::attempt::{ErrorCode, ItemStatus};
use crate::catalog::import::Source;
use crate::ledger::Phase;
use crate::money::Usd;
use crate::report::by::Key;

/// `overnight demo`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct DemoArgs {
    /// Where its files go
    #[arg(value_name = "DIR", default_value = "overnight-demo")]
    pub dir: PathBuf,
}

/// `overnight init`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "Files that are already there are never overwritten.")]
pub struct InitArgs {
    /// Where to write
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Print a hardened systemd unit instead
    #[arg(long)]
    pub service: bool,
}

/// One job.
#[derive(Clone, Debug, ClapArgs)]
pub struct JobArg {
    /// Its id, the start of it, or its name
    #[arg(value_name = "JOB")]
    pub job: String,
}

/// `overnight status`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct StatusArgs {
    /// Its id, the start of it, or its name; without it all jobs are shown
    #[arg(value_name = "JOB")]
    pub job: Option<String>,
    /// Go on showing, as `watch` does
    #[arg(long)]
    pub watch: bool,
}

/// `overnight watch`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "Ctrl-C ends the view, never the work. With --json every change is one line.")]
pub struct WatchArgs {
    /// Its id, the start of it, or its name; without it all jobs that are not over
    #[arg(value_name = "JOB")]
    pub job: Option<String>,
}

/// `overnight wait`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Exit codes: 0 every item succeeded · 3 some failed or were cancelled · 5 stopped by the cap · 8 deadline missed ·
  7 nobody works on it · 124 --timeout ran out

Example:
  overnight wait job_01kb3v6m8d --timeout 2h && overnight results job_01kb3v6m8d -o answers.parquet")]
pub struct WaitArgs {
    /// Its id, the start of it, or its name
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Give up after this long: 90s, 30m, 2h
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub timeout: Option<Duration>,
}

/// A state of an item, as it may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateFilter {
    /// Waits for an attempt
    Pending,
    /// An attempt is on its way
    Running,
    /// Waits for you, because an outcome is unknown
    Held,
    /// An answer was accepted
    Succeeded,
    /// Nothing that may be tried is left
    Failed,
    /// Its deadline passed
    Expired,
    /// You cancelled it
    Cancelled,
}

impl StateFilter {
    /// The word users see.
    pub fn word(self) -> &'static str {
        match self {
            StateFilter::Pending => "pending",
            StateFilter::Running => "running",
            StateFilter::Held => "held",
            StateFilter::Succeeded => "succeeded",
            StateFilter::Failed => "failed",
            StateFilter::Expired => "expired",
            StateFilter::Cancelled => "cancelled",
        }
    }

    /// The phase of an item it stands for.
    pub fn phase(self) -> Phase {
        match self {
            StateFilter::Pending => Phase::Pending,
            StateFilter::Running => Phase::Running,
            StateFilter::Held => Phase::Held,
            StateFilter::Succeeded => Phase::Final(ItemStatus::Succeeded),
            StateFilter::Failed => Phase::Final(ItemStatus::Failed),
            StateFilter::Expired => Phase::Final(ItemStatus::Expired),
            StateFilter::Cancelled => Phase::Final(ItemStatus::Cancelled),
        }
    }
}

/// `overnight items`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ItemsArgs {
    /// Its id, the start of it, or its name
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Only items in these states, separated by commas
    #[arg(long = "state", value_name = "STATE", value_enum, value_delimiter = ',')]
    pub states: Vec<StateFilter>,
    /// Only items that did not succeed for these reasons, separated by commas
    #[arg(long = "reason", value_name = "REASON", value_parser = ErrorCodeParser, value_delimiter = ',')]
    pub reasons: Vec<ErrorCode>,
    /// Only items with this tag; repeatable, all must hold
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<Tag>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Leave out so many that ended first: pages, for those who ask over HTTP
    #[arg(skip)]
    pub skip: usize,
}

/// `overnight show`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ShowArgs {
    /// Its id, the start of it, or its name
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Id of the item, as in the file
    #[arg(value_name = "ITEM")]
    pub item: String,
}

/// A format to export in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One Parquet file
    Parquet,
    /// One JSON object a row
    Jsonl,
    /// Comma-separated, for spreadsheets
    Csv,
    /// As the OpenAI Batch API gives it
    OpenaiBatch,
}

/// `overnight results`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  overnight results job_01kb3v6m8d -o reviews.parquet
  overnight results job_01kb3v6m8d -o - --format jsonl --state succeeded | jq .output_text
  overnight results job_01kb3v6m8d --attempts -o attempts.csv

While a job runs this gives the rows there are so far.")]
pub struct ResultsArgs {
    /// Ids, starts of ids, or names
    #[arg(value_name = "JOB", required = true)]
    pub jobs: Vec<String>,
    /// Where to write; `-` is stdout [default: NAME.parquet here, or what --format says]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// The format [default: from the name of the file, else parquet]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// Only items that ended like this, separated by commas
    #[arg(long = "state", value_name = "STATE", value_enum, value_delimiter = ',')]
    pub states: Vec<StateFilter>,
    /// One row an attempt instead of one an item
    #[arg(long)]
    pub attempts: bool,
}

/// `overnight report`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
Examples:
  overnight report reviews
  overnight report --since 7d --by tag.team,model
  overnight report --since 30d --by tag.user -o september.csv
  overnight report reviews -o report.html

A cost belongs to the call that caused it, an item to the attempt that ended it; the groups add up to the total.")]
pub struct ReportArgs {
    /// Ids, starts of ids, or names; without any, all jobs of the last day
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
    /// All jobs of this long ago and since: 7d, 12h
    #[arg(long, value_name = "SPAN", value_parser = parse_span, conflicts_with = "jobs")]
    pub since: Option<Duration>,
    /// Break it down by any of job, provider, model, lane, route, window, step, status, error_code, day, hour, tag.KEY
    #[arg(long, value_name = "KEY,KEY", value_delimiter = ',')]
    pub by: Vec<Key>,
    /// Write it to this file too: .html and .png (nothing else needed to read them), .csv (the groups) or .json
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Show prompts and answers in the HTML file: this many that succeeded, and as many for every reason of failure
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub samples: usize,
}

/// `overnight resume`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ResumeArgs {
    /// Its id, the start of it, or its name
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Give the job a new cap first
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<Usd>,
}

/// `overnight providers`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct ProvidersArgs {
    /// What of them.
    #[command(subcommand)]
    pub verb: Option<ProvidersVerb>,
}

/// What of the providers.
#[derive(Clone, Debug, Subcommand)]
pub enum ProvidersVerb {
    /// Ask each one whether it can be reached and takes our key
    Check(ProvidersCheckArgs),
}

/// `overnight providers check`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct ProvidersCheckArgs {
    /// Only these; without it all there is a way to reach
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Try out what they can do with a few tiny requests, which cost something: asks first
    #[arg(long)]
    pub smoke: bool,
    /// The model to try out, in place of the cheapest
    #[arg(long, value_name = "MODEL", requires = "smoke")]
    pub model: Option<String>,
}

/// `overnight models`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct CatalogArgs {
    /// Only names that match: deepseek/*
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,
    /// Models of providers without a key too
    #[arg(long)]
    pub all: bool,
}

/// `overnight models`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct ModelsArgs {
    /// Which of them.
    #[command(flatten)]
    pub listed: CatalogArgs,
    /// What checks taught of the models, by class of jobs; of one class where one is named
    #[arg(long, value_name = "CLASS", num_args = 0..=1, conflicts_with_all = ["pattern", "all", "reset_odds"])]
    pub odds: Option<Option<String>>,
    /// Forget what checks taught of the models, of one class or of all
    #[arg(long, value_name = "CLASS", num_args = 0..=1, conflicts_with_all = ["pattern", "all"])]
    pub reset_odds: Option<Option<String>>,
}

/// `overnight windows`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct WindowsArgs {
    /// Only names that match: deepseek/*
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,
    /// Routes at one price and open at all hours too
    #[arg(long)]
    pub all: bool,
}

/// `overnight prices`.
#[derive(Clone, Debug, ClapArgs)]
pub struct PricesArgs {
    /// What of them.
    #[command(subcommand)]
    pub verb: PricesVerb,
}

/// What of the prices.
#[derive(Clone, Debug, Subcommand)]
pub enum PricesVerb {
    /// The prices in force now, per million tokens
    Show(CatalogArgs),
    /// Fetch a price list of others: models that are not in the bundled table get their price from it
    Update(PricesUpdateArgs),
    /// What the lists that were fetched state otherwise than the prices in use
    Diff {
        /// Only names that match: deepseek/*
        #[arg(value_name = "PATTERN")]
        pattern: Option<String>,
    },
    /// Hold all sources against each other: missing, contradicted and stale prices; exit code 6 where a
    /// model in use has none, or one that a newer list contradicts
    Verify {
        /// Models to look at beside those of the default ladder and the config
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
    },
}

/// `overnight prices update`.
#[derive(Clone, Debug, ClapArgs)]
pub struct PricesUpdateArgs {
    /// Whose list: litellm, models-dev, openrouter
    #[arg(long, value_name = "LIST", value_parser = parse_price_list, default_value = "litellm")]
    pub from: Source,
    /// Take it from this file
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub file: Option<PathBuf>,
    /// Fetch it from this address rather than where it is published
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The day its prices are of; today where absent
    #[arg(long, value_name = "DATE")]
    pub as_of: Option<chrono::NaiveDate>,
}

fn parse_price_list(text: &str) -> Result<Source, String> {
    let names = Source::ALL.map(Source::as_str).join(", ");
    Source::parse(text).ok_or_else(|| format!("it is one of {names}"))
}

/// `overnight config`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ConfigArgs {
    /// What of it.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What of the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigVerb {
    /// Every value in force and where it comes from; no secrets
    Show,
    /// The file in use
    Path,
    /// Whether the file is right; all problems at once
    Check,
    /// Every key there is, commented, with its default or an example
    Schema,
}

/// `overnight completions`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  overnight completions bash > ~/.local/share/bash-completion/completions/overnight
  overnight completions zsh  > ~/.zfunc/_overnight
  overnight completions fish > ~/.config/fish/completions/overnight.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}

/// `overnight man`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ManArgs {
    /// Where to write; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `overnight gc`.
#[derive(Clone, Debug, ClapArgs)]
pub struct GcArgs {
    /// Only jobs that ended this long ago
    #[arg(long, value_name = "SPAN", value_parser = parse_span, default_value = "30d")]
    pub older_than: Duration,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `overnight backup` and `overnight restore`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
A backup holds the queue and, of jobs that are not over, their parts in the results folder; it ends with
backup.json, a list of all files with their hashes. Results of jobs that are over are yours to copy.")]
pub struct BackupArgs {
    /// The folder of the backup
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `overnight store`.
#[derive(Clone, Debug, ClapArgs)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// What can be done with the files of the queue.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum StoreVerb {
    /// Read every prompt and every record, and say whether all is whole
    Check,
    /// Make the index anew from the files
    Rebuild,
    /// Go on without what a damaged journal can no longer say
    Repair,
}
