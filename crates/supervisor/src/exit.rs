//! Ends: the true exit code, the last output, the event, the policy, the clean-up.

use std::os::fd::AsFd;

use protocol::{Exit, Exited, Happening};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use types::Kind;

use crate::clock;
use crate::entry::Origin;
use crate::error::Error;
use crate::record::Phase;
use crate::serve::NO_RESTART;
use crate::stat;
use crate::supervisor::Supervisor;

/// How long an adopted process that has ended may stay unreaped by its new parent, on a host that does not let us read its
/// status, before its code counts as unknown.
const REAP_PATIENCE_NS: i64 = 10_000_000_000;
const REAP_RECHECK_NS: i64 = 5_000_000;
const MS: i64 = 1_000_000;

/// What is known of an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// It has not ended.
    NotYet,
    /// It has, with this code.
    Code(i32),
    /// It has, and its parent, who is not us, has not taken its status.
    Unreaped,
    /// It has, and this kernel does not tell others how.
    Unknown,
}

impl Supervisor {
    /// A process has ended (or, adopted, was reaped).
    pub(crate) fn process_ready(&mut self, slot: usize, reaped: bool) {
        let Some(entry) = self.entry(slot) else { return };
        let Some(process) = &entry.process else { return };
        let now = clock::boot_ns();
        let known = match end(process.pidfd.as_fd()) {
            End::Unreaped => stat::zombie_status(entry.record.pid, entry.record.ticks)
                .map_or(End::Unreaped, |status| End::Code(exit_code(status))),
            other => other,
        };
        match known {
            End::NotYet => {}
            End::Code(code) => self.ended(slot, Some(code)),
            End::Unknown => self.ended(slot, None),
            End::Unreaped => {
                let since = *entry.ended_at_ns.get_or_insert(now);
                if reaped || now - since > REAP_PATIENCE_NS {
                    return self.ended(slot, None);
                }
                self.unwatch_end(slot);
                self.set_due(slot, Some(now + REAP_RECHECK_NS));
            }
        }
    }

    fn unwatch_end(&self, slot: usize) {
        if let Some(Some(entry)) = self.entries.get(slot)
            && let Some(process) = &entry.process
        {
            self.poll.remove(&process.pidfd);
        }
    }

    /// Something was to be done in this slot at this time.
    pub(crate) fn due(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        match entry.phase() {
            Phase::Waiting => self.start_again(slot),
            Phase::Running if entry.memory_low => self.look_at_memory(slot, false),
            Phase::Running if entry.ended_at_ns.is_some() => self.process_ready(slot, false),
            Phase::Running => self.resume_entry(slot),
            Phase::Starting | Phase::Exited => {}
        }
    }

    fn start_again(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        let is_lost = |name: &&String| entry.fds.iter().all(|(there, _)| there != *name);
        if let Some(name) = entry.record.fds.iter().find(is_lost) {
            let message = format!(
                "its {name:?} was lost between two lives: daemon and supervisor were killed at the same time"
            );
            let failure = Error::new(Kind::Unavailable, message).to_failure();
            return self.start_failed(slot, Origin::Policy, failure);
        }
        entry.record.restarts += 1;
        let container = entry.container().to_owned();
        match self.root.plan(&container) {
            Ok(plan) => self.launch(slot, &plan, Origin::Policy),
            Err(error) => self.start_failed(slot, Origin::Policy, error.to_failure()),
        }
    }

    /// The process of this slot is gone.
    pub(crate) fn ended(&mut self, slot: usize, code: Option<i32>) {
        self.drain(slot);
        self.take_process(slot);
        let Some(entry) = self.entry(slot) else { return };
        entry.ended_at_ns = None;
        entry.paused = false;
        entry.memory_low = false;
        entry.log = None;
        let container = entry.container().to_owned();
        let is_exec = entry.record.is_exec();
        let plan = if is_exec { None } else { self.root.plan(&container).ok() };
        let oom = plan.as_ref().is_some_and(|plan| self.count_oom_kills(slot, plan) > 0);
        let exit = Exit { code, oom, at_ns: clock::wall_ns() };
        let delay_ms = self.settle(slot, exit);
        let all: &[&str] = &[];
        let process_only: &[&str] = &["pidfd", "stdin", "stdout", "stderr", "terminal"];
        // Written down before the daemon lets go of the pidfd, by which a next supervisor would know the end.
        self.emit(slot, Happening::Exited(Exited { exit: Some(exit), restarting: delay_ms.is_some() }));
        self.release(slot, if delay_ms.is_some() { process_only } else { all });
        self.end_clients(slot);
        if let Some(plan) = plan {
            self.to_clean.push((slot, plan));
        }
        let due = delay_ms.map(|delay| clock::boot_ns() + delay as i64 * MS);
        self.set_due(slot, due);
    }

    /// Writes the end into the record, and decides whether the policy starts it again: then the delay is answered.
    fn settle(&mut self, slot: usize, exit: Exit) -> Option<u64> {
        let record = &mut self.entry(slot)?.record;
        let lived_ns = exit.at_ns.saturating_sub(record.started_at_ns).max(0);
        let ended = plan::restart::Ended {
            code: exit.code,
            lived_ms: (lived_ns / MS) as u64,
            restarts: record.restarts,
            held: record.held,
            last_delay_ms: record.delay_ms,
        };
        let delay_ms = plan::restart::decide(record.policy.unwrap_or(NO_RESTART), &ended);
        record.pid = 0;
        record.frozen = false;
        record.exit = Some(exit);
        record.set_phase(if delay_ms.is_some() { Phase::Waiting } else { Phase::Exited });
        record.delay_ms = delay_ms.unwrap_or(0);
        record.again_at_ns = delay_ms.map_or(0, |delay| exit.at_ns + delay as i64 * MS);
        delay_ms
    }

    /// Closes what belongs to a process. Duplicates elsewhere keep the files open, so each leaves the poll set by name.
    fn take_process(&mut self, slot: usize) {
        let Some(process) = self.entry(slot).and_then(|entry| entry.process.take()) else { return };
        self.poll.remove(&process.pidfd);
        if let Some(memory) = &process.memory {
            self.poll.remove(memory.fd());
        }
        for (_, fd) in process.stdio.named() {
            self.poll.remove(fd);
        }
    }

    /// Removes the cgroups of what has ended, after everybody was told.
    pub(crate) fn clean_ended(&mut self) {
        for (slot, plan) in std::mem::take(&mut self.to_clean) {
            for error in runtime::clean(&plan) {
                complain!("clean up after {}: {}", plan.id, crate::error::chain(&error));
            }
            let Some(entry) = self.entry(slot).filter(|entry| entry.container() == plan.id) else { continue };
            entry.record.unclean = false;
            self.save(slot);
        }
    }
}

fn end(pidfd: std::os::fd::BorrowedFd<'_>) -> End {
    match waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(status)) => {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            status.exit_status().or(signal).map_or(End::Unknown, End::Code)
        }
        Ok(None) => End::NotYet,
        Err(Errno::CHILD) => foreign_end(pidfd),
        Err(_) => End::Unknown,
    }
}

/// The end of a process that is not our child.
fn foreign_end(pidfd: std::os::fd::BorrowedFd<'_>) -> End {
    match sys::pidfd::exit_status(pidfd) {
        Ok(Some(status)) => End::Code(exit_code(status)),
        Ok(None) => End::Unreaped,
        Err(_) => End::Unknown,
    }
}

/// The shell's exit code of a wait status.
fn exit_code(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (status, code) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143), (11 | 0x80, 139)] {
            assert_eq!(exit_code(status), code, "{status:#x}");
        }
    }
}
