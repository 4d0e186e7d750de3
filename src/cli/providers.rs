//! `overnight providers [check]`: who can be sent to, and whether they answer.
//!
//! The list asks nobody but this machine, whether local servers run. `check` asks every provider there is
//! a way to reach for its list of models: free, and it proves address, key and connection. `smoke` tries
//! out what they can do.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::Url;

use super::args::{ProvidersArgs, ProvidersVerb};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::items::json;
use super::jobs::Jobs as _;
use super::session::Hold;
use super::zone::Here;
use crate::catalog::Catalog;
use crate::catalog::provider::Provider;
use crate::catalog::show::{self, ProviderRow, ProvidersShown};

mod check;
mod smoke;

/// On this machine a connection is there at once, or never.
const LOCAL_PATIENCE: Duration = Duration::from_millis(200);

/// Lists providers, and asks them where that is wanted.
pub fn run(args: &ProvidersArgs, context: &Context) -> Result<Exit, CliError> {
    let (catalog, now) = (&context.config()?.catalog, context.setting().now);
    let mut shown = show::providers(catalog, now);
    with_what_is_left(&mut shown, context);
    if let Some(ProvidersVerb::Check(args)) = &args.verb {
        return check::run(args, context, catalog, shown);
    }
    with_who_runs_here(catalog, &mut shown);
    match context.globals.json {
        true => context.print(&json(&shown)?)?,
        false => context.print(&shown.text(now, &Here))?,
    }
    Ok(Exit::Done)
}

/// Puts in what is left of what accounts give for nothing. A state folder that cannot be read is no reason
/// not to list providers: then it is what is given.
fn with_what_is_left(shown: &mut ProvidersShown, context: &Context) {
    let gives = |row: &ProviderRow| row.allowance.is_some();
    if !shown.providers.iter().any(gives) {
        return;
    }
    let Ok(views) = Hold::jobs(context).and_then(|mut jobs| jobs.allowances()) else { return };
    for view in views {
        if let Some(row) = shown.providers.iter_mut().find(|row| row.name == view.account) {
            row.allowance = Some(view);
        }
    }
}

/// Puts in which of the servers that may run on this machine do, and those that do not behind the others.
fn with_who_runs_here(catalog: &Catalog, shown: &mut ProvidersShown) {
    for row in &mut shown.providers {
        let address = catalog.provider(&row.name).and_then(here);
        let Some(address) = address else { continue };
        let runs = TcpStream::connect_timeout(&address, LOCAL_PATIENCE).is_ok();
        row.state = if runs { "running" } else { "not running" }.to_owned();
    }
    shown.providers.sort_by_key(|row| (row.hint.is_some(), row.state == "not running"));
}

/// Where on this machine a local provider would be.
fn here(provider: &Provider) -> Option<SocketAddr> {
    if !provider.local || provider.unusable().is_some() {
        return None;
    }
    let url = Url::parse(&provider.url()?).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let ip: IpAddr = host.parse().ok()?;
    ip.is_loopback().then_some(SocketAddr::new(ip, url.port_or_known_default()?))
}
