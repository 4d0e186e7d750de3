//! What the engine wants a person to know, in words.
//!
//! `run` says these above its picture, `daemon` in its log.
//!
//! Pure.

use super::style::{Line, Paint};
use crate::clock::Timestamp;
use crate::engine::Notice;
use crate::ledger::{Alert, Period, Scope};

/// One line for people; what providers said in it is made safe to print.
pub fn line(notice: &Notice) -> Line {
    let (paint, subject, words) = match notice {
        Notice::Finished(job) => {
            (Paint::Good, job.as_str(), format!("is over; overnight results {job} takes the answers home"))
        }
        Notice::AccountStopped(account, why) => {
            (Paint::Bad, &**account, format!("stopped until you act: {why}; its items wait or go elsewhere"))
        }
        Notice::RouteDead(route, why) => (Paint::Bad, &**route, format!("is out for this run: {why}")),
        Notice::CircuitOpen(account, why) => (
            Paint::Warn,
            &**account,
            format!("failed too often in a row: {why}; one request at a time probes it"),
        ),
        Notice::CircuitClosed(account) => (Paint::Good, &**account, "answers again".to_owned()),
        Notice::FewFiles(calls) => (
            Paint::Warn,
            "open files",
            format!("are limited, so {calls} calls run at a time; ulimit -n 4096 allows more"),
        ),
        Notice::ClockSetBack(by) => (
            Paint::Warn,
            "the clock",
            format!("was set back by {}; hours are worked out anew", super::format::span(*by)),
        ),
        Notice::OddLines { route, batch, foreign, double } => (
            Paint::Warn,
            &**route,
            format!(
                "gave a batch lines that count for nothing: {foreign} of somebody else, {double} twice; batch {}",
                crate::escape::short(batch, 80)
            ),
        ),
        Notice::Budget(alert) => return budget(alert),
        Notice::TooLate { job, earliest, fits } => (Paint::Bad, job.as_str(), too_late(*earliest, *fits)),
    };
    Line::new().add(paint, subject).text(format!(" {words}"))
}

/// A deadline that cannot be kept: how much can, and when all could.
fn too_late(earliest: Option<Timestamp>, fits: u64) -> String {
    let all = match earliest {
        Some(at) => format!("all could be done at {}", at.utc().format("%Y-%m-%d %H:%M UTC")),
        None => "the hours of its models never suffice".to_owned(),
    };
    format!("cannot be done by its deadline: about {fits} of its items can, {all}; extend it or add models")
}

/// How far a budget is used up: `the day's budget of team=search has reached 80%: $4.01 of $5.00`.
fn budget(alert: &Alert) -> Line {
    let Alert { scope, period, percent, settled, limit } = alert;
    let span = match period {
        Period::Day(_) => "the day's budget",
        Period::Month(_) => "the month's budget",
        Period::Total => "the budget",
    };
    let subject = match scope {
        Scope::Process => span.to_owned(),
        Scope::Tag(tag) => format!("{span} of {}", crate::escape::short(tag, 64)),
        Scope::Job(job) => format!("the cap of {job}"),
    };
    if *percent < 100 {
        let words = format!(" has reached {percent}%: {settled} of {limit}");
        return Line::new().add(Paint::Warn, subject).text(words);
    }
    let until = match period {
        Period::Day(_) => "; its items wait for the next day",
        Period::Month(_) => "; its items wait for the next month",
        Period::Total => "; its items wait until it is raised",
    };
    Line::new().add(Paint::Bad, subject).text(format!(" is used up: {settled} of {limit}{until}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;
    use crate::ledger::Day;

    #[test]
    fn every_notice_says_what_it_means_for_the_items() {
        let said = |notice: Notice| line(&notice).render(200, false);
        insta::assert_snapshot!(said(Notice::Finished(JobId::new("job_01kb3v6m8d"))), @"job_01kb3v6m8d is over; overnight results job_01kb3v6m8d takes the answers home");
        insta::assert_snapshot!(said(Notice::AccountStopped("openai".into(), "key OPENAI_API_KEY rejected".into())), @"openai stopped until you act: key OPENAI_API_KEY rejected; its items wait or go elsewhere");
        insta::assert_snapshot!(said(Notice::RouteDead("openai/gpt-3".into(), "the model is retired".into())), @"openai/gpt-3 is out for this run: the model is retired");
        insta::assert_snapshot!(said(Notice::CircuitOpen("groq".into(), "HTTP 500 \u{1b}[2J".into())), @r"groq failed too often in a row: HTTP 500 \x1b[2J; one request at a time probes it");
        let alert = |scope, period, percent| {
            let usd = |text: &str| text.parse().unwrap();
            Notice::Budget(Alert { scope, period, percent, settled: usd("$4.01"), limit: usd("$5") })
        };
        let day = Period::Day(Day::default());
        insta::assert_snapshot!(said(alert(Scope::Process, day, 80)), @"the day's budget has reached 80%: $4.01 of $5.00");
        insta::assert_snapshot!(said(alert(Scope::Tag("team=search".into()), day, 100)), @"the day's budget of team=search is used up: $4.01 of $5.00; its items wait for the next day");
        insta::assert_snapshot!(said(alert(Scope::Job(JobId::new("job_01kb3v6m8d")), Period::Total, 50)), @"the cap of job_01kb3v6m8d has reached 50%: $4.01 of $5.00");
        insta::assert_snapshot!(said(Notice::FewFiles(12)), @"open files are limited, so 12 calls run at a time; ulimit -n 4096 allows more");
        insta::assert_snapshot!(said(Notice::CircuitClosed("groq".into())), @"groq answers again");
    }
}
