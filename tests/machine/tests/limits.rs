//! Limits: written where the kernel reads them, and biting.

use std::fs;

use testkit::{Daemon, wait_for};

/// The value of a limit file of the container, whichever hierarchy has it.
fn limit(d: &Daemon, id: &str, v1: &str, v2: &str) -> String {
    let controller = v1.split('.').next().unwrap_or_default();
    let paths = [
        format!("/sys/fs/cgroup/{}/{id}/{v2}", d.mark()),
        format!("/sys/fs/cgroup/{controller}/{}/{id}/{v1}", d.mark()),
    ];
    let found = paths.iter().find_map(|p| fs::read_to_string(p).ok());
    found.unwrap_or_else(|| panic!("neither of {paths:?} is there")).trim().to_owned()
}

pub(crate) fn memory_kills_and_says_so() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&["run", "--name", "m1", "--memory", "16m", "busybox", "sh", "-c", "tail /dev/zero"]);
    assert_eq!(said.code, 137, "{}", said.err);
    assert_eq!(
        d.berth(&["inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "m1"]).ok(),
        "true 137"
    );
    assert_eq!(d.berth(&["run", "--name", "ok", "--memory", "16m", "busybox", "true"]).code, 0);
    assert_eq!(d.berth(&["inspect", "-f", "{{.State.OOMKilled}}", "ok"]).ok(), "false");
}

/// The kernel tells (v1: an eventfd; v2: POLLPRI on `memory.events`) while the container goes on.
pub(crate) fn memory_kill_of_a_child_is_told() {
    let d = Daemon::start();
    d.busybox();
    let say = "tail /dev/zero; echo went on; exec sleep 1000";
    d.berth(&["run", "-d", "--name", "m1", "--memory", "16m", "busybox", "sh", "-c", say]).ok();
    let state = || d.berth(&["inspect", "-f", "{{.State.OOMKilled}} {{.State.Status}}", "m1"]).ok();
    wait_for("the kill of the child", || d.berth(&["logs", "m1"]).out == "went on\n");
    wait_for("the news of it", || state() == "true running");
}

pub(crate) fn pids_are_limited() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&[
        "run",
        "--rm",
        "--pids-limit",
        "5",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait",
    ]);
    assert!(said.err.contains("fork"), "{} {}", said.code, said.err);
}

pub(crate) fn cpu_quota_is_written() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["run", "-d", "--cpus", "0.5", "busybox", "sleep", "100"]).ok();
    let quota = limit(&d, &id, "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "50000" || quota == "50000 100000", "{quota}");
}

pub(crate) fn cpu_shares_and_sets_are_written() {
    let d = Daemon::start();
    d.busybox();
    let id =
        d.berth(&["run", "-d", "--cpu-shares", "512", "--cpuset-cpus", "0", "busybox", "sleep", "100"]).ok();
    let shares = limit(&d, &id, "cpu.shares", "cpu.weight");
    assert!(shares == "512" || shares == "20" || shares == "59", "{shares}");
    assert_eq!(limit(&d, &id, "cpuset.cpus", "cpuset.cpus"), "0");
}

pub(crate) fn update_changes_a_live_limit() {
    let d = Daemon::start();
    d.busybox();
    let id =
        d.berth(&["run", "-d", "--memory", "32m", "--memory-swap", "64m", "busybox", "sleep", "100"]).ok();
    assert_eq!(limit(&d, &id, "memory.limit_in_bytes", "memory.max"), (32 << 20).to_string());
    assert_eq!(d.berth(&["update", "--memory", "48m", "--pids-limit", "77", &id]).ok(), id);
    assert_eq!(limit(&d, &id, "memory.limit_in_bytes", "memory.max"), (48 << 20).to_string());
    assert_eq!(limit(&d, &id, "pids.max", "pids.max"), "77");
    assert_eq!(d.berth(&["inspect", "-f", "{{.HostConfig.Memory}}", &id]).ok(), (48 << 20).to_string());
}

pub(crate) fn nonsense_is_refused() {
    let d = Daemon::start();
    d.busybox();
    for (flag, value, word) in [
        ("--memory", "1k", "6MB"),
        ("--memory", "lots", "invalid"),
        ("--memory-swap", "5m", "memory"),
        ("--cpus", "-1", "cpus"),
        ("--cpus", "5000", "CPUs"),
        ("--cpuset-cpus", "900", "cpu"),
        ("--cpuset-cpus", "a", "cpuset"),
    ] {
        let said = d.berth(&["run", "--rm", flag, value, "busybox", "true"]);
        assert_eq!(said.code, 125, "{flag} {value}: {}", said.err);
        assert!(said.err.to_lowercase().contains(&word.to_lowercase()), "{flag} {value}: {}", said.err);
    }
    assert_eq!(d.berth(&["ps", "-aq"]).ok(), "", "nothing half-made");
}

pub(crate) fn v2_files_hold_the_limits() {
    let d = Daemon::start();
    d.busybox();
    let id = d
        .berth(&[
            "run",
            "-d",
            "--memory",
            "32m",
            "--memory-swap",
            "48m",
            "--memory-reservation",
            "16m",
            "--pids-limit",
            "9",
            "busybox",
            "sleep",
            "100",
        ])
        .ok();
    let read = |file: &str| {
        fs::read_to_string(format!("/sys/fs/cgroup/{}/{id}/{file}", d.mark()))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    assert_eq!(read("memory.max"), (32 << 20).to_string());
    assert_eq!(read("memory.swap.max"), (16 << 20).to_string());
    assert_eq!(read("memory.low"), (16 << 20).to_string());
    assert_eq!(read("pids.max"), "9");
    d.berth(&["pause", &id]).ok();
    wait_for("the freezer", || read("cgroup.events").contains("frozen 1"));
}

/// A child that is born into a frozen cgroup does not run; the supervisor must not wait for it.
pub(crate) fn frozen_cgroups_hold_nobody_up() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["run", "-d", "--name", "other", "busybox", "sleep", "1000"]).ok();
    let freeze = |word: &str| {
        std::fs::write(format!("/sys/fs/cgroup/{}/cgroup.freeze", d.mark()), word).expect("freeze");
    };
    freeze("1");
    let mut late =
        d.command(&["run", "--name", "late", "busybox", "echo", "at last"]).spawn().expect("berth run");
    std::thread::sleep(testkit::slow(std::time::Duration::from_millis(500)));
    d.berth(&["kill", "other"]).ok();
    assert_eq!(d.berth(&["wait", "other"]).ok(), "137");
    assert!(late.try_wait().expect("berth run").is_none(), "it ran while it was frozen");
    freeze("0");
    assert!(late.wait().expect("berth run").success());
    assert_eq!(d.berth(&["logs", "late"]).ok(), "at last");
}
