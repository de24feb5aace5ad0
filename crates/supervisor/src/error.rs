//! The one error of this crate, and how it is told to a daemon.

use protocol::Failure;
use rustix::io::Errno;
use types::Kind;

/// Why the supervisor could not do what it was asked. `Display` is one sentence; the kernel's answer is the `source()`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Errno>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A call that failed: what was tried.
    pub(crate) fn call(tried: impl Into<String>, errno: Errno) -> Self {
        let kind = match errno {
            Errno::NOENT | Errno::SRCH => Kind::NotFound,
            Errno::PERM | Errno::ACCESS => Kind::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOSPC => Kind::Exhausted,
            Errno::INVAL => Kind::InvalidInput,
            _ => Kind::Internal,
        };
        Self { kind, message: tried.into(), source: Some(errno) }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("the supervisor holds no {what}"))
    }

    pub(crate) fn not_running(what: &str) -> Self {
        Self::new(Kind::Conflict, format!("{what} is not running"))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// As it crosses the protocol.
    pub(crate) fn to_failure(&self) -> Failure {
        Failure { kind: format!("{:?}", self.kind), message: chain(self), exit_code: 0 }
    }
}

/// A failed start as it crosses the protocol.
pub(crate) fn start_failure(error: &runtime::Error) -> Failure {
    Failure { kind: format!("{:?}", error.kind()), message: chain(error), exit_code: error.exit_code() }
}

/// Another failure of the runtime.
pub(crate) fn runtime_error(error: &runtime::Error) -> Error {
    Error::new(error.kind(), chain(error))
}

/// The error and its causes in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
