//! A file becomes a queued job: read, staged and made permanent in one pass.
//!
//! Every item goes straight from the reader to the prompts' writer, so memory does not grow with the
//! file. The job's name follows from the file and what is asked of it, so it is known only at the end;
//! until then the prompts are staged under a name of their own. Whoever owns the store makes them
//! permanent: we ourselves, or the process that does, which is told over its socket.
//!
//! Shell.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::ask::Ask;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::counted;
use super::session::{self, Hold};
use super::submit::{Queued, bad_lines};
use crate::catalog::Catalog;
use crate::clock;
use crate::input::{self, ReadError, Source, Summary};
use crate::job::{Item, Job, JobId};
use crate::ledger::JobLedger;
use crate::money::Usd;
use crate::plan::price;
use crate::store::files::FileStore;
use crate::store::prompts::PromptWriter;
use crate::store::{Store, StoreError};
use crate::view::JobView;

/// Queues one file and says what became of it; durable when this returns.
pub fn queue(
    file: &Path,
    ask: &Ask,
    again: bool,
    context: &Context,
    hold: &mut Hold,
) -> Result<Queued, CliError> {
    let config = context.config()?;
    let name = file.to_str().ok_or_else(|| CliError::usage("the name of the file is not UTF-8"))?;
    if let Some(key) = &ask.key
        && let Some(known) = hold.known(&job_id(&keyed(key)))?
    {
        return Ok(Queued::known(known));
    }
    check_room(file, &config.state_dir, hold)?;
    let mut rejects = Rejects::beside(file, ask.rejects.as_deref());
    let mut staged = Staged::begin(&config.state_dir, hold)?;
    let summary = read(name, ask, &mut staged, &mut rejects)?;
    let rejected = rejects.finish()?.map(|path| (summary.rejected.n_bad as u32, path));
    let classes = ask.classes(&config.catalog, &summary.classes)?;
    ask.check_routes(&config.catalog, &summary.classes, &classes)?;

    let fingerprint = match &ask.key {
        Some(key) => keyed(key),
        None => fingerprint(ask, &summary.source.sha256, again),
    };
    let id = job_id(&fingerprint);
    let mut source = summary.source.clone();
    source.fingerprint = hex(&fingerprint);
    let job = Job {
        id: id.clone(),
        name: ask.name.clone(),
        submitted_at: ask.read.now,
        n_items: staged.n_items,
        classes,
        class_of: staged.class_of(),
        copies: summary.copies.clone(),
        options: ask.options.clone(),
        source,
        retry_of: None,
    };
    let reserved = unlimited_answers(&job, &summary, &config.catalog)?;
    hold.reach_again(context)?;
    let known = hold.known(&id)?;
    let already = known.is_some();
    if !already {
        staged.finish(&job)?;
        accept(Arc::new(job.clone()), hold)?;
    }
    let view = known.unwrap_or_else(|| JobView::of(&job, &JobLedger::default()));
    Ok(Queued {
        job_id: id,
        items: view.items,
        already,
        deadline_at: view.deadline_at,
        max_cost_usd: view.max_cost_usd,
        rejected,
        notes: ask.notes.iter().chain(&summary.notes).cloned().chain(reserved).collect(),
    })
}

/// Reads a file and gives its items to `sink`; with a sample, only those of the sample.
pub fn read_items(
    name: &str,
    ask: &Ask,
    sink: &mut dyn FnMut(Item) -> io::Result<()>,
    rejects: Option<&mut dyn Write>,
) -> Result<Summary, CliError> {
    let Some(sample) = ask.sample else {
        return input::read(open(name)?, &ask.read, sink, rejects).map_err(not_readable);
    };
    if name == "-" {
        return Err(CliError::usage("--sample reads the file twice, so it cannot be stdin"));
    }
    let mut nowhere = io::sink();
    let skip: Option<&mut dyn Write> = ask.skip_bad.then_some(&mut nowhere);
    let total = input::read(open(name)?, &ask.read, &mut |_| Ok(()), skip).map_err(not_readable)?.n_items;
    let wanted = sample.min(total);
    let mut taken = 0;
    let mut every = |mut item: Item| {
        // The n-th of the sample is the first item n/wanted of the way through the file.
        if taken == wanted || u64::from(item.index) * wanted < taken * total {
            return Ok(());
        }
        item.index = taken as u32;
        taken += 1;
        sink(item)
    };
    let summary = input::read(open(name)?, &ask.read, &mut every, rejects).map_err(not_readable)?;
    // They name lines of the whole file; what is left of them in a sample is too little to look for.
    Ok(Summary { copies: Vec::new(), ..summary })
}

fn open(name: &str) -> Result<Source, CliError> {
    Source::open(name, None).map_err(not_readable)
}

/// Prompts on their way into a staging folder.
pub(crate) struct Staged {
    writer: PromptWriter,
    n_items: u32,
    classes: Vec<u16>,
    mixes_classes: bool,
}

impl Staged {
    fn begin(state: &Path, hold: &Hold) -> Result<Staged, CliError> {
        let own = format!("{} {:?}", std::process::id(), clock::now());
        let name = job_id(&Sha256::digest(own).into());
        Ok(Staged::new(match hold {
            Hold::Ours(session) => session.store.stage(&name)?,
            Hold::Theirs(_) => FileStore::stage_beside(state, &name)?,
        }))
    }

    /// None yet.
    pub(crate) fn new(writer: PromptWriter) -> Staged {
        Staged { writer, n_items: 0, classes: Vec::new(), mixes_classes: false }
    }

    /// How many so far.
    pub(crate) fn n_items(&self) -> u32 {
        self.n_items
    }

    /// The next one.
    pub(crate) fn push(&mut self, item: &Item) -> Result<(), StoreError> {
        self.writer.push(item)?;
        self.n_items += 1;
        // Two bytes an item, and only from the first one on that is not of class 0.
        if item.class != 0 && !self.mixes_classes {
            self.mixes_classes = true;
            self.classes = vec![0; item.index as usize];
        }
        if self.mixes_classes {
            self.classes.push(item.class);
        }
        Ok(())
    }

    /// The class of every item, where they are of different ones.
    pub(crate) fn class_of(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.classes)
    }

    /// All of them, durably, ready to be accepted as this job.
    pub(crate) fn finish(self, job: &Job) -> Result<(), StoreError> {
        self.writer.finish_as(job)
    }
}

fn read(name: &str, ask: &Ask, staged: &mut Staged, rejects: &mut Rejects) -> Result<Summary, CliError> {
    let mut failed = None;
    let mut sink = |item: Item| {
        staged.push(&item).map_err(|error| {
            let said = error.to_string();
            failed = Some(error);
            io::Error::other(said)
        })
    };
    let skip: Option<&mut dyn Write> = if ask.skip_bad { Some(rejects) } else { None };
    let summary = read_items(name, ask, &mut sink, skip);
    match failed {
        Some(error) => Err(error.into()),
        None => summary,
    }
}

fn check_room(file: &Path, state: &Path, hold: &Hold) -> Result<(), CliError> {
    // Of stdin nothing is known before it is read.
    let Ok(found) = std::fs::metadata(file) else { return Ok(()) };
    let checked = match hold {
        Hold::Ours(session) => session.store.check_room(found.len(), 0),
        Hold::Theirs(_) => FileStore::check_room_beside(state, found.len(), 0),
    };
    Ok(checked?)
}

/// Has a job that is staged made permanent.
pub(super) fn accept(job: Arc<Job>, hold: &mut Hold) -> Result<(), CliError> {
    match hold {
        Hold::Ours(session) => {
            session.store.accept(&job)?;
            let state = JobLedger::new(&job);
            session.ledger.add(job, state);
        }
        Hold::Theirs(client) => client.adopt(job.id.clone())?,
    }
    Ok(())
}

/// What a cap means for lines that do not limit their answers: each reserves the longest there may be.
pub(crate) fn unlimited_answers(
    job: &Job,
    summary: &Summary,
    catalog: &Catalog,
) -> Result<Option<String>, CliError> {
    if job.options.max_cost.is_none() || job.options.allow_unpriced || summary.n_unlimited == 0 {
        return Ok(None);
    }
    let lines = counted(summary.n_unlimited, "line");
    let set = if summary.n_unlimited == 1 { "sets" } else { "set" };
    let routes = session::routes_of(catalog, job, job.submitted_at);
    match routes.iter().filter_map(|route| price::longest_answer(route)).max() {
        Some(Usd::ZERO) => Ok(None),
        Some(most) => {
            let each = if summary.n_unlimited == 1 { "it" } else { "each" };
            Ok(Some(format!(
                "{lines} {set} no max_tokens: {each} keeps up to {most} of the cap while it is answered"
            )))
        }
        None => {
            let message = format!(
                "{lines} {set} no max_tokens, and how long answers may be is not known, so no cap would hold"
            );
            Err(CliError::new("no_route", Exit::NoRoute, message)
                .detail("nothing was queued")
                .hint("limit them: --set max_tokens=1000, or max_output under [models] in the config"))
        }
    }
}

/// SHA-256 over the file and all that is asked of it.
fn fingerprint(ask: &Ask, sha256: &str, again: bool) -> [u8; 32] {
    let again = again.then(|| clock::now().micros());
    Sha256::digest(format!("{sha256} {} {again:?}", ask.fingerprint)).into()
}

/// SHA-256 of a key.
fn keyed(key: &str) -> [u8; 32] {
    Sha256::digest(format!("key {key}")).into()
}

/// `job_` and twelve characters: sixty bits of the fingerprint, without letters that look like digits.
pub(super) fn job_id(fingerprint: &[u8; 32]) -> JobId {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (head, _) = fingerprint.split_first_chunk::<8>().expect("eight of thirty-two bytes");
    let bits = u64::from_be_bytes(*head);
    let letter = |n: u32| char::from(ALPHABET[(bits >> (59 - 5 * n) & 31) as usize]);
    JobId::new(format!("job_{}", (0..12).map(letter).collect::<String>()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn not_readable(error: ReadError) -> CliError {
    let message = error.to_string();
    match error {
        ReadError::BadLines(bad) => bad_lines(&bad),
        ReadError::Options(_) => CliError::usage(message),
        ReadError::Sink(error) => error.into(),
        ReadError::NoRequests(_) | ReadError::Unreadable { .. } | ReadError::Io { .. } => {
            CliError::new("bad_input", Exit::BadInput, message).hint("nothing was queued")
        }
    }
}

/// Bad lines that were left out, in a file of their own; made when the first one comes.
struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Rejects {
    /// For the lines of `file`, in this folder or in the working directory.
    fn beside(file: &Path, folder: Option<&Path>) -> Rejects {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("stdin");
        let stem = name.split('.').next().filter(|stem| !stem.is_empty() && *stem != "-").unwrap_or("stdin");
        let name = format!("{stem}.rejected.jsonl");
        Rejects { path: folder.map_or_else(|| name.clone().into(), |folder| folder.join(&name)), file: None }
    }

    fn finish(self) -> Result<Option<PathBuf>, CliError> {
        let Some(mut file) = self.file else { return Ok(None) };
        file.flush()?;
        Ok(Some(self.path))
    }
}

impl Write for Rejects {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            self.file = Some(BufWriter::new(File::create(&self.path)?));
        }
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}
