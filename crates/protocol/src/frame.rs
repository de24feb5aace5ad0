//! Frames on a byte stream: a little-endian `u32` length, then one encoded message.

use prost::Message;

/// The longest frame either side accepts, in bytes. A plan with a thousand variables is about 100 KiB.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// Why received bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The announced length is over [`MAX_FRAME_BYTES`].
    #[error("frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// The bytes are not the message expected here.
    #[error("malformed frame")]
    Malformed(#[from] prost::DecodeError),
}

/// A message that can be framed.
pub trait Frame: Message + Default {}
impl<M: Message + Default> Frame for M {}

/// The frame of `message`.
#[must_use]
pub fn encode<M: Frame>(message: &M) -> Vec<u8> {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(4 + length);
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
    message.encode_raw(&mut bytes);
    bytes
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
}

impl FrameReader {
    /// Takes bytes as they came in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 1 << 16 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one. What kind it must be is known from the messages before it.
    ///
    /// # Errors
    /// When the peer sends what is no frame of ours; the connection should be closed.
    pub fn take<M: Frame>(&mut self) -> Result<Option<M>, FrameError> {
        let pending = self.rest();
        let Some((head, rest)) = pending.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = M::decode(body)?;
        self.start += 4 + length;
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            self.buffer.shrink_to(1 << 12);
        }
        Ok(Some(message))
    }

    /// What came in and was not taken yet.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hello, VERSION};

    #[test]
    fn any_split_gives_the_same_messages() {
        let hello = Hello { version: VERSION, build: "x".repeat(300), instance: 7 };
        let stream = [encode(&hello), encode(&Hello::default()), encode(&hello)].concat();
        for step in [1, 2, 3, 5, 100, 1000] {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for chunk in stream.chunks(step) {
                reader.push(chunk);
                while let Some(message) = reader.take::<Hello>().expect("well formed") {
                    seen.push(message);
                }
            }
            assert_eq!(seen, [hello.clone(), Hello::default(), hello.clone()], "step {step}");
        }
    }

    #[test]
    fn a_newer_peers_request_asks_nothing() {
        let mut reader = FrameReader::default();
        for tag in 19_u8..=30 {
            // The field's key in two bytes, then an empty message.
            reader.push(&[3, 0, 0, 0, tag << 3 | 0x82, tag >> 4, 0]);
            let request = reader.take::<crate::Request>().expect("well formed");
            assert_eq!(request.map(|request| request.ask), Some(None), "{tag}");
        }
    }

    #[test]
    fn refuses_giants_and_garbage() {
        let mut reader = FrameReader::default();
        reader.push(&u32::MAX.to_le_bytes());
        assert!(matches!(reader.take::<Hello>(), Err(FrameError::TooLong(_))));
        let mut reader = FrameReader::default();
        reader.push(&[2, 0, 0, 0, 0xff, 0xff]);
        assert!(matches!(reader.take::<Hello>(), Err(FrameError::Malformed(_))));
    }
}
