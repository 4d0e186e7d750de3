//! Calling providers: a request in their wire format out, an [`Ending`](crate::attempt::Ending) back.
//!
//! A wire family is three pure mappings (request, answer, error); address, authentication and the
//! ways a vendor differs are data in [`crate::catalog::endpoint`]. Limits, retries and prices are
//! decided elsewhere: what is sent here is sent once.
//!
//! - [`openai`]: the mappings of the OpenAI family, which most of the field speaks.
//! - [`translate`]: other request formats as chat completions.
//! - [`conventions`]: how the other families count usage.
//! - [`limits`]: rate-limit headers and `Retry-After`.
//! - [`http`]: the shell that sends; [`client`]: the one HTTP client all providers share.
//! - [`simulated`]: a provider that is all made up, with books of its own.

pub mod client;
pub mod conventions;
pub mod http;
pub mod limits;
pub mod openai;
mod scrub;
pub mod simulated;
pub mod translate;
