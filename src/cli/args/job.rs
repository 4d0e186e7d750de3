//! Flags of the verbs that make or do jobs: plan, submit, run, retry, daemon.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::look::StateFilter;
use super::value::{CheckArg, ErrorCodeParser, MomentArg, Setting, StepArg, Tag};
use crate::attempt::ErrorCode;
use crate::job::{Duplicates, Hedge, When, Worth};
use crate::money::Usd;

const SUBMIT_EXAMPLES: &str = "\
Examples:
  overnight submit reviews.jsonl --deadline 06:00 --max-cost '$5'
  overnight submit rows.csv --prompt 'Summarise in one sentence: {{ text }}' --id-field id
  overnight submit reviews.jsonl --model openai/gpt-5-mini --model openai/gpt-5 --check schema:review.schema.json
  zcat huge.jsonl.gz | overnight submit - --name huge --tag team=search

The same file with the same options is the same job, however often it is submitted; --again queues it anew.
Without a daemon (`overnight daemon`) the job waits; `overnight run --resume JOB` works on it at once.";

const RUN_EXAMPLES: &str = "\
Examples:
  overnight run prompts.jsonl
  overnight run prompts.jsonl --when asap --max-cost '$2' --check json
  overnight run --resume job_01kb3v6m8d

Ctrl-C once: stop sending, keep the answers on their way, leave the rest queued. Twice: stop at once.
The exit code says how it ended: 0 all succeeded, 3 some failed, 5 stopped by the cap, 8 deadline missed.";

const PLAN_EXAMPLES: &str = "\
Examples:
  overnight plan reviews.jsonl --deadline 18:00
  overnight plan reviews.jsonl --rehearse
  overnight plan reviews.jsonl --sample 200                  send 200 items to measure what all would cost
  overnight plan --replay job_01kb3v6m8d --with 'ladder=openai/gpt-5-mini > openai/gpt-5'

Nothing is sent and nothing is queued, but for the items of --sample; without it no key is needed.
Exit code 8: the deadline cannot be met.";

/// What may be asked of a job; stands in for `[defaults]` of the config.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct JobFlags {
    /// Models that may answer, equals separated by commas; repeat it for the next stronger step
    #[arg(long = "model", value_name = "A,B", help_heading = "What is asked")]
    pub models: Vec<StepArg>,
    /// Render every row with this template: `Summarise: {{ text }}`
    #[arg(long, value_name = "TEMPLATE", help_heading = "What is asked")]
    pub prompt: Option<String>,
    /// System prompt for every item that has none
    #[arg(long, value_name = "TEXT", help_heading = "What is asked")]
    pub system: Option<String>,
    /// Set a field of every request body, as JSON where it is JSON: `temperature=0`
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "What is asked")]
    pub settings: Vec<Setting>,
    /// Judge answers: json, schema:FILE, regex:RE, choices:a,b, contains:TEXT, max_chars:N or command:CMD; repeatable
    #[arg(long = "check", value_name = "CHECK", help_heading = "What is asked")]
    pub checks: Vec<CheckArg>,
    /// Take answers that were cut off at the output limit as they are
    #[arg(long, help_heading = "What is asked")]
    pub accept_truncated: bool,
    /// Be done by then: 06:00 (the next one here), 8h, or RFC 3339
    #[arg(long, value_name = "WHEN", help_heading = "When and for how much")]
    pub deadline: Option<MomentArg>,
    /// Never spend more on this job: $5, $0.002 or "5 USD"
    #[arg(long, value_name = "USD", help_heading = "When and for how much")]
    pub max_cost: Option<Usd>,
    /// Give an item up where one more success would probably cost more: $0.05, or "unlimited"
    #[arg(long, value_name = "USD", help_heading = "When and for how much")]
    pub give_up_above: Option<Worth>,
    /// When to send
    #[arg(long, value_name = "WHEN", value_enum, help_heading = "When and for how much")]
    pub when: Option<When>,
    /// Go before (100) or after (-100) other jobs
    #[arg(long, value_name = "-100..100", value_parser = clap::value_parser!(i8).range(-100..=100),
          allow_negative_numbers = true, help_heading = "When and for how much")]
    pub priority: Option<i8>,
    /// A request that repeats an earlier line's: answer it once where temperature is 0 (auto), always, or send it
    #[arg(long, value_name = "WHAT", value_enum, help_heading = "When and for how much")]
    pub duplicates: Option<Duplicates>,
    /// Let a second route race an answer that is late, where there is room to spare
    #[arg(long, value_name = "WHAT", value_enum, help_heading = "When and for how much")]
    pub hedge: Option<Hedge>,
    /// Use models whose price is unknown; they count as nothing in every cap
    #[arg(long, help_heading = "When and for how much")]
    pub allow_unpriced: bool,
    /// Attribute costs, for reports: `team=search`; repeatable
    #[arg(long = "tag", value_name = "KEY=VALUE", help_heading = "How it is known")]
    pub tags: Vec<Tag>,
    /// What to call the job [default: the file's name]
    #[arg(long, value_name = "NAME", help_heading = "How it is known")]
    pub name: Option<String>,
    /// Take item ids from this field
    #[arg(long, value_name = "FIELD", help_heading = "How it is known")]
    pub id_field: Option<String>,
    /// Number lines that have no id, and those whose id is taken
    #[arg(long, help_heading = "How it is known")]
    pub auto_id: bool,
    /// Take only the first N lines
    #[arg(long, value_name = "N", help_heading = "Which lines")]
    pub limit: Option<NonZeroU32>,
    /// Take only N lines, spread evenly over the file
    #[arg(long, value_name = "N", conflicts_with = "limit", help_heading = "Which lines")]
    pub sample: Option<NonZeroU32>,
    /// Leave out lines that cannot be used, and write them to a rejects file
    #[arg(long, help_heading = "Which lines")]
    pub skip_bad: bool,
}

/// What only matters where a job is queued.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct QueueFlags {
    /// Queue a new job even if the same file was submitted with the same options before
    #[arg(long, help_heading = "How it is known")]
    pub again: bool,
    /// Write the requests to the results too
    #[arg(long, help_heading = "How it is known")]
    pub keep_input: bool,
}

/// `overnight plan`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = PLAN_EXAMPLES)]
pub struct PlanArgs {
    /// JSONL, CSV or Parquet files, .gz and .zst too; `-` is stdin
    #[arg(required_unless_present = "replay", conflicts_with = "replay", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Play the night on the engine in virtual time, with simulated providers
    #[arg(long)]
    pub rehearse: bool,
    /// Say what a job that is over would have cost under other terms: --with, --model, --max-cost, --when
    #[arg(long, value_name = "JOB")]
    pub replay: Option<String>,
    /// A term of the replay: ladder='A|B > C', prices=FILE, max_cost=$5, give_up_above=$0.05; repeatable
    #[arg(long, value_name = "KEY=VALUE", requires = "replay")]
    pub with: Vec<String>,
    /// What is asked of the job.
    #[command(flatten)]
    pub job: JobFlags,
}

/// `overnight submit`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = SUBMIT_EXAMPLES)]
pub struct SubmitArgs {
    /// JSONL, CSV or Parquet files, .gz and .zst too; `-` is stdin; each is a job
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What is asked of the jobs.
    #[command(flatten)]
    pub job: JobFlags,
    /// How they are queued.
    #[command(flatten)]
    pub queue: QueueFlags,
}

/// `overnight run`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// JSONL, CSV or Parquet files, .gz and .zst too; `-` is stdin; each is a job
    #[arg(required_unless_present = "resume", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Work on this queued job instead
    #[arg(long, value_name = "JOB", conflicts_with = "files")]
    pub resume: Option<String>,
    /// What is asked of the jobs.
    #[command(flatten)]
    pub job: JobFlags,
    /// How they are queued.
    #[command(flatten)]
    pub queue: QueueFlags,
}

/// `overnight daemon`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(
    after_help = "SIGTERM stops sending, waits for answers on their way, saves and exits 0; a second one stops at once."
)]
pub struct DaemonArgs {
    /// Stop at this time: 06:00 (the next one here), 8h, or RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub until: Option<MomentArg>,
    /// Stop when nothing is left to do
    #[arg(long, conflicts_with = "until")]
    pub drain: bool,
    /// Serve the HTTP API there, in place of the `listen` of the config
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// `overnight retry`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Example:
  overnight retry job_01kb3v6m8d --reason schema_mismatch --model openai/gpt-5-mini --dry-run

The new job holds the selected items under their own names. What the old job says stays as it is; results,
items, show and report of the old job take the new answers in.")]
pub struct RetryArgs {
    /// The job whose items are wanted
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Only items that ended like this [default: failed,expired]
    #[arg(long = "state", value_name = "STATE", value_enum, value_delimiter = ',')]
    pub states: Vec<StateFilter>,
    /// Only items that did not succeed for these reasons, separated by commas
    #[arg(long = "reason", value_name = "REASON", value_parser = ErrorCodeParser, value_delimiter = ',')]
    pub reasons: Vec<ErrorCode>,
    /// Ask these models instead; repeat it for the next stronger step
    #[arg(long = "model", value_name = "A,B")]
    pub models: Vec<StepArg>,
    /// Judge answers by this instead: json, schema:FILE, regex:RE, choices:a,b, contains:TEXT, max_chars:N or command:CMD; repeatable
    #[arg(long = "check", value_name = "CHECK")]
    pub checks: Vec<CheckArg>,
    /// Never spend more on the new job [default: the job's cap]
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<Usd>,
    /// Be done by then: 06:00, 8h, or RFC 3339 [default: the item's, if still to come, else the config's]
    #[arg(long, value_name = "WHEN")]
    pub deadline: Option<MomentArg>,
    /// Mark these items as manual rework, counted in reports: a person had to step in
    #[arg(long)]
    pub rework: bool,
    /// Say what would be queued, and queue nothing
    #[arg(long)]
    pub dry_run: bool,
}
