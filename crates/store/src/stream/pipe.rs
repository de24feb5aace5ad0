//! Inflating, hashing and using the bytes, each on a thread of its own.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use types::Digest;

use super::{Bound, Bounded, Compression, Counted, Hasher, inflate, sniff};
use crate::error::{Error, Result};

const CHUNK: usize = 256 << 10;
/// Chunks on their way to each reader. Both read at their own pace, so at most this many more are alive than are read: 2 MiB.
const DEPTH: usize = 8;

/// The digest of a stream's decompressed bytes.
pub(crate) fn inflate_and_hash(input: impl Read, bound: Bound) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let take = |chunk: Chunk| {
        hasher.update(chunk.bytes());
        true
    };
    let opened = Opened::new(input, bound).map_err(|e| Error::stream("cannot read the layer", e))?;
    opened.pump(take).map_err(|e| Error::stream("cannot read the layer", e))?;
    Ok(hasher.finish())
}

/// Gives the decompressed bytes of `input` to `work` and answers with its result and their digest. `raw`: the digest of `input` itself,
/// where somebody else hashes that; one that is not compressed is not hashed again. The digest is of everything: `work` must read
/// to the end.
pub(crate) fn with_inflated<T>(
    input: impl Read + Send,
    bound: Bound,
    raw: Option<Digest>,
    work: impl FnOnce(&mut dyn BufRead) -> Result<T>,
) -> Result<(T, Digest)> {
    let (sender, receiver) = sync_channel(DEPTH);
    let (to_hash, to_be_hashed) = sync_channel(DEPTH);
    thread::scope(|scope| {
        let hashing = scope.spawn(move || hash(&to_be_hashed));
        let feeding = scope.spawn(move || feed(input, bound, &sender, to_hash, raw));
        let mut inflated = Chunks { receiver, chunk: None, at: 0 };
        let done = work(&mut inflated);
        // The feeding thread ends when nobody listens, and the hashing one after it.
        drop(inflated);
        let panicked = |_| Error::corrupt("a thread that reads the layer panicked");
        let known = feeding.join().map_err(panicked)?;
        let hashed = hashing.join().map_err(panicked)?;
        done.map(|done| (done, known.unwrap_or(hashed)))
    })
}

/// Some inflated bytes. The last who lets go of them gives the memory back to be filled again: fresh memory would cost a page fault
/// for each 4 KiB.
type Chunk = Arc<Filled>;

struct Filled {
    memory: Vec<u8>,
    length: usize,
    spare: Spare,
}

impl Filled {
    fn bytes(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.memory));
    }
}

/// Memory that waits to be filled.
#[derive(Clone, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| vec![0; CHUNK])
    }

    fn put(&self, memory: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

fn hash(chunks: &Receiver<Chunk>) -> Digest {
    let mut hasher = Hasher::new();
    for chunk in chunks {
        hasher.update(chunk.bytes());
    }
    hasher.finish()
}

/// Answers `raw` where that is the digest of what it gave; then nothing was hashed.
fn feed(
    input: impl Read,
    bound: Bound,
    sender: &SyncSender<io::Result<Chunk>>,
    to_hash: SyncSender<Chunk>,
    raw: Option<Digest>,
) -> Option<Digest> {
    let fail = |e| {
        // A closed channel means that the other side failed already, with the better error.
        let _ = sender.send(Err(e));
        None
    };
    let opened = match Opened::new(input, bound) {
        Ok(opened) => opened,
        Err(e) => return fail(e),
    };
    let known = raw.filter(|_| opened.compression == Compression::Plain);
    let to_hash = known.is_none().then_some(to_hash);
    let take = |chunk: Chunk| {
        let hashing = to_hash.as_ref().is_none_or(|to_hash| to_hash.send(Arc::clone(&chunk)).is_ok());
        hashing && sender.send(Ok(chunk)).is_ok()
    };
    opened.pump(take).map_or_else(fail, |()| known)
}

/// A stream whose compression is known.
struct Opened<'a> {
    compression: Compression,
    input: Bounded<Box<dyn Read + 'a>>,
}

impl<'a> Opened<'a> {
    fn new(input: impl Read + 'a, bound: Bound) -> io::Result<Self> {
        let (input, taken) = Counted::new(input);
        let (compression, input) = sniff(input).map_err(io::Error::other)?;
        Ok(Self { compression, input: Bounded::new(inflate(compression, input)?, bound, taken) })
    }

    /// Shows every chunk to `take`, until the end or until it answers false.
    fn pump(mut self, mut take: impl FnMut(Chunk) -> bool) -> io::Result<()> {
        let spare = Spare::default();
        loop {
            let mut memory = spare.take();
            let length = fill(&mut self.input, &mut memory)?;
            if length == 0 || !take(Arc::new(Filled { memory, length, spare: spare.clone() })) {
                return Ok(());
            }
        }
    }
}

fn fill(input: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < chunk.len() {
        match input.read(&mut chunk[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

struct Chunks {
    receiver: Receiver<io::Result<Chunk>>,
    chunk: Option<Chunk>,
    at: usize,
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.as_ref().is_none_or(|chunk| chunk.length == self.at) {
            // Given back before the next is waited for.
            self.chunk = None;
            self.at = 0;
            if let Ok(chunk) = self.receiver.recv() {
                self.chunk = Some(chunk?);
            }
        }
        Ok(self.chunk.as_ref().map_or(&[], |chunk| &chunk.bytes()[self.at..]))
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.fill_buf()?;
        let count = buffer.len().min(rest.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}
