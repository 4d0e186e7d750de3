//! Files that a test puts into the folder of an [`Overnight`], and those that the binary leaves there.

use std::fs;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use super::{Overnight, Ran};

/// The usual config: one provider `box` with one model, no key, small numbers.
pub(crate) fn config(base_url: &str) -> String {
    format!(
        r#"
[defaults]
models = ["box/small"]
[providers.box]
base_url = "{base_url}"
auth = "none"
timeout = "20s"
[models."box/small"]
price = {{ input = 1, output = 2 }}
context = 1_000_000
max_output = 1_000
"#
    )
}

impl Overnight {
    /// In a folder whose config asks `base_url`.
    pub(crate) fn asking(base_url: &str) -> Overnight {
        Overnight::configured(&config(base_url))
    }

    /// In a folder with this config.
    pub(crate) fn configured(config: &str) -> Overnight {
        let overnight = Overnight::new();
        overnight.write("overnight.toml", config);
        overnight
    }

    /// Puts a file into the folder.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes `in.jsonl` and submits it with these flags.
    pub(crate) fn submit(&self, bytes: impl AsRef<[u8]>, flags: &str) -> Ran {
        self.write("in.jsonl", bytes);
        self.run(&format!("submit in.jsonl {flags}"))
    }

    /// Writes `in.jsonl` and runs it with these flags.
    pub(crate) fn work(&self, bytes: impl AsRef<[u8]>, flags: &str) -> Ran {
        self.write("in.jsonl", bytes);
        self.run(&format!("run in.jsonl {flags}"))
    }

    /// The jobs there are.
    pub(crate) fn jobs(&self) -> Vec<Value> {
        let ran = self.run("status --json");
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()["jobs"].as_array().unwrap().clone()
    }

    /// The only job there is.
    pub(crate) fn job(&self) -> Value {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs[0].clone()
    }

    /// What it is called.
    pub(crate) fn job_id(&self) -> String {
        self.job()["job_id"].as_str().unwrap().to_owned()
    }

    /// Every row of the Parquet parts of `results` or `attempts`, by item, then attempt.
    pub(crate) fn rows(&self, table: &str) -> Vec<Value> {
        let mut rows: Vec<Value> = files(&self.path().join("overnight-results").join(table))
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
            .flat_map(|path| parquet_rows(path))
            .collect();
        rows.sort_by_key(|row| (row["item_index"].as_i64(), row["attempt"].as_i64()));
        rows
    }

    /// The only result there is.
    pub(crate) fn result(&self) -> Value {
        let mut rows = self.rows("results");
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }
}

/// The rows of one file, as JSON objects.
pub(crate) fn parquet_rows(path: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_json_value()).collect()
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Whether a file below the folder holds these bytes; those that do.
pub(crate) fn holding(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let finder = memchr::memmem::Finder::new(bytes);
    // Sockets cannot be read, and hold nothing.
    let holds = |path: &PathBuf| fs::read(path).is_ok_and(|found| finder.find(&found).is_some());
    files(folder).into_iter().filter(holds).collect()
}
