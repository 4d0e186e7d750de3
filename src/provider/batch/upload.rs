//! [`Upload`]: a draft on its way to a provider, with what its dialect puts around each request.
//!
//! Its length is known beforehand, because some servers take no upload without one; its bytes are made
//! as they are asked for, so that a batch of hundreds of megabytes costs the memory of one piece.
//!
//! Shell. It reads its file where it is polled: the pieces come out of the page cache, into which they
//! were written moments ago.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame as Piece, SizeHint};

use super::Draft;
use super::dialect::{Frame, Post};

/// How much is handed over at a time.
const PIECE: usize = 64 * 1024;

/// A body that is made from a draft.
#[derive(Debug)]
pub(super) struct Upload {
    head: Option<Bytes>,
    lines: BufReader<FromStart>,
    frame: Frame,
    /// Ids of the lines that are left, the first one last.
    ids: Vec<String>,
    is_first: bool,
    tail: Option<Bytes>,
    /// Bytes that are left of all of it.
    left: u64,
}

impl Upload {
    /// The draft between head and tail of a post.
    pub(super) fn new(draft: &mut Draft, post: &Post, frame: &Frame) -> io::Result<Upload> {
        let file = draft.lines()?;
        let count = draft.len() as u64;
        let aside = (post.head.len() + post.tail.len()) as u64;
        let mark = draft.order().mark;
        Ok(Upload {
            head: Some(post.head.clone().into()),
            lines: BufReader::with_capacity(PIECE, FromStart { file, at: 0 }),
            frame: frame.clone(),
            ids: draft.attempts().iter().rev().map(|attempt| mark.line_id(*attempt)).collect(),
            is_first: true,
            tail: Some(post.tail.clone().into()),
            left: aside + draft.bytes() + count * frame.overhead() - u64::from(count > 0),
        })
    }

    /// The next piece; empty at the end.
    fn piece(&mut self) -> io::Result<Bytes> {
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            return Ok(head);
        }
        let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
        while piece.len() < PIECE {
            let Some(id) = self.ids.pop() else { break };
            if !std::mem::take(&mut self.is_first) {
                piece.push(self.frame.between);
            }
            for text in [self.frame.before, &id, &self.frame.middle] {
                piece.extend_from_slice(text.as_bytes());
            }
            self.lines.read_until(b'\n', &mut piece)?;
            if piece.pop() != Some(b'\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            piece.push(b'}');
        }
        if piece.is_empty() {
            return Ok(self.tail.take().unwrap_or_default());
        }
        Ok(piece.into())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece<Bytes>, io::Error>>> {
        let piece = self.piece();
        Poll::Ready(match piece {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Piece::data(piece)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A file read from its start, whoever else reads or writes it.
#[derive(Debug)]
struct FromStart {
    file: File,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::super::Added;
    use super::super::dialect::{self, Dialect};
    use super::*;
    use crate::batch::{Mark, Order};
    use crate::catalog::batch::{BatchApi, BatchDialect};
    use crate::job::{AttemptId, Wire};

    const COUNT: u64 = 500;

    fn draft() -> (tempfile::TempDir, Draft) {
        let folder = tempfile::tempdir().unwrap();
        let order = Order { mark: Mark { store: 7, number: 1 }, model: "m/\"x".into(), wire: Wire::Chat };
        let limits = BatchApi::new(BatchDialect::OpenAi).limits;
        let mut draft = Draft::new(folder.path(), order, limits).unwrap();
        for n in 0..COUNT {
            let body = json!({"n": n, "text": "x".repeat(n as usize)}).to_string();
            assert_eq!(draft.add(AttemptId(n), body.as_bytes(), 1).unwrap(), Added::Yes);
        }
        (folder, draft)
    }

    async fn sent(draft: &mut Draft, post: &Post) -> String {
        let upload = Upload::new(draft, post, post.frame.as_ref().unwrap()).unwrap();
        let promised = upload.size_hint().exact().unwrap();
        let bytes = upload.collect().await.unwrap().to_bytes();
        assert_eq!(bytes.len() as u64, promised, "{}", post.head);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// The id and the request of each line, by any name.
    fn check(lines: &[Value], request: &str) {
        assert_eq!(lines.len() as u64, COUNT);
        for (n, line) in lines.iter().enumerate() {
            let id = line["custom_id"].as_str().or(line["key"].as_str()).or(line["metadata"]["key"].as_str());
            let (_, attempt) = Mark::of_line(id.unwrap()).unwrap();
            assert_eq!((attempt.0, &line[request]["n"]), (n as u64, &json!(n)));
        }
    }

    #[tokio::test]
    async fn every_dialect_frames_the_same_requests_to_the_promised_length() {
        let (_folder, mut draft) = draft();
        let order = draft.order().clone();
        for (dialect, request, list) in [
            (BatchDialect::Anthropic, "params", "/requests"),
            (BatchDialect::OpenRouter, "body", "/requests"),
            (BatchDialect::Gemini, "request", "/batch/inputConfig/requests/requests"),
        ] {
            let api = BatchApi::new(dialect);
            let dialect = dialect::of(dialect);
            assert_eq!(dialect.upload(&order, &api, 1_000), None);
            let text = sent(&mut draft, &dialect.create(&order, &api, None)).await;
            let body: Value = serde_json::from_str(&text).unwrap();
            check(body.pointer(list).unwrap().as_array().unwrap(), request);
        }
        for (dialect, request) in [
            (BatchDialect::OpenAi, "body"),
            (BatchDialect::Mistral, "body"),
            (BatchDialect::Gemini, "request"),
        ] {
            let api = BatchApi::new(dialect);
            let post = dialect::of(dialect).upload(&order, &api, u64::MAX).unwrap();
            let text = sent(&mut draft, &post).await;
            let file = &text[post.head.len()..text.len() - post.tail.len()];
            let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            check(&lines, request);
        }
    }

    #[test]
    fn openrouter_reads_the_model_before_the_requests() {
        let (_folder, draft) = draft();
        let dialect = super::super::openrouter::OpenRouter;
        let post = dialect.create(draft.order(), &BatchApi::new(BatchDialect::OpenRouter), None);
        let head: Value = serde_json::from_str(&format!("{}]}}", post.head)).unwrap();
        assert_eq!((&head["model"], &head["endpoint"]), (&json!("m/\"x"), &json!("/v1/chat/completions")));
        assert!(post.head.find("model") < post.head.find("requests"));
    }
}
