use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

#[path = "../../examples/score/answers.rs"]
mod answers;
#[path = "../../examples/score/best.rs"]
mod best;
#[path = "../../examples/score/chance.rs"]
mod chance;
#[path = "../../examples/score/job.rs"]
mod job;
#[path = "../../examples/score/policies.rs"]
mod policies;
#[path = "../../examples/score/replay.rs"]
mod replay;
#[path = "../../examples/score/score.rs"]
#[expect(clippy::module_inception, reason = "the scorer's own name for it")]
mod score;
#[path = "../../examples/score/show.rs"]
mod show;

use answers::{Answer, Answers, read_prices};
use best::{best_fixed, clairvoyant};
use job::Job;
use policies::{FixedOrder, Router};
use replay::{net, play};
use score::Scores;

const PRICES: &str = "usd_per_mtok_out,model,usd_per_mtok_in\n2,weak,1\n20,strong,10\n";

fn read(csv: &[u8], prices: &str) -> Result<Answers, String> {
    let folder = tempfile::tempdir().unwrap();
    let [answers, price_file] = ["answers.csv.gz", "prices.csv"].map(|name| folder.path().join(name));
    std::fs::write(&answers, csv).unwrap();
    std::fs::write(&price_file, prices).unwrap();
    let prices = read_prices(&price_file).unwrap();
    Answers::read(&answers, &prices).map_err(|error| format!("{error:#}"))
}

/// Sixty items: the weak model passes every second, the strong one all but every tenth.
fn sample() -> String {
    let mut csv = String::from("model,latency_s,correct,item_id,completion_tokens,domain,prompt_tokens\n");
    for n in 0..60 {
        csv += &format!("weak,,{},i{n},50,d,{}\n", n % 2, 100 + n);
        csv += &format!("strong,,{},i{n},60,d,{}\n", u8::from(n % 10 != 0), 100 + n);
    }
    csv
}

fn job(answers: &Answers, worth: f64) -> Job<'_> {
    let pool = (0..answers.models.len()).collect();
    let items = (0..answers.items.len()).collect();
    let mut job = Job { answers, pool, items, worth, guesses: Vec::new(), shift: None };
    job.guesses = (0..job.pool.len()).map(|model| job.record(model).1).collect();
    job
}

/// Models that cost these and pass these shares of so many items, independently.
fn made_up(items: usize, models: &[(f64, f64)]) -> Answers {
    let mut chance = chance::Chance::new(7);
    let mut answer = |&(cost, share): &(f64, f64)| Some(Answer { passed: chance.share() < share, cost });
    let items = (0..items).map(|_| models.iter().map(&mut answer).collect()).collect();
    let models = (0..models.len()).map(|n| format!("m{n}")).collect();
    Answers { models, items, notes: Vec::new() }
}

#[test]
fn columns_are_found_by_name_compressed_or_not() {
    let plain = read(sample().as_bytes(), PRICES).unwrap();
    assert_eq!(plain.models, ["strong", "weak"]);
    assert_eq!(plain.items.len(), 60);
    assert_eq!(plain.items[1][1], Some(Answer { passed: true, cost: (101.0 + 50.0 * 2.0) / 1e6 }));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(sample().as_bytes()).unwrap();
    assert_eq!(read(&gzip.finish().unwrap(), PRICES).unwrap(), plain);
}

#[test]
fn what_is_missing_is_said() {
    let error = read(sample().as_bytes(), "model,usd_per_mtok_in,usd_per_mtok_out\nx,1,1\n").unwrap_err();
    assert!(error.contains("no price for strong, weak"), "{error}");
    let error = read(b"item_id,model\n1,weak\n", PRICES).unwrap_err();
    assert!(error.contains("no column correct, prompt_tokens, completion_tokens"), "{error}");
    let error = read(sample().replace(",1,i7,", ",yes,i7,").as_bytes(), PRICES).unwrap_err();
    assert!(error.contains("line 16: `correct` is \"yes\""), "{error}");
    let holes = read(sample().replace("weak,,0,i4,50,d,104\n", "").as_bytes(), PRICES).unwrap();
    assert_eq!((holes.items[4][1], holes.notes.len()), (None, 1));
    Scores::of(&holes, 2);
}

#[test]
fn no_fixed_order_beats_the_best_and_nobody_beats_the_clairvoyant() {
    let answers = made_up(1_000, &[(1.0, 0.4), (2.0, 0.5), (5.0, 0.8), (9.0, 0.85)]);
    for worth in [0.5, 5.0, 20.0, 500.0] {
        let job = job(&answers, worth);
        let best = best_fixed(&job, 0..job.items.len());
        let played = net(&play(&job, &mut FixedOrder(best.order.clone())), worth);
        assert!((played / best.net - 1.0).abs() < 1e-12, "played, it costs what was worked out");
        let mut orders = vec![Vec::new()];
        while let Some(order) = orders.pop() {
            let paid = net(&play(&job, &mut FixedOrder(order.clone())), worth);
            assert!(paid / best.net >= 1.0 - 1e-12, "{order:?} beats {:?}", best.order);
            let left = (0..4).filter(|model| !order.contains(model));
            orders.extend(left.map(|model| [&order[..], &[model]].concat()));
        }
        let routed = net(&play(&job, &mut Router::new(&job)), worth);
        assert!(clairvoyant(&job) <= best.net && clairvoyant(&job) <= routed);
        assert!((1.0 - 1e-12..1.06).contains(&(routed / best.net)), "{}", routed / best.net);
    }
}

#[test]
fn where_there_is_nothing_to_learn_the_router_pays_what_the_best_pays() {
    // One model that is worth asking; two of which one costs more than any success is worth.
    for (models, worth) in
        [(&[(1.0, 0.9)][..], 10.0), (&[(1.0, 1.0), (50.0, 1.0)], 10.0), (&[(9.0, 0.5)], 2.0)]
    {
        let answers = made_up(200, models);
        let job = job(&answers, worth);
        let paid = net(&play(&job, &mut Router::new(&job)), worth);
        assert!((paid / best_fixed(&job, 0..200).net - 1.0).abs() < 1e-12, "{models:?}");
    }
}

#[test]
fn a_score_repeats_and_has_every_figure() {
    let answers = read(sample().as_bytes(), PRICES).unwrap();
    let scores = Scores::of(&answers, 3);
    assert_eq!(scores, Scores::of(&answers, 3));
    let json = show::as_json(&scores);
    for key in [
        "r_static_mean",
        "r_static_p90",
        "r_oracle_mean",
        "cost_per_success",
        "success_share",
        "r_static_50_items_mean",
        "r_static_after_shift_mean",
        "r_static_all_models",
    ] {
        assert!(json[key].as_f64().is_some_and(|value| value > 0.0), "{key}");
        assert!(json["baselines"]["whole_list"][key].is_f64(), "{key}");
    }
    let text = show::as_text(&scores);
    assert!(text.contains("strong only") && text.contains("router by worth"), "{text}");
}

#[test]
fn more_models_than_can_be_searched_are_scored_by_pools() {
    let models: Vec<(f64, f64)> = (0..20).map(|n| (1.0 + f64::from(n), 0.4 + f64::from(n) / 40.0)).collect();
    let scores = Scores::of(&made_up(100, &models), 1);
    assert!(scores.policies["router"].all_models.is_empty());
    assert!(scores.notes[0].starts_with("all 20 models at once: not scored"), "{:?}", scores.notes);
    assert_eq!(scores.policies["router"].r_static.len(), 3);
}
