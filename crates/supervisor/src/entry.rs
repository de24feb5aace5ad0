//! One container or exec as the supervisor holds it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::{Stdio, Target};
use runtime::{MemoryWatch, Starting};
use rustix::fs::OFlags;

use crate::log::ContainerLog;
use crate::log::entry::Stream;
use crate::pipes;
use crate::record::{Phase, Record};
use crate::stdio::park;

/// A container or exec.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its place in the ledger.
    pub(crate) slot: usize,
    /// What is written there.
    pub(crate) record: Record,
    /// Its process and stdio, while it runs.
    pub(crate) process: Option<Process>,
    /// Its start, while that is under way.
    pub(crate) starting: Option<Pending>,
    /// What came with its start ("net"), kept for the next one.
    pub(crate) fds: Vec<(String, OwnedFd)>,
    /// Connections that carry its stdio.
    pub(crate) clients: Vec<u64>,
    /// Its log, if it keeps one.
    pub(crate) log: Option<ContainerLog>,
    /// Its output is not read now, because a client does not take it.
    pub(crate) paused: bool,
    /// Taken over with clients of a dead supervisor missing: nothing is read before they are back.
    pub(crate) expects_clients: bool,
    /// When its process was seen ended (boot time), while its exit code is waited for.
    pub(crate) ended_at_ns: Option<i64>,
    /// Memory ran out a moment ago; whether somebody was killed is looked at again.
    pub(crate) memory_low: bool,
    /// When something is due (boot time): a restart, or another look.
    pub(crate) due_ns: Option<i64>,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pidfd: OwnedFd,
    pub(crate) stdio: Ours,
    /// Tells when memory has run out.
    pub(crate) memory: Option<MemoryWatch>,
}

/// The supervisor's side of a process's stdio.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    /// Write end of stdin; none for a terminal, and when stdin is closed.
    pub(crate) stdin: Option<OwnedFd>,
    /// Read ends of stdout and stderr, until their end came.
    pub(crate) output: [Option<OwnedFd>; 2],
    /// The terminal's master.
    pub(crate) terminal: Option<OwnedFd>,
    /// Bytes for stdin that found no room.
    pub(crate) input: VecDeque<u8>,
    /// Close stdin when `input` is written.
    pub(crate) input_ends: bool,
    /// Bytes of each stream read, when no log counts them.
    pub(crate) total: [u64; 2],
}

impl Ours {
    /// Every descriptor with its name in the protocol.
    pub(crate) fn named(&self) -> Vec<(&'static str, BorrowedFd<'_>)> {
        let [out, err] = &self.output;
        [("stdin", &self.stdin), ("stdout", out), ("stderr", err), ("terminal", &self.terminal)]
            .into_iter()
            .filter_map(|(name, fd)| Some((name, fd.as_ref()?.as_fd())))
            .collect()
    }

    /// The numbers of the pipes: stdin, stdout, stderr; 0 for none.
    pub(crate) fn pipes(&self) -> Vec<u64> {
        let [out, err] = &self.output;
        [&self.stdin, out, err].map(|end| end.as_ref().map_or(0, |end| pipes::number(end.as_fd()))).into()
    }

    /// Looks for the pipes that are missing among what these processes have open.
    pub(crate) fn find_pipes(&mut self, numbers: &[u64], pids: &[i32]) {
        let [out, err] = &mut self.output;
        let ends = [(&mut self.stdin, OFlags::WRONLY), (out, OFlags::RDONLY), (err, OFlags::RDONLY)];
        for ((end, direction), number) in ends.into_iter().zip(numbers) {
            if end.is_none() && *number != 0 {
                *end = pipes::find(pids, *number, direction).map(park);
            }
        }
    }

    /// Takes a descriptor by its name; a name of no meaning is dropped.
    pub(crate) fn put(&mut self, name: &str, fd: OwnedFd) {
        match name {
            "stdin" => self.stdin = Some(fd),
            "stdout" => self.output[Stream::Out.index()] = Some(fd),
            "stderr" => self.output[Stream::Err.index()] = Some(fd),
            "terminal" => self.terminal = Some(fd),
            _ => {}
        }
    }
}

/// A start under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) starting: Starting,
    pub(crate) stdio: Ours,
    pub(crate) memory: Option<MemoryWatch>,
    pub(crate) origin: Origin,
}

/// Who wanted a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client, with this request.
    Client(u64, u64),
    /// The restart policy.
    Policy,
}

impl Entry {
    /// An entry with nothing but its record.
    pub(crate) fn new(slot: usize, record: Record) -> Self {
        Self {
            slot,
            record,
            process: None,
            starting: None,
            fds: Vec::new(),
            clients: Vec::new(),
            log: None,
            paused: false,
            expects_clients: false,
            ended_at_ns: None,
            memory_low: false,
            due_ns: None,
        }
    }

    /// How many bytes of each stream have come.
    pub(crate) fn total(&self) -> [u64; 2] {
        let unlogged = || self.process.as_ref().map_or([0; 2], |process| process.stdio.total);
        self.log.as_ref().map_or_else(unlogged, ContainerLog::total)
    }

    /// Whose it is.
    pub(crate) fn target(&self) -> Target {
        self.record.target.clone().unwrap_or_default()
    }

    /// Its container's id.
    pub(crate) fn container(&self) -> &str {
        self.record.target.as_ref().map_or("", |target| &target.container)
    }

    /// How its stdio is made.
    pub(crate) fn stdio(&self) -> Stdio {
        self.record.stdio.unwrap_or_default()
    }

    /// Where in its life it is.
    pub(crate) fn phase(&self) -> Phase {
        self.record.phase()
    }
}
