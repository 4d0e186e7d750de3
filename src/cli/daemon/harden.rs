//! What a daemon gives up at its start: files others can read, and memory images on disk.
//!
//! Shell: changes this process, and the commands it runs to judge answers inherit it.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Files are the owner's alone from now on, and a crash leaves no image of the keys and prompts in memory.
pub(super) fn harden() {
    umask(Mode::from_raw_mode(0o077));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "other processes of this user cannot be kept from reading our memory");
        }
    }
}
