//! The instruction `HEALTHCHECK`: options, then `NONE`, or `CMD` and a command.

use oci::image::Healthcheck;

use crate::changes::json_list;
use crate::error::{Error, Result};

const UNITS: [(&str, i64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads what follows the instruction's name.
pub(crate) fn read(text: &str) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = text.trim();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        set(&mut check, name, value)?;
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err(Error::invalid("NONE takes no arguments")),
        "CMD" if command.is_empty() => return Err(Error::invalid("missing command after HEALTHCHECK CMD")),
        "CMD" => match json_list(command) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        other => return Err(Error::invalid(format!("unknown type {other:?}: want NONE or CMD"))),
    };
    Ok(check)
}

fn set(check: &mut Healthcheck, name: &str, value: &str) -> Result<()> {
    let place = match name {
        "interval" => &mut check.interval,
        "timeout" => &mut check.timeout,
        "start-period" => &mut check.start_period,
        "start-interval" => &mut check.start_interval,
        "retries" => {
            let bad =
                || Error::invalid(format!("--retries must be a whole number of at least 1, not {value:?}"));
            check.retries = value.parse().ok().filter(|n| *n >= 1).ok_or_else(bad)?;
            return Ok(());
        }
        other => return Err(Error::invalid(format!("unknown option --{other}"))),
    };
    let bad =
        || Error::invalid(format!("--{name} must be a duration of at least 1ms, such as 30s, not {value:?}"));
    *place = duration(value).filter(|ns| *ns >= 1_000_000).ok_or_else(bad)?;
    Ok(())
}

/// Nanoseconds of a Go duration such as `1m30s`.
fn duration(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        let nanos = number * (*unit as f64);
        if nanos >= 9e18 {
            return None;
        }
        total = total.checked_add(nanos as i64)?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions() {
        let shown = |text: &str| match read(text) {
            Ok(check) => format!("{:?} {}", check.test, check.interval),
            Err(e) => e.to_string(),
        };
        for (text, want) in [
            ("NONE", r#"["NONE"] 0"#),
            ("--interval=1.5s CMD curl -f x", r#"["CMD-SHELL", "curl -f x"] 1500000000"#),
            (r#"CMD ["a", "b c"]"#, r#"["CMD", "a", "b c"] 0"#),
            ("CMD", "missing command after HEALTHCHECK CMD"),
            ("NONE x", "NONE takes no arguments"),
            ("x", "unknown type \"X\": want NONE or CMD"),
            ("--retries=0 NONE", "--retries must be a whole number of at least 1, not \"0\""),
            ("--what=1 NONE", "unknown option --what"),
            ("--interval=1 NONE", "--interval must be a duration of at least 1ms, such as 30s, not \"1\""),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }
}
