//! Times and durations as Go prints and reads them.

use crate::Error;

/// Go's zero time, which stands for "never".
pub const ZERO: &str = "0001-01-01T00:00:00Z";

const NANOS: i64 = 1_000_000_000;

/// Prints unix nanoseconds as RFC 3339 in UTC, the fraction without its trailing zeros.
#[must_use]
pub fn print(unix_ns: i64) -> String {
    let (secs, nanos) = (unix_ns.div_euclid(NANOS), unix_ns.rem_euclid(NANOS));
    let whole = print_seconds(secs);
    if nanos == 0 {
        return whole;
    }
    let fraction = format!("{nanos:09}");
    format!("{}.{}Z", whole.trim_end_matches('Z'), fraction.trim_end_matches('0'))
}

/// Prints unix nanoseconds as log lines carry them: always nine digits of fraction.
#[must_use]
pub fn print_fixed(unix_ns: i64) -> String {
    let whole = print_seconds(unix_ns.div_euclid(NANOS));
    format!("{}.{:09}Z", whole.trim_end_matches('Z'), unix_ns.rem_euclid(NANOS))
}

/// Prints unix seconds as RFC 3339 in UTC.
#[must_use]
pub fn print_seconds(unix: i64) -> String {
    let (days, rest) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Reads RFC 3339, or its beginnings (`2026-11-21`, `2026-11-21T01:02`), as unix nanoseconds. A text without an
/// offset is UTC.
///
/// # Errors
/// When the text is no such date.
pub fn parse(text: &str) -> Result<i64, Error> {
    parse_date(text)
        .ok_or_else(|| Error::new(format!("invalid time {text:?}: want RFC 3339 (2006-01-02T15:04:05Z)")))
}

/// Reads the moment of `since` and `until`: unix seconds with an optional fraction, a date, or a Go duration
/// counted back from `now_ns`. The answer is in unix nanoseconds.
///
/// # Errors
/// When the text is none of them.
pub fn parse_moment(text: &str, now_ns: i64) -> Result<i64, Error> {
    if let Some(unix) = parse_unix(text) {
        return Ok(unix);
    }
    if let Ok(ago) = parse_duration(text) {
        return Ok(now_ns.saturating_sub(ago));
    }
    parse_date(text).ok_or_else(|| {
        Error::new(format!("invalid time {text:?}: want unix seconds, RFC 3339 or a duration such as 10m"))
    })
}

/// Reads `seconds[.fraction]` as nanoseconds.
#[must_use]
pub fn parse_unix(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let digit = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digit(whole) || !digit(fraction) {
        return None;
    }
    let nanos: i64 = format!("{:0<9}", &fraction[..fraction.len().min(9)]).parse().ok()?;
    let value = whole.parse::<i64>().ok()?.checked_mul(NANOS)?.checked_add(nanos)?;
    Some(if negative { -value } else { value })
}

/// Reads a Go duration (`1h2m3.5s`, `300ms`, `-1s`, `0`) in nanoseconds.
///
/// # Errors
/// When the text has no unit, an unknown one, or does not fit.
pub fn parse_duration(text: &str) -> Result<i64, Error> {
    let fail = || Error::new(format!("time: invalid duration {text:?}"));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(fail());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let (nanos, after) = parse_term(rest).ok_or_else(fail)?;
        total = total.checked_add(nanos).ok_or_else(fail)?;
        rest = after;
    }
    Ok(if negative { -total } else { total })
}

/// One `number unit` of a duration, and what follows it.
fn parse_term(text: &str) -> Option<(i64, &str)> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(split);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    let scale: i64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS,
        "m" => 60 * NANOS,
        "h" => 3600 * NANOS,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse::<f64>().ok()? };
    Some((whole.checked_mul(scale)?.checked_add((part * scale as f64).round() as i64)?, after))
}

/// Prints nanoseconds as Go prints a duration: `1h2m3.5s`, `1.5ms`, `0s`.
#[must_use]
pub fn print_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let left = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let text = format!("{}.{:0width$}", value / unit, value % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let text = match left {
        0 => return "0s".to_owned(),
        1..1_000 => format!("{left}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(left, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(left, 1_000_000)),
        _ => {
            let (minutes, rest) = (left / 60_000_000_000, left % 60_000_000_000);
            let seconds = if rest == 0 { "0".to_owned() } else { fraction(rest, 1_000_000_000) };
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

fn parse_date(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text.trim_end_matches('Z'), ""),
    };
    let mut parts = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    let (clock, offset) = split_offset(time)?;
    let clock = if clock.is_empty() { 0 } else { parse_clock(clock)? };
    days.checked_mul(86_400 * NANOS)?.checked_add(clock)?.checked_sub(offset)
}

/// Splits `15:04:05+02:00` into the clock and the offset in nanoseconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let offset = parse_clock(&time[at + 1..])?;
    Some((&time[..at], if time[at..].starts_with('-') { -offset } else { offset }))
}

fn parse_clock(clock: &str) -> Option<i64> {
    let mut parts = clock.splitn(3, ':');
    let number = |part: Option<&str>, below: i64| match part {
        None => Some(0),
        Some(text) if text.len() == 2 => text.parse::<i64>().ok().filter(|n| (0..below).contains(n)),
        Some(_) => None,
    };
    let (hours, minutes) = (number(parts.next(), 24)?, number(parts.next(), 60)?);
    let seconds = match parts.next() {
        None => 0,
        Some(text) => parse_unix(text).filter(|n| (0..61 * NANOS).contains(n))?,
    };
    Some((hours * 3600 + minutes * 60) * NANOS + seconds)
}

/// Year, month and day of a count of days since 1970 (proleptic Gregorian; eras of 400 years from 1 March).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_225_271_780_909_012, "2026-11-21T01:41:11.780909012Z"),
            (1_795_225_271_780_900_000, "2026-11-21T01:41:11.7809Z"),
            (951_782_400 * NANOS, "2000-02-29T00:00:00Z"),
            (-NANOS, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(print(ns), text);
            assert_eq!(parse(text), Ok(ns), "{text}");
        }
        assert_eq!(print_fixed(1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(print_seconds(-62_135_596_800), ZERO);
    }

    #[test]
    fn reads_moments() {
        let now = 1_000 * NANOS;
        for (text, ns) in [
            ("10", 10 * NANOS),
            ("10.000000005", 10 * NANOS + 5),
            ("10.5", 10 * NANOS + NANOS / 2),
            ("1m30s", 910 * NANOS),
            ("1970-01-02", 86_400 * NANOS),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1970-01-01T00:00", 0),
        ] {
            assert_eq!(parse_moment(text, now), Ok(ns), "{text}");
        }
        for bad in ["", "x", "10x", "1970-13-01", "1970-02-30", "1970-01-01T25:00:00Z", "1.2.3", "ü"] {
            assert!(parse_moment(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_go_both_ways() {
        for (text, ns) in [
            ("1h2m3.5s", 3_723_500_000_000),
            ("300ms", 300_000_000),
            ("1.5µs", 1_500),
            ("-2m0s", -120_000_000_000),
            ("1h0m0s", 3_600_000_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(ns), "{text}");
            assert_eq!(print_duration(ns), text);
        }
        assert_eq!(parse_duration("1.5h"), Ok(5_400_000_000_000));
        for bad in ["", "1", "s", "1x", "1h1", ".s", "1..2s", "9999999999h", "-"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
