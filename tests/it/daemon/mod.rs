//! The daemon by itself at night: schedules, watched folders, another config, the morning report, and what
//! an operator does with it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use overnight::control::Client;
use overnight::money::Price;
use overnight::provider::simulated::{Config, Model};
use overnight::simulate::{self, Handle};
use overnight::view::JobView;

use crate::support::Overnight;
use crate::support::running::Running;

/// What a monitor reads.
mod metrics;
/// Backup, restore, looking after the store, the service manager.
mod operations;
/// Another config while there is work.
mod reloads;
/// The report of the night, in a folder and at a webhook.
mod reports;
/// Jobs that nobody submits: by the clock, and from folders.
mod submissions;
/// Spans for a collector.
mod traces;

/// A folder whose config knows a simulated provider, and says this as well.
fn night(more: &str) -> (Overnight, Handle) {
    night_with(Duration::ZERO, more)
}

fn night_with(latency: Duration, more: &str) -> (Overnight, Handle) {
    let price = Price { input: 150_000, output: 600_000, ..Price::default() };
    let models = ["sim/small", "sim/large"].map(|name| Model { latency, ..Model::new(name, price) });
    let handle = simulate::spawn(Config { models: models.into(), ..Config::default() }).unwrap();
    let overnight = Overnight::new();
    configure(&overnight, &handle, more);
    (overnight, handle)
}

fn configure(overnight: &Overnight, provider: &Handle, more: &str) {
    let config = format!(
        "{more}\n[defaults]\nmodels = [\"sim/small\"]\n\
         [providers.sim]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         [models.\"sim/small\"]\nprice = {{ input = 0.15, output = 0.60 }}\nmax_output = 4096\n\
         [models.\"sim/large\"]\nprice = {{ input = 3, output = 15 }}\nmax_output = 4096\n",
        provider.base_url()
    );
    // All at once, as an editor does: a daemon may read it at any moment.
    let aside = overnight.write("overnight.toml.new", config);
    fs::rename(aside, overnight.path().join("overnight.toml")).unwrap();
}

/// So many prompts, told apart by `word`.
fn prompts(word: &str, n: usize) -> String {
    (0..n)
        .map(|n| format!("{{\"id\":\"{word}-{n}\",\"prompt\":\"{word} {n}\",\"max_tokens\":20}}\n"))
        .collect()
}

/// Asks the daemon until its jobs are as wanted.
fn until(overnight: &Overnight, mut wanted: impl FnMut(&[JobView]) -> bool) -> Vec<JobView> {
    loop {
        if let Ok(Some(mut client)) = Client::connect(overnight.path())
            && let Ok(views) = client.views()
            && wanted(&views)
        {
            return views;
        }
        std::thread::yield_now();
    }
}

fn all_over(views: &[JobView], n: usize) -> bool {
    views.len() == n && views.iter().all(|view| view.finished_at.is_some())
}

/// Stops a daemon as a service manager does; it must end well.
fn stop(daemon: Running) -> String {
    daemon.terminate();
    let ran = daemon.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stderr
}

/// What a receiver was sent: the lines of its head, and its body.
type Received = (Vec<String>, serde_json::Value);

/// A receiver that takes every message, and what it took.
fn receiver() -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_lowercase());
            }
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").unwrap();
            if sender.send((head, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}
