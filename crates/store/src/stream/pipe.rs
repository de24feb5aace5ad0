//! Inflating, hashing and using the bytes, each on a thread of its own.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use types::Digest;

use super::{Bound, Bounded, Counted, Hasher, inflate, sniff};
use crate::error::{Error, Result};

const CHUNK: usize = 256 << 10;
/// Chunks in flight: bounds the memory to 4 MiB.
const DEPTH: usize = 8;

/// The digest of a file's decompressed bytes.
pub(crate) fn inflate_and_hash(file: File, bound: Bound) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let take = |chunk: Chunk| {
        hasher.update(&chunk);
        true
    };
    pump(file, bound, take).map_err(|e| Error::stream("cannot read the layer", e))?;
    Ok(hasher.finish())
}

/// Gives the decompressed bytes of `file` to `work` and answers with its result and their digest, which is not computed
/// when it is `known`. The digest is of everything: `work` must read to the end.
pub(crate) fn with_inflated<T>(
    file: File,
    bound: Bound,
    known: Option<Digest>,
    work: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<(T, Digest)> {
    let (sender, receiver) = sync_channel(DEPTH);
    let (to_hash, hashed) = sync_channel::<Chunk>(DEPTH);
    thread::scope(|scope| {
        let hashing = known.is_none().then(|| scope.spawn(move || hash(&hashed)));
        let to_hash = hashing.is_some().then_some(to_hash);
        scope.spawn(move || feed(file, bound, &sender, to_hash.as_ref()));
        let mut inflated = Chunks { receiver, chunk: Chunk::default(), at: 0 };
        let done = work(&mut inflated);
        // The inflating thread ends when nobody listens, and the hashing one after it.
        drop(inflated);
        let found =
            hashing.map(|thread| thread.join().map_err(|_| Error::corrupt("the hashing thread panicked")));
        let digest = match (known, found) {
            (Some(known), _) => known,
            (None, Some(found)) => found?,
            (None, None) => return Err(Error::corrupt("nothing was hashed")),
        };
        done.map(|done| (done, digest))
    })
}

type Chunk = Arc<Vec<u8>>;

fn hash(chunks: &Receiver<Chunk>) -> Digest {
    let mut hasher = Hasher::new();
    for chunk in chunks {
        hasher.update(&chunk);
    }
    hasher.finish()
}

fn feed(
    file: File,
    bound: Bound,
    sender: &SyncSender<io::Result<Chunk>>,
    to_hash: Option<&SyncSender<Chunk>>,
) {
    let take = |chunk: Chunk| {
        let hashing = to_hash.is_none_or(|to_hash| to_hash.send(Arc::clone(&chunk)).is_ok());
        hashing && sender.send(Ok(chunk)).is_ok()
    };
    if let Err(e) = pump(file, bound, take) {
        // A closed channel means that the other side failed already, with the better error.
        let _ = sender.send(Err(e));
    }
}

/// Shows every chunk to `take`, until the end or until it answers false.
fn pump(file: File, bound: Bound, mut take: impl FnMut(Chunk) -> bool) -> io::Result<()> {
    let (file, taken) = Counted::new(file);
    let (compression, file) = sniff(file).map_err(io::Error::other)?;
    let mut input = Bounded::new(inflate(compression, file)?, bound, taken);
    loop {
        let mut chunk = vec![0; CHUNK];
        let count = fill(&mut input, &mut chunk)?;
        chunk.truncate(count);
        if count == 0 || !take(Arc::new(chunk)) {
            return Ok(());
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
    chunk: Chunk,
    at: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            match self.receiver.recv() {
                Ok(chunk) => self.chunk = chunk?,
                Err(_) => return Ok(0),
            }
            self.at = 0;
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
