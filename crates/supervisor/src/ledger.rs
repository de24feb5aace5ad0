//! What survives a `kill -9` of the supervisor: one sparse file of slots, one journal of output on its way to a log, one
//! FIFO that holds what was taken from a terminal. All lie in the run directory, a tmpfs.
//!
//! Every change is one `pwrite` or one `splice`; the kernel finishes such a call before it lets a killed process
//! go, so a change is there or not. Slot n of a container or exec: its [`Record`] in the first page, the
//! [`Progress`] of its log in the second, then two halves of [`line::LIMIT`] for the open line of each stream.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prost::Message;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::pipe::{SpliceFlags, splice};

use crate::intent::{Intent, Open, Progress};
use crate::log::line::{self, OpenLine};
use crate::record::Record;

/// The most bytes moved at once, so that no container keeps the others waiting.
pub(crate) const BATCH_BYTES: usize = 64 << 10;

const PAGE: u64 = 4096;
const SLOT_BYTES: u64 = 2 * PAGE + 4 * line::LIMIT as u64;
const INTENT_AT: u64 = 64;
const JOURNAL_RESET_BYTES: u64 = 1 << 20;

/// The files.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: OwnedFd,
    journal: OwnedFd,
    hold: OwnedFd,
    serial: u64,
    base: u64,
    next_event: u64,
    used: Vec<bool>,
}

/// Where output is taken from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The read end of a pipe.
    Pipe(BorrowedFd<'a>),
    /// A pseudo-terminal's master.
    Terminal(BorrowedFd<'a>),
}

impl Source<'_> {
    /// The descriptor to read.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(fd) | Self::Terminal(fd) => *fd,
        }
    }
}

impl Ledger {
    /// Opens or makes the files in the run directory.
    pub(crate) fn open(directory: BorrowedFd<'_>) -> Result<Self> {
        let make = |name: &str| {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))
        };
        match rustix::fs::mknodat(directory, "hold", FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let hold = rustix::fs::openat(directory, "hold", flags, Mode::empty())?;
        let mut ledger = Self {
            file: make("ledger")?,
            journal: make("journal")?,
            hold,
            serial: 0,
            base: 0,
            next_event: 1,
            used: Vec::new(),
        };
        ledger.next_event = ledger.words::<1>(0)?[0].max(1);
        ledger.serial = ledger.intent()?.serial;
        Ok(ledger)
    }

    /// The FIFO; it must stay open somewhere while the supervisor is dead.
    pub(crate) fn hold(&self) -> BorrowedFd<'_> {
        self.hold.as_fd()
    }

    /// Every record that is there, with its slot.
    pub(crate) fn load(&mut self) -> Result<Vec<(usize, Record)>> {
        let bytes = rustix::fs::fstat(&self.file)?.st_size as u64;
        let slots = bytes.saturating_sub(PAGE).div_ceil(SLOT_BYTES) as usize;
        self.used = vec![false; slots];
        let mut records = Vec::new();
        for slot in 0..slots {
            if let Some(record) = self.record(slot)? {
                self.used[slot] = true;
                records.push((slot, record));
            }
        }
        Ok(records)
    }

    fn record(&self, slot: usize) -> Result<Option<Record>> {
        let mut page = [0; PAGE as usize];
        let read = rustix::io::pread(&self.file, &mut page, slot_at(slot))?;
        let Some((head, rest)) = page[..read].split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        Ok(rest.get(..length).filter(|body| !body.is_empty()).and_then(|body| Record::decode(body).ok()))
    }

    /// Takes a free slot, whose log has nothing left to do.
    pub(crate) fn take_slot(&mut self) -> Result<usize> {
        let slot = self.used.iter().position(|used| !used).unwrap_or(self.used.len());
        self.put_progress(slot, &Progress { serial: self.serial, ..Progress::default() })?;
        if slot == self.used.len() {
            self.used.push(true);
        } else {
            self.used[slot] = true;
        }
        Ok(slot)
    }

    /// Gives a slot back.
    pub(crate) fn free_slot(&mut self, slot: usize) -> Result<()> {
        if let Some(used) = self.used.get_mut(slot) {
            *used = false;
        }
        write(self.file.as_fd(), &[0; 4], slot_at(slot))
    }

    /// Writes a record.
    pub(crate) fn put_record(&self, slot: usize, record: &Record) -> Result<()> {
        let bytes = protocol::encode(record);
        if bytes.len() > PAGE as usize {
            return Err(Errno::TOOBIG);
        }
        write(self.file.as_fd(), &bytes, slot_at(slot))
    }

    /// The number of the next event; numbers never come twice.
    pub(crate) fn number_event(&mut self) -> Result<u64> {
        let number = self.next_event;
        self.put_words(0, [number + 1])?;
        self.next_event = number + 1;
        Ok(number)
    }

    /// The number of the last event.
    pub(crate) fn last_event(&self) -> u64 {
        self.next_event - 1
    }

    /// The number of the next batch.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The journal's end: where the next batch begins.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The last intent.
    pub(crate) fn intent(&self) -> Result<Intent> {
        Ok(Intent::from_words(self.words(INTENT_AT)?))
    }

    /// Writes what is about to be done.
    pub(crate) fn put_intent(&self, intent: &Intent) -> Result<()> {
        self.put_words(INTENT_AT, intent.to_words())
    }

    /// How far a slot's log has come.
    pub(crate) fn progress(&self, slot: usize) -> Result<Progress> {
        Ok(Progress::from_words(self.words(slot_at(slot) + PAGE)?))
    }

    /// Writes how far it has come; this finishes the batch.
    pub(crate) fn put_progress(&self, slot: usize, progress: &Progress) -> Result<()> {
        self.put_words(slot_at(slot) + PAGE, progress.to_words())
    }

    /// The open line of a stream (0 or 1).
    pub(crate) fn open_line(&self, slot: usize, stream: usize, open: Open) -> Result<OpenLine> {
        let mut bytes = vec![0; open.length as usize];
        let read = rustix::io::pread(&self.file, &mut bytes, half_at(slot, stream, open.half))?;
        bytes.truncate(read);
        Ok(OpenLine { bytes, since_ns: (open.since_ns != 0).then_some(open.since_ns) })
    }

    /// Writes an open line into the half that is not in use, and says where it lies. It counts once the progress says so.
    pub(crate) fn put_open_line(
        &self,
        slot: usize,
        stream: usize,
        before: Open,
        line: &OpenLine,
    ) -> Result<Open> {
        let since_ns = line.since_ns.unwrap_or(0);
        if line.bytes.is_empty() {
            return Ok(Open { since_ns, ..Open::default() });
        }
        let half = 1 - before.half;
        write(self.file.as_fd(), &line.bytes, half_at(slot, stream, half))?;
        Ok(Open { half, length: line.bytes.len() as u64, since_ns })
    }

    /// Moves what the source has (up to a batch) to the journal's end. `Ok(0)` is the end of the stream, `EAGAIN` nothing now.
    pub(crate) fn fill(&mut self, source: Source<'_>) -> Result<usize> {
        let moved = match source {
            Source::Pipe(pipe) => self.to_journal(pipe, BATCH_BYTES)?,
            Source::Terminal(master) => {
                let held = splice(master, None, &self.hold, None, BATCH_BYTES, SpliceFlags::empty());
                match self.empty_hold() {
                    Err(Errno::AGAIN) => held?,
                    moved => moved?,
                }
            }
        };
        self.base += moved as u64;
        Ok(moved)
    }

    /// Where a read can be tried when `fill` failed: what was held already comes before what the source has.
    pub(crate) fn read(&self, source: Source<'_>, buffer: &mut [u8]) -> Result<usize> {
        match rustix::io::read(&self.hold, &mut *buffer) {
            Ok(held) if held > 0 => Ok(held),
            _ => rustix::io::read(source.fd(), buffer),
        }
    }

    /// Moves what is held. What cannot be moved now stays and comes before what the terminal says next.
    fn empty_hold(&self) -> Result<usize> {
        let mut moved = 0;
        loop {
            match self.to_journal_at(self.hold.as_fd(), self.base + moved as u64, BATCH_BYTES) {
                Ok(more @ 1..) => moved += more,
                Err(errno) if moved == 0 => return Err(errno),
                Ok(0) | Err(_) => return Ok(moved),
            }
        }
    }

    fn to_journal(&self, pipe: BorrowedFd<'_>, bytes: usize) -> Result<usize> {
        self.to_journal_at(pipe, self.base, bytes)
    }

    fn to_journal_at(&self, pipe: BorrowedFd<'_>, mut at: u64, bytes: usize) -> Result<usize> {
        loop {
            match splice(pipe, None, &self.journal, Some(&mut at), bytes, SpliceFlags::NONBLOCK) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// Reads the journal from `from` to its end.
    pub(crate) fn read_journal(&self, from: u64, buffer: &mut [u8]) -> Result<usize> {
        let wanted = ((self.base - from) as usize).min(buffer.len());
        let mut done = 0;
        while done < wanted {
            match rustix::io::pread(&self.journal, &mut buffer[done..wanted], from + done as u64)? {
                0 => break,
                n => done += n,
            }
        }
        Ok(done)
    }

    /// After a death: the rest of an unfinished batch joins the journal, whose end is found again.
    pub(crate) fn recover_journal(&mut self) -> Result<()> {
        self.base = rustix::fs::fstat(&self.journal)?.st_size as u64;
        loop {
            match self.to_journal(self.hold.as_fd(), BATCH_BYTES) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Ok(moved) => self.base += moved as u64,
                Err(error) => return Err(error),
            }
        }
    }

    /// Between two batches: drops what the journal has when it has become long.
    pub(crate) fn trim_journal(&mut self, always: bool) -> Result<()> {
        if self.base >= JOURNAL_RESET_BYTES || always {
            rustix::fs::ftruncate(&self.journal, 0)?;
            self.base = 0;
        }
        Ok(())
    }

    fn words<const N: usize>(&self, at: u64) -> Result<[u64; N]> {
        let mut bytes = [0; 128];
        let read = rustix::io::pread(&self.file, &mut bytes[..N * 8], at)?;
        bytes[read..].fill(0);
        let mut words = [0; N];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Ok(words)
    }

    fn put_words<const N: usize>(&self, at: u64, words: [u64; N]) -> Result<()> {
        let mut bytes = [0; 128];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        write(self.file.as_fd(), &bytes[..N * 8], at)
    }
}

fn slot_at(slot: usize) -> u64 {
    PAGE + slot as u64 * SLOT_BYTES
}

fn half_at(slot: usize, stream: usize, half: u64) -> u64 {
    slot_at(slot) + 2 * PAGE + (stream as u64 * 2 + half) * line::LIMIT as u64
}

/// Small writes to tmpfs are whole or fail.
fn write(fd: BorrowedFd<'_>, bytes: &[u8], at: u64) -> Result<()> {
    let written = rustix::io::pwrite(fd, bytes, at)?;
    if written == bytes.len() { Ok(()) } else { Err(Errno::NOSPC) }
}
