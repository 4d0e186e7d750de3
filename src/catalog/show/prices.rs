//! `overnight prices show MODEL`: every price of one model, and where it is from.

use std::fmt::Display;

use chrono::TimeZone;
use serde::Serialize;

use super::{ShownPrice, clock, columns, price_now};
use crate::catalog::model::{LANES, Model};
use crate::catalog::pricing::per_million;
use crate::catalog::tariff::TierScope;
use crate::catalog::{Catalog, PriceTable, PriceTier, PriceWindow, routes};
use crate::clock::Timestamp;
use crate::money::{Price, Usd};

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
    /// Realtime windows, the base first, then the other lanes, each followed by its prices of long
    /// prompts; empty where no price is known.
    pub prices: Vec<LanePrice>,
    /// Where they are from.
    pub source: Option<String>,
    /// When they were read there.
    pub as_of: Option<String>,
    /// The day the model is gone.
    pub retires: Option<String>,
    /// What is not confirmed, or good to know.
    pub note: Option<String>,
}

/// A price on a lane, in a window, for a length of prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanePrice {
    /// `realtime`, `flex` or `batch`.
    pub lane: &'static str,
    /// The window's name.
    pub window: String,
    /// It holds for prompts of more tokens than this; absent for the price of short prompts.
    pub prompt_above: Option<u64>,
    /// Whether it then holds only for the input tokens above that, rather than for the whole request.
    pub only_above: bool,
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
    let model = catalog.known(&provider.name, name).unwrap_or_else(|| Model::unlisted(&provider.name, name));
    let mut rows = Vec::new();
    for lane in LANES {
        let table = match lane {
            "realtime" => routes::prices(&model, provider),
            _ => model.on_lane(lane).cloned(),
        };
        rows.extend(table.iter().flat_map(|table| on_lane(lane, table, now)));
    }
    Some(PricesShown {
        model: model.full_name(),
        prices: rows,
        source: model.source.clone(),
        as_of: model.as_of.clone(),
        retires: model.retires.map(|day| day.to_string()),
        note: model.note.clone(),
    })
}

fn on_lane(lane: &'static str, table: &PriceTable, now: Timestamp) -> Vec<LanePrice> {
    let (present, _, until) = price_now(table, now);
    let base = until.filter(|&at| *table.at(at).0 == table.base_window);
    let opens = table.windows.iter().map(|window| window.hours.next_change(now));
    let rates = [table.base_rate()].into_iter().chain(table.windows.iter().map(PriceWindow::rate));
    let mut rows = Vec::new();
    for (rate, opens) in rates.zip([base].into_iter().chain(opens)) {
        let holds = **rate.window == *present;
        let row = |tier: Option<&PriceTier>| LanePrice {
            lane,
            window: rate.window.to_string(),
            prompt_above: tier.map(|tier| tier.above),
            only_above: tier.is_some_and(|tier| tier.scope == TierScope::Above),
            price: tier.map_or(rate.price, |tier| &tier.price).into(),
            now: holds,
            changes_at: if holds { until } else { opens },
            exact: *tier.map_or(rate.price, |tier| &tier.price),
        };
        rows.push(row(None));
        rows.extend(rate.tiers.iter().map(|tier| row(Some(tier))));
    }
    rows
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
        let retires = self.retires.iter().map(|day| format!("until {day}"));
        let facts: Vec<String> = source.chain(as_of).chain(retires).chain(self.note.clone()).collect();
        if !facts.is_empty() {
            text.push_str(&format!("{}\n", facts.join(" · ")));
        }
        text
    }

    /// Columns that say something of at least one row.
    fn table<Z: TimeZone>(&self, now: Timestamp, zone: &Z) -> String
    where
        Z::Offset: Display,
    {
        let or = |price: Option<u64>, as_what: &str| price.map_or(format!("as {as_what}"), per_million);
        let any = |has: fn(&LanePrice) -> bool| self.prices.iter().any(has);
        let texts = |cell: &dyn Fn(&LanePrice) -> String| self.prices.iter().map(cell).collect::<Vec<_>>();
        let mut shown =
            vec![("LANE", texts(&|row| row.lane.to_owned())), ("WINDOW", texts(&|row| row.window.clone()))];
        if any(|row| row.prompt_above.is_some()) {
            shown.push(("PROMPT", texts(&LanePrice::prompt)));
        }
        let first_number = shown.len();
        shown.push(("INPUT", texts(&|row| per_million(row.exact.input))));
        shown.push(("CACHE READ", texts(&|row| or(row.exact.cache_read, "input"))));
        shown.push(("CACHE WRITE", texts(&|row| or(row.exact.cache_write, "input"))));
        if any(|row| row.exact.cache_write_1h.is_some()) {
            shown.push(("WRITE 1H", texts(&|row| or(row.exact.cache_write_1h, "write"))));
        }
        shown.push(("OUTPUT", texts(&|row| per_million(row.exact.output))));
        if any(|row| row.exact.reasoning.is_some()) {
            shown.push(("REASONING", texts(&|row| or(row.exact.reasoning, "output"))));
        }
        if any(|row| row.exact.request != Usd::ZERO) {
            shown.push(("A REQUEST", texts(&|row| row.exact.request.to_exact())));
        }
        let last_number = shown.len();
        shown.push(("", texts(&|row| row.when(now, zone))));
        let (header, cells): (Vec<&str>, Vec<Vec<String>>) = shown.into_iter().unzip();
        let rows = (0..self.prices.len()).map(|row| cells.iter().map(|column| column[row].clone()).collect());
        columns(&header, rows.collect(), &(first_number..last_number).collect::<Vec<_>>())
    }
}

impl LanePrice {
    /// `>272k`, with a `+` where it holds only for the tokens above.
    fn prompt(&self) -> String {
        let more = if self.only_above { "+" } else { "" };
        self.prompt_above.map(|above| format!(">{}{more}", super::tokens(Some(above)))).unwrap_or_default()
    }

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
        LANE WINDOW PROMPT INPUT CACHE READ CACHE WRITE OUTPUT
        realtime flat $0.20 $0.02 $0.25 $1.20
        realtime flat >272k $0.40 $0.04 $0.50 $1.80
        flex flat $0.10 $0.01 $0.125 $0.60
        flex flat >272k $0.20 $0.02 $0.25 $0.90
        batch flat $0.10 $0.01 $0.125 $0.60
        batch flat >272k $0.20 $0.02 $0.25 $0.90
        source: litellm-1.109.1 · as of 2026-11-21
        ");
        insta::assert_snapshot!(text("anthropic/claude-haiku-4-5-20251001"), @r"
        anthropic/claude-haiku-4-5-20251001 USD per 1M tokens
        LANE WINDOW INPUT CACHE READ CACHE WRITE WRITE 1H OUTPUT
        realtime flat $1.00 $0.10 $1.25 $2.00 $5.00
        batch flat $0.50 $0.05 $0.625 $1.00 $2.50
        source: litellm-1.109.1 · as of 2026-11-21
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
