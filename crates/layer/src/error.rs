//! The crate's one error: what is wrong with an archive, and at which entry.

use std::fmt;
use std::io;

use types::Kind;

/// Why an archive was refused, or could not be read.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    entry: Option<String>,
    source: Option<io::Error>,
}

impl Error {
    /// What sort of failure this is: `InvalidInput` for a bad archive, `Exhausted` for a cap that was hit.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The input's own failure, taken out. `None` when the archive itself was refused.
    #[must_use]
    pub fn into_source(self) -> Option<io::Error> {
        self.source
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self { kind: Kind::InvalidInput, what: what.into(), entry: None, source: None }
    }

    pub(crate) fn over_limit(what: impl Into<String>) -> Self {
        Self { kind: Kind::Exhausted, what: what.into(), entry: None, source: None }
    }

    pub(crate) fn truncated() -> Self {
        Self::malformed("the archive is cut short")
    }

    pub(crate) fn read(source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Kind::InvalidInput
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Exhausted,
            _ => Kind::Internal,
        };
        Self { kind, what: "cannot read the archive".into(), entry: None, source: Some(source) }
    }

    /// Names the entry at which this happened, unless one is named already.
    #[must_use]
    pub(crate) fn at(mut self, entry: &[u8]) -> Self {
        if self.entry.is_none() && !entry.is_empty() {
            let shown: String = String::from_utf8_lossy(entry).chars().take(120).collect();
            self.entry = Some(shown);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "archive entry {entry:?}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}
