//! `HostConfig.LogConfig`: where a container's output is kept.

use dockerapi::LogConfig;

use crate::state::LogRecord;
use crate::{Error, Options, Result};

/// Reads and checks the log settings.
pub(crate) fn read(config: &LogConfig, options: &Options) -> Result<LogRecord> {
    let mut log =
        LogRecord { off: false, max_bytes: options.log_max_bytes, max_files: options.log_max_files };
    match config.driver.as_str() {
        "" | "json-file" => {}
        "none" if config.config.is_empty() => return Ok(LogRecord { off: true, ..log }),
        "none" => return Err(Error::invalid("the log driver none takes no options")),
        other => {
            return Err(Error::unimplemented(format!(
                "log driver {other:?} is not supported by Berth yet; use json-file or none"
            )));
        }
    }
    for (name, value) in &config.config {
        match name.as_str() {
            "max-size" => log.max_bytes = size(value)?,
            "max-file" => {
                log.max_files = value.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| {
                    Error::invalid(format!("invalid log opt max-file={value}: want 1 to 1000"))
                })?;
            }
            "compress" if matches!(value.as_str(), "false" | "0") => {}
            "compress" | "labels" | "labels-regex" | "env" | "env-regex" | "tag" | "mode"
            | "max-buffer-size" => {
                return Err(Error::unimplemented(format!("log opt {name} is not supported by Berth yet")));
            }
            other => {
                return Err(Error::invalid(format!("unknown log opt '{other}' for json-file log driver")));
            }
        }
    }
    Ok(log)
}

/// Bytes; `-1` never rotates.
fn size(text: &str) -> Result<u64> {
    if text == "-1" {
        return Ok(0);
    }
    let bytes = types::parse_bytes(text).ok().filter(|n| *n > 0);
    bytes.ok_or_else(|| Error::invalid(format!("invalid log opt max-size={text}: want a size like 10m")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let read = |driver: &str, pairs: &[(&str, &str)]| {
            let config = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let log = read(&LogConfig { driver: driver.to_owned(), config }, &Options::default());
            log.map(|l| (l.off, l.max_bytes, l.max_files)).map_err(|e| e.kind())
        };
        assert_eq!(read("", &[]), Ok((false, 16 << 20, 4)));
        assert_eq!(read("json-file", &[("max-size", "10k"), ("max-file", "2")]), Ok((false, 10 << 10, 2)));
        assert_eq!(read("json-file", &[("max-size", "-1")]), Ok((false, 0, 4)));
        assert_eq!(read("none", &[]).map(|l| l.0), Ok(true));
        assert_eq!(read("syslog", &[]), Err(types::Kind::Unimplemented));
        assert_eq!(read("", &[("tag", "x")]), Err(types::Kind::Unimplemented));
        for (key, value) in [("max-size", "x"), ("max-size", "0"), ("max-file", "0"), ("nope", "1")] {
            assert_eq!(read("", &[(key, value)]), Err(types::Kind::InvalidInput), "{key}");
        }
    }
}
