//! The course of an upload (D06), as plain data: which chunk may come next, and what the answers say about it.

use std::fmt;
use std::str::FromStr;

use types::weak;

use crate::code::{Code, Refusal};

/// The name of an upload: 16 random bytes, printed as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UploadId([u8; 16]);

impl UploadId {
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for UploadId {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let hex = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = if hex { u128::from_str_radix(text, 16).ok() } else { None };
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(unknown)
    }
}

/// What the head of a request says about the bytes that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// `Content-Range`: first and last byte.
    pub(crate) range: Option<(u64, u64)>,
    /// `Content-Length`.
    pub(crate) length: Option<u64>,
}

impl Chunk {
    /// Whether these bytes may follow the `offset` that are there; how many they must be, when that was said.
    pub(crate) fn check(self, offset: u64) -> Result<Option<u64>, Refusal> {
        let Some((first, last)) = self.range else { return Ok(self.length) };
        if first != offset && !weak::is_off("D06") {
            let message = format!("the chunk begins at {first}, but the upload has {offset} bytes");
            return Err(Refusal::new(Code::RangeInvalid, message));
        }
        let long = last - first + 1;
        match self.length {
            Some(length) if length != long => {
                let message = format!("Content-Range means {long} bytes, Content-Length says {length}");
                Err(Refusal::new(Code::SizeInvalid, message))
            }
            _ => Ok(Some(long)),
        }
    }
}

/// `Range:` of an answer: what is there. An empty upload says `0-0`, as every registry does.
pub(crate) fn range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

/// There is no such upload.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(Code::BlobUploadUnknown, "there is no such upload: it ended, expired or never began")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d06_only_the_next_chunk_is_taken() {
        let check = |range, length, offset| {
            Chunk { range, length }.check(offset).map_err(|refusal| refusal.status().as_u16())
        };
        for (range, length, offset, out) in [
            (None, None, 0, Ok(None)),
            (None, Some(5), 7, Ok(Some(5))),
            (Some((0, 4)), Some(5), 0, Ok(Some(5))),
            (Some((7, 9)), None, 7, Ok(Some(3))),
            (Some((8, 9)), Some(2), 7, Err(416)),
            (Some((0, 4)), Some(5), 5, Err(416)),
            (Some((6, 9)), Some(4), 7, Err(416)),
            (Some((7, 9)), Some(2), 7, Err(400)),
            (Some((7, 9)), Some(4), 7, Err(400)),
        ] {
            assert_eq!(check(range, length, offset), out, "{range:?} {length:?} {offset}");
        }
        assert_eq!((range(0), range(1), range(10)), ("0-0".into(), "0-0".into(), "0-9".into()));
    }

    #[test]
    fn d06_ids_are_no_paths() {
        let id = UploadId::from_bytes([0xa5; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in
            ["", ".", "..", "../../x", &"A5".repeat(16), &"a5".repeat(17), &format!("+{}", "a".repeat(31))]
        {
            assert!(bad.parse::<UploadId>().is_err(), "{bad}");
        }
    }
}
