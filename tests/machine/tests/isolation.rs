//! The walls of a container, as the kernel shows them from inside and outside.

use testkit::Daemon;

/// Namespaces of a default container. The user namespace is the host's unless asked for.
const OWN: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "uts"];

fn namespaces_inside(d: &Daemon, flags: &[&str]) -> Vec<(String, String)> {
    let words = [
        &["run", "--rm"],
        flags,
        &[
            "busybox",
            "sh",
            "-c",
            "for n in cgroup ipc mnt net pid time user uts; do echo $n $(readlink /proc/self/ns/$n); done",
        ],
    ]
    .concat();
    let text = d.berth(&words).ok();
    text.lines().filter_map(|l| l.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn is_host(kind: &str, id: &str) -> bool {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy() == id
}

pub(crate) fn every_namespace_is_its_own() {
    let d = Daemon::start();
    d.busybox();
    for (kind, id) in namespaces_inside(&d, &[]) {
        assert_eq!(is_host(&kind, &id), !OWN.contains(&kind.as_str()), "{kind} {id}");
    }
    let processes = d.berth(&["run", "--rm", "busybox", "sh", "-c", "echo /proc/[0-9]*"]).ok();
    assert!(processes.split(' ').count() <= 2, "foreign processes: {processes}");
}

fn status(d: &Daemon, flags: &[&str], field: &str) -> String {
    let pattern = format!("^{field}:");
    let words = [&["run", "--rm"], flags, &["busybox", "grep", &pattern, "/proc/self/status"]].concat();
    d.berth(&words).ok().split_whitespace().nth(1).unwrap_or_default().to_owned()
}

pub(crate) fn default_capabilities() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(status(&d, &[], "CapEff"), "00000000a80425fb", "Docker's fourteen");
    assert_eq!(status(&d, &[], "CapBnd"), "00000000a80425fb");
    assert_eq!(status(&d, &[], "CapInh"), "0000000000000000", "CVE-2022-24769");
    assert_eq!(status(&d, &[], "CapAmb"), "0000000000000000");
    assert_eq!(status(&d, &["-u", "1000"], "CapEff"), "0000000000000000");
    assert_eq!(status(&d, &["-u", "1000"], "CapBnd"), "00000000a80425fb");
}

pub(crate) fn capabilities_added_and_dropped() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(status(&d, &["--cap-drop", "ALL"], "CapEff"), "0000000000000000");
    assert_eq!(status(&d, &["--cap-drop", "all", "--cap-add", "chown"], "CapEff"), "0000000000000001");
    assert_eq!(status(&d, &["--cap-add", "CAP_SYS_ADMIN"], "CapEff"), "00000000a82425fb");
    let bad = d.berth(&["run", "--rm", "--cap-add", "FLY", "busybox", "true"]);
    assert_eq!(bad.code, 125);
    assert!(bad.err.contains("FLY"), "{}", bad.err);
}

pub(crate) fn seccomp_is_on() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(status(&d, &[], "Seccomp"), "2");
    assert_eq!(status(&d, &["--security-opt", "seccomp=unconfined"], "Seccomp"), "0");
    let unshare = d.berth(&["run", "--rm", "busybox", "unshare", "-U", "true"]);
    assert_ne!(unshare.code, 0, "unshare without CAP_SYS_ADMIN is refused by the default profile");
    let file = d.directory().join("profile.json");
    std::fs::write(&file, r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}"#).unwrap();
    let option = format!("seccomp={}", file.display());
    let said = d.berth(&["run", "--rm", "--security-opt", &option, "busybox", "mkdir", "/x"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("Permission denied"), "{}", said.err);
}

fn is_masked(d: &Daemon, flags: &[&str]) {
    let script = "for f in /proc/keys /proc/timer_list /proc/interrupts; do cat $f | wc -c; done; \
        ls -A /proc/acpi /sys/firmware | grep -v -e : -e ^$ | wc -l; \
        for f in /proc/acpi/x /sys/firmware/x; do touch $f 2> /dev/null || echo no; done; \
        for f in /proc/sys/kernel/domainname /sys/fs/cgroup/x /sys/x; do \
        touch $f 2>&1 | grep -o Read-only; done";
    let words = [&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat();
    let text = d.berth(&words).ok();
    let wanted = [["0"; 4].as_slice(), &["no"; 2], &["Read-only"; 3]].concat();
    assert_eq!(text.lines().collect::<Vec<_>>(), wanted, "{flags:?}: {text}");
}

pub(crate) fn masked_and_read_only_paths() {
    let d = Daemon::start();
    d.busybox();
    is_masked(&d, &[]);
    is_masked(&d, &["--network", "none"]);
    is_masked(&d, &["--network", "host"]);
    // Whoever may mount can make the cover writable, but there is nothing to make in it.
    let script = "mount -o remount,bind,rw /sys/firmware && touch /sys/firmware/x";
    let made = d.berth(&["run", "--rm", "--cap-add", "SYS_ADMIN", "busybox", "sh", "-c", script]);
    assert!(made.err.contains("touch: /sys/firmware/x"), "{made:?}");
}

pub(crate) fn masked_paths_in_a_user_namespace() {
    let d = Daemon::start();
    d.busybox();
    is_masked(&d, &["--userns", "private"]);
}

/// Each file system of its own costs a container memory, and all its neighbours some (the kernel notes for every memory cgroup
/// what it could give back of every file system).
pub(crate) fn file_systems_are_few() {
    let d = Daemon::start();
    d.busybox();
    let text = d.berth(&["run", "--rm", "busybox", "cat", "/proc/self/mountinfo"]).ok();
    // Whole file systems; a piece of one (a file of the data root, the host's null device) is another's.
    let mut own: Vec<&str> = text
        .lines()
        .filter(|line| line.split(' ').nth(3) == Some("/"))
        .filter_map(|line| line.split(" - ").nth(1)?.split(' ').next())
        .filter(|kind| !kind.starts_with("cgroup"))
        .collect();
    own.sort_unstable();
    let mut wanted = vec!["devpts", "mqueue", "overlay", "proc", "sysfs", "tmpfs", "tmpfs"];
    if !std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        wanted.push("tmpfs");
    }
    assert_eq!(own, wanted, "{text}");
}

pub(crate) fn no_descriptor_leaks() {
    let d = Daemon::start();
    d.busybox();
    // ls itself opens the directory as descriptor 3.
    assert_eq!(
        d.berth(&["run", "--rm", "busybox", "ls", "/proc/self/fd"]).ok(),
        "0\n1\n2\n3",
        "CVE-2024-21626"
    );
    let id = d.berth(&["run", "-d", "busybox", "sleep", "1000"]).ok();
    assert_eq!(d.berth(&["exec", &id, "ls", "/proc/self/fd"]).ok(), "0\n1\n2\n3");
    assert_eq!(d.berth(&["exec", &id, "ls", "/proc/1/fd"]).ok(), "0\n1\n2");
}

/// CVE-2019-5736: a container that has the runtime's own program executed and opened for writing.
pub(crate) fn runtime_is_out_of_reach() {
    let d = Daemon::start();
    d.busybox();
    let program = std::env::var("BERTH_RUNTIME").unwrap_or_else(|_| "berth-runtime".into());
    let before = std::fs::read(&program).unwrap();
    let script = "while :; do for p in /proc/[0-9]*; do (echo x > $p/exe) 2> /dev/null; done; done";
    let id = d.berth(&["run", "-d", "busybox", "sh", "-c", script]).ok();
    for _ in 0..20 {
        d.berth(&["exec", &id, "/proc/self/exe"]);
    }
    assert!(std::fs::read(&program).unwrap() == before, "the program on disk has changed");
    let supervisor = d.supervisor().expect("a supervisor");
    let exe = std::fs::read_link(format!("/proc/{supervisor}/exe")).unwrap();
    assert!(exe.to_string_lossy().contains("memfd:"), "it runs from {}", exe.display());
}

pub(crate) fn no_new_privileges() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(status(&d, &[], "NoNewPrivs"), "0");
    assert_eq!(status(&d, &["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
    assert_eq!(status(&d, &["--security-opt", "no-new-privileges=true"], "NoNewPrivs"), "1");
}

pub(crate) fn privileged() {
    let d = Daemon::start();
    d.busybox();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|l| l.strip_prefix("CapEff:\t")).unwrap().to_owned();
    assert_eq!(status(&d, &["--privileged"], "CapEff"), own, "all this daemon has");
    assert_eq!(status(&d, &["--privileged"], "Seccomp"), "0");
    let said = d
        .berth(&[
            "run",
            "--rm",
            "--privileged",
            "busybox",
            "sh",
            "-c",
            "mount -t tmpfs x /mnt || mkdir /mnt && mount -t tmpfs x /mnt && echo mounted; ls /dev | wc -l",
        ])
        .ok();
    assert!(said.contains("mounted"), "{said}");
}

pub(crate) fn host_namespaces() {
    let d = Daemon::start();
    d.busybox();
    let inside =
        namespaces_inside(&d, &["--network", "host", "--uts", "host", "--ipc", "host", "--pid", "host"]);
    for (kind, id) in inside {
        let shared = matches!(kind.as_str(), "net" | "uts" | "ipc" | "pid" | "user");
        assert_eq!(is_host(&kind, &id), shared, "{kind}");
    }
}

pub(crate) fn user_namespace() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&["run", "--rm", "--userns", "private", "busybox", "sh", "-c",
        "id -u; cat /proc/self/uid_map; touch /made && stat -c %u /made /bin; readlink /proc/self/ns/user"]).ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "0", "{said}");
    let map: Vec<&str> = lines[1].split_whitespace().collect();
    assert_ne!(map[1], "0", "root inside is not root outside: {said}");
    assert_eq!(lines[2..4], ["0", "0"], "files keep their owners: {said}");
    assert!(!is_host("user", lines[4]));
}

pub(crate) fn devices_are_denied() {
    let d = Daemon::start();
    d.busybox();
    let said = d.berth(&["run", "--rm", "busybox", "sh", "-c", "mknod /tmp/m b 254 0; head -c1 /tmp/m; echo; head -c4 /dev/zero | wc -c; echo x > /dev/null && echo ok"]);
    assert!(said.err.contains("Operation not permitted"), "{}", said.err);
    assert!(said.out.contains("4\nok"), "{}", said.out);
    let given = d
        .berth(&[
            "run",
            "--rm",
            "--device",
            "/dev/cpu_dma_latency:/dev/mine:r",
            "busybox",
            "sh",
            "-c",
            "true < /dev/mine && echo 1; (echo x > /dev/mine) 2>&1 | grep -c 'not permitted'",
        ])
        .ok();
    assert_eq!(given, "1\n1", "readable, not writable");
}

pub(crate) fn sysctls() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(
        d.berth(&[
            "run",
            "--rm",
            "--sysctl",
            "net.ipv4.ip_default_ttl=77",
            "busybox",
            "cat",
            "/proc/sys/net/ipv4/ip_default_ttl"
        ])
        .ok(),
        "77"
    );
    assert_eq!(
        d.berth(&[
            "run",
            "--rm",
            "--sysctl",
            "kernel.shm_rmid_forced=1",
            "busybox",
            "cat",
            "/proc/sys/kernel/shm_rmid_forced"
        ])
        .ok(),
        "1"
    );
    let host = d.berth(&["run", "--rm", "--sysctl", "kernel.panic=1", "busybox", "true"]);
    assert_ne!(host.code, 0, "a sysctl of the whole host is refused");
    assert!(host.err.contains("kernel.panic"), "{}", host.err);
}

pub(crate) fn ulimits() {
    let d = Daemon::start();
    d.busybox();
    assert_eq!(
        d.berth(&[
            "run",
            "--rm",
            "--ulimit",
            "nofile=100:200",
            "busybox",
            "sh",
            "-c",
            "ulimit -n; ulimit -Hn"
        ])
        .ok(),
        "100\n200"
    );
    let bad = d.berth(&["run", "--rm", "--ulimit", "nofile=200:100", "busybox", "true"]);
    assert_eq!(bad.code, 125, "{}", bad.err);
}

/// What the supervisor holds open for other containers is no burden for this one, in memory or in time.
pub(crate) fn descriptor_table_is_small() {
    let d = Daemon::start();
    d.busybox();
    let ids: Vec<String> =
        (0..30).map(|_| d.berth(&["run", "-d", "busybox", "sleep", "1000"]).ok()).collect();
    let supervisor = d.supervisor().expect("a supervisor");
    let held = std::fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().count();
    assert!(held > 64, "the supervisor holds only {held} descriptors: the test shows nothing");
    let last = ids.last().unwrap();
    let size =
        |process: &str| d.berth(&["exec", last, "grep", "FDSize", &format!("/proc/{process}/status")]).ok();
    assert_eq!(size("1"), "FDSize:\t64");
    assert_eq!(size("self"), "FDSize:\t64");
}
