//! Rules on the files themselves: heads, lengths, unsafe, and the documents that must stay true.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines past which a source file needs a reason: it says `//! Long because …` in its head.
const LONGEST_FILE: usize = 500;
/// A program parses, calls and exits.
const LONGEST_PROGRAM: usize = 60;
/// ARCHITECTURE.md is read in one sitting too.
const LONGEST_MAP: usize = 400;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "SPECIFICATION.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "docs/one-sitting.md",
    "docs/compat.md",
    "docs/threat-model.md",
];

pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<String>, String> {
    let mut breaches: Vec<String> =
        DOCUMENTS.iter().filter(|d| !root.join(d).is_file()).map(|d| format!("{d} is missing")).collect();
    for file in files {
        let name = file.to_string_lossy();
        if file.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(root.join(file)).map_err(|e| format!("{name}: {e}"))?;
            breaches.extend(source(&name, &text));
            breaches.extend(super::handles::check(&name, &text));
        }
    }
    breaches.extend(map(root));
    breaches.extend(sitting(root));
    Ok(breaches)
}

fn source(name: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let lines = text.split("#[cfg(test)]").next().unwrap_or(text).lines().count();
    if !text.starts_with("//!") {
        breaches.push(format!("{name} does not open with what it is for (`//!`)"));
    }
    let is_test = name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("tests.rs");
    if lines > LONGEST_FILE && !text.contains("//! Long because") && !is_test {
        breaches.push(format!("{name} has {lines} lines: split it, or say `//! Long because …` in its head"));
    }
    if name.starts_with("bin/") && lines > LONGEST_PROGRAM && !is_test {
        breaches.push(format!("{name} has {lines} lines; a program has at most {LONGEST_PROGRAM}"));
    }
    if !name.starts_with("crates/sys/") && !name.starts_with("xtask/") {
        let unsafe_line = text.lines().position(|l| {
            let code = l.split("//").next().unwrap_or(l);
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        breaches.extend(unsafe_line.map(|n| format!("{name}:{} unsafe outside crates/sys", n + 1)));
    }
    let ignored = concat!("#[", "ignore");
    if text.contains(ignored) {
        breaches.push(format!("{name} ignores a test: run it, or let it say why it skips"));
    }
    breaches
}

fn map(root: &Path) -> Option<String> {
    let lines = fs::read_to_string(root.join("ARCHITECTURE.md")).ok()?.lines().count();
    (lines > LONGEST_MAP).then(|| format!("ARCHITECTURE.md has {lines} lines, more than {LONGEST_MAP}"))
}

/// Every path in the table of docs/one-sitting.md exists, and its function is in it.
fn sitting(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join("docs/one-sitting.md")).unwrap_or_default();
    let rows = text.lines().filter(|l| l.starts_with("| `"));
    rows.filter_map(|row| {
        let mut quoted = row.split('`').skip(1).step_by(2);
        let (path, function) = (quoted.next()?, quoted.next()?);
        let Ok(source) = fs::read_to_string(root.join(path)) else {
            return Some(format!("docs/one-sitting.md names {path}, which is not there"));
        };
        let found =
            source.contains(&format!("fn {function}(")) || source.contains(&format!("fn {function}<"));
        (!found).then(|| format!("docs/one-sitting.md: {path} has no fn {function}"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_breaches_in_sources() {
        assert!(source("crates/a/src/b.rs", "//! Good.\nfn f() {}\n").is_empty());
        assert_eq!(source("crates/a/src/b.rs", "fn f() {}\n").len(), 1);
        let long = format!("//! x\n{}", "fn f() {}\n".repeat(501));
        assert_eq!(source("crates/a/src/b.rs", &long).len(), 1);
        assert_eq!(source("bin/a/src/main.rs", &format!("//! x\n{}", "\n".repeat(61))).len(), 1);
        assert_eq!(source("crates/a/src/b.rs", "//! x\nfn f() { unsafe { g() } }\n").len(), 1);
        assert_eq!(source("crates/sys/src/b.rs", "//! x\nfn f() { unsafe { g() } }\n").len(), 0);
    }
}
