//! Moves output into the log so that a `kill -9` at any instruction neither loses nor doubles a byte.
//!
//! A batch: (1) the intent is written: whose output comes, at which time, to which place of which file; (2) one splice moves
//! the bytes from the pipe to the journal, whose length tells afterwards whether that happened; (3) entries are
//! written at the place announced; (4) the open line and then the progress are written. Found unfinished, a batch is done again from
//! (3): same bytes, same time, same place, so the same file comes out. Where the log must be rotated, the progress says how many bytes
//! are in the full file, and the rest becomes a batch of its own for the new one.

use protocol::Log;
use rustix::io::{Errno, Result};

use super::entry::{self, Stream};
use super::file::LogFile;
use super::line::{Cut, OpenLine, cut};
use crate::clock;
use crate::intent::{Intent, Progress};
use crate::ledger::{BATCH_BYTES, Ledger, Source};

/// The log of one container.
#[derive(Debug)]
pub(crate) struct ContainerLog {
    slot: usize,
    file: LogFile,
    progress: Progress,
    open: [OpenLine; 2],
    /// What failed in this batch.
    failed: Option<Errno>,
    /// The batch before lost entries, and that was said.
    broken: bool,
}

impl ContainerLog {
    /// Opens the log of the container in this slot and goes on where it was left.
    pub(crate) fn open(ledger: &Ledger, slot: usize, rules: &Log) -> Result<Self> {
        let progress = ledger.progress(slot)?;
        let open = [0, 1].map(|stream| ledger.open_line(slot, stream, progress.open[stream]));
        let [out, err] = open;
        Ok(Self {
            slot,
            file: LogFile::open(rules)?,
            progress,
            open: [out?, err?],
            failed: None,
            broken: false,
        })
    }

    /// The file's inode and length: where the next entry goes.
    pub(crate) fn place(&mut self) -> (u64, u64) {
        self.file.refresh();
        (self.file.inode, self.file.size)
    }

    /// How many bytes of each stream have come.
    pub(crate) fn total(&self) -> [u64; 2] {
        self.progress.total
    }

    /// What came and waits for the end of its line.
    pub(crate) fn open_line(&self, stream: Stream) -> &[u8] {
        &self.open[stream.index()].bytes
    }

    /// Moves one batch from the source to the log; the bytes are in `buffer` then. `Ok(0)` is the end of the
    /// stream, `EAGAIN` nothing now; any other failure is the source's. A log that cannot be written loses its entries, as dockerd's
    /// does: the container goes on.
    pub(crate) fn batch(
        &mut self,
        ledger: &mut Ledger,
        stream: Stream,
        source: Source<'_>,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let intent = self.intent(ledger, stream, Intent::WRITE);
        self.keep(ledger.put_intent(&intent));
        let filled = match ledger.fill(source) {
            Ok(taken @ 1..) => ledger.read_journal(intent.base, buffer).map(|read| read.min(taken)),
            // The journal's disk is full, or this kernel does not splice from there.
            Err(errno) if !matches!(errno, Errno::AGAIN | Errno::IO) => {
                ledger.read(source, &mut buffer[..BATCH_BYTES])
            }
            other => other,
        };
        match filled {
            Ok(taken @ 1..) => self.write(ledger, intent, &buffer[..taken]),
            _ => self.commit(ledger, intent.serial),
        }
        self.keep(ledger.trim_journal(false));
        self.say_trouble();
        filled
    }

    /// The stream has ended: its open line becomes an entry without line feed.
    pub(crate) fn flush(&mut self, ledger: &mut Ledger, stream: Stream) {
        if self.open[stream.index()] == OpenLine::default() {
            return;
        }
        let intent = self.intent(ledger, stream, Intent::FLUSH);
        self.keep(ledger.put_intent(&intent));
        self.flush_open(ledger, intent, stream);
        self.say_trouble();
    }

    /// Remembers a failure. What comes after it is done all the same: the bytes are taken already, and the next ones may fit.
    fn keep(&mut self, done: Result<()>) {
        self.failed = self.failed.or(done.err());
    }

    /// Says once that entries are lost, and once that they no longer are.
    fn say_trouble(&mut self) {
        let path = self.file.path();
        match (self.broken, self.failed) {
            (false, Some(errno)) => complain!("the log {path} loses entries: {errno}"),
            (true, None) => complain!("the log {path} is written again"),
            _ => {}
        }
        self.broken = self.failed.take().is_some();
    }

    fn intent(&mut self, ledger: &mut Ledger, stream: Stream, act: u64) -> Intent {
        self.file.refresh();
        Intent {
            serial: ledger.next_serial(),
            slot: self.slot as u64,
            stream: stream as u64,
            base: ledger.base(),
            at_ns: clock::wall_ns(),
            log_offset: self.file.size,
            log_inode: self.file.inode,
            act,
        }
    }

    /// Steps (3) and (4) for these bytes. Before an entry that does not fit, what was printed so far is finished as
    /// a batch, then the rotation is one, then it goes on.
    fn write(&mut self, ledger: &mut Ledger, mut intent: Intent, bytes: &[u8]) {
        let Some(stream) = Stream::from_number(intent.stream as u8) else { return };
        let index = stream.index();
        let mut printed = Vec::with_capacity(bytes.len() + bytes.len() / 2 + 256);
        // `bytes` begins where the intent does; a rotation moves both.
        let (mut bytes, mut rest) = (bytes, bytes);
        while let Some(Cut { taken, whole }) = cut(self.open[index].bytes.len(), rest) {
            let before = printed.len();
            let line = [&self.open[index].bytes[..], &rest[..taken - usize::from(whole)]];
            let at_ns = self.open[index].since_ns.unwrap_or(intent.at_ns);
            entry::print(&mut printed, line, whole, stream, at_ns);
            if self.file.is_full(intent.log_offset + before as u64, printed.len() - before) {
                self.append(intent.log_offset, &printed[..before]);
                let done = (bytes.len() - rest.len()) as u64;
                intent = self.rotate(ledger, intent, done);
                bytes = rest;
                printed.drain(..before);
            }
            let since_ns = (!whole).then_some(at_ns);
            self.open[index] = OpenLine { bytes: Vec::new(), since_ns };
            rest = &rest[taken..];
        }
        self.append(intent.log_offset, &printed);
        self.progress.total[index] += bytes.len() as u64;
        self.open[index].bytes.extend_from_slice(rest);
        self.put_open_line(ledger, index);
        self.commit(ledger, intent.serial);
    }

    /// Notes that `done` bytes of the batch are in the full file, moves the files, and answers the intent for the rest.
    fn rotate(&mut self, ledger: &mut Ledger, intent: Intent, done: u64) -> Intent {
        self.progress.part = intent.serial;
        self.progress.done = done;
        self.progress.total[usize::from(intent.stream == 2)] += done;
        self.put_open_line(ledger, usize::from(intent.stream == 2));
        self.keep(ledger.put_progress(self.slot, &self.progress));
        self.rotated(ledger, Intent { base: intent.base + done, ..intent })
    }

    /// Where the names cannot be moved, or no new file can be made, the old one goes on: better one long file than none.
    fn rotated(&mut self, ledger: &mut Ledger, intent: Intent) -> Intent {
        let moved = self.file.rotate().or_else(|_| self.file.reopen());
        self.keep(moved);
        self.resume_at_end(ledger, intent)
    }

    fn resume_at_end(&mut self, ledger: &mut Ledger, intent: Intent) -> Intent {
        let (log_inode, log_offset) = self.place();
        let next = Intent { serial: ledger.next_serial(), log_inode, log_offset, ..intent };
        self.keep(ledger.put_intent(&next));
        next
    }

    fn flush_open(&mut self, ledger: &mut Ledger, intent: Intent, stream: Stream) {
        let open = std::mem::take(&mut self.open[stream.index()]);
        let mut printed = Vec::new();
        if !open.bytes.is_empty() {
            let at_ns = open.since_ns.unwrap_or(intent.at_ns);
            entry::print(&mut printed, [&open.bytes, &[]], false, stream, at_ns);
        }
        self.append(intent.log_offset, &printed);
        self.put_open_line(ledger, stream.index());
        self.commit(ledger, intent.serial);
    }

    fn append(&mut self, offset: u64, printed: &[u8]) {
        if !printed.is_empty() {
            let written = self.file.write_at(offset, printed);
            self.keep(written);
        }
    }

    /// One that cannot be kept (the ledger's disk is full) is lost with this supervisor, should that be killed.
    fn put_open_line(&mut self, ledger: &Ledger, stream: usize) {
        let before = self.progress.open[stream];
        let put = ledger.put_open_line(self.slot, stream, before, &self.open[stream]);
        self.progress.open[stream] = put.unwrap_or_default();
        self.keep(put.map(drop));
    }

    fn commit(&mut self, ledger: &Ledger, serial: u64) {
        self.progress.serial = serial;
        self.keep(ledger.put_progress(self.slot, &self.progress));
    }
}

/// The last bytes a dead supervisor took from a process. Attached clients may have them or not.
#[derive(Debug)]
pub(crate) struct Last {
    /// Whose.
    pub(crate) slot: usize,
    /// Which stream.
    pub(crate) stream: Stream,
    /// The end of the stream.
    pub(crate) bytes: Vec<u8>,
}

/// After a death: finishes the batch that was interrupted, if there is one, with `rules` giving the log of a slot.
pub(crate) fn recover(ledger: &mut Ledger, rules: impl Fn(usize) -> Option<Log>) -> Result<Option<Last>> {
    ledger.recover_journal()?;
    let intent = ledger.intent()?;
    let slot = intent.slot as usize;
    let mut bytes = vec![0; ledger.base().saturating_sub(intent.base) as usize];
    if !bytes.is_empty() {
        let read = ledger.read_journal(intent.base, &mut bytes)?;
        bytes.truncate(read);
    }
    let last = Stream::from_number(intent.stream as u8).map(|stream| Last { slot, stream, bytes });
    if let Some(rules) = rules(slot)
        && ledger.progress(slot)?.serial != intent.serial
    {
        let mut log = ContainerLog::open(ledger, slot, &rules)?;
        redo(ledger, &mut log, intent)?;
        log.say_trouble();
    }
    ledger.trim_journal(true)?;
    Ok(last)
}

/// Does an unfinished batch again.
fn redo(ledger: &mut Ledger, log: &mut ContainerLog, mut intent: Intent) -> Result<()> {
    let Some(stream) = Stream::from_number(intent.stream as u8) else { return Ok(()) };
    let place = log.place();
    let next = continuation(&intent, &log.progress, place);
    if log.progress.part == intent.serial {
        intent.base += log.progress.done;
    }
    intent = match next {
        Continuation::Rotate => log.rotated(ledger, intent),
        Continuation::AtEnd => log.resume_at_end(ledger, intent),
        Continuation::InPlace => intent,
    };
    if intent.act == Intent::FLUSH {
        log.flush_open(ledger, intent, stream);
        return Ok(());
    }
    let mut buffer = vec![0; ledger.base().saturating_sub(intent.base) as usize];
    let taken = if buffer.is_empty() { 0 } else { ledger.read_journal(intent.base, &mut buffer)? };
    log.write(ledger, intent, &buffer[..taken]);
    Ok(())
}

/// How an unfinished batch goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Continuation {
    /// The full file still has its name: move the names (again).
    Rotate,
    /// The file announced is not there or shorter (rotated already, or somebody else touched it).
    AtEnd,
    /// Write the same bytes at the same place.
    InPlace,
}

/// Decides from the intent, the progress, and what lies at the log's path now (inode, length). Pure.
fn continuation(intent: &Intent, progress: &Progress, (inode, size): (u64, u64)) -> Continuation {
    match (progress.part == intent.serial, inode == intent.log_inode) {
        (true, true) => Continuation::Rotate,
        (false, true) if size >= intent.log_offset => Continuation::InPlace,
        _ => Continuation::AtEnd,
    }
}

#[cfg(test)]
mod tests;
