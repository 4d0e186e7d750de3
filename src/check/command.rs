//! Runs check commands: the answer on standard input, exit code 0 accepts it.
//!
//! A command sees nothing of ours: no keys and no settings, only `PATH`, `HOME` and `LANG`. It and
//! whatever it starts end with the time limit.
//!
//! Shell.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::Verdict;
use crate::attempt::ErrorCode;

/// What a command sees of our environment.
const ENVIRONMENT: [&str; 3] = ["PATH", "HOME", "LANG"];

/// How much of what it prints is kept, to say why it did not accept.
const MOST_OUTPUT: usize = 4 * 1024;

/// Why a command could not judge at all.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not there or may not be run.
    #[error("cannot run check command {command}: {source}")]
    Start {
        /// Its first word.
        command: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It started, and the system lost track of it.
    #[error("lost the check command {command}: {source}")]
    Lost {
        /// Its first word.
        command: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Runs all `commands` on one answer until one does not accept it. A command that cannot be run does
/// not accept anything.
pub async fn judge(commands: &[Vec<String>], text: &str, limit: Duration) -> Verdict {
    for command in commands {
        match run(command, text, limit).await {
            Ok(Verdict::Pass) => {}
            Ok(verdict) => return verdict,
            Err(error) => return Verdict::Fail(ErrorCode::CheckFailed, error.to_string()),
        }
    }
    Verdict::Pass
}

/// Runs one command on one answer.
pub async fn run(command: &[String], text: &str, limit: Duration) -> Result<Verdict, CommandError> {
    let name = command.first().map(String::as_str).unwrap_or_default();
    let start = |source| CommandError::Start { command: name.to_owned(), source };
    let mut child = start_child(command).map_err(start)?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    match tokio::time::timeout(limit, converse(&mut child, group, text)).await {
        Ok(Ok((status, said))) => Ok(verdict(status, &said)),
        Ok(Err(source)) => Err(CommandError::Lost { command: name.to_owned(), source }),
        Err(_) => {
            Ok(Verdict::Fail(ErrorCode::CheckFailed, format!("check command did not end within {limit:?}")))
        }
    }
}

fn start_child(command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let seen = ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(seen)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The processes of a command, ended when this goes out of scope.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails where all of them have ended, which is what we want.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Gives the answer, takes what is printed, and waits for the end; all at once, so that no pipe fills.
async fn converse(child: &mut Child, group: Group, text: &str) -> std::io::Result<(ExitStatus, String)> {
    let stdin = child.stdin.take();
    let give = async move {
        if let Some(mut stdin) = stdin {
            // A command may decide without reading to the end, so a closed pipe is no fault.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let end = async move {
        let status = child.wait().await;
        // What it left running would keep the pipes open.
        drop(group);
        status
    };
    let (status, (), printed, complained) = tokio::join!(end, give, take(stdout), take(stderr));
    let said = if complained.trim().is_empty() { printed } else { complained };
    Ok((status?, said))
}

async fn take(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut chunk).await {
        let room = MOST_OUTPUT - kept.len();
        kept.extend_from_slice(&chunk[..n.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn verdict(status: ExitStatus, said: &str) -> Verdict {
    if status.success() {
        return Verdict::Pass;
    }
    let why = said.lines().map(str::trim).find(|line| !line.is_empty());
    let message = why.map_or_else(|| format!("check command ended with {status}"), str::to_owned);
    Verdict::Fail(ErrorCode::CheckFailed, message.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sh(line: &str) -> Vec<String> {
        ["sh", "-c", line].map(str::to_owned).to_vec()
    }

    fn failed(message: &str) -> Verdict {
        Verdict::Fail(ErrorCode::CheckFailed, message.to_owned())
    }

    #[tokio::test]
    async fn the_exit_code_decides_and_the_output_says_why() {
        for (line, expected) in [
            ("grep -q yes", Verdict::Pass),
            ("exit 0", Verdict::Pass),
            ("exit 3", failed("check command ended with exit status: 3")),
            ("echo; echo '  too short'; exit 1", failed("too short")),
            ("echo out; echo bad sum >&2; exit 1", failed("bad sum")),
            ("kill -9 $$", failed("check command ended with signal: 9 (SIGKILL)")),
        ] {
            assert_eq!(run(&sh(line), "yes\n", LONG).await.unwrap(), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn large_answers_and_outputs_fill_no_pipe() {
        let text = "x".repeat(1 << 20);
        assert_eq!(run(&sh("cat"), &text, LONG).await.unwrap(), Verdict::Pass);
        assert_eq!(run(&sh("true"), &text, LONG).await.unwrap(), Verdict::Pass);
        let Verdict::Fail(_, message) = run(&sh("cat; exit 1"), &text, LONG).await.unwrap() else { panic!() };
        assert_eq!(message.len(), 300);
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_all_it_started() {
        let verdict = run(&sh("sleep 1000 & wait"), "", Duration::from_millis(100)).await.unwrap();
        assert_eq!(verdict, failed("check command did not end within 100ms"));
        // Left alone, the sleep would hold the pipe open, and reading it to its end would take as long.
        assert_eq!(run(&sh("sleep 1000 & exit 0"), "", LONG).await.unwrap(), Verdict::Pass);
    }

    #[tokio::test]
    async fn nothing_of_our_environment_is_seen() {
        let line = "env | grep -v -e ^PATH= -e ^HOME= -e ^LANG= -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= >&2 && exit 1; exit 0";
        assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")), "there is something to hide");
        assert_eq!(run(&sh(line), "", LONG).await.unwrap(), Verdict::Pass);
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_named() {
        for command in [vec!["no-such-command-here".to_owned()], Vec::new()] {
            let error = run(&command, "", LONG).await.unwrap_err();
            assert!(matches!(error, CommandError::Start { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn the_first_command_that_does_not_accept_decides() {
        let commands = [sh("exit 0"), sh("echo second; exit 1"), sh("echo third; exit 1")];
        assert_eq!(judge(&commands, "", LONG).await, failed("second"));
        assert_eq!(judge(&commands[..1], "", LONG).await, Verdict::Pass);
        let missing = judge(&[vec!["no-such-command-here".to_owned()]], "", LONG).await;
        assert!(
            matches!(missing, Verdict::Fail(ErrorCode::CheckFailed, why) if why.contains("no-such-command-here"))
        );
    }
}
