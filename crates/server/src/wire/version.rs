//! API versions: the prefix of a path, and the window that is served.

use std::fmt;

use crate::error::{Error, Result};

/// A version of the API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Version(u32, u32);

impl Version {
    /// The oldest that is served.
    pub(crate) const MIN: Self = Self(1, 24);
    /// The newest that is served, and the one meant by a path without prefix.
    pub(crate) const MAX: Self = Self(1, 51);

    /// Is it at least 1.`minor`?
    pub(crate) fn has(self, minor: u32) -> bool {
        self >= Self(1, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Splits `/v1.41/info` into the version and `/info`. Without a prefix the newest version is meant.
///
/// The two sentences for a version outside the window are Docker's to the letter: clients search for them.
pub(crate) fn split(path: &str) -> Result<(Version, &str)> {
    let Some((text, rest)) = prefix(path) else { return Ok((Version::MAX, path)) };
    let version = parse(text).ok_or_else(|| {
        Error::invalid(format!(
            "invalid API version {text:?} in the path: want for example v{}",
            Version::MAX
        ))
    })?;
    if version < Version::MIN {
        return Err(Error::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
            Version::MIN
        )));
    }
    if version > Version::MAX {
        return Err(Error::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {}",
            Version::MAX
        )));
    }
    Ok((version, rest))
}

/// The digits and dots after `/v`, and the path that follows them.
fn prefix(path: &str) -> Option<(&str, &str)> {
    let text = path.strip_prefix("/v")?;
    let end = text.find('/')?;
    let (version, rest) = text.split_at(end);
    let digits = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    digits.then_some((version, rest))
}

fn parse(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some(Version(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_prefixes() {
        assert_eq!(split("/info"), Ok((Version::MAX, "/info")));
        assert_eq!(split("/v1.24/info"), Ok((Version(1, 24), "/info")));
        assert_eq!(split("/v1.41/a/b"), Ok((Version(1, 41), "/a/b")));
        assert_eq!(split("/version"), Ok((Version::MAX, "/version")));
        assert_eq!(split("/volumes/v1"), Ok((Version::MAX, "/volumes/v1")));
        assert!(split("/v1.4.1/info").is_err() && split("/v1/info").is_err());
    }

    #[test]
    fn says_dockers_sentences() {
        let said = |path: &str| split(path).unwrap_err().to_string();
        assert_eq!(
            said("/v1.23/info"),
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        assert_eq!(
            said("/v1.99/info"),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
    }
}
