//! R21 (CVE-2022-31030, CVE-2022-23471, CVE-2025-64329): however much a container says and however early its readers leave, the daemon
//! and the supervisor hold what they held before.

use std::fs;
use std::io::Read;

use serde_json::json;
use testkit::{Daemon, wait_for};

use crate::door::{ask, hijack};

/// Open descriptors, threads, and memory in KiB of both resident processes.
fn held(d: &Daemon) -> (usize, u64, u64) {
    let pids = [d.pid() as i32].into_iter().chain(d.supervisor());
    let each = pids.map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0)
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        (descriptors, number("Threads:"), number("VmRSS:"))
    });
    each.fold((0, 0, 0), |all, one| (all.0 + one.0, all.1 + one.1, all.2 + one.2))
}

/// Starts a command beside the first process and leaves after so many bytes of its output.
fn exec_and_leave(d: &Daemon, command: &[&str], bytes: usize) {
    let asked = json!({"Cmd": command, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true});
    let made = ask(d, "POST", "/containers/c1/exec", Some(&asked)).json();
    let path = format!("/exec/{}/start", made["Id"].as_str().expect("an id"));
    let (head, mut stream) = hijack(d, &path, "{\"Detach\":false,\"Tty\":false}", b"");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream.read_exact(&mut vec![0; bytes]).expect("some output");
}

pub(crate) fn r21_readers_who_leave_early_leave_nothing() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "-i", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    // What is made at the first time and kept is no leak.
    (0..20).for_each(|_| exec_and_leave(&d, &["cat", "/etc/passwd"], 9));
    let before = held(&d);
    for round in 0..200 {
        match round % 4 {
            0 => exec_and_leave(&d, &["cat"], 0),
            1 => exec_and_leave(&d, &["cat", "/etc/passwd"], 9),
            2 => exec_and_leave(&d, &["true"], 0),
            _ => drop(hijack(&d, "/containers/c1/attach?stream=1&stdin=0&stdout=1&stderr=1", "", b"")),
        }
    }
    wait_for("descriptors and threads as before", || {
        let now = held(&d);
        now.0 <= before.0 + 4 && now.1 <= before.1 + 2
    });
    let grown = held(&d).2.saturating_sub(before.2);
    assert!(grown < 32 << 10, "{grown} KiB more than before");
    assert_eq!(d.berth(&["exec", "c1", "echo", "well"]).ok(), "well");
}

pub(crate) fn r21_output_that_nobody_reads_is_not_kept() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    exec_and_leave(&d, &["head", "-c", "1000000", "/dev/zero"], 100_000);
    let before = held(&d).2;
    let command = ["sh", "-c", "head -c 10737418240 /dev/zero; echo over > /over"];
    let asked = json!({"Cmd": command, "AttachStdout": true, "AttachStderr": true});
    let made = ask(&d, "POST", "/containers/c1/exec", Some(&asked)).json();
    let path = format!("/exec/{}/start", made["Id"].as_str().expect("an id"));
    let (_, mut stream) = hijack(&d, &path, "{\"Detach\":false,\"Tty\":false}", b"");
    stream.read_exact(&mut [0; 1 << 16]).expect("some output");
    // Its reader is there, and does not read.
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let grown = held(&d).2.saturating_sub(before);
        assert!(grown < 32 << 10, "{grown} KiB of ten GiB are kept for a reader who does not read");
    }
    drop(stream);
    assert_eq!(d.berth(&["exec", "c1", "echo", "well"]).ok(), "well");
}
