//! One document over HTTP: bounded in time and size, and not again where nothing changed.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::provider::client::client;

/// The largest list is a few megabytes.
const MOST_BYTES: usize = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of asking.
pub(super) enum Fetched {
    /// The document, and what the server calls this state of it.
    New {
        /// The document.
        body: String,
        /// Its tag.
        etag: Option<String>,
    },
    /// It is still the one that `etag` names.
    Unchanged,
}

/// Gets `url`, unless it is still what `etag` names.
pub(super) fn get(url: &str, etag: Option<&str>) -> Result<Fetched, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async { tokio::time::timeout(PATIENCE, ask(url, etag)).await };
    let answer = runtime.block_on(asked).unwrap_or_else(|_| Err("it took more than a minute".to_owned()));
    answer.map_err(|why| {
        CliError::new("fetch", Exit::Unexpected, format!("{url} could not be fetched: {why}"))
            .hint("nothing was changed; a list that was downloaded otherwise can be given with --file")
    })
}

async fn ask(url: &str, etag: Option<&str>) -> Result<Fetched, String> {
    let mut request = client()?.get(url);
    if let Some(tag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        request = request.header(IF_NONE_MATCH, tag);
    }
    let mut response = request.send().await.map_err(|error| whole(&error))?;
    match response.status() {
        StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Fetched::Unchanged),
        status if status.is_redirection() => {
            return Err(format!("it moved (HTTP {}); give the new address with --url", status.as_u16()));
        }
        status if !status.is_success() => return Err(format!("HTTP {}", status.as_u16())),
        _ => {}
    }
    let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| whole(&error))? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(format!("it is larger than {} MiB", MOST_BYTES >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    let body = String::from_utf8(body).map_err(|_| "it is not text".to_owned())?;
    Ok(Fetched::New { body, etag })
}

/// The whole chain: the outermost error names only the address.
fn whole(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
