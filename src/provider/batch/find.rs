//! Looking for a batch whose creation was never answered, so that none is made twice.
//!
//! The rule it protects: "there is none" is only said after the whole list was seen. An answer that is no
//! list, a list without an end and one whose order is not known are never taken for an empty one.
//!
//! Shell.

use std::collections::BTreeSet;
use std::time::Duration;

use super::client::Batches;
use super::collect::Collecting;
use super::dialect::{Address, Seen};
use crate::batch::{AskError, BatchRef, Cursor, Found, Line, LineId, Mark, Search};
use crate::catalog::batch::FoundBy;
use crate::clock::{self, Timestamp};

/// A batch may have been made a little before we think, by the provider's clock.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// Pages of a list that are looked through; a hundred batches each.
const MOST_PAGES: usize = 100;

/// Lines of results that are read to see whose a batch is.
const LINES_LOOKED_AT: usize = 16;

/// What a search has come across.
#[derive(Default)]
struct Across {
    /// By the provider's names: a page that is asked for while batches are made shows some again.
    seen: BTreeSet<String>,
    exact: Vec<BatchRef>,
    perhaps: Vec<BatchRef>,
}

impl Batches<'_> {
    /// Looks for a batch whose creation was never answered; see the rules in [`super`].
    pub async fn find(&self, search: &Search) -> Result<Found, AskError> {
        let (mut across, mut page) = (Across::default(), None);
        for _ in 0..MOST_PAGES {
            page = self.look_through(search, page.as_deref(), &mut across).await?;
            if page.is_none() {
                break;
            }
        }
        if page.is_some() && across.exact.is_empty() {
            // Not having looked everywhere must not pass for "nothing".
            return Err(AskError::Broken(format!("the list of batches has more than {MOST_PAGES} pages")));
        }
        let Across { mut exact, perhaps, .. } = across;
        Ok(match (exact.len(), perhaps.is_empty()) {
            (1, _) => Found::This(exact.remove(0)),
            (2.., _) => Found::Several(exact),
            (0, false) => Found::Perhaps(perhaps),
            (0, true) => Found::Nothing,
        })
    }

    /// Looks through a page of the list; what the next one is called, where one may hold what is looked for.
    async fn look_through(
        &self,
        search: &Search,
        page: Option<&str>,
        across: &mut Across,
    ) -> Result<Option<String>, AskError> {
        let list = self.dialect().list(&search.order, self.api, page);
        let answer = self.answer(&list, search.order.wire).await?;
        let oldest = search.since - ahead_of(answer.date()) - CLOCK_SKEW;
        let listed = answer.json().and_then(|list| self.dialect().listed(&list, page));
        let (seen, next) =
            listed.ok_or_else(|| AskError::Broken(format!("no batches are listed by {}", answer.start())))?;
        let rest_is_older = is_newest_first(&seen) && seen.iter().all(|batch| is_older(batch, oldest));
        for batch in seen {
            let is_known = search.known.contains(&batch.id) || !across.seen.insert(batch.id.clone());
            // A mark is given once, so that no clock has to agree with it.
            let is_marked = batch.mark == Some(search.order.mark);
            if is_known || is_older(&batch, oldest) && !is_marked {
                continue;
            }
            let found = BatchRef { id: batch.id.clone(), mark: search.order.mark, wire: search.order.wire };
            match self.is_it(&batch, &found, search.len).await? {
                Some(true) => across.exact.push(found),
                None => across.perhaps.push(found),
                Some(false) => {}
            }
        }
        Ok(next.filter(|_| !rest_is_older))
    }

    /// Whether a batch that is listed is this one of ours, of so many lines; `None` where it cannot be told
    /// yet.
    async fn is_it(&self, seen: &Seen, ours: &BatchRef, len: u64) -> Result<Option<bool>, AskError> {
        match self.api.found_by {
            FoundBy::Lines if !seen.state.has_ended() => {
                Ok(if [0, len].contains(&seen.counts.total) { None } else { Some(false) })
            }
            _ => self.is_ours(seen, ours).await,
        }
    }

    /// Whether what is described bears our mark; `None` where nothing on it says so.
    pub(super) async fn is_ours(&self, seen: &Seen, ours: &BatchRef) -> Result<Option<bool>, AskError> {
        match self.api.found_by {
            FoundBy::Mark => Ok(Some(seen.mark == Some(ours.mark))),
            FoundBy::FileName => {
                let Some(file) = &seen.input_file else { return Ok(Some(false)) };
                match self.get(&Address::new(self.dialect().file(file)), ours.wire).await {
                    Ok(about) => {
                        Ok(Some(about["filename"].as_str() == Some(&format!("{}.jsonl", ours.mark))))
                    }
                    // Its file was deleted, and with it the name; we do so with what was read to its end.
                    Err(AskError::Gone(_)) if seen.state.has_ended() => {
                        Ok(Some(self.bears(seen, ours).await? == Some(true)))
                    }
                    Err(AskError::Gone(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            // Its lines say it for certain; what it counts of them when it is over may be wrong.
            FoundBy::Lines => self.bears(seen, ours).await,
        }
    }

    /// Whether the first lines of a batch's results have our mark. One without any proves little: lines of
    /// somebody else have been seen among ours.
    async fn bears(&self, seen: &Seen, ours: &BatchRef) -> Result<Option<bool>, AskError> {
        let mut results = Collecting::new(*self, ours.clone(), seen.results.clone(), Cursor::default());
        for _ in 0..LINES_LOOKED_AT {
            match results.next().await {
                Ok(Some(Line { id: LineId::Ours(_), .. })) => return Ok(Some(true)),
                Ok(Some(Line { id: LineId::Foreign(id), .. })) if Mark::of_line(&id).is_some() => {
                    return Ok(Some(false));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(AskError::Gone(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Whether later pages can only hold older batches. Not every copy of an API keeps its order.
fn is_newest_first(page: &[Seen]) -> bool {
    let made_at = |batch: Option<&Seen>| batch.and_then(|batch| batch.made_at);
    matches!((made_at(page.first()), made_at(page.last())), (Some(first), Some(last)) if first > last)
}

fn is_older(batch: &Seen, than: Timestamp) -> bool {
    batch.made_at.is_some_and(|made_at| made_at < than)
}

/// How far our clock is ahead of a provider's that says it is this late.
fn ahead_of(date: Option<Timestamp>) -> Duration {
    date.map_or(Duration::ZERO, |date| clock::now().since(date))
}
