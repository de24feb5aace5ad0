//! Attached clients: their begin, their input, their end.

use protocol::{Attach, Attached, Input, Output, Seen, Tell};
use rustix::io::Errno;

use crate::client::Role;
use crate::error::Error;
use crate::log::entry::Stream;
use crate::poll::{Ready, Token};
use crate::record::Phase;
use crate::supervisor::{Supervisor, key};

/// Input waiting for a process; more makes its sender wait.
const FULL_BYTES: usize = 64 << 10;

impl Supervisor {
    /// Turns a connection into a stdio stream, of a process that runs or of the next one of that name.
    pub(crate) fn attach(&mut self, number: u64, seq: u64, attach: Attach) -> Result<(), Error> {
        let target = attach.target.unwrap_or_default();
        let (stdin, output) = (attach.stdin, attach.output);
        if let Some(client) = self.clients.get_mut(&number) {
            client.role = Role::Attached { target: target.clone(), stdin, output };
        }
        let Some(slot) = self.find(&target) else {
            self.early.entry(key(&target)).or_default().push(number);
            self.tell(number, seq, Tell::Attached(Attached::default()));
            return Ok(());
        };
        let Some(entry) = self.entry(slot) else { return Ok(()) };
        if entry.record.is_exec() && entry.phase() == Phase::Exited {
            self.tell(number, seq, Tell::Attached(Attached::default()));
            self.tell_end(number);
            return Ok(());
        }
        entry.clients.push(number);
        let place = entry.log.as_mut().map(crate::log::ContainerLog::place);
        let (log_inode, log_bytes) = place.unwrap_or_default();
        let running = entry.process.is_some();
        let [stdout, stderr] = entry.total();
        let mut open = Vec::new();
        if let Some(log) = entry.log.as_ref().filter(|_| attach.with_open_line && output) {
            open = [Stream::Out, Stream::Err].map(|s| (s, log.open_line(s).to_vec())).into();
        }
        let seen = Seen { stdout, stderr };
        if let Some(behind) = attach.behind.filter(|_| output) {
            open.extend(self.missed(slot, seen, behind));
        }
        self.tell(number, seq, Tell::Attached(Attached { running, log_inode, log_bytes, seen: Some(seen) }));
        for (stream, bytes) in open.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let position = [stdout, stderr][stream.index()].saturating_sub(bytes.len() as u64);
            let output = Output { stream: stream as u32, bytes, end: false, position };
            self.tell(number, 0, Tell::Output(output));
        }
        self.note_watchers(slot);
        self.resume_entry(slot);
        Ok(())
    }

    /// What a client of a dead supervisor has not got of that one's last batch.
    fn missed(&self, slot: usize, total: Seen, behind: Seen) -> Option<(Stream, Vec<u8>)> {
        let last = self.last.as_ref().filter(|last| last.slot == slot)?;
        let missing = match last.stream {
            Stream::Out => total.stdout.checked_sub(behind.stdout)?,
            Stream::Err => total.stderr.checked_sub(behind.stderr)?,
        };
        let from = last.bytes.len().checked_sub(missing as usize)?;
        Some((last.stream, last.bytes[from..].to_vec()))
    }

    /// Takes input from an attached client. False: it may not send any.
    pub(crate) fn input(&mut self, number: u64, input: Input) -> bool {
        let Some(Role::Attached { target, stdin: true, .. }) =
            self.clients.get(&number).map(|client| &client.role)
        else {
            return false;
        };
        let Some(slot) = self.find(target) else { return true };
        let Some(process) = self.entry(slot).and_then(|entry| entry.process.as_mut()) else { return true };
        process.stdio.input.extend(&input.bytes);
        self.write_input(slot);
        if input.end {
            self.end_input(slot);
        }
        true
    }

    /// Nothing takes this client's input now.
    pub(crate) fn is_stuck(&self, number: u64) -> bool {
        let Some(Role::Attached { target, .. }) = self.clients.get(&number).map(|client| &client.role) else {
            return false;
        };
        let entry = self.find(target).and_then(|slot| self.entries.get(slot)?.as_ref());
        let Some(entry) = entry.filter(|entry| entry.clients.contains(&number)) else { return true };
        entry.process.as_ref().is_none_or(|process| process.stdio.input.len() >= FULL_BYTES)
    }

    /// Takes the input that waited for the process.
    pub(crate) fn wake_clients(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        for number in entry.clients.clone() {
            if self.clients.get(&number).is_some_and(|client| client.muted) {
                self.take_frames(number);
            }
        }
    }

    /// A stdin pipe has room, or nobody reads it any more.
    pub(crate) fn stdin_ready(&mut self, slot: usize) {
        self.write_input(slot);
        self.wake_clients(slot);
    }

    /// Writes what waits; closes stdin behind it when no more will come.
    pub(crate) fn write_input(&mut self, slot: usize) {
        let Some(process) = self.entry(slot).and_then(|entry| entry.process.as_mut()) else { return };
        let stdio = &mut process.stdio;
        let mut lost = false;
        if let Some(fd) = stdio.stdin.as_ref().or(stdio.terminal.as_ref()) {
            while !stdio.input.is_empty() {
                match rustix::io::write(fd, stdio.input.as_slices().0) {
                    Ok(written) => drop(stdio.input.drain(..written)),
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(_) => {
                        lost = true;
                        break;
                    }
                }
            }
        } else {
            lost = true;
        }
        if lost {
            stdio.input.clear();
        }
        if stdio.input.is_empty() {
            stdio.input.shrink_to(1024);
        }
        if stdio.input_ends && stdio.input.is_empty() || lost {
            self.close_stdin(slot);
        }
        self.watch_stdin(slot);
    }

    fn watch_stdin(&self, slot: usize) {
        let Some(entry) = self.entries.get(slot).and_then(Option::as_ref) else { return };
        let Some(process) = &entry.process else { return };
        let Some(fd) = &process.stdio.stdin else { return self.watch_terminal(slot) };
        self.poll.remove(fd);
        if !process.stdio.input.is_empty() {
            let _ = self.poll.add(fd, Token::Stdin(slot), Ready::OUT);
        }
    }

    /// A client sends no more. Only an exec, and a container whose stdin is for one client, see an end.
    pub(crate) fn end_input(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        let once = entry.record.is_exec() || entry.stdio().stdin_once;
        let Some(process) = entry.process.as_mut().filter(|_| once) else { return };
        process.stdio.input_ends = true;
        if process.stdio.input.is_empty() {
            self.close_stdin(slot);
        }
    }

    fn close_stdin(&mut self, slot: usize) {
        let Some(process) = self.entry(slot).and_then(|entry| entry.process.as_mut()) else { return };
        if let Some(fd) = process.stdio.stdin.take() {
            self.poll.remove(&fd);
            drop(fd);
            self.release(slot, &["stdin"]);
        }
    }

    /// Tells everybody attached before the start that the process runs now.
    pub(crate) fn tell_begin(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        let total = entry.total();
        for number in entry.clients.clone() {
            let [stdout, stderr] = total;
            let attached =
                Attached { running: true, seen: Some(Seen { stdout, stderr }), ..Attached::default() };
            self.tell(number, 0, Tell::Attached(attached));
        }
        self.note_watchers(slot);
    }

    /// Tells everybody attached that no more output comes.
    pub(crate) fn end_clients(&mut self, slot: usize) {
        let Some(entry) = self.entry(slot) else { return };
        for number in std::mem::take(&mut entry.clients) {
            self.tell_end(number);
        }
    }

    fn tell_end(&mut self, number: u64) {
        self.tell(number, 0, Tell::Output(Output { end: true, ..Output::default() }));
    }
}
