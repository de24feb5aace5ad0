//! What is written down about a log on its way: what is about to be done, and how far it has come. Plain words, so that each is
//! one `pwrite`.

use crate::log::line;

/// What a batch is about to do; written before it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Intent {
    /// Number of the batch. It is done when the slot's [`Progress`] has the same.
    pub(crate) serial: u64,
    /// Whose output.
    pub(crate) slot: u64,
    /// Its stream, 1 or 2.
    pub(crate) stream: u64,
    /// The journal's bytes from here on are the batch.
    pub(crate) base: u64,
    /// The time of its entries, in nanoseconds since the epoch.
    pub(crate) at_ns: i64,
    /// Where its entries begin in the log.
    pub(crate) log_offset: u64,
    /// In this file.
    pub(crate) log_inode: u64,
    /// One of the constants below.
    pub(crate) act: u64,
}

impl Intent {
    /// Write the batch's entries.
    pub(crate) const WRITE: u64 = 0;
    /// Write the open line as it is: its stream has ended.
    pub(crate) const FLUSH: u64 = 1;

    pub(crate) fn to_words(self) -> [u64; 8] {
        [
            self.serial,
            self.slot,
            self.stream,
            self.base,
            self.at_ns as u64,
            self.log_offset,
            self.log_inode,
            self.act,
        ]
    }

    pub(crate) fn from_words(words: [u64; 8]) -> Self {
        let [serial, slot, stream, base, at_ns, log_offset, log_inode, act] = words;
        Self { serial, slot, stream, base, at_ns: at_ns as i64, log_offset, log_inode, act }
    }
}

/// How far the log of a slot has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Progress {
    /// The last finished batch.
    pub(crate) serial: u64,
    /// The batch that stopped for a rotation, if it is not the finished one: its entries before the rotation are written.
    pub(crate) part: u64,
    /// The bytes of that batch in those entries.
    pub(crate) done: u64,
    /// Bytes of each stream so far.
    pub(crate) total: [u64; 2],
    /// The open line of each stream.
    pub(crate) open: [Open; 2],
}

impl Progress {
    /// As it lies in the ledger.
    pub(crate) fn to_words(self) -> [u64; 11] {
        let [out, err] = self.open;
        [
            self.serial,
            self.part,
            self.done,
            out.half,
            out.length,
            out.since_ns as u64,
            err.half,
            err.length,
            err.since_ns as u64,
            self.total[0],
            self.total[1],
        ]
    }

    /// Read back; what cannot be is made possible.
    pub(crate) fn from_words(words: [u64; 11]) -> Self {
        let [serial, part, done, a, b, c, d, e, f, out, err] = words;
        let open = |half, length: u64, since_ns: u64| Open {
            half: half & 1,
            length: length.min(line::LIMIT as u64 - 1),
            since_ns: since_ns as i64,
        };
        Self { serial, part, done, total: [out, err], open: [open(a, b, c), open(d, e, f)] }
    }
}

/// Where an open line lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Open {
    /// Its half, 0 or 1.
    pub(crate) half: u64,
    /// Its bytes.
    pub(crate) length: u64,
    /// [`OpenLine::since_ns`]; 0 is none.
    pub(crate) since_ns: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        let intent = Intent {
            serial: 1,
            slot: 2,
            stream: 2,
            base: 4,
            at_ns: -5,
            log_offset: 6,
            log_inode: 7,
            act: Intent::FLUSH,
        };
        assert_eq!(Intent::from_words(intent.to_words()), intent);
        let open = Open { half: 1, length: 9, since_ns: 10 };
        let progress = Progress { serial: 1, part: 2, done: 3, total: [4, 5], open: [open, Open::default()] };
        assert_eq!(Progress::from_words(progress.to_words()), progress);
        let odd = Progress::from_words([u64::MAX; 11]);
        assert!(odd.open.iter().all(|open| open.half < 2 && open.length < line::LIMIT as u64));
    }
}
