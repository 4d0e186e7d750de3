//! The binary in a folder of its own, and an owner of the store that answers as told.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use assert_cmd::Command;
use overnight::control::{Asked, Listener, Request, Response, serve};
use overnight::view::JobView;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

/// Files that go in and come out.
pub(crate) mod folder;
/// Providers of the bundled table at addresses of tests.
pub(crate) mod profile;
/// The binary while it runs.
pub(crate) mod running;
/// A provider that answers as told, byte for byte.
pub(crate) mod script;

/// `overnight` in a folder of its own, with an environment that holds nothing of ours.
pub(crate) struct Overnight {
    pub(crate) dir: TempDir,
}

impl Overnight {
    pub(crate) fn new() -> Overnight {
        Overnight { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The command, ready to be given arguments: `overnight.command("status --json")`.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("overnight");
        command.current_dir(self.path()).env_clear().env("HOME", self.path()).env("TZ", "UTC");
        command.env("OVERNIGHT_STATE__DIR", self.path()).args(line.split_whitespace());
        // Tests run side by side.
        command.env("OVERNIGHT_DAEMON__LISTEN", "127.0.0.1:0");
        // A command that never ends is a failure that says its name.
        command.timeout(std::time::Duration::from_secs(300));
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(&self.command(line).output().unwrap())
    }

    /// The same with a provider's key in `LAB_KEY`.
    pub(crate) fn run_with_key(&self, line: &str, key: &str) -> Ran {
        Ran::of(&self.command(line).env("LAB_KEY", key).output().unwrap())
    }

    /// A process that goes on beside the test; what it says goes to a file of this name.
    pub(crate) fn spawn(&self, line: &str, log: &str) -> Child {
        let said = File::options().append(true).create(true).open(self.path().join(log)).unwrap();
        let asserted = self.command(line);
        let mut command = std::process::Command::new(asserted.get_program());
        command.args(asserted.get_args()).current_dir(self.path()).env_clear();
        command.envs(asserted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().unwrap()
    }

    /// From now on a process owns the store: `answer` says what it answers.
    pub(crate) fn owned(&self, answer: impl FnMut(&Request) -> Response + Send + 'static) -> Owner {
        Owner::start(self.path(), answer)
    }

    /// An owner that knows these jobs and does what it is told.
    pub(crate) fn owned_with(&self, views: Vec<JobView>) -> Owner {
        self.owned(move |request| match request {
            Request::Views => Response::Views(views.clone()),
            Request::Budgets => Response::Budgets(Vec::new()),
            Request::Allowances => Response::Allowances(Vec::new()),
            Request::View { job } => match views.iter().find(|view| view.job_id == *job) {
                Some(view) => Response::Views(vec![view.clone()]),
                None => Response::no_such_job(job),
            },
            _ => Response::Done,
        })
    }
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A process that owns the store, as far as the control socket shows.
pub(crate) struct Owner {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// What it was asked.
    pub(crate) heard: Arc<Mutex<Vec<Request>>>,
}

impl Owner {
    fn start(state: &Path, mut answer: impl FnMut(&Request) -> Response + Send + 'static) -> Owner {
        let state = state.to_owned();
        let heard: Arc<Mutex<Vec<Request>>> = Arc::default();
        let written = heard.clone();
        let (stop, mut stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (asks, mut asked) = mpsc::channel::<Asked>(8);
                let server = tokio::spawn(serve(Listener::bind(&state).unwrap(), asks));
                ready.send(()).unwrap();
                loop {
                    tokio::select! {
                        _ = &mut stopped => break,
                        Some(Asked { request, reply }) = asked.recv() => {
                            reply.send(answer(&request)).ok();
                            written.lock().unwrap().push(request);
                        }
                    }
                }
                drop(asked);
                server.await.unwrap().unwrap();
            });
        });
        is_ready.recv().unwrap();
        Owner { stop: Some(stop), thread: Some(thread), heard }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
