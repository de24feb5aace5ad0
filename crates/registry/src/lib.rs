//! Floor 4: other people's registries. Speaks the OCI distribution specification 1.1 and Docker's schema 2 as a client:
//! whom to ask, how to prove who we are, what to try again. Knows HTTP, TLS and the files that say how a registry is
//! reached; must not know the store: blobs come out as streams of bytes and go in as streams of bytes.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::disallowed_methods, reason = "this crate is the one that talks to registries")]

mod credentials;

pub use credentials::Credentials;
