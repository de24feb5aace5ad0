//! Floor 6: the engine. The only one that knows all doers: it turns Docker's documents into plans, has them applied, writes
//! down what became of them, and tells it. It speaks to the supervisor by the protocol and never links it; it knows
//! nothing of HTTP.
//!
//! Reads answer from immutable records; changes of one container wait for each other, never for other containers.
//!
//! ```no_run
//! # async fn example() -> engine::Result<()> {
//! let engine = engine::Engine::open(engine::Options::default()).await?;
//! let body = serde_json::from_str(r#"{"Image":"hello"}"#).expect("a request");
//! let created = engine.create(Some("first"), body).await?;
//! engine.start(&created.id).await?;
//! let ended = engine.wait(&created.id, engine::WaitCondition::NotRunning).await?.await?;
//! assert_eq!(ended.status_code, 0);
//! # Ok(()) }
//! ```
#![allow(clippy::disallowed_methods, reason = "a doer: files under its own roots, the clock, the host's ps")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attach;
mod check;
mod claims;
mod clock;
mod collect;
mod commit;
mod create;
mod credentials;
mod devices;
mod disk;
mod distribution;
mod engine;
mod error;
mod events;
mod execs;
mod exits;
mod fault;
mod fetch;
mod foreign;
mod host;
mod images;
mod inspect;
mod list;
mod live;
mod login;
mod logs;
mod networks;
mod open;
mod options;
mod propagation;
mod prune;
mod pull;
mod push;
mod registries;
mod remove;
mod search;
mod start;
mod state;
mod stop;
pub mod supervisor;
mod system;
mod tell;
mod top;
mod update;
mod usage;
mod volumes;
mod wait;

pub use attach::{AttachOptions, AttachReader, AttachWriter, Attached};
pub use check::check_store;
pub use commit::Commit;
pub use credentials::credentials;
pub use disk::DiskOptions;
pub use engine::Engine;
pub use error::{Error, Result};
pub use events::{Event, EventOptions, EventStream};
pub use images::{ImageListOptions, Import};
pub use list::ListOptions;
pub use logs::{LogOptions, LogStream};
pub use net::BridgeConfig;
pub use oci::image::Platform;
pub use options::Options;
pub use pull::Pull;
pub use push::Push;
pub use registries::Registries;
pub use registry::Credentials;
pub use remove::RemoveOptions;
pub use search::Search;
pub use wait::WaitCondition;

/// Runs a change to its end even when whoever asked for it goes away: a half-done change helps nobody.
pub(crate) async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(change)
        .await
        .unwrap_or_else(|e| Err(Error::doing("a change was cut short", types::Kind::Internal, e)))
}
