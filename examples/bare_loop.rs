//! The bare client loop that ours is compared with: read a job file, send every body with reqwest,
//! keep so many in flight, count the answers. No queue, no ledger, no check, no results.
//!
//! ```text
//! cargo run --release --example bare_loop -- FILE.jsonl http://127.0.0.1:8484/v1 [IN_FLIGHT]
//! ```
//!
//! Prints one JSON line: items, answers, seconds, and the median and 99th percentile of a call's time.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use overnight::clock;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let file = args.next().context("name a job file in OpenAI batch format")?;
    let base = args.next().context("name a base URL")?;
    let in_flight: usize = args.next().map_or(Ok(256), |n| n.parse())?;
    // The same kind of runtime and the same client as ours, so that only the work differs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&file, &format!("{base}/chat/completions"), in_flight))
}

async fn run(file: &str, url: &str, in_flight: usize) -> anyhow::Result<()> {
    let client = overnight::provider::client::client().map_err(anyhow::Error::msg)?;
    let url: reqwest::Url = url.parse()?;
    let places = Arc::new(Semaphore::new(in_flight));
    let mut calls = JoinSet::new();
    let (mut items, mut answers) = (0u64, 0u64);
    let mut times = Vec::new();
    let started = clock::now();
    for line in BufReader::new(File::open(file)?).lines() {
        let line = line?;
        let body = serde_json::from_str::<Line<'_>>(&line)?.body.get().to_owned();
        let place = places.clone().acquire_owned().await?;
        let request = client.post(url.clone()).header("content-type", "application/json").body(body);
        calls.spawn(async move {
            let sent_at = clock::now();
            let answer = request.timeout(Duration::from_secs(600)).send().await;
            let ok = match answer {
                Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
                Err(_) => false,
            };
            drop(place);
            (ok, clock::now().since(sent_at))
        });
        items += 1;
        while let Some(done) = calls.try_join_next() {
            let (ok, took) = done?;
            answers += u64::from(ok);
            times.push(took.as_micros());
        }
    }
    while let Some(done) = calls.join_next().await {
        let (ok, took) = done?;
        answers += u64::from(ok);
        times.push(took.as_micros());
    }
    let seconds = clock::now().since(started).as_secs_f64();
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| times.get(times.len() * percent / 100).copied().unwrap_or(0));
    println!(
        "{{\"items\":{items},\"answers\":{answers},\"seconds\":{seconds:.3},\"p50_us\":{p50},\"p99_us\":{p99}}}"
    );
    Ok(())
}
