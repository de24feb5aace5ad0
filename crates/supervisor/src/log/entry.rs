//! Prints one entry of Docker's json-file format, byte for byte as dockerd prints it. Pure.

/// Which stream an entry came from; the numbers are those of Docker's stream headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Stream {
    /// Standard output, or a terminal.
    Out = 1,
    /// Standard error.
    Err = 2,
}

impl Stream {
    /// The stream with this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Out),
            2 => Some(Self::Err),
            _ => None,
        }
    }

    /// 0 or 1, for arrays.
    pub(crate) fn index(self) -> usize {
        self as usize - 1
    }

    fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// Appends the entry of a line given in two parts. `whole` adds the line feed that is not among the bytes.
pub(crate) fn print(out: &mut Vec<u8>, line: [&[u8]; 2], whole: bool, stream: Stream, at_ns: i64) {
    out.extend_from_slice(b"{\"log\":\"");
    let joined;
    let text = match line {
        [[], only] | [only, []] => only,
        [first, second] => {
            joined = [first, second].concat();
            &joined
        }
    };
    escape(out, text);
    if whole {
        out.extend_from_slice(b"\\n");
    }
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    out.extend_from_slice(b"\",\"time\":\"");
    print_time(out, at_ns);
    out.extend_from_slice(b"\"}\n");
}

/// Escapes as Go's encoder with HTML escaping does: `\n`, `\r`, `\"` and `\\` short, other control characters, `<`, `>`
/// and `&` as `\u00xx`, line separators as `\u2028`, each byte that is not UTF-8 as `\ufffd`.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        escape_text(out, chunk.valid());
        escape_invalid(out, chunk.invalid());
    }
}

fn escape_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let separator = *byte == 0xe2 && matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9]));
        if *byte >= 0x20 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&') && !separator {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0xe2 => {
                out.extend_from_slice(if bytes[at + 2] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                plain = at + 3;
            }
            _ => out.extend_from_slice(format!("\\u00{byte:02x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Go replaces every single byte, also those of one cut-off sequence.
fn escape_invalid(out: &mut Vec<u8>, bytes: &[u8]) {
    for _ in bytes {
        out.extend_from_slice(b"\\ufffd");
    }
}

/// Appends the time as RFC 3339 in UTC with as many decimals as are needed (Go's `RFC3339Nano`).
fn print_time(out: &mut Vec<u8>, at_ns: i64) {
    let (seconds, nanos) = (at_ns.div_euclid(1_000_000_000), at_ns.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos != 0 {
        let decimals = format!("{nanos:09}");
        text.push('.');
        text.push_str(decimals.trim_end_matches('0'));
    }
    text.push('Z');
    out.extend_from_slice(text.as_bytes());
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are reckoned
/// from March on, so that the leap day is the last of its year.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_ERA: i64 = 146_097;
    let since = days + 719_468;
    let era = since.div_euclid(DAYS_IN_ERA);
    let day_of_era = since.rem_euclid(DAYS_IN_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[u8], expected: &str) {
        let mut out = Vec::new();
        escape(&mut out, line);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected, "{line:?}");
    }

    #[test]
    fn escapes_as_go_does() {
        check(b"plain", "plain");
        check(b"\"q\" \\", "\\\"q\\\" \\\\");
        check(b"a\tb\r\n", "a\\u0009b\\r\\n");
        check(b"<a>&\x00\x1f\x7f", "\\u003ca\\u003e\\u0026\\u0000\\u001f\x7f");
        check("grüße €".as_bytes(), "grüße €");
        check("\u{2028}x\u{2029}".as_bytes(), "\\u2028x\\u2029");
        check(b"\xff\xfe", "\\ufffd\\ufffd");
        check(b"a\xe2\x82", "a\\ufffd\\ufffd");
        check(b"\xe2\x82b", "\\ufffd\\ufffdb");
        check(b"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd");
    }

    #[test]
    fn times() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_709_210_096_123_456_000, "2024-02-29T12:34:56.123456Z"),
            (1_735_689_599_999_999_999, "2024-12-31T23:59:59.999999999Z"),
            (4_102_444_800_500_000_000, "2100-01-01T00:00:00.5Z"),
        ] {
            let mut out = Vec::new();
            print_time(&mut out, ns);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn entries() {
        let mut out = Vec::new();
        print(&mut out, [b"he", b"llo"], true, Stream::Out, 0);
        print(&mut out, [b"", b"piece"], false, Stream::Err, 5);
        let expected = concat!(
            "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}\n",
            "{\"log\":\"piece\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:00.000000005Z\"}\n"
        );
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
