//! What `prices update`, `diff` and `verify` print: rows that serialise as they are, and their text.

use serde::Serialize;

use crate::catalog::compare::{Difference, Finding, FindingKind};
use crate::catalog::import::Imported;
use crate::catalog::show::columns;
use crate::config::Config;
use crate::config::lists::{Header, List};
use crate::money::Usd;

/// `overnight.prices-update/1`.
#[derive(Debug, Serialize)]
pub(super) struct Updated {
    /// Its name and version.
    pub(super) schema: &'static str,
    /// What is known of the list.
    pub(super) list: Header,
    /// Whether the server said that it is the one we have.
    pub(super) unchanged: bool,
    /// Models at providers we know.
    pub(super) models: usize,
    /// Of these, with a price.
    pub(super) priced: usize,
    /// Entries that are none of ours.
    pub(super) ignored: usize,
    /// Entries left out.
    pub(super) problems: Vec<Problem>,
}

/// An entry that was left out.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    /// As the list names it.
    entry: String,
    /// What is wrong.
    why: String,
}

impl Updated {
    pub(super) fn new(list: Header, unchanged: bool, imported: &Imported) -> Updated {
        let problem = |one: &crate::catalog::import::Problem| Problem {
            entry: one.entry.clone(),
            why: one.why.clone(),
        };
        Updated {
            schema: "overnight.prices-update/1",
            list,
            unchanged,
            models: imported.models.len(),
            priced: imported.models.values().filter(|model| model.prices.is_some()).count(),
            ignored: imported.ignored,
            problems: imported.problems.iter().map(problem).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let Updated { models, priced, ignored, list, .. } = self;
        let unchanged = if self.unchanged { " (unchanged)" } else { "" };
        let mut text = format!(
            "{}  {models} models, {priced} with a price, {ignored} entries are of others   as of {}{unchanged}\n",
            list.source, list.as_of
        );
        text.push_str(&format!("  from {}   sha256 {}\n", list.from, &list.sha256[..16]));
        if !self.problems.is_empty() {
            text.push_str(&format!("  {} entries were left out:\n", self.problems.len()));
        }
        for problem in self.problems.iter().take(MOST_PROBLEMS) {
            text.push_str(&format!("    {}: {}\n", problem.entry, problem.why));
        }
        if self.problems.len() > MOST_PROBLEMS {
            text.push_str("    … --json tells all of them\n");
        }
        text.push_str("  overnight prices diff    what it says otherwise\n");
        text
    }
}

/// More than these are listed only for scripts.
const MOST_PROBLEMS: usize = 20;

/// `overnight.prices-diff/1`.
#[derive(Debug, Serialize)]
pub(super) struct Diff {
    /// Its name and version.
    pub(super) schema: &'static str,
    /// A list each.
    pub(super) lists: Vec<ListShown>,
}

/// What one list says otherwise.
#[derive(Debug, Serialize)]
pub(super) struct ListShown {
    /// `litellm`, `models-dev` or `openrouter`.
    list: &'static str,
    /// The day its prices are of.
    as_of: String,
    /// Numbers that differ from those in use.
    differences: Vec<Difference>,
    /// Models that have a price only because of it.
    only_here: Vec<String>,
    /// Entries that could not be read.
    problems: usize,
}

impl ListShown {
    pub(super) fn of(list: &List, differences: Vec<Difference>, only_here: Vec<String>) -> ListShown {
        let imported = list.read.as_ref().ok();
        ListShown {
            list: list.source.as_str(),
            as_of: imported.map(|imported| imported.as_of.clone()).unwrap_or_default(),
            differences,
            only_here,
            problems: imported.map_or(0, |imported| imported.problems.len()),
        }
    }
}

impl Diff {
    pub(super) fn text(&self) -> String {
        self.lists.iter().map(ListShown::text).collect::<Vec<_>>().join("\n")
    }
}

impl ListShown {
    fn text(&self) -> String {
        let mut text = format!("{} of {}   USD per 1M tokens\n", self.list, self.as_of);
        let money = |amount: Option<Usd>| amount.map_or("-".to_owned(), Usd::to_exact);
        let rows = self.differences.iter().map(|one| {
            let change = one.change_percent.map_or(String::new(), |percent| format!("{percent:+.1}%"));
            vec![one.model.clone(), one.what.clone(), money(one.text.0), one.text.1.to_exact(), change]
        });
        if self.differences.is_empty() {
            text.push_str("nothing it says differs from the prices in use\n");
        } else {
            let header = ["MODEL", "WHAT", "IN USE", "LIST", "CHANGE"];
            text.push_str(&columns(&header, rows.collect(), &[2, 3, 4]));
        }
        text.push_str(&format!("{} models have a price only here\n", self.only_here.len()));
        text
    }
}

/// `overnight.prices-verify/1`.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    schema: &'static str,
    /// Whether every model in use has a price that no newer list contradicts.
    ok: bool,
    /// The models that were taken to be in use.
    in_use: Vec<String>,
    /// The bundled table and every list that is held.
    sources: Vec<SourceShown>,
    /// Grave ones first.
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct SourceShown {
    name: String,
    as_of: Option<String>,
    models: usize,
    sha256: Option<String>,
    /// Why it cannot be read.
    problem: Option<String>,
}

impl Verdict {
    pub(super) fn new(config: &Config, in_use: Vec<String>, findings: Vec<Finding>) -> Verdict {
        let bundled = crate::catalog::Catalog::bundled();
        let own = SourceShown {
            name: "bundled".to_owned(),
            as_of: Some(bundled.as_of().to_owned()),
            models: bundled.models().count(),
            sha256: None,
            problem: None,
        };
        let list = |list: &List| SourceShown {
            name: list.source.as_str().to_owned(),
            as_of: list.header.as_ref().map(|header| header.as_of.clone()),
            models: list.read.as_ref().map_or(0, |imported| imported.models.len()),
            sha256: list.header.as_ref().map(|header| header.sha256.clone()),
            problem: list.read.as_ref().err().cloned(),
        };
        Verdict {
            schema: "overnight.prices-verify/1",
            ok: !findings.iter().any(Finding::is_grave),
            in_use,
            sources: [own].into_iter().chain(config.lists.iter().map(list)).collect(),
            findings,
        }
    }

    pub(super) fn text(&self) -> String {
        let sources = self.sources.iter().map(|source| {
            let as_of = source.as_of.clone().unwrap_or_else(|| "-".to_owned());
            let state = source.problem.clone().unwrap_or_else(|| format!("{} models", source.models));
            vec![source.name.clone(), as_of, state]
        });
        let mut text = columns(&["SOURCE", "AS OF", ""], sources.collect(), &[]);
        text.push('\n');
        let rows = self
            .findings
            .iter()
            .filter(|finding| finding.in_use || finding.kind == FindingKind::Contradicted);
        let rows: Vec<Vec<String>> = rows.map(row).collect();
        if !rows.is_empty() {
            text.push_str(&columns(&["MODEL", "", "", ""], rows, &[]));
            text.push('\n');
        }
        let others = self.findings.iter().filter(|finding| !finding.in_use).count();
        let verdict = match (self.ok, self.in_use.len()) {
            (_, 0) => "no model is in use: no key is set; name models to look at them".to_owned(),
            (true, 1) => "the price of the one model in use holds".to_owned(),
            (true, n) => format!("the prices of the {n} models in use hold"),
            (false, _) => "a model in use has no price, or one that a newer list contradicts".to_owned(),
        };
        text.push_str(&format!("{verdict} · {others} remarks on models that are not in use (--json)\n"));
        text
    }
}

fn row(finding: &Finding) -> Vec<String> {
    let kind = match finding.kind {
        FindingKind::Unpriced => "no price",
        FindingKind::Contradicted => "contradicted",
        FindingKind::Missing => "missing",
        FindingKind::Stale => "stale",
        FindingKind::Retired => "retired",
    };
    let used = if finding.in_use { "in use" } else { "" };
    vec![finding.model.clone(), used.to_owned(), kind.to_owned(), finding.detail.clone()]
}
