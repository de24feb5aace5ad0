//! Removes what carries a mark, once the processes that made it are gone, however they went: cgroups and directories. Links,
//! tables and mounts went with their namespaces.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts this program again, with `args` and `variable` set, to call [`when_over`]: that process sees this one's end by the end of
/// its standard input.
///
/// # Errors
/// When it cannot be started.
pub fn start_sweeper(args: &[&str], variable: &str, value: &str) -> Result<Child, String> {
    use std::os::unix::process::CommandExt;
    let own = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
    let mut sweeper = Command::new(own);
    // Out of reach of the terminal's interrupt.
    sweeper.args(args).env(variable, value).stdin(Stdio::piped()).process_group(0);
    sweeper.spawn().map_err(|error| format!("start the sweeper: {error}"))
}

/// Tells the sweeper that all is over, and waits for it.
///
/// # Errors
/// When something could not be removed; the sweeper has said what.
pub fn end_sweeper(mut sweeper: Child) -> Result<(), String> {
    drop(sweeper.stdin.take());
    match sweeper.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("not everything could be removed: {status}")),
        Err(error) => Err(format!("wait for the sweeper: {error}")),
    }
}

/// Waits for the end of standard input, then removes what carries the mark, and what `also` removes.
///
/// # Errors
/// What is left after some tries, a line each.
pub fn when_over(mark: &str, also: impl Fn() -> Result<(), String>) -> Result<(), String> {
    let before = by_products();
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| format!("wait for the end: {error}"))?;
    let all = || sweep(mark).and(also());
    let tidy = || {
        for new in by_products().iter().filter(|directory| !before.contains(directory)) {
            // Only what nobody uses can be removed; what is left is somebody's.
            remove_empty(new);
        }
    };
    // The last processes may still be dying.
    for pause_ms in [0, 100, 1000, 5000] {
        std::thread::sleep(Duration::from_millis(pause_ms));
        if all().is_ok() {
            tidy();
            return Ok(());
        }
    }
    tidy();
    all()
}

const CGROUPS: &str = "/sys/fs/cgroup";

/// What podman and the runtime make without anybody's mark: directories beside the cgroup hierarchies that are none, for controllers
/// that are mounted nowhere, and the parents of cgroups that nobody has named.
fn by_products() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(CGROUPS).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let (hierarchies, mut found): (Vec<_>, Vec<_>) =
        directories.map(|entry| entry.path()).partition(|path| is_kernels(path));
    let parents = |path: &PathBuf| ["libpod_parent", "berth-runtime"].map(|name| path.join(name));
    let top = Path::new(CGROUPS).to_owned();
    found.extend(hierarchies.iter().chain([&top]).flat_map(parents).filter(|path| path.is_dir()));
    found
}

fn remove_empty(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(directory);
}

fn sweep(mark: &str) -> Result<(), String> {
    let mut left = Vec::new();
    let root = Path::new(CGROUPS);
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for parent in hierarchies.chain([root.to_owned()]) {
        marked(&parent, mark).for_each(|group| remove_group(&group, &mut left));
    }
    for directory in marked(&std::env::temp_dir(), mark) {
        if let Err(error) = std::fs::remove_dir_all(&directory) {
            left.push(format!("{}: {error}", directory.display()));
        }
    }
    if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
}

/// What is in `parent` and is named by the mark, or begins with it.
fn marked(parent: &Path, mark: &str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let is_marked = move |name: &str| {
        // 12 is no mark of 123's.
        name.strip_prefix(mark).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    entries.filter(move |entry| entry.file_name().to_str().is_some_and(is_marked)).map(|entry| entry.path())
}

fn remove_group(group: &Path, left: &mut Vec<String>) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path(), left);
        }
    }
    // In podman's directories other programs write files, where the kernel would have made them.
    let removed = if is_kernels(group) { std::fs::remove_dir(group) } else { std::fs::remove_dir_all(group) };
    if let Err(error) = removed {
        left.push(format!("{}: {error}", group.display()));
    }
}

/// A directory of the cgroup file system, not of the tmpfs that holds its mounts: the kernel makes what is in it.
fn is_kernels(group: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    device(group) != device(Path::new(CGROUPS)) || Path::new(CGROUPS).join("cgroup.controllers").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_not_the_beginning_of_another_number() {
        let parent = std::env::temp_dir().join(format!("sweep-{}", std::process::id()));
        for name in ["bt12", "bt12x0", "bt123", "bt123x0", "other"] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        let mut found: Vec<_> = marked(&parent, "bt12").collect();
        found.sort();
        std::fs::remove_dir_all(&parent).unwrap();
        assert_eq!(found, [parent.join("bt12"), parent.join("bt12x0")]);
    }
}
