//! From a Docker request and an image to an OCI runtime spec: Docker's defaults and merge rules, as pure functions.

pub mod bind;
pub mod commit;
pub mod defaults;
mod document;
pub mod limits;
pub mod merge;
pub mod modes;
pub mod mounts;
pub mod process;
pub mod request;
pub mod security;
pub mod signal;
pub mod sysctl;
pub mod tmpfs;
pub mod user;

#[cfg(test)]
mod tests;

pub use document::{INIT, program, spec};
pub use request::Request;
