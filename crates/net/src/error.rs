//! The crate's one error.

use rustix::io::Errno;
use types::Kind;

/// Something about the network failed. `Display` says what was tried, `source()` what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// A netlink exchange failed while doing `what`, which needs `feature` of the kernel.
    pub(crate) fn netlink(what: impl Into<String>, feature: &str, error: sys::netlink::Error) -> Self {
        let errno = error.errno();
        Self::caused(what.into(), "CAP_NET_ADMIN", feature, errno, Box::new(error))
    }

    /// A system call failed while doing `what`, which needs `feature` of the kernel.
    pub(crate) fn call(what: impl Into<String>, feature: &str, errno: Errno) -> Self {
        Self::caused(what.into(), "CAP_SYS_ADMIN", feature, Some(errno), Box::new(errno))
    }

    fn caused(
        mut message: String,
        capability: &str,
        feature: &str,
        errno: Option<Errno>,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Self {
        let kind = match errno {
            Some(Errno::PERM | Errno::ACCESS) => {
                message.push_str(&format!(": needs {capability}"));
                Kind::Forbidden
            }
            Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
                message.push_str(&format!(": this kernel lacks {feature}"));
                Kind::Unimplemented
            }
            Some(Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::XFULL) => Kind::Exhausted,
            Some(Errno::BUSY | Errno::EXIST) => Kind::Conflict,
            Some(Errno::NODEV) => Kind::NotFound,
            _ => Kind::Internal,
        };
        Self { kind, message, source: Some(source) }
    }

    /// Says whom it was for.
    pub(crate) fn of_container(mut self, id: &str) -> Self {
        self.message = format!("{} of {id}", self.message);
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<plan::Error> for Error {
    fn from(error: plan::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
