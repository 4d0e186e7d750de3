//! Another config while there is work.

use std::time::Duration;

use overnight::control::Client;

use super::{all_over, configure, night, night_with, prompts, stop, until};

#[test]
fn a_job_at_work_goes_on_under_the_new_config() {
    let (overnight, provider) = night_with(Duration::from_millis(300), "");
    overnight.write("in.jsonl", prompts("a", 40));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    assert_eq!(overnight.run("submit in.jsonl --max-cost $1").code, 0);
    until(&overnight, |views| views.iter().any(|view| view.counts.running > 0));

    // A mistake changes nothing.
    overnight.write("overnight.toml", "[defaults]\nmodles = 1\n");
    daemon.hang_up();
    let said = daemon.until("was not read again");
    assert!(said.contains("the old one stays in force"), "{said}");
    daemon.until("did you mean `models`?");

    // What can change does, what cannot is said, and nothing is lost.
    configure(
        &overnight,
        &provider,
        "[[watch]]\ndir = \"inbox\"\nsettle = \"1s\"\n[budget]\nday = \"$7\"\n[results]\nraw = false\n",
    );
    daemon.hang_up();
    let said = daemon.until("keeps its old value");
    assert!(said.contains("results"), "{said}");
    daemon.until("is in force");
    let mut client = Client::connect(overnight.path()).unwrap().unwrap();
    let budgets = client.budgets().unwrap();
    assert!(budgets.iter().any(|budget| budget.limit_usd == Some(7.0)), "{budgets:?}");
    std::fs::create_dir(overnight.path().join("inbox")).unwrap();
    overnight.write("inbox/b.jsonl", prompts("b", 2));
    let views = until(&overnight, |views| all_over(views, 2));
    assert_eq!(views.iter().map(|view| view.counts.succeeded).sum::<u32>(), 42);
    stop(daemon);
    assert_eq!(provider.summary().totals.billed_requests, 42);
}

#[test]
fn a_new_price_is_in_force_at_once() {
    let (overnight, _provider) = night("");
    overnight.write("in.jsonl", prompts("a", 3));
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    let cost = |n: usize, name: &str| {
        assert_eq!(overnight.run(&format!("submit in.jsonl --name {name}")).code, 0);
        let views = until(&overnight, |views| all_over(views, n));
        views.iter().find(|view| view.name == name).unwrap().cost_usd
    };
    let before = cost(1, "before");
    let config = std::fs::read_to_string(overnight.path().join("overnight.toml")).unwrap();
    overnight
        .write("overnight.toml", config.replace("input = 0.15, output = 0.60", "input = 150, output = 600"));
    let mut client = Client::connect(overnight.path()).unwrap().unwrap();
    client.reload().unwrap();
    let after = cost(2, "after");
    assert!(after > 500.0 * before, "{before} {after}");
    // What is asked for over the socket is told there, too.
    overnight.write("overnight.toml", "[defaults]\nwhen = \"now\"\n");
    let refused = client.reload().unwrap_err().to_string();
    assert!(refused.contains("1 problem"), "{refused}");
    stop(daemon);
}

#[test]
fn a_config_that_is_gone_is_no_reason_to_go_on_without_budgets() {
    let (overnight, _provider) = night("[budget]\nday = \"$3\"\n");
    let mut daemon = overnight.start("daemon");
    daemon.until("started");
    until(&overnight, |_| true);
    std::fs::remove_file(overnight.path().join("overnight.toml")).unwrap();
    daemon.hang_up();
    daemon.until("overnight.toml is gone");
    let mut client = Client::connect(overnight.path()).unwrap().unwrap();
    let refused = client.reload().unwrap_err().to_string();
    assert!(refused.contains("is gone"), "{refused}");
    let budgets = client.budgets().unwrap();
    assert!(budgets.iter().any(|budget| budget.limit_usd == Some(3.0)), "{budgets:?}");
    stop(daemon);
}
