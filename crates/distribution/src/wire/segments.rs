//! How hyper writes heads and the kernel writes files on one connection.
//!
//! hyper frames answers from slices of memory. For a blob it gets slices of a region that is never written nor read: they only stand
//! for bytes of a file. The socket, which sees where each slice lies before it writes it, sends such a slice with `sendfile(2)`
//! instead. So blobs go from the page cache to the socket, and hyper keeps its bookkeeping of lengths, keep-alive and pipelining.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;

/// Size of the region, and so the most that one slice stands for. It costs address space only.
pub(crate) const REGION: usize = 8 << 20;

/// Pages that nobody touches are never there.
static STAND_IN: LazyLock<&'static [u8]> = LazyLock::new(|| vec![0; REGION].leak());

/// A stretch of a file.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// What the stand-ins of one connection stand for, in their order.
#[derive(Debug, Default)]
pub(crate) struct Segments(Mutex<VecDeque<Segment>>);

impl Segments {
    /// Puts a stretch in line; gives the slice that stands for it.
    pub(crate) fn push(&self, segment: Segment) -> Bytes {
        let length = usize::try_from(segment.length).unwrap_or(REGION).min(REGION);
        let segment = Segment { length: length as u64, ..segment };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(segment);
        Bytes::from_static(&STAND_IN[..length])
    }

    /// The stretch that goes out next.
    pub(crate) fn first(&self) -> Option<Segment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).front().cloned()
    }

    /// So many bytes of the first stretch went out.
    pub(crate) fn sent(&self, count: u64) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = line.front_mut() else { return };
        first.offset += count;
        first.length = first.length.saturating_sub(count);
        if first.length == 0 {
            line.pop_front();
        }
    }
}

/// Whether a slice is a stand-in.
pub(crate) fn stands_in(slice: &[u8]) -> bool {
    let region = STAND_IN.as_ptr_range();
    !slice.is_empty() && region.contains(&slice.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_known_by_their_place() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let segments = Segments::default();
        let mut slice = segments.push(Segment { file, offset: 5, length: 10 });
        assert!(slice.len() == 10 && stands_in(&slice));
        assert!(!stands_in(&[0; 10]) && !stands_in(b""));
        let _ = slice.split_to(4);
        assert!(stands_in(&slice));
        segments.sent(4);
        assert_eq!(segments.first().map(|s| (s.offset, s.length)), Some((9, 6)));
        segments.sent(6);
        assert!(segments.first().is_none());
    }
}
