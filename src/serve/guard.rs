//! Who is let in: decided from a request's head alone, before anything of it is parsed or looked up.
//!
//! | in order | against |
//! |---|---|
//! | the Host is one of ours | pages of others whose name was made to lead here (DNS rebinding) |
//! | a browser says the request is from our own page | pages of others that post here |
//! | the token is one that was made | everybody else |
//!
//! Only the Authorization header carries a token: never a cookie, which browsers send by themselves,
//! nor the URL, which is logged.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};

use super::app::App;
use super::dashboard;
use super::error::ApiError;
use crate::tenant::Caller;

/// Paths that say only whether we are well, and the page, which knows nothing until it is given a token.
fn is_open(path: &str) -> bool {
    ["/healthz", "/readyz"].contains(&path) || dashboard::is_page(path)
}

/// Whether a request is let in, and whose it is.
pub(super) fn admit(app: &App, parts: &Parts) -> Result<Caller, ApiError> {
    check_host(app, parts)?;
    check_site(parts)?;
    if is_open(parts.uri.path()) {
        return Ok(Caller::Operator);
    }
    app.tokens().caller(bearer(&parts.headers)).ok_or_else(|| {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "send a token: `Authorization: Bearer on_…` (make one: overnight token create NAME)",
        )
        .code("invalid_api_key")
    })
}

/// The hosts we answer for: on loopback only loopback names; else also numbers, which no other page can
/// have, and the names that the config lists.
fn check_host(app: &App, parts: &Parts) -> Result<(), ApiError> {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = named.or(parts.uri.authority().map(Authority::as_str)).and_then(host_of);
    let is_ours = |host: &str| {
        let number = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let is_loopback = host == "localhost" || number.is_some_and(|number| number.is_loopback());
        let is_reached_by_number = number.is_some() && !app.address().ip().is_loopback();
        is_loopback || is_reached_by_number || app.config().daemon.hosts.iter().any(|ours| ours == host)
    };
    match host {
        Some(host) if is_ours(&host) => Ok(()),
        _ => Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host header names no host of ours; the config lists them: [daemon] hosts",
        )
        .code("wrong_host")),
    }
}

/// The host of `host:port`, in lower case.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    Some(authority.host().to_ascii_lowercase())
}

/// A browser says where a request comes from; only our own pages may make any, and anyone may follow a
/// link to a page.
fn check_site(parts: &Parts) -> Result<(), ApiError> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let follows_link = parts.method == Method::GET
        && header("sec-fetch-mode") == Some("navigate")
        && !["/v1/", "/api/"].iter().any(|api| parts.uri.path().starts_with(api));
    let from_elsewhere = matches!(header("sec-fetch-site"), Some("cross-site" | "same-site"));
    let origin_differs = parts.headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        origin.is_none() || origin != header("host")
    });
    match (from_elsewhere || origin_differs) && !follows_link {
        true => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "pages of other sites may not use this")
                .code("cross_site"))
        }
        false => Ok(()),
    }
}

/// The token that a request shows, or nothing.
fn bearer(headers: &HeaderMap) -> &str {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        shown.and_then(|shown| shown.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    token.map_or("", |(_, token)| token.trim())
}
