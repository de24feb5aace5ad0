//! Maps of sparse files: GNU's old form, and PAX 0.0, 0.1 and 1.0. All end as checked segments.

use types::weak;

use crate::entry::Segment;
use crate::error::Error;
use crate::limits::Limits;
use crate::number;

/// Slots of 24 bytes, offset and length each. The first empty slot ends the map.
pub(crate) fn parse_slots(slots: &[u8], segments: &mut Vec<Segment>) -> Result<(), Error> {
    let mut is_over = false;
    for slot in slots.chunks_exact(24) {
        is_over |= slot[0] == 0;
        if is_over && slot.iter().all(|byte| *byte == 0) {
            continue;
        }
        // Others look at what is behind the end, too.
        if is_over {
            return Err(bad());
        }
        let number = |field| number::parse(field).and_then(|n| u64::try_from(n).ok());
        match (number(&slot[..12]), number(&slot[12..])) {
            (Some(offset), Some(length)) => segments.push(Segment { offset, length }),
            _ => return Err(bad()),
        }
    }
    Ok(())
}

/// Offsets and lengths by turns.
pub(crate) fn pair(numbers: &[u64]) -> Result<Vec<Segment>, Error> {
    if !numbers.len().is_multiple_of(2) {
        return Err(bad());
    }
    Ok(numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
}

/// Checks that segments are in order, do not overlap, end within `size`, and hold `stored` bytes.
/// Empty ones (GNU tar marks the end of the file with one) are dropped.
pub(crate) fn check(
    segments: &mut Vec<Segment>,
    size: u64,
    stored: u64,
    limits: &Limits,
) -> Result<(), Error> {
    if segments.len() > limits.sparse_segments && !weak::is_off("I10") {
        return Err(Error::over_limit("the sparse file has too many pieces"));
    }
    let mut end = 0;
    let mut total = 0;
    for segment in segments.iter() {
        let next = segment.offset.checked_add(segment.length).filter(|next| *next <= size);
        match next {
            Some(next) if segment.offset >= end => end = next,
            _ => return Err(bad()),
        }
        total += segment.length;
    }
    segments.retain(|s| s.length > 0);
    if total == stored { Ok(()) } else { Err(bad()) }
}

pub(crate) fn bad() -> Error {
    Error::malformed("the map of the sparse file is malformed")
}
