//! Times and names in the words and cuts that Docker's lists use.

use jiff::{Timestamp, tz::TimeZone};

/// Seconds as people say them: `About a minute`, `3 weeks`.
pub(crate) fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Hours are rounded, everything else is cut.
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// How long ago a moment in Unix seconds was: `5 minutes ago`.
pub(crate) fn ago(unix_seconds: i64) -> String {
    format!("{} ago", duration(Timestamp::now().as_second() - unix_seconds))
}

/// A moment in Unix seconds as Go prints it: `2026-01-02 03:04:05 +0000 UTC`.
pub(crate) fn local_time(unix_seconds: i64) -> String {
    let moment = Timestamp::from_second(unix_seconds).unwrap_or_default().to_zoned(TimeZone::system());
    let zone = moment.strftime("%Z").to_string();
    moment.strftime(&format!("%Y-%m-%d %H:%M:%S %z {zone}")).to_string()
}

/// A moment of a document, as `2026-01-02T03:04:05.5Z`, as Go prints it: `2026-01-02 03:04:05.5 +0000 UTC`.
pub(crate) fn go_time(text: &str) -> String {
    let Ok(moment) = text.parse::<Timestamp>() else { return text.to_owned() };
    let (end, zone) = match text.rfind(['+', '-']).filter(|at| *at > 10) {
        Some(at) => (at, text[at..].replace(':', "")),
        None => (text.len(), String::new()),
    };
    let offset = if zone.is_empty() { "+0000 UTC".to_owned() } else { format!("{zone} {zone}") };
    let clock = text[..end].trim_end_matches(['Z', 'z']).replacen(['T', 't'], " ", 1);
    let clock = if moment.subsec_nanosecond() == 0 {
        clock.split('.').next().unwrap_or_default()
    } else {
        clock.trim_end_matches('0')
    };
    format!("{clock} {offset}")
}

/// A moment in Unix seconds as `2026-01-02T03:04:05Z`, in the caller's zone.
pub(crate) fn rfc3339(unix_seconds: i64) -> String {
    zoned(unix_seconds, 0, "%Y-%m-%dT%H:%M:%S")
}

/// A moment in Unix nanoseconds with all nine digits of its fraction, in the caller's zone.
pub(crate) fn event_time(unix_nanos: i64) -> String {
    zoned(unix_nanos.div_euclid(1_000_000_000), unix_nanos.rem_euclid(1_000_000_000), "%Y-%m-%dT%H:%M:%S.%9f")
}

/// A moment with the offset of the caller's zone, `Z` for none.
fn zoned(seconds: i64, nanos: i64, format: &str) -> String {
    let nanos = i32::try_from(nanos).unwrap_or_default();
    let moment = Timestamp::new(seconds, nanos).unwrap_or_default().to_zoned(TimeZone::system());
    let offset =
        if moment.offset().seconds() == 0 { "Z".to_owned() } else { moment.strftime("%:z").to_string() };
    format!("{}{offset}", moment.strftime(format))
}

/// `--since` and `--until`: a Go duration before now, a date, or Unix seconds, as Unix seconds.
pub(crate) fn timestamp(text: &str) -> Result<String, String> {
    let bad = || format!("failed to parse value as time or duration: {text:?}");
    if text.is_empty() {
        return Ok(String::new());
    }
    if text != "0"
        && let Some(seconds) = go_duration(text)
    {
        return Ok(((Timestamp::now().as_millisecond() as f64 / 1000.0 - seconds).floor() as i64).to_string());
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.matches('.').count() < 2 && text != "." {
        return Ok(text.to_owned());
    }
    let moment = date(text).ok_or_else(bad)?;
    Ok(format!("{}.{:09}", moment.as_second(), moment.subsec_nanosecond()))
}

/// A date with or without time and zone; without a zone it is the caller's.
fn date(text: &str) -> Option<Timestamp> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00"),
        13 => format!("{text}:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    if let Some(day) = full.strip_suffix(['Z', 'z']).filter(|day| day.len() == 10) {
        return format!("{day}T00:00:00Z").parse().ok();
    }
    full.parse::<Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = full.parse().ok()?;
        Some(civil.to_zoned(TimeZone::system()).ok()?.timestamp())
    })
}

/// `1h30m`, `1.5s`, `-10ms`: seconds.
fn go_duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(sign * seconds)
}

/// A size with four digits and decimal units, as Docker's accounts print it.
pub(crate) fn human_size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let whole = value.trunc().to_string().len();
    let text = format!("{value:.*}", 4_usize.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

/// The first twelve characters of an id, without the algorithm before it.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, hex)| hex);
    id.get(..12).unwrap_or(id)
}

/// Cuts to `most` characters, the last one an ellipsis.
pub(crate) fn ellipsis(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A text as Go's `%q` prints it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3540, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (48 * 3600 - 1801, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 24 * 3600, "2 weeks"),
            (60 * 24 * 3600, "2 months"),
            (730 * 24 * 3600, "2 years"),
        ] {
            assert_eq!(duration(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn moments_are_read() {
        for (text, seconds) in [
            ("1136073600", "1136073600"),
            ("1136073600.5", "1136073600.5"),
            ("2006-01-02T15:04:05Z", "1136214245.000000000"),
            ("2006-01-02T15:04:05.5+01:00", "1136210645.500000000"),
            ("0", "0"),
            ("", ""),
        ] {
            assert_eq!(timestamp(text).as_deref(), Ok(seconds), "{text}");
        }
        for local in
            ["2006-01-02", "2006-01-02T15", "2006-01-02T15:04", "2006-01-02Z", "10m", "1h30m", "1.5s"]
        {
            assert!(timestamp(local).is_ok(), "{local}");
        }
        for bad in ["x", "10", "5x", "2006-13-01", "m"].into_iter().filter(|t| *t != "10") {
            assert!(timestamp(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cuts_and_quotes() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(ellipsis("sleep 1000000000000000", 20), "sleep 1000000000000…");
        assert_eq!(quoted("sh -c \"a\n\""), "\"sh -c \\\"a\\n\\\"\"");
        assert_eq!(go_time("2020-01-02T03:04:05Z"), "2020-01-02 03:04:05 +0000 UTC");
        assert_eq!(go_time("2020-01-02T03:04:05.120+01:00"), "2020-01-02 03:04:05.12 +0100 +0100");
        assert_eq!(human_size(1_982_354), "1.982MB");
        assert_eq!(human_size(0) + &human_size(999) + &human_size(21_500_000), "0B999B21.5MB");
        assert_eq!(quoted("é\u{1}"), "\"é\\x01\"");
    }
}
