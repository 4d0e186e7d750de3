//! [`PriceTable`]: what a route costs, by the hour, the date and the length of the prompt.
//!
//! A table has a base and windows, the first window that is open wins; dates are windows too, open at
//! every hour from and to a day. Base and windows each have tiers: a prompt longer than a tier's limit
//! is billed at the tier's price, whole or only from the limit on, as the vendor does it. What is
//! reserved before a request ([`PriceTable::worst_case`]) covers every hour, date and tier it may fall
//! into.
//!
//! Pure.

use std::sync::Arc;
use std::time::Duration;

use super::calendar::Calendar;
use crate::clock::Timestamp;
use crate::money::{Price, Usage, Usd};

/// The prices of a route over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTable {
    /// The catalog row: model, source and as-of date.
    pub id: Arc<str>,
    /// Name of the hours no window covers: `flat` where there is no window.
    pub base_window: Arc<str>,
    /// The price in those hours, of short prompts.
    pub base: Price,
    /// That of longer ones, where it differs; shortest first.
    pub tiers: Vec<PriceTier>,
    /// Other hours and dates; the first that is open wins.
    pub windows: Vec<PriceWindow>,
}

/// Hours or dates with a price of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceWindow {
    /// Its name, such as `peak`.
    pub name: Arc<str>,
    /// When it applies.
    pub hours: Calendar,
    /// The price then, of short prompts.
    pub price: Price,
    /// That of longer ones, where it differs; shortest first.
    pub tiers: Vec<PriceTier>,
}

/// The price of long prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceTier {
    /// It holds for prompts of more tokens than this, cached ones included.
    pub above: u64,
    /// Which tokens it holds for.
    pub scope: TierScope,
    /// The price.
    pub price: Price,
}

/// What of a long prompt is billed at a tier's price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierScope {
    /// The whole request.
    #[default]
    Whole,
    /// Input tokens above the limit, and the output; what is cached counts as the front of the prompt.
    Above,
}

/// What holds at one hour: the price of short prompts, and those of longer ones.
#[derive(Clone, Copy, Debug)]
pub struct Rate<'a> {
    /// The window's name.
    pub window: &'a Arc<str>,
    /// Of short prompts.
    pub price: &'a Price,
    /// Of longer ones.
    pub tiers: &'a [PriceTier],
}

/// How long after its last day a price is kept: a request may have been sent then and be answered now.
const GRACE: Duration = Duration::from_secs(7 * 86_400);

impl PriceTable {
    /// One price at every hour.
    pub fn flat(id: impl Into<Arc<str>>, price: Price) -> PriceTable {
        PriceTable {
            id: id.into(),
            base_window: super::pricing::FLAT.into(),
            base: price,
            tiers: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// The window and the price of short prompts in force at a moment.
    pub fn at(&self, now: Timestamp) -> (&Arc<str>, &Price) {
        let rate = self.rate_at(now);
        (rate.window, rate.price)
    }

    /// What is in force at a moment.
    pub fn rate_at(&self, now: Timestamp) -> Rate<'_> {
        let open = self.windows.iter().find(|window| window.hours.is_open(now));
        open.map_or_else(|| self.base_rate(), PriceWindow::rate)
    }

    /// What `usage` costs when it is sent at a moment.
    pub fn cost(&self, usage: &Usage, sent_at: Timestamp) -> Usd {
        self.rate_at(sent_at).cost(usage)
    }

    /// What `usage` costs in the dearest hours of that date.
    pub fn list_cost(&self, usage: &Usage, at: Timestamp) -> Usd {
        self.rates_on(at).map(|rate| rate.cost(usage)).max().unwrap_or(Usd::ZERO)
    }

    /// The most a prompt of up to `input` tokens with `output` can cost at any hour, date and length.
    pub fn worst_case(&self, input: u64, output: u64) -> Usd {
        self.rates().map(|rate| rate.worst_case(input, output)).max().unwrap_or(Usd::ZERO)
    }

    /// Whether nothing costs anything, at no hour and no length.
    pub fn is_free(&self) -> bool {
        self.prices_up_to(u64::MAX).all(Price::is_free)
    }

    /// The dearest price of short prompts at any hour, by input and output together.
    pub fn dearest(&self) -> &Price {
        self.rates().map(|rate| rate.price).max_by_key(|price| in_and_out(price)).expect("there is a base")
    }

    /// The cheapest price of short prompts at any hour, by input and output together.
    pub fn cheapest(&self) -> &Price {
        self.rates().map(|rate| rate.price).min_by_key(|price| in_and_out(price)).expect("there is a base")
    }

    /// The next moment after `now` at which the price may change.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.iter().filter_map(|window| window.hours.next_change(now)).min()
    }

    /// The same without what has long ended, so that an old price is not reserved for.
    pub fn since(mut self, now: Timestamp) -> PriceTable {
        self.windows.retain(|window| window.hours.validity().1 > now - GRACE);
        self
    }

    /// Every rate, the base last.
    pub fn rates(&self) -> impl Iterator<Item = Rate<'_>> {
        self.windows.iter().map(PriceWindow::rate).chain([self.base_rate()])
    }

    /// Every rate that holds at some hour of the dates around `at`, the base last where it may hold.
    pub fn rates_on(&self, at: Timestamp) -> impl Iterator<Item = Rate<'_>> {
        let valid = move |window: &&PriceWindow| {
            let (from, to) = window.hours.validity();
            from <= at && at < to
        };
        let shadow = self.windows.iter().filter(valid).position(|window| window.hours.is_whole_time());
        let windows = self.windows.iter().filter(valid).take(shadow.map_or(usize::MAX, |last| last + 1));
        let base = shadow.is_none().then(|| self.base_rate());
        windows.map(PriceWindow::rate).chain(base)
    }

    /// What holds in the hours no window covers.
    pub fn base_rate(&self) -> Rate<'_> {
        Rate { window: &self.base_window, price: &self.base, tiers: &self.tiers }
    }

    /// Every price that prompts of up to `input` tokens may meet, at any hour.
    pub fn prices_up_to(&self, input: u64) -> impl Iterator<Item = &Price> {
        self.rates().flat_map(move |rate| {
            rate.tiers
                .iter()
                .filter(move |tier| input > tier.above)
                .map(|tier| &tier.price)
                .chain([rate.price])
        })
    }
}

impl PriceWindow {
    /// Without tiers.
    pub fn new(name: impl Into<Arc<str>>, hours: Calendar, price: Price) -> PriceWindow {
        PriceWindow { name: name.into(), hours, price, tiers: Vec::new() }
    }

    /// What holds while it is open.
    pub fn rate(&self) -> Rate<'_> {
        Rate { window: &self.name, price: &self.price, tiers: &self.tiers }
    }
}

impl<'a> Rate<'a> {
    /// What `usage` costs, exactly.
    pub fn cost(&self, usage: &Usage) -> Usd {
        self.tokens(usage) + self.for_prompt(usage.input).request
    }

    /// The price of a prompt of this length; of its output and its last tokens where a tier holds only
    /// for what is above its limit.
    pub fn for_prompt(&self, tokens: u64) -> &'a Price {
        self.tier(tokens).map_or(self.price, |at| &self.tiers[at].price)
    }

    /// The most a prompt of up to `input` tokens with `output` can cost, whatever of it is cached.
    pub fn worst_case(&self, input: u64, output: u64) -> Usd {
        let reached = || self.tiers.iter().filter(|tier| input > tier.above);
        let prices = || reached().map(|tier| &tier.price).chain([self.price]);
        let most = |input, output| prices().map(|price| price.worst_case(input, output)).max();
        let whole = most(input, output).unwrap_or(Usd::ZERO);
        if reached().all(|tier| tier.scope == TierScope::Whole) {
            return whole;
        }
        // Tokens of one request at several prices: the dearest of each, and the flat amount twice at most.
        most(input, 0).unwrap_or(Usd::ZERO) + most(0, output).unwrap_or(Usd::ZERO)
    }

    fn tokens(&self, usage: &Usage) -> Usd {
        let Some(at) = self.tier(usage.input) else { return self.price.tokens(usage) };
        let tier = &self.tiers[at];
        match tier.scope {
            TierScope::Whole => tier.price.tokens(usage),
            TierScope::Above => {
                let (front, rest) = split(usage, tier.above);
                Rate { tiers: &self.tiers[..at], ..*self }.tokens(&front) + tier.price.tokens(&rest)
            }
        }
    }

    fn tier(&self, tokens: u64) -> Option<usize> {
        self.tiers.iter().rposition(|tier| tokens > tier.above)
    }
}

/// The first `limit` input tokens, and the rest with the output. What was read from a cache is the front
/// of a prompt, what was written to one comes next, an hour's cache before a shorter one.
fn split(usage: &Usage, limit: u64) -> (Usage, Usage) {
    let hour = usage.cache_write_1h.min(usage.cache_write);
    let read = usage.cache_read.min(limit);
    let write_1h = hour.min(limit - read);
    let write = write_1h + (usage.cache_write - hour).min(limit - read - write_1h);
    let front = Usage {
        input: usage.input.min(limit),
        cache_read: read,
        cache_write: write,
        cache_write_1h: write_1h,
        ..Usage::default()
    };
    let rest = Usage {
        input: usage.input - front.input,
        cache_read: usage.cache_read - read,
        cache_write: usage.cache_write - write,
        cache_write_1h: hour - write_1h,
        ..*usage
    };
    (front, rest)
}

fn in_and_out(price: &Price) -> u128 {
    u128::from(price.input) + u128::from(price.output)
}

#[cfg(test)]
mod tests;
