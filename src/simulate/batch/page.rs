//! Which part of a list is asked for, in the words of each API.
//!
//! Pure.

use super::place;
use crate::catalog::batch::BatchDialect;
use crate::provider::simulated::batch::Batch;

/// A part of a list.
pub(super) struct Page {
    pub(super) from: usize,
    pub(super) until: usize,
    /// What the next one is called, where there is one.
    pub(super) next: Option<String>,
}

impl Page {
    /// The batches of a list that are asked for.
    pub(super) fn of(dialect: BatchDialect, query: &str, all: &[&Batch]) -> Page {
        let number = |name: &str| asked(query, name)?.parse::<usize>().ok();
        let behind = |name: &str| {
            let last = place::number(asked(query, name)?)?;
            all.iter().position(|batch| batch.number == last).map(|at| at + 1)
        };
        let (size, from) = match dialect {
            BatchDialect::Gemini => (number("pageSize"), number("pageToken")),
            BatchDialect::Mistral => {
                let size = number("page_size").unwrap_or(USUAL_PAGE);
                (Some(size), number("page").map(|page| page * size))
            }
            BatchDialect::Xai => (number("limit"), number("pagination_token")),
            BatchDialect::Anthropic => (number("limit"), behind("after_id")),
            BatchDialect::OpenAi | BatchDialect::OpenRouter => (number("limit"), behind("after")),
        };
        Page::from(from, size.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE), all.len())
    }

    /// The results of a batch of xAI that are asked for.
    pub(super) fn of_results(query: &str, len: usize) -> Page {
        let number = |name: &str| asked(query, name)?.parse::<usize>().ok();
        let size = number("limit").unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE_OF_RESULTS);
        Page::from(number("pagination_token"), size, len)
    }

    fn from(from: Option<usize>, size: usize, len: usize) -> Page {
        let from = from.unwrap_or(0).min(len);
        let until = (from + size).min(len);
        Page { from, until, next: (until < len).then(|| until.to_string()) }
    }
}

/// The last value of this name in a query.
fn asked<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
}

/// Batches on a page, where nobody says how many.
const USUAL_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// Results on a page of xAI.
pub(super) const LARGEST_PAGE_OF_RESULTS: usize = 1_000;
