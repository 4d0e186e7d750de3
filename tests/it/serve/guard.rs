//! Who is let in: hosts, sites, tokens; limits of size and patience.

use super::http::Answer;
use super::{Daemon, refused};

/// A request for the models with these headers and nothing else.
fn asked(daemon: &Daemon, headers: &[&str]) -> Answer {
    let mut head = "GET /v1/models HTTP/1.1\r\nconnection: close\r\n".to_owned();
    headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    daemon.api.raw(format!("{head}\r\n").as_bytes()).unwrap()
}

#[test]
fn only_loopback_names_are_hosts() {
    let daemon =
        Daemon::with(super::provider(std::time::Duration::ZERO), "[daemon]\nhosts = [\"box.lan\"]\n");
    let port = daemon.api.address.port();
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "LOCALHOST",
        "box.lan",
        &format!("localhost:{port}"),
        "localhost:9999",
    ] {
        assert_eq!(asked(&daemon, &[&format!("host: {host}")]).status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "evil.example:8787",
        "",
    ] {
        refused(&asked(&daemon, &[&format!("host: {host}")]), 421, "wrong_host");
    }
    assert_eq!(asked(&daemon, &[]).status, 421);
}

#[test]
fn pages_of_others_get_nothing() {
    let daemon = Daemon::start();
    let own = format!("origin: http://{}", daemon.api.address);
    let post = |headers: &[&str]| daemon.api.request("POST", "/v1/batches", headers, b"{}");
    for headers in [
        &["origin: https://evil.example"][..],
        &["origin: null"],
        &["sec-fetch-site: cross-site"],
        &["sec-fetch-site: same-site"],
        // A link may be followed to a page, not into the API.
        &["sec-fetch-site: cross-site", "sec-fetch-mode: navigate"],
    ] {
        refused(&post(headers), 403, "cross_site");
        refused(&daemon.api.request("GET", "/v1/models", headers, b""), 403, "cross_site");
    }
    for headers in [&[own.as_str(), "sec-fetch-site: same-origin"][..], &["sec-fetch-site: none"]] {
        let answer = daemon.api.request("GET", "/v1/models", headers, b"");
        assert_eq!(answer.status, 200, "{headers:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn from_the_first_token_on_every_request_needs_one() {
    let daemon = Daemon::start();
    assert_eq!(daemon.api.get("/v1/models").status, 200);
    let acme = daemon.token("acme");
    assert_eq!(acme.get("/v1/models").status, 200);
    let host = format!("host: {}", daemon.api.address);
    refused(&asked(&daemon, &[&host]), 401, "invalid_api_key");
    for header in [
        "authorization: Bearer any".to_owned(),
        "authorization: Bearer ".to_owned(),
        format!("authorization: Basic {}", acme.token),
        format!("authorization: Bearer {}0", acme.token),
        format!("cookie: token={}", acme.token),
        format!("x-api-key: {}", acme.token),
    ] {
        refused(&asked(&daemon, &[&host, &header]), 401, "invalid_api_key");
    }
    refused(
        &daemon.api.with_token("").get(&format!("/v1/models?token={}", acme.token)),
        401,
        "invalid_api_key",
    );
    for open in ["/healthz", "/readyz"] {
        assert_eq!(daemon.api.get(open).status, 200);
    }
    let ran = daemon.overnight.run("token revoke acme");
    assert_eq!(ran.code, 0, "{ran:?}");
    refused(&acme.get("/v1/models"), 401, "invalid_api_key");
}

#[test]
fn of_a_token_only_the_hash_is_kept() {
    let daemon = Daemon::start();
    let acme = daemon.token("acme --tag team=search --model sim/small");
    assert_eq!(
        acme.get("/v1/models").json()["data"].as_array().unwrap().len(),
        2,
        "auto and what is allowed"
    );
    assert!(crate::support::folder::holding(daemon.overnight.path(), acme.token.as_bytes()).is_empty());
    let listed = daemon.overnight.run("token list");
    assert!(listed.stdout.contains("acme") && listed.stdout.contains("team=search"), "{listed:?}");
    let mode = std::fs::metadata(daemon.overnight.path().join("tokens.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    assert_eq!(daemon.overnight.run("token create Not-A-Name").code, 2);
    assert_eq!(daemon.overnight.run("token revoke nobody").code, 9);
}

#[test]
fn the_token_of_the_config_is_the_operators() {
    let overnight = crate::support::Overnight::new();
    let path = overnight.write("token", "t0k3n-0123456789\n");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    overnight.write("overnight.toml", format!("[daemon]\ntoken = \"file:{}\"\n", path.display()));
    let (_running, api) = super::serving(&overnight, "");
    refused(&api.get("/v1/models"), 401, "invalid_api_key");
    assert_eq!(api.with_token("t0k3n-0123456789").get("/v1/models").status, 200);
}

#[test]
fn headers_that_are_too_large_are_refused() {
    let daemon = Daemon::start();
    let answer =
        daemon.api.request("GET", "/v1/models", &[&format!("x-filler: {}", "a".repeat(400_000))], b"");
    assert_eq!(answer.status, 431, "{answer:?}");
}

#[test]
fn without_a_token_nothing_is_read_or_kept() {
    let daemon = Daemon::start();
    daemon.token("acme");
    // Announced, and never sent: who waits for it hangs here.
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer wrong\r\ncontent-type: multipart/form-data; \
         boundary=XX\r\ncontent-length: 1000000\r\n\r\n",
        daemon.api.address
    );
    refused(&daemon.api.raw(head.as_bytes()).unwrap(), 401, "invalid_api_key");
    assert!(crate::support::folder::files(&daemon.overnight.path().join("files")).is_empty());
}

#[test]
fn a_body_that_is_no_file_has_a_limit() {
    let daemon = Daemon::start();
    let body = format!("{{\"input_file_id\":\"{}\"}}", "a".repeat(17 << 20));
    let answer =
        daemon.api.request("POST", "/v1/batches", &["content-type: application/json"], body.as_bytes());
    refused(&answer, 413, "too_large");
}

#[test]
fn tokens_and_prompts_are_in_no_log() {
    let overnight = crate::support::Overnight::new();
    // To a file, because so much is said that a pipe would be full.
    let mut daemon = overnight.spawn("daemon -vv", "log");
    let said = || std::fs::read_to_string(overnight.path().join("log")).unwrap();
    while !said().contains("listening on http://") {}
    let address =
        said().split("listening on http://").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let api = super::http::Api::new(address);
    let made = overnight.run("token create acme");
    let acme = api.with_token(made.stdout.trim());
    let lines = b"{\"custom_id\":\"a\",\"prompt\":\"canary-in-a-prompt\"}\nno json, canary-in-a-prompt\n";
    let batch = super::batches::create(&acme, &super::files::uploaded(&acme, lines), &serde_json::json!({}));
    super::batches::until(&acme, &batch, &["failed"]);
    acme.get(&format!("/v1/models?token={}", acme.token));
    api.with_token("wrong-canary-token").get("/v1/models");
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon), rustix::process::Signal::TERM)
        .unwrap();
    assert!(daemon.wait().unwrap().success());
    let said = said();
    assert!(said.contains("/v1/models"), "it logs requests: {said}");
    for secret in [acme.token.as_str(), "wrong-canary-token", "canary-in-a-prompt"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}
