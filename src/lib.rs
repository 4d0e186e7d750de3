//! `overnight` gets large sets of LLM prompts answered by morning, for the least money that still
//! gets every item right.

pub mod attempt;
pub mod catalog;
pub mod check;
pub mod clock;
pub mod engine;
pub mod input;
pub mod job;
pub mod ledger;
pub mod money;
pub mod record;
pub mod store;
pub mod view;
