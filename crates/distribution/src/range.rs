//! Byte ranges and validators of HTTP (RFC 9110 §13, §14) and the upload ranges of the specification ("Pushing a blob in chunks").

use crate::code::{Code, Refusal};

/// Which part of a blob a `GET` wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// From the first to the last byte, both included.
    Bytes(u64, u64),
}

/// Reads `Range:` for something `size` bytes long. What is no byte range, or several ranges at once, is answered with everything,
/// as RFC 9110 allows; a range that lies outside is refused.
pub(crate) fn part(header: Option<&str>, size: u64) -> Result<Part, Refusal> {
    let Some((first, last)) = header.and_then(parse) else { return Ok(Part::Whole) };
    let outside = || {
        Refusal::new(Code::RangeInvalid, format!("there are only {size} bytes"))
            .header("Content-Range", format!("bytes */{size}"))
    };
    match (first, last) {
        (Some(first), _) if first >= size => Err(outside()),
        (Some(first), last) => Ok(Part::Bytes(first, last.unwrap_or(u64::MAX).min(size - 1))),
        (None, Some(0) | None) => Err(outside()),
        (None, Some(_)) if size == 0 => Err(outside()),
        (None, Some(count)) => Ok(Part::Bytes(size - count.min(size), size - 1)),
    }
}

type Bounds = (Option<u64>, Option<u64>);

/// `bytes=a-b`, `bytes=a-` or `bytes=-n`.
fn parse(header: &str) -> Option<Bounds> {
    let (unit, set) = header.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    let bounds = (number(first)?, number(last)?);
    let backwards = matches!(bounds, (Some(first), Some(last)) if last < first);
    (unit.trim().eq_ignore_ascii_case("bytes") && !backwards && bounds != (None, None)).then_some(bounds)
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

/// Whether a list of entity tags (`If-None-Match`) has this one.
pub(crate) fn matches(header: Option<&str>, tag: &str) -> bool {
    let Some(header) = header else { return false };
    header
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == tag)
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
            ("bytes=0-1,4-5", 10, "whole"),
            ("bytes=-", 10, "whole"),
            ("bytes=a-b", 10, "whole"),
            ("lines=0-1", 10, "whole"),
            ("", 10, "whole"),
        ] {
            assert_eq!(of(header, size), out, "{header} of {size}");
        }
    }

    #[test]
    fn entity_tags_are_compared() {
        for (header, out) in [
            ("\"x\"", true),
            ("W/\"x\"", true),
            ("\"y\", \"x\"", true),
            ("*", true),
            ("\"y\"", false),
            ("x", true),
        ] {
            assert_eq!(matches(Some(header), "x"), out, "{header}");
        }
        assert!(!matches(None, "x"));
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
