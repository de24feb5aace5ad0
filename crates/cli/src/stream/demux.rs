//! The framing of streams without a terminal: {source, 0, 0, 0, length in four bytes, big end first}, then bytes.

use std::io;

/// Which of the container's outputs bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

const STDERR: u8 = 2;
const SYSTEM_ERROR: u8 = 3;

/// Takes the frames apart, whatever pieces they come in.
#[derive(Default)]
pub(crate) struct Demux {
    head: [u8; 8],
    head_length: usize,
    left: usize,
    complaint: Vec<u8>,
}

impl Demux {
    /// Takes more bytes and hands out what they hold.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(Source, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let taken = bytes.len().min(8 - self.head_length);
                self.head[self.head_length..self.head_length + taken].copy_from_slice(&bytes[..taken]);
                self.head_length += taken;
                bytes = &bytes[taken..];
                if self.head_length == 8 {
                    self.begin()?;
                }
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.left));
            self.left -= now.len();
            bytes = later;
            self.hand_out(now, sink)?;
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        let [source, _, _, _, length @ ..] = self.head;
        if source > SYSTEM_ERROR {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("unrecognized stream: {source}")));
        }
        self.left = u32::from_be_bytes(length) as usize;
        self.head_length = 0;
        Ok(())
    }

    fn hand_out(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(Source, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.head[0] {
            STDERR => sink(Source::Stderr, bytes),
            SYSTEM_ERROR => {
                self.complaint.extend_from_slice(bytes);
                if self.left > 0 {
                    return Ok(());
                }
                let text = String::from_utf8_lossy(&self.complaint);
                Err(io::Error::other(format!("error from daemon in stream: {text}")))
            }
            _ => sink(Source::Stdout, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(source: u8, text: &str) -> Vec<u8> {
        let mut bytes = vec![source, 0, 0, 0];
        bytes.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn any_cut_gives_the_same() {
        let all = [frame(1, "hello "), frame(2, "oops"), frame(1, ""), frame(0, "world")].concat();
        for step in 1..all.len() {
            let (mut demux, mut out, mut err) = (Demux::default(), Vec::new(), Vec::new());
            for piece in all.chunks(step) {
                let mut sink = |source, bytes: &[u8]| {
                    if source == Source::Stdout {
                        out.extend(bytes)
                    } else {
                        err.extend(bytes)
                    }
                    Ok(())
                };
                demux.push(piece, &mut sink).expect("the frames are fine");
            }
            assert_eq!((out.as_slice(), err.as_slice()), (&b"hello world"[..], &b"oops"[..]));
        }
    }

    #[test]
    fn errors_in_the_stream_are_errors() {
        let mut sink = |_, _: &[u8]| Ok(());
        let told = Demux::default().push(&frame(3, "it broke"), &mut sink).expect_err("a system error");
        assert_eq!(told.to_string(), "error from daemon in stream: it broke");
        assert!(Demux::default().push(&frame(9, "x"), &mut sink).is_err());
    }
}
