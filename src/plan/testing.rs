//! Routes and items made by hand, for the tests of plan and engine.

use std::sync::Arc;

use bytes::Bytes;

use crate::catalog::calendar::Calendar;
use crate::catalog::hours::Hours;
use crate::catalog::{Limits, PriceTable, PriceWindow, Route};
use crate::clock::Timestamp;
use crate::job::{Body, Item, ItemIndex, Needs, Wire};
use crate::money::Price;
use crate::plan::estimate::{Estimates, Known};

/// Before the first answer.
pub(crate) static NOTHING_KNOWN: Known<'_> = Known { estimates: &Estimates::NOTHING, class: "" };

/// A time of day on 2026-11-23, a Monday: `at("22:00")`.
pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}:00Z").parse().expect("a time of day")
}

/// Micro-dollars per million tokens, the same for input and output.
pub(crate) fn price(per_token: u64) -> Price {
    Price { input: per_token, output: per_token, ..Price::default() }
}

/// On an account of its provider's name, at one price, without limits.
pub(crate) fn route(name: &str, per_token: u64) -> Route {
    let (provider, model) = name.split_once('/').expect("provider/model");
    Route {
        name: name.into(),
        provider: provider.into(),
        account: provider.into(),
        model: model.into(),
        lane: "realtime".into(),
        wires: vec![Wire::Chat],
        context: Some(10_000),
        max_output: Some(1_000),
        features: Some(Needs::default()),
        prices: Some(PriceTable::flat(name, price(per_token))),
        hours: Calendar::always(),
        limits: Limits::default(),
        account_limits: Limits::default(),
        allowance: None,
        unusable: None,
        batch: None,
    }
}

/// Hours of every day, in UTC: `hours("09:00-17:00")`.
pub(crate) fn hours(text: &str) -> Calendar {
    Hours::parse(text).expect("hours").calendar().expect("hours of a day")
}

/// With other prices in these hours.
pub(crate) fn with_windows(mut route: Route, windows: &[(&str, u64)]) -> Route {
    let table = route.prices.as_mut().expect("made with a price");
    for &(text, per_token) in windows {
        table.windows.push(PriceWindow::new(text, hours(text), price(per_token)));
    }
    route
}

/// A short question that allows 100 tokens of answer.
pub(crate) fn item(index: ItemIndex) -> Item {
    Item {
        index,
        custom_id: format!("item-{index}").into(),
        class: 0,
        wire: Wire::Chat,
        body: Body { json: Bytes::from_static(br#"{"messages":[]}"#), model_at: None },
        input_tokens: 10,
        max_output: Some(100),
        choices: 1,
        needs: Needs::default(),
        options: None,
    }
}

pub(crate) fn shared(routes: impl IntoIterator<Item = Route>) -> Vec<Arc<Route>> {
    routes.into_iter().map(Arc::new).collect()
}
