//! What a monitor reads, and a config that is read again.

use serde_json::json;

use super::batches::{create, lines, until};
use super::files::uploaded;
use super::{Daemon, refused};

#[test]
fn metrics_count_what_was_done_and_are_the_operators() {
    let mut daemon = Daemon::start();
    let file = uploaded(&daemon.api, &lines(3));
    until(&daemon.api, &create(&daemon.api, &file, &json!({})), &["completed"]);
    let answer = daemon.api.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let finished = answer
        .text()
        .lines()
        .find(|line| line.starts_with("overnight_items_finished_total{") && line.contains("succeeded"));
    assert!(finished.is_some_and(|line| line.ends_with(" 3")), "{}", answer.text());
    let (tenant, operator) = (daemon.token("acme"), daemon.token("--operator"));
    refused(&tenant.get("/metrics"), 404, "not_found");
    assert_eq!(operator.get("/metrics").status, 200);
    daemon.api = operator;
}

#[test]
fn a_config_that_is_read_again_reaches_the_api() {
    let mut daemon = Daemon::start();
    let ids = |daemon: &Daemon| daemon.api.get("/v1/models").json()["data"].to_string();
    assert!(!ids(&daemon).contains("sim/later"));
    let config = daemon.overnight.path().join("overnight.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let more = "\n[models.\"sim/later\"]\nprice = { input = 1, output = 1 }\n";
    std::fs::write(&config, format!("{text}{more}")).unwrap();
    daemon.running.hang_up();
    daemon.running.until("the config was read again");
    while !ids(&daemon).contains("sim/later") {
        std::thread::yield_now();
    }
}
