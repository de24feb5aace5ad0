//! The crate's one error: what to print on stderr, and the exit code that goes with it.

use std::fmt;

use types::Kind;

/// Why a command failed. It is printed once, by [`crate::main`], word for word.
#[derive(Debug)]
pub struct Error {
    text: String,
    code: u8,
    kind: Kind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What every command of the crate answers with.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A plain failure: exit code 1.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 1, kind: Kind::InvalidInput, source: None }
    }

    /// The same failure of another kind.
    pub(crate) fn of(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same failure with another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The same failure with the error that caused it.
    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Leaves with a code and says nothing: the container's own exit code, or closed output.
    pub(crate) fn silent(code: u8) -> Self {
        Self::new(String::new()).code(code)
    }

    /// Docker's frame around what went wrong in `run` and `create`, with the exit code 125.
    pub(crate) fn in_command(text: &str, command: &str) -> Self {
        Self::new(format!("berth: {text}\n\nRun 'berth {command} --help' for more information")).code(125)
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the process should exit with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.code
    }

    /// True when there is nothing to print.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e.as_ref() as _)
    }
}

/// Output that nobody reads any more ends the command as SIGPIPE would, other faults are told.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::silent(141);
        }
        Self::new(error.to_string()).of(Kind::Internal).because(error)
    }
}
