//! From a process to its log and its attached clients.

use protocol::{Output, Tell};
use rustix::io::Errno;
use std::os::fd::AsFd;

use crate::client::Role;
use crate::clock;
use crate::ledger::Source;
use crate::log::entry::Stream;
use crate::poll::{Ready, Token};
use crate::supervisor::Supervisor;

/// What one read brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moved {
    /// Bytes; there may be more.
    Some,
    /// Nothing now.
    Nothing,
    /// The end of the stream.
    End,
}

/// When a process has ended, what others (without a pid namespace) still write is read up to here.
const MOST_BATCHES_AT_EXIT: usize = 256;
/// How often a terminal nobody has open is looked at.
const TERMINAL_RECHECK_NS: i64 = 200_000_000;

impl Supervisor {
    /// Waits for output of a process, and for its end.
    pub(crate) fn watch_process(&mut self, slot: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let Some(process) = &entry.process else { return };
        let _ = self.poll.add(&process.pidfd, Token::Process(slot), Ready::IN);
        self.poll_memory(slot);
        self.watch_output(slot);
    }

    fn watch_output(&self, slot: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let Some(process) = entry.process.as_ref().filter(|_| !entry.paused) else { return };
        for stream in [Stream::Out, Stream::Err] {
            if let Some(fd) = &process.stdio.output[stream.index()] {
                let _ = self.poll.add(fd, Token::Output(slot, stream), Ready::IN);
            }
        }
        self.watch_terminal(slot);
    }

    fn unwatch_output(&self, slot: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let Some(process) = &entry.process else { return };
        for fd in process.stdio.output.iter().flatten() {
            self.poll.remove(fd);
        }
        self.watch_terminal(slot);
    }

    /// A terminal is one descriptor for both directions.
    pub(crate) fn watch_terminal(&self, slot: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let Some(process) = &entry.process else { return };
        let Some(master) = &process.stdio.terminal else { return };
        let mut ready = Ready::empty();
        ready.set(Ready::IN, !entry.paused);
        ready.set(Ready::OUT, !process.stdio.input.is_empty());
        if ready.is_empty() {
            self.poll.remove(master);
        } else if self.poll.change(master, Token::Terminal(slot), ready).is_err() {
            let _ = self.poll.add(master, Token::Terminal(slot), ready);
        }
    }

    /// A pipe has output or has come to its end.
    pub(crate) fn output_ready(&mut self, slot: usize, stream: Stream) {
        if self.pause_if_full(slot) {
            return;
        }
        if self.pump(slot, stream) == Moved::End
            && let Some(process) = self.entry(slot).and_then(|entry| entry.process.as_mut())
            && let Some(fd) = process.stdio.output[stream.index()].take()
        {
            self.poll.remove(&fd);
        }
    }

    /// A terminal has output, room, or nobody has it open.
    pub(crate) fn terminal_ready(&mut self, slot: usize, flags: Ready) {
        if flags.contains(Ready::OUT) {
            self.write_input(slot);
            self.wake_clients(slot);
        }
        if !flags.intersects(Ready::IN | Ready::HUP) || self.pause_if_full(slot) {
            return;
        }
        if self.pump(slot, Stream::Out) == Moved::End {
            // Somebody may open it again: look later.
            if let Some(entry) = self.entry(slot) {
                entry.paused = true;
            }
            self.unwatch_output(slot);
            self.set_due(slot, Some(clock::boot_ns() + TERMINAL_RECHECK_NS));
        }
    }

    /// Reads all there is; the process has ended.
    pub(crate) fn drain(&mut self, slot: usize) {
        for stream in [Stream::Out, Stream::Err] {
            for _ in 0..MOST_BATCHES_AT_EXIT {
                if self.pump(slot, stream) != Moved::Some {
                    break;
                }
            }
            if let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut)
                && let Some(log) = &mut entry.log
            {
                log.flush(&mut self.ledger, stream);
            }
        }
    }

    /// Moves one batch of a stream to the log and to every attached client.
    fn pump(&mut self, slot: usize, stream: Stream) -> Moved {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return Moved::End };
        let Some(process) = &entry.process else { return Moved::End };
        let source = match (&process.stdio.terminal, &process.stdio.output[stream.index()], stream) {
            (Some(master), _, Stream::Out) => Source::Terminal(master.as_fd()),
            (_, Some(pipe), _) => Source::Pipe(pipe.as_fd()),
            _ => return Moved::End,
        };
        let result = match &mut entry.log {
            Some(log) => log.batch(&mut self.ledger, stream, source, &mut self.buffer),
            None => rustix::io::read(source.fd(), &mut self.buffer[..]),
        };
        if let (None, Some(process), Ok(taken)) = (&entry.log, &mut entry.process, &result) {
            process.stdio.total[stream.index()] += *taken as u64;
        }
        match result {
            Ok(0) => Moved::End,
            Ok(taken) => {
                self.broadcast(slot, stream, taken);
                Moved::Some
            }
            Err(Errno::AGAIN | Errno::INTR) => Moved::Nothing,
            Err(_) => Moved::End,
        }
    }

    /// Sends the buffer's first bytes to everybody who wants this output.
    fn broadcast(&mut self, slot: usize, stream: Stream, taken: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        if entry.clients.is_empty() {
            return;
        }
        let position = entry.total()[stream.index()].saturating_sub(taken as u64);
        for number in entry.clients.clone() {
            let wants = self.clients.get(&number).is_some_and(|client| wants_output(&client.role));
            if wants {
                let bytes = self.buffer[..taken].to_vec();
                self.tell(
                    number,
                    0,
                    Tell::Output(Output { stream: stream as u32, bytes, end: false, position }),
                );
            }
        }
    }

    /// Stops reading while a client has not taken what was read before.
    fn pause_if_full(&mut self, slot: usize) -> bool {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return true };
        let is_full = |number: &u64| self.clients.get(number).is_some_and(crate::client::Client::is_full);
        if !entry.clients.iter().any(is_full) {
            return false;
        }
        entry.paused = true;
        self.unwatch_output(slot);
        true
    }

    /// A client took something: its process may go on.
    pub(crate) fn resume_output(&mut self, client: u64) {
        let Some(Role::Attached { target, .. }) = self.clients.get(&client).map(|client| &client.role) else {
            return;
        };
        if let Some(slot) = self.find(target) {
            self.resume_entry(slot);
        }
    }

    /// Reads on, when a pause is over.
    pub(crate) fn resume_entry(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let is_full = |number: &u64| self.clients.get(number).is_some_and(crate::client::Client::is_full);
        if std::mem::take(&mut entry.expects_clients) {
            return self.watch_process(slot);
        }
        if !entry.paused || entry.clients.iter().any(is_full) {
            return;
        }
        entry.paused = false;
        self.watch_output(slot);
    }
}

impl Supervisor {
    /// Writes down whether somebody is attached to a logged process's output.
    pub(crate) fn note_watchers(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::as_mut) else { return };
        let wants = |number: &u64| self.clients.get(number).is_some_and(|client| wants_output(&client.role));
        let watched = entry.record.log.is_some() && entry.clients.iter().any(wants);
        if entry.record.watched != watched {
            entry.record.watched = watched;
            self.save(slot);
        }
    }
}

fn wants_output(role: &Role) -> bool {
    matches!(role, Role::Attached { output: true, .. })
}
