//! Byte ranges of HTTP (RFC 9110 §14) and the upload ranges of the specification ("Pushing a blob in chunks").

use crate::code::{Code, Refusal};

/// Most parts in one answer: who wants more gets everything.
const MOST_PARTS: usize = 64;

/// Which part of a blob a `GET` wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// From the first to the last byte, both included.
    Bytes(u64, u64),
    /// Several of these, in the order of asking.
    Several(Vec<(u64, u64)>),
}

/// Reads `Range:` for something `size` bytes long. What is no byte range, too many of them, or several that together are longer than
/// the whole, is answered with everything, as RFC 9110 allows; what lies outside is left out, and refused when nothing is left.
pub(crate) fn part(header: Option<&str>, size: u64) -> Result<Part, Refusal> {
    let Some(wanted) = header.and_then(parse) else { return Ok(Part::Whole) };
    let inside: Vec<(u64, u64)> = wanted.into_iter().filter_map(|bounds| within(bounds, size)).collect();
    let together = inside.iter().fold(0_u64, |sum, (first, last)| sum.saturating_add(last - first + 1));
    match inside.as_slice() {
        [] => Err(Refusal::new(Code::RangeInvalid, format!("there are only {size} bytes"))
            .header("Content-Range", format!("bytes */{size}"))),
        [(first, last)] => Ok(Part::Bytes(*first, *last)),
        _ if together > size => Ok(Part::Whole),
        _ => Ok(Part::Several(inside)),
    }
}

type Bounds = (Option<u64>, Option<u64>);

/// What of a range lies within `size` bytes.
fn within(bounds: Bounds, size: u64) -> Option<(u64, u64)> {
    match bounds {
        (Some(first), _) if first >= size => None,
        (Some(first), last) => Some((first, last.unwrap_or(u64::MAX).min(size - 1))),
        (None, Some(0) | None) => None,
        (None, Some(_)) if size == 0 => None,
        (None, Some(count)) => Some((size - count.min(size), size - 1)),
    }
}

/// `bytes=` and a list of ranges. Every one of them must be well formed.
fn parse(header: &str) -> Option<Vec<Bounds>> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.split(',').count() > MOST_PARTS {
        return None;
    }
    let ranges = set.split(',').map(str::trim).filter(|one| !one.is_empty());
    ranges.map(bounds).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
}

/// `a-b`, `a-` or `-n`.
fn bounds(text: &str) -> Option<Bounds> {
    let (first, last) = text.split_once('-')?;
    let bounds = (number(first)?, number(last)?);
    let backwards = matches!(bounds, (Some(first), Some(last)) if last < first);
    (!backwards && bounds != (None, None)).then_some(bounds)
}

/// Digits or nothing. A number beyond our reach lies beyond every end.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true if text.is_empty() => Some(None),
        true => Some(Some(text.parse().unwrap_or(u64::MAX))),
        false => None,
    }
}

/// Reads `Content-Range:` of an uploaded chunk: `first-last`, or as HTTP has it `bytes first-last/length`.
pub(crate) fn chunk(header: &str) -> Result<(u64, u64), Refusal> {
    let bad = || {
        let shown: String = header.chars().take(60).collect();
        Refusal::new(Code::BlobUploadInvalid, format!("Content-Range {shown:?} is not FIRST-LAST"))
    };
    let text = header.trim().strip_prefix("bytes").map_or(header.trim(), str::trim);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-').ok_or_else(bad)?;
    match (number(first).flatten(), number(last).flatten()) {
        (Some(first), Some(last)) if first <= last && last < u64::MAX => Ok((first, last)),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_rfc_9110() {
        let of = |header: &str, size: u64| match part(Some(header), size) {
            Ok(Part::Whole) => "whole".to_owned(),
            Ok(Part::Bytes(first, last)) => format!("{first}-{last}"),
            Ok(Part::Several(parts)) => format!("{parts:?}"),
            Err(refusal) => refusal.status().as_str().to_owned(),
        };
        for (header, size, out) in [
            ("bytes=0-0", 10, "0-0"),
            ("bytes=2-5", 10, "2-5"),
            ("bytes=2-", 10, "2-9"),
            ("bytes=2-99", 10, "2-9"),
            ("bytes=-3", 10, "7-9"),
            ("bytes=-30", 10, "0-9"),
            ("bytes=10-", 10, "416"),
            ("bytes=-0", 10, "416"),
            ("bytes=0-", 0, "416"),
            ("bytes=-1", 0, "416"),
            ("bytes=99999999999999999999999-", 10, "416"),
            ("bytes=0-99999999999999999999999", 10, "0-9"),
            ("bytes=5-2", 10, "whole"),
            ("bytes=0-1,4-5", 10, "[(0, 1), (4, 5)]"),
            ("bytes=0-1, -2", 10, "[(0, 1), (8, 9)]"),
            ("bytes=0-1,20-", 10, "0-1"),
            ("bytes=20-,30-", 10, "416"),
            ("bytes=0-,0-", 10, "whole"),
            ("bytes=0-1,x", 10, "whole"),
            ("bytes=0-1,5-2", 10, "whole"),
            (&format!("bytes=0-0{}", ",2-2".repeat(64)), 1000, "whole"),
            ("bytes=-", 10, "whole"),
            ("bytes=a-b", 10, "whole"),
            ("lines=0-1", 10, "whole"),
            ("", 10, "whole"),
        ] {
            assert_eq!(of(header, size), out, "{header} of {size}");
        }
    }

    #[test]
    fn chunks_have_two_ends() {
        assert_eq!(chunk("0-9").unwrap(), (0, 9));
        assert_eq!(chunk("bytes 5-9/10").unwrap(), (5, 9));
        for bad in
            ["", "5", "-", "5-", "-5", "9-5", "a-b", "0-18446744073709551615", "0-99999999999999999999"]
        {
            assert!(chunk(bad).is_err(), "{bad}");
        }
    }
}
