//! Reading a foreign document: what is wrong with it is told with the path of the field.

mod place;
mod strict;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;

/// Why bytes are not the document they should be. One sentence that names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    message: String,
}

impl ReadError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What [`read`] makes of bytes.
pub trait Document: DeserializeOwned {}
impl<T: DeserializeOwned> Document for T {}

/// Texts without meaning to the kernel, which may hold any character.
const FREE: [&str; 2] = ["annotations", "linux.seccomp.listenerMetadata"];

/// Longest quotation of what was found instead, in bytes.
const LONGEST: usize = 200;

/// Reads a JSON document.
///
/// The path is found after the fact, from the place in the text at which reading stopped: nothing is paid for it when nothing is
/// wrong, and no second reader is compiled for every type.
///
/// # Errors
/// When the bytes are no JSON, a field has the wrong type or is there twice, or a text that the kernel should see holds a NUL.
///
/// ```
/// let error = oci::read::<oci::runtime::Spec>(br#"{"process": {"user": {"uid": -1}}}"#).unwrap_err();
/// assert!(error.to_string().starts_with("process.user.uid: invalid value: integer `-1`, expected u32"));
/// ```
pub fn read<T: Document>(bytes: &[u8]) -> Result<T, ReadError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::new("it is empty"));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(ReadError::new("it begins with a byte order mark, which JSON does not allow"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read =
        T::deserialize(strict::Strict(&mut reader)).and_then(|document| reader.end().map(|()| document));
    let document = read.map_err(|error| {
        let path = place::path_at(bytes, place::offset(bytes, error.line(), error.column()));
        let text = shortened(&error.to_string());
        ReadError::new(if path.is_empty() { text } else { format!("{}: {text}", shortened(&path)) })
    })?;
    if !bytes.contains(&b'\\') {
        return Ok(document);
    }
    match nul_bytes(bytes).find(|path| !FREE.iter().any(|free| path.starts_with(free))) {
        Some(path) => Err(ReadError::new(format!("{path}: a NUL byte cannot be in it"))),
        None => Ok(document),
    }
}

/// Where texts hold a NUL. JSON can only write it escaped.
fn nul_bytes(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    const ESCAPED: &[u8] = b"\\u0000";
    let found = bytes.windows(ESCAPED.len()).enumerate().filter(|(_, window)| *window == ESCAPED);
    // An even number of backslashes before it are themselves escaped, and so is none of its own.
    let real =
        found.filter(|(at, _)| bytes[..*at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0);
    real.map(|(at, _)| place::path_at(bytes, at))
}

/// With the middle of a long quotation left out.
fn shortened(text: &str) -> String {
    if text.len() <= 2 * LONGEST {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(LONGEST);
    let tail = text.ceil_char_boundary(text.len() - LONGEST);
    format!("{}…{}", &text[..head], &text[tail..])
}
