//! The one error of this crate. Its sentences are Docker's where tools search for them.

use types::Kind;

/// Why the engine did not do something.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    exit_code: i32,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What this crate's calls answer.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind with this sentence.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), exit_code: 0, source: None }
    }

    /// The request is malformed or out of range.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    /// The request collides with the present state.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// Berth does not do that (yet).
    #[must_use]
    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Kind::Unimplemented, message)
    }

    /// No container has this name or id.
    #[must_use]
    pub fn no_container(who: &str) -> Self {
        Self::new(Kind::NotFound, format!("No such container: {who}"))
    }

    /// A doer failed while `tried`; its kind is kept.
    pub fn doing<E>(tried: &str, kind: Kind, source: E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Self {
            kind,
            message: format!("{tried}: {}", chain(&source)),
            exit_code: 0,
            source: Some(Box::new(source)),
        }
    }

    /// A doer's error as it is, with what caused it.
    fn from_doer(kind: Kind, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { kind, message: chain(&source), exit_code: 0, source: Some(Box::new(source)) }
    }

    /// A call to the operating system failed while `tried`.
    #[must_use]
    pub fn io(tried: &str, source: std::io::Error) -> Self {
        let kind = match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT | rustix::io::Errno::MFILE) => {
                Kind::Exhausted
            }
            Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => Kind::Forbidden,
            _ => Kind::Internal,
        };
        Self::doing(tried, kind, source)
    }

    /// The same error, carrying the exit code that a failed start gives its container (125, 126 or 127).
    #[must_use]
    pub fn with_exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The exit code of a failed start: 126 and 127 when the program is at fault, else 0.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        self.exit_code
    }
}

/// The sentences of an error and its causes, joined; a cause already quoted is not said twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

impl From<plan::Error> for Error {
    fn from(error: plan::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<dockerapi::Error> for Error {
    fn from(error: dockerapi::Error) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::from_doer(error.kind(), error)
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::from_doer(error.kind(), error)
    }
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        Self::from_doer(error.kind(), error)
    }
}
