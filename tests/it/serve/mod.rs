//! The HTTP API of the daemon: the real binary, a simulated provider, plain requests.

use std::time::Duration;

use overnight::money::Price;
use overnight::provider::simulated::{Config, Model};
use overnight::simulate::{self, Handle};

use crate::support::Overnight;
use crate::support::running::Running;

/// From a file to answers.
pub(crate) mod batches;
/// The dashboard in a browser.
mod dashboard;
/// Uploads and downloads.
pub(crate) mod files;
/// Hosts, sites, tokens, sizes and slowness: who is let in.
mod guard;
/// Requests, byte for byte where it matters.
pub(crate) mod http;
/// Ladders by their names.
mod ladders;
/// Metrics, and another config.
mod monitor;
/// Jobs as the commands show them, over HTTP.
mod native;

/// The `curl` lines.
mod readme;
/// The SDKs of others.
mod sdk;
/// Requests that wait for their answers.
mod sync;
/// Who sees what.
mod tenants;

use http::{Answer, Api};

/// A daemon that serves, and the provider it asks.
pub(crate) struct Daemon {
    pub(crate) overnight: Overnight,
    pub(crate) provider: Handle,
    pub(crate) running: Running,
    pub(crate) api: Api,
}

impl Daemon {
    /// With models that answer everything at once.
    pub(crate) fn start() -> Daemon {
        Daemon::with(provider(Duration::ZERO), "")
    }

    /// With this provider, and more of a config.
    pub(crate) fn with(provider: Config, config: &str) -> Daemon {
        let provider = simulate::spawn(provider).unwrap();
        let overnight = Overnight::configured(&format!("{}{config}", common(&provider.base_url())));
        Daemon::over(overnight, provider)
    }

    /// In a folder that is there.
    pub(crate) fn over(overnight: Overnight, provider: Handle) -> Daemon {
        let (running, api) = serving(&overnight, "");
        Daemon { overnight, provider, running, api }
    }

    /// Stops it as a service manager does, and starts it again over the same folder.
    pub(crate) fn again(self) -> Daemon {
        let Daemon { overnight, provider, running, .. } = self;
        running.terminate();
        assert_eq!(running.end().code, 0);
        Daemon::over(overnight, provider)
    }

    /// Makes a token and goes on as who has it.
    pub(crate) fn token(&self, line: &str) -> Api {
        let ran = self.overnight.run(&format!("token create {line}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        self.api.with_token(ran.stdout.trim())
    }
}

/// Starts the daemon and waits until it serves.
pub(crate) fn serving(overnight: &Overnight, flags: &str) -> (Running, Api) {
    let mut running = overnight.start(&format!("daemon {flags}"));
    let line = running.until("listening on http://");
    let address = line.trim().rsplit("http://").next().unwrap();
    (running, Api::new(address.parse().unwrap()))
}

/// A model for answers and one for vectors.
pub(crate) fn provider(latency: Duration) -> Config {
    let price = Price { input: 150_000, output: 600_000, ..Price::default() };
    let model = |name: &str| Model { latency, ..Model::new(name, price) };
    Config { models: vec![model("sim/small"), model("sim/large")], ..Config::default() }
}

fn common(base_url: &str) -> String {
    format!(
        r#"
[defaults]
models = ["sim/small"]
[providers.sim]
kind = "openai"
base_url = "{base_url}"
[models."sim/small"]
price = {{ input = 0.15, output = 0.60 }}
max_output = 4096
[models."sim/large"]
price = {{ input = 3, output = 15 }}
max_output = 4096
"#
    )
}

/// An error object of OpenAI's form, with this status and code.
#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{answer:?}");
    for field in ["message", "type"] {
        assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    }
    assert!(error.as_object().unwrap().contains_key("param"), "{answer:?}");
    assert!(answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")), "{answer:?}");
}

#[test]
fn it_is_alive_ready_and_lists_models() {
    let daemon = Daemon::start();
    assert_eq!(daemon.api.get("/healthz").status, 200);
    assert_eq!(daemon.api.get("/readyz").status, 200);
    let models = daemon.api.get("/v1/models");
    assert_eq!(models.status, 200);
    let ids: Vec<String> = models.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids[0], "auto");
    assert!(ids.contains(&"sim/small".to_owned()), "{ids:?}");
    assert_eq!(daemon.api.get("/v1/models/sim/small").json()["id"], "sim/small");
    let none = daemon.api.get("/v1/models/sim/none");
    refused(&none, 404, "not_found");
    assert!(none.text().contains("there are auto, "), "{none:?}");
    refused(&daemon.api.get("/v1/nothing"), 404, "not_found");
    assert_eq!(daemon.api.request("PUT", "/v1/models", &[], b"").status, 405);
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let overnight = Overnight::new();
    let ran = overnight.run(&format!("daemon --listen {}", taken.local_addr().unwrap()));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("cannot listen on 127.0.0.1:") && ran.stderr.contains("--listen"), "{ran:?}");
}

#[test]
fn an_address_others_can_reach_is_refused_without_token_and_tls() {
    let overnight = Overnight::new();
    let ran = overnight.run("daemon --listen 0.0.0.0:0");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("OVERNIGHT_TOKEN"), "{ran:?}");
    overnight.write("overnight.toml", "[daemon]\ntoken = \"env:OVERNIGHT_TOKEN\"\n");
    let mut command = overnight.command("daemon --listen 0.0.0.0:0");
    let ran = crate::support::Ran::of(&command.env("OVERNIGHT_TOKEN", "t0k3n-0123456789").output().unwrap());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("behind_proxy"), "{ran:?}");
}
