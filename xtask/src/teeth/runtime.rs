//! The runtime's rows: the machine tests drive a runtime with switches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{SWITCH, Verdict, refuse_weak, rows, verdicts};
use crate::suite::Count;
use crate::{command, guest, programs};

/// Rows without a switch.
pub(super) const BY_CONSTRUCTION: &[(&str, &str)] = &[
    (
        "R19",
        "one opener: what opens a path of a container otherwise does not pass `cargo xtask tidy` (its tests plant such code)",
    ),
    (
        "R20",
        "checked lengths in the netlink encoder: its test lets an encoder that wraps around fail beside it (sys::netlink)",
    ),
    (
        "R21",
        "the daemon's pumps hold one buffer each and end with their connection: nothing that could be left out (machine rows_engine::r21_*)",
    ),
];

pub(super) fn run() -> Result<Count, String> {
    let weak = build()?;
    if refuse_weak(&weak).is_ok() {
        return Err(format!("{} has no switch: the build without `weak` cannot be told", weak.display()));
    }
    let tests = guest::test_program()?;
    let rows = rows('R', 1..=21, BY_CONSTRUCTION);
    let switched = rows.iter().filter(|row| row.by_construction.is_none());
    let filters: Vec<String> = switched.map(super::Row::filter).collect();
    let on = run_tests(&tests, &weak, &filters, "")?;
    let mut count = Count::default();
    for row in &rows {
        count.add(row.judge(&on, |_| run_tests(&tests, &weak, &[row.filter()], &row.name))?);
    }
    Ok(count)
}

/// The runtime with switches, beside the one without.
fn build() -> Result<PathBuf, String> {
    let messages = command::output(command::cargo().args([
        "build",
        "--quiet",
        "-p",
        "berth-runtime",
        "-p",
        "types",
        "--features",
        "types/weak",
        "--message-format=json",
    ]))?;
    let built = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == "berth-runtime";
        message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
    });
    let built = built.ok_or("cargo named no program for the weak runtime")?;
    let place = programs::target_directory().join("weak");
    let copy = place.join("berth-runtime");
    // Moved: nobody shall find a weak program where programs are built.
    let moved = fs::create_dir_all(&place).and_then(|()| fs::rename(&built, &copy));
    moved.map_err(|e| format!("{} → {}: {e}", built.display(), copy.display()))?;
    Ok(copy)
}

fn run_tests(tests: &Path, weak: &Path, filters: &[String], off: &str) -> Result<Vec<Verdict>, String> {
    let mut command = Command::new(tests);
    command.args(filters).env("BERTH_RUNTIME", weak).env(SWITCH, off).stdin(Stdio::null());
    let output = command.stderr(Stdio::null()).output().map_err(|e| format!("{}: {e}", tests.display()))?;
    Ok(verdicts(&String::from_utf8_lossy(&output.stdout)))
}
