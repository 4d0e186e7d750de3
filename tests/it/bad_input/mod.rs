//! Bad input through the real binary: what the user is told, and that nothing is lost.

use crate::support::folder::files;
use crate::support::{Overnight, Ran};

/// What providers send back.
mod answers;
/// The config, the keys and who else owns the store.
mod config;
/// Disks and folders that fail.
mod disk;
/// Files as a whole: encodings, line ends, emptiness.
mod files;
/// One line at a time: JSON, ids, requests, caps.
mod lines;

/// One line that is well.
const ONE: &str = "{\"custom_id\":\"a\",\"prompt\":\"hi\"}\n";

/// A config whose provider nobody asks anything.
fn quiet() -> Overnight {
    Overnight::asking("http://127.0.0.1:9/v1")
}

/// The command ended like this, and every one of these was said on stderr.
#[track_caller]
fn says(ran: &Ran, code: i32, said: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    for words in said {
        assert!(ran.stderr.contains(words), "{words:?} is not said:\n{}{}", ran.stdout, ran.stderr);
    }
}

/// No job is there, no id was printed and no prompt is kept.
#[track_caller]
fn nothing_queued(overnight: &Overnight, ran: &Ran) {
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert_eq!(overnight.jobs(), [] as [serde_json::Value; 0]);
    let kept = files(&overnight.path().join("prompts"));
    assert!(kept.is_empty(), "{kept:?}");
}
