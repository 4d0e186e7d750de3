//! Provider batches as they are carried out: drafts in files, questions as tasks, results as streams.
//!
//! Takes what the engine asks and brings it the answers through the inbox. It decides nothing and repeats
//! nothing. A stream of results stays open between its pages, and no more than one page of a batch is in
//! memory.
//!
//! Shell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::inbox::{Inbox, News};
use crate::attempt::Outcome;
use crate::batch::{AskError, BatchRef, CreateError, Cursor, Fate, Line, Mark, Order, Search, Status, Why};
use crate::catalog::Route;
use crate::engine::{BatchAsk, BatchNews, BatchWork, Call};
use crate::job::Wire;
use crate::provider::batch::{Added, Batches, Collecting, Draft};
use crate::provider::http::Providers;

/// Lines of results in one page, and the bytes after which it is full.
const PAGE: (usize, usize) = (256, 8 << 20);

/// The batches of this process.
pub(super) struct Desk {
    providers: Arc<Providers>,
    inbox: Inbox,
    folder: PathBuf,
    /// Drafts that take lines; or why one takes none.
    drafts: BTreeMap<Mark, Result<Draft, String>>,
    /// Streams of results that wait to be asked for their next page.
    streams: BTreeMap<Mark, mpsc::Sender<Cursor>>,
}

impl Desk {
    /// With drafts in this folder.
    pub(super) fn new(providers: Arc<Providers>, inbox: Inbox, folder: PathBuf) -> Desk {
        Desk { providers, inbox, folder, drafts: BTreeMap::new(), streams: BTreeMap::new() }
    }

    /// Does what is asked, what takes time as a task of its own.
    pub(super) fn carry_out(&mut self, ask: BatchAsk, tasks: &mut JoinSet<()>) {
        let BatchAsk { mark, route, what } = ask;
        match what {
            BatchWork::Add(call) => self.add(mark, &call),
            BatchWork::Drop => drop(self.drafts.remove(&mark)),
            BatchWork::Create => {
                let question = Question::Create(self.drafts.remove(&mark));
                self.ask(mark, route, question, tasks);
            }
            BatchWork::Find(search) => self.ask(mark, route, Question::Find(search), tasks),
            BatchWork::Look(batch) => self.ask(mark, route, Question::Look(batch), tasks),
            BatchWork::Cancel(batch) => self.cancel(batch, route, tasks),
            BatchWork::Clear(batch) => self.clear(Left::By(batch), route, tasks),
            BatchWork::ClearUnmade(wire) => self.clear(Left::Unmade(mark, wire), route, tasks),
            BatchWork::Collect(status, from) => self.collect(mark, route, *status, from, tasks),
        }
    }

    fn add(&mut self, mark: Mark, call: &Call) {
        if let Err(why) = self.try_add(mark, call) {
            self.inbox.send(News::Batch(mark, Box::new(BatchNews::NotAdded(call.attempt, why))));
        }
    }

    fn try_add(&mut self, mark: Mark, call: &Call) -> Result<(), String> {
        let batches = batches_of(&self.providers, &call.route)?;
        let (wire, body) = batches.request(&call.item, &call.route)?;
        let draft = self.drafts.entry(mark).or_insert_with(|| {
            let order = Order { mark, model: call.route.model.clone(), wire };
            let draft = Draft::new(&self.folder, order, batches.api().limits);
            draft.map_err(|error| format!("its draft cannot be written: {error}"))
        });
        // What is lost already is not made, so nothing more has to go in.
        let Ok(open) = draft.as_mut() else { return Ok(()) };
        let added = match open.add(call.attempt, &body, call.item.input_tokens.into()) {
            _ if open.order().wire != wire => Err("it is written in another format".to_owned()),
            Ok(Added::Yes) => Ok(()),
            Ok(Added::Full) => Err("the batch is full".to_owned()),
            Ok(Added::TooLarge) => Err("it is larger than a batch may be".to_owned()),
            Err(error) => Err(format!("its draft cannot be written: {error}")),
        };
        // A lost batch may be known by its number of lines, so none is made that has fewer than intended.
        if let Err(why) = &added {
            *draft = Err(format!("a request did not go into the draft: {why}"));
        }
        added
    }

    fn ask(&self, mark: Mark, route: Arc<Route>, question: Question, tasks: &mut JoinSet<()>) {
        let (providers, inbox) = (self.providers.clone(), self.inbox.clone());
        tasks.spawn(async move {
            let news = answer(&providers, &route, question).await;
            inbox.send(News::Batch(mark, Box::new(news)));
        });
    }

    /// A request to give up that is lost shows when the batch is looked at.
    fn cancel(&self, batch: BatchRef, route: Arc<Route>, tasks: &mut JoinSet<()>) {
        let providers = self.providers.clone();
        tasks.spawn(async move {
            if let Ok(batches) = batches_of(&providers, &route)
                && let Err(why) = batches.cancel(&batch).await
            {
                tracing::warn!(batch = batch.id, "it cannot be cancelled: {why}");
            }
        });
    }

    /// What is not deleted expires at the provider.
    fn clear(&self, left: Left, route: Arc<Route>, tasks: &mut JoinSet<()>) {
        let providers = self.providers.clone();
        tasks.spawn(async move {
            let Ok(batches) = batches_of(&providers, &route) else { return };
            let cleared = match &left {
                Left::By(batch) => batches.clear(batch).await,
                Left::Unmade(mark, wire) => batches.clear_unmade(*mark, *wire).await,
            };
            match cleared {
                Ok(gone) => {
                    tracing::debug!(provider = &*route.provider, ?gone, "files of a batch are deleted");
                }
                Err(why) => {
                    tracing::warn!(provider = &*route.provider, "files of a batch are left there: {why}");
                }
            }
        });
    }

    /// The next page: of the stream that is open, or of a new one.
    fn collect(
        &mut self,
        mark: Mark,
        route: Arc<Route>,
        status: Status,
        from: Cursor,
        tasks: &mut JoinSet<()>,
    ) {
        self.streams.retain(|_, stream| !stream.is_closed());
        if self.streams.get(&mark).is_some_and(|stream| stream.try_send(from).is_ok()) {
            return;
        }
        let (next, asked) = mpsc::channel(1);
        self.streams.insert(mark, next);
        let (providers, inbox) = (self.providers.clone(), self.inbox.clone());
        tasks.spawn(async move { stream(&providers, &route, (mark, status, from), asked, &inbox).await });
    }
}

/// Whose files are deleted.
enum Left {
    By(BatchRef),
    Unmade(Mark, Wire),
}

/// What has one answer.
enum Question {
    Create(Option<Result<Draft, String>>),
    Find(Box<Search>),
    Look(BatchRef),
}

async fn answer(providers: &Providers, route: &Route, question: Question) -> BatchNews {
    let batches = batches_of(providers, route);
    match question {
        Question::Create(draft) => BatchNews::Created(create(batches, draft).await),
        Question::Find(search) => BatchNews::Found(match batches {
            Ok(batches) => batches.find(&search).await,
            Err(why) => Err(AskError::Broken(why)),
        }),
        Question::Look(batch) => BatchNews::Looked(match batches {
            Ok(batches) => batches.poll(&batch).await,
            Err(why) => Err(AskError::Broken(why)),
        }),
    }
}

async fn create(
    batches: Result<Batches<'_>, String>,
    draft: Option<Result<Draft, String>>,
) -> Result<BatchRef, CreateError> {
    let draft = draft.unwrap_or_else(|| Err("its draft is gone".to_owned()));
    match batches.and_then(|batches| Ok((batches, draft?))) {
        Ok((batches, mut draft)) => batches.create(&mut draft).await,
        Err(message) => Err(CreateError::NotCreated { why: Why::NotSent, message, retry_after: None }),
    }
}

/// Hands over page after page, each when it is asked for.
async fn stream(
    providers: &Providers,
    route: &Route,
    (mark, status, from): (Mark, Status, Cursor),
    mut asked: mpsc::Receiver<Cursor>,
    inbox: &Inbox,
) {
    let send = |lines, cursor, end| {
        inbox.send(News::Batch(mark, Box::new(BatchNews::Collected { lines, cursor, end })));
    };
    let batches = match batches_of(providers, route) {
        Ok(batches) => batches,
        Err(why) => return send(Vec::new(), from, Err(AskError::Broken(why))),
    };
    let mut results = batches.collect(&status, from);
    loop {
        let (lines, end) = page(&mut results).await;
        let goes_on = end == Ok(false);
        send(lines, results.cursor(), end);
        if !goes_on {
            return;
        }
        match asked.recv().await {
            Some(cursor) if cursor == results.cursor() => {}
            Some(cursor) => {
                let why = "another place of the results was asked for".to_owned();
                return send(Vec::new(), cursor, Err(AskError::Broken(why)));
            }
            None => return,
        }
    }
}

/// Lines up to a full page; whether they were the last.
async fn page(results: &mut Collecting<'_>) -> (Vec<Line>, Result<bool, AskError>) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while lines.len() < PAGE.0 && bytes < PAGE.1 {
        match results.next().await {
            Ok(Some(line)) => {
                bytes += size(&line);
                lines.push(line);
            }
            Ok(None) => return (lines, Ok(true)),
            Err(why) => return (lines, Err(why)),
        }
    }
    (lines, Ok(false))
}

fn size(line: &Line) -> usize {
    match &line.fate {
        Fate::Ran(Outcome::Answer(answer)) => answer.body.len(),
        _ => 0,
    }
}

fn batches_of<'a>(providers: &'a Providers, route: &Route) -> Result<Batches<'a>, String> {
    let provider =
        providers.get(&route.provider).ok_or_else(|| format!("{} is not in the config", route.provider))?;
    provider.batches().ok_or_else(|| format!("{} takes no batches that we know of", route.provider))
}
