//! Tests on a kernel that lacks system calls: a filter answers `ENOSYS` to them, for the whole run.

use std::process::{Command, Stdio};

/// System calls that the run is to go without, their names separated by commas.
const WITHOUT: &str = "BERTH_TEST_WITHOUT";

/// Those that can be named.
const CALLS: &[(&str, i64)] = &[
    ("openat2", libc::SYS_openat2),
    ("clone3", libc::SYS_clone3),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("open_tree", libc::SYS_open_tree),
    ("move_mount", libc::SYS_move_mount),
    ("fsopen", libc::SYS_fsopen),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("mount_setattr", libc::SYS_mount_setattr),
];

/// Installs the filter that the environment asks for. This process must not have made any thread yet.
pub(crate) fn from_now_on() -> Result<(), String> {
    let Ok(names) = std::env::var(WITHOUT) else { return Ok(()) };
    let mut filter = vec![instruction(LOAD, 0, 0, 0)];
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let known = CALLS.iter().find(|(known, _)| *known == name);
        let (_, number) = known.ok_or_else(|| format!("{WITHOUT}: {name} is not in the list"))?;
        filter.push(instruction(EQUAL, 0, 1, *number as u32));
        filter.push(instruction(RETURN, 0, 0, ERRNO | libc::ENOSYS as u32));
    }
    filter.push(instruction(RETURN, 0, 0, ALLOW));
    sys::seccomp::install(&filter.concat(), 0).map(drop).map_err(|errno| format!("{WITHOUT}: {errno}"))
}

// A word of the call's data (its number comes first), a comparison, an answer.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ERRNO: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;

/// `struct sock_filter`.
fn instruction(code: u16, then: u8, otherwise: u8, value: u32) -> [u8; 8] {
    let (code, value) = (code.to_ne_bytes(), value.to_ne_bytes());
    [code[0], code[1], then, otherwise, value[0], value[1], value[2], value[3]]
}

/// Runs the tests whose names contain one of the words, by this program and in these namespaces, without the calls.
///
/// # Panics
/// When one of them fails, or none runs.
pub fn run_without(calls: &[&str], words: &[&str]) {
    let program = std::env::current_exe().expect("this program");
    let mut tests = Command::new(program);
    tests.args(words).env(WITHOUT, calls.join(",")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = tests.spawn().expect("the tests again");
    // Its input ends when this process does, and it with that.
    let (input, output) = wait(child);
    drop(input);
    let said = String::from_utf8_lossy(&output.stdout);
    let ran = said.lines().filter(|line| line.starts_with("test ") && line.contains(" ... ok")).count();
    assert!(output.status.success() && ran > 0, "without {calls:?}: {said}");
}

fn wait(mut child: std::process::Child) -> (Option<std::process::ChildStdin>, std::process::Output) {
    let input = child.stdin.take();
    (input, child.wait_with_output().expect("the end of the tests"))
}
