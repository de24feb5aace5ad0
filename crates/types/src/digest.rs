//! Content digests (OCI image spec, descriptor.md#digests). Only sha256 is accepted.

use std::fmt;
use std::str::FromStr;

/// A sha256 digest of some content. Prints as `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not a digest that Berth accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a sha256 digest (want sha256: and 64 lower-case hex digits)")]
pub struct DigestError(String);

impl Digest {
    /// The digest whose raw hash is `hash`.
    #[must_use]
    pub const fn from_hash(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The raw hash.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without the algorithm: the file name in an OCI layout.
    #[must_use]
    pub fn hex(&self) -> String {
        crate::id::to_hex(&self.0)
    }

    /// The first 12 hex digits, as lists show image ids.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix("sha256:")
            .and_then(crate::id::from_hex)
            .map(Self)
            .ok_or_else(|| DigestError(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i02_digests_are_read_only_as_they_are_printed() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(good.parse::<Digest>().map(|d| d.to_string()), Ok(good.clone()));
        for bad in [
            "",
            "sha256:",
            "sha256:../x",
            "sha512:00",
            &good.to_uppercase(),
            &good[..70],
            &format!("{good}0"),
            &good.replace("0a", "0A"),
            &good.replace("0a", "0g"),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
