//! The closed set of error kinds. Doors translate them: `server` to HTTP statuses, `cli` to exit codes.

/// What sort of failure an error is. Every crate's `Error` has a `kind()` that answers one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The named thing does not exist.
    NotFound,
    /// The request or a foreign document is malformed or out of range.
    InvalidInput,
    /// The request collides with the present state (name taken, port taken, still in use).
    Conflict,
    /// The thing already is in the state asked for.
    NotModified,
    /// The caller has not proved who it is, or not well enough.
    Unauthorized,
    /// The caller or this process may not do that.
    Forbidden,
    /// Something needed for this does not answer now.
    Unavailable,
    /// Berth, or the running kernel, does not have this.
    Unimplemented,
    /// A resource of the host is used up (disk, descriptors, addresses).
    Exhausted,
    /// Bytes that do not match their digest, or a state file that cannot be read.
    Corrupt,
    /// Anything else: a fault of the host or of Berth.
    Internal,
}
