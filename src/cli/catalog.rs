//! `overnight models | windows | prices show | providers`: what there is to send to, and at what price.
//!
//! Tables made from the routes that catalog and config add up to; nothing is asked of anyone.
//!
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::format::{self, rounded};
use super::style::{Align, Line, Paint, table};
use super::words::Setting;
use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::money::{Price, Usd};

/// A route as it is listed, and with `--json` printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteLine {
    /// `provider/model`, and the lane where it is not realtime.
    pub route: String,
    /// The provider's name in the config.
    pub provider: String,
    /// Why it cannot be used; `None` where it can.
    pub unusable: Option<String>,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// The most output tokens it gives.
    pub max_output: Option<u64>,
    /// The window now, `flat` where prices do not vary.
    pub window: Option<String>,
    /// When that ends.
    pub window_until: Option<Timestamp>,
    /// The price now.
    pub price: Option<PriceLine>,
    /// The cheapest price of any hour.
    pub cheapest: Option<PriceLine>,
    /// The dearest price of any hour.
    pub dearest: Option<PriceLine>,
    /// The catalog row the prices are from.
    pub price_id: Option<String>,
}

/// A price in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PriceLine {
    /// Fresh input.
    pub input: f64,
    /// Input read from a cache, where that has a price of its own.
    pub cache_read: Option<f64>,
    /// Output.
    pub output: f64,
}

impl From<&Price> for PriceLine {
    fn from(price: &Price) -> PriceLine {
        // Pico-dollars a token are micro-dollars a million.
        let million = |pico: u64| Usd::from_pico(i128::from(pico) * 1_000_000).as_f64();
        PriceLine {
            input: million(price.input),
            cache_read: price.cache_read.map(million),
            output: million(price.output),
        }
    }
}

impl RouteLine {
    /// A route as it is now.
    pub fn of(route: &Route, now: Timestamp) -> RouteLine {
        let prices = route.prices.as_ref();
        let current = prices.map(|prices| prices.at(now));
        RouteLine {
            route: route.name.to_string(),
            provider: route.provider.to_string(),
            unusable: route.unusable.clone(),
            context: route.context,
            max_output: route.max_output,
            window: current.map(|(window, _)| window.to_string()),
            window_until: prices.and_then(|prices| prices.next_change(now)),
            price: current.map(|(_, price)| price.into()),
            cheapest: prices.map(|prices| prices.cheapest().into()),
            dearest: prices.map(|prices| prices.dearest().into()),
            price_id: prices.map(|prices| prices.id.to_string()),
        }
    }
}

/// The routes asked for, by name: those that match, and only usable ones unless all are wanted.
pub fn choose(routes: &[Arc<Route>], pattern: Option<&str>, all: bool, now: Timestamp) -> Vec<RouteLine> {
    let wanted = |route: &&Arc<Route>| {
        (all || route.unusable.is_none()) && pattern.is_none_or(|pattern| matches(pattern, &route.name))
    };
    let mut lines: Vec<RouteLine> =
        routes.iter().filter(wanted).map(|route| RouteLine::of(route, now)).collect();
    lines.sort_by(|a, b| a.route.cmp(&b.route));
    lines
}

/// Whether a name fits a pattern in which `*` stands for anything; without one, whether it contains it.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return name.contains(pattern) };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(end)
}

/// `overnight models`: what may answer, how much it takes, what it costs now.
pub fn models(routes: &[RouteLine], setting: &Setting) -> Vec<Line> {
    if routes.is_empty() {
        return nothing();
    }
    let headings = [
        ("MODEL", Align::Left),
        ("CONTEXT", Align::Right),
        ("MAX OUT", Align::Right),
        ("IN / OUT PER 1M NOW", Align::Right),
        ("WINDOW", Align::Left),
        ("", Align::Left),
    ];
    let tokens = |n: Option<u64>| n.map_or("-".to_owned(), rounded);
    let row = |route: &RouteLine| {
        vec![
            (Paint::Name, route.route.clone()),
            (Paint::Plain, tokens(route.context)),
            (Paint::Plain, tokens(route.max_output)),
            (Paint::Plain, price(route.price)),
            (Paint::Plain, window(route, setting)),
            (Paint::Warn, route.unusable.clone().unwrap_or_default()),
        ]
    };
    table(&headings, &routes.iter().map(row).collect::<Vec<_>>())
}

/// `overnight windows`: routes whose price changes with the hour, and when it does next.
pub fn windows(routes: &[RouteLine], setting: &Setting) -> Vec<Line> {
    let varying: Vec<&RouteLine> = routes.iter().filter(|route| route.cheapest != route.dearest).collect();
    if varying.is_empty() {
        return vec![Line::new().text("no price here changes with the hour")];
    }
    let headings = [
        ("ROUTE", Align::Left),
        ("NOW", Align::Left),
        ("IN / OUT PER 1M", Align::Right),
        ("CHEAPEST", Align::Right),
        ("DEAREST", Align::Right),
        ("NEXT CHANGE", Align::Left),
    ];
    let row = |route: &&RouteLine| {
        let is_cheap = route.price == route.cheapest;
        let next = route.window_until.map_or("-".to_owned(), |until| {
            format!("{} (in {})", setting.moment(until), format::rough(until.since(setting.now)))
        });
        vec![
            (Paint::Name, route.route.clone()),
            (if is_cheap { Paint::Good } else { Paint::Warn }, route.window.clone().unwrap_or_default()),
            (Paint::Plain, price(route.price)),
            (Paint::Plain, price(route.cheapest)),
            (Paint::Plain, price(route.dearest)),
            (Paint::Plain, next),
        ]
    };
    table(&headings, &varying.iter().map(row).collect::<Vec<_>>())
}

/// `overnight prices show`: the prices in force and the catalog rows they come from.
pub fn prices(routes: &[RouteLine]) -> Vec<Line> {
    if routes.is_empty() {
        return nothing();
    }
    let headings = [
        ("ROUTE", Align::Left),
        ("WINDOW", Align::Left),
        ("IN", Align::Right),
        ("CACHED IN", Align::Right),
        ("OUT", Align::Right),
        ("FROM", Align::Left),
    ];
    let row = |route: &RouteLine| {
        let part =
            |of: fn(PriceLine) -> Option<f64>| route.price.and_then(of).map_or("-".to_owned(), format::usd);
        vec![
            (Paint::Name, route.route.clone()),
            (Paint::Plain, route.window.clone().unwrap_or_else(|| "-".to_owned())),
            (Paint::Plain, part(|price| Some(price.input))),
            (Paint::Plain, part(|price| price.cache_read)),
            (Paint::Plain, part(|price| Some(price.output))),
            match &route.price_id {
                Some(id) => (Paint::Faint, id.clone()),
                None => (Paint::Warn, "no price is known: set one, or --allow-unpriced".to_owned()),
            },
        ]
    };
    let mut lines = vec![Line::new().add(Paint::Faint, "USD per million tokens")];
    lines.extend(table(&headings, &routes.iter().map(row).collect::<Vec<_>>()));
    lines
}

/// `overnight providers`: each with its models, and why it cannot be used where it cannot.
pub fn providers(routes: &[RouteLine]) -> Vec<Line> {
    let mut by_provider: BTreeMap<&str, Vec<&RouteLine>> = BTreeMap::new();
    for route in routes {
        by_provider.entry(&route.provider).or_default().push(route);
    }
    let row = |(provider, routes): (&&str, &Vec<&RouteLine>)| {
        let usable = routes.iter().filter(|route| route.unusable.is_none()).count();
        let (paint, state) = match usable {
            0 => (Paint::Faint, "off"),
            n if n == routes.len() => (Paint::Good, "ok"),
            _ => (Paint::Warn, "partly"),
        };
        let why = routes.iter().find_map(|route| route.unusable.clone()).unwrap_or_default();
        vec![
            (Paint::Name, (*provider).to_owned()),
            (paint, state.to_owned()),
            (Paint::Plain, format::counted(routes.len() as u64, "route")),
            (Paint::Plain, why),
        ]
    };
    let headings =
        [("PROVIDER", Align::Left), ("STATE", Align::Left), ("ROUTES", Align::Right), ("", Align::Left)];
    table(&headings, &by_provider.iter().map(row).collect::<Vec<_>>())
}

fn price(price: Option<PriceLine>) -> String {
    price.map_or("-".to_owned(), |price| {
        format!("{} / {}", format::usd(price.input), format::usd(price.output))
    })
}

fn window(route: &RouteLine, setting: &Setting) -> String {
    match (&route.window, route.window_until) {
        (Some(window), Some(until)) => format!("{window} until {}", setting.moment(until)),
        (Some(window), None) => window.clone(),
        (None, _) => "-".to_owned(),
    }
}

fn nothing() -> Vec<Line> {
    vec![Line::new().text("no such model can be used; --all shows those without a key too")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::calendar::Calendar;
    use crate::catalog::{Limits, PriceTable, PriceWindow};
    use crate::cli::format::Zone;
    use crate::cli::{samples, style};

    fn route(name: &str, unusable: Option<&str>, input: u64, peak: Option<u64>) -> Arc<Route> {
        let at = |input: u64| Price { input, output: input * 4, ..Price::default() };
        let window = |input| PriceWindow { name: "peak".into(), hours: Calendar::always(), price: at(input) };
        let (provider, model) = name.split_once('/').unwrap();
        Arc::new(Route {
            name: name.into(),
            provider: provider.into(),
            account: provider.into(),
            model: model.into(),
            lane: "realtime".into(),
            wires: Vec::new(),
            context: Some(131_072),
            max_output: None,
            features: None,
            prices: (input > 0).then(|| PriceTable {
                id: format!("{name}@2026-11-20").into(),
                base_window: if peak.is_some() { "off-peak" } else { "flat" }.into(),
                base: at(input),
                windows: peak.map(window).into_iter().collect(),
            }),
            hours: Calendar::always(),
            limits: Limits::default(),
            account_limits: Limits::default(),
            unusable: unusable.map(str::to_owned),
        })
    }

    fn routes() -> Vec<Arc<Route>> {
        vec![
            route("openai/gpt-5-mini", None, 250_000, None),
            route("deepseek/deepseek-flash", None, 150_000, Some(300_000)),
            route("anthropic/claude", Some("set ANTHROPIC_API_KEY to enable it"), 1_000_000, None),
            route("gpu-box/own", None, 0, None),
        ]
    }

    fn lines(all: bool) -> Vec<RouteLine> {
        choose(&routes(), None, all, samples::now())
    }

    fn shown(lines: &[Line]) -> String {
        style::print(lines, 200, false)
    }

    fn setting() -> Setting {
        Setting { now: samples::now(), zone: Zone::utc() }
    }

    #[test]
    fn all_models() {
        insta::assert_snapshot!(shown(&models(&lines(true), &setting())), @"
        MODEL                    CONTEXT  MAX OUT  IN / OUT PER 1M NOW  WINDOW
        anthropic/claude          131.1k        -        $1.00 / $4.00  flat    set ANTHROPIC_API_KEY to enable it
        deepseek/deepseek-flash   131.1k        -        $0.30 / $1.20  peak
        gpu-box/own               131.1k        -                    -  -
        openai/gpt-5-mini         131.1k        -        $0.25 / $1.00  flat
        ");
    }

    #[test]
    fn prices_with_their_source() {
        insta::assert_snapshot!(shown(&prices(&lines(false))), @"
        USD per million tokens
        ROUTE                    WINDOW     IN  CACHED IN    OUT  FROM
        deepseek/deepseek-flash  peak    $0.30          -  $1.20  deepseek/deepseek-flash@2026-11-20
        gpu-box/own              -           -          -      -  no price is known: set one, or --allow-unpriced
        openai/gpt-5-mini        flat    $0.25          -  $1.00  openai/gpt-5-mini@2026-11-20
        ");
    }

    #[test]
    fn windows_of_routes_whose_price_varies() {
        insta::assert_snapshot!(shown(&windows(&lines(true), &setting())), @"
        ROUTE                    NOW   IN / OUT PER 1M       CHEAPEST        DEAREST  NEXT CHANGE
        deepseek/deepseek-flash  peak    $0.30 / $1.20  $0.15 / $0.60  $0.30 / $1.20  -
        ");
    }

    #[test]
    fn all_providers() {
        insta::assert_snapshot!(shown(&providers(&lines(true))), @"
        PROVIDER   STATE   ROUTES
        anthropic  off    1 route  set ANTHROPIC_API_KEY to enable it
        deepseek   ok     1 route
        gpu-box    ok     1 route
        openai     ok     1 route
        ");
    }

    #[test]
    fn patterns_match_as_they_do_for_file_names() {
        for (pattern, name, fits) in [
            ("deepseek/*", "deepseek/deepseek-flash", true),
            ("*-mini", "openai/gpt-5-mini", true),
            ("openai/*-mini", "openai/gpt-5", false),
            ("*a*b*", "xaxbx", true),
            ("*a*b*", "xbxax", false),
            ("ab*b", "ab", false),
            ("flash", "deepseek/deepseek-flash", true),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
