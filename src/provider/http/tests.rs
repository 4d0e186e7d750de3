//! Against a server of our own on loopback that reads one request a connection and answers with
//! bytes given by the test, so that every way of breaking off can be played.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::attempt::Finish;
use crate::catalog::calendar::Calendar;
use crate::catalog::endpoint::{Quirks, Secret};
use crate::catalog::{Limits, Route};
use crate::job::{AttemptId, Body, Item, JobId, Needs, Wire};

const KEY: &str = "sk-canary-0123456789";
const GATEWAY_KEY: &str = "gw-canary-9876543210";
const OK: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;

/// What the server does once it has read a whole request.
#[derive(Clone)]
enum Then {
    /// Writes this and closes.
    Say(Vec<u8>),
    /// Writes this and keeps the connection for the next request.
    SayAndStay(Vec<u8>),
    /// Writes this, then nothing more.
    SayAndHang(Vec<u8>),
    /// Resets the connection.
    Reset,
}

struct Server {
    address: String,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// Plays one script per connection, in order; the last one again and again.
    async fn start(scripts: Vec<Then>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for n in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                let then = scripts[n.min(scripts.len() - 1)].clone();
                tokio::spawn(play(socket, then, seen.clone()));
            }
        });
        Server { address, requests }
    }

    fn requests(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

async fn play(mut socket: TcpStream, then: Then, seen: mpsc::UnboundedSender<String>) {
    loop {
        let Some(request) = read_request(&mut socket).await else { return };
        let _ = seen.send(request);
        match &then {
            Then::Say(bytes) => {
                let _ = socket.write_all(bytes).await;
                return;
            }
            Then::SayAndStay(bytes) => {
                let _ = socket.write_all(bytes).await;
            }
            Then::SayAndHang(bytes) => {
                let _ = socket.write_all(bytes).await;
                std::future::pending::<()>().await;
            }
            Then::Reset => {
                socket.set_zero_linger().unwrap();
                return;
            }
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text.into_owned());
        }
    }
}

fn say(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

fn header(name: &str, value: &str, is_key: bool) -> Header {
    Header { name: name.to_owned(), value: Secret::new(value), is_key }
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint {
        provider: "test".into(),
        base_url: format!("http://{address}/v1"),
        auth: Auth::Bearer,
        key: Some(Secret::new(KEY)),
        key_name: None,
        headers: vec![header("x-extra", "yes", false), header("x-gateway-token", GATEWAY_KEY, true)],
        quirks: Quirks::default(),
        timeout: Duration::from_secs(60),
    }
}

fn call(body: &'static str) -> Call {
    Call {
        attempt: AttemptId(31),
        job: JobId::new("job_test000001"),
        route: Arc::new(Route {
            name: "test/m".into(),
            provider: "test".into(),
            account: "test".into(),
            model: "m".into(),
            lane: "realtime".into(),
            wires: vec![Wire::Chat],
            context: None,
            max_output: None,
            features: None,
            prices: None,
            hours: Calendar::always(),
            limits: Limits::default(),
            account_limits: Limits::default(),
            allowance: None,
            unusable: None,
            batch: None,
        }),
        item: Arc::new(Item {
            index: 0,
            custom_id: "r-1".into(),
            class: 0,
            wire: Wire::Chat,
            body: Body { json: Bytes::from_static(body.as_bytes()), model_at: None },
            input_tokens: 1,
            max_output: None,
            choices: 1,
            needs: Needs::default(),
            options: None,
        }),
        beside: None,
    }
}

fn provider(endpoint: Endpoint) -> HttpProvider {
    HttpProvider::new(endpoint, crate::provider::client::client().unwrap()).unwrap()
}

async fn outcome(then: Then) -> Outcome {
    let server = Server::start(vec![then]).await;
    provider(endpoint(&server.address)).call(&call(r#"{"messages":[]}"#)).await.outcome
}

#[tokio::test]
async fn a_request_goes_out_as_given_and_its_answer_comes_back() {
    let headers = "x-ratelimit-remaining-requests: 7\r\nx-request-id: req_1\r\n";
    let mut server = Server::start(vec![Then::Say(say("200 OK", headers, OK.as_bytes()))]).await;
    let ending = provider(endpoint(&server.address)).call(&call(r#"{"big":12345678901234567890}"#)).await;

    let Outcome::Answer(answer) = ending.outcome else { panic!("{:?}", ending.outcome) };
    assert_eq!((answer.text.as_str(), answer.finish), ("hi", Finish::Complete));
    assert_eq!(answer.request_id.as_deref(), Some("req_1"));
    assert_eq!(ending.hints.remaining_requests, Some(7));

    let request = server.requests().pop().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"model":"m","big":12345678901234567890}"#);
    let head = head.to_ascii_lowercase();
    for line in [
        "post /v1/chat/completions http/1.1",
        "content-type: application/json",
        "authorization: bearer sk-canary-0123456789",
        "x-client-request-id: att_00000000001f",
        "x-extra: yes",
        "accept-encoding: gzip",
    ] {
        assert!(head.lines().any(|had| had == line), "{line} is missing in\n{head}");
    }
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let outcome = provider(endpoint(&address)).call(&call("{}")).await.outcome;
    let Outcome::NotSent { message } = outcome else { panic!("{outcome:?}") };
    assert!(message.starts_with(&format!("no connection to {address}: ")), "{message}");
}

#[tokio::test]
async fn a_failed_tls_handshake_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await;
    });
    let mut endpoint = endpoint(&address);
    endpoint.base_url = format!("https://{address}/v1");
    let outcome = provider(endpoint).call(&call("{}")).await.outcome;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_breaks_after_sending_is_unknown() {
    let truncated = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choices\":".to_vec();
    let cut_chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"cho".to_vec();
    let gzip = gzipped(OK.as_bytes());
    let mut cut_gzip =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", gzip.len())
            .into_bytes();
    cut_gzip.extend_from_slice(&gzip[..gzip.len() / 2]);
    for (what, then, status) in [
        ("reset", Then::Reset, None),
        ("closed without a word", Then::Say(Vec::new()), None),
        ("half a head", Then::Say(b"HTTP/1.1 200 OK\r\ncont".to_vec()), None),
        ("not HTTP", Then::Say(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), None),
        ("cut body", Then::Say(truncated), Some(200)),
        ("cut chunk", Then::Say(cut_chunk), Some(200)),
        ("cut while compressed", Then::Say(cut_gzip), Some(200)),
    ] {
        match outcome(then).await {
            Outcome::Unknown { code, http_status, message } => {
                assert_eq!((code, http_status), (ErrorCode::Network, status), "{what}: {message}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn silence_ends_with_the_endpoints_timeout() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_vec();
    for (said, status) in [(Vec::new(), None), (half, Some(200))] {
        let server = Server::start(vec![Then::SayAndHang(said)]).await;
        let mut endpoint = endpoint(&server.address);
        endpoint.timeout = Duration::from_millis(100);
        match provider(endpoint).call(&call("{}")).await.outcome {
            Outcome::Unknown { code: ErrorCode::Timeout, http_status, message } => {
                assert_eq!(http_status, status);
                assert!(message.contains("100ms"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_holds_even_if_its_body_breaks_off() {
    let cut = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 500\r\n\r\n{".to_vec();
    let Outcome::Refused(refusal) = outcome(Then::Say(cut)).await else { panic!() };
    assert_eq!((refusal.kind, refusal.retry_after), (RefusalKind::Rate, Some(Duration::from_secs(3))));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays_home() {
    let mut elsewhere = Server::start(vec![Then::Say(say("200 OK", "", OK.as_bytes()))]).await;
    for (status, auth) in
        [("302 Found", Auth::Bearer), ("308 Permanent", Auth::Header("x-api-key".to_owned()))]
    {
        let location = format!("location: http://{}/v1/chat/completions\r\n", elsewhere.address);
        let mut server = Server::start(vec![Then::Say(say(status, &location, b""))]).await;
        let mut endpoint = endpoint(&server.address);
        endpoint.auth = auth;
        let outcome = provider(endpoint).call(&call("{}")).await.outcome;
        let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
        assert_eq!(refusal.kind, RefusalKind::ModelGone);
        assert!(refusal.message.contains(&elsewhere.address), "{}", refusal.message);
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_gzip_bomb_ends_at_the_limit() {
    let bomb = gzipped(&vec![b' '; MOST_BODY + 1]);
    assert!(bomb.len() < MOST_BODY / 500);
    let outcome = outcome(Then::Say(say("200 OK", "content-encoding: gzip\r\n", &bomb))).await;
    let Outcome::Garbage { message, body, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((message.as_str(), body.len()), ("the body is larger than 64 MiB", MOST_KEPT));
}

#[tokio::test]
async fn compressed_answers_are_read_and_broken_ones_are_garbage() {
    let good = say("200 OK", "content-encoding: gzip\r\n", &gzipped(OK.as_bytes()));
    assert!(matches!(outcome(Then::Say(good)).await, Outcome::Answer(answer) if answer.text == "hi"));
    let gzip = gzipped(OK.as_bytes());
    for bad in [b"not gzip at all".as_slice(), &gzip[..gzip.len() - 12]] {
        let bad = say("200 OK", "content-encoding: gzip\r\n", bad);
        let outcome = outcome(Then::Say(bad)).await;
        assert!(
            matches!(&outcome, Outcome::Garbage { message, .. } if message.contains("decompressed")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_is_echoed_is_scrubbed_everywhere() {
    for key in [KEY, GATEWAY_KEY] {
        is_scrubbed_everywhere(key).await;
    }
}

async fn is_scrubbed_everywhere(key: &str) {
    let refused = format!(r#"{{"error":{{"message":"bad key {key}","code":"invalid_api_key"}}}}"#);
    let Outcome::Refused(refusal) = outcome(Then::Say(say("401 No", "", refused.as_bytes()))).await else {
        panic!()
    };
    assert_eq!(refusal.message, "bad key [key]");
    assert!(!String::from_utf8_lossy(&refusal.body).contains(key));

    let answered = OK.replace("hi", &format!("you sent {key}"));
    let Outcome::Answer(answer) = outcome(Then::Say(say("200 OK", "", answered.as_bytes()))).await else {
        panic!()
    };
    assert_eq!(answer.text, "you sent [key]");
    assert!(!String::from_utf8_lossy(&answer.body).contains(key));

    let garbage = format!("<html>{key}");
    let seen = outcome(Then::Say(say("200 OK", "", garbage.as_bytes()))).await;
    assert!(matches!(seen, Outcome::Garbage { .. }) && !format!("{seen:?}").contains(key));

    let in_headers = format!("x-request-id: {key}\r\nlocation: https://elsewhere.example/{key}\r\n");
    for status in ["200 OK", "307 Go"] {
        let seen = outcome(Then::Say(say(status, &in_headers, OK.as_bytes()))).await;
        assert!(!format!("{seen:?}").contains(key), "{seen:?}");
    }
}

#[tokio::test]
async fn the_key_is_in_no_debug_output() {
    let shown = format!("{:?}", provider(endpoint("127.0.0.1:1")));
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn connections_are_kept_and_a_closed_one_never_doubles_a_request() {
    let ok = say("200 OK", "", OK.as_bytes());
    let mut server = Server::start(vec![Then::SayAndStay(ok.clone())]).await;
    let provider = provider(endpoint(&server.address));
    for _ in 0..3 {
        assert!(matches!(provider.call(&call("{}")).await.outcome, Outcome::Answer(_)));
    }
    assert_eq!(server.requests().len(), 3);

    // Closing right after the answer races with the next request on the same connection; whichever
    // way it goes, the server sees at most one request for each call.
    let mut server = Server::start(vec![Then::Say(ok)]).await;
    let provider = self::provider(endpoint(&server.address));
    let mut answered = 0;
    for _ in 0..50 {
        match provider.call(&call("{}")).await.outcome {
            Outcome::Answer(_) => answered += 1,
            Outcome::Unknown { .. } | Outcome::NotSent { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let seen = server.requests().len();
    assert!((answered..=50).contains(&seen), "{answered} answered, {seen} seen");
}

#[tokio::test]
async fn models_are_listed() {
    for (status, body, expected) in [
        ("200 OK", r#"{"data":[{"id":"a"},{"id":"b"}]}"#, Ok(vec!["a".to_owned(), "b".to_owned()])),
        ("200 OK", r#"[{"id":"a"}]"#, Ok(vec!["a".to_owned()])),
        (
            "401 No",
            r#"{"error":{"message":"bad key sk-canary-0123456789"}}"#,
            Err("HTTP 401: bad key [key]".to_owned()),
        ),
        ("200 OK", "<html>", Err("the list of models is not JSON".to_owned())),
    ] {
        let mut server = Server::start(vec![Then::Say(say(status, "", body.as_bytes()))]).await;
        assert_eq!(provider(endpoint(&server.address)).models().await, expected);
        assert!(server.requests()[0].starts_with("GET /v1/models HTTP/1.1"));
    }
}

#[tokio::test]
async fn an_unknown_provider_is_a_dead_route() {
    let ending = Providers::default().call(&call("{}")).await;
    assert!(matches!(ending.outcome, Outcome::Refused(refusal) if refusal.kind == RefusalKind::ModelGone));
}

#[test]
fn urls_keep_their_query_and_bad_ones_are_refused() {
    let url_of = |base: &str| {
        base_url(&Endpoint { base_url: base.to_owned(), ..endpoint("x") })
            .map(|url| below(&url, "/responses"))
    };
    assert_eq!(
        url_of("https://a/openai/?api-version=1").unwrap().as_str(),
        "https://a/openai/responses?api-version=1"
    );
    assert_eq!(url_of("https://a").unwrap().as_str(), "https://a/responses");
    for bad in ["a.com/v1", "ftp://a", "", "https://"] {
        assert!(url_of(bad).is_err_and(|error| error.contains("provider test: base_url")), "{bad}");
    }
}

#[test]
fn headers_that_cannot_be_sent_are_refused_without_the_key() {
    let client = crate::provider::client::client().unwrap();
    for endpoint in [
        Endpoint { key: Some(Secret::new("sk-a\nb")), ..endpoint("x") },
        Endpoint { headers: vec![header("a b", "", false)], ..endpoint("x") },
        Endpoint { auth: Auth::Header("a b".to_owned()), ..endpoint("x") },
    ] {
        let error = HttpProvider::new(endpoint, client.clone()).unwrap_err();
        assert!(error.starts_with("provider test: ") && !error.contains("sk-a"), "{error}");
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
