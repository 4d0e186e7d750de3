//! The SDKs that people have: OpenAI's for Python and for Node, unchanged but for the base URL.
//!
//! `tests/run` installs them; without it these say what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use overnight::provider::simulated::{Config, Limits};
use overnight::simulate;

use super::{Daemon, provider};

/// A daemon that also knows a provider which takes its time, to have something to cancel.
fn daemon() -> (Daemon, simulate::Handle) {
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let slow =
        simulate::spawn(Config { account_limits: limits, ..provider(Duration::from_millis(100)) }).unwrap();
    let config = format!(
        "[providers.slow]\nkind = \"openai\"\nbase_url = \"{}\"\nmax_concurrency = 1\n\
         [models.\"slow/small\"]\nprice = {{ input = 0.15, output = 0.60 }}\nmax_output = 4096\n",
        slow.base_url()
    );
    (Daemon::with(provider(Duration::ZERO), &config), slow)
}

/// The program does what it is to, against a daemon of its own.
#[track_caller]
fn does(mut command: Command, script: &str) {
    let (daemon, _slow) = daemon();
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
