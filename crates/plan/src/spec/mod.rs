//! From a Docker request and an image to an OCI runtime spec: Docker's defaults and merge rules, as pure functions.

pub mod bind;
pub mod defaults;
pub mod process;
pub mod security;
pub mod sysctl;
pub mod tmpfs;
pub mod user;
