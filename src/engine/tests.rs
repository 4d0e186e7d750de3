//! Scripted evenings: events in, effects out, one fact a test. The builder is [`bench`].

mod batches;
mod bench;
mod budgets;
mod copies;
mod free;
mod groups;
mod hedges;
mod ladders;
mod orders;
mod router;
mod routes;
mod schedule;
mod spending;
