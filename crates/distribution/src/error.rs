//! The crate's one error: why the registry could not start, serve or keep something. What a client is told is a
//! [`Refusal`](crate::code::Refusal).

use std::fmt;
use std::io;

use types::Kind;

/// What was tried and did not work.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

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

    /// A failed call: what was tried, and the kernel's answer.
    pub(crate) fn call(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Exhausted,
            io::ErrorKind::PermissionDenied => Kind::Forbidden,
            io::ErrorKind::AddrInUse => Kind::Conflict,
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Internal,
        };
        Self { kind, what: what.into(), source: Some(Box::new(source)) }
    }

    /// A content is not what it was when it was stored.
    pub(crate) fn damaged(digest: crate::digest::Digest) -> Self {
        Self::new(Kind::Corrupt, format!("{digest} is damaged: berth registry check tells what else is"))
    }

    /// The database's own failure.
    pub(crate) fn database(what: impl Into<String>, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        // Of the index of its log, SQLite tells a full disk so.
        let no_room_to_index = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
        let kind = match source.sqlite_error_code() {
            Some(DiskFull) => Kind::Exhausted,
            _ if source.sqlite_error().is_some_and(|e| e.extended_code == no_room_to_index) => {
                Kind::Exhausted
            }
            Some(DatabaseCorrupt | NotADatabase) => Kind::Corrupt,
            _ => Kind::Internal,
        };
        Self { kind, what: what.into(), source: Some(Box::new(source)) }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::database("the registry's records do not answer", source)
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

/// An error and its causes in one line, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
