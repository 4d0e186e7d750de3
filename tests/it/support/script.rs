//! A provider that answers exactly the bytes a test wrote, and keeps every request as it came.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// One request, byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What is said to a request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// These bytes, status line and all; then the connection is closed.
    Raw(Vec<u8>),
    /// Nothing, and the connection is closed.
    HangUp,
    /// Nothing, for as long as the client waits.
    Silence,
}

impl Say {
    /// A whole response with a JSON body.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Say {
        Say::with(status, "content-type: application/json", body)
    }

    /// A whole response with these headers; a line each.
    pub(crate) fn with(status: u16, headers: &str, body: impl Into<Vec<u8>>) -> Say {
        let body = body.into();
        Say::cut(status, headers, body.len(), body)
    }

    /// A response that promises `length` bytes.
    pub(crate) fn cut(status: u16, headers: &str, length: usize, body: impl Into<Vec<u8>>) -> Say {
        let head = format!(
            "HTTP/1.1 {status} Said\r\n{headers}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        Say::Raw([head.into_bytes(), body.into()].concat())
    }

    /// An answer of this text, complete, with a bill of ten tokens in and five out.
    pub(crate) fn answer(text: &str) -> Say {
        Say::json(200, chat(&serde_json::Value::from(text).to_string(), "stop", USAGE))
    }
}

/// What [`Say::answer`] bills.
pub(crate) const USAGE: &str = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#;

/// A chat completion of these pieces of JSON.
pub(crate) fn chat(content: &str, finish: &str, usage: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","model":"small","choices":[{{"index":0,"message":{{"role":"assistant","content":{content}}},"finish_reason":"{finish}"}}],"usage":{usage}}}"#
    )
}

type Answerer = Box<dyn FnMut(usize, &Heard) -> Say + Send>;

/// The provider; it is gone when this is dropped.
pub(crate) struct Script {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    gone: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Script {
    /// `answer` is asked what to say to the n-th request, from 0.
    pub(crate) fn start(answer: impl FnMut(usize, &Heard) -> Say + Send + 'static) -> Script {
        Script::start_at(0, answer)
    }

    /// The same thing to every request.
    pub(crate) fn always(say: Say) -> Script {
        Script::start(move |_, _| say.clone())
    }

    /// At a port that is known already.
    pub(crate) fn start_at(port: u16, answer: impl FnMut(usize, &Heard) -> Say + Send + 'static) -> Script {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let gone = Arc::new(AtomicBool::new(false));
        let answer: Arc<Mutex<Answerer>> = Arc::new(Mutex::new(Box::new(answer)));
        let (kept, ends) = (heard.clone(), gone.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &kept, &answer));
            }
        });
        Script { address, heard, gone, thread: Some(thread) }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far, in the order of their arrival.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        // Wakes the accept.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// One request a connection: each response says that it closes.
fn serve(mut stream: TcpStream, heard: &Mutex<Vec<Heard>>, answer: &Mutex<Answerer>) {
    let Some(request) = read(&mut stream) else { return };
    let n = {
        let mut heard = heard.lock().unwrap();
        heard.push(request.clone());
        heard.len() - 1
    };
    let say = (answer.lock().unwrap())(n, &request);
    match say {
        // A client may leave before all is said, as it does where there is too much.
        Say::Raw(bytes) => {
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            wait_for_end(&mut stream);
        }
        Say::HangUp => {}
        Say::Silence => wait_for_end(&mut stream),
    }
}

fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest), Ok(1..)) {}
}

/// `None` where nothing came: a connection that was opened and not used.
fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            let mut body = bytes.split_off(end + 4);
            while body.len() < length {
                let n = stream.read(&mut chunk).ok().filter(|&n| n > 0)?;
                body.extend_from_slice(&chunk[..n]);
            }
            return Some(Heard { head, body });
        }
        let n = stream.read(&mut chunk).ok().filter(|&n| n > 0)?;
        bytes.extend_from_slice(&chunk[..n]);
    }
}
