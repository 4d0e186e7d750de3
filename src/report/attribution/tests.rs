//! Sums against sums written another way, on rows made up from a seed.

use super::*;
use crate::catalog::Catalog;
use crate::money::Usage;

/// A night of two jobs: `job_b` asks again what failed in `job_a`.
struct Night {
    attempts: Vec<AttemptRow>,
    items: Vec<ResultRow>,
}

/// A small generator of its own: every run sees the same rows.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const MODELS: [(&str, &str); 3] =
    [("deepseek", "deepseek-flash"), ("deepseek", "deepseek-v4-pro"), ("openai", "gpt-5-mini")];

fn night(seed: u64) -> Night {
    let mut chance = Chance(seed);
    let mut night = Night { attempts: Vec::new(), items: Vec::new() };
    let start: Timestamp = "2026-11-20T20:00:00Z".parse().unwrap();
    for item in 0..400u32 {
        let tags = match chance.below(3) {
            0 => vec![("team".to_owned(), "search".to_owned())],
            1 => vec![("app".to_owned(), "web".to_owned()), ("team".to_owned(), "ads".to_owned())],
            _ => Vec::new(),
        };
        let mut step = 1;
        let n_attempts = 1 + chance.below(4) as i16;
        for attempt in 1..=n_attempts {
            let row = attempt_row(&mut chance, item, attempt, n_attempts, step, &tags, start);
            step += i16::from(row.escalation_reason.is_some());
            night.attempts.push(row);
        }
        let last = night.attempts.last().unwrap();
        let succeeded = last.status == "succeeded";
        night.items.push(ResultRow {
            job_id: last.job_id.clone(),
            item_index: item,
            status: if succeeded { "succeeded" } else { "failed" }.into(),
            error_code: last.error_code.clone(),
            provider: Some(last.provider.clone()),
            request_model: Some(last.request_model.clone()),
            lane: Some(last.lane.clone()),
            price_window: Some(last.price_window.clone()),
            step: Some(step),
            ended_at: last.ended_at,
            tags,
            ..ResultRow::default()
        });
    }
    night
}

fn attempt_row(
    chance: &mut Chance,
    item: u32,
    attempt: i16,
    of: i16,
    step: i16,
    tags: &[(String, String)],
    start: Timestamp,
) -> AttemptRow {
    let (provider, model) = MODELS[chance.below(3) as usize];
    let (status, code) = match (attempt == of, chance.below(5)) {
        (true, 0) => ("rejected", Some("schema_mismatch")),
        (true, _) => ("succeeded", None),
        (false, 0) => ("error", Some("timeout")),
        (false, 1) => ("unknown", Some("network")),
        (false, _) => ("rejected", Some("not_json")),
    };
    let cost = chance.below(1_000_000_007) as i64;
    let ended_at = Timestamp::from_micros(start.micros() + chance.below(40 * 3_600) as i64 * 1_000_000);
    let tags: serde_json::Map<String, serde_json::Value> =
        tags.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    AttemptRow {
        job_id: "job_a".into(),
        item_index: item,
        attempt,
        step,
        status: status.into(),
        error_code: code.map(str::to_owned),
        escalation_reason: (code == Some("not_json") && chance.below(2) == 0).then(|| "not_json".into()),
        provider: provider.into(),
        request_model: model.into(),
        lane: if chance.below(4) == 0 { "batch" } else { "realtime" }.into(),
        price_window: ["peak", "off-peak", "flat"][chance.below(3) as usize].into(),
        usage: Some(Usage { input: chance.below(5_000), output: chance.below(900), ..Usage::default() }),
        cost_nano_usd: cost,
        list_cost_nano_usd: cost + chance.below(1_000) as i64,
        started_at: ended_at,
        ended_at,
        duration_ms: chance.below(9_000) as i64,
        extra_json: (!tags.is_empty()).then(|| serde_json::json!({ "tags": tags }).to_string()),
        ..AttemptRow::default()
    }
}

fn closed(night: &Night, by: &str) -> Attribution {
    let catalog = Catalog::bundled();
    let keys: Vec<Key> = by.split(',').map(|word| word.parse().unwrap()).collect();
    let mut books = Books::new(&keys, Against::new(&catalog));
    let strongest = ["deepseek/deepseek-v4-pro".to_owned()];
    books.against().add("job_a", "2026-11-20T20:00:00Z".parse().unwrap(), strongest);
    night.attempts.iter().for_each(|row| books.add_attempt(row));
    night.items.iter().for_each(|row| books.add_item(row));
    books.close(0)
}

#[test]
fn the_groups_of_any_key_add_up_to_the_total_to_the_last_digit() {
    for seed in 0..8 {
        let night = night(seed);
        let paid: i64 = night.attempts.iter().map(|row| row.cost_nano_usd).sum();
        for by in [
            "model",
            "job",
            "provider,lane",
            "route",
            "window",
            "step",
            "status",
            "error_code",
            "day",
            "hour",
            "tag.team,model",
            "tag.nobody",
        ] {
            let all = closed(&night, by);
            let sum = |of: fn(&GroupRow) -> i64| all.groups.iter().map(of).sum::<i64>();
            let count = |of: fn(&GroupRow) -> u64| all.groups.iter().map(of).sum::<u64>();
            assert_eq!((sum(|row| row.cost_nano_usd), all.total.cost_nano_usd), (paid, paid), "{by}");
            assert_eq!(sum(|row| row.strongest_nano_usd), all.total.strongest_nano_usd, "{by}");
            assert_eq!(sum(|row| row.run_now_nano_usd), all.savings.run_now_nano_usd, "{by}");
            assert_eq!(
                sum(|row| row.accepted_nano_usd + row.escalated_nano_usd + row.lost_nano_usd),
                paid,
                "{by}"
            );
            assert_eq!(count(|row| row.items), 400, "{by}");
            assert_eq!(count(|row| row.succeeded), all.total.succeeded, "{by}");
            assert_eq!(count(|row| row.attempts), night.attempts.len() as u64, "{by}");
            assert_eq!(count(|row| row.retries), all.total.retries, "{by}");
        }
    }
}

#[test]
fn every_number_of_a_group_is_that_of_a_sum_written_another_way() {
    let night = night(3);
    let all = closed(&night, "tag.team,model");
    for group in &all.groups {
        let [(_, team), (_, model)] = group.key.as_slice() else { panic!("two keys") };
        let mine: Vec<&AttemptRow> = night
            .attempts
            .iter()
            .filter(|row| {
                let item = &night.items[row.item_index as usize];
                let of = item.tags.iter().find(|(key, _)| key == "team").map(|(_, value)| value.clone());
                of == *team && Some(format!("{}/{}", row.provider, row.request_model)) == *model
            })
            .collect();
        let code =
            |code: &str| mine.iter().filter(|row| row.error_code.as_deref() == Some(code)).count() as u64;
        assert_eq!(group.cost_nano_usd, mine.iter().map(|row| row.cost_nano_usd).sum::<i64>());
        assert_eq!(group.failed_json, code("not_json") + code("schema_mismatch"));
        assert_eq!(group.timeouts, code("timeout"));
        assert_eq!(
            group.escalations,
            mine.iter().filter(|row| row.escalation_reason.is_some()).count() as u64
        );
        assert_eq!(group.input_tokens, mine.iter().map(|row| row.usage.unwrap().input).sum::<u64>());
    }
    let retries = night
        .attempts
        .windows(2)
        .filter(|pair| pair[0].item_index == pair[1].item_index && pair[0].step == pair[1].step);
    assert_eq!(all.total.retries, retries.count() as u64);
    assert_eq!(all.failures.iter().map(|row| row.items).sum::<u64>(), 400 - all.total.succeeded);
    assert_eq!(all.hours.iter().map(|row| row.cost_nano_usd).sum::<i64>(), all.total.cost_nano_usd);
    assert_eq!(all.tags, ["app", "team"]);
}

#[test]
fn the_levers_lead_from_the_strongest_model_to_what_was_paid() {
    let savings = closed(&night(5), "model").savings;
    let levers: i64 = savings.levers.steps().iter().map(|(_, saved)| saved).sum();
    assert_eq!(savings.strongest_nano_usd - levers, savings.paid_nano_usd);
    assert_eq!(savings.strongest_words(), "deepseek/deepseek-v4-pro alone");
}

#[test]
fn an_answer_that_was_not_bought_and_one_that_cost_nothing_are_levers_of_their_own() {
    let mut night = night(5);
    let plain = closed(&night, "model").savings;
    let of = |savings: &Savings, name: &str| {
        let steps = savings.levers.steps();
        steps.iter().find(|(of, _)| *of == name).expect("a lever").1
    };
    let extra_json = Some(r#"{"copy_of":"item-0"}"#.to_owned());
    let copy = ResultRow { extra_json, list_cost_nano_usd: 700, ..night.items[0].clone() };
    night.items.push(ResultRow { attempts: 0, ..copy.clone() });
    // What was sent itself before is in the sums already.
    night.items.push(ResultRow { attempts: 1, ..copy });
    let call = &mut night.attempts[0];
    (call.cost_basis, call.cost_nano_usd) = ("free".to_owned(), 0);
    let given = call.list_cost_nano_usd;
    let savings = closed(&night, "model").savings;
    assert_eq!(of(&savings, "repeated requests answered once"), 700);
    assert_eq!(of(&savings, "free quotas"), given);
    assert_eq!(savings.list_nano_usd, plain.list_nano_usd + 700);
    let levers: i64 = savings.levers.steps().iter().map(|(_, saved)| saved).sum();
    assert_eq!(savings.strongest_nano_usd - levers, savings.paid_nano_usd);
}

#[test]
fn a_job_of_which_nothing_was_sent_has_no_forecast_and_no_cost_per_success() {
    let mut night = night(1);
    night.attempts.clear();
    night.items.truncate(1);
    night.items[0] = ResultRow { status: "expired".into(), ..ResultRow::default() };
    let all = closed(&night, "model");
    assert_eq!((all.forecast, all.total.cost_per_success_usd, all.total.p50_ms), (None, None, None));
    assert_eq!((all.groups[0].name().as_str(), all.groups[0].items), ("-", 1));
    assert_eq!(all.failures, [FailureRow { error_code: "expired".into(), model: None, items: 1 }]);
}
