//! Provider batches: many requests handed over at once, answered within a day, for half the price.
//!
//! [`Batches`] speaks with one account. It makes no decision: what goes into a batch, when to look again,
//! what becomes of a line is for whoever drives it, and so is writing down what is done. Requests are
//! made and answers are read by the same mappings as those of realtime calls; a dialect (`openai`,
//! `anthropic`, `gemini`, `mistral`, `openrouter`, `xai`) only says what goes around them, as pure functions over
//! one client.
//!
//! # The life of a batch, and what must be durable before each step
//!
//! ```text
//!             intent ──────► create ──────► poll ──────► collect ─────► settled
//!               │              │ Unknown      ▲ │ not ended  │ cut: again from the cursor
//!               │              ▼              │ └──────┐     │
//!               └─ crash ──► find ── This ────┘ ◄──────┘     ▼
//!                              │ Nothing, twice        lines, one by one; what Roll::missing
//!                              └───────► create        names at the end never ran
//! ```
//!
//! | step | before it, durable | after it, to be written down |
//! |---|---|---|
//! | fill a [`Draft`] | – | – (the draft itself may be lost; it is made anew from the items) |
//! | [`Batches::create`] | the intent: [`Mark`], route, every attempt with its worst case reserved | [`BatchRef`] |
//! | … ends as [`CreateError::NotCreated`] | | the attempts are not sent, whatever the reason |
//! | … ends as [`CreateError::Unknown`], or we crashed | | nothing: go on with `find` |
//! | [`Batches::find`] | the intent | [`BatchRef`] of the one that is adopted |
//! | [`Batches::poll`] | [`BatchRef`] | nothing, until it has ended |
//! | [`Batches::collect`] | [`BatchRef`] | each line's outcome, with the [`Cursor`] behind it |
//! | [`Batches::cancel`] | [`BatchRef`], and that it is unwanted | nothing: go on with `poll` |
//! | [`Batches::clear`] | the outcome of every line | nothing: what is left for lack of an answer is only untidy |
//! | [`Batches::clear_unmade`] | that there is no such batch | nothing |
//!
//! # Rules
//!
//! - *Look before creating again.* A batch that may exist is searched for first. [`Found::Nothing`]
//!   counts only when two searches a minute apart agree, because lists lag behind. [`Found::Perhaps`] with
//!   one candidate may be adopted: the ids of its lines will show whose it is. With several, wait for a
//!   person or until they have ended.
//! - *An ended batch is always collected*, however it ended: expired and cancelled ones hold answers that
//!   were billed. A batch that failed as a whole ([`Ended::Failed`]) ran nothing.
//! - *Counts are not trusted*, and neither is "completed". What has no line has not run
//!   ([`Roll::missing`]); it is free to be asked again. What has two lines counts once.
//! - *Nothing is sent twice here.* There are no retries in this module; asking again is harmless for all
//!   but `create`.
//! - *Results that are not there yet* ([`AskError::Gone`] soon after the end) come later at some
//!   providers; long after the end they were deleted. In the same way an ended batch that names no results
//!   is looked at again before it is believed.
//! - *Nothing of ours stays there.* Once its lines are durable, the prompts and answers of a batch are
//!   deleted, unless the account keeps them; never what does not bear our mark. OpenRouter and xAI let
//!   nobody delete results.
//!
//! Shell: [`Batches`], [`Draft`], [`Collecting`]; the rest is pure. The words are [`crate::batch`]'s.
//!
//! [`AskError::Gone`]: crate::batch::AskError::Gone
//! [`BatchRef`]: crate::batch::BatchRef
//! [`CreateError::NotCreated`]: crate::batch::CreateError::NotCreated
//! [`CreateError::Unknown`]: crate::batch::CreateError::Unknown
//! [`Cursor`]: crate::batch::Cursor
//! [`Ended::Failed`]: crate::batch::Ended::Failed
//! [`Found::Nothing`]: crate::batch::Found::Nothing
//! [`Found::Perhaps`]: crate::batch::Found::Perhaps
//! [`Mark`]: crate::batch::Mark
//! [`Roll::missing`]: crate::batch::Roll::missing

mod anthropic;
mod clear;
mod client;
mod collect;
mod dialect;
mod draft;
mod exchange;
mod find;
mod gemini;
mod mistral;
mod openai;
mod openrouter;
mod split;
mod upload;
mod why;
mod xai;

pub use client::Batches;
pub use collect::Collecting;
pub use draft::{Added, Draft};

#[cfg(test)]
mod tests;
