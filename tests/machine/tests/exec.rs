//! `berth exec`: one more process behind the same walls.

use testkit::{Daemon, wait_for};

fn running() -> Daemon {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "c1", "--memory", "64m", "busybox", "sleep", "1000"]).ok();
    d
}

pub(crate) fn runs_beside_the_first_process() {
    let d = running();
    let said =
        d.berth(&["exec", "c1", "sh", "-c", "echo out; echo err >&2; cat /proc/1/cmdline | tr '\\0' ' '"]);
    assert_eq!(said.out, "out\nsleep 1000 ");
    assert_eq!(said.err, "err\n");
    assert_eq!(d.feed(&["exec", "-i", "c1", "wc", "-c"], b"12345").ok(), "5");
    assert_eq!(d.berth(&["exec", "-t", "c1", "tty"]).ok().trim(), "/dev/pts/0");
}

pub(crate) fn user_directory_environment() {
    let d = running();
    let said = d.berth(&[
        "exec",
        "-u",
        "alice",
        "-w",
        "/tmp",
        "-e",
        "A=1",
        "c1",
        "sh",
        "-c",
        "id -un; pwd; echo $A; echo $HOME",
    ]);
    assert_eq!(said.ok(), "alice\n/tmp\n1\n/home/alice");
    assert_ne!(d.berth(&["exec", "-u", "nobodyhere", "c1", "true"]).code, 0);
}

pub(crate) fn exit_codes_of_exec() {
    let d = running();
    assert_eq!(d.berth(&["exec", "c1", "sh", "-c", "exit 42"]).code, 42);
    assert_eq!(d.berth(&["exec", "c1", "sh", "-c", "kill -9 $$"]).code, 137);
    let missing = d.berth(&["exec", "c1", "no-such-program"]);
    assert_eq!(missing.code, 127, "{}", missing.err);
    assert_eq!(d.berth(&["exec", "c1", "/etc/passwd"]).code, 126);
    assert_eq!(d.berth(&["exec", "-w", "/absent", "c1", "pwd"]).code, 126);
    assert_eq!(d.berth(&["exec", "c1", "ls", "-d", "/absent"]).code, 1, "an exec makes no directory");
    d.berth(&["kill", "c1"]).ok();
    wait_for("the end", || d.berth(&["inspect", "-f", "{{.State.Running}}", "c1"]).ok() == "false");
    let stopped = d.berth(&["exec", "c1", "true"]);
    assert_eq!(stopped.code, 1);
    assert!(stopped.err.contains("is not running"), "{}", stopped.err);
}

pub(crate) fn detached_exec() {
    let d = running();
    assert_eq!(d.berth(&["exec", "-d", "c1", "sh", "-c", "echo done > /mark"]).ok(), "");
    wait_for("the mark", || d.berth(&["exec", "c1", "cat", "/mark"]).out == "done\n");
}

pub(crate) fn exec_has_the_same_walls() {
    let d = running();
    let status = d.berth(&["exec", "c1", "cat", "/proc/self/status"]).ok();
    for line in ["CapEff:\t00000000a80425fb", "CapInh:\t0000000000000000", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in\n{status}");
    }
    let same = d.berth(&["exec", "c1", "sh", "-c", "for n in cgroup ipc mnt net pid time uts; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done"]);
    assert_eq!(same.ok(), "", "exec shares every namespace");
    let cgroup = d.berth(&["exec", "c1", "sh", "-c", "cmp /proc/self/cgroup /proc/1/cgroup && echo same"]);
    assert_eq!(cgroup.ok(), "same");
    let eaten = d.berth(&["exec", "c1", "tail", "/dev/zero"]);
    assert_eq!(eaten.code, 137, "the container's memory limit holds for exec");
    let privileged = d.berth(&["exec", "--privileged", "c1", "grep", "Seccomp:", "/proc/self/status"]).ok();
    assert!(!privileged.is_empty());
}
