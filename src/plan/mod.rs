//! Which route, and whether now: the decisions that depend on price, hours, quotas and health.
//!
//! [`route`] compares the routes of a step for one item; [`quota`] says how much may be sent;
//! [`health`] remembers which accounts and routes answer; [`price`] turns tokens into money; [`limit`] says
//! how much longer an answer that was cut off may become; [`hedge`] when a second route may race a late answer; [`tokens`] counts by family, [`sample`] does so for
//! a few items of a file; [`estimate`] learns from what providers report.
//!
//! What an attempt is worth: [`tally`] counts what checks said of each model, [`odds`] are the chances that
//! follow from the counts, [`router`] weighs them against the cost, [`stop`] says when an item is given up,
//! and [`shrunk`] learns means such as the length of an answer.
//!
//! What is to be expected of a night: [`schedule`] places attempts in time, [`forecast`] says what they come to.
//!
//! Pure.

pub mod estimate;
pub mod forecast;
pub mod health;
pub mod hedge;
pub mod limit;
pub mod odds;
pub mod price;
pub mod quota;
pub mod route;
pub mod router;
pub mod sample;
pub mod schedule;
pub mod shrunk;
pub mod stop;
pub mod tally;
pub mod tokens;

#[cfg(test)]
pub(crate) mod testing;
