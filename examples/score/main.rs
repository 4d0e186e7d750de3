//! How close the router comes to the best possible, on answers that several models gave to the same items.
//!
//! ```text
//! cargo run --release --example score -- FILE.csv.gz --prices PRICES.csv [--json] [--seeds N]
//! cargo run --release --example score -- --worlds [--seeds N]
//! ```
//!
//! `FILE` has the columns `item_id, model, correct, prompt_tokens, completion_tokens`, `PRICES` the columns
//! `model, usd_per_mtok_in, usd_per_mtok_out`; others are ignored. `--worlds` plays made-up sets of known
//! structure instead, one line each. No network, no keys.

use std::path::PathBuf;

use anyhow::{Context, bail};

mod answers;
mod best;
mod chance;
mod job;
mod policies;
mod replay;
mod score;
mod show;
mod worlds;

use answers::Answers;
use score::Scores;

/// Pools that are drawn.
const SEEDS: u64 = 30;

#[derive(Default)]
struct Args {
    file: Option<PathBuf>,
    prices: Option<PathBuf>,
    json: bool,
    worlds: bool,
    seeds: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let seeds = args.seeds.unwrap_or(SEEDS);
    if args.worlds {
        return worlds::show(seeds);
    }
    let file = args.file.context("name a file of answers: score FILE.csv.gz --prices PRICES.csv")?;
    let prices = args.prices.context("name the price file: --prices PRICES.csv")?;
    let answers = Answers::read(&file, &answers::read_prices(&prices)?)?;
    let scores = Scores::of(&answers, seeds);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&show::as_json(&scores))?);
    } else {
        println!("{} items × {} models, {seeds} pools", answers.items.len(), answers.models.len());
        println!("{}", show::as_text(&scores));
    }
    Ok(())
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Args> {
        let mut args = Args::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => args.json = true,
                "--worlds" => args.worlds = true,
                "--prices" => args.prices = Some(words.next().context("--prices needs a file")?.into()),
                "--seeds" => {
                    let seeds = words.next().context("--seeds needs a number")?;
                    args.seeds = Some(seeds.parse().context("--seeds needs a number")?);
                }
                flag if flag.starts_with('-') => {
                    bail!("unknown flag {flag}; there are --prices, --json, --seeds, --worlds")
                }
                file if args.file.is_none() => args.file = Some(file.into()),
                more => bail!("one file at a time, and {more} is a second one"),
            }
        }
        Ok(args)
    }
}
