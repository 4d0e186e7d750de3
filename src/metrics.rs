//! What a monitor reads: counters and gauges of the whole process, in Prometheus' text format.
//!
//! Takes what the ledger and the engine know and gives the text. Counters are sums over the jobs that
//! are kept, so they start where the last process ended; they fall only when old jobs are removed, which
//! monitors take for a restart. Jobs and items are never labels: there are too many, and they are named
//! by users.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::catalog::Route;
use crate::clock::Timestamp;
use crate::ledger::{Ledger, RouteStats};
use crate::money::{Price, Usd};
use crate::view::{BudgetView, JobView};

/// Upper ends of the buckets of latencies: 2^k ms, from 64 ms to 17 minutes.
const LATENCIES: std::ops::RangeInclusive<u32> = 6..=20;

/// What there is to tell.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The durable state.
    pub ledger: &'a Ledger,
    /// The jobs as people are shown them.
    pub views: &'a [JobView],
    /// Where the budgets stand.
    pub budgets: &'a [BudgetView],
    /// The routes there are.
    pub routes: &'a [Arc<Route>],
    /// Now.
    pub now: Timestamp,
}

/// All of it as text.
pub fn render(seen: &Seen<'_>) -> String {
    let mut page = Page::default();
    page.family("overnight_build_info", "gauge", "The version that runs; always 1.");
    page.line("overnight_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    items(seen, &mut page);
    attempts(seen.ledger, &mut page);
    money(seen, &mut page);
    windows(seen, &mut page);
    page.0
}

fn items(seen: &Seen<'_>, page: &mut Page) {
    let sum = |of: fn(&JobView) -> u32| seen.views.iter().map(|view| u64::from(of(view))).sum::<u64>();
    page.family("overnight_items", "gauge", "Items that have not ended, by state.");
    let states = [
        ("pending", sum(|view| view.counts.pending)),
        ("running", sum(|view| view.counts.running)),
        ("held", sum(|view| view.counts.held)),
    ];
    for (state, n) in states {
        page.line("overnight_items", &[("state", state)], n);
    }

    let mut waiting: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, n) in seen.views.iter().flat_map(|view| &view.waiting) {
        *waiting.entry(reason.as_str()).or_default() += u64::from(*n);
    }
    page.family("overnight_items_waiting", "gauge", "Pending items, by what they wait for.");
    for (reason, n) in waiting {
        page.line("overnight_items_waiting", &[("reason", reason)], n);
    }

    page.family("overnight_items_finished_total", "counter", "Items that ended, by how.");
    let statuses = [
        ("succeeded", sum(|view| view.counts.succeeded)),
        ("failed", sum(|view| view.counts.failed)),
        ("expired", sum(|view| view.counts.expired)),
        ("cancelled", sum(|view| view.counts.cancelled)),
    ];
    for (status, n) in statuses {
        page.line("overnight_items_finished_total", &[("status", status)], n);
    }

    let mut jobs: BTreeMap<&str, u64> = BTreeMap::new();
    for view in seen.views {
        *jobs.entry(&view.state).or_default() += 1;
    }
    page.family("overnight_jobs", "gauge", "Jobs that are kept, by state.");
    for (state, n) in jobs {
        page.line("overnight_jobs", &[("state", state)], n);
    }

    let at_risk = seen.views.iter().filter(|view| is_at_risk(view, seen.now));
    let at_risk = at_risk.map(|view| u64::from(view.counts.pending + view.counts.running)).sum::<u64>();
    let help = "Items left of jobs that are expected to end after their deadline.";
    page.family("overnight_deadline_at_risk_items", "gauge", help);
    page.line("overnight_deadline_at_risk_items", &[], at_risk);
}

fn is_at_risk(view: &JobView, now: Timestamp) -> bool {
    let is_late = |deadline: Timestamp| now >= deadline || view.eta.is_some_and(|eta| eta > deadline);
    view.finished_at.is_none() && view.deadline_at.is_some_and(is_late)
}

/// One route of the ledger, over all jobs.
#[derive(Default)]
struct Sum {
    succeeded: u64,
    rejected: BTreeMap<&'static str, u64>,
    errors: BTreeMap<&'static str, u64>,
    windows: BTreeMap<Arc<str>, Usd>,
    input: u64,
    output: u64,
    latency: Vec<u64>,
}

impl Sum {
    fn add(&mut self, stats: &RouteStats) {
        self.succeeded += stats.succeeded;
        for (sums, codes) in [(&mut self.rejected, &stats.rejected), (&mut self.errors, &stats.errors)] {
            for (code, n) in codes {
                *sums.entry(code.as_str()).or_default() += n;
            }
        }
        for (window, cost) in &stats.windows {
            *self.windows.entry(window.clone()).or_default() += *cost;
        }
        self.input += stats.usage.input;
        self.output += stats.usage.output;
        self.latency.resize(self.latency.len().max(stats.latency.len()), 0);
        for (sum, n) in self.latency.iter_mut().zip(&stats.latency) {
            *sum += u64::from(*n);
        }
    }
}

fn attempts(ledger: &Ledger, page: &mut Page) {
    let mut routes: BTreeMap<&str, Sum> = BTreeMap::new();
    for (_, state) in ledger.jobs() {
        for (name, stats) in &state.routes {
            routes.entry(name).or_default().add(stats);
        }
    }
    let routes: Vec<([(&str, &str); 3], Sum)> =
        routes.into_iter().map(|(name, sum)| (labels(name), sum)).collect();

    page.family("overnight_attempts_total", "counter", "Calls that ended, by how and why.");
    for (route, sum) in &routes {
        let mut line = |status: &str, code: &str, n: u64| {
            let [provider, model, lane] = *route;
            let labels = [provider, model, lane, ("status", status), ("error_code", code)];
            page.line("overnight_attempts_total", &labels, n);
        };
        line("succeeded", "", sum.succeeded);
        sum.rejected.iter().for_each(|(code, n)| line("rejected", code, *n));
        sum.errors.iter().for_each(|(code, n)| line("error", code, *n));
    }

    let help = "Latency of answers; its sum is taken from the middle of fine buckets, 9% off at most.";
    page.family("overnight_attempt_duration_seconds", "histogram", help);
    for (route, sum) in &routes {
        histogram(route, &sum.latency, page);
    }

    page.family("overnight_input_tokens_total", "counter", "Tokens sent, cached ones included.");
    for (route, sum) in &routes {
        page.line("overnight_input_tokens_total", route, sum.input);
    }
    page.family("overnight_output_tokens_total", "counter", "Tokens answered, reasoning included.");
    for (route, sum) in &routes {
        page.line("overnight_output_tokens_total", route, sum.output);
    }
    page.family("overnight_cost_usd_total", "counter", "What calls cost, useful or not.");
    for (route, sum) in &routes {
        for (window, cost) in &sum.windows {
            let [provider, model, lane] = *route;
            let labels = [provider, model, lane, ("price_window", &**window)];
            page.line("overnight_cost_usd_total", &labels, Decimal(*cost));
        }
    }
}

/// `buckets[b]` counts answers under 1 ms × 2^((b+1)/4).
fn histogram(route: &[(&str, &str); 3], buckets: &[u64], page: &mut Page) {
    let name = "overnight_attempt_duration_seconds";
    let total: u64 = buckets.iter().sum();
    for k in LATENCIES {
        let below: u64 = buckets.iter().take(4 * k as usize).sum();
        let end = (f64::from(1u32 << k) / 1_000.0).to_string();
        let [provider, model, lane] = *route;
        page.line(&format!("{name}_bucket"), &[provider, model, lane, ("le", &end)], below);
    }
    let [provider, model, lane] = *route;
    page.line(&format!("{name}_bucket"), &[provider, model, lane, ("le", "+Inf")], total);
    let middle = |bucket: usize| 2f64.powf((bucket as f64 + 0.5) / 4.0) / 1_000.0;
    let sum: f64 = buckets.iter().enumerate().map(|(bucket, n)| *n as f64 * middle(bucket)).sum();
    page.line(&format!("{name}_sum"), route, sum);
    page.line(&format!("{name}_count"), route, total);
}

fn money(seen: &Seen<'_>, page: &mut Page) {
    let list = seen.ledger.jobs().fold(Usd::ZERO, |sum, (_, state)| sum + state.list_cost);
    let help = "The same tokens in the dearest hours of the realtime lane.";
    page.family("overnight_list_cost_usd_total", "counter", help);
    page.line("overnight_list_cost_usd_total", &[], Decimal(list));

    page.family("overnight_budget_usd", "gauge", "What may be spent in the present period.");
    for budget in seen.budgets {
        if let Some(limit) = budget.limit_usd {
            page.line("overnight_budget_usd", &of_budget(budget), limit);
        }
    }
    page.family("overnight_budget_spent_usd", "gauge", "What was spent in it, by known bills.");
    for budget in seen.budgets {
        let spent = Decimal(Usd::from_pico(budget.spent_pico_usd));
        page.line("overnight_budget_spent_usd", &of_budget(budget), spent);
    }
}

fn of_budget(budget: &BudgetView) -> [(&str, &str); 2] {
    [("scope", &budget.scope), ("period", &budget.period)]
}

fn windows(seen: &Seen<'_>, page: &mut Page) {
    let help = "1 while a route that has hours or prices that vary may be used, at its lowest price.";
    page.family("overnight_window_open", "gauge", help);
    for route in seen.routes.iter().filter(|route| route.unusable.is_none() && varies(route)) {
        let labels = [("provider", &*route.provider), ("model", &*route.model), ("lane", &*route.lane)];
        page.line("overnight_window_open", &labels, u8::from(is_cheap(route, seen.now)));
    }
}

fn varies(route: &Route) -> bool {
    !route.hours.is_always() || route.prices.as_ref().is_some_and(|table| !table.windows.is_empty())
}

fn is_cheap(route: &Route, now: Timestamp) -> bool {
    let weight = |price: &Price| price.input + price.output;
    route.hours.is_open(now)
        && route.prices.as_ref().is_none_or(|table| {
            let others = table.windows.iter().map(|window| weight(&window.price));
            others.chain([weight(&table.base)]).min() == Some(weight(table.at(now).1))
        })
}

/// `deepseek/deepseek-flash batch` as labels.
fn labels(route: &str) -> [(&'static str, &str); 3] {
    let (provider, rest) = route.split_once('/').unwrap_or(("", route));
    let (model, lane) = rest.rsplit_once(' ').unwrap_or((rest, "realtime"));
    [("provider", provider), ("model", model), ("lane", lane)]
}

/// Dollars to the pico-dollar.
struct Decimal(Usd);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DOLLAR: u128 = 1_000_000_000_000;
        let pico = self.0.pico();
        let sign = if pico < 0 { "-" } else { "" };
        let pico = pico.unsigned_abs();
        write!(f, "{sign}{}.{:012}", pico / DOLLAR, pico % DOLLAR)
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.put(format_args!("{name}"));
        for (at, (label, text)) in labels.iter().enumerate() {
            let begins = if at == 0 { "{" } else { "," };
            // What the format asks to be escaped; everything else may stand there.
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            self.put(format_args!("{begins}{label}=\"{text}\""));
        }
        let ends = if labels.is_empty() { "" } else { "}" };
        self.put(format_args!("{ends} {value}\n"));
    }

    fn put(&mut self, what: std::fmt::Arguments<'_>) {
        self.0.write_fmt(what).expect("a string takes all");
    }
}

#[cfg(test)]
mod tests;
