//! `overnight` gets large sets of LLM prompts answered by morning, for the least money that still
//! gets every item right.
//!
//! Jobs are JSONL files. A durable queue holds them; an engine sends each item to the cheapest
//! eligible route within its rate limits, hours and budget; answers are checked, and only what fails
//! moves to a stronger model; results and the cost of every attempt land in Parquet.
//!
//! # One engine, three drivers
//!
//! The [`engine`] is a value: `handle(now, event) -> effects`. It decides everything and does nothing.
//!
//! | driver | clock | providers | store | for |
//! |---|---|---|---|---|
//! | [`live`] | the machine's | HTTP | files and sled | `run`, `daemon` |
//! | [`rehearse`] | virtual | simulated | in memory | `plan --rehearse` |
//! | the tests' nights | virtual | simulated, with faults and a ledger of their own | in memory, over a week on disk; with power cuts | `tests/it/nights`, `tests/it/week` |
//!
//! So the forecast comes from the code that will spend the money, and a crash can be replayed from a
//! seed.
//!
//! # The house, in reading order
//!
//! P is pure: no I/O, no clock, no randomness, no tokio. S is shell. Nothing P imports anything S.
//!
//! ```text
//! P  money      Usd in pico-dollars; price × usage = cost
//! P  job        the nouns: Job, Item, Body, Ladder, Class
//! P  attempt    what can come of a call, sorted by what it means
//! P  batch      what can come of many calls handed over at once
//! P  check      is this answer good?            (a check command runs in the shell)
//! P  catalog    providers, models, prices, hours → routes; the table is data
//! P  input      a line of any accepted format → Item                 (opening files: S)
//! P  record     what is written down
//! P  ledger     what the records add up to: the durable state
//! P  plan       which route, whether now: price, quota, health, odds
//! P  engine     the rules: events in, effects out
//! P  view       what a person is shown of a job
//! P  tenant     tokens, whom they stand for, what each may see
//! P  metrics    what a monitor is told         P  schedule   when files are submitted by themselves
//! P  escape     other people's text, made safe to print
//! S  store      prompts and journal as files, sled as their index; an in-memory twin
//! S  provider   adapters by wire family, HTTP; P: the simulated provider
//! S  results    records → Parquet parts → exports
//! P  report     rows → summaries, charts, pages
//! S  live       the live driver                 P  rehearse   the virtual one
//! S  simulate   the simulated provider over HTTP
//! S  config     overnight.toml → settings       S  control    the local socket
//! S  webhook    alerts, signed                  S  traces     spans of attempts, over OTLP
//! S  serve      the HTTP API of the daemon, and its dashboard
//! S  cli        one file a verb
//! ```
//!
//! # Where this differs from what one would first draw
//!
//! - *Event-sourced.* The durable state changes only by applying the record that is written in the same
//!   step ([`ledger`]), so recovery is the same fold as running.
//! - *An item is two bytes, not one.* Attempts and unknown outcomes are counted exactly across restarts.
//! - *Items are queued by class.* Ladder, priority, deadline and `not_before` are shared by most items of
//!   a job; naming the combinations lets millions of items wait without being read.
//! - *A retry is a job of its own* that names the original. Final states stay final, a finished job's
//!   files never change, and `results` shows the newest row of each item.
//! - *The prompt segments carry their own offsets*, so sled indexes item states only.

pub mod attempt;
pub mod batch;
pub mod catalog;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod engine;
pub mod escape;
pub mod input;
pub mod job;
pub mod ledger;
pub mod live;
pub mod metrics;
pub mod money;
pub mod plan;
pub mod provider;
pub mod record;
pub mod rehearse;
pub mod report;
pub mod results;
pub mod schedule;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod tenant;
pub mod traces;
pub mod view;
pub mod webhook;
