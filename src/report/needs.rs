//! What waits for a person: of each job, what no passing of time brings.
//!
//! Pure.

use serde::Serialize;

use crate::job::JobId;
use crate::report::text::count;
use crate::view::{JobView, Waiting};

/// One thing that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Of which job, where it is of one.
    pub job_id: Option<JobId>,
    /// What it is about: a job's name, `schedule reviews`, a file.
    pub subject: String,
    /// What kind of thing: `paused`, `held`, `no_route`, `budget`, `failed`, `intake`.
    pub kind: &'static str,
    /// What it is.
    pub words: String,
    /// What helps, where a command does.
    pub command: Option<String>,
}

impl Need {
    fn new(view: &JobView, kind: &'static str, words: String, command: String) -> Need {
        let command = Some(format!("overnight {command}"));
        Need { job_id: Some(view.job_id.clone()), subject: view.name.clone(), kind, words, command }
    }
}

/// What these jobs need, in their order.
pub fn of<'a>(views: impl IntoIterator<Item = &'a JobView>) -> Vec<Need> {
    views.into_iter().flat_map(of_job).collect()
}

fn of_job(view: &JobView) -> Vec<Need> {
    let id = &view.job_id;
    let mut needs = Vec::new();
    let is_open = view.finished_at.is_none();
    if is_open && view.paused {
        needs.push(Need::new(view, "paused", "is paused".to_owned(), format!("resume {id}")));
    }
    if is_open && view.counts.held > 0 {
        let words = format!(
            "{} held: whether a request was billed is not known, and sending it again may cost twice",
            items(view.counts.held.into())
        );
        needs.push(Need::new(view, "held", words, format!("resume {id}")));
    }
    for (waiting, kind, command) in [
        (Waiting::NoRoute, "no_route", "providers check".to_owned()),
        (Waiting::Budget, "budget", format!("resume {id} --max-cost USD")),
    ] {
        if let Some(&n) = view.waiting.get(&waiting).filter(|n| is_open && **n > 0) {
            // The words are those of the reason that most items wait for.
            let is_main = view.waiting.values().all(|other| *other <= n);
            let why = view.waiting_for.as_deref().filter(|_| is_main).unwrap_or(waiting.as_str());
            let verb = if n == 1 { "waits" } else { "wait" };
            needs.push(Need::new(view, kind, format!("{} {verb}: {why}", items(n.into())), command));
        }
    }
    let failed: u64 = view.failures.values().sum();
    if failed > 0 {
        let mut reasons: Vec<(&String, &u64)> = view.failures.iter().collect();
        reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), *reason));
        let reasons: Vec<String> =
            reasons.iter().map(|(reason, n)| format!("{reason} {}", count(**n))).collect();
        let words = format!("{} without an answer: {}", items(failed), reasons.join(" · "));
        needs.push(Need::new(view, "failed", words, format!("retry {id}")));
    }
    needs
}

fn items(n: u64) -> String {
    if n == 1 { "1 item".to_owned() } else { format!("{} items", count(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn a_job_that_goes_its_way_needs_nobody() {
        let well = JobView { failures: [].into(), ..samples::running() };
        assert_eq!(of([&well]), []);
    }

    #[test]
    fn what_no_time_mends_is_told_with_what_helps() {
        let mut view = JobView {
            paused: true,
            failures: [("not_json".to_owned(), 3), ("refusal".to_owned(), 1_200)].into(),
            waiting: [(Waiting::NoRoute, 5), (Waiting::Budget, 1), (Waiting::RateLimit, 4)].into(),
            waiting_for: Some("key OPENAI_API_KEY rejected".to_owned()),
            ..samples::running()
        };
        view.counts.held = 2;
        let told: Vec<(&str, String, String)> =
            of([&view]).into_iter().map(|need| (need.kind, need.words, need.command.unwrap())).collect();
        let id = &view.job_id;
        let told: Vec<(&str, &str, String)> =
            told.iter().map(|(kind, words, command)| (*kind, words.as_str(), command.clone())).collect();
        assert_eq!(told[0], ("paused", "is paused", format!("overnight resume {id}")));
        assert!(told[1].1.starts_with("2 items held"), "{told:?}");
        assert_eq!(told[2].1, "5 items wait: key OPENAI_API_KEY rejected");
        assert_eq!(told[3].2, format!("overnight resume {id} --max-cost USD"));
        assert_eq!(told[4].1, "1,203 items without an answer: refusal 1,200 · not_json 3");
        // Over: only what failed is left to do.
        view.finished_at = Some(samples::now());
        let kinds: Vec<&str> = of([&view]).iter().map(|need| need.kind).collect();
        assert_eq!(kinds, ["failed"]);
    }
}
