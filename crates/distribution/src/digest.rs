//! Digests that the registry takes (image-spec, descriptor.md#digests): sha256 and sha512, read only as they are printed (I02).
//! A content is kept under the digest that it was pushed by; under two, it is kept twice.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, SHA512};

use crate::code::{Code, Refusal};
use crate::error::{Error, Result};

/// How much of a file is hashed at a time.
const STEP: usize = 256 << 10;

/// How a digest is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

/// Prints as `sha256:` and 64, or `sha512:` and 128 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Digest {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

/// Hashes what it is shown.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    context: Context,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Its name in a digest, and its directory in an OCI layout.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

impl FromStr for Algorithm {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            Refusal::new(Code::DigestInvalid, format!("{:?} is not sha256 or sha512", shown(text)))
        })
    }
}

impl Digest {
    /// The digest of bytes in memory.
    pub(crate) fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest with these raw bytes, when there are as many as one has.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self::Sha256).or_else(|_| bytes.try_into().map(Self::Sha512)).ok()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(hash) => hash,
            Self::Sha512(hash) => hash,
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hex digits without the algorithm: the file's name in an OCI layout.
    pub(crate) fn hex(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As the client of registries has it, which knows sha256 only.
    pub(crate) fn for_client(&self) -> Option<types::Digest> {
        match self {
            Self::Sha256(hash) => Some(types::Digest::from_hash(*hash)),
            Self::Sha512(_) => None,
        }
    }
}

impl FromStr for Digest {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let bad = || {
            let message = format!(
                "{:?} is not a digest: want sha256: and 64, or sha512: and 128 lower-case hex digits",
                shown(text)
            );
            Refusal::new(Code::DigestInvalid, message)
        };
        let (algorithm, hex) = text.split_once(':').ok_or_else(bad)?;
        let bytes = bytes_of(hex).ok_or_else(bad)?;
        Self::from_bytes(&bytes).filter(|digest| digest.algorithm().name() == algorithm).ok_or_else(bad)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let context = match algorithm {
            Algorithm::Sha256 => Context::new(&SHA256),
            Algorithm::Sha512 => Context::new(&SHA512),
        };
        Self { algorithm, context }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        let hash = self.context.finish();
        let hash = hash.as_ref();
        match self.algorithm {
            Algorithm::Sha256 => Digest::Sha256(std::array::from_fn(|at| hash[at])),
            Algorithm::Sha512 => Digest::Sha512(std::array::from_fn(|at| hash[at])),
        }
    }
}

/// The sha256 digest of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// The digest of a whole file, and its length.
pub(crate) fn digest_of_file(algorithm: Algorithm, file: &File) -> Result<(Digest, u64)> {
    let (mut hasher, mut buffer, mut at) = (Hasher::new(algorithm), vec![0; STEP], 0);
    loop {
        let count = file.read_at(&mut buffer, at).map_err(|e| Error::call("cannot read a content", e))?;
        if count == 0 {
            return Ok((hasher.finish(), at));
        }
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i02_digests_are_read_only_as_they_are_printed() {
        for (algorithm, long) in [("sha256", 64), ("sha512", 128)] {
            let good = format!("{algorithm}:{}", "0a".repeat(long / 2));
            assert_eq!(good.parse::<Digest>().map(|digest| digest.to_string()), Ok(good.clone()));
            let other = if long == 64 { "sha512" } else { "sha256" };
            for bad in [
                good.to_uppercase(),
                good[..good.len() - 1].to_owned(),
                good[..good.len() - 2].to_owned(),
                format!("{good}0"),
                format!("{good}00"),
                good.replace("0a", "0A"),
                good.replace("0a", "0g"),
                good.replace("0a", "+a"),
                good.replace(algorithm, other),
                good.replace(algorithm, "sha384"),
                good.replace(':', ""),
                format!("{algorithm}:"),
                format!("{algorithm}:../x"),
                format!(" {good}"),
                String::new(),
            ] {
                assert!(bad.parse::<Digest>().is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn both_algorithms_are_what_they_are_called() {
        let start = |algorithm| Digest::of(algorithm, b"abc").hex()[..16].to_owned();
        assert_eq!(start(Algorithm::Sha256), "ba7816bf8f01cfea");
        assert_eq!(start(Algorithm::Sha512), "ddaf35a193617aba");
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[5; STEP + 3], 0).unwrap();
        for algorithm in Algorithm::ALL {
            let whole = Digest::of(algorithm, &[5; STEP + 3]);
            assert_eq!(digest_of_file(algorithm, &file).unwrap(), (whole, STEP as u64 + 3));
            assert_eq!(Digest::from_bytes(whole.bytes()), Some(whole));
        }
    }
}
