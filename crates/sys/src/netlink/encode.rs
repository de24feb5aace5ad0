//! Writing netlink messages. A length that does not fit its field is remembered and fails the whole batch: nothing
//! wraps around (CVE-2021-43784), and callers need no check per attribute.

use super::uapi::{NAME_ROOM, NLA_F_NESTED, NLM_F_REQUEST};

/// Bytes of a message header (`struct nlmsghdr`).
pub(super) const HEADER: usize = 16;

/// Something does not fit the field that has to hold it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {length} bytes does not fit a netlink message ({label})")]
pub struct TooLong {
    what: &'static str,
    length: usize,
    label: String,
}

/// Messages that are sent together, in order.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    messages: Vec<(usize, String)>,
    fault: Option<TooLong>,
}

/// Where attributes of one message, or of one nested attribute, are written.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    fault: &'a mut Option<TooLong>,
    label: &'a str,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message: its type, its flags besides `NLM_F_REQUEST`, the family's fixed `header`, and attributes.
    /// `label` names it in errors, as in `create veth bth0`.
    pub fn message(
        &mut self,
        label: impl Into<String>,
        kind: u16,
        flags: u16,
        header: &[u8],
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        let (start, label) = (self.bytes.len(), label.into());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        let mut writer = Writer { bytes: &mut self.bytes, fault: &mut self.fault, label: &label };
        writer.raw(header);
        fill(&mut writer);
        let length = self.bytes.len() - start;
        match u32::try_from(length) {
            Ok(short) => self.bytes[start..start + 4].copy_from_slice(&short.to_ne_bytes()),
            Err(_) => {
                self.fault.get_or_insert(TooLong { what: "a message", length, label: label.clone() });
            }
        }
        self.messages.push((start, label));
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many bytes the messages take so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The label of message `index`.
    #[must_use]
    pub fn label(&self, index: usize) -> &str {
        self.messages.get(index).map_or("?", |(_, label)| label)
    }

    /// The bytes to send: message `i` gets sequence number `first + i`, the messages in `flagged` get `flags` besides.
    ///
    /// # Errors
    /// When some length did not fit its field.
    pub fn encode(
        &mut self,
        first: u32,
        flags: u16,
        flagged: impl Fn(usize) -> bool,
    ) -> Result<&[u8], TooLong> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut sequence = first;
        for (index, (start, _)) in self.messages.iter().enumerate() {
            self.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
            sequence = sequence.wrapping_add(1);
            if flagged(index) {
                let at = start + 6;
                let now = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]);
                self.bytes[at..at + 2].copy_from_slice(&(now | flags).to_ne_bytes());
            }
        }
        Ok(&self.bytes)
    }
}

impl Writer<'_> {
    /// Appends an attribute with these bytes.
    pub fn put(&mut self, kind: u16, payload: &[u8]) {
        let total = payload.len().saturating_add(4);
        let Ok(length) = u16::try_from(total) else {
            return self.fail("an attribute", payload.len());
        };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.raw(payload);
    }

    /// Appends a number of 8 bits.
    pub fn put_u8(&mut self, kind: u16, value: u8) {
        self.put(kind, &[value]);
    }

    /// Appends a number of 32 bits in the host's byte order, as rtnetlink has them.
    pub fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Appends a number of 32 bits in network byte order, as netfilter has them.
    pub fn put_be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends a number of 16 bits in network byte order.
    pub fn put_be16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Appends a text with its terminating zero. A text that holds a zero itself fails the batch.
    pub fn put_text(&mut self, kind: u16, value: &str) {
        if value.contains('\0') {
            return self.fail("a text with a zero byte", value.len());
        }
        self.put(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// Appends an interface name: a text of 1 to 15 bytes.
    pub fn put_name(&mut self, kind: u16, value: &str) {
        if value.is_empty() || value.len() >= NAME_ROOM {
            return self.fail("an interface name", value.len());
        }
        self.put_text(kind, value);
    }

    /// Appends an attribute whose payload is attributes, flagged `NLA_F_NESTED`.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>)) {
        self.nest_after(kind | NLA_F_NESTED, &[], fill);
    }

    /// Appends an attribute whose payload is a fixed header and attributes after it. The type is written as it is.
    pub fn nest_after(&mut self, kind: u16, header: &[u8], fill: impl FnOnce(&mut Writer<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.raw(header);
        fill(&mut Writer { bytes: self.bytes, fault: self.fault, label: self.label });
        let length = self.bytes.len() - start;
        match u16::try_from(length) {
            Ok(short) => self.bytes[start..start + 2].copy_from_slice(&short.to_ne_bytes()),
            Err(_) => self.fail("a nested attribute", length - 4),
        }
    }

    /// Bytes, padded to a multiple of four.
    fn raw(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }

    fn fail(&mut self, what: &'static str, length: usize) {
        let label = self.label.to_owned();
        self.fault.get_or_insert(TooLong { what, length, label });
    }
}
