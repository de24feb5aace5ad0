//! Floor 2: deciding. Request and facts go in, a plan comes out; no IO, no clock, no randomness, no environment.

pub mod capability;
pub mod cgroup;
pub mod container;
mod error;
pub mod facts;
pub mod garbage;
pub mod network;
pub mod restart;
pub mod seccomp;
pub mod spec;

pub use error::Error;
