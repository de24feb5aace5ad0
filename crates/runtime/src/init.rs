//! The `init` applet (`docker run --init`): pid 1 that starts one program, passes signals on to it, and reaps what others leave.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use sys::process::StringList;

use crate::command::next_signal;
use crate::{Error, lookup};

/// Signals that a fault of this program raises; they are not passed on.
const FAULTS: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
const KILL: i32 = 9;
const STOP: i32 = 19;

/// Runs the program named by `words` (a leading `--` is skipped) and returns its exit code.
pub fn main(words: &[String]) -> i32 {
    let words = if words.first().is_some_and(|w| w == "--") { &words[1..] } else { words };
    match start(words) {
        Ok((child, signals)) => reap_until(child, &signals),
        Err(error) => {
            eprintln!("init: {error}");
            error.exit_code()
        }
    }
}

fn start(words: &[String]) -> Result<(i32, std::os::fd::OwnedFd), Error> {
    let refuse = |text: &str| Error::said(types::Kind::InvalidInput, text);
    let name = words.first().ok_or_else(|| refuse("no program to run"))?;
    let env: Vec<String> = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    let path = lookup::find(name, &env)?;
    let args = StringList::new(words).ok_or_else(|| refuse("an argument holds a NUL byte"))?;
    let env = StringList::new(&env).ok_or_else(|| refuse("a variable holds a NUL byte"))?;
    let passed: Vec<i32> =
        (1..=64).filter(|n| !FAULTS.contains(n) && !matches!(*n, KILL | STOP | 32 | 33)).collect();
    let signals = sys::signal::descriptor(&passed).map_err(|errno| Error::kernel("catch signals", errno))?;
    match sys::process::fork().map_err(|errno| Error::kernel("fork", errno))? {
        None => {
            let _ = sys::process::reset_signals();
            let errno = sys::process::exec(&path, &args, &env);
            let error = lookup::exec_refusal(&path.to_string_lossy(), errno);
            eprintln!("init: {error}");
            sys::process::exit_now(error.exit_code())
        }
        Some(pid) => Ok((pid, signals)),
    }
}

fn reap_until(child: i32, signals: &std::os::fd::OwnedFd) -> i32 {
    loop {
        let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], None);
        while let Some(number) = next_signal(signals.as_fd()) {
            match (Signal::from_named_raw(number), Pid::from_raw(child)) {
                (Some(Signal::CHILD), _) => {}
                (Some(signal), Some(pid)) => drop(kill_process(pid, signal)),
                _ => {}
            }
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid.as_raw_pid() == child {
                return status.exit_status().or(status.terminating_signal().map(|s| 128 + s)).unwrap_or(255);
            }
        }
    }
}
