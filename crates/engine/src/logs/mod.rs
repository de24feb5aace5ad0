//! Reading a container's log: from the file alone, so that it works for containers that run, that ended, and that an
//! earlier daemon started.

mod entry;
mod files;
mod watch;

use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::watch::Receiver;

pub use entry::LogOptions;

use crate::state::Phase;
use crate::{Error, Result};
use entry::Seen;
use files::Cursor;
use watch::Watch;

/// So many unwanted lines are skipped before other tasks get their turn.
const SKIPS_MAX: u32 = 2_000;

/// The entries of one container's log, as they come.
#[derive(Debug)]
pub struct LogStream {
    /// The container has a terminal: entries are to be sent without stream headers.
    pub tty: bool,
    options: LogOptions,
    cursor: Cursor,
    watch: Option<Watch>,
    phase: Receiver<Phase>,
    last_pass: bool,
}

impl LogStream {
    /// Opens the log at `path` of a container whose life is told by `phase`.
    pub(crate) fn open(path: &Path, options: LogOptions, tty: bool, phase: Receiver<Phase>) -> Result<Self> {
        let watch = match path.parent() {
            Some(directory) if options.follow => Some(Watch::new(directory)),
            _ => None,
        };
        let cursor =
            Cursor::open(path, options.tail).map_err(|e| Error::io("cannot open the container's log", e))?;
        Ok(Self { tty, options, cursor, watch, phase, last_pass: false })
    }

    /// The next entry: its stream (1 stdout, 2 stderr) and its bytes. `None` at the end, which a follower reaches when
    /// the container has ended and everything it wrote was handed out.
    pub async fn next(&mut self) -> Option<(u8, Bytes)> {
        let mut skips = 0;
        loop {
            match self.cursor.next_line() {
                Ok(Some(line)) => match entry::read(line, &self.options) {
                    Seen::Entry(stream, bytes) => return Some((stream, bytes.into())),
                    Seen::End => return None,
                    Seen::Skip => {
                        skips += 1;
                        if skips % SKIPS_MAX == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                },
                Ok(None) if self.watch.is_some() && !self.last_pass => self.wait().await,
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(%error, "reading a container's log stopped");
                    return None;
                }
            }
        }
    }

    /// Sleeps until there may be more, or notes that what is in the file now is all.
    async fn wait(&mut self) {
        let left = match self.options.until_ns.map(time_left) {
            Some(None) => {
                self.last_pass = true;
                return;
            }
            Some(Some(left)) => left,
            None => Duration::from_secs(3600),
        };
        if !self.phase.borrow_and_update().live {
            self.last_pass = true;
            return;
        }
        let Some(watch) = &self.watch else { return };
        tokio::select! {
            () = watch.changed() => {}
            _ = self.phase.changed() => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// What a log has up to a place: what an attach with `logs` begins with.
#[derive(Debug)]
pub(crate) struct Past {
    options: LogOptions,
    cursor: Cursor,
}

impl Past {
    /// Opens the log; `end` is the inode of its current file and the bytes in it, `None` for all there is.
    pub(crate) fn open(path: &Path, options: LogOptions, end: Option<(u64, u64)>) -> Result<Self> {
        let cursor = Cursor::open(path, None).map_err(|e| Error::io("cannot open the container's log", e))?;
        let cursor = match end {
            Some((inode, bytes)) => cursor.stop_at(inode, bytes),
            None => cursor,
        };
        Ok(Self { options, cursor })
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Option<(u8, Bytes)> {
        loop {
            match entry::read(self.cursor.next_line().ok()??, &self.options) {
                Seen::Entry(stream, bytes) => return Some((stream, bytes.into())),
                Seen::End => return None,
                Seen::Skip => {}
            }
        }
    }
}

/// How long until this time comes; `None` when it has passed.
fn time_left(until_ns: i64) -> Option<Duration> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let until = Duration::from_nanos(u64::try_from(until_ns).ok()?);
    until.checked_sub(now)
}

#[cfg(test)]
mod tests;
