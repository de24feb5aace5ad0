//! One record of a json-file log, and what a reader lets through.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

/// What `logs` was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOptions {
    /// Go on with new entries until the container ends.
    pub follow: bool,
    /// Standard output wanted.
    pub stdout: bool,
    /// Standard error wanted.
    pub stderr: bool,
    /// Only entries at or after this time, nanoseconds since the epoch.
    pub since_ns: Option<i64>,
    /// Only entries before or at this time.
    pub until_ns: Option<i64>,
    /// Put the time before each entry.
    pub timestamps: bool,
    /// Only so many of the last entries.
    pub tail: Option<u64>,
    /// Put the log attributes before each entry.
    pub details: bool,
}

/// A line of the file, as the supervisor wrote it.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
}

/// What a line turns into for this reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Send these bytes on this stream (1 stdout, 2 stderr).
    Entry(u8, Vec<u8>),
    /// Not wanted, or no log line at all.
    Skip,
    /// Past `until`: nothing wanted can follow.
    End,
}

/// Reads one line (without its newline) and judges it.
pub(crate) fn read(line: &[u8], options: &LogOptions) -> Seen {
    let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
        return Seen::Skip;
    };
    let stream = if line.stream == "stderr" { 2 } else { 1 };
    let needs_time = options.since_ns.is_some() || options.until_ns.is_some() || options.timestamps;
    let time = if needs_time { line.time.parse::<Timestamp>().ok() } else { None };
    let at_ns = time.map(|t| t.as_nanosecond());
    if options.until_ns.zip(at_ns).is_some_and(|(until, at)| at > i128::from(until)) {
        return Seen::End;
    }
    let too_old = options.since_ns.zip(at_ns).is_some_and(|(since, at)| at < i128::from(since));
    let wanted = if stream == 2 { options.stderr } else { options.stdout };
    if too_old || !wanted {
        return Seen::Skip;
    }
    let mut bytes = Vec::with_capacity(line.log.len() + 32);
    if options.timestamps {
        bytes.extend_from_slice(time.map(print_time).unwrap_or_default().as_bytes());
        bytes.push(b' ');
    }
    if options.details {
        bytes.push(b' ');
    }
    bytes.extend_from_slice(line.log.as_bytes());
    Seen::Entry(stream, bytes)
}

/// RFC 3339 with always nine digits of a second, as Docker prints log times.
fn print_time(time: Timestamp) -> String {
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = br#"{"log":"a\u0000\"\n","stream":"stderr","time":"2026-11-21T01:02:03.5Z"}"#;
    const BOTH: LogOptions = LogOptions {
        follow: false,
        stdout: true,
        stderr: true,
        since_ns: None,
        until_ns: None,
        timestamps: false,
        tail: None,
        details: false,
    };

    #[test]
    fn judges_a_line() {
        let at = "2026-11-21T01:02:03.5Z".parse::<Timestamp>().expect("time").as_nanosecond() as i64;
        let entry = Seen::Entry(2, b"a\0\"\n".to_vec());
        assert_eq!(read(LINE, &BOTH), entry);
        assert_eq!(read(LINE, &LogOptions { stderr: false, ..BOTH }), Seen::Skip);
        assert_eq!(read(LINE, &LogOptions { since_ns: Some(at), until_ns: Some(at), ..BOTH }), entry);
        assert_eq!(read(LINE, &LogOptions { since_ns: Some(at + 1), ..BOTH }), Seen::Skip);
        assert_eq!(read(LINE, &LogOptions { until_ns: Some(at - 1), ..BOTH }), Seen::End);
        assert_eq!(
            read(LINE, &LogOptions { timestamps: true, ..BOTH }),
            Seen::Entry(2, b"2026-11-21T01:02:03.500000000Z a\0\"\n".to_vec())
        );
        assert_eq!(read(b"{\"log\":", &BOTH), Seen::Skip);
    }
}
