//! Calling providers: a request in their wire format out, an [`Ending`](crate::attempt::Ending) back.
//!
//! A wire family is three pure mappings (request, answer, error); address, authentication and the
//! ways a vendor differs are data in [`crate::catalog::endpoint`]. Limits, retries and prices are
//! decided elsewhere: what is sent here is sent once.
//!
//! - [`openai`], [`anthropic`], [`gemini`]: the mappings of a family each. What refusals mean is one
//!   vocabulary for all, because gateways pass on the words of whoever is behind them.
//! - [`translate`]: requests and answers of one family as those of another.
//! - [`conventions`]: how the other families count usage.
//! - [`limits`]: rate-limit headers and `Retry-After`.
//! - [`http`]: the shell that sends; [`client`]: the one HTTP client all providers share.
//! - [`batch`]: many requests at once, for half the price.
//! - [`simulated`]: a provider that is all made up, with books of its own.

pub mod anthropic;
pub mod batch;
pub mod client;
pub mod conventions;
pub mod gemini;
pub mod http;
mod lane;
pub mod limits;
pub mod openai;
mod refusal;
mod response;
mod scrub;
pub mod simulated;
mod text;
pub mod translate;
mod words;
