//! `overnight show JOB ITEM`: one item with its attempts, prompt, answer and costs.

use super::args::ShowArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::items::{json, word};
use super::rows::{Chain, Rows};
use super::session::Hold;
use super::zone::Here;
use crate::job::{Item, ItemIndex, JobId};
use crate::report::show::{Show, render_show};
use crate::results::read;

/// Prompts looked through at once for a name.
const PAGE: u32 = 1_024;

/// Shows one item.
pub fn run(args: &ShowArgs, context: &Context) -> Result<Exit, CliError> {
    let mut rows = Rows::open(context)?;
    let job = rows.find(&args.job)?;
    let chain = rows.chain(context, &job)?;
    let show = of(&rows, &chain, &args.item)?;
    rows.close()?;
    match context.globals.json {
        true => context.print(&json(&show)?)?,
        false => context.print(&render_show(&show, &Here))?,
    }
    Ok(Exit::Done)
}

/// All that is known of an item.
pub(crate) fn of(rows: &Rows, chain: &Chain, name: &str) -> Result<Show, CliError> {
    let job = &chain.id;
    let (result, attempts) = read::item(&rows.folder, &chain.links, name)?;
    let place = match (&result, attempts.last()) {
        (Some(row), _) => Some((JobId::new(row.job_id.as_str()), row.item_index)),
        (None, Some(row)) => Some((JobId::new(row.job_id.as_str()), row.item_index)),
        (None, None) => None,
    };
    let item = match &place {
        Some((job, index)) => prompt(rows, job, *index)?,
        None => Some(search(rows, job, name)?.ok_or_else(|| no_such_item(job, name))?),
    };
    let state = match (&place, &item) {
        (Some((job, index)), _) => state(rows, job, *index),
        (None, Some(item)) => state(rows, job, item.index),
        (None, None) => "pending",
    };
    let prompt = item.map(|item| String::from_utf8_lossy(&item.body.json).into_owned());
    Ok(Show::new(job.as_str(), name, state, result, attempts, prompt))
}

fn no_such_item(job: &JobId, item: &str) -> CliError {
    CliError::new("no_such_item", Exit::NotFound, format!("{job} has no item {item:?}"))
        .hint(format!("`overnight items {job}` lists them; an item is named by its custom_id"))
}

/// The prompt of an item, unless it was removed.
fn prompt(rows: &Rows, job: &JobId, index: ItemIndex) -> Result<Option<std::sync::Arc<Item>>, CliError> {
    if !rows.prompts.has(job) {
        return Ok(None);
    }
    Ok(rows.prompts.reader().read(job, &[index])?.pop())
}

/// An item that nothing was ever sent of, by its name.
fn search(rows: &Rows, job: &JobId, name: &str) -> Result<Option<std::sync::Arc<Item>>, CliError> {
    if !rows.prompts.has(job) {
        return Ok(None);
    }
    let n_items = rows.view(job).map_or(0, |view| view.items);
    let mut reader = rows.prompts.reader();
    for first in (0..n_items).step_by(PAGE as usize) {
        let page: Vec<ItemIndex> = (first..n_items.min(first.saturating_add(PAGE))).collect();
        if let Some(item) = reader.read(job, &page)?.into_iter().find(|item| *item.custom_id == *name) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

/// Where an item without a row is, as far as this process can know.
fn state(rows: &Rows, job: &JobId, item: ItemIndex) -> &'static str {
    match &rows.hold {
        Some(Hold::Ours(session)) => match session.ledger.get(job) {
            Some((_, state)) if state.finished_at.is_none() => word(state.items.get(item).phase()),
            _ => "not in the results folder",
        },
        Some(Hold::Theirs(_)) | None => "not ended yet",
    }
}
