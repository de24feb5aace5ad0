//! Which compression, by the first bytes; and the decoders.

use std::io::{self, BufReader, Read};

use types::weak;

use crate::error::Error;

/// The largest window that a zstd frame may ask for: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;
const BUFFER: usize = 256 << 10;

/// How a stream is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(start: &[u8]) -> Result<Self, Error> {
        let refused = |name: &str| {
            Err(Error::invalid(format!(
                "the archive is compressed with {name}, which is not supported; decompress it, or use gzip or zstd"
            )))
        };
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => refused("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41] => refused("bzip2"),
            [b'P', b'K', 3, 4, ..] => refused("zip"),
            _ => Ok(Self::Plain),
        }
    }
}

/// Looks at the start of a stream and gives it back whole.
pub(crate) fn sniff<R: Read>(mut input: R) -> Result<(Compression, impl Read), Error> {
    let mut start = Vec::with_capacity(6);
    let fail = |e| Error::stream("cannot read the archive", e);
    input.by_ref().take(6).read_to_end(&mut start).map_err(fail)?;
    let compression = Compression::of(&start)?;
    Ok((compression, io::Cursor::new(start).chain(input)))
}

/// The decompressed stream.
pub(crate) fn inflate<'a, R: Read + 'a>(
    compression: Compression,
    input: R,
) -> io::Result<Box<dyn Read + 'a>> {
    let input = BufReader::with_capacity(BUFFER, input);
    Ok(match compression {
        Compression::Plain => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(if weak::is_off("I11") { 31 } else { ZSTD_WINDOW_LOG })?;
            Box::new(Decoded(decoder))
        }
    })
}

/// zstd's complaints about its input come as errors of no kind; they are about the input.
struct Decoded<R>(R);

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::Other if !e.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
                io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {e}"))
            }
            _ => e,
        })
    }
}
