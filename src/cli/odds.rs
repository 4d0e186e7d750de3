//! `overnight models --odds` and `--reset-odds`: what checks have taught of each model.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::jobs::Jobs;
use super::session::Hold;
use super::style::{Line, Paint};
use crate::view::OddsView;

/// Shows the odds of every class, or of those of one name.
pub fn show(class: Option<&str>, context: &Context) -> Result<Exit, CliError> {
    let views = asked(&mut Hold::jobs(context)?, class)?;
    context.document("odds", "odds", &views, || table(&views))?;
    Ok(Exit::Done)
}

/// Forgets them: the next job of the class begins with what is assumed of models nobody has tried.
pub fn reset(class: Option<&str>, context: &Context) -> Result<Exit, CliError> {
    let mut jobs = Hold::jobs(context)?;
    let views = asked(&mut jobs, class)?;
    let mut classes: Vec<String> = views.into_iter().map(|view| view.class).collect();
    classes.dedup();
    for class in &classes {
        jobs.reset_odds(Some(class))?;
    }
    let said = match classes.as_slice() {
        [class] => format!("forgot what checks taught of {class}"),
        all => format!("forgot what checks taught of {} classes", all.len()),
    };
    context.document("odds-reset", "classes", &classes, || vec![Line::new().text(said)])?;
    Ok(Exit::Done)
}

/// Those of a class; an error where nothing is known of a class that was named.
fn asked(jobs: &mut dyn Jobs, class: Option<&str>) -> Result<Vec<OddsView>, CliError> {
    let mut views = jobs.odds()?;
    let Some(class) = class else { return Ok(views) };
    views.retain(|view| view.is_of(class));
    match views.is_empty() {
        true => Err(CliError::new(
            "no_such_class",
            Exit::NotFound,
            format!("no check has judged answers of {class:?}"),
        )
        .hint("`overnight models --odds` shows every class; a job's class is its name")),
        false => Ok(views),
    }
}

fn table(views: &[OddsView]) -> Vec<Line> {
    if views.is_empty() {
        return vec![Line::new().text("no check has judged an answer yet, or no ladder left a choice")];
    }
    let width = views.iter().map(|view| view.model.chars().count()).max().unwrap_or(0).max(5);
    let mut lines = Vec::new();
    let mut class = "";
    for view in views {
        if view.class != class {
            class = &view.class;
            lines.push(Line::new().add(Paint::Name, class));
            lines.push(Line::new().text(format!(
                "  {:<width$}  {:>8}  {:>8}  {:>7}  {:>12}",
                "model", "tried", "passed", "chance", "after others"
            )));
        }
        lines.push(Line::new().text(format!(
            "  {:<width$}  {:>8.0}  {:>8.0}  {:>6.1}%  {:>11.1}%",
            view.model,
            view.tried,
            view.passed,
            100.0 * view.chance,
            100.0 * view.chance_after_others
        )));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(class: &str, model: &str) -> OddsView {
        OddsView {
            class: class.to_owned(),
            model: model.to_owned(),
            tried: 120.0,
            passed: 90.0,
            chance: 0.75,
            chance_after_others: 0.204,
        }
    }

    #[test]
    fn a_class_is_shown_once_with_a_line_for_each_model() {
        let views = [
            view("reviews 0a1b2c3d", "sim/small"),
            view("reviews 0a1b2c3d", "sim/large"),
            view("tags", "sim/small"),
        ];
        let lines: Vec<String> = table(&views).iter().map(|line| line.render(200, false)).collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[0], "reviews 0a1b2c3d");
        assert_eq!(lines[1], "  model         tried    passed   chance  after others");
        assert_eq!(lines[2], "  sim/small       120        90    75.0%         20.4%");
        assert_eq!(lines[5], lines[1]);
    }

    #[test]
    fn a_class_is_meant_by_its_title_too() {
        let view = view("my reviews 0a1b2c3d", "sim/small");
        assert!(view.is_of("my reviews") && view.is_of("my reviews 0a1b2c3d") && !view.is_of("my"));
    }
}
