//! OpenRouter's `GET /api/v1/models`: USD per token as decimal text.
//!
//! `overrides` replace prices under conditions: a prompt of more than some tokens, an hour of the UTC
//! day, or both; all conditions of an entry must hold, later entries win key by key. Where there are
//! hours they tile the day and the price beside them is only the one of the moment it was fetched, so the
//! table is made of the hours alone. `discount` is taken off every price.
//!
//! Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::{self, Unit};
use super::{Entry, Fields, List, count, object, word, words};
use crate::catalog::hours::Hours;
use crate::catalog::tariff::TierScope;
use crate::catalog::{PriceTable, PriceTier, PriceWindow};
use crate::job::Needs;
use crate::money::Price;

/// Minutes of a day.
const DAY: u64 = 24 * 60;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Links {
    next: Option<String>,
}

pub(super) fn read(text: &str, list: &mut List<'_>) -> Result<(), serde_json::Error> {
    let file: File<'_> = serde_json::from_str(text)?;
    let provider = list.provider("openrouter").unwrap_or_else(|| "openrouter".into());
    for raw in file.data {
        let fields = serde_json::from_str::<Fields<'_>>(raw.get());
        let id = fields.as_ref().ok().and_then(|fields| word(fields, "id"));
        let (Ok(fields), Some(id)) = (fields, id) else {
            list.take("an entry", Err("it has no id".to_owned()));
            continue;
        };
        let architecture = object(&fields, "architecture");
        let output = words(&architecture, "output_modalities");
        let embeds = output.iter().any(|word| word == "embeddings");
        if !embeds && !output.iter().any(|word| word == "text") {
            list.ignore();
            continue;
        }
        let entry = model(&fields, &architecture, embeds);
        list.take(&id, entry.map(|entry| Entry { provider: provider.clone(), name: id.clone(), ..entry }));
    }
    if file.links.and_then(|links| links.next).is_some() {
        list.take("the list", Err("it goes on at another address; only this part was read".to_owned()));
    }
    Ok(())
}

fn model(fields: &Fields<'_>, architecture: &Fields<'_>, embeds: bool) -> Result<Entry, String> {
    let top = object(fields, "top_provider");
    let input = words(architecture, "input_modalities");
    let parameters = words(fields, "supported_parameters");
    let takes = |name: &str| parameters.iter().any(|word| word == name);
    Ok(Entry {
        context: count(fields, "context_length"),
        max_output: count(&top, "max_completion_tokens"),
        features: Needs {
            tools: takes("tools"),
            vision: input.iter().any(|word| word == "image"),
            json_schema: takes("structured_outputs"),
        },
        reasoning: takes("reasoning"),
        modalities: input,
        embeds,
        prices: table(&object(fields, "pricing"))?,
        retires: word(fields, "expiration_date"),
        ..Entry::default()
    })
}

/// An entry of `overrides`.
struct Override<'a> {
    /// Prompts of more tokens than this.
    above: Option<u64>,
    /// Minutes of the UTC day, the end tomorrow's where it is not after the start.
    hours: Option<(u64, u64)>,
    prices: Fields<'a>,
}

impl Override<'_> {
    fn holds(&self, minute: u64, tokens: u64) -> bool {
        let hours = self.hours.is_none_or(|(start, end)| match start < end {
            true => (start..end).contains(&minute),
            false => minute >= start || minute < end,
        });
        hours && self.above.is_none_or(|above| tokens > above)
    }
}

/// A part of the day with its rate.
struct Part {
    start: u64,
    end: u64,
    rate: (Price, Vec<PriceTier>),
}

fn table(pricing: &Fields<'_>) -> Result<Option<PriceTable>, String> {
    let overrides = overrides(pricing)?;
    let Some(parts) = parts(pricing, &overrides)? else { return Ok(None) };
    let dear = |rate: &(Price, Vec<PriceTier>)| u128::from(rate.0.input) + u128::from(rate.0.output);
    let mut rates: Vec<(Price, Vec<PriceTier>)> = Vec::new();
    for part in &parts {
        if !rates.contains(&part.rate) {
            rates.push(part.rate.clone());
        }
    }
    rates.sort_by_key(dear);
    let (base, dearer) = rates.split_first().ok_or("no hour of the day has a price")?;
    let mut windows = Vec::new();
    for (number, rate) in dearer.iter().enumerate() {
        let name = if number + 1 == dearer.len() { "peak".to_owned() } else { format!("mid-{}", number + 1) };
        let ranges = parts.iter().filter(|part| part.rate == *rate);
        let hours =
            Hours { hours: ranges.map(|part| range(part.start, part.end)).collect(), ..Hours::default() };
        let hours = hours.calendar().map_err(|error| format!("overrides: {error}"))?;
        windows.push(PriceWindow { tiers: rate.1.clone(), ..PriceWindow::new(name, hours, rate.0) });
    }
    let flat = PriceTable { tiers: base.1.clone(), ..PriceTable::flat("", base.0) };
    let base_window = if windows.is_empty() { flat.base_window.clone() } else { "off-peak".into() };
    Ok(Some(PriceTable { base_window, windows, ..flat }))
}

/// The day cut where any override begins or ends; `None` where a price of input or output is unknown.
fn parts(pricing: &Fields<'_>, overrides: &[Override<'_>]) -> Result<Option<Vec<Part>>, String> {
    let mut cuts: Vec<u64> = overrides.iter().filter_map(|one| one.hours).flat_map(|(a, b)| [a, b]).collect();
    cuts.push(0);
    cuts.sort_unstable();
    cuts.dedup();
    let ends = cuts.iter().skip(1).copied().chain([DAY]);
    let mut parts = Vec::new();
    for (&start, end) in cuts.iter().zip(ends) {
        match rate(pricing, overrides, start)? {
            Some(rate) => parts.push(Part { start, end, rate }),
            None => return Ok(None),
        }
    }
    Ok(Some(parts))
}

fn rate(
    pricing: &Fields<'_>,
    overrides: &[Override<'_>],
    minute: u64,
) -> Result<Option<(Price, Vec<PriceTier>)>, String> {
    let at = |tokens: u64| {
        let mut merged = pricing.clone();
        for one in overrides.iter().filter(|one| one.holds(minute, tokens)) {
            merged.extend(one.prices.iter().map(|(key, &raw)| (key.clone(), raw)));
        }
        price(&merged)
    };
    let Some(base) = at(0)? else { return Ok(None) };
    let mut limits: Vec<u64> = overrides.iter().filter_map(|one| one.above).collect();
    limits.sort_unstable();
    limits.dedup();
    let mut tiers: Vec<PriceTier> = Vec::new();
    for above in limits {
        let Some(price) = at(above.saturating_add(1))? else { return Ok(None) };
        if price != tiers.last().map_or(base, |tier| tier.price) {
            tiers.push(PriceTier { above, scope: TierScope::Whole, price });
        }
    }
    Ok(Some((base, tiers)))
}

fn price(fields: &Fields<'_>) -> Result<Option<Price>, String> {
    let get =
        |name: &str| number::price(fields.get(name), Unit::Token).map_err(|why| format!("{name}: {why}"));
    let (Some(input), Some(output)) = (get("prompt")?, get("completion")?) else { return Ok(None) };
    let price = Price {
        input,
        output,
        cache_read: get("input_cache_read")?,
        cache_write: get("input_cache_write")?,
        cache_write_1h: get("input_cache_write_1h")?,
        reasoning: get("internal_reasoning")?.filter(|&price| price > 0 && price != output),
        request: number::request(fields.get("request"))?,
    };
    number::discounted(&price, fields.get("discount")).map(Some)
}

fn overrides<'a>(pricing: &Fields<'a>) -> Result<Vec<Override<'a>>, String> {
    let Some(raw) = pricing.get("overrides").filter(|raw| raw.get() != "null") else { return Ok(Vec::new()) };
    let rows: Vec<Fields<'a>> =
        serde_json::from_str(raw.get()).map_err(|error| format!("overrides: {error}"))?;
    rows.into_iter().map(one).collect()
}

fn one(fields: Fields<'_>) -> Result<Override<'_>, String> {
    let number = |name: &str| match fields.get(name).filter(|raw| raw.get() != "null") {
        None => Ok(None),
        Some(raw) => number::count(raw).map(Some).ok_or(format!("overrides: {name} is {}", raw.get())),
    };
    let hours = match (number("utc_start")?, number("utc_end")?) {
        (None, None) => None,
        (Some(start), Some(end)) => Some((minute(start)?, minute(end)? % DAY)),
        _ => return Err("overrides: hours need a start and an end".to_owned()),
    };
    let above = number("min_prompt_tokens")?;
    if above.is_none() && hours.is_none() {
        return Err("overrides: a condition that is not known".to_owned());
    }
    Ok(Override { above, hours, prices: fields })
}

/// `1630` is half past four in the afternoon.
fn minute(clock: u64) -> Result<u64, String> {
    let (hour, minute) = (clock / 100, clock % 100);
    let is_time = minute < 60 && hour * 60 + minute <= DAY;
    is_time.then_some(hour * 60 + minute).ok_or(format!("overrides: {clock} is not a time of day"))
}

fn range(start: u64, end: u64) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
}
