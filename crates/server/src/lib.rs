//! Floor 7: the Docker Engine API door. One server for the versions 1.24 to 1.51 over Unix sockets and TCP: it reads a
//! request into documents, calls the engine, and prints the answer in the shape the version has. It must not know how
//! a container is made; whatever it decides is about HTTP.
//!
//! A request goes: `wire::serve` (connection) → `wire::version` (prefix) → `wire::router` (which call) → `calls` (one file
//! per noun) → `wire::answer`. Errors become statuses in one function, `error::status`.
#![allow(clippy::disallowed_methods, reason = "a door: its sockets, its pid file, the clock of its streams")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod calls;
mod daemon;
mod error;
mod wire;

pub use daemon::{DaemonOptions, RegistryOptions, check_store, run};
pub use error::{Error, status};
pub use wire::{Bound, serve};
