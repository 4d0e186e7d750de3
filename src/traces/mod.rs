//! OpenTelemetry: a span an attempt, for whoever set `OTEL_EXPORTER_OTLP_ENDPOINT`.
//!
//! | file | takes → gives |
//! |---|---|
//! | [`span`] | how an attempt ended → a span with the GenAI attributes, as OTLP has it in JSON (P) |
//! | this one | spans → a collector, over HTTP, by a thread of its own |
//!
//! Tracing never holds work up: what a collector does not take in time is dropped, and that is said. Spans
//! carry counts, names of models and money; never a prompt, an answer, or a name that users gave to items.
//!
//! Shell, but for [`span`].

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};
use tokio::runtime::Runtime;

use crate::record::Ended;

pub mod span;

use span::Span;

/// Spans that may wait; more are dropped.
const WAITING: usize = 8_192;
/// Spans of one request.
const BATCH: usize = 512;
/// The longest a span waits for others.
const PACE: Duration = Duration::from_secs(5);
/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans go.
pub struct Traces {
    spans: Option<SyncSender<Span>>,
    dropped: u64,
    /// Hears nothing but the end of the thread.
    ended: Receiver<()>,
}

impl Traces {
    /// To the collector that the environment names; `None` where it names none.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Option<Traces>, String> {
        let Some(collector) = Collector::from_env(env)? else { return Ok(None) };
        let (spans, receiver) = sync_channel(WAITING);
        let (ends, ended) = sync_channel(0);
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || {
                // Dropped when the thread ends, however it does.
                let _ends: SyncSender<()> = ends;
                collector.run(&receiver);
            })
            .expect("the system can start a thread");
        Ok(Some(Traces { spans: Some(spans), dropped: 0, ended }))
    }

    /// An attempt ended.
    pub fn tell(&mut self, ended: &Ended) {
        let Some(spans) = &self.spans else { return };
        if spans.try_send(Span::of(ended)).is_err() {
            self.dropped += 1;
        }
    }
}

/// What waits is still sent, if that takes no longer than one request may.
impl Drop for Traces {
    fn drop(&mut self) {
        drop(self.spans.take());
        let _ = self.ended.recv_timeout(TIMEOUT);
        if self.dropped > 0 {
            tracing::warn!(
                spans = self.dropped,
                "the collector was too slow, and traces of these were dropped"
            );
        }
    }
}

/// The receiving end.
struct Collector {
    url: Url,
    client: Client,
    runtime: Runtime,
    service: String,
    /// It does not answer, and that was said.
    is_out: bool,
}

impl Collector {
    fn from_env(env: &BTreeMap<String, String>) -> Result<Option<Collector>, String> {
        let set = |name: &str| env.get(name).filter(|value| !value.trim().is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let url = match (set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), set("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            (Some(url), _) => url.clone(),
            (None, Some(base)) => format!("{}/v1/traces", base.trim_end_matches('/')),
            (None, None) => return Ok(None),
        };
        let wrong = || {
            format!("OTEL_EXPORTER_OTLP_ENDPOINT: {url:?} is not an address like \"http://127.0.0.1:4318\"")
        };
        let url =
            Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)?;
        let headers = headers(set("OTEL_EXPORTER_OTLP_HEADERS").map_or("", String::as_str))?;
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers.clone())
                .redirect(redirect::Policy::none())
                .timeout(TIMEOUT)
        };
        // Without certificates on the machine, plain HTTP still works.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Some(Collector {
            url,
            client: client.map_err(|error| error.to_string())?,
            runtime: runtime.map_err(|error| error.to_string())?,
            service: set("OTEL_SERVICE_NAME").map_or("overnight", String::as_str).to_owned(),
            is_out: false,
        }))
    }

    fn run(mut self, spans: &Receiver<Span>) {
        loop {
            let (batch, is_last) = batch(spans);
            if !batch.is_empty() {
                self.send(&batch);
            }
            if is_last {
                return;
            }
        }
    }

    fn send(&mut self, batch: &[Span]) {
        let body = span::document(&self.service, batch).to_string();
        let request =
            self.client.post(self.url.clone()).header("content-type", "application/json").body(body);
        // Its timer is that of the runtime it is sent in.
        let sent = async { request.send().await?.error_for_status() };
        let answered = self.runtime.block_on(sent);
        match answered {
            Ok(_) => self.is_out = false,
            // The error may name the address, which may hold a key.
            Err(error) if !self.is_out => {
                self.is_out = true;
                tracing::warn!("the collector takes no traces: {}", error.without_url());
            }
            Err(_) => {}
        }
    }
}

/// The spans that come within a while, and whether there are no more.
fn batch(spans: &Receiver<Span>) -> (Vec<Span>, bool) {
    let Ok(first) = spans.recv() else { return (Vec::new(), true) };
    let mut batch = vec![first];
    while batch.len() < BATCH {
        match spans.recv_timeout(PACE) {
            Ok(span) => batch.push(span),
            Err(RecvTimeoutError::Timeout) => return (batch, false),
            Err(RecvTimeoutError::Disconnected) => return (batch, true),
        }
    }
    (batch, false)
}

/// `key=value,key=value`, with `%20` for a space.
fn headers(text: &str) -> Result<HeaderMap, String> {
    // What is written there is a key more often than not.
    let wrong = || "OTEL_EXPORTER_OTLP_HEADERS is not a list like \"key=value,key=value\"".to_owned();
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let mut value =
            HeaderValue::from_bytes(&unescape(value.trim()).ok_or_else(wrong)?).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        plain.push((high * 16 + low) as u8);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let env = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Collector::from_env(&env)?.map(|collector| collector.url.to_string()))
    }

    #[test]
    fn the_environment_names_the_collector() {
        let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
        assert_eq!(collector(&[]), Ok(None));
        assert_eq!(collector(&[(base, " ")]), Ok(None));
        assert_eq!(
            collector(&[(base, "http://[::1]:4318/x/")]),
            Ok(Some("http://[::1]:4318/x/v1/traces".into()))
        );
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://example.org/spans");
        assert_eq!(collector(&[(base, "http://a/"), own]), Ok(Some("https://example.org/spans".into())));
        assert_eq!(collector(&[own, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert!(collector(&[(base, "localhost:4318")]).unwrap_err().contains("http://127.0.0.1:4318"));
    }

    #[test]
    fn headers_are_read_and_never_repeated() {
        let read = headers("x-key=a%20b%3D, authorization=Basic x=").unwrap();
        assert_eq!(
            (&read["x-key"], &read["authorization"]),
            (&"a b=".parse().unwrap(), &"Basic x=".parse().unwrap())
        );
        assert!(!format!("{read:?}").contains("a b"));
        for wrong in ["canary", "a b=canary", "x=%2xcanary", "x=canary%"] {
            let error = headers(wrong).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
