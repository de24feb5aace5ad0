//! Detach keys: a sequence that ends an attached session and never reaches the container.

use crate::{Error, Result};

/// Docker's default: ctrl-p ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// Finds the detach sequence in a client's input, also when it is spread over several reads.
#[derive(Debug, Clone)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

/// What became of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filtered {
    /// The bytes for the container.
    pub(crate) pass: Vec<u8>,
    /// The sequence was completed; bytes after it are dropped.
    pub(crate) detached: bool,
}

impl DetachKeys {
    /// Reads Docker's notation: `ctrl-p,ctrl-q` or single characters; empty means the default.
    ///
    /// # Errors
    /// A part is neither one character nor `ctrl-` and one of `a-z@[\]^_`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self { keys: DEFAULT.to_vec(), matched: 0 });
        }
        let keys = text.split(',').map(key).collect::<Option<Vec<u8>>>();
        keys.map(|keys| Self { keys, matched: 0 })
            .ok_or_else(|| Error::invalid(format!("Invalid detach keys ({text}) provided")))
    }

    /// Takes a piece of input. A held-back start of the sequence is passed on as soon as it turns out to be none.
    pub(crate) fn filter(&mut self, input: &[u8]) -> Filtered {
        let mut pass = Vec::with_capacity(input.len());
        for byte in input {
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Filtered { pass, detached: true };
                }
                continue;
            }
            pass.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(*byte == self.keys[0]);
            if self.matched == 0 {
                pass.push(*byte);
            }
        }
        Filtered { pass, detached: false }
    }
}

fn key(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() {
        return byte.is_ascii().then_some(*byte);
    }
    match text.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        b"@" => Some(0),
        [sign @ b'['..=b'_'] => Some(sign - b'[' + 27),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(keys: &str, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut keys = DetachKeys::parse(keys).expect("keys");
        let mut all = Vec::new();
        for piece in pieces {
            let got = keys.filter(piece);
            all.extend(got.pass);
            if got.detached {
                return (all, true);
            }
        }
        (all, false)
    }

    #[test]
    fn finds_the_sequence_across_reads() {
        assert_eq!(run("", &[b"ab\x10\x11cd"]), (b"ab".to_vec(), true));
        assert_eq!(run("", &[b"a\x10", b"\x11"]), (b"a".to_vec(), true));
        assert_eq!(run("", &[b"\x10x\x11"]), (b"\x10x\x11".to_vec(), false));
        assert_eq!(run("", &[b"\x10\x10\x11"]), (b"\x10".to_vec(), true));
        assert_eq!(run("q", &[b"a", b"q"]), (b"a".to_vec(), true));
        assert_eq!(run("a,a,b", &[b"aac"]), (b"aac".to_vec(), false));
    }

    #[test]
    fn reads_dockers_notation() {
        let keys = |t: &str| DetachKeys::parse(t).map(|k| k.keys).map_err(|e| e.to_string());
        assert_eq!(keys("ctrl-a,x,ctrl-@,ctrl-[,ctrl-_"), Ok(vec![1, b'x', 0, 27, 31]));
        for bad in ["ctrl-", "ctrl-A", "ab", "ctrl-a,", ",", "ctrl-aa", "ä"] {
            assert!(keys(bad).is_err(), "{bad}");
        }
    }
}
