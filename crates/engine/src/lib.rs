//! Floor 6: the engine. The only one that knows all doers: it turns Docker's documents into plans, has them applied, writes
//! down what became of them, and tells it. It speaks to the supervisor by the protocol and never links it; it knows
//! nothing of HTTP.
//!
//! Reads answer from immutable records; changes of one container wait for each other, never for other containers.
#![allow(clippy::disallowed_methods, reason = "a doer: files under its own roots, the clock, the host's ps")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clock;
mod error;
mod events;
mod filters;
mod foreign;
mod logs;
mod state;
mod usage;

pub use error::{Error, Result};
pub use events::{Event, EventOptions, EventStream};
pub use filters::Filters;
pub use logs::{LogOptions, LogStream};
