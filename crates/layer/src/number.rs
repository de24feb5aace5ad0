//! Numbers in tar headers: octal text, GNU's base-256 and PAX decimals. Out of range is an error, never a wrap.

use crate::entry::Time;

/// A header field: octal digits padded with spaces or NULs, or big-endian two's complement marked by the top bit.
pub(crate) fn parse(field: &[u8]) -> Option<i64> {
    if field.first()? & 0x80 != 0 { parse_binary(field) } else { parse_octal(field) }
}

fn parse_binary(field: &[u8]) -> Option<i64> {
    // Nobody writes, and not everybody reads, other bits in the mark's byte.
    let negative = match field[0] {
        0x80 => false,
        0xff => true,
        _ => return None,
    };
    let mut value: i128 = if negative { -1 } else { 0 };
    for (index, byte) in field.iter().enumerate() {
        // The mark bit is not part of the number; sign extension replaces it.
        let byte = if index == 0 && !negative { byte & 0x7f } else { *byte };
        value = value << 8 | i128::from(byte);
        i64::try_from(value).ok()?;
    }
    i64::try_from(value).ok()
}

fn parse_octal(field: &[u8]) -> Option<i64> {
    let pad = |b: &u8| *b == b' ' || *b == 0;
    // A NUL ends the number for GNU tar and Python; Go looks for digits behind it.
    let start = field.iter().position(|b| *b != b' ').unwrap_or(field.len());
    let end = field.iter().rposition(|b| !pad(b)).map_or(start, |last| last + 1);
    field[start..end].iter().try_fold(0_i64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// A decimal without sign: PAX sizes and ids.
pub(crate) fn parse_decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// A PAX time: `[-]seconds[.fraction]`. Digits beyond the nanosecond are dropped.
pub(crate) fn parse_time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let seconds = i64::try_from(parse_decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos = (0..9).fold(0_u32, |n, i| n * 10 + u32::from(fraction.get(i).map_or(0, |b| b - b'0')));
    Some(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos: 0 },
        (true, _) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields() {
        let cases: &[(&[u8], Option<i64>)] = &[
            (b"0000644\0", Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"\0\0\0\x30644\0", None),
            (b"        ", Some(0)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"0000648\0", None),
            (b"-000644\0", None),
            (b"6 4\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x00", Some(256)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\x01", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (field, want) in cases {
            assert_eq!(parse(field), *want, "{field:?}");
        }
    }

    #[test]
    fn pax_times() {
        let time = |seconds, nanos| Some(Time { seconds, nanos });
        assert_eq!(parse_time(b"12.5"), time(12, 500_000_000));
        assert_eq!(parse_time(b"12"), time(12, 0));
        assert_eq!(parse_time(b"-1.25"), time(-2, 750_000_000));
        assert_eq!(parse_time(b"1.1234567899"), time(1, 123_456_789));
        for bad in [&b""[..], b"-", b"+1", b"1.x", b"1e3", b"99999999999999999999"] {
            assert_eq!(parse_time(bad), None);
        }
    }
}
