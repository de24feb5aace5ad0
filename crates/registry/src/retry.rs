//! What is worth another try, and after how long.

use std::time::Duration;

use crate::http::Trouble;

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// No answer.
    Failed(Trouble),
    /// An answer, with its `Retry-After`.
    Answered(u16, Option<&'a str>),
}

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);
/// No pause that we choose is longer.
const LONGEST: Duration = Duration::from_secs(10);
/// A registry that wants us to wait longer than this is told to the user instead.
const MOST_PATIENT: Duration = Duration::from_secs(120);

/// How long to wait before trying once more; `None` when another try is of no use. `tries` were made so far. `random` is
/// from 0 to 1 and spreads clients that failed together; `now` is in seconds since 1970.
pub(crate) fn pause(outcome: Outcome<'_>, tries: u32, most: u32, random: f64, now: i64) -> Option<Duration> {
    let (worth, asked) = match outcome {
        Outcome::Failed(trouble) => (matches!(trouble, Trouble::Timeout | Trouble::Broken), None),
        Outcome::Answered(status, after) => {
            (matches!(status, 408 | 429 | 502..=504), after.and_then(|text| retry_after(text, now)))
        }
    };
    if !worth || tries >= most || asked.is_some_and(|asked| asked > MOST_PATIENT) {
        return None;
    }
    let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
    Some(doubled.mul_f64(0.5 + random / 2.0).max(asked.unwrap_or_default()))
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: i64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::from_secs(u64::try_from(date.as_second() - now).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn check(outcome: Outcome<'_>, tries: u32) -> Option<u128> {
        pause(outcome, tries, 5, 1.0, NOW).map(|pause| pause.as_millis())
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for trouble in [Trouble::Timeout, Trouble::Broken] {
            assert_eq!(check(Outcome::Failed(trouble), 1), Some(200), "{trouble:?}");
        }
        for trouble in [
            Trouble::Name,
            Trouble::Connect,
            Trouble::Certificate,
            Trouble::NotTls,
            Trouble::Malformed,
            Trouble::Proxy,
            Trouble::Local,
        ] {
            assert_eq!(check(Outcome::Failed(trouble), 1), None, "{trouble:?}");
        }
        for status in [408, 429, 502, 503, 504] {
            assert!(check(Outcome::Answered(status, None), 1).is_some(), "{status}");
        }
        for status in [200, 400, 401, 403, 404, 405, 416, 500, 501] {
            assert_eq!(check(Outcome::Answered(status, None), 1), None, "{status}");
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<_> = (1..=5).map(|tries| check(Outcome::Answered(503, None), tries)).collect();
        assert_eq!(pauses, [Some(200), Some(400), Some(800), Some(1600), None]);
        assert_eq!(pause(Outcome::Answered(503, None), 30, 99, 1.0, NOW), Some(LONGEST));
        assert_eq!(pause(Outcome::Answered(503, None), 1, 5, 0.0, NOW), Some(Duration::from_millis(100)));
    }

    #[test]
    fn the_registry_may_ask_for_more_time() {
        for (text, ms) in [
            ("3", Some(3000)),
            ("0", Some(200)),
            (" 7 ", Some(7000)),
            ("100000", None),
            ("-1", Some(200)),
            ("soon", Some(200)),
            ("Mon, 21 Sep 2026 14:13:25 GMT", Some(5000)),
            ("Sun, 20 Sep 2026 14:13:25 GMT", Some(200)),
            ("Tue, 21 Sep 2027 14:13:25 GMT", None),
        ] {
            assert_eq!(check(Outcome::Answered(429, Some(text)), 1), ms, "{text}");
        }
    }
}
