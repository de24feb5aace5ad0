//! Floor 4: other people's registries. Speaks the OCI distribution specification 1.1 and Docker's schema 2 as a client:
//! whom to ask, how to prove who we are, what to try again. Knows HTTP, TLS and the files that say how a registry is
//! reached; must not know the store: blobs come out as streams of bytes and go in as streams of bytes.
//!
//! ```no_run
//! # async fn example() -> registry::Result<()> {
//! use registry::{Client, Credentials, Options, Target};
//! let name: types::Reference = "localhost:5000/app".parse().expect("a reference");
//! let app = Client::new(Options::default())?.repository(&name, Credentials::Anonymous);
//! let manifest = app.manifest(&Target::of(&name)).await?;
//! println!("{} {}", manifest.digest, manifest.media_type);
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::disallowed_methods, reason = "this crate is the one that talks to registries")]

mod answer;
mod auth;
mod catalog;
mod client;
mod credentials;
mod download;
mod error;
mod exchange;
mod hosts;
mod http;
mod link;
mod login;
mod options;
mod page;
mod redirect;
mod repository;
mod retry;
mod search;

pub use auth::{Challenge, ChallengeError, parse_challenges};
pub use client::Client;
pub use credentials::Credentials;
pub use download::Download;
pub use error::{Error, Result};
pub use exchange::NO_CREDENTIALS;
pub use hosts::{HostEntry, HostsError, parse_hosts};
pub use http::Proxies;
pub use link::next_link;
pub use login::Login;
pub use options::Options;
pub use repository::{Blob, Descriptor, MANIFEST_BYTES, Manifest, Pushed, Repository, Source, Target};
pub use search::Hit;
