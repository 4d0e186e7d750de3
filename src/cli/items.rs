//! `overnight items JOB`: which of a job's items are how.
//!
//! Items that ended are read from results; what the others do only the owner of the store knows, so
//! they are listed where that is this process and counted where it is another.

use std::collections::BTreeMap;

use super::args::{ItemsArgs, StateFilter};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::rows::{Chain, Rows};
use super::session::{Hold, Session};
use crate::attempt::ItemStatus;
use crate::job::{Item, ItemIndex, Job, JobId};
use crate::ledger::{JobLedger, Phase};
use crate::report::items::{ItemLine, Items, render_items};
use crate::results::read;
use crate::results::select::{Filter, Selection, Texts};

/// Prompts read at once.
const PAGE: usize = 1_024;

/// Lists the items asked for.
pub fn run(args: &ItemsArgs, context: &Context) -> Result<Exit, CliError> {
    let mut rows = Rows::open(context)?;
    let job = rows.find(&args.job)?;
    let chain = rows.chain(context, &job)?;
    let items = list(args, &rows, &chain)?;
    rows.close()?;
    match context.globals.json {
        true => context.print(&json(&items)?)?,
        false => context.print(&render_items(&items))?,
    }
    Ok(Exit::Done)
}

/// The items of a chain that are asked for.
pub(crate) fn list(args: &ItemsArgs, rows: &Rows, chain: &Chain) -> Result<Items, CliError> {
    let mut list = List { args, items: Vec::new(), more: 0 };
    list.ended(rows, chain)?;
    let mut not_listed = BTreeMap::new();
    if args.reasons.is_empty() {
        match &rows.hold {
            Some(Hold::Ours(session)) => list.waiting(rows, session, chain)?,
            Some(Hold::Theirs(_)) => not_listed = counted(args, rows, chain),
            None => {}
        }
    }
    let List { items, more, .. } = list;
    Ok(Items { schema: "overnight.items/1", job_id: chain.id.to_string(), items, more, not_listed })
}

/// One document as it is.
pub(super) fn json<T: serde::Serialize>(document: &T) -> Result<String, CliError> {
    let text = serde_json::to_string(document).map_err(anyhow::Error::from)?;
    Ok(text + "\n")
}

/// Items found so far.
struct List<'a> {
    args: &'a ItemsArgs,
    items: Vec<ItemLine>,
    more: u64,
}

impl List<'_> {
    fn is_full(&self) -> bool {
        self.items.len() >= self.args.limit
    }

    fn push(&mut self, item: ItemLine) {
        match self.is_full() {
            true => self.more += 1,
            false => self.items.push(item),
        }
    }

    fn ended(&mut self, rows: &Rows, chain: &Chain) -> Result<(), CliError> {
        let states: Vec<ItemStatus> =
            self.args.states.iter().filter_map(|state| final_state(*state)).collect();
        if states.is_empty() && !self.args.states.is_empty() {
            return Ok(());
        }
        let tags = self.args.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        let filter = Filter { states, reasons: self.args.reasons.clone(), tags, custom_id: None };
        let mut selection = Selection::results(&rows.folder, &chain.links, &filter)?;
        selection.skip(self.args.skip);
        for row in read::results(&selection, Texts::Without).take(self.args.limit) {
            self.push(row?.into());
        }
        self.more += (selection.len() as u64).saturating_sub(self.items.len() as u64);
        Ok(())
    }

    /// Items that have not ended, of a store that nobody else works on.
    fn waiting(&mut self, rows: &Rows, session: &Session, chain: &Chain) -> Result<(), CliError> {
        for (job, state) in chain.links.iter().filter_map(|link| session.ledger.get(&link.job)) {
            if state.finished_at.is_some() {
                continue;
            }
            let wanted = |item: &ItemIndex| {
                let phase = state.items.get(*item).phase();
                !matches!(phase, Phase::Final(_)) && is_asked(self.args, phase)
            };
            let wanted: Vec<ItemIndex> = (0..job.n_items).filter(wanted).collect();
            self.read(rows, job, state, &wanted)?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        rows: &Rows,
        job: &Job,
        state: &JobLedger,
        wanted: &[ItemIndex],
    ) -> Result<(), CliError> {
        let mut reader = rows.prompts.reader();
        for (page, indexes) in wanted.chunks(PAGE).enumerate() {
            if self.is_full() && self.args.tags.is_empty() {
                self.more += (wanted.len() - page * PAGE) as u64;
                return Ok(());
            }
            for item in reader.read(&job.id, indexes)? {
                let line = waiting_line(job, state, &item);
                if self.args.tags.iter().all(|tag| line.tags.get(&tag.key) == Some(&tag.value)) {
                    self.push(line);
                }
            }
        }
        Ok(())
    }
}

fn waiting_line(job: &Job, state: &JobLedger, item: &Item) -> ItemLine {
    let partial = state.partial.get(&item.index);
    let totals = partial.map(|partial| partial.totals).unwrap_or_default();
    let reason = match state.items.get(item.index).phase() {
        Phase::Held => "outcome_unknown",
        // Nobody works on it, or we would not own the store: it was on its way when a process died.
        Phase::Running => "interrupted",
        _ if state.paused => "paused",
        _ => "no_daemon",
    };
    let mut tags = job.options.tags.clone();
    tags.extend(item.options.iter().flat_map(|options| options.tags.clone()));
    ItemLine {
        job_id: job.id.to_string(),
        custom_id: item.custom_id.to_string(),
        state: word(state.items.get(item.index).phase()).to_owned(),
        reason: Some(reason.to_owned()),
        message: None,
        attempts: totals.attempts,
        route: None,
        cost_usd: totals.cost.as_f64(),
        tags,
    }
}

/// How many items of each state another process works on.
fn counted(args: &ItemsArgs, rows: &Rows, chain: &Chain) -> BTreeMap<&'static str, u64> {
    let jobs: Vec<&JobId> = chain.links.iter().map(|link| &link.job).collect();
    let mut counted = BTreeMap::new();
    for view in rows.views.iter().filter(|view| jobs.contains(&&view.job_id)) {
        let counts = view.counts;
        for (phase, n) in
            [(Phase::Pending, counts.pending), (Phase::Running, counts.running), (Phase::Held, counts.held)]
        {
            if n > 0 && is_asked(args, phase) {
                *counted.entry(word(phase)).or_default() += u64::from(n);
            }
        }
    }
    counted
}

fn is_asked(args: &ItemsArgs, phase: Phase) -> bool {
    args.states.is_empty() || args.states.iter().any(|state| state.phase() == phase)
}

fn final_state(state: StateFilter) -> Option<ItemStatus> {
    match state.phase() {
        Phase::Final(status) => Some(status),
        _ => None,
    }
}

/// The word users see.
pub(super) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Running => "running",
        Phase::Held => "held",
        Phase::Final(status) => status.as_str(),
    }
}
