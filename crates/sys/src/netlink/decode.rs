//! Reading netlink messages. A length that points outside its buffer ends the walk with [`Malformed`].

use super::encode::HEADER;
use super::uapi::NLA_TYPE_MASK;

/// Bytes that are not a netlink message or attribute: the length field does not fit the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a netlink length of {length} bytes with {left} bytes left")]
pub struct Malformed {
    length: usize,
    left: usize,
}

/// One message: its header's fields and what follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The message type.
    pub kind: u16,
    /// The `NLM_F_*` bits.
    pub flags: u16,
    /// The sequence number of the request it answers.
    pub sequence: u32,
    /// The number of the socket it goes to, or of the one that caused it; 0 is the kernel.
    pub port: u32,
    /// The family's fixed header and the attributes.
    pub payload: &'a [u8],
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The type without the nested and byte order flags.
    pub kind: u16,
    /// The payload without padding.
    pub payload: &'a [u8],
}

/// The messages in a buffer that was received.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_of(bytes.get(..4)?)?).ok()?;
        let left = bytes.len();
        if length < HEADER || length > left {
            bytes = &[];
            return Some(Err(Malformed { length, left }));
        }
        let (head, payload) = bytes[..length].split_at(HEADER);
        bytes = &bytes[length.next_multiple_of(4).min(left)..];
        let sequence = u32_of(&head[8..12]).unwrap_or(0);
        let port = u32_of(&head[12..16]).unwrap_or(0);
        Some(Ok(Message { kind: u16_of(&head[4..6]), flags: u16_of(&head[6..8]), sequence, port, payload }))
    })
}

/// The attributes in a payload, after the fixed header has been cut off.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if bytes.len() < 4 {
            return None;
        }
        let (length, left) = (usize::from(u16_of(&bytes[..2])), bytes.len());
        if length < 4 || length > left {
            bytes = &[];
            return Some(Err(Malformed { length, left }));
        }
        let kind = u16_of(&bytes[2..4]) & NLA_TYPE_MASK;
        let payload = &bytes[4..length];
        bytes = &bytes[length.next_multiple_of(4).min(left)..];
        Some(Ok(Attribute { kind, payload }))
    })
}

/// The first attribute of this type. A malformed tail hides what follows it.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).map_while(Result::ok).find(|a| a.kind == kind).map(|a| a.payload)
}

/// A text without its terminating zero. Bytes that are not UTF-8 become replacement characters.
#[must_use]
pub fn text(payload: &[u8]) -> String {
    let end = payload.iter().position(|b| *b == 0).unwrap_or(payload.len());
    String::from_utf8_lossy(&payload[..end]).into_owned()
}

/// A number of 32 bits in the host's byte order, or nothing when the payload has another size.
#[must_use]
pub fn u32_of(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_ne_bytes)
}

/// A number of 32 bits in network byte order.
#[must_use]
pub fn be32(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// A number of 16 bits in network byte order.
#[must_use]
pub fn be16(payload: &[u8]) -> Option<u16> {
    payload.try_into().ok().map(u16::from_be_bytes)
}

fn u16_of(two: &[u8]) -> u16 {
    two.try_into().map_or(0, u16::from_ne_bytes)
}
