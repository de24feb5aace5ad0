//! A file that one thread writes while another reads it from its start: the page cache is the buffer between them, so a
//! slow reader holds up nobody and costs no memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use types::Kind;

use crate::error::Error;

/// What writer and reader tell each other.
#[derive(Default)]
pub(super) struct Growing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    length: u64,
    end: Option<End>,
    unread: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

/// Ends the growth: as whole when it was told so, else as broken, so that no reader waits for ever.
pub(super) struct Writing<'a>(&'a Growing);

/// Reads what is there, and waits for more.
pub(super) struct Follower<'a, F: FnMut(u64) -> bool> {
    growing: &'a Growing,
    file: File,
    at: u64,
    tell: F,
}

impl Growing {
    pub(super) fn write(&self) -> Writing<'_> {
        Writing(self)
    }

    /// `tell` hears how many bytes were read so far, and says whether to go on.
    pub(super) fn follow<F: FnMut(u64) -> bool>(&self, file: File, tell: F) -> Follower<'_, F> {
        Follower { growing: self, file, at: 0, tell }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is more than `at`; answers the length then. `None`: the end.
    fn wait(&self, at: u64) -> io::Result<Option<u64>> {
        let mut state = self.lock();
        loop {
            match state.end {
                _ if state.length > at => return Ok(Some(state.length)),
                Some(End::Whole) => return Ok(None),
                Some(End::Broken) => return Err(io::Error::other("the blob did not come to its end")),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Writing<'_> {
    /// So many bytes are in the file now. False: nobody reads them any more.
    pub(super) fn grew(&self, length: u64) -> bool {
        let mut state = self.0.lock();
        state.length = length;
        self.0.changed.notify_one();
        !state.unread
    }

    /// All of it is there, and proven.
    pub(super) fn finish(&self) {
        self.end(End::Whole);
    }

    fn end(&self, end: End) {
        let mut state = self.0.lock();
        state.end = state.end.or(Some(end));
        self.0.changed.notify_one();
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.end(End::Broken);
    }
}

impl<F: FnMut(u64) -> bool> Read for Follower<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(length) = self.growing.wait(self.at)? else { return Ok(0) };
        let most = buffer.len().min(usize::try_from(length - self.at).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 && most > 0 {
            return Err(io::Error::other("the blob's file became shorter"));
        }
        self.at += count as u64;
        if !(self.tell)(self.at) {
            let what = "nobody waits for the layer any more";
            return Err(io::Error::other(Error::new(Kind::Unavailable, what)));
        }
        Ok(count)
    }
}

impl<F: FnMut(u64) -> bool> Drop for Follower<'_, F> {
    fn drop(&mut self) {
        self.growing.lock().unread = true;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn follow(pieces: &[&[u8]], whole: bool) -> io::Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let growing = Growing::default();
        let reader = File::open(file.path()).unwrap();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut bytes = Vec::new();
                growing.follow(reader, |_| true).read_to_end(&mut bytes).map(|_| bytes)
            });
            let writing = growing.write();
            let mut length = 0;
            for piece in pieces {
                file.write_all(piece).unwrap();
                length += piece.len() as u64;
                writing.grew(length);
            }
            if whole {
                writing.finish();
            } else {
                drop(writing);
            }
            reading.join().unwrap()
        })
    }

    #[test]
    fn a_reader_sees_everything_and_how_it_ended() {
        assert_eq!(follow(&[b"abc", b"", b"defg"], true).unwrap(), b"abcdefg");
        assert_eq!(follow(&[], true).unwrap(), b"");
        assert!(follow(&[b"abc"], false).is_err());
    }

    #[test]
    fn a_writer_hears_that_nobody_reads() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let growing = Growing::default();
        let follower = growing.follow(File::open(file.path()).unwrap(), |_| true);
        let writing = growing.write();
        assert!(writing.grew(0));
        drop(follower);
        assert!(!writing.grew(0));
    }
}
