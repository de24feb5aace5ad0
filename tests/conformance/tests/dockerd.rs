//! Debian's dockerd, with containerd and its shim between it and the runtime.

use testkit::wait_for;

use super::caller::{self, Caller};

fn dockerd() -> Caller {
    dockerd_with(&[], &[])
}

/// `first`: what executes the daemon. `more`: options.
fn dockerd_with(first: &[&str], more: &[&str]) -> Caller {
    let mut caller = Caller::new();
    let host = format!("unix://{}", caller.path("sock"));
    let (data, exec, pid) = (caller.path("data"), caller.path("exec"), caller.path("pid"));
    let (runtime, parent) = (format!("berth={}", caller::runtime()), format!("/{}", caller.mark));
    let words = [
        "dockerd",
        "--host",
        &host,
        "--data-root",
        &data,
        "--exec-root",
        &exec,
        "--pidfile",
        &pid,
        "--bridge",
        "none",
        "--iptables=false",
        "--ip6tables=false",
        "--storage-driver",
        "vfs",
        "--cgroup-parent",
        &parent,
        "--add-runtime",
        &runtime,
        "--default-runtime",
        "berth",
    ];
    caller.head = vec!["docker".into()];
    caller.environment = vec![("DOCKER_HOST".into(), host.clone())];
    caller.serve(&[first, &words, more].concat(), &["version"]);
    caller.ok(&["import", &caller.path("busybox.tar"), "box"]);
    caller
}

fn run(d: &Caller, options: &[&str], rest: &[&str]) -> testkit::Ran {
    d.run(&[&["run", "--runtime", "berth"], options, &["box"], rest].concat())
}

pub(crate) fn runs_and_executes() {
    let d = dockerd();
    assert_eq!(run(&d, &["--rm"], &["echo", "hello"]).ok(), "hello");
    assert_eq!(run(&d, &["--rm", "-u", "1000"], &["sh", "-c", "exit 7"]).code, 7);
    assert_eq!(run(&d, &["--rm", "-t"], &["tty"]).ok(), "/dev/pts/0");
    for (program, code) in [("absent", 127), ("/etc/passwd", 126)] {
        let said = run(&d, &["--rm"], &[program]);
        assert_eq!(said.code, code, "{}", said.err);
    }
    assert_eq!(run(&d, &["--rm", "-w", "/made/here"], &["pwd"]).ok(), "/made/here");
    let script = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | cut -f2";
    let options = ["--rm", "--cap-drop", "all", "--security-opt", "no-new-privileges"];
    assert_eq!(run(&d, &options, &["sh", "-c", script]).ok(), "0000000000000000\n1\n2");
    let script = "ulimit -n; cat /proc/self/oom_score_adj; hostname; cat /proc/sys/net/ipv4/ip_forward";
    let options = [
        "--rm",
        "--ulimit",
        "nofile=100:200",
        "--oom-score-adj",
        "500",
        "--hostname",
        "hh",
        "--sysctl",
        "net.ipv4.ip_forward=1",
    ];
    assert_eq!(run(&d, &options, &["sh", "-c", script]).ok(), "100\n500\nhh\n1");
    let said = run(&d, &["--rm", "--read-only", "--tmpfs", "/t"], &["sh", "-c", "touch /t/x; touch /x"]);
    assert!(said.code == 1 && said.err.contains("Read-only file system"), "{}", said.err);
    assert_eq!(run(&d, &["--rm", "--init"], &["sh", "-c", "cat /proc/1/comm"]).ok(), "docker-init");

    run(&d, &["-d", "--name", "c1"], &["sleep", "1000"]).ok();
    assert_eq!(d.ok(&["exec", "-e", "A=b", "-w", "/tmp", "c1", "sh", "-c", "echo $A; pwd"]), "b\n/tmp");
    assert_eq!(d.run(&["exec", "c1", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(d.run(&["exec", "c1", "absent"]).code, 126);
    assert!(d.on_terminal(&["exec", "-t", "c1", "tty"]).contains("/dev/pts/0"));
    d.ok(&["exec", "-d", "c1", "touch", "/done"]);
    wait_for("the exec in the background", || d.run(&["exec", "c1", "ls", "/done"]).code == 0);
    assert!(d.ok(&["top", "c1"]).contains("sleep 1000"));
    let shared = ["--rm", "--pid", "container:c1", "--network", "container:c1"];
    assert!(run(&d, &shared, &["ps"]).ok().contains("sleep 1000"));
    d.ok(&["rm", "-f", "c1"]);
}

/// Every container in a user namespace. The daemon looks its ids up in files of the machine's, which are other ones in its mounts.
pub(crate) fn remapped_users() {
    let script = "for f in subuid subgid passwd group; do touch /etc/$f; cat /etc/$f > $0.$f; done; \
        echo dockremap:100000:65536 | tee -a $0.subuid >> $0.subgid; echo dockremap:x:990:990::/:/bin/false >> $0.passwd; \
        echo dockremap:x:990: >> $0.group; for f in subuid subgid passwd group; do mount --bind $0.$f /etc/$f; done; exec \"$@\"";
    let names = std::env::temp_dir().join(format!("{}remap", testkit::mark())).display().to_string();
    let d = dockerd_with(&["unshare", "-m", "sh", "-c", script, &names], &["--userns-remap", "dockremap"]);
    let script = "id -u; cat /proc/self/uid_map; touch /x && stat -c %u /x";
    let said = run(&d, &["--rm"], &["sh", "-c", script]).ok();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "65536", "0"]);
    run(&d, &["-d", "--name", "u1"], &["sleep", "1000"]).ok();
    assert_eq!(d.ok(&["exec", "u1", "id", "-u"]), "0");
    assert_eq!(d.ok(&["exec", "-u", "1000", "u1", "id", "-u"]), "1000");
    d.ok(&["rm", "-f", "u1"]);
    for file in ["subuid", "subgid", "passwd", "group"] {
        let _ = std::fs::remove_file(format!("{names}.{file}"));
    }
}

pub(crate) fn lives_and_ends() {
    let d = dockerd();
    let script = "echo out; trap 'exit 3' TERM; while :; do sleep 0.05; done";
    run(&d, &["-d", "--name", "c1"], &["sh", "-c", script]).ok();
    wait_for("its output", || d.run(&["logs", "c1"]).out == "out\n");
    d.ok(&["pause", "c1"]);
    assert_eq!(d.ok(&["inspect", "-f", "{{.State.Status}}", "c1"]), "paused");
    d.ok(&["unpause", "c1"]);
    d.ok(&["update", "--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "77", "c1"]);
    let limits = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us \
        /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max 2>/dev/null; true";
    let said = d.ok(&["exec", "c1", "sh", "-c", limits]);
    assert!(said.starts_with("67108864\n77"), "{said}");
    assert!(d.ok(&["stats", "--no-stream", "c1"]).contains("64MiB"));
    d.ok(&["stop", "c1"]);
    assert_eq!(d.ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c1"]), "exited 3");
    d.ok(&["start", "c1"]);
    d.ok(&["restart", "-t", "0", "c1"]);
    d.ok(&["kill", "c1"]);
    assert_eq!(d.ok(&["wait", "c1"]), "137");
    d.ok(&["rm", "c1"]);
    assert_eq!(run(&d, &["--name", "oom", "--memory", "16m"], &["tail", "/dev/zero"]).code, 137);
    assert_eq!(d.ok(&["inspect", "-f", "{{.State.OOMKilled}}", "oom"]), "true");
    run(&d, &["-d", "--name", "again", "--restart", "on-failure:2"], &["sh", "-c", "exit 4"]).ok();
    wait_for("the last attempt", || {
        d.ok(&["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "again"]) == "2 exited"
    });
    d.ok(&["rm", "-f", "oom", "again"]);
    assert_eq!(d.ok(&["ps", "-aq"]), "");
}
