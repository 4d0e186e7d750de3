//! The one HTTP client all providers share: pooled connections, TLS, and what it must not do.
//!
//! It never sends a request twice. There are three places where it could, and each is settled here:
//!
//! - reqwest's retry layer, which resends after protocol refusals, is off (and with it the copy of
//!   every request it keeps);
//! - redirects, which re-post bodies and carry `x-api-key` headers to other hosts, are off;
//! - hyper-util's `retry_canceled_requests`, which reqwest leaves on, takes another connection when the
//!   pooled one turns out closed. It does so only when hyper hands the request back, which hyper does
//!   only while the request is still queued and none of it was encoded (`TrySendError::take_message`);
//!   from the first encoded byte on the error comes to us. So an item is written at most once.
//!
//! HTTP/2, where a server may refuse a stream after the fact, is not compiled in.
//!
//! Shell: reads the proxy variables of the environment, and the system's certificates.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, NoProxy, Proxy, redirect, retry};

/// From looking up the name to having a TLS connection; what fails in here was not sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Load balancers close idle connections after 60 s; closing first avoids sending into a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Idle connections kept for one host: as many as may have been in flight.
const MOST_IDLE: usize = 1_024;

/// Never reached through a proxy, whatever the environment says.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// A client for every provider; made once and cloned.
pub fn client() -> Result<Client, String> {
    // Fails only where a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || builder(|name| std::env::var(name).ok());
    builder()?
        .build()
        // Without any certificates on the machine there is still plain HTTP to a local server; TLS
        // connections then fail with a message about certificates, and nothing is sent.
        .or_else(|_| builder()?.tls_certs_only([]).build().map_err(|error| error.to_string()))
}

fn builder(env: impl Fn(&str) -> Option<String>) -> Result<ClientBuilder, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never().max_retries_per_request(0))
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MOST_IDLE)
        .tcp_nodelay(true)
        .gzip(true)
        .no_proxy();
    for proxy in proxies(env)? {
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

/// The proxies of the environment, with loopback taken out.
fn proxies(env: impl Fn(&str) -> Option<String>) -> Result<Vec<Proxy>, String> {
    let get = |name: &str| {
        let value = env(name).or_else(|| env(&name.to_ascii_uppercase()));
        value.filter(|value| !value.is_empty())
    };
    let exempt = match get("no_proxy") {
        Some(more) => format!("{LOOPBACK},{more}"),
        None => LOOPBACK.to_owned(),
    };
    let mut proxies = Vec::new();
    type Make = fn(String) -> reqwest::Result<Proxy>;
    let kinds: [(&str, Make); 3] =
        [("https_proxy", Proxy::https), ("http_proxy", Proxy::http), ("all_proxy", Proxy::all)];
    for (name, make) in kinds {
        if let Some(address) = get(name) {
            // The address may hold a password, so it is not shown.
            let proxy = make(address).map_err(|_| format!("the environment's {name} is not an address"))?;
            proxies.push(proxy.no_proxy(NoProxy::from_string(&exempt)));
        }
    }
    Ok(proxies)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn hello() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        });
        format!("http://{address}/")
    }

    #[tokio::test]
    async fn loopback_is_reached_without_the_proxy() {
        // Port 1 refuses, so a request that goes there fails.
        let env = |name: &str| (name == "HTTP_PROXY").then(|| "http://127.0.0.1:1".to_owned());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = builder(env).unwrap().tls_certs_only([]).build().unwrap();
        let text = client.get(hello().await).send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "hello");
        let elsewhere = client.get("http://192.0.2.1/").send().await;
        assert!(elsewhere.is_err_and(|error| error.is_connect()));
    }

    #[test]
    fn a_proxy_that_is_no_address_is_named_but_not_shown() {
        let env = |name: &str| (name == "https_proxy").then(|| "http://user:secret@[".to_owned());
        let error = proxies(env).unwrap_err();
        assert!(error.contains("https_proxy") && !error.contains("secret"), "{error}");
    }
}
