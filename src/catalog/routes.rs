//! The [`Route`]s and [`Endpoint`]s of a catalog: what the engine chooses between, how the adapters
//! get there.
//!
//! A model that cannot be used is a route all the same, with the reason, so that every message about
//! it can say what to do.
//!
//! Pure.

use std::sync::Arc;

use super::endpoint::Endpoint;
use super::model::Model;
use super::provider::Provider;
use super::{Catalog, PriceTable, Route};
use crate::clock::Timestamp;
use crate::job::Wire;
use crate::money::Price;

impl Catalog {
    /// A realtime route for every model listed, in order of name.
    pub fn routes(&self, now: Timestamp) -> Vec<Arc<Route>> {
        self.models.values().map(|model| Arc::new(self.route_of(model, now))).collect()
    }

    /// The realtime route of `provider/model`, listed or not; `None` where there is no such provider.
    pub fn route(&self, name: &str, now: Timestamp) -> Option<Arc<Route>> {
        let (prefix, model) = name.split_once('/')?;
        let provider = self.provider(prefix)?;
        let known = self.known(&provider.name, model);
        let model = known.unwrap_or_else(|| Model::unlisted(&provider.name, model));
        Some(Arc::new(self.route_of(&model, now)))
    }

    /// The flex or batch route of `provider/model`, at the prices of that lane; `None` where the model
    /// has none there.
    pub fn route_on(&self, name: &str, lane: &str, now: Timestamp) -> Option<Arc<Route>> {
        if lane == "realtime" {
            return self.route(name, now);
        }
        let (prefix, model) = name.split_once('/')?;
        let provider = self.provider(prefix)?;
        let model = self.known(&provider.name, model)?;
        let prices = model.on_lane(lane)?.clone().since(now);
        let mut route = self.route_of(&model, now);
        if lane == "batch" {
            let api = provider.quirks.batch.as_ref()?;
            route.batch = Some(api.limits);
            route.wires.retain(|&wire| api.dialect.takes(wire));
            route.context = route.context.into_iter().chain(api.context).min();
            // Who wants batches alone leaves the realtime lane out.
            let left_out = provider.unreachable().is_none() && !model.is_retired(now);
            route.unusable = route.unusable.filter(|_| !left_out);
        }
        Some(Arc::new(Route {
            name: format!("{} {lane}", route.name).into(),
            lane: lane.into(),
            // What is given for nothing is given on the realtime lane, by every provider that says.
            allowance: None,
            prices: Some(prices),
            ..route
        }))
    }

    /// The routes of `provider/model` on every lane its provider is used on: the realtime one, unless the
    /// provider's `lanes` leave it out for another, and those that `lanes` name beside it.
    pub fn routes_on_lanes(&self, name: &str, now: Timestamp) -> Vec<Arc<Route>> {
        let Some(realtime) = self.route(name, now) else { return Vec::new() };
        let lanes = self.provider(&realtime.provider).map_or(&[][..], |provider| &provider.lanes);
        let names = |lane: &str| lanes.iter().any(|of| of == lane);
        let others = ["flex", "batch"].into_iter().filter(|lane| names(lane));
        let others: Vec<Arc<Route>> =
            others.filter_map(|lane| self.route_on(&realtime.name, lane, now)).collect();
        let is_left_out = !others.is_empty() && !names("realtime");
        (!is_left_out).then_some(realtime).into_iter().chain(others).collect()
    }

    /// Why nothing would ever go on a lane of a provider; `None` where something may.
    pub(crate) fn lacks_lane(&self, provider: &str, lane: &str) -> Option<String> {
        let provider = self.provider(provider).filter(|_| lane != "realtime")?;
        if lane == "batch" && provider.quirks.batch.is_none() {
            let name = &provider.name;
            return Some(format!("how {name} takes batches is not known; [providers.{name}.batch] says it"));
        }
        let mut models = self.models().filter(|model| model.provider == provider.name);
        if models.any(|model| model.on_lane(lane).is_some()) {
            return None;
        }
        let name = &provider.name;
        Some(format!(
            "no model of {name} has a price on {lane}; [models.\"{name}/NAME\"] {lane} = {{ multiply = 0.5 }} states one"
        ))
    }

    /// How to reach every provider that can be used.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.providers.values().filter_map(Provider::endpoint).collect()
    }

    fn route_of(&self, model: &Model, now: Timestamp) -> Route {
        let provider = self.provider_of(model);
        Route {
            name: model.full_name().into(),
            provider: provider.name.clone(),
            account: provider.name.clone(),
            model: model.name.clone(),
            lane: "realtime".into(),
            wires: wires(model, provider),
            context: model.context,
            max_output: model.max_output,
            features: model.features,
            prices: prices(model, provider).map(|table| table.since(now)),
            hours: provider.hours.clone(),
            limits: model.limits,
            account_limits: provider.limits,
            allowance: provider.allowance.as_ref().and_then(|given| given.of_model(&model.name)),
            unusable: unusable(model, provider, now),
            batch: None,
        }
    }
}

/// Realtime prices: stated, or nothing at all where the provider is declared free.
pub(super) fn prices(model: &Model, provider: &Provider) -> Option<PriceTable> {
    let free = || PriceTable::flat(format!("{} free", model.full_name()), Price::default());
    model.prices.clone().or_else(|| provider.free.then(free))
}

/// A model that is listed without formats of its own talks; only an unlisted one may be anything.
fn wires(model: &Model, provider: &Provider) -> Vec<Wire> {
    if let Some(wires) = &model.wires {
        return wires.clone();
    }
    let talks = model.features.is_some();
    provider.wires.iter().copied().filter(|&wire| !(talks && wire == Wire::Embeddings)).collect()
}

fn unusable(model: &Model, provider: &Provider, now: Timestamp) -> Option<String> {
    if model.is_retired(now) {
        return model.retires.map(|day| format!("retired on {day}"));
    }
    provider.unusable()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::settings::{ProviderSettings, Settings};
    use crate::catalog::testing::with_keys;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_route_says_why_it_cannot_be_used() {
        let catalog = with_keys(&["openai"]);
        for (name, why) in [
            ("openai/gpt-5-mini", None),
            ("sim/small", None),
            ("deepseek/deepseek-flash", Some("set DEEPSEEK_API_KEY")),
            ("together/deepseek-ai/DeepSeek-V4-Flash-0731", Some("retired on 2026-10-22")),
            ("anthropic/claude-opus-5", Some("set ANTHROPIC_API_KEY")),
            ("azure/gpt-5.4", Some("set AZURE_OPENAI_API_KEY")),
        ] {
            assert_eq!(catalog.route(name, now()).unwrap().unusable.as_deref(), why, "{name}");
        }
        assert!(catalog.route("nobody/x", now()).is_none());
    }

    #[test]
    fn a_model_retires_on_its_day() {
        let catalog = with_keys(&["openai"]);
        let unusable =
            |time: &str| catalog.route("openai/gpt-5-mini", time.parse().unwrap()).unwrap().unusable.clone();
        assert_eq!(unusable("2026-12-10T23:59:59Z"), None);
        assert_eq!(unusable("2026-12-11T00:00:00Z").as_deref(), Some("retired on 2026-12-11"));
    }

    #[test]
    fn an_unknown_price_is_none_and_a_local_model_is_free() {
        let catalog = with_keys(&["openai", "openrouter"]);
        for name in ["openai/gpt-unheard-of", "openrouter/openai/gpt-5-maxi", "sim/other"] {
            assert_eq!(catalog.route(name, now()).unwrap().prices, None, "{name}");
        }
        let local = catalog.route("vllm/my-model", now()).unwrap();
        assert!(local.prices.as_ref().unwrap().base.is_free());
        assert_eq!((local.context, local.features, local.unusable.as_deref()), (None, None, None));
    }

    #[test]
    fn long_prompts_are_taken_at_their_own_price() {
        let catalog = with_keys(&["openai"]);
        let route = catalog.route("openai/gpt-5.5", now()).unwrap();
        assert_eq!(route.context, Some(1_050_000));
        let rate = route.prices.as_ref().unwrap().rate_at(now());
        assert_eq!((rate.for_prompt(272_000).input, rate.for_prompt(272_001).input), (5_000_000, 10_000_000));
        assert_eq!(rate.for_prompt(272_001).output, 45_000_000);
    }

    #[test]
    fn a_lane_is_a_route_of_its_own_on_the_same_account() {
        let catalog = with_keys(&["openai"]);
        let batch = catalog.route_on("openai/gpt-5-mini", "batch", now()).unwrap();
        assert_eq!((&*batch.name, &*batch.lane), ("openai/gpt-5-mini batch", "batch"));
        assert_eq!((&*batch.account, &*batch.model), ("openai", "gpt-5-mini"));
        assert_eq!(batch.prices.as_ref().unwrap().base.input, 125_000);
        assert!(catalog.route_on("openai/gpt-4o-mini", "flex", now()).is_none());
        assert!(catalog.route_on("openai/gpt-unheard-of", "batch", now()).is_none());
        let realtime = catalog.route_on("openai/gpt-5-mini", "realtime", now()).unwrap();
        assert_eq!(&*realtime.name, "openai/gpt-5-mini");
    }

    #[test]
    fn a_batch_may_take_shorter_prompts_and_fewer_formats() {
        let catalog = with_keys(&["qwen", "xai"]);
        let context = |lane| catalog.route_on("qwen/qwen3.8-flash", lane, now()).unwrap().context;
        assert_eq!((context("realtime"), context("batch")), (Some(991_808), Some(256_000)));
        let wires = |lane| catalog.route_on("xai/grok-4.7", lane, now()).unwrap().wires.clone();
        assert_eq!(wires("batch"), [Wire::Chat]);
        assert!(wires("realtime").contains(&Wire::Responses));
        assert!(
            catalog
                .route_on("fireworks/accounts/fireworks/models/deepseek-v4-flash", "batch", now())
                .is_none()
        );
    }

    #[test]
    fn the_lanes_of_a_model_are_those_its_provider_is_used_on() {
        for (lanes, routes) in [
            (&[][..], &["openai/gpt-5-mini"][..]),
            (&["realtime", "flex"], &["openai/gpt-5-mini", "openai/gpt-5-mini flex"]),
            (&["batch"], &["openai/gpt-5-mini batch"]),
        ] {
            let lanes = lanes.iter().map(|&lane| lane.to_owned()).collect();
            let set = ProviderSettings { lanes: Some(lanes), ..ProviderSettings::default() };
            let settings = Settings { providers: [("openai".to_owned(), set)].into(), ..Settings::default() };
            let (catalog, _) = with_keys(&["openai"]).merge(&settings);
            let found = catalog.routes_on_lanes("openai/gpt-5-mini", now());
            assert_eq!(found.iter().map(|route| &*route.name).collect::<Vec<_>>(), routes);
        }
    }

    #[test]
    fn another_name_of_a_model_has_its_price_and_is_sent_as_written() {
        let catalog = with_keys(&["openai", "deepseek", "anthropic"]);
        for (name, model, input) in [
            ("openai/gpt-5-mini-2025-08-07", "gpt-5-mini-2025-08-07", 250_000),
            ("deepseek/deepseek-v4-flash", "deepseek-v4-flash", 150_000),
            ("anthropic/claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001", 1_000_000),
        ] {
            let route = catalog.route(name, now()).unwrap();
            assert_eq!((&*route.name, &*route.model), (name, model));
            assert_eq!(route.prices.as_ref().unwrap().at(now()).1.input, input, "{name}");
        }
        for name in ["openai/gpt-5-mini-2", "openai/gpt-5-mini-2025-13-45", "openai/gpt-5-minimal"] {
            assert_eq!(catalog.route(name, now()).unwrap().prices, None, "{name}");
        }
    }

    #[test]
    fn embedding_models_embed_and_the_others_talk() {
        let catalog = with_keys(&["openai"]);
        let wires = |name: &str| catalog.route(name, now()).unwrap().wires.clone();
        assert_eq!(wires("openai/text-embedding-3-small"), [Wire::Embeddings]);
        assert_eq!(wires("openai/gpt-5-mini"), [Wire::Chat, Wire::Responses]);
        assert_eq!(wires("vllm/any"), [Wire::Chat, Wire::Responses, Wire::Embeddings]);
    }

    #[test]
    fn names_are_unique_and_every_listed_model_is_a_route() {
        let catalog = Catalog::bundled();
        let names: std::collections::BTreeSet<_> =
            catalog.routes(now()).iter().map(|route| route.name.clone()).collect();
        assert_eq!(names.len(), catalog.models().count());
    }

    #[test]
    fn endpoints_hold_only_what_can_be_reached() {
        let reached = |catalog: &Catalog| {
            let all: Vec<String> = catalog.endpoints().iter().map(|end| end.provider.to_string()).collect();
            all
        };
        let keyless = ["litellm", "llamacpp", "ollama", "portkey", "sim", "vllm"];
        assert_eq!(reached(&with_keys(&[])), keyless);
        assert!(reached(&with_keys(&["openai", "anthropic"])).contains(&"anthropic".to_owned()));
        assert!(
            !reached(&with_keys(&["bedrock", "azure"]))
                .iter()
                .any(|name| name == "bedrock" || name == "azure")
        );
    }

    #[test]
    fn the_resource_completes_an_address() {
        let set = ProviderSettings { resource: Some("contoso".into()), ..ProviderSettings::default() };
        let settings = Settings { providers: [("azure".to_owned(), set)].into(), ..Settings::default() };
        let (catalog, _) = with_keys(&["azure"]).merge(&settings);
        let azure = catalog.endpoints().into_iter().find(|end| &*end.provider == "azure").unwrap();
        assert_eq!(azure.base_url, "https://contoso.openai.azure.com/openai/v1");
        assert_eq!(azure.key_name.as_deref(), Some("AZURE_OPENAI_API_KEY"));
    }
}
