//! The crate's one error. Its sentences are Docker's where tools search for them.

use std::fmt;

use types::Kind;

use crate::http::{Failure, Trouble};

/// What a registry, or the way there, did not let us do.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    status: Option<u16>,
    code: String,
    /// `Retry-After` of the answer.
    retry_after: Option<String>,
}

/// What everything here answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The status of the answer, when the registry gave one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The registry's own code, `MANIFEST_UNKNOWN` for example; empty when it gave none.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), status: None, code: String::new(), retry_after: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    /// Bytes that are not what they were said to be.
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// No answer came. `asked` is the request, as Go's clients print it: `Get "https://…"`.
    pub(crate) fn unreachable(asked: &str, failure: &Failure) -> Self {
        let kind = match failure.trouble {
            Trouble::Name | Trouble::Connect | Trouble::Timeout | Trouble::Broken | Trouble::Proxy => {
                Kind::Unavailable
            }
            Trouble::Certificate | Trouble::NotTls => Kind::Forbidden,
            Trouble::Malformed => Kind::Corrupt,
            Trouble::Local => Kind::Internal,
        };
        Self::new(kind, format!("{asked}: {}", failure.message))
    }

    /// The registry's refusal.
    pub(crate) fn refused(status: u16, code: &str, message: impl Into<String>) -> Self {
        let kind = match status {
            401 => Kind::Unauthorized,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            405 | 501 => Kind::Unimplemented,
            408 | 429 | 500.. => Kind::Unavailable,
            _ => Kind::InvalidInput,
        };
        Self { status: Some(status), code: code.to_owned(), ..Self::new(kind, message) }
    }

    /// When the registry wants to be asked again, in its own words.
    pub(crate) fn retry_after(&self) -> Option<&str> {
        self.retry_after.as_deref()
    }

    /// The same, with what the registry said of when to ask again.
    pub(crate) fn after(self, retry_after: Option<String>) -> Self {
        Self { retry_after, ..self }
    }

    /// The registry does not know this method here: another may do.
    pub(crate) fn is_method_unknown(&self) -> bool {
        matches!(self.status, Some(405 | 501))
    }

    /// The same failure in other words.
    pub(crate) fn said(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
