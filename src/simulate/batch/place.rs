//! What an address of the batch APIs means.
//!
//! Pure.

use hyper::Method;

use crate::catalog::batch::BatchDialect;

/// Something that can be asked of batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An upload, as a form or as Google wants it.
    Upload(BatchDialect),
    /// What is known of an uploaded file.
    File(u64),
    /// A list of uploaded files.
    Files(BatchDialect),
    /// The bytes of a file.
    Content(BatchDialect, Content),
    /// A new batch; Google's address names its model.
    Create(BatchDialect, Option<String>),
    /// A list of batches.
    List(BatchDialect),
    /// One of them.
    One(BatchDialect, u64),
    /// One of them, to be cancelled.
    Cancel(BatchDialect, u64),
    /// A file, to be deleted.
    DeleteFile(BatchDialect, Content),
    /// A batch, to be deleted with its results.
    DeleteBatch(BatchDialect, u64),
}

/// A file that can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// One that was uploaded.
    Uploaded(u64),
    /// Answers of a batch.
    Output(u64),
    /// Errors of a batch.
    Errors(u64),
    /// All results of a batch.
    Results(u64),
}

/// The place at an address; `None` where it is no matter of batches. OpenRouter shares the addresses of
/// OpenAI, and so does xAI, whose lists would look like theirs: it has a prefix here.
pub(super) fn place(method: &Method, path: &str) -> Option<Place> {
    let is_post = *method == Method::POST;
    if *method == Method::DELETE {
        return deleted(path);
    }
    if let Some(path) = path.strip_prefix("/xai/v1") {
        return xai(is_post, path);
    }
    if path == "/upload/v1beta/files" && is_post {
        return Some(Place::Upload(BatchDialect::Gemini));
    }
    if let Some(model) = path.strip_suffix(":batchGenerateContent").filter(|_| is_post) {
        let model = model.trim_start_matches("/v1beta/").trim_start_matches("models/");
        return Some(Place::Create(BatchDialect::Gemini, Some(model.to_owned())));
    }
    if let Some(path) = path.strip_prefix("/v1beta") {
        return gemini(is_post, path);
    }
    let path = path.strip_prefix("/v1").unwrap_or(path);
    if let Some(rest) = path.strip_prefix("/files") {
        return file(is_post, rest);
    }
    for (prefix, dialect) in [
        ("/messages/batches", BatchDialect::Anthropic),
        ("/batch/jobs", BatchDialect::Mistral),
        ("/batches", BatchDialect::OpenAi),
    ] {
        if let Some(rest) = path.strip_prefix(prefix) {
            return batch(is_post, dialect, rest);
        }
    }
    None
}

fn batch(is_post: bool, dialect: BatchDialect, rest: &str) -> Option<Place> {
    if rest.is_empty() {
        return Some(if is_post { Place::Create(dialect, None) } else { Place::List(dialect) });
    }
    let rest = rest.strip_prefix('/')?;
    match (is_post, rest.split_once('/')) {
        (true, Some((id, "cancel"))) => Some(Place::Cancel(dialect, number(id)?)),
        (false, Some((id, "results"))) => Some(Place::Content(dialect, Content::Results(number(id)?))),
        (false, None) => Some(Place::One(dialect, number(rest)?)),
        _ => None,
    }
}

/// What can be deleted: files everywhere, batches where they hold what was asked and answered.
fn deleted(path: &str) -> Option<Place> {
    if let Some(path) = path.strip_prefix("/v1beta") {
        return match (path.strip_prefix("/batches/"), path.strip_prefix("/files/")) {
            (Some(id), _) => Some(Place::DeleteBatch(BatchDialect::Gemini, number(id)?)),
            (_, Some(id)) => Some(Place::DeleteFile(BatchDialect::Gemini, content(id)?)),
            _ => None,
        };
    }
    let path = path.strip_prefix("/xai").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    match (path.strip_prefix("/messages/batches/"), path.strip_prefix("/files/")) {
        (Some(id), _) => Some(Place::DeleteBatch(BatchDialect::Anthropic, number(id)?)),
        (_, Some(id)) => Some(Place::DeleteFile(BatchDialect::OpenAi, content(id)?)),
        _ => None,
    }
}

fn xai(is_post: bool, path: &str) -> Option<Place> {
    if let Some(rest) = path.strip_prefix("/files") {
        return file(is_post, rest);
    }
    let rest = path.strip_prefix("/batches")?;
    match rest.strip_suffix(":cancel").filter(|_| is_post) {
        Some(id) => Some(Place::Cancel(BatchDialect::Xai, number(id)?)),
        None => batch(is_post, BatchDialect::Xai, rest),
    }
}

fn file(is_post: bool, rest: &str) -> Option<Place> {
    if rest.is_empty() {
        let dialect = BatchDialect::OpenAi;
        return Some(if is_post { Place::Upload(dialect) } else { Place::Files(dialect) });
    }
    let rest = rest.strip_prefix('/')?;
    match rest.strip_suffix("/content") {
        _ if is_post => None,
        Some(id) => Some(Place::Content(BatchDialect::OpenAi, content(id)?)),
        None => Some(Place::File(number(rest)?)),
    }
}

fn gemini(is_post: bool, path: &str) -> Option<Place> {
    const GEMINI: BatchDialect = BatchDialect::Gemini;
    match (is_post, path.strip_prefix("/batches"), path.strip_prefix("/files/")) {
        (false, None, None) if path == "/files" => Some(Place::Files(GEMINI)),
        (false, Some(""), _) => Some(Place::List(GEMINI)),
        (false, Some(id), _) => Some(Place::One(GEMINI, number(id)?)),
        (true, Some(id), _) => Some(Place::Cancel(GEMINI, number(id.strip_suffix(":cancel")?)?)),
        (false, _, Some(id)) => Some(Place::Content(GEMINI, content(id.strip_suffix(":download")?)?)),
        _ => None,
    }
}

fn content(id: &str) -> Option<Content> {
    let number = number(id)?;
    Some(if id.contains("-out-") {
        Content::Output(number)
    } else if id.contains("-err-") {
        Content::Errors(number)
    } else if id.contains("batch-") {
        Content::Results(number)
    } else {
        Content::Uploaded(number)
    })
}

/// The number at the end of a name.
pub(super) fn number(id: &str) -> Option<u64> {
    let start = id.rfind(|c: char| !c.is_ascii_digit())? + 1;
    id[start..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_its_addresses() {
        use BatchDialect::{Anthropic, Gemini, Mistral, OpenAi, Xai};
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        for (method, path, expected) in [
            (&post, "/v1/files", Some(Place::Upload(OpenAi))),
            (&get, "/v1/files/file-sim-3", Some(Place::File(3))),
            (&get, "/v1/files/file-sim-out-3/content", Some(Place::Content(OpenAi, Content::Output(3)))),
            (&get, "/v1/batches", Some(Place::List(OpenAi))),
            (&post, "/v1/batches/batch_sim_12/cancel", Some(Place::Cancel(OpenAi, 12))),
            (&post, "/v1/batch/jobs", Some(Place::Create(Mistral, None))),
            (&get, "/v1/messages/batches/msgbatch_sim_1", Some(Place::One(Anthropic, 1))),
            (
                &get,
                "/v1/messages/batches/msgbatch_sim_1/results",
                Some(Place::Content(Anthropic, Content::Results(1))),
            ),
            (
                &post,
                "/v1beta/models/a/b:batchGenerateContent",
                Some(Place::Create(Gemini, Some("a/b".into()))),
            ),
            (&post, "/v1beta/batches/sim-4:cancel", Some(Place::Cancel(Gemini, 4))),
            (&get, "/v1beta/files/batch-sim-4:download", Some(Place::Content(Gemini, Content::Results(4)))),
            (&post, "/xai/v1/batches", Some(Place::Create(Xai, None))),
            (&post, "/xai/v1/batches/batch_sim_3:cancel", Some(Place::Cancel(Xai, 3))),
            (&get, "/xai/v1/batches/batch_sim_3/results", Some(Place::Content(Xai, Content::Results(3)))),
            (&delete, "/v1/files/file-sim-err-3", Some(Place::DeleteFile(OpenAi, Content::Errors(3)))),
            (&delete, "/v1beta/files/sim-3", Some(Place::DeleteFile(Gemini, Content::Uploaded(3)))),
            (&delete, "/v1/messages/batches/msgbatch_sim_3", Some(Place::DeleteBatch(Anthropic, 3))),
            (&delete, "/v1/batches/batch_sim_3", None),
            (&post, "/v1/messages", None),
            (&post, "/v1beta/models/m:generateContent", None),
        ] {
            assert_eq!(place(method, path), expected, "{path}");
        }
    }
}
