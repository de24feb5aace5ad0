//! Floor 5: the supervisor, the parent of every container on its kernel.
//!
//! One thread, one loop: it starts what a daemon asks for, keeps stdio and logs, collects exit codes, runs restart policies, and goes on
//! when the daemon is gone. It must not know images, networks or HTTP. If it is killed itself, a daemon that holds duplicates
//! of its descriptors hands them to the next one (`adopt`), and no byte of a log is lost or doubled (`log::batch`); it becomes a newer
//! version of itself by executing that (`upgrade`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types))]

/// Says what went wrong, to whoever reads the supervisor's standard error. A full disk there is no reason to end.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "berth supervisor: {}", format_args!($($text)*));
    }};
}

mod adopt;
mod ask;
mod attach;
mod client;
mod clock;
mod connections;
mod entry;
mod error;
mod events;
mod exit;
mod held;
mod intent;
mod ledger;
mod log;
mod memory;
mod output;
mod pipes;
mod poll;
mod record;
mod root;
mod run;
mod serve;
mod start;
mod stat;
mod stdio;
mod supervisor;
mod upgrade;

pub use error::Error;
pub use run::run;
