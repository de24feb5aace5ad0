//! The rows of images and registries: the tests of the crates that hold the defences, built with switches. What is tested without a
//! defence may do what the defence is there to prevent, so it runs where it can hurt nobody: everything is read-only but a small
//! file system in memory, and memory itself is limited.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Colour, SWITCH, Verdict, rows, verdicts};
use crate::command;
use crate::suite::Count;

/// The crates that hold the defences.
const CRATES: &[&str] = &["types", "layer", "store", "registry", "distribution"];

/// Rows without a switch.
pub(super) const BY_CONSTRUCTION: &[(&str, &str)] = &[(
    "I17",
    "layers are unpacked from entries and stacked by diffID: no annotation is among the arguments, so nothing could be left out (store rows_images::i17_*)",
)];

/// Its arguments are a program and that one's. The room in memory is never taken: the tests' stores have caps of their own, but must
/// believe that a bomb would fit.
const ROOM: &str = "mount -t tmpfs -o size=16g,mode=1777 berth-teeth /tmp && mount -o remount,bind,ro / \
    && ulimit -v 4194304 && exec timeout --kill-after=5 600 \"$@\"";
/// What timeout(1) answers when it had to end the program.
const ENDED: i32 = 124;

pub(super) fn run() -> Result<Count, String> {
    let rows: Vec<_> = rows('I', 1..=17, BY_CONSTRUCTION).into_iter().chain(rows('D', 1..=7, &[])).collect();
    if !command::is_root() {
        println!("rows of images and registries skipped: their tests need root");
        return Ok(Count { skipped: rows.len() as u64, ..Count::default() });
    }
    let switched = rows.iter().filter(|row| row.by_construction.is_none());
    let filters: Vec<String> = switched.map(super::Row::filter).collect();
    let mut on = Vec::new();
    let mut homes = Vec::new();
    for program in build()? {
        let output = in_room(&program, &filters, "").output();
        let output = output.map_err(|e| format!("{}: {e}", program.display()))?;
        let said = verdicts(&String::from_utf8_lossy(&output.stdout));
        if said.is_empty() && !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{}: {}: {why}", program.display(), output.status));
        }
        homes.extend(said.iter().map(|_| program.clone()));
        on.extend(said);
    }
    let mut count = Count::default();
    for row in &rows {
        let off = |tests: &[Verdict]| {
            let home = |name: &str| on.iter().position(|test| test.name == name).map(|at| &homes[at]);
            tests
                .iter()
                .filter_map(|test| Some((test, home(&test.name)?)))
                .map(|(test, home)| without(home, &test.name, &row.name))
                .collect()
        };
        count.add(row.judge(&on, off)?);
    }
    Ok(count)
}

/// The test programs.
fn build() -> Result<Vec<PathBuf>, String> {
    let mut build = command::cargo();
    build.args(["test", "--no-run", "--quiet", "--features", "types/weak", "--message-format=json"]);
    for name in CRATES {
        build.args(["-p", name]);
    }
    let messages = command::output(&mut build)?;
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["profile"]["test"] == true;
        message["executable"].as_str().filter(|_| is_test).map(PathBuf::from)
    });
    let programs: Vec<PathBuf> = programs.collect();
    if programs.is_empty() { Err("cargo named no test program".to_owned()) } else { Ok(programs) }
}

/// One test without the row's defence, in a process of its own: it may end all of it.
fn without(program: &Path, test: &str, row: &str) -> Result<Verdict, String> {
    let args = ["--exact".to_owned(), test.to_owned()];
    let output = in_room(program, &args, row).output().map_err(|e| format!("{}: {e}", program.display()))?;
    if output.status.code() == Some(ENDED) {
        return Err(format!(
            "{test} does not end without the defence of {row}: what it does must be bounded"
        ));
    }
    let colour = if output.status.success() { Colour::Green } else { Colour::Red };
    Ok(Verdict { name: test.to_owned(), colour })
}

/// A test program with defences off, where nothing that it does reaches beyond itself.
fn in_room(program: &Path, args: &[String], off: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", ROOM, "sh"]).arg(program).args(args);
    command.env(SWITCH, off).env("TMPDIR", "/tmp").env("MALLOC_ARENA_MAX", "2").stdin(Stdio::null());
    command
}
