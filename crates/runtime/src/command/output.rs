//! What the command line says to people, and to the programs that call it.

use std::fs::File;
use std::io::Write;

use rustix::fs::{Mode, OFlags};
use serde_json::json;

use super::arguments::Arguments;
use crate::Error;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Complaint {
    message: String,
    code: i32,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    pub(crate) fn io(tried: &str, error: &std::io::Error) -> Self {
        let text = error.to_string();
        Self::new(format!("{tried}: {}", text.split(" (os error").next().unwrap_or_default().to_lowercase()))
    }

    /// Says it on stderr and, when a log was asked for, there. Returns the exit code.
    pub(crate) fn report(&self, log: &Log) -> i32 {
        let text = one_line(&self.message);
        log.tell(&format!("berth-runtime: {text}"));
        if let Err(error) = log.write("error", &text) {
            log.tell(&format!("berth-runtime: {}", error.message));
        }
        self.code
    }
}

/// Longest message in bytes: one that quotes a caller's words can be of any length.
const LONGEST: usize = 4096;

/// Without characters that would start a new line or steer a terminal, and of bounded length.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let text = text.trim_end();
    let plain = |text: &str| text.chars().map(plain).collect::<String>();
    if text.len() <= LONGEST {
        return plain(text);
    }
    // The cause stands at the end, the rest of a long quotation is not missed.
    let head = text.floor_char_boundary(LONGEST / 2);
    let tail = text.ceil_char_boundary(text.len() - LONGEST / 2);
    format!("{}…{}", plain(&text[..head]), plain(&text[tail..]))
}

/// One line of a command's answer.
pub(crate) fn say(line: std::fmt::Arguments<'_>) -> Result<(), Complaint> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| Complaint::io("write the answer", &error))
}

impl Complaint {
    /// For what can go on without.
    pub(crate) fn warn(&self, log: &Log) {
        log.warn(&self.message);
    }

    /// With another exit code.
    pub(crate) fn with_code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }
}

/// Where callers want to read what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Log {
    path: Option<String>,
    json: bool,
    /// What is done is told, too.
    debug: bool,
}

impl Log {
    pub(crate) fn of(global: &Arguments) -> Self {
        Self {
            path: global.value(&["log"]).map(str::to_owned),
            json: global.value(&["log-format"]) == Some("json"),
            debug: global.has("debug"),
        }
    }

    /// To the log, or to stderr when there is none: behind a caller with a log, stderr is often the container's own.
    pub(crate) fn warn(&self, text: &str) {
        let text = one_line(text);
        if self.path.is_none() || self.write("warning", &text).is_err() {
            self.tell(&format!("berth-runtime: warning: {text}"));
        }
    }

    /// For whoever has asked for it.
    pub(crate) fn debug(&self, text: &str) {
        let text = one_line(text);
        if self.debug && (self.path.is_none() || self.write("debug", &text).is_err()) {
            self.tell(&self.line("debug", &text));
        }
    }

    /// On stderr, where nobody may be, or a full disk.
    fn tell(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn line(&self, level: &str, text: &str) -> String {
        let now = humantime(std::time::SystemTime::now());
        if self.json {
            json!({"level": level, "msg": text, "time": now}).to_string()
        } else {
            format!("time={now:?} level={level} msg={text:?}")
        }
    }

    /// One line in the form that callers read, if they want one.
    fn write(&self, level: &str, text: &str) -> Result<(), Complaint> {
        let Some(path) = &self.path else { return Ok(()) };
        let line = self.line(level, text);
        // A FIFO that nobody reads must not hold us up.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags | OFlags::NOCTTY, Mode::from_raw_mode(0o644));
        let written = file
            .map_err(Into::into)
            .and_then(|file| File::from(file).write_all(format!("{line}\n").as_bytes()));
        written.map_err(|error| Complaint::io(&format!("write to the log {path}"), &error))
    }
}

impl From<Error> for Complaint {
    fn from(error: Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<plan::Error> for Complaint {
    fn from(error: plan::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// RFC 3339 in UTC with nanoseconds.
pub(crate) fn humantime(time: std::time::SystemTime) -> String {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days as i64);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", since.subsec_nanos())
}

/// Year, month and day of a day counted from 1970 (proleptic Gregorian calendar, years beginning in March).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::humantime;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (1_795_222_861, "2026-11-21T01:01:01.000000000Z"),
        ] {
            assert_eq!(humantime(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
