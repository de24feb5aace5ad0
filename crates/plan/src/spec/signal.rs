//! Signals by name and number, as people write them.

use crate::Error;

/// Names without `SIG`, at their numbers on every architecture that Berth runs on.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Reads `SIGTERM`, `term`, `15`, `RTMIN+3`.
///
/// # Errors
/// Docker's sentence for anything else.
pub fn parse(text: &str) -> Result<i32, Error> {
    let bad = || Error::invalid(format!("Invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=RTMAX).contains(&number) { Ok(number) } else { Err(bad()) };
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str| match rest {
        "" => Some(0),
        rest => rest[1..].parse::<u8>().ok().filter(|_| rest.starts_with(['+', '-'])).map(i32::from),
    };
    let number = match name {
        "" => None,
        "POLL" => Some(29),
        "IOT" => Some(6),
        "CLD" => Some(17),
        name if name.starts_with("RTMIN") => offset(&name[5..]).map(|n| RTMIN + n),
        name if name.starts_with("RTMAX") => offset(&name[5..]).map(|n| RTMAX - n),
        name => NAMES.iter().position(|n| *n == name).map(|n| n as i32),
    };
    number.filter(|n| (1..=RTMAX).contains(n)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigkill", 9),
            ("SIGTERM", 15),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("RTMIN", 34),
            ("64", 64),
            ("SIGWINCH", 28),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
        for bad in ["", "0", "65", "-1", "SIG", "NOPE", "RTMIN+99", "RTMIN3", "1x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
