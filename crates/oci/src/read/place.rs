//! Which field of a JSON text a place in it belongs to.

/// What the place is inside of.
enum Frame {
    Object {
        /// Empty until the first key is complete.
        key: String,
        /// The next text is a key.
        key_next: bool,
    },
    Array(usize),
}

/// The offset just behind this line and column, as serde_json counts them: lines from 1, bytes of the line.
pub(super) fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize = bytes.split(|b| *b == b'\n').take(line.saturating_sub(1)).map(|l| l.len() + 1).sum();
    (before + column).min(bytes.len())
}

/// The path of the value that has just ended before `end`, or begins there, such as `mounts[2].options`.
pub(super) fn path_at(bytes: &[u8], end: usize) -> String {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < end {
        match bytes[at] {
            b'{' => frames.push(Frame::Object { key: String::new(), key_next: true }),
            b'[' => frames.push(Frame::Array(0)),
            b'}' | b']' => drop(frames.pop()),
            b',' => match frames.last_mut() {
                Some(Frame::Object { key_next, .. }) => *key_next = true,
                Some(Frame::Array(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let length = text_length(&bytes[at + 1..]);
                if let Some(Frame::Object { key, key_next }) = frames.last_mut() {
                    if *key_next && at + 1 + length < bytes.len() {
                        *key = String::from_utf8_lossy(&bytes[at + 1..at + 1 + length]).into_owned();
                    }
                    *key_next = false;
                }
                at += length + 1;
            }
            _ => {}
        }
        at += 1;
    }
    written(&frames)
}

/// Bytes up to the quotation mark that ends a text.
fn text_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

fn written(frames: &[Frame]) -> String {
    let mut path = String::new();
    for frame in frames {
        match frame {
            Frame::Object { key, .. } if key.is_empty() => {}
            Frame::Object { key, .. } => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(dot);
                // An error is one line, whatever the key.
                key.chars().for_each(|c| match c {
                    c if c.is_control() => path.extend(c.escape_default()),
                    c => path.push(c),
                });
            }
            Frame::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}
