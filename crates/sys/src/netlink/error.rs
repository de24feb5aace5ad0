//! What can go wrong on a netlink socket.

use rustix::io::Errno;

use super::decode::Malformed;
use super::encode::TooLong;

/// The kernel refused one message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{label}{}", if text.is_empty() { String::new() } else { format!(" ({text})") })]
pub struct Failure {
    /// Which message of the batch, counted from 0.
    pub index: usize,
    /// The message's label.
    pub label: String,
    /// The kernel's own sentence, or nothing.
    pub text: String,
    /// The error number.
    #[source]
    pub errno: Errno,
}

/// A netlink exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{0}")]
    Call(&'static str, #[source] Errno),
    /// The kernel refused a message.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The batch could not be encoded.
    #[error("encode netlink batch")]
    Encode(#[from] TooLong),
    /// The answer could not be decoded.
    #[error("decode netlink answer")]
    Decode(#[from] Malformed),
    /// The kernel sent no answer to a batch.
    #[error("no answer to netlink batch ({0})")]
    Silence(String),
}

impl Error {
    /// The error number, when the kernel gave one.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Call(_, errno) => Some(*errno),
            Self::Refused(failure) => Some(failure.errno),
            Self::Encode(_) | Self::Decode(_) | Self::Silence(_) => None,
        }
    }

    /// Whether the kernel answered with this error number.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.errno() == Some(errno)
    }
}
