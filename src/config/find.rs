//! Which config file holds, and where state is kept.
//!
//! `--config`, `$OVERNIGHT_CONFIG`, `./overnight.toml` and the same in every folder above,
//! `$XDG_CONFIG_HOME/overnight/overnight.toml`, `/etc/overnight/overnight.toml`. A file that was named
//! must exist; of the others the first that exists wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Inputs, Origin, Problem};

/// Its name in every folder.
pub const FILE_NAME: &str = "overnight.toml";

/// The file that holds, if any.
pub(super) fn config_file(inputs: &Inputs<'_>) -> Result<Option<PathBuf>, Problem> {
    if let Some((named, by)) = named(inputs) {
        let path = inputs.cwd.join(named);
        let missing = || {
            let message = format!("{} names {}, and there is no such file", by, path.display());
            Problem::new("", Origin::Default, message)
        };
        return if path.is_file() { Ok(Some(path)) } else { Err(missing()) };
    }
    Ok(candidates(inputs.cwd, inputs.env).into_iter().find(|path| path.is_file()))
}

/// Every place a config is looked for when none is named, in order.
pub fn candidates(cwd: &Path, env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let above = cwd.ancestors().map(|folder| folder.join(FILE_NAME));
    let user = base_dir(env, "XDG_CONFIG_HOME", ".config").map(|dir| dir.join("overnight").join(FILE_NAME));
    let system = Path::new("/etc/overnight").join(FILE_NAME);
    above.chain(user).chain([system]).collect()
}

/// `$XDG_STATE_HOME/overnight`, else `~/.local/state/overnight`, else a folder beside the work.
pub(super) fn state_dir(inputs: &Inputs<'_>) -> PathBuf {
    let base = base_dir(inputs.env, "XDG_STATE_HOME", ".local/state");
    base.map_or_else(|| inputs.cwd.join(".overnight"), |dir| dir.join("overnight"))
}

fn named<'a>(inputs: &Inputs<'a>) -> Option<(&'a Path, &'static str)> {
    let env = || inputs.env.get("OVERNIGHT_CONFIG").filter(|path| !path.is_empty());
    let flag = inputs.file.map(|path| (path, "--config"));
    flag.or_else(|| env().map(|path| (Path::new(path.as_str()), "OVERNIGHT_CONFIG")))
}

/// A folder of the XDG rules: the variable where it holds an absolute path, else below `$HOME`.
fn base_dir(env: &BTreeMap<String, String>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs<'a>(cwd: &'a Path, env: &'a BTreeMap<String, String>) -> Inputs<'a> {
        Inputs { file: None, cwd, env, flags: &[] }
    }

    #[test]
    fn the_nearest_file_above_wins_and_a_named_one_over_all() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let outer = dir.path().join(FILE_NAME);
        let user = dir.path().join("home/.config/overnight").join(FILE_NAME);
        std::fs::create_dir_all(user.parent().unwrap()).unwrap();
        std::fs::write(&user, "").unwrap();
        let mut env: BTreeMap<String, String> =
            [("HOME".to_owned(), dir.path().join("home").display().to_string())].into();

        assert_eq!(config_file(&inputs(&deep, &env)), Ok(Some(user.clone())));
        std::fs::write(&outer, "").unwrap();
        assert_eq!(config_file(&inputs(&deep, &env)), Ok(Some(outer)));
        env.insert("OVERNIGHT_CONFIG".into(), user.display().to_string());
        assert_eq!(config_file(&inputs(&deep, &env)), Ok(Some(user)));
        let missing = Inputs { file: Some(Path::new("nowhere.toml")), ..inputs(&deep, &env) };
        assert!(config_file(&missing).unwrap_err().message.starts_with("--config names"));
    }

    #[test]
    fn state_is_kept_where_the_desktop_rules_say() {
        for (variables, dir) in [
            (vec![("XDG_STATE_HOME", "/x"), ("HOME", "/home/a")], "/x/overnight"),
            (vec![("XDG_STATE_HOME", "relative"), ("HOME", "/home/a")], "/home/a/.local/state/overnight"),
            (vec![], "/srv/night/.overnight"),
        ] {
            let env =
                variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(state_dir(&inputs(Path::new("/srv/night"), &env)), Path::new(dir));
        }
    }
}
