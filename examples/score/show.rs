//! The score as a table and as JSON.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::score::{POLICIES, Score, Scores, WORTHS};

/// Of nothing there is no mean.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The value that nine in ten do not exceed.
pub(super) fn p90(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * 0.9).ceil() as usize;
    sorted.get(rank.checked_sub(1)?).copied()
}

/// One object: the router's figures on top, those of the others under `baselines`.
pub(super) fn as_json(scores: &Scores) -> Value {
    let [(ours, _), others @ ..] = POLICIES;
    let figures = |name: &str| figures(scores.policies.get(name).unwrap_or(&Score::default()));
    let mut top = figures(ours);
    let baselines = others.iter().map(|(name, _)| ((*name).to_owned(), figures(name)));
    let by_worth = WORTHS.iter().zip(&scores.by_worth);
    let regret = scores.regret.iter().map(|(items, (paid, best))| {
        let share = if *best > 0.0 { paid / best - 1.0 } else { 0.0 };
        json!({ "items": items, "regret_share": share })
    });
    top["r_static_50_items_warm_mean"] = json!(mean(&scores.small_warm));
    top["r_static_50_items_own_best_floor"] = json!(mean(&scores.small_own_floor));
    top["r_static_mean_by_worth"] =
        by_worth.map(|(worth, values)| (worth.to_string(), json!(mean(values)))).collect();
    top["regret"] = regret.collect();
    top["baselines"] = Value::Object(baselines.collect());
    top["notes"] = json!(scores.notes);
    top
}

fn figures(score: &Score) -> Value {
    json!({
        "r_static_mean": mean(&score.r_static),
        "r_static_p90": p90(&score.r_static),
        "r_oracle_mean": mean(&score.r_oracle),
        "cost_per_success": mean(&score.cost_per_success),
        "success_share": mean(&score.success_share),
        "never_solved_spend_share": mean(&score.wasted_share),
        "r_static_50_items_mean": mean(&score.small),
        "r_static_50_items_own_best_mean": mean(&score.small_own),
        "r_static_after_shift_mean": mean(&score.after_shift),
        "r_static_all_models": mean(&score.all_models),
    })
}

/// A row a policy, and what else there is to say below.
pub(super) fn as_text(scores: &Scores) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "policy",
        "R static",
        "p90",
        "50 items",
        "own best",
        "shift",
        "all",
        "R oracle",
        "$/success",
        "solved",
        "hopeless",
    ]);
    for (name, _) in POLICIES {
        let Some(score) = scores.policies.get(name) else { continue };
        let ratio = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let percent =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.1}%", value * 100.0));
        table.add_row(
            [
                name.replace('_', " "),
                ratio(mean(&score.r_static)),
                ratio(p90(&score.r_static)),
                ratio(mean(&score.small)),
                ratio(mean(&score.small_own)),
                ratio(mean(&score.after_shift)),
                ratio(mean(&score.all_models)),
                ratio(mean(&score.r_oracle)),
                mean(&score.cost_per_success).map_or("-".to_owned(), |cost| format!("{cost:.6}")),
                percent(mean(&score.success_share)),
                percent(mean(&score.wasted_share)),
            ]
            .map(Cell::new),
        );
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{}", remarks(scores))
}

fn remarks(scores: &Scores) -> String {
    let figure = |values: &[f64]| mean(values).map_or("-".to_owned(), |value| format!("{value:.3}"));
    let by_worth = WORTHS.iter().zip(&scores.by_worth);
    let by_worth = by_worth.map(|(worth, values)| format!("{} at {worth} ×", figure(values)));
    let regret = scores.regret.iter().filter(|(_, (_, best))| *best > 0.0);
    let regret =
        regret.map(|(items, (paid, best))| format!("{:.1}% after {items}", 100.0 * (paid / best - 1.0)));
    let mut lines = vec![
        format!("router by worth of a success: {}", by_worth.collect::<Vec<_>>().join(", ")),
        format!("router above the best order: {}", regret.collect::<Vec<_>>().join(", ")),
        format!(
            "router in jobs of 50 items that follow each other: {}; \"own best\" cannot be expected below {}",
            figure(&scores.small_warm),
            figure(&scores.small_own_floor)
        ),
    ];
    lines.extend(scores.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}
