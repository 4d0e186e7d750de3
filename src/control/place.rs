//! Where the socket is.
//!
//! `STATE/control.sock`, unless that path is longer than the operating system takes for a socket (108
//! bytes on Linux); then a name made from a hash of it under the runtime folder of the user. The owner
//! writes the place and its process id to `STATE/control.json`, so that a client finds it either way and
//! can name a process that does not answer.
//!
//! Shell.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The shortest limit of the systems we run on (macOS: 104 bytes with the final NUL).
const MAX_PATH: usize = 103;

/// What the owner writes down about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Where it listens.
    pub(super) socket: PathBuf,
    /// Its process id.
    pub(super) pid: u32,
}

impl Place {
    /// Where the owner of `state` listens; `None` where nobody wrote that down.
    pub(super) fn read(state: &Path) -> io::Result<Option<Place>> {
        match fs::read(file(state)) {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            // What is no folder has no owner either; opening the store says what is wrong with it.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes it down, all or nothing.
    pub(super) fn write(&self, state: &Path) -> io::Result<()> {
        let aside = state.join("control.json.new");
        fs::write(&aside, serde_json::to_vec(self)?)?;
        fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
        fs::rename(&aside, file(state))
    }

    /// Takes it back, if it is still ours.
    pub(super) fn remove(&self, state: &Path) {
        if Place::read(state).is_ok_and(|place| place.as_ref() == Some(self)) {
            // Left behind it would only cost the next client a refused connection.
            let _ = fs::remove_file(file(state));
            let _ = fs::remove_file(&self.socket);
        }
    }
}

fn file(state: &Path) -> PathBuf {
    state.join("control.json")
}

/// The path to listen on for `state`; `runtime` is where short paths may be made.
pub(super) fn choose(state: &Path, runtime: &Path) -> io::Result<PathBuf> {
    let usual = std::path::absolute(state)?.join("control.sock");
    if usual.as_os_str().len() <= MAX_PATH {
        return Ok(usual);
    }
    let folder = runtime.join(format!("overnight-{}", rustix::process::getuid().as_raw()));
    private_folder(&folder)?;
    let hash = Sha256::digest(usual.as_os_str().as_bytes());
    let name: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(folder.join(format!("{name}.sock")))
}

/// `$XDG_RUNTIME_DIR`, else the folder for temporary files.
pub(super) fn runtime_folder() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    own.unwrap_or_else(std::env::temp_dir)
}

/// Makes a folder nobody else can enter, or checks that it is one: others may write where it stands.
fn private_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let ours = found.uid() == rustix::process::getuid().as_raw();
    if found.is_dir() && ours && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} must be a folder of yours that nobody else can enter (mode 0700)", folder.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_too_long_for_a_socket_gets_a_short_one_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("run");
        fs::create_dir(&runtime).unwrap();
        let long = dir.path().join("s".repeat(120));
        let other = dir.path().join("t".repeat(120));
        let path = choose(&long, &runtime).unwrap();
        assert!(path.starts_with(&runtime) && path.as_os_str().len() <= MAX_PATH, "{path:?}");
        assert_eq!(path, choose(&long, &runtime).unwrap());
        assert_ne!(path, choose(&other, &runtime).unwrap());
        assert_eq!(choose(dir.path(), &runtime).unwrap(), dir.path().join("control.sock"));
    }

    #[test]
    fn a_runtime_folder_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("s".repeat(120));
        let folder = choose(&long, dir.path()).unwrap().parent().unwrap().to_owned();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(choose(&long, dir.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn only_the_own_place_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let place = |pid| Place { socket: dir.path().join("control.sock"), pid };
        place(1).write(dir.path()).unwrap();
        place(2).remove(dir.path());
        assert_eq!(Place::read(dir.path()).unwrap(), Some(place(1)));
        place(1).remove(dir.path());
        assert_eq!(Place::read(dir.path()).unwrap(), None);
    }
}
