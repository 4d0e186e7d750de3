//! Servers of others as processes of ours: started on a free port, gone when they are dropped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server that runs until this is dropped.
pub(super) struct Process {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(super) address: String,
}

impl Process {
    /// Starts it, and reads what it says up to its address.
    fn start(mut command: Command, folder: &Path) -> Process {
        command.current_dir(folder).env("HOME", folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let name = format!("{:?}", command.get_program());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}; run tests/run"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = lines.by_ref().find_map(|line| {
            let found = line
                .find("http://127.0.0.1:")
                .map(|at| line[at..].split([' ', '\u{1b}']).next().unwrap_or_default().to_owned());
            said.push(line);
            found
        });
        let address =
            address.unwrap_or_else(|| panic!("{name} never said where it listens:\n{}", said.join("\n")));
        // Whatever it says from now on is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Process { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// LiteLLM's proxy with this config.
pub(super) fn litellm(folder: &Path, config: &str) -> Process {
    std::fs::write(folder.join("litellm.yaml"), config).unwrap();
    let mut command = command(installed("litellm/bin/litellm"));
    command.args(["--config", "litellm.yaml", "--host", "127.0.0.1", "--port", "0", "--telemetry", "False"]);
    // Prices come with the package: nothing is fetched.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    Process::start(command, folder)
}

/// Portkey's gateway.
pub(super) fn portkey(folder: &Path) -> Process {
    let mut command = command("node");
    command.arg("--import").arg(ours("loopback.mjs"));
    command.arg(installed("node/node_modules/@portkey-ai/gateway/build/start-server.js"));
    command.args(["--port=0", "--headless"]);
    command.env("NODE_ENV", "production");
    Process::start(command, folder)
}

/// llama.cpp's server over a model made of noise.
pub(super) fn llama(folder: &Path) -> Process {
    let mut command = command(installed("peers/bin/python"));
    command.arg(ours("llama.py"));
    Process::start(command, folder)
}

/// A program with nothing of our environment.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Where `tests/run` puts what it installs.
pub(super) fn installed(path: impl AsRef<OsStr>) -> PathBuf {
    let cache = std::env::var_os("OVERNIGHT_TEST_PEERS").map(PathBuf::from).expect(
        "this test needs servers of others: run tests/run, which installs them and sets OVERNIGHT_TEST_PEERS",
    );
    cache.join(path.as_ref())
}

/// A file of ours beside the requirements.
pub(super) fn ours(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(file)
}
