//! LiteLLM's `model_prices_and_context_window.json`: one object, a model a key, USD per token.
//!
//! A price's name is built of parts: `input_cost_per_token`, then the length of prompt it is for
//! (`_above_272k_tokens`), then the lane (`_batches`, `_flex`). Cache writes also come per lifetime
//! (`_above_1hr`). Lanes and lifetimes we do not have (`_priority`, `_above_12hr`) are passed over. What
//! a lane does not price costs as it does in real time, which is never too low.
//!
//! Pure.

use serde_json::value::RawValue;

use super::number::{self, Unit};
use super::{Entry, Fields, List, count, flag, word, words};
use crate::catalog::calendar::Calendar;
use crate::catalog::hours::Hours;
use crate::catalog::tariff::TierScope;
use crate::catalog::{PriceTable, PriceTier, PriceWindow};
use crate::money::Price;

/// Limits that prices name, in thousands of tokens.
const TIERS: [u64; 6] = [32, 100, 128, 200, 256, 272];

pub(super) fn read(text: &str, list: &mut List<'_>) -> Result<(), serde_json::Error> {
    let file: Fields<'_> = serde_json::from_str(text)?;
    for (key, raw) in file.into_iter().filter(|(key, _)| key != "sample_spec") {
        let Ok(fields) = serde_json::from_str::<Fields<'_>>(raw.get()) else {
            list.take(&key, Err("it is not an object".to_owned()));
            continue;
        };
        let theirs = word(&fields, "litellm_provider").unwrap_or_default();
        let provider = list.provider(&theirs);
        let mode = word(&fields, "mode").unwrap_or_default();
        let (Some(provider), "chat" | "responses" | "embedding") = (provider, mode.as_str()) else {
            list.ignore();
            continue;
        };
        let name = key.strip_prefix(&format!("{theirs}/")).unwrap_or(&key).to_owned();
        let embeds = mode == "embedding";
        let entry = prices(&fields, embeds, &theirs).map(|(prices, flex, batch)| Entry {
            provider,
            name,
            context: count(&fields, "max_input_tokens").or_else(|| count(&fields, "max_tokens")),
            max_output: count(&fields, "max_output_tokens"),
            features: crate::job::Needs {
                tools: flag(&fields, "supports_function_calling"),
                vision: flag(&fields, "supports_vision"),
                json_schema: flag(&fields, "supports_response_schema")
                    || flag(&fields, "supports_native_structured_output"),
            },
            reasoning: flag(&fields, "supports_reasoning"),
            modalities: words(&fields, "supported_modalities"),
            embeds,
            prices,
            flex,
            batch,
            retires: word(&fields, "deprecation_date"),
            note: None,
        });
        list.take(&key, entry);
    }
    Ok(())
}

type Lanes = (Option<PriceTable>, Option<PriceTable>, Option<PriceTable>);

fn prices(fields: &Fields<'_>, embeds: bool, provider: &str) -> Result<Lanes, String> {
    let reader = Reader { fields, embeds, provider };
    let Some(mut realtime) = reader.table("", None)? else { return Ok((None, None, None)) };
    let flex = reader.table("_flex", Some(&realtime))?;
    let batch = reader.table("_batches", Some(&realtime))?;
    if let Some(raw) = fields.get("off_peak_pricing") {
        let off_peak = reader.off_peak(raw)?;
        if !off_peak.is_empty() {
            realtime.base_window = "peak".into();
            realtime.windows = off_peak;
        }
    }
    Ok((Some(realtime), flex, batch))
}

struct Reader<'a> {
    fields: &'a Fields<'a>,
    embeds: bool,
    provider: &'a str,
}

impl Reader<'_> {
    /// The prices of a lane, `realtime` being those it falls back to.
    fn table(&self, lane: &str, realtime: Option<&PriceTable>) -> Result<Option<PriceTable>, String> {
        if realtime.is_none()
            && let Some(raw) = self.fields.get("tiered_pricing")
        {
            return self.tiered(raw).map(Some);
        }
        let Some(base) = self.price(self.fields, "", lane)? else { return Ok(None) };
        let base = realtime.map_or(base, |table| completed(base, &table.base));
        let mut tiers = Vec::new();
        for thousands in TIERS {
            let above = self.above(thousands * 1_000);
            let own = self.price(self.fields, &format!("_above_{thousands}k_tokens"), lane)?;
            let same = |tier: &&PriceTier| tier.above == above;
            let there = realtime.and_then(|table| table.tiers.iter().find(same)).map(|tier| tier.price);
            let price = match (own, there) {
                (Some(own), Some(there)) => Some(completed(own, &there)),
                (own, there) => own.or(there),
            };
            tiers.extend(price.map(|price| PriceTier { above, scope: TierScope::Whole, price }));
        }
        Ok(Some(PriceTable { tiers, ..PriceTable::flat("", base) }))
    }

    /// xAI counts a prompt of exactly the limit as a long one.
    fn above(&self, limit: u64) -> u64 {
        if self.provider == "xai" { limit - 1 } else { limit }
    }

    /// One price; `None` where the list does not say what input and output cost.
    fn price(&self, fields: &Fields<'_>, tier: &str, lane: &str) -> Result<Option<Price>, String> {
        let get = |name: &str| number::price(fields.get(&format!("{name}{tier}{lane}")), Unit::Token);
        let input = get("input_cost_per_token")?;
        let output = get("output_cost_per_token")?.or(self.embeds.then_some(0));
        let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
        // Writing for nothing means without a surcharge: the tokens are still input.
        let surcharge = |price: Option<u64>| price.filter(|&price| price > 0);
        let reasoning = get("output_cost_per_reasoning_token")?;
        Ok(Some(Price {
            input,
            output,
            cache_read: get("cache_read_input_token_cost")?,
            cache_write: surcharge(get("cache_creation_input_token_cost")?),
            cache_write_1h: surcharge(number::price(
                fields.get(&format!("cache_creation_input_token_cost_above_1hr{tier}{lane}")),
                Unit::Token,
            )?),
            reasoning: reasoning.filter(|&price| price != output),
            request: number::request(fields.get(&format!("input_cost_per_request{lane}")))?,
        }))
    }

    /// `[{range: [0, 256000], input_cost_per_token, …}, …]`; there may be no base price beside it.
    fn tiered(&self, raw: &RawValue) -> Result<PriceTable, String> {
        let rows: Vec<Fields<'_>> =
            serde_json::from_str(raw.get()).map_err(|error| format!("tiered_pricing: {error}"))?;
        let mut tiers = Vec::new();
        for row in &rows {
            let range: Vec<&RawValue> = row
                .get("range")
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .ok_or("tiered_pricing: a tier without a range")?;
            let from = range.first().and_then(|raw| number::count(raw));
            let price = self.price(row, "", "")?.ok_or("tiered_pricing: a tier without a price")?;
            tiers.push((from.ok_or("tiered_pricing: a range that does not start at a number")?, price));
        }
        tiers.sort_by_key(|&(from, _)| from);
        let Some((&(0, base), longer)) = tiers.split_first() else {
            return Err("tiered_pricing: no tier starts at 0".to_owned());
        };
        if longer.iter().zip(&tiers).any(|(tier, before)| tier.0 == before.0) {
            return Err("tiered_pricing: two tiers start at the same length".to_owned());
        }
        let tier = |&(above, price): &(u64, Price)| PriceTier { above, scope: TierScope::Whole, price };
        Ok(PriceTable { tiers: longer.iter().map(tier).collect(), ..PriceTable::flat("", base) })
    }

    /// Hours in which it is cheaper; what is not priced there costs as at peak.
    fn off_peak(&self, raw: &RawValue) -> Result<Vec<PriceWindow>, String> {
        let wrong = |why: &dyn std::fmt::Display| format!("off_peak_pricing: {why}");
        let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|error| wrong(&error))?;
        let Some(price) = self.price(&fields, "", "")? else { return Err(wrong(&"no price")) };
        let zone = word(&fields, "weekday_timezone");
        let windows: Vec<Fields<'_>> = match fields.get("windows") {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|error| wrong(&error))?,
            None => vec![fields.clone()],
        };
        let mut calendars: Vec<Hours> = Vec::new();
        for window in &windows {
            let hours = one_or_many(window, "hours_utc").ok_or_else(|| wrong(&"no hours"))?;
            let days =
                window.get("weekdays").map(|raw| weekdays(raw)).transpose().map_err(|error| wrong(&error))?;
            calendars.push(Hours {
                hours: if days.is_some() {
                    hours.iter().flat_map(|range| by_day(range)).collect()
                } else {
                    hours
                },
                days_tz: days.is_some().then(|| zone.clone()).flatten(),
                days,
                ..Hours::default()
            });
        }
        let hours: Calendar = Hours::any(&calendars).map_err(|error| wrong(&error))?;
        Ok(vec![PriceWindow::new("off-peak", hours, price)])
    }
}

/// A lane's price, with the realtime ones for cache writes it leaves out; one for an hour is cheaper
/// there by as much as the other is.
fn completed(lane: Price, realtime: &Price) -> Price {
    let hour = realtime.cache_write_1h.map(|hour| match (lane.cache_write, realtime.cache_write) {
        (Some(here), Some(there)) if here < there => {
            let scaled = (u128::from(hour) * u128::from(here)).div_ceil(u128::from(there));
            u64::try_from(scaled).unwrap_or(hour)
        }
        _ => hour,
    });
    let cache_write = lane.cache_write.or(realtime.cache_write);
    Price { cache_write, cache_write_1h: lane.cache_write_1h.or(hour), ..lane }
}

fn one_or_many(fields: &Fields<'_>, name: &str) -> Option<Vec<String>> {
    let many = words(fields, name);
    if many.is_empty() { word(fields, name).map(|one| vec![one]) } else { Some(many) }
}

/// `[1, 2]` or `["mon", "tue"]`, Monday being 1, as `mon,tue`.
fn weekdays(raw: &RawValue) -> Result<String, String> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let days: Vec<serde_json::Value> = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    let name = |day: &serde_json::Value| match (day.as_u64(), day.as_str()) {
        (Some(number), _) => usize::try_from(number)
            .ok()
            .and_then(|n| DAYS.get(n.checked_sub(1)?))
            .map(|day| (*day).to_owned()),
        (_, Some(name)) => Some(name.to_owned()),
        _ => None,
    };
    let named: Option<Vec<String>> = days.iter().map(name).collect();
    named.map(|days| days.join(",")).ok_or_else(|| format!("weekdays {}", raw.get()))
}

/// Ranges that stay within a day: here the weekday is that of the hour, not that of the range's start.
fn by_day(range: &str) -> Vec<String> {
    match range.split_once('-') {
        Some((start, end)) if start > end && end != "00:00" => {
            vec![format!("{start}-24:00"), format!("00:00-{end}")]
        }
        _ => vec![range.to_owned()],
    }
}
