//! The SDKs that people have: OpenAI's for Python and for Node, Vercel's AI SDK, unchanged but for the base URL.
//!
//! `tests/run` installs them; without it these say what is missing.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use overnight::provider::simulated::{Config, Limits};
use overnight::simulate;

use super::{Daemon, provider};

/// A daemon that also knows a provider which takes its time, to have something to cancel.
fn daemon(config: &str) -> (Daemon, simulate::Handle) {
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let slow =
        simulate::spawn(Config { account_limits: limits, ..provider(Duration::from_millis(100)) }).unwrap();
    let config = format!(
        "{config}[providers.slow]\nkind = \"openai\"\nbase_url = \"{}\"\nmax_concurrency = 1\n\
         [models.\"slow/small\"]\nprice = {{ input = 0.15, output = 0.60 }}\nmax_output = 4096\n",
        slow.base_url()
    );
    (Daemon::with(provider(Duration::ZERO), &config), slow)
}

/// The program does what it is to, against a daemon of its own.
#[track_caller]
fn does(mut command: Command, script: &str) {
    let (daemon, _slow) = daemon("");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    command.arg(script).arg(format!("http://{}/v1", daemon.api.address));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run tests/run"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.ends_with("ok\n"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn python() -> Command {
    let python = std::env::var_os("OVERNIGHT_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(python)
}

/// Node with the packages of `tests/node`.
fn node() -> Command {
    let modules = std::env::var_os("OVERNIGHT_TEST_NODE_MODULES").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        home.join(".cache/overnight-tests/sdk/node_modules")
    });
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    command
}

#[test]
fn openais_python_sdk_does_what_it_can() {
    does(python(), "sdk/openai_sdk.py");
}

#[test]
fn openais_node_sdk_does_what_it_can() {
    does(node(), "node/openai_sdk.cjs");
}

/// Vercel's too has batches, of lines to `/v1/responses` only.
#[test]
fn vercels_ai_sdk_does_what_it_can() {
    does(node(), "node/ai_sdk.cjs");
}

/// LiteLLM, in the environment that the tests of its proxy have.
fn litellm() -> Command {
    let peers = std::env::var_os("OVERNIGHT_TEST_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        home.join(".cache/overnight-tests")
    });
    let mut command = Command::new(peers.join("litellm/bin/python"));
    // It would fetch a list of prices.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command
}

#[test]
fn litellms_batch_calls_do_theirs() {
    does(litellm(), "sdk/litellm_batches.py");
}

/// The receiver is there before the daemon, which is told of it by its config.
#[test]
fn openais_python_sdk_unwraps_our_webhooks() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "whsec_b3Zlcm5pZ2h0LXRlc3RzLW9ubHk=").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/openai_webhooks.py");
    let mut receiver = python();
    receiver.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut receiver = receiver.spawn().unwrap_or_else(|error| panic!("{error}; run tests/run"));
    let mut said = BufReader::new(receiver.stdout.take().unwrap());
    let mut port = String::new();
    said.read_line(&mut port).unwrap();
    let (daemon, _slow) = daemon(&format!(
        "[daemon]\nwebhook = \"http://127.0.0.1:{}/hook\"\nwebhook_secret = \"file:{}\"\n",
        port.trim(),
        secret.path().display()
    ));
    writeln!(receiver.stdin.take().unwrap(), "http://{}/v1", daemon.api.address).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(receiver.wait().unwrap().success() && rest == "ok\n", "{rest}");
}
