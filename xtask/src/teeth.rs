//! Do the regression tests of runtimes' historical weaknesses have teeth? Each row's tests run against a runtime that can leave the
//! row's defence out (`crates/runtime/src/weak.rs`): green with it, red without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::suite::Count;
use crate::{command, guest, programs};

/// What the switch is called: whoever ships it ships the weaknesses.
const SWITCH: &str = "BERTH_WEAK";
const ROWS: std::ops::RangeInclusive<u32> = 1..=21;

/// Rows without a switch, and where their tests show by themselves that they bite.
const BY_CONSTRUCTION: &[(&str, &str)] = &[
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

/// Fails when a program that is to be shipped can leave defences out.
pub(crate) fn refuse_weak(program: &Path) -> Result<(), String> {
    let bytes = fs::read(program).map_err(|e| format!("{}: {e}", program.display()))?;
    if bytes.windows(SWITCH.len()).any(|window| window == SWITCH.as_bytes()) {
        return Err(format!(
            "{} was built with the feature `weak`: it must not be shipped",
            program.display()
        ));
    }
    Ok(())
}

/// Runs every row with its defence and without.
pub(crate) fn run() -> Result<Count, String> {
    let weak = build()?;
    if refuse_weak(&weak).is_ok() {
        return Err(format!("{} has no switch: the build without `weak` cannot be told", weak.display()));
    }
    let tests = guest::test_program()?;
    let switched: Vec<String> = ROWS.map(name).filter(|row| reason(row).is_none()).collect();
    let filters: Vec<String> = switched.iter().map(|row| filter(row)).collect();
    let on = verdicts(&run_tests(&tests, &weak, &filters, "")?);
    let mut count = Count::default();
    for row in ROWS.map(name) {
        match reason(&row) {
            Some(reason) => println!("{row} has no switch: {reason}"),
            None => judge(&row, &on, &tests, &weak, &mut count)?,
        }
    }
    Ok(count)
}

fn judge(
    row: &str,
    on: &[(String, Verdict)],
    tests: &Path,
    weak: &Path,
    count: &mut Count,
) -> Result<(), String> {
    let with = chosen(on, row);
    if with.is_empty() {
        println!("{row} FAILED: it has no test");
        count.failed += 1;
        return Ok(());
    }
    if with.iter().any(|(_, verdict)| *verdict == Verdict::Red) {
        println!("{row} FAILED with its defence: {with:?}");
        count.failed += 1;
        return Ok(());
    }
    if with.iter().all(|(_, verdict)| *verdict == Verdict::Skipped) {
        println!("{row} skipped");
        count.skipped += 1;
        return Ok(());
    }
    let off = verdicts(&run_tests(tests, weak, &[filter(row)], row)?);
    let red: Vec<&str> =
        off.iter().filter(|(_, verdict)| *verdict == Verdict::Red).map(|(n, _)| n.as_str()).collect();
    let green: Vec<&str> =
        off.iter().filter(|(_, verdict)| *verdict == Verdict::Green).map(|(n, _)| n.as_str()).collect();
    if red.is_empty() {
        println!("{row} FAILED: its tests stay green without its defence");
        count.failed += 1;
    } else {
        let beside =
            if green.is_empty() { String::new() } else { format!("; stay green: {}", green.join(" ")) };
        println!("{row} ok: red without its defence: {}{beside}", red.join(" "));
        count.passed += 1;
    }
    Ok(())
}

fn name(row: u32) -> String {
    format!("R{row:02}")
}

fn reason(row: &str) -> Option<&'static str> {
    BY_CONSTRUCTION.iter().find(|(name, _)| *name == row).map(|(_, reason)| *reason)
}

/// What the names of a row's tests have in them.
fn filter(row: &str) -> String {
    format!("::{}_", row.to_lowercase())
}

/// The runtime with switches, beside the one without.
fn build() -> Result<PathBuf, String> {
    let messages = command::output(command::cargo().args([
        "build",
        "--quiet",
        "-p",
        "berth-runtime",
        "--features",
        "weak",
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

fn run_tests(tests: &Path, weak: &Path, filters: &[String], off: &str) -> Result<String, String> {
    let mut command = Command::new(tests);
    command.args(filters).env("BERTH_RUNTIME", weak).env(SWITCH, off).stdin(Stdio::null());
    let output = command.stderr(Stdio::null()).output().map_err(|e| format!("{}: {e}", tests.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Green,
    Red,
    Skipped,
}

/// Reads lines such as `test rows::r06_name ... ok (0.1 s)`.
fn verdicts(output: &str) -> Vec<(String, Verdict)> {
    let lines = output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    lines
        .filter_map(|(name, said)| {
            let word = said.split([' ', ':']).next()?;
            let verdict = match word {
                "ok" => Verdict::Green,
                "skipped" => Verdict::Skipped,
                "FAILED" => Verdict::Red,
                _ => return None,
            };
            Some((name.to_owned(), verdict))
        })
        .collect()
}

fn chosen(all: &[(String, Verdict)], row: &str) -> Vec<(String, Verdict)> {
    let filter = filter(row);
    all.iter().filter(|(name, _)| name.contains(&filter)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn lines_are_read() {
        let said = "noise\ntest rows::r06_a ... ok (0.1 s)\ntest rows::r06_b ... FAILED: a ... b\ntest x::r01_c ... skipped: needs z\n";
        let all = verdicts(said);
        assert_eq!(
            chosen(&all, "R06").iter().map(|(_, v)| *v).collect::<Vec<_>>(),
            [Verdict::Green, Verdict::Red]
        );
        assert_eq!(chosen(&all, "R01"), [("x::r01_c".to_owned(), Verdict::Skipped)]);
        assert!(chosen(&all, "R02").is_empty());
    }

    #[test]
    fn rows_are_named_once() {
        let names: BTreeSet<_> = BY_CONSTRUCTION.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), BY_CONSTRUCTION.len());
        assert!(names.iter().all(|row| ROWS.map(name).any(|known| known == **row)));
    }
}
