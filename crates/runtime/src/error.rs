//! The one error of this crate: what was tried, where in the plan, and the kernel's answer, in one sentence.

use rustix::io::Errno;
use types::Kind;

/// A start, or a later act on a container, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    exit_code: i32,
    step: Option<u32>,
    message: String,
}

/// Docker's code for "the container could not be started".
const CANNOT_START: i32 = 125;

impl Error {
    /// The kernel said no to something.
    pub(crate) fn kernel(tried: &str, errno: Errno) -> Self {
        Self::said(kind_of(errno), format!("{tried}: {}", text_of(errno)))
    }

    /// An error without the kernel's answer.
    pub(crate) fn said(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, exit_code: CANNOT_START, step: None, message: message.into() }
    }

    /// As it was told by the child.
    pub(crate) fn told(kind: Kind, exit_code: i32, step: Option<u32>, message: String) -> Self {
        Self { kind, exit_code, step, message }
    }

    pub(crate) fn with_exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    /// Names the step, unless a deeper level did.
    pub(crate) fn at_step(mut self, step: u32) -> Self {
        self.step = self.step.or(Some(step));
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What `docker run` exits with: 127 program not found, 126 it cannot be executed, 125 anything else.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        self.exit_code
    }

    /// The step that failed: prepare steps are counted from 0, then comes the clone, then the child's steps, then the process.
    #[must_use]
    pub const fn step(&self) -> Option<u32> {
        self.step
    }
}

/// Says what was tried when the kernel refuses.
pub(crate) trait Tried<T> {
    fn tried<S: AsRef<str>>(self, what: impl FnOnce() -> S) -> Result<T, Error>;
}

impl<T> Tried<T> for Result<T, Errno> {
    fn tried<S: AsRef<str>>(self, what: impl FnOnce() -> S) -> Result<T, Error> {
        self.map_err(|errno| Error::kernel(what().as_ref(), errno))
    }
}

/// The kernel's message, as C programs print it but in lower case.
pub(crate) fn text_of(errno: Errno) -> String {
    if errno == Errno::NOSYS {
        return "function not implemented: Berth needs Linux 5.12, and none of its calls filtered away"
            .to_owned();
    }
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => text.to_owned(),
    }
}

fn kind_of(errno: Errno) -> Kind {
    match errno {
        Errno::NOENT | Errno::SRCH => Kind::NotFound,
        Errno::PERM | Errno::ACCESS | Errno::ROFS => Kind::Forbidden,
        Errno::INVAL | Errno::RANGE | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP => Kind::InvalidInput,
        Errno::BUSY | Errno::EXIST => Kind::Conflict,
        Errno::NOMEM | Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::DQUOT => {
            Kind::Exhausted
        }
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::NODEV => Kind::Unimplemented,
        _ => Kind::Internal,
    }
}
