//! The one place where the supervisor waits: an epoll set whose entries say what they belong to.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, Result};

pub(crate) use epoll::EventFlags as Ready;

use crate::clock;
use crate::log::entry::Stream;

/// What became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// Somebody connects.
    Listener,
    /// A signal to the supervisor.
    Signal,
    /// A connection, by number.
    Client(u64),
    /// A start that has succeeded or failed, by slot.
    Starting(usize),
    /// A process has ended, by slot.
    Process(usize),
    /// A stdin pipe has room, by slot.
    Stdin(usize),
    /// A pipe has output, by slot.
    Output(usize, Stream),
    /// A terminal has output or room, by slot.
    Terminal(usize),
    /// Memory ran out in a container, by slot.
    Memory(usize),
}

impl Token {
    fn to_data(self) -> u64 {
        let (kind, index) = match self {
            Self::Listener => (0, 0),
            Self::Signal => (1, 0),
            Self::Client(number) => (2, number),
            Self::Starting(slot) => (3, slot as u64),
            Self::Process(slot) => (4, slot as u64),
            Self::Stdin(slot) => (5, slot as u64),
            Self::Output(slot, Stream::Out) => (6, slot as u64),
            Self::Output(slot, Stream::Err) => (7, slot as u64),
            Self::Terminal(slot) => (8, slot as u64),
            Self::Memory(slot) => (9, slot as u64),
        };
        index << 8 | kind
    }

    fn from_data(data: u64) -> Option<Self> {
        let (number, slot) = (data >> 8, (data >> 8) as usize);
        Some(match data & 0xff {
            0 => Self::Listener,
            1 => Self::Signal,
            2 => Self::Client(number),
            3 => Self::Starting(slot),
            4 => Self::Process(slot),
            5 => Self::Stdin(slot),
            6 => Self::Output(slot, Stream::Out),
            7 => Self::Output(slot, Stream::Err),
            8 => Self::Terminal(slot),
            9 => Self::Memory(slot),
            _ => return None,
        })
    }
}

/// The set.
#[derive(Debug)]
pub(crate) struct Poll {
    fd: OwnedFd,
}

impl Poll {
    /// An empty set.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { fd: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Waits for this, too.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token, ready: Ready) -> Result<()> {
        epoll::add(&self.fd, fd, epoll::EventData::new_u64(token.to_data()), ready)
    }

    /// Waits for something else of a descriptor in the set.
    pub(crate) fn change(&self, fd: impl AsFd, token: Token, ready: Ready) -> Result<()> {
        epoll::modify(&self.fd, fd, epoll::EventData::new_u64(token.to_data()), ready)
    }

    /// Waits no longer for this; it may be in the set or not.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.fd, fd);
    }

    /// Waits until something is ready or the deadline (boot time, nanoseconds) has come.
    pub(crate) fn wait(&self, deadline_ns: Option<i64>) -> Result<Vec<(Token, Ready)>> {
        let timeout = deadline_ns.map(|deadline| {
            // Rounded up to the millisecond, so that a deadline is not looked at before it has come.
            let left = (deadline - clock::boot_ns()).max(0).saturating_add(999_999) / 1_000_000 * 1_000_000;
            Timespec { tv_sec: left / 1_000_000_000, tv_nsec: left % 1_000_000_000 }
        });
        let mut events = Vec::with_capacity(64);
        match epoll::wait(&self.fd, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let ready = |event: &epoll::Event| Some((Token::from_data(event.data.u64())?, event.flags));
        Ok(events.iter().filter_map(ready).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for token in [
            Token::Listener,
            Token::Signal,
            Token::Client(1 << 40),
            Token::Starting(7),
            Token::Process(0),
            Token::Stdin(1),
            Token::Output(3, Stream::Out),
            Token::Output(3, Stream::Err),
            Token::Terminal(9),
            Token::Memory(10),
        ] {
            assert_eq!(Token::from_data(token.to_data()), Some(token));
        }
        assert_eq!(Token::from_data(0xff), None);
    }
}
