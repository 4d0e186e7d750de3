//! Items whose prompts begin alike: one goes ahead, the others follow while its cache holds.
//!
//! Providers keep the beginning of a prompt for some minutes and bill it at a fraction when it comes again,
//! but only once the first answer is there: a hundred sent at once pay a hundred times. So where a route has
//! such a price, the first item of a group goes alone, and the others wait for its answer and then follow
//! back to back. A page of loaded items is put in order by group, so nothing is held in memory for that.
//!
//! A provider that keeps nothing unasked is told what to keep: each call of a group bears the name of another
//! of it ([`super::Call::beside`]), where writing the cache once and reading it for the rest pays.
//!
//! Nobody waits long: not near a deadline, not with `when = asap`, and never longer than [`PATIENCE`].
//!
//! Pure.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::flight::Flight;
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item, JobId};

/// Bytes that must be alike: 1,024 tokens, the least that providers keep, and the head of the request.
const PREFIX: usize = 4_608;
/// How long a cache holds after it was last read.
const LIFE: Duration = Duration::from_secs(300);
/// The longest that others wait for the first answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Beginnings that are remembered; more are sent as they come.
const MOST: usize = 4_096;

/// A lane, and the beginning of a prompt.
type Place = (usize, u32);

/// Items of a page that begin alike.
pub(super) struct Alike {
    count: u64,
    /// Two of them: each item shares its beginning with one that is not itself.
    two: [Arc<Item>; 2],
}

/// What is known of the caches of all lanes.
#[derive(Default)]
pub(super) struct Groups {
    caches: HashMap<Place, Cache>,
}

#[derive(Clone, Copy)]
enum Cache {
    /// The first request is on its way; others wait for it until then.
    Filling(AttemptId, Timestamp),
    /// Filled, and read until then.
    Filled(Timestamp),
}

impl Engine {
    /// Puts items of a page that begin alike next to each other, where some route of the step would bill the
    /// rest of them less.
    pub(super) fn side_by_side(&mut self, id: &JobId, key: (u16, u8), routes: &[Arc<Route>]) {
        if !routes.iter().any(|route| has_cache(route, self.now)) {
            return;
        }
        let step = self.queues.get_mut(id).expect("listed by order").step(key.0, key.1);
        // Only what has come since the last look can change anything.
        if step.alike.is_some() {
            return;
        }
        let ready = &mut step.ready;
        let (mut alike, mut first_at) = (HashMap::<u32, Alike>::new(), HashMap::new());
        let mut places = Vec::with_capacity(ready.len());
        for (at, item) in ready.iter().enumerate() {
            let place = prefix(item).map_or(at, |prefix| match first_at.get(&prefix) {
                Some(&first) => {
                    match alike.entry(prefix) {
                        Entry::Occupied(mut known) => known.get_mut().count += 1,
                        Entry::Vacant(new) => {
                            let two = [ready[first].clone(), item.clone()];
                            new.insert(Alike { count: 2, two });
                        }
                    }
                    first
                }
                None => *first_at.entry(prefix).or_insert(at),
            });
            places.push(place);
        }
        if !places.is_sorted() {
            let mut page: Vec<(usize, Arc<Item>)> = places.into_iter().zip(ready.drain(..)).collect();
            page.sort_by_key(|(place, _)| *place);
            *ready = page.into_iter().map(|(_, item)| item).collect::<VecDeque<_>>();
        }
        step.alike = Some(alike);
    }

    /// Until when an item waits for another that fills the cache of this route for it; `None` where it may go.
    pub(super) fn fills_until(&self, route: &Route, item: &Item) -> Option<Timestamp> {
        if self.groups.caches.is_empty() {
            return None;
        }
        let place = (self.lanes.find(&route.name)?, prefix(item)?);
        match self.groups.caches.get(&place)? {
            Cache::Filling(_, until) => Some(*until).filter(|&until| until > self.now),
            Cache::Filled(_) => None,
        }
    }

    /// Another item with which one that starts now shares its beginning, where having that kept pays. Who was
    /// too much in a hurry to wait for the first would write the cache once more.
    pub(super) fn shares_with(
        &self,
        lane: usize,
        (job, step): (&JobId, u8),
        item: &Item,
        attempt: AttemptId,
    ) -> Option<Arc<Item>> {
        let queue = self.queues.get(job)?.steps.get(&(item.class, step))?;
        let alike = queue.alike.as_ref().filter(|alike| !alike.is_empty())?;
        let prefix = prefix(item)?;
        let alike = alike.get(&prefix)?;
        match self.groups.caches.get(&(lane, prefix))? {
            Cache::Filling(first, _) if *first != attempt => return None,
            Cache::Filling(..) | Cache::Filled(_) => {}
        }
        let price = self.lanes.get(lane).route.prices.as_ref()?.at(self.now).1;
        let other = alike.two.iter().find(|other| other.index != item.index);
        other.filter(|_| price.cache_pays(alike.count)).cloned()
    }

    /// An attempt starts: it fills the cache where others of its page would read it and nothing holds it.
    pub(super) fn fill(&mut self, lane: usize, step: (&JobId, u8), item: &Item, attempt: AttemptId) {
        let now = self.now;
        let (job, number) = step;
        let queue = self.queues.get(job).and_then(|queue| queue.steps.get(&(item.class, number)));
        let Some(alike) = queue.and_then(|queue| queue.alike.as_ref()) else { return };
        let Some(prefix) = prefix(item).filter(|prefix| alike.contains_key(prefix)) else { return };
        if !has_cache(&self.lanes.get(lane).route, now) {
            return;
        }
        let caches = &mut self.groups.caches;
        let is_cold = match caches.get(&(lane, prefix)) {
            None => true,
            Some(Cache::Filled(until)) => *until <= now,
            Some(Cache::Filling(..)) => false,
        };
        if caches.len() >= MOST {
            caches.retain(|_, cache| !matches!(cache, Cache::Filled(until) if *until <= now));
        }
        if is_cold && caches.len() < MOST {
            caches.insert((lane, prefix), Cache::Filling(attempt, now + PATIENCE));
        }
    }

    /// An attempt is over: with an answer its cache is filled, or holds on; without one another has to fill it.
    pub(super) fn filled(&mut self, flight: &Flight, answered: bool) {
        if self.groups.caches.is_empty() {
            return;
        }
        let Some(place) = flight.lane.zip(prefix(&flight.call.item)) else { return };
        let Some(cache) = self.groups.caches.get_mut(&place) else { return };
        match *cache {
            _ if answered => *cache = Cache::Filled(self.now + LIFE),
            Cache::Filling(attempt, _) if attempt == flight.call.attempt => {
                self.groups.caches.remove(&place);
            }
            Cache::Filling(..) | Cache::Filled(_) => {}
        }
    }
}

impl Groups {
    /// The clock was set back: what was known of times is not known any more.
    pub(super) fn forget(&mut self) {
        self.caches.clear();
    }
}

/// Whether a route bills less for what it has read before.
fn has_cache(route: &Route, now: Timestamp) -> bool {
    let price = route.prices.as_ref().map(|table| *table.at(now).1);
    price.is_some_and(|price| price.cache_read.is_some_and(|read| read < price.input))
}

/// What stands for the beginning of a prompt; `None` where it is too short to be kept.
fn prefix(item: &Item) -> Option<u32> {
    item.body.json.get(..PREFIX).map(crc32c::crc32c)
}
