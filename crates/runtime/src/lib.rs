//! Floor 4: asking the kernel for a container. Replays a [`protocol::Plan`] and decides nothing: what is mounted where, who may
//! do what and in which order all stands in the plan.
//!
//! Knows processes, namespaces, mounts and cgroups of this kernel. Must not know images, networks, names, or why.
//! Whoever starts containers must have one thread: a child is a clone that goes on running Rust until it executes the program.
//!
//! ```no_run
//! # fn main() -> Result<(), runtime::Error> {
//! # let (plan, stdin, stdout, stderr) = (protocol::Plan::default(), std::io::stdin(), std::io::stdout(), std::io::stderr());
//! use std::os::fd::AsFd;
//! let stdio = runtime::StdioFds::Pipes([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
//! let started = runtime::spawn(&runtime::Launch { plan: &plan, stdio, fds: &[], state: "" })?.finish()?;
//! println!("runs as {}", started.pid);
//! # Ok(())
//! # }
//! ```
#![allow(clippy::disallowed_methods, reason = "this crate is where a host is changed")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod become_program;
mod cgroup;
pub mod command;
mod confine;
mod console;
mod copy_up;
mod early;
mod error;
mod exec;
pub mod facts;
mod fault;
mod hang;
pub mod hello;
mod hold;
mod home;
mod hook;
mod id_helpers;
mod idmap;
pub mod init;
mod jail;
mod join;
mod kernel;
mod label;
mod listener;
mod lookup;
mod memory;
mod mounts;
mod net_devices;
mod overlay;
mod prepare;
mod protect;
mod proxy;
mod rdt;
mod report;
mod root;
mod seal;
mod setup;
mod spawn;
mod tree;
mod users;
mod walk;
mod weak;

pub use cgroup::{apply_writes, freeze, kill_all, oom_kills, pids, present};
pub use error::Error;
pub use exec::{Entrance, spawn_exec};
pub use hang::remember_namespace;
pub use kernel::set_own_oom_score;
pub use memory::{MemoryWatch, watch_memory};
pub use prepare::clean;
pub use seal::{Stay, seal};
pub use spawn::{Launch, Started, Starting, StdioFds, spawn, spawn_held};
