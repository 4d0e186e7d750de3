//! The readers that users will have: DuckDB, Polars and pyarrow, in a Python that `tests/run` installs.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A Python process that has them loaded and looks at folders when asked.
pub(crate) struct Judges {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Judges {
    pub(crate) fn start() -> Judges {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("OVERNIGHT_TEST_PYTHON is a Python that can be started");
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Judges { child, questions, answers }
    }

    /// Every file of a results folder is read by all three, which agree on what is there, and no row is
    /// there twice: what they counted, by table.
    pub(crate) fn look(&mut self, results: &Path) -> Seen {
        writeln!(self.questions.as_mut().unwrap(), "{}", results.display()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert_eq!(answer["ok"], true, "{}", answer["why"].as_str().unwrap_or_default());
        let rows = |table: &str| answer[table]["rows"].as_u64().unwrap_or(0);
        let cost = answer["attempts"]["cost_nano_usd"].as_i64().unwrap_or(0);
        Seen { results: rows("results"), attempts: rows("attempts"), attempts_cost_nano: cost }
    }
}

impl Drop for Judges {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

/// What the three agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) results: u64,
    pub(crate) attempts: u64,
    pub(crate) attempts_cost_nano: i64,
}

pub(crate) fn python() -> PathBuf {
    std::env::var_os("OVERNIGHT_TEST_PYTHON").map(PathBuf::from).expect(
        "this test needs packages for Python that are not part of it: run tests/run, which installs them and \
         sets OVERNIGHT_TEST_PYTHON",
    )
}

/// What a DuckDB query in a folder gives, row by row.
pub(crate) fn rows(folder: &Path, sql: &str) -> Vec<Vec<Value>> {
    let program = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall()))";
    let ran = Command::new(python()).args(["-c", program, sql]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// Runs a DuckDB query in a folder; it must give at least one row.
pub(crate) fn query(folder: &Path, sql: &str) {
    let program = "import duckdb, sys; rows = duckdb.sql(sys.argv[1]).fetchall(); assert rows, 'no rows'";
    let ran = Command::new(python()).args(["-c", program, sql]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
}
