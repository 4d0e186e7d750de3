use super::*;
use crate::catalog::import::{Source, read};
use crate::catalog::testing::with_keys;

const LITELLM: &str = include_str!("../../../tests/data/prices/litellm.json");

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn list(text: &str, as_of: &str) -> Imported {
    read(Source::LiteLlm, text, as_of, &Catalog::bundled()).unwrap()
}

fn changed() -> String {
    LITELLM.replace("\"input_cost_per_token\": 2.5e-07", "\"input_cost_per_token\": 3e-07")
}

fn of(findings: &[Finding], model: &str) -> Vec<(FindingKind, bool)> {
    let here = findings.iter().filter(|finding| finding.model == model);
    here.map(|finding| (finding.kind, finding.is_grave())).collect()
}

#[test]
fn figures_have_names_a_person_understands() {
    let catalog = Catalog::bundled();
    let names: Vec<String> =
        figures(catalog.model("xai/grok-4.3").unwrap(), now()).keys().map(Figure::to_string).collect();
    assert!(
        names.contains(&"input".to_owned()) && names.contains(&"batch output >200k".to_owned()),
        "{names:?}"
    );
    let flash = figures(catalog.model("deepseek/deepseek-flash").unwrap(), now());
    let name = |figure: &Figure| figure.to_string() == "input in the cheapest hours";
    assert_eq!(flash.iter().find(|(figure, _)| name(figure)).unwrap().1.to_exact(), "$0.15");
}

#[test]
fn a_list_that_says_the_same_makes_no_difference() {
    let catalog = Catalog::bundled();
    let (differing, _) = differences(&catalog, &list(LITELLM, "2026-11-22"), now());
    let models: std::collections::BTreeSet<&str> = differing.iter().map(|one| one.model.as_str()).collect();
    // The promotion is over by now and this list still has it; the others are stated on purpose.
    assert_eq!(models.into_iter().collect::<Vec<_>>(), ["openai/gpt-5.6-sol"]);
}

#[test]
fn what_a_list_would_change_is_told_from_old_to_new() {
    let catalog = Catalog::bundled();
    let (differing, new) = differences(
        &catalog,
        &list(&changed().replace("\"gpt-5-nano\"", "\"gpt-9-nano\""), "2026-11-22"),
        now(),
    );
    let mini = differing.iter().find(|one| one.model == "openai/gpt-5-mini").unwrap();
    assert_eq!((mini.what.as_str(), mini.in_use_usd, mini.list_usd), ("input", Some(0.25), 0.3));
    assert!((mini.change_percent.unwrap() - 20.0).abs() < 1e-9);
    assert_eq!(new.iter().filter(|name| name.contains("gpt-9")).collect::<Vec<_>>(), ["openai/gpt-9-nano"]);
}

#[test]
fn a_contradiction_is_grave_only_in_use_and_by_a_list_that_is_no_older() {
    let catalog = Catalog::bundled();
    let used = ["openai/gpt-5-mini".to_owned()];
    let kinds =
        |list: &Imported, used: &[String]| of(&verify(&catalog, &[list], used, now()), "openai/gpt-5-mini");
    assert_eq!(kinds(&list(&changed(), "2026-11-22"), &used), [(FindingKind::Contradicted, true)]);
    assert_eq!(kinds(&list(&changed(), "2026-11-22"), &[]), [(FindingKind::Contradicted, false)]);
    assert_eq!(kinds(&list(&changed(), "2026-11-20"), &used), []);
    assert_eq!(kinds(&list(LITELLM, "2026-11-22"), &used), []);
    let near = LITELLM.replace("\"input_cost_per_token\": 2.5e-07", "\"input_cost_per_token\": 2.52e-07");
    assert_eq!(kinds(&list(&near, "2026-11-22"), &used), [], "within one percent");
}

#[test]
fn a_model_in_use_needs_a_price() {
    let catalog = with_keys(&["openai"]);
    let used = ["openai/gpt-next".to_owned(), "vllm/mine".to_owned()];
    let findings = verify(&catalog, &[], &used, now());
    assert_eq!(of(&findings, "openai/gpt-next"), [(FindingKind::Unpriced, true)]);
    assert_eq!(of(&findings, "vllm/mine"), [], "it runs on the user's own machine");
    assert_eq!(findings[0].model, "openai/gpt-next", "grave ones come first");
}

#[test]
fn a_price_is_stale_until_a_newer_list_confirms_it() {
    let catalog = Catalog::bundled();
    let later: Timestamp = "2027-01-15T00:00:00Z".parse().unwrap();
    let kinds = |lists: &[&Imported]| of(&verify(&catalog, lists, &[], later), "openai/gpt-5.4");
    assert_eq!(kinds(&[]), [(FindingKind::Stale, false)]);
    assert_eq!(kinds(&[&list(LITELLM, "2027-01-10")]), []);
    let retired = verify(&catalog, &[], &["openai/gpt-5-mini".to_owned()], later);
    assert_eq!(of(&retired, "openai/gpt-5-mini"), [(FindingKind::Retired, false)]);
}
