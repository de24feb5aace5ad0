//! Floor 5: Berth as a registry. Serves the OCI distribution specification 1.1 (and Docker's schema 2) from a data directory of its own.
//! Knows HTTP as a server, the rules of pushes and pulls, and how content is kept so that nothing acknowledged is lost. Must not
//! know images beyond what a manifest names, nor the engine, nor its store.
//!
//! A request goes through one sitting: [`wire`] (connection, TLS) → [`route`] (what is asked) → [`policy`] (whether this registry
//! does such things at all) → [`auth`] (whether this caller may) → [`calls`] (doing it) → [`depot`] (files and records).
//!
//! ```no_run
//! let options = distribution::Options { data_root: "/var/lib/berth-registry".into(), ..Default::default() };
//! distribution::run(distribution::Command::Serve(options.into())).unwrap();
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::disallowed_methods, reason = "a registry's data directory, clock and sockets are its own")]

mod access;
mod auth;
mod cache;
mod calls;
mod check;
mod code;
mod condition;
mod control;
mod depot;
mod digest;
mod error;
mod garbage;
mod interpret;
mod manifest;
mod metrics;
mod name;
mod options;
mod policy;
mod query;
mod range;
mod route;
mod run;
mod site;
mod upload;
mod wire;

#[cfg(test)]
mod tests;

pub use auth::{AuthOptions, TokenOptions};
pub use cache::CacheOptions;
pub use error::Error;
pub use interpret::interpret;
pub use options::{Check, Collect, Command, Options};
pub use run::run;
pub use wire::TlsOptions;
