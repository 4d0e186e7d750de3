//! [`JobReport`]s as a terminal shows them.
//!
//! ```text
//! reviews   20,000 items in 52m   19,981 ok (99.9%)   19 failed: schema_mismatch 14 · content_filter 5
//! paid $4.17   same work at list price $8.34   saved $4.17 (50.0%)   $0.00021 per success   deadline met, 7h08m early
//! ```
//!
//! Pure.

use std::time::Duration;

use crate::money::Usd;
use crate::report::text::{count, latency, line, percent, reasons, span, table};
use crate::report::{Deadline, JobReport, Report, RouteReport};

/// Every job, and their sum where there are several.
pub fn render_report(report: &Report) -> String {
    let mut blocks: Vec<String> = report.jobs.iter().map(render_job).collect();
    if report.jobs.len() > 1 {
        blocks.push(sum(&report.jobs));
    }
    blocks.join("\n")
}

/// One job.
pub fn render_job(job: &JobReport) -> String {
    let mut shown = format!("{}\n{}\n", items(job), money(job));
    if job.unknown_attempts > 0 {
        let unknown = count(job.unknown_attempts);
        let reserved = usd(job.reserved_usd);
        shown += &format!(
            "{unknown} attempts with unknown outcome, {reserved} reserved for them and counted as estimated\n"
        );
    }
    if !job.routes.is_empty() {
        shown += "\n";
        shown += &routes(&job.routes);
    }
    shown
}

fn items(job: &JobReport) -> String {
    let took = job.took_seconds.map(|seconds| format!(" in {}", span(Duration::from_secs(seconds))));
    let ok = format!(
        "{} ok ({})",
        count(u64::from(job.succeeded)),
        percent(u64::from(job.succeeded), u64::from(job.items))
    );
    let retry = job.retry_of.as_ref().map(|of| format!(" (retry of {of})"));
    let mut parts = vec![
        line(&job.name) + &retry.unwrap_or_default(),
        format!("{}{}", n_items(job.items.into()), took.unwrap_or_default()),
        ok,
    ];
    let others = [(job.failed, "failed"), (job.expired, "expired"), (job.cancelled, "cancelled")];
    let others = others.into_iter().filter(|(n, _)| *n > 0);
    let others: Vec<String> = others.map(|(n, word)| format!("{} {word}", count(u64::from(n)))).collect();
    if !others.is_empty() {
        parts.push(format!("{}: {}", others.join(", "), reasons(&job.failures)));
    }
    if job.left > 0 {
        parts.push(format!("{} left", count(u64::from(job.left))));
    }
    parts.join("   ")
}

fn n_items(n: u64) -> String {
    format!("{} item{}", count(n), if n == 1 { "" } else { "s" })
}

fn money(job: &JobReport) -> String {
    let mut parts = vec![format!("paid {}", usd(job.cost_usd))];
    if job.saved_usd > 0.0 {
        parts.push(format!("same work at list price {}", usd(job.list_cost_usd)));
        let share = percent(micro(job.saved_usd), micro(job.list_cost_usd));
        parts.push(format!("saved {} ({share})", usd(job.saved_usd)));
    }
    parts.extend(job.cost_per_success_usd.map(|cost| format!("{} per success", usd(cost))));
    parts.extend(job.deadline.as_ref().and_then(|deadline| deadline_words(deadline, job.expired)));
    parts.join("   ")
}

fn deadline_words(deadline: &Deadline, expired: u32) -> Option<String> {
    let early = deadline.early_seconds?;
    let by = span(Duration::from_secs(early.unsigned_abs()));
    Some(match deadline.met? {
        true => format!("deadline met, {by} early"),
        false if expired > 0 => format!("deadline missed: {} items expired", count(u64::from(expired))),
        false => format!("deadline missed by {by}"),
    })
}

fn routes(routes: &[RouteReport]) -> String {
    let header =
        ["ROUTE", "ATTEMPTS", "OK", "REJECTED", "ERRORS", "ESCALATED", "P50", "P95", "COST", "PER OK"];
    let rows = routes.iter().map(|route| {
        let sum = |counts: &std::collections::BTreeMap<String, u64>| count(counts.values().sum());
        vec![
            line(&route.route),
            count(route.attempts),
            count(route.succeeded),
            sum(&route.rejected),
            sum(&route.errors),
            route.escalated.map_or_else(dash, count),
            route.p50_ms.map_or_else(dash, latency),
            route.p95_ms.map_or_else(dash, latency),
            usd(route.cost_usd),
            route.cost_per_success_usd.map_or_else(dash, usd),
        ]
    });
    let mut shown = table(&header, rows, 1);
    shown.push('\n');
    for route in routes.iter().filter(|route| !(route.rejected.is_empty() && route.errors.is_empty())) {
        let rejected = reasons(route.rejected.iter().chain(&route.errors));
        shown += &format!("{}: {rejected}\n", line(&route.route));
    }
    shown
}

fn sum(jobs: &[JobReport]) -> String {
    // Items of a retry are items of the job it repeats, and were counted there.
    let is_counted = |job: &&JobReport| jobs.iter().all(|other| job.retry_of.as_ref() != Some(&other.job_id));
    let items: u64 = jobs.iter().filter(is_counted).map(|job| u64::from(job.items)).sum();
    let succeeded: u64 = jobs.iter().map(|job| u64::from(job.succeeded)).sum();
    let paid: f64 = jobs.iter().map(|job| job.cost_usd).sum();
    let saved: f64 = jobs.iter().map(|job| job.saved_usd).sum();
    format!(
        "{} jobs   {}   {} ok ({})   paid {}   saved {}\n",
        count(jobs.len() as u64),
        n_items(items),
        count(succeeded),
        percent(succeeded, items),
        usd(paid),
        usd(saved)
    )
}

/// Dollars of a float, as [`Usd`] shows them.
fn usd(dollars: f64) -> String {
    Usd::from_pico((dollars * 1e12).round() as i128).to_string()
}

fn micro(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::job::JobId;
    use crate::ledger::Counts;
    use crate::view::{JobView, RouteView};

    fn view() -> JobView {
        let hours = |hours: i64| Timestamp::from_micros(hours * 3_600_000_000);
        let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(code, n)| ((*code).to_owned(), *n)).collect();
        JobView {
            job_id: JobId::new("job_01kb3v6m8d"),
            name: "reviews\u{1b}[2J".into(),
            state: "completed".into(),
            paused: false,
            submitted_at: hours(0),
            deadline_at: Some(hours(18)),
            items: 20_000,
            counts: Counts { succeeded: 19_981, failed: 19, ..Counts::default() },
            waiting: Default::default(),
            waiting_for: None,
            waiting_until: None,
            cost_usd: 4.17,
            cost_pico_usd: 4_170_000_000_000,
            reserved_usd: 0.0012,
            max_cost_usd: Some(5.0),
            list_cost_usd: 8.34,
            attempts: 20_600,
            unknown_attempts: 2,
            input_tokens: 12_000_000,
            output_tokens: 3_000_000,
            per_minute: None,
            eta: None,
            first_sent_at: Some(hours(10)),
            finished_at: Some(hours(11)),
            failures: counts(&[("content_filter", 5), ("schema_mismatch", 14)]),
            routes: vec![RouteView {
                route: "deepseek/deepseek-flash".into(),
                succeeded: 19_981,
                rejected: counts(&[("schema_mismatch", 401), ("truncated", 139)]),
                errors: counts(&[("rate_limited", 79)]),
                cost_usd: 4.17,
                cost_per_success_usd: Some(4.17 / 19_981.0),
                p50_ms: Some(2_100),
                p95_ms: Some(6_400),
                price_window: None,
                price_until: None,
            }],
            retry_of: None,
            tags: Default::default(),
            cached_input_tokens: 0,
            reasoning_tokens: 0,
        }
    }

    #[test]
    fn a_finished_job_on_a_page() {
        let report = Report::new(vec![JobReport::new(&view(), None, Timestamp::MAX)]);
        insta::assert_snapshot!(render_report(&report));
        insta::assert_snapshot!("as_json", serde_json::to_string_pretty(&report).unwrap());
    }

    #[test]
    fn a_deadline_is_missed_by_expired_items_or_by_a_late_end() {
        let mut late = view();
        late.deadline_at = Some(late.finished_at.unwrap() - Duration::from_secs(720));
        let shown = render_job(&JobReport::new(&late, None, Timestamp::MAX));
        assert!(shown.contains("deadline missed by 12m"), "{shown}");
        late.counts.expired = 3;
        let shown = render_job(&JobReport::new(&late, None, Timestamp::MAX));
        assert!(shown.contains("deadline missed: 3 items expired"), "{shown}");
    }

    #[test]
    fn items_of_a_retry_are_counted_once() {
        let first = JobReport::new(&view(), None, Timestamp::MAX);
        let again = JobReport {
            job_id: JobId::new("job_retry00"),
            items: 19,
            succeeded: 19,
            retry_of: Some(first.job_id.clone()),
            ..first.clone()
        };
        let shown = render_report(&Report::new(vec![first, again]));
        assert!(shown.contains(" (retry of job_01kb3v6m8d)   19 items"), "{shown}");
        assert!(shown.contains("2 jobs   20,000 items   20,000 ok (100%)"), "{shown}");
    }

    #[test]
    fn several_jobs_have_a_sum() {
        let job = JobReport::new(&view(), None, Timestamp::MAX);
        let shown = render_report(&Report::new(vec![job.clone(), job]));
        assert!(
            shown.ends_with("2 jobs   40,000 items   39,962 ok (99.9%)   paid $8.34   saved $8.34\n"),
            "{shown}"
        );
    }
}
