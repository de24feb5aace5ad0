//! What a disk keeps that had written only a part of its cache: all that came before the last flush, and of the rest what chance left.
//! QEMU notes the writes as Linux's dm-log-writes does (Documentation/admin-guide/device-mapper/log-writes.rst).

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

const MAGIC: u64 = 0x006a_7366_7773_6872;
/// Bytes; QEMU's own choice when it is not told.
const SECTOR: usize = 512;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// A write: where on the disk, in bytes, and where its bytes are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    at: u64,
    bytes: Range<usize>,
}

/// Writes of a log in their order: those before the last flush, and those after it.
pub(super) fn read(log: &[u8]) -> Result<(Vec<Note>, Vec<Note>), String> {
    let number = |at: usize| log.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    // Its head is written with the first flush.
    if number(0).is_some_and(|magic| magic != 0 && magic != MAGIC) {
        return Err(format!("the log of writes begins with {:x?}", number(0)));
    }
    let (mut safe, mut rest) = (Vec::new(), Vec::new());
    let mut at = SECTOR;
    while let (Some(start), Some(count), Some(flags)) = (number(at), number(at + 8), number(at + 16)) {
        let length = if flags & DISCARD == 0 { count as usize * SECTOR } else { 0 };
        let bytes = at + SECTOR..at + SECTOR + length;
        // Zeros are no entry: QEMU ended within it, or had not come to it.
        if bytes.end > log.len() || (flags == 0 && count == 0) {
            break;
        }
        at = bytes.end;
        if length > 0 {
            rest.push(Note { at: start * SECTOR as u64, bytes });
        }
        if flags & FLUSH != 0 {
            safe.append(&mut rest);
        }
    }
    Ok((safe, rest))
}

/// Writes these to the disk.
pub(super) fn apply<'a>(
    log: &[u8],
    notes: impl Iterator<Item = &'a Note>,
    disk: &Path,
) -> Result<(), String> {
    let fail = |e| format!("{}: {e}", disk.display());
    let mut file = fs::File::options().write(true).open(disk).map_err(fail)?;
    for note in notes {
        file.seek(SeekFrom::Start(note.at))
            .and_then(|_| file.write_all(&log[note.bytes.clone()]))
            .map_err(fail)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_makes_safe_what_came_before() {
        let mut log =
            [MAGIC.to_le_bytes(), 1_u64.to_le_bytes(), 0_u64.to_le_bytes(), 512_u64.to_le_bytes()].concat();
        log.resize(512, 0);
        let mut add = |start: u64, count: u64, flags: u64| {
            let words = [start, count, flags, 0];
            let mut entry: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            entry.resize(512 + count as usize * 512, 7);
            log.extend(entry);
        };
        add(8, 2, 0);
        add(0, 0, FLUSH);
        add(1, 1, 0);
        let whole = log.len();
        log.resize(whole + 4096, 0);
        let (safe, rest) = read(&log).expect("a log");
        assert_eq!(safe, [Note { at: 4096, bytes: 1024..2048 }]);
        assert_eq!(rest, [Note { at: 512, bytes: 3072..3584 }]);
        assert_eq!(read(&log[..whole - 1]).expect("a log").1, [], "it ended within the last write");
        assert!(read(&[1; 512]).is_err());
        assert_eq!(read(&[0; 4096]).expect("nothing was written"), (Vec::new(), Vec::new()));
    }
}
