//! What a week must come to, by the files it left and by the provider's own log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::NaiveDate;
use overnight::clock::Timestamp;
use overnight::job::{Job, JobId};
use overnight::ledger::{JobLedger, Ledger};
use overnight::money::Usd;
use overnight::provider::simulated::{Fault, Line};
use overnight::report::row::{AttemptRow, ResultRow};
use overnight::results::read;
use overnight::results::select::{Filter, Link, Selection, Texts};
use sha2::{Digest, Sha256};

use super::calendar::{A_DAY, HOUR, MINUTE, is_night, is_peak, shown};
use super::machine::{Machine, PACE};
use super::plot::{PLANS, Plan, Plot};
use super::seen::Seen;
use super::set_up::prompts;

/// A firing that is seen so late is not missed yet.
const GRACE: Duration = Duration::from_secs(300);

/// More than the worst case of any request of these weeks.
const DEAREST: Usd = Usd::from_pico(4_000_000_000);

/// How long a job takes at most where nothing comes in between.
const SOON: Duration = Duration::from_secs(3 * 3_600);

/// One job, as it was left.
pub(super) struct Done<'a> {
    pub(super) plan: &'static Plan,
    fired: Timestamp,
    job: &'a Job,
    pub(super) state: &'a JobLedger,
    pub(super) results: Vec<ResultRow>,
    pub(super) attempts: Vec<AttemptRow>,
}

/// Judges a week that is over, and says what was in it.
pub(super) fn week(machine: &Machine, plot: &Plot) -> Seen {
    let ledger = machine.ledger();
    let mut seen = Seen::of(machine);
    let done = jobs(machine, plot, &ledger, &mut seen);
    for job in &done {
        items(job);
    }
    let log: BTreeMap<String, &Line> = machine
        .provider()
        .log()
        .iter()
        .map(|line| (line.client_id.as_ref().expect("our requests have names").to_string(), line))
        .collect();
    books(&done, &log);
    budgets(&done, &log, machine, plot);
    hours(&done, &log, plot);
    deadlines(&done, machine, plot, &mut seen);
    limits(machine, plot);
    reports(machine, &ledger);
    seen.add_jobs(&done, plot);
    seen
}

/// Each firing made its jobs exactly once, or one or none of those that were missed, as configured.
fn jobs<'a>(machine: &Machine, plot: &Plot, ledger: &'a Ledger, seen: &mut Seen) -> Vec<Done<'a>> {
    let mut expected: BTreeMap<String, (&'static Plan, Timestamp, String)> = BTreeMap::new();
    for plan in &PLANS {
        for firing in fired(plan, machine, plot, seen) {
            for (name, _) in plan.files {
                let key = format!("key schedule {} {firing} {}", plan.name, prompts(name).display());
                let print: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
                expected.insert(print, (plan, firing, (*name).to_owned()));
            }
        }
    }
    let mut done = Vec::new();
    for (job, state) in ledger.jobs() {
        let Some((plan, fired, file)) = expected.remove(&job.source.fingerprint) else {
            panic!("I18: {:?} was submitted at {} and not to be", job.source.name, job.submitted_at);
        };
        let late = job.submitted_at.since(fired);
        assert!(fired <= job.submitted_at, "I18: {file} of {} was submitted before its time", plan.name);
        assert!(plan.skips <= (late <= A_DAY), "I18: {file} came {late:?} late");
        let chain = [Link::all(job.id.clone())];
        let (folder, all) = (machine.folder(), Filter::default());
        let results = Selection::results(&folder, &chain, &all).expect("rows can be read");
        let attempts = Selection::attempts(&folder, &chain, &all).expect("rows can be read");
        done.push(Done {
            plan,
            fired,
            job,
            state,
            results: read::results(&results, Texts::Without).map(|row| row.expect("a row")).collect(),
            attempts: read::attempts(&attempts, Texts::Without).map(|row| row.expect("a row")).collect(),
        });
    }
    let missing: Vec<_> = expected.values().map(|(plan, at, file)| (plan.name, *at, file)).collect();
    assert!(missing.is_empty(), "I18: not submitted: {missing:?}");
    done
}

/// The firings of a schedule that were to be carried out, by when somebody looked.
fn fired(plan: &Plan, machine: &Machine, plot: &Plot, seen: &mut Seen) -> Vec<Timestamp> {
    let firings = plan.firings(plot);
    let mut fired = Vec::new();
    for pair in machine.looks.windows(2) {
        let (before, look) = (pair[0], pair[1]);
        if look.at > plot.end() {
            break;
        }
        let passed: Vec<Timestamp> =
            firings.iter().copied().filter(|&firing| before.at < firing && firing <= look.at).collect();
        let Some(&last) = passed.last() else { continue };
        let is_missed = look.after_gap && look.at.since(last) > GRACE + look.awake;
        assert!(look.after_gap || look.at.since(before.at) <= PACE, "somebody looks every minute");
        seen.made_up += u64::from(is_missed && !plan.skips);
        seen.left_out += u64::from(is_missed && plan.skips);
        fired.extend((!is_missed || !plan.skips).then_some(last));
    }
    fired
}

/// Every item ended once, and every job with a manifest.
fn items(done: &Done<'_>) {
    let Done { job, state, results, .. } = done;
    assert!(state.finished_at.is_some(), "I19: {} did not end: {:?}", done.plan.name, state.counts());
    let numbers: Vec<u32> = results.iter().map(|row| row.item_index).collect();
    let once: Vec<u32> = (0..job.n_items).collect();
    assert_eq!(numbers, once, "I2, I13: one row for each item of {}", done.plan.name);
    let succeeded = results.iter().filter(|row| row.status == "succeeded").count() as u32;
    assert_eq!(succeeded, state.counts().succeeded, "I13: the ledger counts what the rows say");
}

/// Our books are the provider's (I8, G10).
fn books(done: &[Done<'_>], log: &BTreeMap<String, &Line>) {
    let mut rows = BTreeSet::new();
    let (mut spent, mut at_risk, mut known) = (Usd::ZERO, Usd::ZERO, Usd::ZERO);
    for job in done {
        spent += job.state.spent;
        at_risk += job.state.at_risk;
        assert_eq!(job.state.reserved, Usd::ZERO, "I9: every reservation is settled");
        for row in &job.attempts {
            assert!(rows.insert(row.attempt_id.clone()), "I2: {} has two rows", row.attempt_id);
            let line = log.get(&row.attempt_id);
            let billed = line.map_or(Usd::ZERO, |line| line.billed);
            if row.cost_basis != "estimated" && line.is_none_or(|line| !is_secret(line)) {
                known += billed;
                let off = row.cost().pico() - billed.pico();
                assert!(off.abs() <= 500, "I8: {} cost {billed}, not {}", row.attempt_id, row.cost());
            }
        }
    }
    for name in log.keys() {
        assert!(rows.contains(name), "G10: {name} was sent and has no row");
    }
    assert_eq!(spent, known, "I8: what was spent is what was billed");
    let billed: Usd = log.values().filter(|line| !is_secret(line)).map(|line| line.billed).sum();
    assert!(spent <= billed && billed <= spent + at_risk, "I8: {spent} {billed} {at_risk}");
}

/// A bill that comes with a server error, which is taken for none.
fn is_secret(line: &Line) -> bool {
    line.fault == Some(Fault::ServerErrorBilled)
}

/// No day, and no day of a tag, cost more than its budget, on the calendar of the zone.
///
/// And where work stopped for want of money, the day's was used up: that of another day stops nothing.
fn budgets(done: &[Done<'_>], log: &BTreeMap<String, &Line>, machine: &Machine, plot: &Plot) {
    let mut days: BTreeMap<(NaiveDate, bool), Usd> = BTreeMap::new();
    let mut committed: BTreeMap<(NaiveDate, bool), Usd> = BTreeMap::new();
    for job in done {
        let is_tagged = job.job.options.tags.contains_key("team");
        for row in &job.attempts {
            let date = shown(row.queued_at, plot.zone).date();
            let billed = log.get(&row.attempt_id).filter(|line| !is_secret(line));
            let billed = billed.map_or(Usd::ZERO, |line| line.billed);
            for of_tag in [false, true].into_iter().filter(|of_tag| !of_tag || is_tagged) {
                *days.entry((date, of_tag)).or_default() += billed;
                *committed.entry((date, of_tag)).or_default() += row.cost().max(at_risk(row));
            }
        }
    }
    let milli = |n: u64| Usd::from_pico(i128::from(n) * 1_000_000_000);
    for ((date, of_tag), billed) in days {
        let budget = milli(if of_tag { plot.budgets.1 } else { plot.budgets.0 });
        assert!(billed <= budget, "I9: {date} cost {billed} of {budget}, of the tag: {of_tag}");
    }
    for look in machine.looks.iter().filter(|look| look.stuck) {
        let date = shown(look.at, plot.zone).date();
        let of = |of_tag| committed.get(&(date, of_tag)).copied().unwrap_or_default();
        let is_used_up =
            of(false) + DEAREST > milli(plot.budgets.0) || of(true) + DEAREST > milli(plot.budgets.1);
        assert!(is_used_up, "I19: out of money at {} after {} and {}", look.at, of(false), of(true));
    }
}

/// What stays reserved for an attempt whose bill is not known.
fn at_risk(row: &AttemptRow) -> Usd {
    let extra = row.extra_json.as_deref().and_then(|extra| serde_json::from_str(extra).ok());
    let extra: serde_json::Value = extra.unwrap_or_default();
    Usd::from_pico(i128::from(extra["at_risk_nano_usd"].as_i64().unwrap_or(0)) * 1_000)
}

/// Nothing is sent outside its hours, and what can wait for a cheap hour does.
fn hours(done: &[Done<'_>], log: &BTreeMap<String, &Line>, plot: &Plot) {
    for job in done {
        for row in &job.attempts {
            let Some(line) = log.get(&row.attempt_id) else { continue };
            let at = line.received_at;
            let name = job.plan.name;
            if row.provider == "night" {
                assert!(is_night(at, plot.zone), "I18: {name} was sent at {at}, outside the hours");
            }
            if name == "cheap-only" {
                assert!(!is_peak(at, plot.zone), "I18: {name} was sent at the peak, {at}");
            }
        }
    }
}

/// Jobs are done soon after their hours begin, and before their deadlines; what can wait pays no peak price.
/// Unless something comes in between.
fn deadlines(done: &[Done<'_>], machine: &Machine, plot: &Plot, seen: &mut Seen) {
    for job in done {
        let (name, submitted) = (job.plan.name, job.job.submitted_at);
        let deadline = job.job.classes[0].deadline.expect("every job has one");
        let until = disturbed_after(submitted, machine, plot);
        if name == "calm" || name == "nightly" {
            seen.calm += u64::from(is_peak(submitted, plot.zone) && until > submitted + HOUR);
            let early = job.attempts.iter().filter(|row| row.queued_at < until);
            let dear = early.filter(|row| row.price_window == "peak").count();
            assert_eq!(dear, 0, "{name} of {} paid the peak price, and had time", job.fired);
        }
        let soon = opens(job, plot) + SOON;
        // Hours that end before, and more than goes into them, are in between, too.
        if soon > deadline.min(until) || !may_go(job, soon, plot) || name == "before-seven" {
            continue;
        }
        seen.undisturbed += 1;
        let finished = job.state.finished_at.expect("it ended");
        assert!(finished <= soon, "{name} of {} ended at {finished}, not by {soon}", job.fired);
        let expired = job.results.iter().filter(|row| row.status == "expired").count();
        assert_eq!(expired, 0, "{name} of {} had time enough", job.fired);
        let is_called_late = machine.too_late.contains(&job.job.id);
        assert!(!is_called_late, "{name} of {} was called too late and was not", job.fired);
    }
}

/// When a job may be sent, or had better be.
fn opens(job: &Done<'_>, plot: &Plot) -> Timestamp {
    let mut at = job.job.submitted_at;
    while !may_go(job, at, plot) {
        at = at + MINUTE;
    }
    at
}

fn may_go(job: &Done<'_>, at: Timestamp, plot: &Plot) -> bool {
    match job.plan.name {
        "half-past-two" | "before-seven" => is_night(at, plot.zone),
        "nightly" | "calm" | "cheap-only" => !is_peak(at, plot.zone),
        _ => true,
    }
}

/// When, after a moment, nobody is there, the machine sleeps, a provider is down or the money is used up, for
/// the first time.
fn disturbed_after(from: Timestamp, machine: &Machine, plot: &Plot) -> Timestamp {
    let looks = machine.looks.windows(2).filter(|pair| pair[1].after_gap || pair[1].out_of_budget);
    let away = looks.map(|pair| (pair[0].at, pair[1].at));
    // Whoever was down is tried again after a while.
    let down = plot.outages.iter().map(|&(begin, end)| (begin, end + HOUR));
    let ahead = away.chain(down).filter(|&(_, end)| end > from);
    ahead.map(|(begin, _)| begin.max(from)).min().unwrap_or(Timestamp::MAX)
}

/// A limit that the provider names is kept to once it was heard of, also after a sleep: only what is in
/// flight when the daemon is started may go over it.
fn limits(machine: &Machine, plot: &Plot) {
    let over = machine.provider().model_totals("beta/small").expect("it is served").over_limit;
    let most = 3 * machine.starts.len() as u64;
    assert!(
        over <= most,
        "I10: {over} requests over {} a minute, in {} starts",
        plot.rpm,
        machine.starts.len()
    );
}

/// Every report names the jobs of its night and what they cost; every job's end is in one of them.
fn reports(machine: &Machine, ledger: &Ledger) {
    let mut ends: BTreeMap<JobId, u32> = BTreeMap::new();
    let mut pages = BTreeSet::new();
    let mut last: Option<Timestamp> = None;
    for report in &machine.reports {
        let moment = |key: &str| -> Timestamp {
            report.data[key].as_str().and_then(|text| text.parse().ok()).expect("a moment")
        };
        let (since, until) = (moment("since"), moment("until"));
        assert_eq!(until, report.at);
        assert!(last.is_none_or(|last| last == since), "a report begins where the one before it ended");
        last = Some(until);
        let path = machine.page(report);
        assert!(pages.insert(path.clone()), "a report took the place of another: {}", path.display());
        let page = std::fs::read_to_string(&path).expect("the page is there");
        let told = report.data["jobs"].as_array().expect("a list");
        let mut named = BTreeMap::new();
        for job in told {
            let id = JobId::new(job["job_id"].as_str().expect("a name"));
            assert!(page.contains(id.as_str()), "{id} is not on {}", path.display());
            named.insert(id, job["cost_usd"].as_f64().expect("a number"));
        }
        let of_night = report.jobs.iter().filter(|(_, (_, ended))| ended.is_none_or(|at| at >= since));
        let of_night: BTreeMap<JobId, Usd> = of_night.map(|(id, (cost, _))| (id.clone(), *cost)).collect();
        assert!(of_night.keys().eq(named.keys()), "the report of {until} names {named:?}, not {of_night:?}");
        for (id, cost) in &of_night {
            assert!((named[id] - cost.as_f64()).abs() < 1e-9, "{id} cost {cost}, not {}", named[id]);
            if report.jobs[id].1.is_some() {
                *ends.entry(id.clone()).or_default() += 1;
            }
        }
        let sum: f64 = of_night.values().map(|cost| cost.as_f64()).sum();
        let shown = report.data["cost_usd"].as_f64().expect("a number");
        assert!((sum - shown).abs() < 1e-9, "the report of {until} adds up to {shown}, not {sum}");
    }
    for (job, _) in ledger.jobs() {
        assert_eq!(ends.get(&job.id), Some(&1), "the end of {:?} is in one report", job.source.name);
    }
}
