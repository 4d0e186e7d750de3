//! Pages of a list, as OpenAI cuts them: `after`, `limit`, `order`.
//!
//! Names are in the order things were made, so a cursor holds even when what it names is gone.
//!
//! Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Which page is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Paging {
    /// The last thing of the page before.
    pub(super) after: Option<String>,
    /// How many.
    pub(super) limit: Option<usize>,
    /// `asc`, or `desc` (newest first), which is usual.
    pub(super) order: Option<String>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Page<T> {
    object: &'static str,
    /// What is on it.
    pub(super) data: Vec<T>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl<T> Page<T> {
    /// The same page with each thing made into another.
    pub(super) fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        let Page { object, data, first_id, last_id, has_more } = self;
        Page { object, data: data.into_iter().map(each).collect(), first_id, last_id, has_more }
    }
}

impl Paging {
    /// Cuts a page out of what is kept by name. `usual` and `most` bound its length.
    pub(super) fn cut<T: Clone>(
        &self,
        all: &BTreeMap<String, T>,
        (usual, most): (usize, usize),
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Page<T>, ApiError> {
        let limit = self.limit.unwrap_or(usual);
        if !(1..=most).contains(&limit) {
            return Err(ApiError::invalid(format!("limit is a number from 1 to {most}")).param("limit"));
        }
        let after = self.after.as_deref();
        let mut found: Vec<(&String, &T)> = match self.order.as_deref() {
            Some("asc") => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let range = all.range::<str, _>((from, Bound::Unbounded));
                range.filter(|(_, thing)| wanted(thing)).take(limit + 1).collect()
            }
            None | Some("desc") => {
                let to = after.map_or(Bound::Unbounded, Bound::Excluded);
                let range = all.range::<str, _>((Bound::Unbounded, to)).rev();
                range.filter(|(_, thing)| wanted(thing)).take(limit + 1).collect()
            }
            Some(_) => return Err(ApiError::invalid("order is asc or desc").param("order")),
        };
        let has_more = found.len() > limit;
        found.truncate(limit);
        Ok(Page {
            object: "list",
            first_id: found.first().map(|(id, _)| (*id).clone()),
            last_id: found.last().map(|(id, _)| (*id).clone()),
            data: found.into_iter().map(|(_, thing)| thing.clone()).collect(),
            has_more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(paging: &Paging) -> (String, bool) {
        let all: BTreeMap<String, char> = ('a'..='g').map(|c| (c.to_string(), c)).collect();
        let page = paging.cut(&all, (3, 5), |&c| c != 'd').unwrap();
        (page.data.into_iter().collect(), page.has_more)
    }

    fn paging(after: Option<&str>, limit: Option<usize>, order: Option<&str>) -> Paging {
        Paging { after: after.map(str::to_owned), limit, order: order.map(str::to_owned) }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        assert_eq!(page(&Paging::default()), ("gfe".to_owned(), true));
        assert_eq!(page(&paging(Some("e"), None, None)), ("cba".to_owned(), false));
        assert_eq!(page(&paging(None, Some(2), Some("asc"))), ("ab".to_owned(), true));
        assert_eq!(page(&paging(Some("b"), Some(5), Some("asc"))), ("cefg".to_owned(), false));
        assert_eq!(page(&paging(Some("a"), None, None)), (String::new(), false));
    }

    #[test]
    fn a_cursor_holds_when_what_it_names_is_gone() {
        assert_eq!(page(&paging(Some("d"), None, Some("asc"))), ("efg".to_owned(), false));
    }

    #[test]
    fn a_page_has_bounds() {
        let all = BTreeMap::from([("a".to_owned(), 'a')]);
        for bad in [paging(None, Some(0), None), paging(None, Some(6), None), paging(None, None, Some("up"))]
        {
            assert!(bad.cut(&all, (3, 5), |_| true).is_err(), "{bad:?}");
        }
    }
}
