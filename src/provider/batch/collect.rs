//! [`Collecting`]: the lines of a batch's results, one by one as they arrive.
//!
//! A download that breaks off goes on behind the last whole line: in the same [`Collecting`] by asking
//! for the next line again, after a restart by collecting from the [`Cursor`](crate::batch::Cursor). What
//! comes in pages is then passed over from the first one on, because a page has a name that only the one
//! before it tells.
//!
//! Shell.

use std::collections::VecDeque;

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::timeout;

use super::client::Batches;
use super::dialect::{Address, PAGE_TOKEN, Said, What, text};
use super::exchange::Failed;
use super::split::Splitter;
use crate::attempt::Outcome;
use crate::batch::{AskError, BatchRef, Cursor, Fate, Line, LineId, Mark, ResultsAt};
use crate::provider::http::{IDLE, MOST_BODY};

/// The results of a batch on their way.
#[derive(Debug)]
pub struct Collecting<'a> {
    batches: Batches<'a>,
    batch: BatchRef,
    results: Vec<ResultsAt>,
    cursor: Cursor,
    page: Page,
    reading: Option<Reading>,
}

/// The page that is being read, of a source that comes in pages.
#[derive(Debug, Default)]
struct Page {
    /// What it is called; the first one has no name.
    token: Option<String>,
    /// Lines before it.
    before: u64,
}

/// Lines that are asked for at once, of a source that comes in pages: the most that xAI gives.
const PAGE_LINES: &str = "1000";

/// A source that is being read.
#[derive(Debug)]
struct Reading {
    response: reqwest::Response,
    pieces: Pieces,
    /// Bytes to pass over, where the server begins at the start although asked not to.
    skip_bytes: u64,
    /// Lines to pass over, where bytes mean nothing.
    skip_lines: u64,
    /// Lines that are whole, with the bytes they take up in their source.
    ready: VecDeque<(Vec<u8>, u64)>,
    /// What the next page is called, where there is one; known at the end.
    next_page: Option<String>,
    is_complete: bool,
}

/// How lines are told apart.
#[derive(Debug)]
enum Pieces {
    /// By line breaks; what there is of the next one.
    Lines(Vec<u8>),
    /// As elements of an array.
    Elements(Box<Splitter>),
}

impl<'a> Collecting<'a> {
    pub(super) fn new(
        batches: Batches<'a>,
        batch: BatchRef,
        results: Vec<ResultsAt>,
        cursor: Cursor,
    ) -> Self {
        Collecting { batches, batch, results, cursor, page: Page::default(), reading: None }
    }

    /// Behind the last line that was given out.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next line; `None` at the end. After an error, asking again goes on where it broke off.
    pub async fn next(&mut self) -> Result<Option<Line>, AskError> {
        loop {
            let Some(source) = self.results.get(self.cursor.sources as usize).cloned() else {
                return Ok(None);
            };
            let mut reading = match self.reading.take() {
                Some(reading) => reading,
                None => match self.open(&source).await? {
                    Some(reading) => reading,
                    None => {
                        self.next_source();
                        continue;
                    }
                },
            };
            // On an error the response is gone, and the next call opens another one.
            match reading.line(&self.batches).await? {
                Some((line, bytes)) => {
                    self.reading = Some(reading);
                    self.cursor.lines += 1;
                    self.cursor.bytes += bytes;
                    if !line.trim_ascii().is_empty() {
                        return Ok(Some(self.read(line)));
                    }
                }
                None => match self.page_behind(reading) {
                    Some(page) => self.page = page,
                    None => self.next_source(),
                },
            }
        }
    }

    fn next_source(&mut self) {
        self.cursor = Cursor { sources: self.cursor.sources + 1, ..Cursor::default() };
        self.page = Page::default();
    }

    /// The page behind one that was read to its end; none where it names itself.
    fn page_behind(&self, read: Reading) -> Option<Page> {
        let token = read.next_page.filter(|token| self.page.token.as_ref() != Some(token))?;
        Some(Page { token: Some(token), before: self.cursor.lines.saturating_sub(read.skip_lines) })
    }

    /// Begins to read a source behind the cursor; `None` where nothing is left of it.
    async fn open(&self, source: &ResultsAt) -> Result<Option<Reading>, AskError> {
        let is_file = matches!(source, ResultsAt::Address(_));
        let from = if is_file { self.cursor.bytes } else { 0 };
        let address = self.address_of(source);
        let response = self.batches.download(&address, from).await.map_err(Failed::into_ask)?;
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && from > 0 {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(self.batches.refused_response(response, self.batch.wire).await);
        }
        let pieces = match is_file {
            true => Pieces::Lines(Vec::new()),
            false => Pieces::Elements(Box::new(Splitter::new(self.batches.dialect().inline_results()))),
        };
        Ok(Some(Reading {
            skip_bytes: if status == StatusCode::PARTIAL_CONTENT { 0 } else { from },
            skip_lines: if is_file { 0 } else { self.cursor.lines.saturating_sub(self.page.before) },
            response,
            pieces,
            ready: VecDeque::new(),
            next_page: None,
            is_complete: false,
        }))
    }

    fn address_of(&self, source: &ResultsAt) -> Address {
        match source {
            ResultsAt::Address(address) => Address::new(address.clone()),
            ResultsAt::Inline => self.batches.dialect().one(&self.batch.id),
            ResultsAt::Pages(address) => Address::new(address.clone())
                .with("limit", PAGE_LINES)
                .with_some(PAGE_TOKEN, self.page.token.as_deref()),
        }
    }

    /// What a line of results says. One that cannot be read is nobody's.
    fn read(&self, raw: Vec<u8>) -> Line {
        let raw = self.batches.scrub(raw);
        let value: Option<Value> = serde_json::from_slice(&raw).ok();
        let said = value.as_ref().and_then(|line| self.batches.dialect().line(line, &raw));
        let Some(Said { id, what }) = said else {
            let named = |line: &Value| NAMES.iter().find_map(|name| text(&line[name]));
            let id = value.as_ref().and_then(named);
            return Line { id: self.whose(&id.unwrap_or_default()), fate: Fate::Ran(unreadable(&raw)) };
        };
        let fate = match what {
            What::NotRun(why) => Fate::NotRun(why),
            What::Response { status, request_id, body } => {
                let body = Bytes::from(body);
                Fate::Ran(self.batches.read_line(status, request_id.as_deref(), body, self.batch.wire))
            }
        };
        Line { id: self.whose(&id), fate }
    }

    fn whose(&self, id: &str) -> LineId {
        match Mark::of_line(id) {
            Some((mark, attempt)) if mark == self.batch.mark => LineId::Ours(attempt),
            _ => LineId::Foreign(id.chars().take(100).collect()),
        }
    }
}

/// Where an id may be of a line that cannot be read otherwise.
const NAMES: [&str; 3] = ["custom_id", "key", "batch_request_id"];

fn unreadable(raw: &Bytes) -> Outcome {
    let message = "a line of the results that cannot be read".to_owned();
    Outcome::Garbage { message, http_status: 200, body: raw.slice(..raw.len().min(64 * 1024)) }
}

impl Reading {
    /// The next line and the bytes it takes up; `None` at the end.
    async fn line(&mut self, batches: &Batches<'_>) -> Result<Option<(Vec<u8>, u64)>, AskError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if self.is_complete {
                return Ok(None);
            }
            match timeout(IDLE, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.take(&chunk)?,
                Ok(Ok(None)) => self.end()?,
                Ok(Err(error)) => return Err(batches.broken(&error)),
                Err(_) => return Err(AskError::Broken(format!("no byte of the results for {IDLE:?}"))),
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), AskError> {
        let skipped = usize::try_from(self.skip_bytes).unwrap_or(usize::MAX).min(chunk.len());
        self.skip_bytes -= skipped as u64;
        let (ready, skip_lines) = (&mut self.ready, &mut self.skip_lines);
        match &mut self.pieces {
            Pieces::Lines(next) => {
                for piece in chunk[skipped..].split_inclusive(|byte| *byte == b'\n') {
                    next.extend_from_slice(piece);
                    if piece.ends_with(b"\n") {
                        let line = std::mem::take(next);
                        let bytes = line.len() as u64;
                        ready.push_back((line, bytes));
                    }
                }
                if next.len() > MOST_BODY {
                    return Err(AskError::Broken("a line of the results is too long".to_owned()));
                }
            }
            Pieces::Elements(splitter) => splitter.read(chunk, |element| match *skip_lines {
                0 => ready.push_back((element, 0)),
                _ => *skip_lines -= 1,
            }),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), AskError> {
        self.is_complete = true;
        match &mut self.pieces {
            // The last line may have no line break.
            Pieces::Lines(next) if !next.is_empty() => {
                let line = std::mem::take(next);
                let bytes = line.len() as u64;
                self.ready.push_back((line, bytes));
            }
            Pieces::Lines(_) => {}
            Pieces::Elements(splitter) => {
                // Whoever cuts it short may close the connection politely.
                let around: Value = serde_json::from_slice(splitter.outline())
                    .map_err(|_| AskError::Broken("the results broke off".to_owned()))?;
                if !splitter.has_found() {
                    return Err(AskError::Gone("the batch holds no results".to_owned()));
                }
                self.next_page = text(&around[PAGE_TOKEN]);
            }
        }
        Ok(())
    }
}
