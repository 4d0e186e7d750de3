//! Client and server over a real socket, with a driver that answers from a closure.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::place::Place;
use super::*;
use crate::cli::samples;
use crate::money::Usd;

/// An owner in a thread: its own runtime, its own socket, every question written down.
struct Owner {
    dir: TempDir,
    socket: PathBuf,
    heard: Arc<Mutex<Vec<Request>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Owner {
    fn new(answer: impl FnMut(&Request) -> Option<Response> + Send + 'static) -> Owner {
        let dir = tempfile::tempdir().unwrap();
        Owner::at(dir, |path| path.to_owned(), answer)
    }

    fn at(
        dir: TempDir,
        state: impl FnOnce(&Path) -> PathBuf,
        mut answer: impl FnMut(&Request) -> Option<Response> + Send + 'static,
    ) -> Owner {
        let (state, runtime) = (state(dir.path()), dir.path().to_owned());
        let (stop, mut stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let heard: Arc<Mutex<Vec<Request>>> = Arc::default();
        let written = heard.clone();
        let thread = std::thread::spawn(move || {
            let runtime_of_test = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime_of_test.block_on(async move {
                let listener = Listener::bind_with(&state, &runtime).unwrap();
                ready.send(listener.path().to_owned()).unwrap();
                let (asks, mut asked) = mpsc::channel::<Asked>(8);
                let server = tokio::spawn(serve(listener, asks));
                loop {
                    tokio::select! {
                        _ = &mut stopped => break,
                        Some(Asked { request, reply }) = asked.recv() => {
                            let response = answer(&request);
                            written.lock().unwrap().push(request);
                            if let Some(response) = response {
                                reply.send(response).ok();
                            }
                        }
                    }
                }
                drop(asked);
                server.await.unwrap().unwrap();
            });
        });
        let socket = is_ready.recv().unwrap();
        Owner { dir, socket, heard, stop: Some(stop), thread: Some(thread) }
    }

    fn client(&self) -> Client {
        Client::connect(self.dir.path()).unwrap().unwrap()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end();
    }
}

fn job() -> JobId {
    samples::running().job_id
}

fn done(_: &Request) -> Option<Response> {
    Some(Response::Done)
}

/// What an owner says that we only pretend to be, line after line, and then nothing more.
fn pretend(dir: &Path, lines: &'static [&'static str], then_hang_up: bool) -> JoinHandle<()> {
    let socket = dir.join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    Place { socket, pid: 4_711 }.write(dir).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for line in lines {
            writeln!(stream, "{line}").unwrap();
        }
        if !then_hang_up {
            // Until the client gives up.
            stream.read_to_end(&mut Vec::new()).ok();
        }
    })
}

#[test]
fn every_question_reaches_the_driver_as_it_was_asked() {
    let owner = Owner::new(done);
    let mut client = owner.client();
    let cap = JobChange::MaxCost(Some(Usd::from_pico(5)));
    client.change(job(), cap.clone()).unwrap();
    client.change(job(), JobChange::MaxCost(None)).unwrap();
    client.change(job(), JobChange::Paused).unwrap();
    client.adopt(job()).unwrap();
    client.flush(job()).unwrap();
    client.reload().unwrap();
    client.stop().unwrap();
    let expected = [
        Request::Change { job: job(), change: cap },
        Request::Change { job: job(), change: JobChange::MaxCost(None) },
        Request::Change { job: job(), change: JobChange::Paused },
        Request::Adopt { job: job() },
        Request::Flush { job: job() },
        Request::Reload,
        Request::Stop,
    ];
    assert_eq!(*owner.heard.lock().unwrap(), expected);
    assert_eq!(client.owner(), &Hello::ours());
}

#[test]
fn views_arrive_whole() {
    let views = [samples::running(), samples::waiting(), samples::completed()];
    let all = views.to_vec();
    let owner = Owner::new(move |request| {
        Some(match request {
            Request::Views => Response::Views(all.clone()),
            Request::View { job } => match all.iter().find(|view| view.job_id == *job) {
                Some(view) => Response::Views(vec![view.clone()]),
                None => Response::no_such_job(job),
            },
            _ => Response::Done,
        })
    });
    let mut client = owner.client();
    assert_eq!(client.views().unwrap(), views);
    assert_eq!(client.view(job()).unwrap(), views[0]);
    let refused = client.view(JobId::new("job_zzzzzz")).unwrap_err();
    assert!(matches!(refused, ControlError::Refused(Refused { code: RefusedCode::NoSuchJob, .. })));
    assert!(client.stop().is_ok(), "a refusal does not end the connection");
}

#[test]
fn a_watch_hears_of_every_change_until_the_owner_stops() {
    let mut round = 0;
    let mut owner = Owner::new(move |_| {
        round += 1;
        let mut view = samples::running();
        view.attempts = round / 3;
        Some(Response::Views(vec![view]))
    });
    let mut watch = owner.client().watch(Some(job())).unwrap();
    let attempts: Vec<u64> = watch.by_ref().take(3).map(|views| views.unwrap()[0].attempts).collect();
    assert_eq!(attempts, [0, 1, 2]);
    owner.end();
    let end = watch.find_map(Result::err).unwrap();
    assert!(
        matches!(&end, ControlError::Gone { .. })
            || matches!(&end, ControlError::Refused(refused) if refused.code == RefusedCode::Stopping),
        "{end:?}"
    );
}

#[test]
fn a_driver_that_drops_a_question_is_stopping() {
    let owner = Owner::new(|_| None);
    let error = owner.client().views().unwrap_err();
    assert!(matches!(error, ControlError::Refused(Refused { code: RefusedCode::Stopping, .. })), "{error:?}");
}

#[test]
fn nobody_else_can_open_the_socket_and_it_goes_with_its_owner() {
    let mut owner = Owner::new(done);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&owner.socket), 0o600);
    assert_eq!(mode(&owner.dir.path().join("control.json")), 0o600);
    owner.end();
    assert!(!owner.socket.exists());
    assert!(Client::connect(owner.dir.path()).unwrap().is_none());
}

#[test]
fn a_state_folder_with_a_long_name_is_served_too() {
    let long = |dir: &Path| {
        let state = dir.join("s".repeat(150));
        fs::create_dir(&state).unwrap();
        state
    };
    let owner = Owner::at(tempfile::tempdir().unwrap(), long, done);
    let state = owner.dir.path().join("s".repeat(150));
    assert!(!owner.socket.starts_with(&state));
    Client::connect(&state).unwrap().unwrap().reload().unwrap();
}

#[test]
fn what_a_dead_owner_left_behind_is_nobody_and_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    Place { socket, pid: 1 }.write(dir.path()).unwrap();
    assert!(Client::connect(dir.path()).unwrap().is_none());
    let owner = Owner::at(dir, |path| path.to_owned(), done);
    owner.client().reload().unwrap();
}

#[test]
fn an_owner_of_another_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let owner = pretend(dir.path(), &[r#"{"overnight":"9.9.9","protocol":99,"pid":4711,"more":1}"#], true);
    let error = Client::connect(dir.path()).unwrap_err();
    owner.join().unwrap();
    let said = error.to_string();
    assert!(matches!(error, ControlError::OtherVersion { .. }), "{said}");
    assert!(said.contains("pid 4711") && said.contains("9.9.9"), "{said}");
}

#[test]
fn an_owner_that_says_nothing_is_named_by_its_pid() {
    let dir = tempfile::tempdir().unwrap();
    let owner = pretend(dir.path(), &[], false);
    let error = Client::connect_with(dir.path(), Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.to_string(), "the process that owns the store (pid 4711) does not answer");
    owner.join().unwrap();
}

#[test]
fn an_owner_that_hangs_up_or_babbles_is_told_apart() {
    for (lines, expected) in [(&[][..], "hung up"), (&["SSH-2.0"][..], "cannot be understood")] {
        let dir = tempfile::tempdir().unwrap();
        let owner = pretend(dir.path(), lines, true);
        let said = Client::connect(dir.path()).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
        owner.join().unwrap();
    }
}

/// Sends raw lines and gives what comes back until the owner hangs up or `answers` lines came.
fn raw(owner: &Owner, bytes: &[u8], answers: usize) -> Vec<String> {
    let mut stream = UnixStream::connect(&owner.socket).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    lines.next().unwrap().unwrap();
    stream.write_all(bytes).ok();
    lines.take(answers).map_while(Result::ok).collect()
}

#[test]
fn a_question_that_cannot_be_read_is_refused_and_the_next_is_answered() {
    let owner = Owner::new(done);
    let lines =
        raw(&owner, b"nonsense\n{\"request\":\"burn\",\"every_ms\":null}\n{\"request\":\"reload\"}\n", 3);
    assert!(lines[0].contains("bad_request"), "{lines:?}");
    assert!(lines[1].contains("bad_request") && lines[1].contains("burn"), "{lines:?}");
    assert_eq!(lines[2], r#""done""#);
    assert_eq!(*owner.heard.lock().unwrap(), [Request::Reload]);
}

#[test]
fn names_that_could_be_paths_never_reach_the_driver() {
    let owner = Owner::new(done);
    for name in ["../../etc", "job_../x", "job_A", ""] {
        let line = format!("{{\"request\":{{\"adopt\":{{\"job\":{name:?}}}}}}}\n");
        assert!(raw(&owner, line.as_bytes(), 1)[0].contains("bad_request"), "{name}");
    }
    assert!(owner.heard.lock().unwrap().is_empty());
}

#[test]
fn only_views_can_be_asked_for_again_and_again() {
    let owner = Owner::new(done);
    let answer = raw(&owner, b"{\"request\":\"stop\",\"every_ms\":200}\n", 1);
    assert!(answer[0].contains("bad_request"), "{answer:?}");
    assert!(owner.heard.lock().unwrap().is_empty());
}

#[test]
fn a_line_that_is_too_long_is_not_even_read() {
    let owner = Owner::new(done);
    let mut flood = vec![b'x'; MAX_REQUEST + 2];
    flood.push(b'\n');
    assert_eq!(raw(&owner, &flood, 1), Vec::<String>::new());
    owner.client().reload().unwrap();
}
