//! models.dev's `api.json`: providers with their models, USD per million tokens.
//!
//! No lanes and no hours; prices of long prompts come as `tiers`, and in an older form that may mean
//! another limit and is read only where there are none.
//!
//! Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::{self, Unit};
use super::{Entry, Fields, List, count, flag, object, word, words};
use crate::catalog::tariff::TierScope;
use crate::catalog::{PriceTable, PriceTier};
use crate::job::Needs;
use crate::money::{Price, Usd};

#[derive(Deserialize)]
struct Provider<'a> {
    #[serde(borrow, default)]
    models: BTreeMap<String, &'a RawValue>,
}

pub(super) fn read(text: &str, list: &mut List<'_>) -> Result<(), serde_json::Error> {
    let file: BTreeMap<String, Provider<'_>> = serde_json::from_str(text)?;
    for (theirs, provider) in file {
        let Some(ours) = list.provider(&theirs) else {
            (0..provider.models.len()).for_each(|_| list.ignore());
            continue;
        };
        for (name, raw) in provider.models {
            let entry = format!("{theirs}/{name}");
            let Ok(fields) = serde_json::from_str::<Fields<'_>>(raw.get()) else {
                list.take(&entry, Err("it is not an object".to_owned()));
                continue;
            };
            let modalities = object(&fields, "modalities");
            if !words(&modalities, "output").iter().any(|word| word == "text")
                && !is_embedding(&fields, &name)
            {
                list.ignore();
                continue;
            }
            let model = model(&fields, &modalities, &name);
            list.take(&entry, model.map(|model| Entry { provider: ours.clone(), name, ..model }));
        }
    }
    Ok(())
}

fn model(fields: &Fields<'_>, modalities: &Fields<'_>, name: &str) -> Result<Entry, String> {
    let limit = object(fields, "limit");
    let input = words(modalities, "input");
    let embeds = is_embedding(fields, name);
    let status = word(fields, "status");
    Ok(Entry {
        context: count(&limit, "context"),
        max_output: count(&limit, "output"),
        features: Needs {
            tools: flag(fields, "tool_call"),
            vision: input.iter().any(|word| word == "image"),
            json_schema: flag(fields, "structured_output"),
        },
        reasoning: flag(fields, "reasoning"),
        modalities: input,
        embeds,
        prices: fields.get("cost").map(|raw| table(raw)).transpose()?.flatten(),
        note: status.map(|status| format!("{status}, says models.dev")),
        ..Entry::default()
    })
}

fn table(raw: &RawValue) -> Result<Option<PriceTable>, String> {
    let wrong = |error: serde_json::Error| format!("cost: {error}");
    if raw.get() == "null" {
        return Ok(None);
    }
    let cost: Fields<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
    let Some(base) = price(&cost)? else { return Ok(None) };
    let mut tiers = Vec::new();
    if let Some(raw) = cost.get("tiers") {
        for tier in serde_json::from_str::<Vec<Fields<'_>>>(raw.get()).map_err(wrong)? {
            let limit = object(&tier, "tier");
            let above = count(&limit, "size").filter(|_| word(&limit, "type").as_deref() == Some("context"));
            let above = above.ok_or("tiers: a tier that is not one of the prompt's length")?;
            tiers.push((above, price(&tier)?.ok_or("tiers: a tier without a price")?));
        }
    } else if let Some(raw) = cost.get("context_over_200k") {
        let long: Fields<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
        tiers.extend(price(&long)?.map(|price| (200_000, price)));
    }
    tiers.sort_by_key(|&(above, _)| above);
    let tier = |(above, price)| PriceTier { above, scope: TierScope::Whole, price };
    Ok(Some(PriceTable { tiers: tiers.into_iter().map(tier).collect(), ..PriceTable::flat("", base) }))
}

fn price(fields: &Fields<'_>) -> Result<Option<Price>, String> {
    let get = |name: &str| number::price(fields.get(name), Unit::Million);
    let (Some(input), Some(output)) = (get("input")?, get("output")?) else { return Ok(None) };
    Ok(Some(Price {
        input,
        output,
        cache_read: get("cache_read")?,
        // Writing for nothing means without a surcharge: the tokens are still input.
        cache_write: get("cache_write")?.filter(|&price| price > 0),
        cache_write_1h: None,
        reasoning: get("reasoning")?.filter(|&price| price != output),
        request: Usd::ZERO,
    }))
}

fn is_embedding(fields: &Fields<'_>, name: &str) -> bool {
    name.contains("embed") || word(fields, "family").is_some_and(|family| family.contains("embed"))
}
