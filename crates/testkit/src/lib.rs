//! What the outer rings of tests share: a runner that counts honestly, private daemons, root file systems, and the
//! search for anything a test left behind. For development only; no program ships with it.
#![allow(clippy::disallowed_methods, reason = "tests run programs and read the kernel's own view")]

mod bundle;
mod daemon;
mod deny;
mod leaks;
pub mod power;
mod registry;
mod rootfs;
mod runner;
mod sweep;

pub use bundle::Bundle;
pub use daemon::{Daemon, Ran, is_reference, wait_for};
pub use deny::run_without;
pub use leaks::{Census, processes_naming};
pub use registry::Registry;
pub use rootfs::{busybox_tar, tar_of};
pub use runner::{Need, Test, main, mark, slow};
pub use sweep::{end_sweeper, start_sweeper, when_over};

/// Names the tests of a module for the runner: `tests![isolation: own_pid_1, own_hostname]`.
#[macro_export]
macro_rules! tests {
    ($module:ident: $($name:ident),+ $(,)?) => {
        vec![$($crate::Test { name: concat!(stringify!($module), "::", stringify!($name)), run: $module::$name, needs: &[] }),+]
    };
    ($module:ident needs $needs:expr; $($name:ident),+ $(,)?) => {
        vec![$($crate::Test { name: concat!(stringify!($module), "::", stringify!($name)), run: $module::$name, needs: $needs }),+]
    };
}
