//! The routes at work: each a lane with its quota, on an account with its health.
//!
//! Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::Notice;
use crate::attempt::{Ending, Outcome, RefusalKind};
use crate::catalog::names::is_same_model;
use crate::catalog::{Limits, Route};
use crate::clock::Timestamp;
use crate::job::{AttemptId, Item};
use crate::money::Usage;
use crate::plan::health::{Account, Shut};
use crate::plan::quota::Quota;
use crate::plan::route::{BATCH, Door, FLEX};
use crate::view::Waiting;

/// One route at work.
pub(super) struct Lane {
    pub route: Arc<Route>,
    pub account: usize,
    pub quota: Quota,
    pub dead: Option<Arc<str>>,
    /// Recorded, waiting for room.
    pub ready: VecDeque<AttemptId>,
    /// Started without room, not sent yet.
    pub ahead: u32,
    /// Sends of this second and of the last.
    sends: (i64, u32, u32),
}

/// All routes and the accounts they belong to.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    accounts: Vec<(Arc<str>, Account, Quota)>,
    by_name: HashMap<Arc<str>, usize>,
    steps: BTreeMap<Vec<String>, Arc<[Arc<Route>]>>,
    /// Calls that may be in flight over all routes.
    pub(super) most_calls: u32,
    in_flight: u32,
    is_full_known: bool,
}

impl Lanes {
    pub(super) fn new(routes: Vec<Arc<Route>>, now: Timestamp) -> Lanes {
        let mut lanes = Lanes {
            lanes: Vec::new(),
            accounts: Vec::new(),
            by_name: HashMap::new(),
            steps: BTreeMap::new(),
            most_calls: u32::MAX,
            in_flight: 0,
            is_full_known: false,
        };
        lanes.add(routes, now);
        lanes
    }

    /// Opens a lane for every route that has none.
    pub(super) fn add(&mut self, routes: Vec<Arc<Route>>, now: Timestamp) {
        for route in routes {
            if self.find(&route.name).is_some() {
                continue;
            }
            let known = self.accounts.iter().position(|(name, ..)| *name == route.account);
            let account = known.unwrap_or_else(|| {
                let limits = route.account_limits;
                // Without a stated ceiling the account adds none to those of its routes.
                let quota = Quota::unlimited_unless(limits, now);
                self.accounts.push((route.account.clone(), Account::new(now), quota));
                self.accounts.len() - 1
            });
            self.by_name.insert(route.name.clone(), self.lanes.len());
            let quota = Quota::new(ceiling(&route), now);
            let ready = VecDeque::new();
            self.lanes.push(Lane { route, account, quota, dead: None, ready, ahead: 0, sends: (0, 0, 0) });
        }
        // Which routes a step has was worked out without the new ones.
        self.steps.clear();
    }

    /// Gives every lane the route of its name, with its prices and limits; one that has none any more takes
    /// nothing. What is in flight stays counted.
    pub(super) fn replace(&mut self, routes: Vec<Arc<Route>>, now: Timestamp) {
        let by_name: HashMap<&str, &Arc<Route>> = routes.iter().map(|route| (&*route.name, route)).collect();
        for lane in &mut self.lanes {
            lane.route = match by_name.get(&*lane.route.name) {
                Some(route) => Arc::clone(route),
                None => {
                    let unusable = Some("it is no longer in the config".to_owned());
                    Arc::new(Route { unusable, ..(*lane.route).clone() })
                }
            };
            let of_account = lane.route.account_limits;
            lane.quota.set_ceiling(ceiling(&lane.route), now);
            let concurrency = of_account.concurrency.or(Some(u32::MAX));
            self.accounts[lane.account].2.set_ceiling(Limits { concurrency, ..of_account }, now);
        }
        self.add(routes, now);
    }

    pub(super) fn find(&self, route: &str) -> Option<usize> {
        self.by_name.get(route).copied()
    }

    pub(super) fn get(&self, lane: usize) -> &Lane {
        &self.lanes[lane]
    }

    pub(super) fn get_mut(&mut self, lane: usize) -> &mut Lane {
        &mut self.lanes[lane]
    }

    /// The realtime route of a route's model; itself where there is none.
    pub(super) fn realtime(&self, route: &Arc<Route>) -> Arc<Route> {
        let name = route.name.strip_suffix(&*route.lane).map(str::trim_end);
        let lane = name.and_then(|name| self.find(name));
        lane.map_or_else(|| route.clone(), |lane| self.get(lane).route.clone())
    }

    /// The realtime route of a model that was asked on the flex lane, where another tier was served.
    pub(super) fn served(&self, asked: &Arc<Route>, tier: Option<&str>) -> Arc<Route> {
        let is_flex = &*asked.lane == FLEX && tier.is_some_and(|tier| tier != FLEX);
        let realtime = is_flex.then(|| asked.name.strip_suffix(FLEX)).flatten();
        let lane = realtime.and_then(|name| self.find(name.trim_end()));
        lane.map_or_else(|| asked.clone(), |lane| self.get(lane).route.clone())
    }

    /// The route whose price holds for an answer of `answered` to a request that `asked` took: another
    /// model of the same account and lane where one goes by that name, else `asked` itself.
    pub(super) fn answering(&self, asked: &Arc<Route>, answered: Option<&str>) -> Arc<Route> {
        let Some(answered) = answered.filter(|&answered| answered != &*asked.model) else {
            return asked.clone();
        };
        let of_lane = &asked.name[asked.provider.len() + 1 + asked.model.len()..];
        let exact = self.find(&format!("{}/{answered}{of_lane}", asked.provider)).map(|lane| self.get(lane));
        let is_it = |lane: &&Lane| {
            let Route { account, lane, model, .. } = &*lane.route;
            (account, lane) == (&asked.account, &asked.lane) && is_same_model(model, answered)
        };
        let lane = match exact {
            Some(lane) => Some(lane),
            None if is_same_model(&asked.model, answered) => None,
            None => self.lanes.iter().find(is_it),
        };
        let lane = lane.filter(|lane| lane.route.prices.is_some());
        lane.map_or_else(|| asked.clone(), |lane| lane.route.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Ceilings of a whole account, as far as they are known.
    pub(super) fn account_limits(&self, account: usize) -> Limits {
        self.accounts[account].2.limits()
    }

    /// Until when the account of a lane is shut; later probes may find it so still.
    pub(super) fn shut_until(&self, lane: usize) -> Option<Timestamp> {
        self.accounts[self.lanes[lane].account].1.shut().map(|shut| shut.probe_at)
    }

    /// The account of a lane by its name, and what it may send.
    pub(super) fn account_quota(&self, lane: usize) -> (&Arc<str>, &Quota) {
        let (name, _, quota) = &self.accounts[self.lanes[lane].account];
        (name, quota)
    }

    /// The account a lane belongs to.
    pub(super) fn account(&mut self, lane: usize) -> &mut Account {
        let account = self.lanes[lane].account;
        &mut self.accounts[account].1
    }

    /// The routes of one step; names that no route has are left out.
    pub(super) fn of_step(&mut self, names: &[String]) -> Arc<[Arc<Route>]> {
        if let Some(routes) = self.steps.get(names) {
            return routes.clone();
        }
        // The flex lane of a model is its equal: the same answers for less, when there is room.
        let lanes = |name: &String| [self.find(name), self.find(&format!("{name} {FLEX}"))];
        let known = names.iter().flat_map(lanes).flatten();
        let routes: Arc<[Arc<Route>]> = known.map(|lane| self.lanes[lane].route.clone()).collect();
        self.steps.insert(names.to_vec(), routes.clone());
        routes
    }

    /// The batch lanes of the models of one step.
    pub(super) fn batches_of_step(&self, names: &[String]) -> Vec<Arc<Route>> {
        let lanes = names.iter().filter_map(|name| self.find(&format!("{name} {BATCH}")));
        let routes = lanes.map(|lane| &self.lanes[lane].route);
        routes.filter(|route| route.batch.is_some()).cloned().collect()
    }

    /// The routes that answer at a step: where it has none to send to at once, the batch lanes of its models.
    pub(super) fn serving(&mut self, names: &[String]) -> Vec<Arc<Route>> {
        let direct = self.of_step(names);
        match direct.iter().any(|route| route.unusable.is_none()) {
            true => direct.to_vec(),
            false => direct.iter().cloned().chain(self.batches_of_step(names)).collect(),
        }
    }

    /// What a lane says to a provider batch that would be made now. On a shut account one is the probe.
    pub(super) fn door_for_batch(&self, lane: usize, now: Timestamp) -> Door {
        let Lane { account, dead, .. } = &self.lanes[lane];
        if dead.is_some() {
            return Door::Closed(Waiting::NoRoute, None);
        }
        match self.accounts[*account].1.admits(now) {
            Ok(()) => Door::Open,
            Err(shut) => closed_by(shut, now),
        }
    }

    /// A batch was taken, or refused for what is no fault of its account.
    pub(super) fn took_batch(&mut self, lane: usize) -> Option<Notice> {
        let (name, account, _) = &mut self.accounts[self.lanes[lane].account];
        account.answered().then(|| Notice::CircuitClosed(name.clone()))
    }

    /// A batch, or lines of one, were refused for what concerns the lane or its account; what a person may
    /// want to know of it.
    pub(super) fn refused_batch(
        &mut self,
        lane: usize,
        kind: RefusalKind,
        why: &str,
        now: Timestamp,
    ) -> Option<Notice> {
        let Lane { route, account, dead, .. } = &mut self.lanes[lane];
        let (name, account, _) = &mut self.accounts[*account];
        match kind {
            RefusalKind::NoCredit | RefusalKind::Auth => {
                let news = account.stop(now, why, None);
                news.then(|| Notice::AccountStopped(name.clone(), why.to_owned()))
            }
            RefusalKind::ModelGone if dead.is_none() => {
                *dead = Some(why.into());
                Some(Notice::RouteDead(route.name.clone(), why.to_owned()))
            }
            _ => None,
        }
    }

    /// A batch did not reach its provider, or the provider failed.
    pub(super) fn failed_batch(&mut self, lane: usize, why: &str, now: Timestamp) -> Option<Notice> {
        let (name, account, _) = &mut self.accounts[self.lanes[lane].account];
        account.failed(now, why).then(|| Notice::CircuitOpen(name.clone(), why.to_owned()))
    }

    /// Whether a route would start something now.
    pub(super) fn door(&self, route: &Route, now: Timestamp) -> Door {
        let lane = &self.lanes[self.by_name[&route.name]];
        if lane.dead.is_some() {
            return Door::Closed(Waiting::NoRoute, None);
        }
        let (_, account, account_quota) = &self.accounts[lane.account];
        if let Err(shut) = account.admits(now) {
            return closed_by(shut, now);
        }
        if self.in_flight >= self.most_calls {
            return Door::Closed(Waiting::RateLimit, None);
        }
        let room = lane.quota.opens(now).and_then(|()| account_quota.opens(now));
        match room {
            Ok(()) => Door::Open,
            Err(busy)
                if busy.until.is_none() && account.shut().is_none() && lane.ahead < lane.ahead_allowed() =>
            {
                Door::Open
            }
            Err(busy) => Door::Closed(Waiting::RateLimit, busy.until),
        }
    }

    /// Whether nothing that was started waits for a place on a lane.
    pub(super) fn has_room_to_spare(&self, route: &str) -> bool {
        let lane = self.find(route).map(|lane| &self.lanes[lane]);
        lane.is_some_and(|lane| lane.ahead == 0 && lane.quota.in_flight() < lane.quota.concurrency())
    }

    /// Takes room for one request, expected to use this much, on a lane and on its account.
    pub(super) fn take(
        &mut self,
        lane: usize,
        item: &Item,
        expected: Usage,
        now: Timestamp,
    ) -> Result<(), Option<Timestamp>> {
        if self.in_flight >= self.most_calls {
            return Err(None);
        }
        let Lane { quota, account, .. } = &mut self.lanes[lane];
        let input = expected.input;
        let output = item.max_output.map_or(expected.output, u64::from);
        let account_quota = &mut self.accounts[*account].2;
        account_quota.opens(now).map_err(|busy| busy.until)?;
        quota.take(now, input, output).map_err(|busy| busy.until)?;
        account_quota.take(now, input, output).map_err(|busy| {
            quota.release();
            busy.until
        })?;
        self.in_flight += 1;
        Ok(())
    }

    pub(super) fn release(&mut self, lane: usize) {
        self.in_flight -= 1;
        let account = self.lanes[lane].account;
        self.lanes[lane].quota.release();
        self.accounts[account].2.release();
    }

    /// How many calls may be in flight, the first time that it keeps others from starting.
    pub(super) fn news_of_full(&mut self) -> Option<u32> {
        let is_news = self.in_flight >= self.most_calls && !self.is_full_known;
        self.is_full_known |= is_news;
        is_news.then_some(self.most_calls)
    }

    /// Learns from the end of a call; what a person may want to know of it.
    pub(super) fn ended(&mut self, lane: usize, ending: &Ending, now: Timestamp) -> Option<Notice> {
        self.release(lane);
        let Lane { route, account, quota, dead, .. } = &mut self.lanes[lane];
        let (name, account, account_quota) = &mut self.accounts[*account];
        quota.learn(&ending.hints);
        let closed = |opened: bool| opened.then(|| Notice::CircuitClosed(name.clone()));
        let open = |news: bool, why: &str| news.then(|| Notice::CircuitOpen(name.clone(), why.to_owned()));
        match &ending.outcome {
            Outcome::Answer(_) => {
                quota.answered();
                account_quota.answered();
                closed(account.answered())
            }
            Outcome::NotSent { message }
            | Outcome::Unknown { message, .. }
            | Outcome::Garbage { message, .. } => open(account.failed(now, message), message),
            Outcome::Refused(refusal) => match refusal.kind {
                RefusalKind::Rate => {
                    quota.refused(now, refusal.retry_after);
                    closed(account.answered())
                }
                // Flex without room says nothing of the account.
                RefusalKind::Capacity if &*route.lane == FLEX => {
                    quota.refused(now, refusal.retry_after);
                    closed(account.answered())
                }
                RefusalKind::Capacity => {
                    quota.refused(now, refusal.retry_after);
                    open(account.failed(now, &refusal.message), &refusal.message)
                }
                RefusalKind::Server => open(account.failed(now, &refusal.message), &refusal.message),
                RefusalKind::NoCredit | RefusalKind::Auth => {
                    let news = account.stop(now, &refusal.message, refusal.retry_after);
                    news.then(|| Notice::AccountStopped(name.clone(), refusal.message.clone()))
                }
                RefusalKind::ModelGone => {
                    account.answered();
                    *dead = Some(refusal.message.as_str().into());
                    Some(Notice::RouteDead(route.name.clone(), refusal.message.clone()))
                }
                RefusalKind::TooLong | RefusalKind::Blocked | RefusalKind::Invalid => {
                    closed(account.answered())
                }
            },
        }
    }

    /// How long the account's retry budget delays one more retry.
    pub(super) fn take_retry(&mut self, lane: usize, now: Timestamp) -> Duration {
        let account = self.lanes[lane].account;
        self.accounts[account].1.take_retry(now)
    }

    /// Why a route takes nothing until a person acts or it is probed.
    pub(super) fn trouble(&self, route: &Route) -> Option<String> {
        let lane = &self.lanes[*self.by_name.get(&route.name)?];
        let shut = self.accounts[lane.account].1.shut();
        lane.dead.as_deref().or(shut.map(|shut| &*shut.reason)).map(|why| format!("{}: {why}", route.name))
    }

    pub(super) fn knock(&mut self, now: Timestamp) {
        for (_, account, _) in &mut self.accounts {
            account.knock(now);
        }
        for lane in &mut self.lanes {
            lane.dead = None;
        }
    }

    /// An earlier process may have sent a moment ago: no limit starts with room for a burst.
    pub(super) fn start_empty(&mut self, now: Timestamp) {
        for lane in &mut self.lanes {
            lane.quota.restart(now);
        }
        for (_, _, quota) in &mut self.accounts {
            quota.restart(now);
        }
    }

    pub(super) fn clock_set_back(&mut self, now: Timestamp) {
        for lane in &mut self.lanes {
            lane.quota.restart(now);
        }
        for (_, account, quota) in &mut self.accounts {
            account.knock(now);
            quota.restart(now);
        }
    }

    /// When a pause ends or a probe is due.
    pub(super) fn next_change(&self, now: Timestamp) -> Timestamp {
        let waiting = self.lanes.iter().filter(|lane| lane.ahead > 0);
        let pauses = waiting.flat_map(|lane| {
            let account_quota = &self.accounts[lane.account].2;
            [lane.quota.opens_at(now), account_quota.opens_at(now)]
        });
        let probes =
            self.accounts.iter().filter_map(|(_, account, _)| account.shut().map(|shut| shut.probe_at));
        pauses.chain(probes).filter(|&at| at > now).min().unwrap_or(Timestamp::MAX)
    }
}

/// Who states how many calls an account takes at once has said what its routes take, too.
fn ceiling(route: &Route) -> Limits {
    let concurrency = route.limits.concurrency.or(route.account_limits.concurrency);
    Limits { concurrency, ..route.limits }
}

impl Lane {
    /// Starts that may wait recorded for a place: about what is sent in a sixteenth of a second.
    fn ahead_allowed(&self) -> u32 {
        (self.sends.1.max(self.sends.2) / 16).min(self.quota.concurrency() / 2)
    }

    pub(super) fn count_send(&mut self, now: Timestamp) {
        let second = now.micros() / 1_000_000;
        if second != self.sends.0 {
            let last = if second == self.sends.0 + 1 { self.sends.1 } else { 0 };
            self.sends = (second, 0, last);
        }
        self.sends.1 += 1;
    }
}

/// What a shut account says: a person has to act, or it is waited for.
fn closed_by(shut: &Shut, now: Timestamp) -> Door {
    let waiting = if shut.stopped { Waiting::NoRoute } else { Waiting::Capacity };
    Door::Closed(waiting, Some(shut.probe_at).filter(|&at| at > now))
}
