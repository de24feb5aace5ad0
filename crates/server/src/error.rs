//! The one error of this crate, and the one place where a kind becomes an HTTP status.

use hyper::StatusCode;
use types::Kind;

/// Why a request, or the daemon itself, did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
}

/// What this crate's calls answer.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<dockerapi::Error> for Error {
    fn from(error: dockerapi::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// The HTTP status of a kind of error.
#[must_use]
pub const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::InvalidInput => StatusCode::BAD_REQUEST,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::NotModified => StatusCode::NOT_MODIFIED,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Exhausted | Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
