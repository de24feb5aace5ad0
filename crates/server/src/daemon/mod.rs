//! The daemon's life: options, sockets, pid file, signals. Containers go on when it ends, however it ends.

mod group;
mod listen;
mod options;
mod pidfile;
mod run;

pub use options::DaemonOptions;
pub use run::run;
