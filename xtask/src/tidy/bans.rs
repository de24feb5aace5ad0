//! Crates that Berth does not link. Archives are read by `layer`, strictly; readers that guess have let entries in that others did
//! not see (weakness I09: CVE-2026-33056, RUSTSEC-2026-0112, RUSTSEC-2026-0113).

use std::fs;

use crate::command;

/// Not even in tests.
const NOWHERE: &[&str] = &["tokio-tar", "async-tar", "astral-tokio-tar", "krata-tokio-tar"];
/// Only in tests, as another opinion, and not before this version.
const IN_TESTS: (&str, [u64; 3]) = ("tar", [0, 4, 45]);

pub(super) fn check() -> Result<Vec<String>, String> {
    let lock = command::root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    let mut breaches = in_lock(&lock);
    let mut tree = command::cargo();
    tree.args(["tree", "-p", "berth", "-p", "berth-runtime", "-e", "normal,build", "--prefix", "none"]);
    breaches.extend(shipped(&command::output(tree.args(["--format", "{p}"]))?));
    Ok(breaches)
}

/// What stands in the lock file and must not.
fn in_lock(lock: &str) -> Vec<String> {
    let field = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""))?;
        line.strip_suffix('"').map(str::to_owned)
    };
    let packages = lock
        .split("[[package]]")
        .filter_map(|package| Some((field(package, "name")?, field(package, "version")?)));
    let bad = packages.filter(|(name, version)| {
        NOWHERE.contains(&name.as_str()) || (name == IN_TESTS.0 && numbers(version) < IN_TESTS.1)
    });
    bad.map(|(name, version)| format!("Cargo.lock has {name} {version}, which is banned (I09)")).collect()
}

/// What the programs are built of and must not be: one package a line, `name vVERSION …`.
fn shipped(tree: &str) -> Vec<String> {
    let mut bad: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_once(" v").map(|(name, _)| name))
        .filter(|name| *name == IN_TESTS.0 || NOWHERE.contains(name))
        .collect();
    bad.dedup();
    bad.into_iter().map(|name| format!("the programs link {name}, which is banned (I09)")).collect()
}

/// `0.4.46` as numbers; what is none counts as 0.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i09_what_is_planted_is_found() {
        let lock = |name: &str, version: &str| {
            format!(
                "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"
            )
        };
        for (name, version, banned) in [
            ("tar", "0.4.44", true),
            ("tar", "0.4.45", false),
            ("tar", "0.5.0", false),
            ("tar", "1.0.0-rc.1", false),
            ("tokio-tar", "0.3.1", true),
            ("async-tar", "9.0.0", true),
            ("astral-tokio-tar", "0.6.3", true),
            ("tar-like", "0.1.0", false),
        ] {
            assert_eq!(in_lock(&lock(name, version)).len(), usize::from(banned), "{name} {version}");
        }
        assert_eq!(shipped("berth v0.1.0 (/x)\nserde v1.0.0\n"), [""; 0]);
        let planted =
            "berth v0.1.0 (/x)\nstore v0.1.0 (/x)\ntar v0.4.46\ntar v0.4.46 (*)\nasync-tar v0.5.0\n";
        assert_eq!(shipped(planted).len(), 2);
    }
}
