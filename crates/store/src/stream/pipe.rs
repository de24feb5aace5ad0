//! Inflating and hashing on one thread, using the bytes on another.

use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use types::Digest;

use super::{Bound, Bounded, Counted, Hasher, inflate, sniff};
use crate::error::{Error, Result};

const CHUNK: usize = 256 << 10;
/// Chunks in flight: bounds the memory to 2 MiB.
const DEPTH: usize = 8;

/// The digest of a file's decompressed bytes.
pub(crate) fn inflate_and_hash(file: File, bound: Bound) -> Result<Digest> {
    pump(file, bound, |_| true).map_err(|e| Error::stream("cannot read the layer", e))
}

/// Gives the decompressed bytes of `file` to `work` and answers with its result and their digest. The digest
/// is of everything: `work` must read to the end.
pub(crate) fn with_inflated<T>(
    file: File,
    bound: Bound,
    work: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<(T, Digest)> {
    let (sender, receiver) = sync_channel(DEPTH);
    thread::scope(|scope| {
        let pumping = scope.spawn(move || feed(file, bound, &sender));
        let mut inflated = Chunks { receiver, chunk: Vec::new(), at: 0 };
        let done = work(&mut inflated);
        drop(inflated);
        let digest = pumping.join().map_err(|_| Error::corrupt("the inflating thread panicked"))?;
        done.map(|done| (done, digest))
    })
}

type Chunk = io::Result<Vec<u8>>;

fn feed(file: File, bound: Bound, sender: &SyncSender<Chunk>) -> Digest {
    match pump(file, bound, |chunk| sender.send(Ok(chunk.to_vec())).is_ok()) {
        Ok(digest) => digest,
        Err(e) => {
            // A closed channel means that the other side failed already, with the better error.
            let _ = sender.send(Err(e));
            Digest::from_hash([0; 32])
        }
    }
}

/// Shows every chunk to `take`, until the end or until it answers false.
fn pump(file: File, bound: Bound, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<Digest> {
    let (file, taken) = Counted::new(file);
    let (compression, file) = sniff(file).map_err(io::Error::other)?;
    let mut input = Bounded::new(inflate(compression, file)?, bound, taken);
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = fill(&mut input, &mut chunk)?;
        hasher.update(&chunk[..count]);
        if count == 0 || !take(&chunk[..count]) {
            return Ok(hasher.finish());
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
    receiver: Receiver<Chunk>,
    chunk: Vec<u8>,
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
