//! `overnight prices show MODEL`: every price of one model, and where it is from.

use std::fmt::Display;

use chrono::TimeZone;
use serde::Serialize;

use super::{ShownPrice, clock, columns, price_now};
use crate::catalog::model::Model;
use crate::catalog::pricing::per_million;
use crate::catalog::{Catalog, PriceTable, routes};
use crate::clock::Timestamp;
use crate::money::Price;

/// Prices of models, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceListShown {
    /// `overnight.prices/1`.
    pub schema: &'static str,
    /// The day the bundled prices were read.
    pub prices_as_of: String,
    /// Those asked for.
    pub models: Vec<PricesShown>,
}

impl PriceListShown {
    /// The prices of these models, listed or not; one without a provider is left out.
    pub fn of<'a>(
        catalog: &Catalog,
        names: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> PriceListShown {
        let models = names.into_iter().filter_map(|name| prices(catalog, name, now)).collect();
        PriceListShown { schema: "overnight.prices/1", prices_as_of: catalog.as_of().to_owned(), models }
    }

    /// A table a model; times in `zone`.
    pub fn text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let tables: Vec<String> = self.models.iter().map(|model| model.text(now, zone)).collect();
        tables.join("\n")
    }
}

/// One model's prices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PricesShown {
    /// `provider/model`.
    pub model: String,
    /// Realtime windows, the base first, then the other lanes; empty where no price is known.
    pub prices: Vec<LanePrice>,
    /// Prompts above this are not sent, as they would cost more.
    pub priced_up_to: Option<u64>,
    /// Where they are from.
    pub source: Option<String>,
    /// When they were read there.
    pub as_of: Option<String>,
    /// What is not confirmed, or good to know.
    pub note: Option<String>,
}

/// A price on a lane in a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanePrice {
    /// `realtime`, `flex` or `batch`.
    pub lane: &'static str,
    /// The window's name.
    pub window: String,
    /// The price.
    pub price: ShownPrice,
    /// Whether it holds now.
    pub now: bool,
    /// Until when it holds; when it opens where it does not hold now.
    #[serde(serialize_with = "super::rfc3339::option")]
    pub changes_at: Option<Timestamp>,
    /// As text, for the table.
    #[serde(skip)]
    exact: Price,
}

/// The prices of `full_name`, listed or not; `None` where it has no provider.
pub fn prices(catalog: &Catalog, full_name: &str, now: Timestamp) -> Option<PricesShown> {
    let (prefix, name) = full_name.split_once('/')?;
    let provider = catalog.provider(prefix)?;
    let unlisted = Model::unlisted(&provider.name, name);
    let model = catalog.model(&unlisted.full_name()).unwrap_or(&unlisted);
    let mut rows = Vec::new();
    if let Some(table) = routes::prices(model, provider) {
        rows.extend(realtime(&table, now));
    }
    let lanes = [("flex", model.flex), ("batch", model.batch)];
    rows.extend(lanes.into_iter().filter_map(|(lane, price)| Some(flat(lane, price?))));
    Some(PricesShown {
        model: model.full_name(),
        prices: rows,
        priced_up_to: model.dearer_above,
        source: model.source.clone(),
        as_of: model.as_of.clone(),
        note: model.note.clone(),
    })
}

fn realtime(table: &PriceTable, now: Timestamp) -> Vec<LanePrice> {
    let (present, _, until) = price_now(table, now);
    let base = (&table.base_window, &table.base, until.filter(|&at| *table.at(at).0 == table.base_window));
    let windows =
        table.windows.iter().map(|window| (&window.name, &window.price, window.hours.next_change(now)));
    let row = |(name, price, opens): (&std::sync::Arc<str>, &Price, Option<Timestamp>)| {
        let holds = **name == *present;
        LanePrice {
            lane: "realtime",
            window: name.to_string(),
            price: price.into(),
            now: holds,
            changes_at: if holds { until } else { opens },
            exact: *price,
        }
    };
    [base].into_iter().chain(windows).map(row).collect()
}

fn flat(lane: &'static str, price: Price) -> LanePrice {
    let window = crate::catalog::pricing::FLAT.to_owned();
    LanePrice { lane, window, price: (&price).into(), now: true, changes_at: None, exact: price }
}

impl PricesShown {
    /// A table; times in `zone`.
    pub fn text<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let mut text = format!("{}   USD per 1M tokens\n", self.model);
        if self.prices.is_empty() {
            text.push_str(&format!(
                "no price is known, which is not free; state one under [models.\"{}\"], or pass --allow-unpriced\n",
                self.model
            ));
        } else {
            text.push_str(&self.table(now, zone));
        }
        let source = self.source.iter().map(|source| format!("source: {source}"));
        let as_of = self.as_of.iter().map(|day| format!("as of {day}"));
        let limit =
            self.priced_up_to.map(|limit| format!("for prompts up to {} tokens", super::tokens(Some(limit))));
        let facts: Vec<String> = source.chain(as_of).chain(limit).chain(self.note.clone()).collect();
        if !facts.is_empty() {
            text.push_str(&format!("{}\n", facts.join(" · ")));
        }
        text
    }

    fn table<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let or_input = |price: Option<u64>| price.map_or("as input".to_owned(), per_million);
        let rows = self.prices.iter().map(|row| {
            vec![
                row.lane.to_owned(),
                row.window.clone(),
                per_million(row.exact.input),
                or_input(row.exact.cache_read),
                or_input(row.exact.cache_write),
                per_million(row.exact.output),
                row.when(now, zone),
            ]
        });
        let header = ["LANE", "WINDOW", "INPUT", "CACHE READ", "CACHE WRITE", "OUTPUT", ""];
        columns(&header, rows.collect(), &[2, 3, 4, 5])
    }
}

impl LanePrice {
    fn when<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        match (self.now, self.changes_at) {
            (true, Some(until)) => format!("now, until {}", clock(until, now, zone)),
            (false, Some(opens)) => format!("opens {}", clock(opens, now, zone)),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::with_keys;

    fn text(name: &str) -> String {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let shown = prices(&with_keys(&["openai"]), name, now).unwrap().text(now, &chrono::Utc);
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }

    #[test]
    fn every_window_and_lane_has_a_line() {
        insta::assert_snapshot!(text("deepseek/deepseek-flash"), @r"
        deepseek/deepseek-flash USD per 1M tokens
        LANE WINDOW INPUT CACHE READ CACHE WRITE OUTPUT
        realtime off-peak $0.15 $0.003 as input $0.60 now, until 01:00 UTC
        realtime peak $0.30 $0.006 as input $1.20 opens 01:00 UTC
        source: api-docs.deepseek.com · as of 2026-11-15
        ");
        insta::assert_snapshot!(text("openai/gpt-5.6-luna"), @r"
        openai/gpt-5.6-luna USD per 1M tokens
        LANE WINDOW INPUT CACHE READ CACHE WRITE OUTPUT
        realtime flat $0.20 $0.02 $0.25 $1.20
        flex flat $0.10 as input as input $0.60
        batch flat $0.10 as input as input $0.60
        source: litellm-1.109.1 · as of 2026-11-21 · for prompts up to 272k tokens
        ");
    }

    #[test]
    fn an_unknown_price_is_said_to_be_unknown() {
        assert!(text("openai/gpt-next").contains("no price is known, which is not free"));
        assert!(text("vllm/mine").contains("realtime flat $0.00"));
        let catalog = with_keys(&[]);
        assert_eq!(prices(&catalog, "nobody/x", Timestamp::default()), None);
    }
}
