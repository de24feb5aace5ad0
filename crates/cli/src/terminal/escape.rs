//! Detach keys: a sequence such as `ctrl-p,ctrl-q` watched for in what is typed.

/// Docker's own sequence: ctrl-p, ctrl-q.
pub(crate) fn default_keys() -> Vec<u8> {
    vec![16, 17]
}

/// Reads `ctrl-a,b,DEL`: keys separated by commas, each a character or `ctrl-` with a letter or one of `@[\]^_`.
pub(crate) fn keys(text: &str) -> Result<Vec<u8>, String> {
    text.split(',')
        .map(|key| {
            code(key).ok_or_else(|| format!("invalid detach keys ({text}): Unknown character: '{key}'"))
        })
        .collect()
}

fn code(key: &str) -> Option<u8> {
    if let [single] = key.as_bytes() {
        return Some(*single);
    }
    if key == "DEL" {
        return Some(127);
    }
    match key.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [other @ b'['..=b'_'] => Some(other - b'[' + 27),
        _ => None,
    }
}

/// Watches typed bytes. What could be the beginning of the sequence is held back until it is clear.
pub(crate) struct Escape {
    keys: Vec<u8>,
    matched: usize,
}

/// What became of some typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// What goes on to the container.
    pub(crate) bytes: Vec<u8>,
    /// The sequence is complete: nothing after it counts.
    pub(crate) detach: bool,
}

impl Escape {
    /// A watch for `keys`; an empty sequence never detaches.
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Looks at what was typed.
    pub(crate) fn pass(&mut self, typed: &[u8]) -> Passed {
        let mut bytes = Vec::with_capacity(typed.len());
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return Passed { bytes, detach: true };
                }
                continue;
            }
            bytes.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                bytes.push(*byte);
            }
        }
        Passed { bytes, detach: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sequences() {
        for (text, bytes) in
            [("ctrl-p,ctrl-q", vec![16, 17]), ("a", vec![b'a']), ("ctrl-@,DEL,ctrl-_", vec![0, 127, 31])]
        {
            assert_eq!(keys(text), Ok(bytes), "{text}");
        }
        for bad in ["", "foo", "ctrl-", "ctrl-A", "a,,b"] {
            assert!(keys(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn holds_back_and_lets_go() {
        let mut escape = Escape::new(default_keys());
        assert_eq!(escape.pass(b"ab\x10"), Passed { bytes: b"ab".to_vec(), detach: false });
        assert_eq!(escape.pass(b"c"), Passed { bytes: b"\x10c".to_vec(), detach: false });
        assert_eq!(escape.pass(b"\x10\x10"), Passed { bytes: b"\x10".to_vec(), detach: false });
        assert_eq!(escape.pass(b"\x11zz"), Passed { bytes: vec![], detach: true });
    }
}
