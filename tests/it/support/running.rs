//! The binary while it runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::{Overnight, Ran};

/// A process of ours; killed when it is dropped before it ends.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    stdout: Option<JoinHandle<String>>,
    said: String,
}

impl Overnight {
    /// Starts the binary and goes on.
    pub(crate) fn start(&self, line: &str) -> Running {
        let asserted = self.command(line);
        let mut command = Command::new(asserted.get_program());
        command.args(asserted.get_args()).current_dir(self.path()).env_clear();
        command.envs(asserted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Running::of(command)
    }
}

impl Running {
    pub(crate) fn of(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, stdout: Some(stdout), said: String::new() }
    }

    /// Reads stderr up to the first line that holds these words; the line.
    #[track_caller]
    pub(crate) fn until(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            let n = self.stderr.read_line(&mut line).unwrap();
            assert!(n > 0, "{words:?} was never said:\n{}", self.said);
            self.said.push_str(&line);
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Asks it to read its config again.
    pub(crate) fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// Waits for its end; everything it said.
    pub(crate) fn end(mut self) -> Ran {
        let mut stderr = std::mem::take(&mut self.said);
        self.stderr.read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ran { code, stdout: self.stdout.take().unwrap().join().unwrap(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
