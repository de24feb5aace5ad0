//! The daemon's life: options, sockets, pid file, signals. Containers go on when it ends, however it ends.

mod check;
mod file;
mod group;
mod listen;
mod options;
mod pidfile;
mod registries;
mod run;

pub use check::check_store;
pub use options::DaemonOptions;
pub use registries::RegistryOptions;
pub use run::run;
