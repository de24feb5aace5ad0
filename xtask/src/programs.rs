//! The two programs, built the way they are shipped.

use std::path::PathBuf;

use crate::{command, teeth};

/// Where the built programs lie.
pub(crate) struct Programs {
    /// The command line and the daemon.
    pub(crate) berth: PathBuf,
    /// The runtime and supervisor.
    pub(crate) runtime: PathBuf,
}

/// The triple everything is built for (`.cargo/config.toml`).
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds both programs as they are shipped, into one directory.
pub(crate) fn build() -> Result<Programs, String> {
    command::run(command::cargo().args(["build", "--release", "--quiet", "-p", "berth"]))?;
    command::run(command::cargo().args(["build", "--profile", "small", "--quiet", "-p", "berth-runtime"]))?;
    let target = target_directory().join(TARGET);
    let (small, shipped) = (target.join("small/berth-runtime"), target.join("release/berth-runtime"));
    if small.exists() {
        // A name of its own first: one of the old ones may be running.
        let new = shipped.with_extension("new");
        std::fs::copy(&small, &new)
            .and_then(|_| std::fs::rename(&new, &shipped))
            .map_err(|error| format!("{}: {error}", shipped.display()))?;
    }
    let directory = target_directory().join(TARGET).join("release");
    let programs = Programs { berth: directory.join("berth"), runtime: directory.join("berth-runtime") };
    for program in [&programs.berth, &programs.runtime] {
        if !program.exists() {
            return Err(format!("the build left no {}", program.display()));
        }
        teeth::refuse_weak(program)?;
    }
    Ok(programs)
}

/// The directory that cargo builds into.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from)
}
