//! The user's terminal: raw mode, size, detach keys, signals.

mod ask;
mod escape;
mod raw;
mod signals;

pub(crate) use ask::{line, secret};
pub(crate) use escape::{Escape, default_keys, keys};
pub(crate) use raw::{Raw, is_terminal, size, width};
pub(crate) use signals::{forward, resizes};
