//! The real binary and the public interface, whole.
//!
//! Run them with `tests/run`, which installs the readers that some of them judge by.

/// Who spent it: reports against DuckDB's sums over the same files.
mod attribution;
/// Bad input: files, lines, answers, disks and configs, each said and survived.
mod bad_input;
/// Twenty thousand items in the batches of three providers, with faults and kills.
mod batch_night;
/// Batches of every kind, by one set of tests.
mod batches;
/// Our files and a provider's log, held against each other.
mod books;
/// Budgets of the whole program, by the provider's own ledger.
mod budgets;
/// Prompts that begin alike, and what is kept of them.
mod caches;
/// Keys appear nowhere, prompts only where they belong.
mod canary;
/// Verbs, flags, streams and exit codes of the binary.
mod cli;
/// Ten thousand items against a provider that keeps books of its own.
mod counterpart;
/// The daemon by itself: schedules, watched folders, reloads, the morning report, operations.
mod daemon;
/// Costs against an exact model in another language.
mod exact;
/// Every wire family, by one set of tests.
mod families;
/// What accounts give for nothing.
mod free;
/// DuckDB, Polars and pyarrow.
mod judges;
/// `kill -9`, fifty times.
mod kills;
/// Simulated nights: the engine under faults, power cuts and clock jumps, from seeds.
mod nights;
/// Real gateways and a real inference server.
mod peers;
/// `plan`: forecasts, samples, replays.
mod planning;
/// Every provider of the bundled table, by its own profile.
mod profiles;
/// The verbs that read: results, items, show, report, retry, gc, and those about the set-up.
mod reading;
/// What the README shows is what the binary prints.
mod readme;
/// A job file to work on.
mod reviews;
/// The routing score: its reading, its bounds, its figures.
mod score;
/// The HTTP API of the daemon, by plain requests and by the SDKs of others.
mod serve;
/// `providers check`, and what it tries out.
mod smoke;
/// What more than one of the others needs.
mod support;
/// Bad keys, no credit, retired models, providers that are down.
mod trouble;
/// Seven nights in a row: schedules, sleep, power cuts and budgets, on virtual time.
mod week;
/// Jobs done by the binary: submit, run, daemon, plan, demo.
mod work;
