//! Clients of the daemon's API that poll and list, and how long they waited.
//!
//! ```text
//! cargo run --release --example api_load -- 127.0.0.1:8787 BATCH [--clients 200] [--think 1000]
//! ```
//!
//! Every client keeps one connection, asks, reads the whole answer and thinks for so many milliseconds
//! before it asks again; without thinking it asks as fast as it is answered. Of ten requests four ask about
//! the batch, three list batches, two list jobs and one reads the metrics.
//!
//! Runs until its standard input ends, then prints one JSON line: how many requests of each kind there
//! were, and the median, 99th percentile and maximum of the time from asking to the last byte, in
//! microseconds. Requests that were not answered with 200 are counted apart.
//!
//! The client is a bare socket, because whatever it costs is taken from the daemon it measures.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use overnight::clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What ten requests are.
const MIX: [Kind; 10] = {
    use Kind::{Batch, Batches, Jobs, Metrics};
    [Batch, Batches, Jobs, Batch, Batches, Batch, Metrics, Batches, Jobs, Batch]
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Batch,
    Batches,
    Jobs,
    Metrics,
}

/// Microseconds of each request that was answered, and how many were not.
#[derive(Default)]
struct Waits {
    answered: BTreeMap<Kind, Vec<u64>>,
    refused: u64,
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().context("name the daemon's address")?;
    let batch = args.next().context("name a batch")?;
    let (mut n_clients, mut think) = (200_usize, 1_000_u64);
    while let Some(flag) = args.next() {
        let number = args.next().with_context(|| format!("{flag} needs a number"))?;
        match flag.as_str() {
            "--clients" => n_clients = number.parse()?,
            "--think" => think = number.parse()?,
            _ => anyhow::bail!("{flag} is not known"),
        }
    }
    let waits = Arc::new(Mutex::new(Waits::default()));
    let seen = waits.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            for number in 0..n_clients {
                let client = Client::new(number, &address, &batch, Duration::from_millis(think), &seen);
                tokio::spawn(client.ask_on());
                // They do not come all at once, nor stay in step.
                tokio::time::sleep(Duration::from_millis(think) / u32::try_from(n_clients).unwrap_or(1))
                    .await;
            }
            std::future::pending::<()>().await;
        });
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{}", summary(&waits.lock().expect("no client panics while it counts")));
    Ok(())
}

struct Client {
    address: String,
    requests: Vec<(Kind, Vec<u8>)>,
    think: Duration,
    waits: Arc<Mutex<Waits>>,
}

impl Client {
    /// Begins at another place of the mix than its neighbours.
    fn new(number: usize, address: &str, batch: &str, think: Duration, waits: &Arc<Mutex<Waits>>) -> Client {
        let request = |kind: Kind| {
            let path = match kind {
                Kind::Batch => format!("/v1/batches/{batch}"),
                Kind::Batches => "/v1/batches?limit=20".to_owned(),
                Kind::Jobs => "/api/v1/jobs?limit=100".to_owned(),
                Kind::Metrics => "/metrics".to_owned(),
            };
            (kind, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes())
        };
        let mut mix = MIX;
        mix.rotate_left(number % MIX.len());
        let requests = mix.into_iter().map(request).collect();
        Client { address: address.to_owned(), requests, think, waits: waits.clone() }
    }

    async fn ask_on(self) {
        let mut stream = None;
        let mut buffer = vec![0; 64 << 10];
        for (kind, request) in self.requests.iter().cycle() {
            let began = clock::now();
            let answered = ask(&mut stream, &self.address, request, &mut buffer).await;
            let took = clock::now().since(began);
            {
                let mut waits = self.waits.lock().expect("no client panics while it counts");
                match answered {
                    Ok(true) => {
                        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                        waits.answered.entry(*kind).or_default().push(micros);
                    }
                    _ => waits.refused += 1,
                }
            }
            if answered.is_err() {
                stream = None;
            }
            tokio::time::sleep(self.think).await;
        }
    }
}

/// Asks on the connection there is, or a new one; whether it was answered with 200.
async fn ask(
    stream: &mut Option<TcpStream>,
    address: &str,
    request: &[u8],
    buffer: &mut [u8],
) -> anyhow::Result<bool> {
    let stream = match stream {
        Some(stream) => stream,
        None => stream.insert(TcpStream::connect(address).await?),
    };
    stream.write_all(request).await?;
    let mut head = Vec::new();
    let end = loop {
        let n = stream.read(buffer).await?;
        anyhow::ensure!(n > 0, "the daemon hung up");
        head.extend_from_slice(&buffer[..n]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let text = std::str::from_utf8(&head[..end])?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("no content-length")?.trim().parse()?;
    let mut left = (end + 4 + length).saturating_sub(head.len());
    while left > 0 {
        let n = stream.read(buffer).await?;
        anyhow::ensure!(n > 0, "the daemon hung up");
        left = left.saturating_sub(n);
    }
    Ok(text.starts_with("http/1.1 200"))
}

fn summary(waits: &Waits) -> serde_json::Value {
    let mut all: Vec<u64> = waits.answered.values().flatten().copied().collect();
    let kinds = waits
        .answered
        .iter()
        .map(|(kind, micros)| (format!("{kind:?}").to_lowercase(), figures(&mut micros.clone())));
    let kinds: serde_json::Map<String, serde_json::Value> = kinds.collect();
    serde_json::json!({ "refused": waits.refused, "all": figures(&mut all), "kinds": kinds })
}

fn figures(micros: &mut [u64]) -> serde_json::Value {
    micros.sort_unstable();
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or(0);
    let max = micros.last().copied().unwrap_or(0);
    serde_json::json!({ "requests": micros.len(), "p50_us": at(50), "p99_us": at(99), "max_us": max })
}
