//! A report as one HTML file that needs nothing else: no script, no font, no request.
//!
//! Charts are inline SVG, colours follow the reader's preference for light or dark, every chart is said
//! in words, and every table has a caption. Whatever users and providers wrote is escaped: a tag full of
//! markup is shown as it was typed. The page states a policy that forbids scripts and requests, so that
//! even a mistake here could not run anything.
//!
//! | file | idea |
//! |---|---|
//! | [`tiles`] | the numbers on top |
//! | [`needs`] | what waits for a person |
//! | [`drawings`] | which charts a report has |
//! | [`tables`] | jobs, groups, failures |
//! | [`samples`] | prompts and answers, where they are asked for |
//! | [`poster`] | tiles and charts on one picture |
//!
//! Pure.

use std::fmt::Write as _;

use crate::clock::Timestamp;
use crate::report::Report;
use crate::report::attribution::Attribution;
use crate::report::chart::{Chart, DARK, Ink, LIGHT, escape};
use crate::report::page::drawings::Drawings;
use crate::report::page::samples::Sample;

pub mod drawings;
pub mod needs;
pub mod poster;
pub mod samples;
pub mod tables;
pub mod tiles;

const STYLE: &str = include_str!("style.css");

/// How wide the page's charts are: over its whole width, and two in a row.
const WIDE: f32 = 1_064.0;
const HALF: f32 = 508.0;
/// And all of them on a phone: the same picture made smaller could not be read.
const PHONE: f32 = 308.0;

/// The whole file.
pub fn html(report: &Report, all: &Attribution, samples: &[Sample], made_at: Timestamp) -> String {
    let title = title(report);
    let mut page = String::with_capacity(64 << 10);
    page += "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n";
    page += "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    page += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    put(&mut page, format_args!("<title>{}</title>\n", escape(&format!("{title} · overnight"))));
    put(
        &mut page,
        format_args!("<style>{STYLE}{LIGHT}@media (prefers-color-scheme:dark){{{DARK}}}</style></head>\n"),
    );
    put(
        &mut page,
        format_args!(
            "<body><header><h1><bdi>{}</bdi></h1><p>{}</p></header>\n<main>\n",
            escape(&title),
            escape(&subtitle(report, all, made_at))
        ),
    );
    page += &tiles::html(&tiles::tiles(report, all));
    if all.rows_missing > 0 {
        let missing = crate::report::text::count(all.rows_missing);
        put(
            &mut page,
            format_args!(
                "<p class=\"warn\">{missing} rows were not found in the results folder; the numbers are without them.</p>\n"
            ),
        );
    }
    page += &needs::html(&report.needs);
    let drawings = Drawings::new(all, [WIDE, HALF], Ink::Text);
    let phone = Drawings::new(all, [PHONE, PHONE], Ink::Text);
    page += &figure([&drawings.hours, &phone.hours], &tables::hours(all));
    let pair = figure([&drawings.levers, &phone.levers], &tables::levers(all))
        + &figure([&drawings.per_success, &phone.per_success], "");
    put(&mut page, format_args!("<div class=\"pair\">{pair}</div>\n"));
    page += &tables::jobs(report);
    page += &tables::places(all);
    page += &tables::groups(all);
    page += &tables::models(all);
    let pair = figure([&drawings.latency, &phone.latency], "") + &tables::failures(all);
    put(&mut page, format_args!("<div class=\"pair\">{pair}</div>\n"));
    page += &tables::forecast(all);
    page += &samples::html(samples);
    page += NOTES;
    page += "</main></body></html>\n";
    page
}

/// How the numbers are worked out; a report is read by people who did not make it.
const NOTES: &str = "<footer><h2>How to read this</h2><ul>\n\
<li>A cost belongs to the call that caused it; an item and its success belong to the attempt that ended it. Groups add up to the total exactly.</li>\n\
<li><b>Escalated away</b> was paid for answers that a stronger model was asked to replace, <b>lost</b> for errors, repeats and items that failed.</li>\n\
<li><b>The strongest model alone</b> is the tokens of accepted answers at its realtime price of the same hour, as if it never failed; <b>run at once</b> is every call at the price of the moment its job was submitted; <b>list price</b> is the dearest hour of the realtime lane.</li>\n\
<li>Percentiles are of answers, accepted or not. Days and hours are UTC.</li>\n\
</ul></footer>\n";

/// What the report is of.
fn title(report: &Report) -> String {
    match report.jobs.as_slice() {
        [] => "No jobs".to_owned(),
        [job] => job.name.clone(),
        jobs => {
            let mut names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            match names.as_slice() {
                [one] => format!("{one}, {} jobs", jobs.len()),
                [one, two] => format!("{one} and {two}"),
                [one, rest @ ..] => format!("{one} and {} others", rest.len()),
                [] => String::new(),
            }
        }
    }
}

fn subtitle(report: &Report, all: &Attribution, made_at: Timestamp) -> String {
    let days = all.forecast.as_ref().map(|basis| match basis.days_seen {
        1 => basis.first_day.clone(),
        _ => format!("{} to {}", basis.first_day, basis.last_day),
    });
    let jobs = match report.jobs.as_slice() {
        [job] => Some(job.job_id.to_string()),
        jobs => Some(format!("{} jobs", jobs.len())),
    };
    let made = format!(
        "written {} UTC by overnight {}",
        made_at.utc().format("%Y-%m-%d %H:%M"),
        env!("CARGO_PKG_VERSION")
    );
    jobs.into_iter().chain(days).chain([made]).collect::<Vec<_>>().join(" · ")
}

/// A chart for wide windows and for narrow ones with its name, and its numbers to unfold; nothing where
/// there is none.
fn figure([wide, phone]: [&Option<Chart>; 2], numbers: &str) -> String {
    let (Some(chart), Some(phone)) = (wide, phone) else { return String::new() };
    let numbers = match numbers {
        "" => String::new(),
        numbers => format!("<details><summary>as numbers</summary>{numbers}</details>"),
    };
    let (title, wide, phone) = (escape(&chart.title), chart.svg(), phone.svg());
    format!(
        "<figure><figcaption>{title}</figcaption><div class=\"desk\">{wide}</div><div class=\"phone\">{phone}</div>{numbers}</figure>\n"
    )
}

fn put(page: &mut String, what: std::fmt::Arguments<'_>) {
    page.write_fmt(what).expect("a string takes all");
}

#[cfg(test)]
mod tests;
