//! `cargo xtask test`: every check in order, the time of each part, one closing count.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{command, guest, packages, powercut, programs, teeth, tidy};

/// Tests counted so far.
#[derive(Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// An error when a test has failed.
    pub(crate) fn verdict(self) -> Result<(), String> {
        if self.failed == 0 { Ok(()) } else { Err(format!("{} tests failed", self.failed)) }
    }
}

type Part = (&'static str, fn() -> Result<Count, String>);

const PARTS: &[Part] = &[
    ("format", format),
    ("lints", lints),
    ("tidy", || tidy::run().map(|()| Count::default())),
    ("unit", unit),
    ("fuzz", fuzz),
    ("machine", machine),
    ("denied", denied),
    ("teeth", teeth::run),
    ("conformance", conformance),
    ("guest", || guest::run(&[])),
    ("powercut", powercut::short),
];

/// Runs the named parts, or all.
pub(crate) fn run(names: &[&str]) -> Result<(), String> {
    if let Some(unknown) = names.iter().find(|n| PARTS.iter().all(|(part, _)| part != *n)) {
        return Err(format!("there is no part '{unknown}'"));
    }
    packages::install(packages::BUILD)?;
    packages::install(packages::TEST)?;
    let mut total = Count::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut broken = Vec::new();
    for (name, part) in PARTS {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        println!("── {name}");
        let started = Instant::now();
        match part() {
            Ok(count) => total.add(count),
            Err(message) => {
                eprintln!("{name}: {message}");
                broken.push(*name);
            }
        }
        times.push((name, started.elapsed()));
    }
    report(&times, total, &broken)
}

fn report(times: &[(&str, Duration)], mut total: Count, broken: &[&str]) -> Result<(), String> {
    println!("── time");
    for (name, time) in times {
        println!("{name:<12} {:>7.1} s", time.as_secs_f64());
    }
    total.failed += broken.len() as u64;
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if total.failed == 0 { Ok(()) } else { Err(format!("not everything passed {}", broken.join(" "))) }
}

fn format() -> Result<Count, String> {
    command::run(command::cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Count::default())
}

fn lints() -> Result<Count, String> {
    command::run(command::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Count::default())
}

/// Rings 1 and 2: the crates' own tests. Those that need root say so and skip themselves without it.
fn unit() -> Result<Count, String> {
    // The supervisor's and its client's tests drive the real program.
    let built = programs::build()?;
    let mut test = command::cargo();
    test.args(["test", "--workspace", "--exclude", "machine", "--exclude", "conformance", "--no-fail-fast"]);
    test.env("BERTH", built.berth).env("BERTH_RUNTIME", built.runtime);
    counted(&mut test)
}

/// Some seconds of every fuzz target; longer runs are for whoever changes a parser (CONTRIBUTING.md).
fn fuzz() -> Result<Count, String> {
    const SECONDS_EACH: &str = "8";
    counted(command::cargo().args(["run", "--quiet", "--package", "fuzz", "--", "all", SECONDS_EACH]))
}

/// Ring 3 on this kernel.
fn machine() -> Result<Count, String> {
    with_programs("machine")
}

/// The runtime's tests of ring 3 once more for each system call that may be missing (docs/decisions/0009).
fn denied() -> Result<Count, String> {
    let built = programs::build()?;
    let tests = guest::test_program()?;
    let mut count = Count::default();
    for call in ["openat2", "clone3", "pidfd_open"] {
        println!("without {call}:");
        let mut again = Command::new(&tests);
        // All but the daemon's, which promises no fallback.
        again.args([
            "bundle",
            "rows_cgroups",
            "rows_descriptors",
            "rows_mounts",
            "rows_runtime",
            "rows_users",
        ]);
        again.env("BERTH_TEST_WITHOUT", call);
        count.add(counted(again.env("BERTH", &built.berth).env("BERTH_RUNTIME", &built.runtime))?);
    }
    Ok(count)
}

/// Ring 4: other people's clients.
fn conformance() -> Result<Count, String> {
    with_programs("conformance")
}

fn with_programs(package: &str) -> Result<Count, String> {
    let built = programs::build()?;
    let mut test = command::cargo();
    test.args(["test", "-p", package, "--no-fail-fast"]);
    test.env("BERTH", built.berth).env("BERTH_RUNTIME", built.runtime);
    counted(&mut test)
}

/// Runs a test command, passes its lines on, and adds up its results.
pub(crate) fn counted(command: &mut Command) -> Result<Count, String> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    let output = child.stdout.take().ok_or("no output")?;
    let mut count = Count::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line.map_err(|e| e.to_string())?).into_owned();
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            count.add(read_result(result));
        }
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    match (status.success(), count.failed, count.passed) {
        (false, 0, _) => Err(format!("no test failed, yet {status}")),
        (true, _, 0) => Err("no test ran".to_owned()),
        _ => Ok(count),
    }
}

/// Reads `ok. 7 passed; 0 failed; 0 ignored; …`.
fn read_result(text: &str) -> Count {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |name: &str| {
        words
            .windows(2)
            .find(|pair| pair[1].trim_end_matches(';') == name)
            .and_then(|pair| pair[0].parse().ok())
    };
    Count {
        passed: number("passed").unwrap_or(0),
        failed: number("failed").unwrap_or(0),
        skipped: number("ignored").unwrap_or(0) + number("skipped").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_results() {
        let count = read_result("FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out");
        assert_eq!((count.passed, count.failed, count.skipped), (7, 2, 1));
    }
}
