//! `overnight status`: all jobs in a table, or one job with the reasons it waits for.

use serde::Serialize;

use super::args::StatusArgs;
use super::context::{self, Context};
use super::error::CliError;
use super::exit::Exit;
use super::format::{self, count, percent};
use super::jobs::Jobs;
use super::live;
use super::style::{Align, Line, Paint, table};
use super::words::{self, Setting};
use crate::catalog::show;
use crate::view::{AllowanceView, BudgetView, JobView};

/// With `--json`, everything at once.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    pub(crate) jobs: &'a [JobView],
    pub(crate) budgets: &'a [BudgetView],
    pub(crate) allowances: &'a [AllowanceView],
}

/// Prints the state of all jobs, or of one.
pub fn run(args: &StatusArgs, context: &Context, jobs: &mut dyn Jobs) -> Result<Exit, CliError> {
    let setting = context.setting();
    match &args.job {
        Some(asked) => {
            let view = jobs.find(asked)?;
            context.document("status", "job", &view, || one(&view, &setting))?;
        }
        None => {
            let (views, budgets, allowances) = (jobs.views()?, jobs.budgets()?, jobs.allowances()?);
            if context.globals.json {
                let shown = Shown { jobs: &views, budgets: &budgets, allowances: &allowances };
                context.print(&context::document_of("status", &shown)?)?;
            } else {
                context.lines(&many(&views, &setting))?;
                context.lines(&of_budgets(&budgets, &setting))?;
                context.lines(&of_allowances(&allowances, &setting))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Every job on a line, those that are not over last, where the eye is.
pub fn many(views: &[JobView], setting: &Setting) -> Vec<Line> {
    if views.is_empty() {
        return vec![Line::new().add(Paint::Faint, "no jobs yet; `overnight submit FILE` queues one")];
    }
    let mut order: Vec<&JobView> = views.iter().collect();
    order.sort_by_key(|view| (view.finished_at.is_none(), view.submitted_at, view.job_id.clone()));
    let headings = [
        ("JOB", Align::Left),
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("DONE", Align::Right),
        ("FAILED", Align::Right),
        ("WAITING FOR", Align::Left),
        ("SPENT / CAP", Align::Left),
        ("DEADLINE", Align::Left),
    ];
    let rows: Vec<Vec<(Paint, String)>> = order.into_iter().map(|view| row(view, setting)).collect();
    table(&headings, &rows)
}

fn row(view: &JobView, setting: &Setting) -> Vec<(Paint, String)> {
    let failed = view.counts.failed + view.counts.expired;
    vec![
        (Paint::Name, view.job_id.to_string()),
        (Paint::Plain, crate::escape::short(&view.name, 32)),
        (live::state_paint(view), view.state.clone()),
        (Paint::Plain, format!("{}/{}", count(view.counts.ended()), count(view.items))),
        (if failed > 0 { Paint::Bad } else { Paint::Plain }, count(failed)),
        (Paint::Plain, words::waiting_for(view)),
        (Paint::Plain, words::spent_of_cap(view)),
        words::deadline(view, setting),
    ]
}

/// Every budget on a line; nothing where none is set.
pub fn of_budgets(views: &[BudgetView], setting: &Setting) -> Vec<Line> {
    let rows: Vec<Vec<(Paint, String)>> =
        views.iter().filter_map(|view| Some(budget(view, view.limit_usd?, setting))).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let headings = [
        ("BUDGET", Align::Left),
        ("OF", Align::Left),
        ("LIMIT", Align::Right),
        ("SPENT", Align::Right),
        ("RESERVED", Align::Right),
        ("AT RISK", Align::Right),
        ("LEFT", Align::Right),
        ("RENEWS", Align::Left),
    ];
    let mut lines = vec![Line::new()];
    lines.extend(table(&headings, &rows));
    lines
}

fn budget(view: &BudgetView, limit: f64, setting: &Setting) -> Vec<(Paint, String)> {
    let left = view.left_usd.unwrap_or(0.0);
    let paint = match left / limit {
        share if share > 0.2 => Paint::Plain,
        share if share > 0.0 => Paint::Warn,
        _ => Paint::Bad,
    };
    let renews = view.renews_at.map_or_else(|| "never".to_owned(), |at| setting.moment(at));
    vec![
        (Paint::Name, crate::escape::short(&view.scope, 32)),
        (Paint::Plain, view.of.clone()),
        (Paint::Plain, format::total(limit)),
        (Paint::Plain, format::total(view.spent_usd)),
        (Paint::Plain, format::total(view.reserved_usd)),
        (Paint::Plain, format::total(view.at_risk_usd)),
        (paint, format::total(left)),
        (Paint::Plain, renews),
    ]
}

/// Every allowance that was drawn on in its present period; nothing where none was.
pub fn of_allowances(views: &[AllowanceView], setting: &Setting) -> Vec<Line> {
    let row = |view: &AllowanceView| {
        let ends =
            view.ends_at.map_or_else(|| "never".to_owned(), |at| format!("ends {}", setting.moment(at)));
        vec![
            (Paint::Name, crate::escape::short(&view.account, 32)),
            (Paint::Plain, view.period.clone()),
            (Paint::Plain, count(view.requests_used)),
            (Paint::Plain, show::left(view)),
            (Paint::Plain, view.renews_at.map_or(ends, |at| setting.moment(at))),
        ]
    };
    let rows: Vec<_> = views.iter().filter(|view| view.requests_used > 0).map(row).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let headings = [
        ("FREE", Align::Left),
        ("PER", Align::Left),
        ("REQUESTS", Align::Right),
        ("LEFT", Align::Left),
        ("RENEWS", Align::Left),
    ];
    let mut lines = vec![Line::new()];
    lines.extend(table(&headings, &rows));
    lines
}

/// One job with everything that is known of it.
pub fn one(view: &JobView, setting: &Setting) -> Vec<Line> {
    let (ended, items) = (u64::from(view.counts.ended()), u64::from(view.items));
    let mut lines = vec![
        Line::new()
            .add(Paint::Strong, &view.name)
            .add(Paint::Faint, format!("  {}  ", view.job_id))
            .add(live::state_paint(view), &view.state)
            .add(Paint::Warn, if view.paused { " (paused)" } else { "" })
            .text(format!("  {}/{} done ({})", count(ended), count(items), percent(ended, items))),
        words::counts(view),
    ];
    lines.extend(waiting(view, setting));
    if !view.failures.is_empty() {
        let failures = words::by_count(&view.failures);
        lines.push(Line::new().text("  not succeeded: ").add(Paint::Bad, failures));
    }
    lines.extend(words::routes(&view.routes, setting));
    lines.push(words::money(view));
    lines.push(Line::new().text(format!("  {}", tokens(view))));
    lines.push(times(view, setting));
    lines.extend(view.retry_of.as_ref().map(|of| Line::new().text(format!("  retry of {of}"))));
    lines.extend(next_step(view).map(|step| Line::new().add(Paint::Faint, format!("  next: {step}"))));
    lines
}

fn waiting(view: &JobView, setting: &Setting) -> Option<Line> {
    let until = view.waiting_until.filter(|_| view.counts.pending > 0)?;
    let left = until.since(setting.now);
    let when = format!("  something is expected to change at {}", setting.moment(until));
    Some(Line::new().text(when).add(Paint::Faint, format!(" (in {})", format::rough(left))))
}

fn tokens(view: &JobView) -> String {
    let tokens = format!(
        "{} · {} tokens in, {} out",
        format::counted(view.attempts, "attempt"),
        format::rounded(view.input_tokens),
        format::rounded(view.output_tokens)
    );
    match view.reserved_usd {
        reserved if reserved > 0.0 => {
            format!("{tokens} · {} reserved for open attempts", format::total(reserved))
        }
        _ => tokens,
    }
}

fn times(view: &JobView, setting: &Setting) -> Line {
    let mut line = Line::new().text(format!("  submitted {}", setting.moment(view.submitted_at)));
    if let Some(first) = view.first_sent_at {
        line = line.text(format!(" · first sent {}", setting.moment(first)));
    }
    if let Some(finished) = view.finished_at {
        line = line.text(format!(" · finished {}", setting.moment(finished)));
    }
    if let Some((paint, eta)) = words::eta(view, setting) {
        line = line.text(" · ").add(paint, eta);
    }
    if view.deadline_at.is_some() {
        let (paint, deadline) = words::deadline(view, setting);
        line = line.text(" · deadline ").add(paint, deadline);
    }
    line
}

/// The command that helps this job on, where one does.
fn next_step(view: &JobView) -> Option<String> {
    let job = &view.job_id;
    if view.finished_at.is_none() {
        return (view.paused || view.counts.held > 0).then(|| format!("overnight resume {job}"));
    }
    let failed = view.counts.failed + view.counts.expired;
    Some(match failed {
        0 => format!("overnight results {job}"),
        _ => format!("overnight results {job}   or   overnight retry {job}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Zone;
    use crate::cli::{samples, style};

    fn setting() -> Setting {
        Setting { now: samples::now(), zone: Zone::utc() }
    }

    fn shown(lines: &[Line]) -> String {
        style::print(lines, 200, false)
    }

    #[test]
    fn all_jobs() {
        let views = [samples::running(), samples::waiting(), samples::completed()];
        insta::assert_snapshot!(shown(&many(&views, &setting())), @"
        JOB             NAME     STATE                 DONE  FAILED  WAITING FOR              SPENT / CAP    DEADLINE
        job_01kb2zqq41  triage   completed      5,000/5,000       0  -                        $0.61 / $2.00  met, 3h early
        job_01kb3t02ya  embed    in_progress      0/400,000       0  window: opens 22:00 UTC  $0.00 / $8.00  Sat 06:00 UTC  at risk: needs 20h27m, has 19h27m
        job_01kb3v6m8d  reviews  in_progress  13,073/20,000      12  rate_limit               $2.73 / $5.00  18:00 UTC  on track
        ");
    }

    #[test]
    fn budgets_in_the_middle_of_the_day() {
        let view = |scope: &str, of: &str, limit: Option<f64>, spent: f64, left: Option<f64>| BudgetView {
            scope: scope.into(),
            period: "day".into(),
            of: of.into(),
            limit_usd: limit,
            spent_usd: spent,
            spent_pico_usd: 0,
            reserved_usd: 0.04,
            at_risk_usd: 0.0,
            left_usd: left,
            renews_at: (of != "total").then(|| "2026-11-21T00:00:00Z".parse().unwrap()),
            zone: "UTC".into(),
        };
        let views = [
            view("process", "2026-11-20", Some(20.0), 16.2, Some(3.76)),
            view("process", "2026-11", None, 161.0, None),
            view("team=search", "total", Some(5.0), 4.98, Some(0.0)),
        ];
        insta::assert_snapshot!(shown(&of_budgets(&views, &setting())), @"

        BUDGET       OF           LIMIT   SPENT  RESERVED  AT RISK   LEFT  RENEWS
        process      2026-11-20  $20.00  $16.20     $0.04    $0.00  $3.76  Sat 00:00 UTC
        team=search  total        $5.00   $4.98     $0.04    $0.00  $0.00  never
        ");
        assert!(of_budgets(&views[1..2], &setting()).is_empty());
    }

    #[test]
    fn no_jobs() {
        insta::assert_snapshot!(shown(&many(&[], &setting())), @"no jobs yet; `overnight submit FILE` queues one");
    }

    #[test]
    fn one_job_in_the_middle_of_its_work() {
        insta::assert_snapshot!(shown(&one(&samples::running(), &setting())), @"
        reviews  job_01kb3v6m8d  in_progress  13,073/20,000 done (65%)
          ok 13,061   failed 12   running 131   waiting 6,796: rate_limit 5,990 · backoff 806
          not succeeded: schema_mismatch 9 · content_filter 3
          deepseek/deepseek-flash   12,533 ok  p50 2.1s  p95 6.4s   $0.00019/ok  off-peak until Sat 01:00 UTC  540 rejected: schema_mismatch 401 · truncated 139  errors: rate_limited 61
          deepseek/deepseek-v4-pro     528 ok  p50 4.0s  p95 11.9s  $0.00071/ok  rejected: schema_mismatch 12
          spent $2.73 of $5.00 · expect $4.18 · saved $2.73 against now-prices
          13,744 attempts · 7.9M tokens in, 2.0M out · $0.04 reserved for open attempts
          submitted 08:12 UTC · first sent 10:00 UTC · ETA 10:50 (7h10m early) · deadline 18:00 UTC  on track
        ");
    }

    #[test]
    fn one_job_that_waits() {
        insta::assert_snapshot!(shown(&one(&samples::waiting(), &setting())), @"
        embed  job_01kb3t02ya  in_progress  0/400,000 done (0%)
          ok 0   waiting 400,000: window 400,000 (opens 22:00 UTC)
          something is expected to change at 22:00 UTC (in 11h27m)
          spent $0.00 of $8.00
          0 attempts · 0 tokens in, 0 out
          submitted 08:12 UTC · ETA Sat 07:00 (1h late) · deadline Sat 06:00 UTC  at risk: needs 20h27m, has 19h27m
        ");
    }

    #[test]
    fn one_job_that_is_over() {
        let mut view = samples::completed();
        view.counts.succeeded = 4_999;
        view.counts.failed = 1;
        view.failures.insert("schema_mismatch".into(), 1);
        insta::assert_snapshot!(shown(&one(&view, &setting())), @"
        triage  job_01kb2zqq41  completed  5,000/5,000 done (100%)
          ok 4,999   failed 1
          not succeeded: schema_mismatch 1
          spent $0.61 of $2.00
          13,744 attempts · 7.9M tokens in, 2.0M out
          submitted 08:12 UTC · first sent 02:08 UTC · finished 03:00 UTC · deadline met, 3h early
          next: overnight results job_01kb2zqq41   or   overnight retry job_01kb2zqq41
        ");
    }
}
