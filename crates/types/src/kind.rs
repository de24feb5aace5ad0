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

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::NotFound,
        Self::InvalidInput,
        Self::Conflict,
        Self::NotModified,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Unavailable,
        Self::Unimplemented,
        Self::Exhausted,
        Self::Corrupt,
        Self::Internal,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_the_order_of_their_numbers() {
        assert!(Kind::ALL.iter().enumerate().all(|(number, kind)| *kind as usize == number));
        assert_eq!(Kind::ALL.last(), Some(&Kind::Internal), "the last one of the type");
    }
}
