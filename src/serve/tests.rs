//! The server by itself, without a store: patience and limits, on real sockets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::accept::Limits;
use super::*;
use crate::config::{self, Inputs};

const SHORT: Duration = Duration::from_millis(30);
/// Never reached where the other one works.
const LONG: Duration = Duration::from_secs(3_600);

const PATIENT: Limits = Limits { headers: LONG, idle: LONG, ..accept::LIMITS };

fn server(limits: Limits) -> (Server, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let env = BTreeMap::from([("HOME".to_owned(), dir.path().display().to_string())]);
    let flags = [("state.dir", "--state-dir", dir.path().display().to_string())];
    let inputs = Inputs { file: None, cwd: Path::new("/"), env: &env, flags: &flags };
    let config = config::parse("", &inputs).unwrap();
    (Server::start_with(config, "127.0.0.1:0".parse().unwrap(), limits).unwrap(), dir)
}

/// Sends this and reads until the server ends the connection.
fn until_end(server: &Server, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn headers_that_never_end_are_not_waited_for() {
    let (server, _dir) = server(Limits { headers: SHORT, ..PATIENT });
    for begun in ["", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: "] {
        let said = until_end(&server, begun);
        assert!(!said.contains("200"), "{said}");
    }
}

#[test]
fn a_connection_between_requests_is_not_kept_for_ever() {
    let (server, _dir) = server(Limits { headers: SHORT, ..PATIENT });
    let said = until_end(&server, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[test]
fn a_body_that_stops_coming_is_answered_and_dropped() {
    let (server, _dir) = server(Limits { idle: SHORT, ..PATIENT });
    let said = until_end(
        &server,
        "POST /v1/batches HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    );
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(said.contains("too_slow"), "{said}");
}

#[test]
fn before_the_store_is_open_clients_are_told_to_come_back() {
    let (server, _dir) = server(accept::LIMITS);
    let ask = |path: &str| {
        until_end(&server, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    };
    assert!(ask("/healthz").starts_with("HTTP/1.1 200"));
    assert!(ask("/readyz").starts_with("HTTP/1.1 503"));
    let said = ask("/v1/batches");
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after: 1"), "{said}");
}

#[test]
fn one_connection_too_many_waits_for_another_to_end() {
    let (server, _dir) = server(Limits { connections: 1, ..PATIENT });
    let connect = || TcpStream::connect(server.address()).unwrap();
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    };
    let mut first = connect();
    ask(&mut first);
    first.read_exact(&mut [0; 12]).unwrap();
    let mut second = connect();
    ask(&mut second);
    second.set_read_timeout(Some(SHORT)).unwrap();
    assert!(second.read(&mut [0; 12]).is_err(), "it is not served yet");
    drop(first);
    second.set_read_timeout(None).unwrap();
    second.read_exact(&mut [0; 12]).unwrap();
}

#[test]
fn a_server_that_is_dropped_hangs_up_on_whoever_idles() {
    let (server, _dir) = server(PATIENT);
    let mut idle = TcpStream::connect(server.address()).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    drop(server);
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest);
    let _ = idle.shutdown(Shutdown::Both);
}
