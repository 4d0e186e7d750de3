//! What the README shows is what the binary prints, and its queries run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use regex::Regex;

use crate::judges;
use crate::support::{Overnight, Ran};

const README: &str = include_str!("../../README.md");

/// `overnight simulate`, as the README starts it but on a free port.
pub(crate) struct Simulator(Child, pub(crate) String);

impl Simulator {
    pub(crate) fn start() -> Simulator {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("overnight"));
        command.args(["simulate", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("listening on ").to_owned();
        Simulator(child, address)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_sample_of_the_readme_is_what_the_binary_prints() {
    let simulator = Simulator::start();
    let overnight = Overnight::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs"), &overnight.path().join("jobs"));
    let samples = samples();
    assert!(samples.len() >= 4, "the README shows {} commands", samples.len());
    for (command, shown) in samples {
        let line = command.replace('\'', "");
        let line =
            line.strip_prefix("overnight ").unwrap_or_else(|| panic!("not a command of ours: {command}"));
        let mut process = overnight.command(line);
        let ran = Ran::of(&process.env("OVERNIGHT_PROVIDERS__SIM__BASE_URL", &simulator.1).output().unwrap());
        assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        assert_eq!(steady(&ran.stdout), steady(&shown), "`{command}` prints\n{}", ran.stdout);
    }
    let queries: Vec<&str> = README.lines().filter_map(|line| line.strip_prefix("duckdb -c \"")).collect();
    assert!(!queries.is_empty());
    for query in queries {
        judges::query(overnight.path(), query.trim_end_matches('"'));
    }
}

/// The commands of all `console` blocks with what is shown below each.
fn samples() -> Vec<(String, String)> {
    let mut samples: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in README.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, _) => match (line.strip_prefix("$ "), samples.last_mut()) {
                (Some(command), _) => samples.push((command.to_owned(), String::new())),
                (None, Some((_, shown))) => shown.push_str(&format!("{line}\n")),
                (None, None) => panic!("a block that begins without a command: {line}"),
            },
            (false, _) => {}
        }
    }
    samples
}

/// Without what differs from run to run: names of jobs, times, how long things took, and the widths that follow.
fn steady(text: &str) -> String {
    let rules = [
        (r"job_\w+", "JOB"),
        (r"((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?\d\d:\d\d(:\d\d)? UTC", "TIME"),
        (r"\b\d+h\d\dm\b", "SPAN"),
        (r"\b\d+(\.\d+)?(ms|s|m)\b", "SPAN"),
        (r"prices of [0-9-]+", "prices of DATE"),
        (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
        (r"[ ]+", " "),
        (r" \n", "\n"),
    ];
    let mut text = text.trim().to_owned();
    for (pattern, word) in rules {
        text = Regex::new(pattern).unwrap().replace_all(&text, word).into_owned();
    }
    text
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
