//! Telling another program: one JSON document a message, signed as Standard Webhooks asks.
//!
//! The receiver knows a message by `webhook-id` (the same for every try), its age by `webhook-timestamp`,
//! and us by `webhook-signature`, an HMAC over both and the body. Nothing of a prompt or an answer is in
//! it. Redirects are not followed and no proxy is used.
//!
//! Every document has OpenAI's envelope, so what unwraps theirs unwraps ours:
//!
//! ```json
//! {"id":"evt_…","object":"event","created_at":1795305600,"type":"batch.completed","data":{"id":"batch_…"}}
//! ```
//!
//! The address comes from the config. One written as a number, or `localhost`, is meant as it stands; a
//! name must not lead to a loopback, private or link-local address, whatever its DNS says, because
//! whoever controls that name could else make us talk to the inside of this network.
//!
//! Shell.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, StatusCode, Url, redirect, retry};
use ring::hmac;
use serde::Serialize;

use crate::catalog::endpoint::Secret;
use crate::clock::{self, Timestamp};

/// One try, from looking up the name to having the answer's head.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before each further try.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// One receiver.
#[derive(Clone, Debug)]
pub struct Webhook {
    url: Url,
    key: Option<hmac::Key>,
    client: Client,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name, the same whenever the same thing is told again.
    pub id: String,
    /// The document.
    pub body: String,
}

impl Message {
    /// That something of this kind happened; `data` is what there is to say of it.
    pub fn new(id: String, kind: &str, happened_at: Timestamp, data: &impl Serialize) -> Message {
        let created_at = happened_at.micros().div_euclid(1_000_000);
        let document = Document { id: &id, object: "event", created_at, r#type: kind, data };
        let body = serde_json::to_string(&document).expect("names and numbers are always JSON");
        Message { id, body }
    }
}

/// What is posted; its field names are part of the interface.
#[derive(Serialize)]
struct Document<'a, T> {
    id: &'a str,
    object: &'static str,
    /// Seconds since 1970.
    created_at: i64,
    r#type: &'a str,
    data: &'a T,
}

impl Webhook {
    /// The receiver at an address, which shares a secret with us or takes messages unsigned.
    pub fn new(url: &str, secret: Option<&Secret>) -> Result<Webhook, String> {
        check_address(url)?;
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .retry(retry::never().max_retries_per_request(0))
                .referer(false)
                .no_proxy()
                .timeout(TIMEOUT)
                .dns_resolver(std::sync::Arc::new(PublicNames))
        };
        // As for providers: without certificates on the machine, plain HTTP still works.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        Ok(Webhook {
            url: Url::parse(url).map_err(|error| error.to_string())?,
            key: secret.map(key).transpose()?,
            client: client.map_err(|error| error.to_string())?,
        })
    }

    /// Posts a message until it is taken, refused for good, or the tries are used up.
    pub async fn deliver(&self, message: &Message) -> Result<(), String> {
        let mut pauses = PAUSES.iter();
        loop {
            let why = match self.post(message).await {
                Ok(()) => return Ok(()),
                Err(Trouble::ForGood(why)) => return Err(why),
                Err(Trouble::ForNow(why)) => why,
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(why),
            }
        }
    }

    async fn post(&self, message: &Message) -> Result<(), Trouble> {
        let mut request = self.client.post(self.url.clone()).header("content-type", "application/json");
        for (name, value) in headers(self.key.as_ref(), message, clock::now()) {
            request = request.header(name, value);
        }
        let answer = request.body(message.body.clone()).send().await;
        let status = answer.map_err(|error| Trouble::ForNow(root_cause(&error)))?.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("it answered {status}");
        let passes = status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        Err(if passes { Trouble::ForNow(why) } else { Trouble::ForGood(why) })
    }
}

enum Trouble {
    ForNow(String),
    ForGood(String),
}

/// The headers of one try.
fn headers(key: Option<&hmac::Key>, message: &Message, now: Timestamp) -> Vec<(&'static str, String)> {
    let seconds = now.micros().div_euclid(1_000_000).to_string();
    let signature = key.map(|key| {
        let signed = format!("{}.{seconds}.{}", message.id, message.body);
        format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes())))
    });
    let mut headers = vec![("webhook-id", message.id.clone()), ("webhook-timestamp", seconds)];
    headers.extend(signature.map(|signature| ("webhook-signature", signature)));
    headers
}

/// Whether alerts may be posted there: HTTPS, or plain HTTP to a loopback or private number.
pub fn check_address(url: &str) -> Result<(), String> {
    let wrong = || "is not an address like \"https://example.org/hooks/overnight\"".to_owned();
    let url = Url::parse(url).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a password; messages are signed with webhook_secret instead".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if number(host).map_or(host == "localhost", is_inside) => Ok(()),
        "http" => Err("must begin with https://, unless it is a loopback or private address".to_owned()),
        _ => Err(wrong()),
    }
}

/// Whether a secret can be used: `whsec_` and base64, or any other text as it is.
pub fn check_secret(secret: &Secret) -> Result<(), String> {
    key(secret).map(drop)
}

fn key(secret: &Secret) -> Result<hmac::Key, String> {
    let bytes = match secret.expose().strip_prefix("whsec_") {
        Some(encoded) => {
            STANDARD.decode(encoded).map_err(|_| "what follows whsec_ is not base64".to_owned())?
        }
        None => secret.expose().as_bytes().to_vec(),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The host as an IP address, with or without brackets.
fn number(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Loopback, private, link-local (cloud metadata too), or no address of a single machine at all.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || is_local_v6(v6),
    }
}

fn is_local_v6(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

/// Looks names up and hides every address inside this network; `localhost` is meant as written.
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed = |address: &SocketAddr| host == "localhost" || !is_inside(address.ip());
            let addresses: Vec<SocketAddr> = found.into_iter().filter(allowed).collect();
            if addresses.is_empty() {
                return Err(format!("{host} leads to a private address; write the number itself").into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The last of a chain of errors: the others repeat it, or name the address.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_as_standard_webhooks_has_it() {
        // The example of the specification's reference libraries.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let message = Message {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            body: r#"{"test": 2432232314}"#.to_owned(),
        };
        let at = Timestamp::from_micros(1_614_265_330_000_000);
        let headers = headers(Some(&key(&secret).unwrap()), &message, at);
        assert_eq!(headers[0].1, "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers[1], ("webhook-timestamp", "1614265330".to_owned()));
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn plain_http_goes_to_numbers_inside_only() {
        for (url, allowed) in [
            ("https://example.org/hook", true),
            ("https://10.0.0.5/hook", true),
            ("http://127.0.0.1:9000/", true),
            ("http://[::1]:9000/", true),
            ("http://localhost:9000/", true),
            ("http://10.1.2.3/", true),
            ("http://8.8.8.8/", false),
            ("http://example.org/", false),
            ("ftp://example.org/", false),
            ("https://user:secret@example.org/", false),
            ("example.org", false),
        ] {
            let checked = check_address(url);
            assert_eq!(checked.is_ok(), allowed, "{url} {checked:?}");
            assert!(!checked.is_err_and(|error| error.contains("secret@")));
        }
    }

    #[test]
    fn addresses_inside_a_network_are_known() {
        for inside in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fc00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "100.128.0.1", "2606:4700::1111"] {
            assert!(!is_inside(outside.parse().unwrap()), "{outside}");
        }
    }
}
