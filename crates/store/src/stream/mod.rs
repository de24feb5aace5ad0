//! Byte streams: what a stream is compressed with, inflating with a leash, hashing on the way.

mod bounded;
mod hash;
mod inflate;
mod pipe;

pub(crate) use bounded::{Bound, Bounded, Counted};
pub(crate) use hash::{Hasher, digest_of};
pub(crate) use inflate::{Compression, inflate, sniff};
pub(crate) use pipe::{inflate_and_hash, with_inflated};
