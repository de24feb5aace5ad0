//! Floor 7: the command line. It knows Docker's commands and flags, the Engine API as a client, and how answers look
//! on a terminal. It must not know how a container is made: it talks to any daemon that speaks the API.
//!
//! ```no_run
//! let argv: Vec<String> = std::env::args().skip(1).collect();
//! match cli::main(&argv) {
//!     cli::Outcome::Exit(code) => std::process::exit(code.into()),
//!     cli::Outcome::Daemon(options) => println!("listen on {:?}", options.hosts),
//!     cli::Outcome::Registry(command) => println!("{command:?}"),
//!     cli::Outcome::CheckStore(_) => println!("the data root is to be checked"),
//! }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod commands;
mod create;
mod daemon;
mod entry;
mod error;
mod flags;
mod registry;
mod render;
mod stream;
mod terminal;
mod tree;
mod wire;

pub use daemon::{DaemonOptions, RegistryOptions};
pub use entry::{CheckOptions, Outcome, main, show_check};
pub use error::Error;
