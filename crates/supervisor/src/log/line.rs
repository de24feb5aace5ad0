//! Cuts output into log entries as dockerd does: one per line, and one per 16 KiB of a longer line. Pure.

/// The longest piece of a line in one entry, its line feed included.
pub(crate) const LIMIT: usize = 16 << 10;

/// The part of a stream that waits for the end of its line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct OpenLine {
    /// Bytes that came and are in no entry yet; always fewer than [`LIMIT`].
    pub(crate) bytes: Vec<u8>,
    /// When the first piece of this line was written out, if one was: all pieces carry one time.
    pub(crate) since_ns: Option<i64>,
}

/// What becomes an entry: the open line and this many of the new bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cut {
    /// Bytes taken from the input, with the line feed if there is one.
    pub(crate) taken: usize,
    /// The line ends here.
    pub(crate) whole: bool,
}

/// The next entry of `bytes` behind an open line of `open` bytes; `None` while neither a line feed nor [`LIMIT`] is reached.
pub(crate) fn cut(open: usize, bytes: &[u8]) -> Option<Cut> {
    let room = LIMIT - open;
    let window = &bytes[..bytes.len().min(room)];
    if let Some(at) = window.iter().position(|byte| *byte == b'\n') {
        return Some(Cut { taken: at + 1, whole: true });
    }
    (window.len() == room).then_some(Cut { taken: room, whole: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts `input` after feeding it in chunks of `step`; `|` stands for a piece without line feed.
    fn entries(input: &[u8], step: usize) -> Vec<(usize, bool)> {
        let mut open = 0;
        let mut seen = Vec::new();
        for mut chunk in input.chunks(step) {
            while let Some(Cut { taken, whole }) = cut(open, chunk) {
                seen.push((open + taken, whole));
                open = 0;
                chunk = &chunk[taken..];
            }
            open += chunk.len();
            assert!(open < LIMIT);
        }
        seen
    }

    #[test]
    fn any_chunking_gives_the_same_entries() {
        let long = |n: usize| [vec![b'x'; n], b"\n".to_vec()].concat();
        type Case<'a> = (Vec<u8>, &'a [(usize, bool)]);
        let table: [Case<'_>; 6] = [
            (b"a\nbc\n".to_vec(), &[(2, true), (3, true)]),
            (b"\n\n".to_vec(), &[(1, true), (1, true)]),
            (b"no end".to_vec(), &[]),
            (long(LIMIT - 1), &[(LIMIT, true)]),
            (long(LIMIT), &[(LIMIT, false), (1, true)]),
            (long(LIMIT * 2 + 5), &[(LIMIT, false), (LIMIT, false), (6, true)]),
        ];
        for (input, expected) in table {
            for step in [1, 7, 4096, LIMIT, 1 << 20] {
                assert_eq!(entries(&input, step), expected, "{} bytes by {step}", input.len());
            }
        }
    }
}
