//! The system calls of a process, counted by `perf`, or by `strace` where `perf` cannot count them.
//!
//! `strace` stops the process at every system call. The process becomes slower, and more datagrams wait when it
//! receives, so the figure of `strace` is lower than without it.

use crate::Outcome;
use core::time::Duration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};

/// The tools, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Perf,
    Strace,
}

impl Tool {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf",
            Self::Strace => "strace",
        }
    }

    /// Returns the first tool that can count the system calls of a process.
    pub(crate) fn find() -> Option<Self> {
        let works = |command: &mut Command| {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if works(Command::new("perf").args(["stat", "-e", "raw_syscalls:sys_enter", "true"])) {
            Some(Self::Perf)
        } else if works(Command::new("strace").args(["-c", "-f", "true"])) {
            Some(Self::Strace)
        } else {
            None
        }
    }

    /// Counts the system calls of a process while `work` runs.
    pub(crate) fn count<T>(self, pid: i32, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, u64)> {
        let pid = pid.to_string();
        let mut command = Command::new(self.name());
        match self {
            Self::Perf => command.args(["stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "-p", &pid]),
            Self::Strace => command.args(["-c", "-f", "-p", &pid]),
        };
        let tool = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        std::thread::sleep(Duration::from_millis(400));
        let result = work();
        let text = interrupt(tool)?;
        Ok((result?, self.read(&text).ok_or_else(|| format!("{} printed no number: {text}", self.name()))?))
    }

    /// Reads the number of system calls from the tool's output.
    fn read(self, text: &str) -> Option<u64> {
        match self {
            Self::Perf => text.lines().find_map(|line| line.split(';').next()?.parse().ok()),
            // "100.00    0.123456           1     12345        67 total"
            Self::Strace => {
                text.lines().rev().find(|line| line.ends_with("total"))?.split_whitespace().nth(3)?.parse().ok()
            }
        }
    }
}

fn interrupt(tool: Child) -> Outcome<String> {
    kill(Pid::from_raw(i32::try_from(tool.id())?), Signal::SIGINT)?;
    Ok(String::from_utf8_lossy(&tool.wait_with_output()?.stderr).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Tool;

    #[test]
    fn the_numbers_of_both_tools_are_read() {
        assert_eq!(Tool::Perf.read("123;;raw_syscalls:sys_enter;100;100.00;;\n"), Some(123));
        let table = "% time     seconds  usecs/call     calls    errors syscall\n100.00    0.000120           1      4567        12 total\n";
        assert_eq!(Tool::Strace.read(table), Some(4567));
        assert_eq!(Tool::Strace.read("strace: attach: no permission"), None);
    }
}
