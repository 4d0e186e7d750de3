//! `overnight retry JOB`: the items that did not succeed, as a job of their own.
//!
//! Final states stay final: the new job names the old one, and whoever reads the old one's results gets
//! the newest row of each item. An item that an unfinished retry already holds is left out, so that
//! nothing is bought twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::args::{JobFlags, RetryArgs};
use super::ask;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{counted, total};
use super::items::json;
use super::queue;
use super::rows::{Chain, Rows};
use super::session::Hold;
use super::style::{Line, Paint};
use super::words::Setting;
use crate::attempt::ItemStatus;
use crate::clock::Timestamp;
use crate::job::tag::REWORK;
use crate::job::{Class, Item, ItemIndex, Job, JobId, Ladder};
use crate::ledger::Phase;
use crate::money::Usd;
use crate::results::read;
use crate::results::select::{Filter, Selection, Texts};
use crate::store::files::FileStore;
use crate::store::prompts::PromptWriter;

/// Prompts read at once.
const PAGE: usize = 1_024;

/// Where a prompt is: which job, which item of it.
type Place = (JobId, ItemIndex);

/// `overnight retry --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Retried {
    schema: &'static str,
    /// The new job; absent where nothing was queued.
    job_id: Option<JobId>,
    retry_of: JobId,
    items: u64,
    /// By what they failed for.
    reasons: BTreeMap<String, u64>,
    /// Left out, because an unfinished retry holds them.
    already_queued: u64,
    ladders: Vec<String>,
    deadline_at: Option<Timestamp>,
    max_cost_usd: Option<f64>,
    dry_run: bool,
    rework: bool,
    notes: Vec<String>,
}

/// Queues what did not succeed again.
pub fn run(args: &RetryArgs, context: &Context) -> Result<Exit, CliError> {
    let (retried, has_owner) = retry(args, context)?;
    tell(&retried, has_owner, context)?;
    Ok(Exit::Done)
}

/// The same without a word; also whether somebody works on it.
pub(crate) fn retry(args: &RetryArgs, context: &Context) -> Result<(Retried, bool), CliError> {
    let mut rows = Rows::open(context)?;
    let of = rows.find(&args.job)?;
    let chain = rows.chain(context, &of)?;
    let asked = Asked::new(args, context)?;
    let chosen = choose(&rows, &chain, args)?;
    if chosen.items.is_empty() {
        return Err(nothing(&of, &chosen));
    }
    for job in chosen.items.iter().map(|(job, _)| job).collect::<HashSet<_>>() {
        require_prompts(&rows, job)?;
    }
    let mut draft = Draft::new(&rows, &of, &chosen, &asked)?;
    draft.check_routes(context)?;
    let mut retried = Retried {
        schema: "overnight.retry/1",
        job_id: None,
        retry_of: of,
        items: chosen.items.len() as u64,
        reasons: chosen.reasons.clone(),
        already_queued: chosen.already_queued,
        ladders: draft.ladders(),
        deadline_at: draft.job.classes.iter().filter_map(|class| class.deadline).min(),
        max_cost_usd: draft.job.options.max_cost.map(|cap| cap.as_f64()),
        dry_run: args.dry_run,
        rework: args.rework,
        notes: asked.notes.clone(),
    };
    if !args.dry_run {
        retried.job_id = Some(draft.queue(&mut rows, &chosen, context)?);
    }
    let has_owner = matches!(rows.hold, Some(Hold::Theirs(_)));
    rows.close()?;
    Ok((retried, has_owner))
}

/// What the flags ask for in the place of what the old job asked for.
struct Asked {
    ladder: Option<Ladder>,
    check: Option<crate::check::Check>,
    max_cost: Option<Usd>,
    rework: bool,
    /// As asked for, else as the config says, for items whose own is past.
    deadline: Timestamp,
    is_asked: bool,
    now: Timestamp,
    notes: Vec<String>,
}

impl Asked {
    fn new(args: &RetryArgs, context: &Context) -> Result<Asked, CliError> {
        let config = context.config()?;
        let now = context.setting().now;
        let flags = JobFlags {
            models: args.models.clone(),
            checks: args.checks.clone(),
            deadline: args.deadline,
            ..JobFlags::default()
        };
        let steps: Vec<Vec<String>> = args.models.iter().map(|step| step.0.clone()).collect();
        let (ladder, notes) = match steps.is_empty() {
            true => (None, Vec::new()),
            false => {
                let resolved =
                    config.catalog.resolve(&steps, now).map_err(|errors| ask::no_model(&errors))?;
                (Some(resolved.ladder), resolved.notes)
            }
        };
        let check = if args.checks.is_empty() { None } else { ask::check(&flags, config)? };
        let (deadline, _) = ask::deadline(&flags, config, now)?;
        let is_asked = args.deadline.is_some();
        let (max_cost, rework) = (args.max_cost, args.rework);
        Ok(Asked { ladder, check, max_cost, rework, deadline, is_asked, now, notes })
    }

    /// How an item of this class is scheduled in the new job.
    fn class(&self, old: &Class) -> Class {
        let to_come = |at: &Timestamp| *at > self.now;
        Class {
            ladder: self.ladder.clone().unwrap_or_else(|| old.ladder.clone()),
            priority: old.priority,
            deadline: old.deadline.filter(to_come).filter(|_| !self.is_asked).or(Some(self.deadline)),
            not_before: old.not_before.filter(to_come),
        }
    }
}

/// The items to be asked again, in the order of the first job's input.
#[derive(Default)]
struct Chosen {
    items: Vec<Place>,
    reasons: BTreeMap<String, u64>,
    already_queued: u64,
}

fn choose(rows: &Rows, chain: &Chain, args: &RetryArgs) -> Result<Chosen, CliError> {
    let queued = queued_again(rows, chain)?;
    let filter = Filter { states: states(args)?, reasons: args.reasons.clone(), ..Filter::default() };
    let selection = Selection::results(&rows.folder, &chain.links, &filter)?;
    let mut chosen = Chosen::default();
    for row in read::results(&selection, Texts::Without) {
        let row = row?;
        if queued.contains(&*row.custom_id) {
            chosen.already_queued += 1;
            continue;
        }
        *chosen.reasons.entry(row.error_code.unwrap_or(row.status)).or_default() += 1;
        chosen.items.push((JobId::new(row.job_id), row.item_index));
    }
    Ok(chosen)
}

fn states(args: &RetryArgs) -> Result<Vec<ItemStatus>, CliError> {
    if args.states.is_empty() {
        return Ok(vec![ItemStatus::Failed, ItemStatus::Expired]);
    }
    let state = |state: &super::args::StateFilter| match state.phase() {
        Phase::Final(ItemStatus::Succeeded) => Err(CliError::usage(
            "items that succeeded have their answer; to ask them anew, submit the file with --again",
        )),
        Phase::Final(status) => Ok(status),
        _ => Err(CliError::usage(format!(
            "an item that is {} has not ended; there is nothing to retry",
            state.word()
        ))),
    };
    args.states.iter().map(state).collect()
}

/// Names of items that unfinished retries hold and have not ended.
fn queued_again(rows: &Rows, chain: &Chain) -> Result<HashSet<Arc<str>>, CliError> {
    let mut names = HashSet::new();
    let mut reader = rows.prompts.reader();
    for link in &chain.links[1..] {
        let Some(view) = rows.view(&link.job).filter(|view| view.finished_at.is_none()) else { continue };
        let ended = read::final_states(&rows.folder, &link.job, u32::MAX)?;
        let ended: HashSet<ItemIndex> = ended.into_iter().map(|(item, _)| item).collect();
        let open: Vec<ItemIndex> = (0..view.items).filter(|item| !ended.contains(item)).collect();
        for page in open.chunks(PAGE) {
            names.extend(reader.read(&link.job, page)?.iter().map(|item| item.custom_id.clone()));
        }
    }
    Ok(names)
}

fn nothing(of: &JobId, chosen: &Chosen) -> CliError {
    let error =
        CliError::new("no_such_item", Exit::NotFound, format!("nothing of {of} is to be asked again"));
    match chosen.already_queued {
        0 => error.hint(format!(
            "overnight items {of} --state failed,expired,cancelled lists what did not succeed"
        )),
        n => error.detail(format!("{} already in a retry that is not over", counted(n, "item"))),
    }
}

fn require_prompts(rows: &Rows, job: &JobId) -> Result<(), CliError> {
    if rows.prompts.has(job) {
        return Ok(());
    }
    Err(CliError::new("no_prompts", Exit::NotFound, format!("the prompts of {job} were removed"))
        .hint("nothing was queued; submit the file again"))
}

/// The new job, not queued yet.
struct Draft<'a> {
    job: Job,
    headers: BTreeMap<JobId, Job>,
    asked: &'a Asked,
}

impl<'a> Draft<'a> {
    fn new(rows: &Rows, of: &JobId, chosen: &Chosen, asked: &'a Asked) -> Result<Draft<'a>, CliError> {
        let mut headers = BTreeMap::new();
        for (job, _) in &chosen.items {
            if !headers.contains_key(job) {
                headers.insert(job.clone(), rows.prompts.job(job)?);
            }
        }
        let newest = headers.last_key_value().map(|(_, job)| job).expect("something was chosen");
        let first = headers.get(of).unwrap_or(newest);
        let mut job = Job {
            id: of.clone(),
            name: Some(first.title().to_owned()),
            submitted_at: asked.now,
            n_items: chosen.items.len() as ItemIndex,
            classes: Vec::new(),
            class_of: Vec::new(),
            copies: Vec::new(),
            options: newest.options.clone(),
            source: first.source.clone(),
            retry_of: Some(of.clone()),
        };
        job.options.max_cost = asked.max_cost.or(job.options.max_cost);
        // Rework is what this retry is, not what the one before it was.
        job.options.tags.remove(REWORK);
        if asked.rework {
            job.options.tags.insert(REWORK.to_owned(), "manual".to_owned());
        }
        if let Some(check) = &asked.check {
            job.options.check = Some(check.clone());
        }
        for (from, item) in &chosen.items {
            let class = asked.class(headers[from].class(*item));
            let number = job.classes.iter().position(|known| *known == class).unwrap_or_else(|| {
                job.classes.push(class);
                job.classes.len() - 1
            });
            job.class_of
                .push(u16::try_from(number).map_err(|_| CliError::usage("too many classes of items"))?);
        }
        if job.classes.len() > Class::MAX_PER_JOB {
            return Err(CliError::usage("these items are scheduled in too many different ways for one job")
                .hint("give them one --model and one --deadline"));
        }
        let fingerprint = fingerprint(&job, &chosen.items);
        job.id = queue::job_id(&fingerprint);
        job.source.fingerprint = queue::hex(&fingerprint);
        Ok(Draft { job, headers, asked })
    }

    /// Whether every step of every item has a model that can be asked.
    fn check_routes(&self, context: &Context) -> Result<(), CliError> {
        let catalog = &context.config()?.catalog;
        for class in &self.job.classes {
            for (number, step) in class.ladder.0.iter().enumerate() {
                ask::check_step(catalog, step, number, self.job.options.allow_unpriced, self.asked.now)?;
            }
        }
        Ok(())
    }

    fn ladders(&self) -> Vec<String> {
        let mut ladders: Vec<String> =
            self.job.classes.iter().map(|class| class.ladder.to_string()).collect();
        ladders.sort();
        ladders.dedup();
        ladders
    }

    /// Makes the job durable and hands it over.
    fn queue(&mut self, rows: &mut Rows, chosen: &Chosen, context: &Context) -> Result<JobId, CliError> {
        let class_of = self.job.class_of.clone();
        if self.job.classes.len() == 1 {
            self.job.class_of.clear();
        }
        let id = self.job.id.clone();
        let mut writer = match &rows.hold {
            Some(Hold::Ours(session)) => session.store.stage(&id)?,
            Some(Hold::Theirs(_)) | None => FileStore::stage_beside(context.state_dir()?, &id)?,
        };
        self.write(rows, chosen, &class_of, &mut writer)?;
        writer.finish(&self.job)?;
        let hold = rows.hold.as_mut().expect("a store that has prompts is held by somebody");
        queue::accept(Arc::new(self.job.clone()), hold)?;
        Ok(id)
    }

    fn write(
        &self,
        rows: &Rows,
        chosen: &Chosen,
        class_of: &[u16],
        writer: &mut PromptWriter,
    ) -> Result<(), CliError> {
        let mut reader = rows.prompts.reader();
        let mut index: ItemIndex = 0;
        for group in chosen.items.chunk_by(|a, b| a.0 == b.0).flat_map(|group| group.chunks(PAGE)) {
            let job = &group[0].0;
            let indexes: Vec<ItemIndex> = group.iter().map(|(_, item)| *item).collect();
            for item in reader.read(job, &indexes)? {
                let class = class_of[index as usize];
                writer.push(&self.item(&item, &self.headers[job], index, class))?;
                index += 1;
            }
        }
        Ok(())
    }

    fn item(&self, item: &Item, from: &Job, index: ItemIndex, class: u16) -> Item {
        let mut item = Item { index, class, ..item.clone() };
        let mut options = item.options.take().map(|options| *options).unwrap_or_default();
        if self.asked.check.is_some() {
            options.check = None;
        }
        // Retries of several generations may differ in what their jobs ask for.
        for (key, value) in from.options.tags.iter().filter(|(key, _)| *key != REWORK) {
            if self.job.options.tags.get(key) != Some(value) {
                options.tags.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        item.options = (options != Default::default()).then(|| Box::new(options));
        item
    }
}

/// Knows the same retry again; an item that failed again is at another place then.
fn fingerprint(job: &Job, items: &[Place]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("{:?}|{:?}|{:?}", job.retry_of, job.classes, job.options));
    for (from, item) in items {
        hash.update(format!("|{from} {item}"));
    }
    hash.finalize().into()
}

fn tell(retried: &Retried, has_owner: bool, context: &Context) -> Result<(), CliError> {
    if context.globals.json {
        return context.print(&json(retried)?);
    }
    if let Some(job) = &retried.job_id {
        context.print(&format!("{job}\n"))?;
    }
    let lines = said(retried, has_owner, &context.setting());
    match retried.dry_run {
        // Nothing else is printed, so this is the data.
        true => context.lines(&lines),
        false => {
            lines.into_iter().for_each(|line| context.note(&line.indented()));
            Ok(())
        }
    }
}

fn said(retried: &Retried, has_owner: bool, setting: &Setting) -> Vec<Line> {
    let items = counted(retried.items, "item");
    let mut first = match retried.dry_run {
        true => format!("{items} of {} would be queued", retried.retry_of),
        false => format!("{items} of {} queued again", retried.retry_of),
    };
    if let Some(deadline) = retried.deadline_at {
        first += &format!(" · deadline {}", setting.moment(deadline));
    }
    if let Some(cap) = retried.max_cost_usd {
        first += &format!(" · cap {}", total(cap));
    }
    if retried.rework {
        first += " · marked as rework";
    }
    let mut lines = vec![
        Line::new().text(first),
        Line::new().text(super::words::by_count(&retried.reasons)),
        Line::new().text(format!("ask {}", retried.ladders.join("; "))),
    ];
    if retried.already_queued > 0 {
        let n = counted(retried.already_queued, "item");
        lines
            .push(Line::new().add(Paint::Warn, format!("{n} left out: already in a retry that is not over")));
    }
    lines.extend(retried.notes.iter().map(|note| Line::new().add(Paint::Warn, note)));
    if let Some(job) = retried.job_id.as_ref().filter(|_| !has_owner) {
        lines.push(Line::new().text(format!(
            "no daemon is running: `overnight daemon` (or `overnight run --resume {job}`) does the work"
        )));
    }
    lines
}
