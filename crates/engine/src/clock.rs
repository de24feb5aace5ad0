//! The clock, in the units of the records.

use std::time::SystemTime;

use jiff::Timestamp;

/// Nanoseconds since the epoch.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// RFC 3339 with nanoseconds, in UTC; Docker's zero time for 0.
pub(crate) fn rfc3339(ns: i64) -> String {
    if ns == 0 {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    Timestamp::from_nanosecond(i128::from(ns)).map_or_else(|_| String::new(), |t| t.to_string())
}
