//! The crate's one error.

use std::fmt;
use std::io;

use types::Kind;

/// SQLITE_IOERR_SHMSIZE.
const IOERR_SHMSIZE: i32 = 4874;

/// What the store was asked and could not do.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What everything here answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, what)
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, what)
    }

    /// A failed call: what was tried, and the kernel's answer.
    pub(crate) fn call(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = kind_of(&source);
        Self { kind, what: with_hint(what.into(), kind), source: Some(Box::new(source)) }
    }

    /// A document that does not parse.
    pub(crate) fn json(what: impl Into<String>, source: serde_json::Error) -> Self {
        Self { kind: Kind::InvalidInput, what: what.into(), source: Some(Box::new(source)) }
    }

    /// The database's own failure.
    pub(crate) fn database(what: impl Into<String>, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, SystemIoFailure};
        let kind = match source.sqlite_error_code() {
            Some(DiskFull) => Kind::Exhausted,
            // The shared-memory file beside the log could not be made longer.
            Some(SystemIoFailure) if extended_code(&source) == Some(IOERR_SHMSIZE) => Kind::Exhausted,
            Some(DatabaseCorrupt | NotADatabase) => Kind::Corrupt,
            _ => Kind::Internal,
        };
        Self { kind, what: with_hint(what.into(), kind), source: Some(Box::new(source)) }
    }

    /// A refused archive. A failure of our own that came up through the reader is taken out again.
    pub(crate) fn archive(what: &str, error: layer::Error) -> Self {
        let kind = error.kind();
        let shown = error.to_string();
        let Some(source) = error.into_source() else {
            return Self { kind, what: format!("{what}: {shown}"), source: None };
        };
        match source.downcast::<Self>() {
            Ok(own) => Self { what: format!("{what}: {}", own.what), ..own },
            Err(source) => Self::stream(what, source),
        }
    }

    /// A failure of a compressed or foreign stream.
    pub(crate) fn stream(what: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::invalid(format!("{what}: the archive is cut short")),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self { kind: Kind::InvalidInput, what: what.to_owned(), source: Some(Box::new(source)) }
            }
            _ => match source.downcast::<Self>() {
                Ok(own) => own,
                Err(source) => Self::call(what, source),
            },
        }
    }

    /// The same failure, seen from further out.
    #[must_use]
    pub(crate) fn within(self, what: impl fmt::Display) -> Self {
        Self { what: format!("{what}: {}", self.what), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| &**e as _)
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(e, _) => Some(e.extended_code),
        _ => None,
    }
}

fn with_hint(what: String, kind: Kind) -> String {
    match kind {
        Kind::Exhausted => {
            format!("{what}: the data root's file system is full; free some space and try again")
        }
        _ => what,
    }
}

fn kind_of(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Exhausted,
        io::ErrorKind::PermissionDenied => Kind::Forbidden,
        _ => Kind::Internal,
    }
}
