//! The framing of streams that carry standard output and standard error side by side: eight bytes of head (stream,
//! three zeros, length in big endian), then that many bytes.

use bytes::{BufMut, Bytes, BytesMut};

/// The content type of a framed stream, since API 1.42.
pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// The content type of an unframed stream, and of every stream before API 1.42.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";

/// How a stream goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As it is: a terminal has one stream.
    Raw,
    /// In frames.
    Mux,
}

impl Framing {
    /// The framing of a container with or without a terminal.
    pub(crate) const fn of(tty: bool) -> Self {
        if tty { Self::Raw } else { Self::Mux }
    }

    /// Wraps a chunk of `stream` (1 stdout, 2 stderr, 3 an error of the engine).
    pub(crate) fn wrap(self, stream: u8, chunk: Bytes) -> Bytes {
        match self {
            Self::Raw => chunk,
            Self::Mux => frame(stream, &chunk),
        }
    }
}

fn frame(stream: u8, chunk: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + chunk.len());
    out.put_slice(&[stream, 0, 0, 0]);
    out.put_u32(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
    out.put_slice(chunk);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let chunk = Bytes::from_static(b"hi\n");
        assert_eq!(Framing::of(true).wrap(1, chunk.clone()), chunk);
        assert_eq!(&Framing::of(false).wrap(2, chunk)[..], b"\x02\0\0\0\0\0\0\x03hi\n");
        let long = Framing::Mux.wrap(1, vec![7; 70_000].into());
        assert_eq!(&long[..8], [1, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
