//! Which route, and whether now: the decisions that depend on price, hours, quotas and health.
//!
//! [`route`] compares the routes of a step for one item; [`quota`] says how much may be sent;
//! [`health`] remembers which accounts and routes answer; [`price`] turns tokens into money.
//!
//! Pure.

pub mod health;
pub mod price;
pub mod quota;
pub mod route;
pub mod schedule;

#[cfg(test)]
pub(crate) mod testing;
