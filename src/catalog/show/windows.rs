//! `overnight windows`: the next 24 hours of every price that varies and of every provider with hours,
//! and what opens next.
//!
//! Models of one provider whose prices vary alike share a row.
//!
//! Pure. Drawn by [`crate::cli::windows`].

use std::time::Duration;

use serde::Serialize;

use super::{in_and_out, price_now};
use crate::catalog::calendar::Calendar;
use crate::catalog::model::Model;
use crate::catalog::pricing::FLAT;
use crate::catalog::provider::Provider;
use crate::catalog::{Catalog, PriceTable, routes};
use crate::clock::Timestamp;

/// How far the rows look.
pub const SHOWN: Duration = Duration::from_secs(24 * 3_600);
/// Further off, we do not look for what opens next.
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 86_400);
/// Changes looked at on the way, so that an odd table costs no more than this.
const MOST_CHANGES: usize = 1_000;

/// All rows, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowsShown {
    /// `overnight.windows/1`.
    pub schema: &'static str,
    /// The moment they are about.
    #[serde(serialize_with = "super::rfc3339::serialize")]
    pub now: Timestamp,
    /// By provider and model.
    pub windows: Vec<WindowRow>,
}

/// Models of one provider whose prices vary alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowRow {
    /// The provider.
    pub provider: String,
    /// Its models that share these hours; none where only the provider is known.
    pub models: Vec<String>,
    /// What may be done now.
    pub state: State,
    /// The present window.
    pub window: String,
    /// Whether it is the cheapest there is.
    pub cheapest: bool,
    /// `$0.15 / $0.60` of the first model, now; `None` where it is unknown.
    pub price: Option<String>,
    /// Until when all this holds.
    #[serde(serialize_with = "super::rfc3339::option")]
    pub until: Option<Timestamp>,
    /// The window that opens then; `closed` where nothing may be sent.
    pub next: Option<String>,
    /// `$0.30 / $1.20` of the first model, then.
    pub next_price: Option<String>,
    /// When it is next cheap, where it is not now.
    #[serde(serialize_with = "super::rfc3339::option")]
    pub cheap_at: Option<Timestamp>,
    /// Why it cannot be used.
    pub unusable: Option<String>,
    /// The next 24 hours.
    pub spans: Vec<Span>,
}

/// What may be done at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Sent at the cheapest price there is.
    Cheap,
    /// Sent at a dearer one.
    Dear,
    /// Not sent: the provider's `hours` say so.
    Closed,
}

/// A stretch of one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// First moment.
    #[serde(serialize_with = "super::rfc3339::serialize")]
    pub from: Timestamp,
    /// First moment after it.
    #[serde(serialize_with = "super::rfc3339::serialize")]
    pub to: Timestamp,
    /// The window's name; `closed` where nothing may be sent.
    pub window: String,
    /// What may be done in it.
    pub state: State,
    /// Whether it is the cheapest there is.
    pub cheapest: bool,
}

/// Rows of what varies within what we can see; of everything else too with `all`.
pub fn windows(catalog: &Catalog, now: Timestamp, all: bool) -> WindowsShown {
    let mut rows: Vec<(WindowRow, Offer)> = Vec::new();
    let models = catalog.models().filter(|model| !model.is_retired(now));
    let offers = models.filter_map(|model| {
        let provider = catalog.provider(&model.provider)?;
        Some((Some(model), provider, Offer::new(Some(model), provider)))
    });
    // A provider of the user's own may have hours and no model we know by name.
    let bare = catalog.providers().filter(|provider| {
        !provider.hours.is_always() && catalog.models().all(|model| model.provider != provider.name)
    });
    let bare = bare.map(|provider| (None, provider, Offer::new(None, provider)));
    for (model, provider, offer) in offers.chain(bare) {
        if !all && offer.change(now).is_none() {
            continue;
        }
        let alike =
            |(row, other): &&mut (WindowRow, Offer)| *row.provider == *provider.name && offer.is_like(other);
        match (rows.iter_mut().find(alike), model) {
            (Some((row, _)), Some(model)) => row.models.push(model.full_name()),
            _ => rows.push((row(catalog, model, provider, &offer, now), offer)),
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.provider.cmp(&b.provider));
    let windows = rows.into_iter().map(|(row, _)| row).collect();
    WindowsShown { schema: "overnight.windows/1", now, windows }
}

/// What a model of a provider costs over time, and when it may be used.
struct Offer {
    prices: Option<PriceTable>,
    hours: Calendar,
}

impl Offer {
    fn new(model: Option<&Model>, provider: &Provider) -> Offer {
        let prices = model.and_then(|model| routes::prices(model, provider));
        Offer { prices, hours: provider.hours.clone() }
    }

    /// The window's name, what may be done in it, and its price.
    fn at(&self, now: Timestamp) -> (&str, State, Option<String>) {
        let (window, price, is_cheapest) = match &self.prices {
            Some(table) => {
                let (window, price, _) = price_now(table, now);
                (window, Some(in_and_out(price)), price == table.cheapest())
            }
            None => (FLAT, None, true),
        };
        match (self.hours.is_open(now), is_cheapest) {
            (false, _) => ("closed", State::Closed, None),
            (true, true) => (window, State::Cheap, price),
            (true, false) => (window, State::Dear, price),
        }
    }

    /// The next moment at which window or hours change.
    fn change(&self, now: Timestamp) -> Option<Timestamp> {
        let (window, state, _) = self.at(now);
        self.changes(now).find(|&at| {
            let (later, then, _) = self.at(at);
            (later, then) != (window, state)
        })
    }

    /// When it is next cheap.
    fn cheap_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.changes(now).find(|&at| self.at(at).1 == State::Cheap)
    }

    /// Moments at which something may change.
    fn changes(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let last = now + LONGEST_WAIT;
        let next = move |&at: &Timestamp| {
            let price = self.prices.as_ref().and_then(|table| table.next_change(at));
            price.into_iter().chain(self.hours.next_change(at)).min().filter(|&at| at < last)
        };
        std::iter::successors(Some(now), next).skip(1).take(MOST_CHANGES)
    }

    fn is_like(&self, other: &Offer) -> bool {
        let hours = |offer: &Offer| {
            offer.prices.as_ref().map(|table| {
                let named = table.windows.iter().map(|window| (window.name.clone(), window.hours.clone()));
                (table.base_window.clone(), named.collect::<Vec<_>>())
            })
        };
        self.hours == other.hours && hours(self) == hours(other)
    }
}

fn row(
    catalog: &Catalog,
    model: Option<&Model>,
    provider: &Provider,
    offer: &Offer,
    now: Timestamp,
) -> WindowRow {
    let (window, state, price) = offer.at(now);
    let until = offer.change(now);
    let next = until.map(|at| offer.at(at));
    let models: Vec<String> = model.iter().map(|model| model.full_name()).collect();
    let route = models.first().and_then(|name| catalog.route(name, now));
    WindowRow {
        provider: provider.name.to_string(),
        unusable: route.map_or_else(|| provider.unusable(), |route| route.unusable.clone()),
        models,
        state,
        window: window.to_owned(),
        cheapest: state == State::Cheap,
        price,
        until,
        next: next.as_ref().map(|(window, ..)| (*window).to_owned()),
        next_price: next.and_then(|(.., price)| price),
        cheap_at: if state == State::Cheap { None } else { offer.cheap_after(now) },
        spans: spans(offer, now),
    }
}

fn spans(offer: &Offer, now: Timestamp) -> Vec<Span> {
    let end = now + SHOWN;
    let mut spans: Vec<Span> = Vec::new();
    let mut from = now;
    while from < end {
        let (window, state, _) = offer.at(from);
        let to = offer.change(from).unwrap_or(end).min(end);
        let cheapest = state == State::Cheap;
        spans.push(Span { from, to, window: window.to_owned(), state, cheapest });
        from = to;
    }
    spans
}

impl WindowRow {
    /// The model, or the provider where there are several.
    pub fn label(&self) -> &str {
        match self.models.as_slice() {
            [one] => one,
            _ => &self.provider,
        }
    }

    /// What may be done at a moment of the next 24 hours.
    pub fn state_at(&self, at: Timestamp) -> State {
        let span = self.spans.iter().find(|span| at < span.to).or(self.spans.last());
        span.map_or(self.state, |span| span.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::hours::Hours;
    use crate::catalog::settings::{ModelSettings, ProviderSettings, Settings};
    use crate::catalog::testing::with_keys;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_price_that_is_about_to_end_is_a_window_too() {
        let shown = windows(&with_keys(&["openai"]), at("2026-11-21T12:00:00Z"), false);
        let sol = shown.windows.iter().find(|row| row.provider == "openai").unwrap();
        assert_eq!((sol.window.as_str(), sol.next.as_deref(), sol.cheapest), ("promo", Some("list"), true));
    }

    #[test]
    fn spans_meet_and_cover_the_day() {
        let now = at("2026-11-23T02:17:30Z"); // in deepseek's peak
        let shown = windows(&with_keys(&["deepseek"]), now, true);
        for row in &shown.windows {
            let ends: Vec<_> = row.spans.iter().flat_map(|span| [span.from, span.to]).collect();
            assert_eq!((ends[0], ends[ends.len() - 1]), (now, now + SHOWN), "{row:?}");
            assert!(ends[1..ends.len() - 1].chunks(2).all(|pair| pair[0] == pair[1]), "{row:?}");
        }
        let flash =
            shown.windows.iter().find(|row| row.models.len() == 2 && row.provider == "deepseek").unwrap();
        assert_eq!((flash.state, flash.until), (State::Dear, Some(at("2026-11-23T04:00:00Z"))));
        assert_eq!((flash.cheap_at, flash.spans.len()), (Some(at("2026-11-23T04:00:00Z")), 5));
    }

    #[test]
    fn hours_close_a_route_whatever_its_price() {
        let hours = Hours::parse("22:00-07:00 Europe/Berlin").unwrap().calendar().unwrap();
        let set = ProviderSettings { hours: Some(hours), ..ProviderSettings::default() };
        let mut settings = Settings::default();
        settings.providers.insert("deepseek".into(), set.clone());
        settings.providers.insert("gpu-box".into(), set.clone());
        settings.providers.insert("vllm".into(), ProviderSettings { free: Some(true), ..set });
        settings.models.insert("vllm/mine".into(), ModelSettings::default());
        let (catalog, errors) = with_keys(&["deepseek"]).merge(&settings);
        assert_eq!(errors, []);
        let shown = windows(&catalog, at("2026-11-22T18:00:00Z"), false); // Sunday, 19:00 in Berlin
        let row = |provider: &str| shown.windows.iter().find(|row| row.provider == provider).unwrap();
        let deepseek = row("deepseek");
        assert_eq!((deepseek.state, deepseek.window.as_str()), (State::Closed, "closed"));
        assert_eq!(deepseek.until, Some(at("2026-11-22T21:00:00Z")));
        assert_eq!(
            (deepseek.next.as_deref(), deepseek.next_price.as_deref()),
            (Some("off-peak"), Some("$0.15 / $0.60"))
        );
        let states: Vec<State> = deepseek.spans.iter().map(|span| span.state).collect();
        assert_eq!(states, [State::Closed, State::Cheap, State::Dear, State::Cheap, State::Closed]);
        assert_eq!(row("vllm").label(), "vllm/mine");
        assert_eq!(
            (row("gpu-box").models.len(), row("gpu-box").cheap_at),
            (0, Some(at("2026-11-22T21:00:00Z")))
        );
    }
}
