//! The ordinary commands of podman that ask the runtime for more than a run: each with runc's answer.

use testkit::wait_for;

use super::podman::{podman, remove, run, said};

/// Commands on a container that runs.
pub(crate) fn commands_on_a_running_one() {
    let p = podman();
    let script = "echo out; trap 'exit 3' TERM; while :; do sleep 0.05; done";
    run(&p, &["-d", "--name", "c1", "--init"], &["sh", "-c", script]).ok();
    assert_eq!(p.ok(&["exec", "c1", "cat", "/proc/1/comm"]), "podman-init");
    assert_eq!(p.ok(&["exec", "-u", "alice", "c1", "id", "-un"]), "alice");
    assert_eq!(p.ok(&["exec", "-u", "1000:50", "c1", "sh", "-c", "id -u; id -g"]), "1000\n50");
    let everything = p.ok(&["exec", "--privileged", "c1", "grep", "CapBnd", "/proc/self/status"]);
    assert_ne!(everything, p.ok(&["exec", "c1", "grep", "CapBnd", "/proc/self/status"]));
    p.ok(&["exec", "-d", "c1", "touch", "/tmp/done"]);
    wait_for("the exec in the background", || p.run(&["exec", "c1", "ls", "/tmp/done"]).code == 0);
    std::fs::write(p.path("f"), "hello\n").unwrap();
    p.ok(&["cp", &p.path("f"), "c1:/tmp/f"]);
    assert_eq!(p.ok(&["exec", "c1", "cat", "/tmp/f"]), "hello");
    p.ok(&["cp", "c1:/etc/passwd", &p.path("passwd")]);
    assert!(std::fs::read_to_string(p.path("passwd")).unwrap().starts_with("root:"));
    assert_eq!(p.ok(&["stats", "--no-stream", "--format", "{{.Name}}", "c1"]), "c1");
    assert_eq!(p.ok(&["logs", "c1"]), "out");
    assert!(p.ok(&["diff", "c1"]).contains("A /tmp/f"));
    let update = ["update", "--memory", "64m", "--cpus", "0.5", "c1"];
    p.ok(&update);
    let limits =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true";
    assert_eq!(p.ok(&["exec", "c1", "sh", "-c", limits]), "67108864");
    p.ok(&["rename", "c1", "c2"]);
    p.ok(&["restart", "-t", "0", "c2"]);
    assert_eq!(p.ok(&["ps", "--format", "{{.Names}}"]), "c2");
    p.ok(&["kill", "-s", "KILL", "c2"]);
    wait_for("its end", || p.ok(&["inspect", "c2", "--format", "{{.State.Status}}"]) == "exited");
    remove(&p, "c2");
}

pub(crate) fn health_and_refusals() {
    let p = podman();
    let health = ["-d", "--name", "h1", "--health-cmd", "test -e /tmp/ok", "--health-interval", "disable"];
    run(&p, &health, &["sleep", "1000"]).ok();
    assert_eq!(p.run(&["healthcheck", "run", "h1"]).code, 1);
    p.ok(&["exec", "h1", "touch", "/tmp/ok"]);
    p.ok(&["healthcheck", "run", "h1"]);
    assert_eq!(p.ok(&["inspect", "h1", "--format", "{{.State.Health.Status}}"]), "healthy");
    p.ok(&["pause", "h1"]);
    assert!(
        p.run(&["exec", "h1", "true"]).err.contains("can only create exec sessions on running containers")
    );
    p.ok(&["unpause", "h1"]);
    let said = p.run(&["exec", "-w", "/absent", "h1", "true"]);
    assert!(matches!(said.code, 126 | 127), "{} {}", said.code, said.err);
    p.ok(&["kill", "h1"]);
    remove(&p, "h1");
}

/// Options that become parts of the document, one container each.
pub(crate) fn options_of_run() {
    let p = podman();
    let table: &[(&[&str], &str, &str)] = &[
        (&["--pid", "host"], "cat /proc/1/comm", &std::fs::read_to_string("/proc/1/comm").unwrap()),
        (&["--uts", "host"], "hostname", &std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap()),
        (&["--cgroupns", "private"], "head -1 /proc/self/cgroup | cut -d: -f3", "/"),
        (&["--systemd", "always"], "grep -c ' /run tmpfs' /proc/mounts", "1"),
        (&["--read-only"], "touch /x 2>&1 | grep -c Read-only", "1"),
        (&["--tmpfs", "/x:size=1m"], "stat -c %a /x", "1777"),
        (&["--mount", "type=bind,src=/etc,dst=/x,ro"], "touch /x/y 2>&1 | grep -c Read-only", "1"),
        (&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status | cut -f2", "0"),
        (&["--security-opt", "mask=/proc/version"], "cat /proc/version", ""),
        (&["--security-opt", "unmask=all"], "grep -c ' /proc/' /proc/mounts", "0"),
        (&["--security-opt", "proc-opts=hidepid=2"], "grep -c '^proc /proc .*hidepid' /proc/mounts", "1"),
        (&["--device", "/dev/fuse"], "stat -c %t:%T /dev/fuse", "a:e5"),
        (&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward", "1"),
        (&["--oom-score-adj", "100"], "cat /proc/self/oom_score_adj", "100"),
        (&["--ulimit", "nofile=100:200", "--ulimit", "nproc=512:512"], "ulimit -n; ulimit -Hn", "100\n200"),
        (&["--umask", "0077"], "umask", "0077"),
        (&["--group-add", "staff"], "id -G | tr ' ' '\\n' | grep -c '^50$'", "1"),
        (&["--shm-size", "1m"], "grep /dev/shm /proc/mounts | grep -c size=1024k", "1"),
        (&["--userns", "host"], "cat /proc/self/uid_map | tr -s ' '", "0 0 4294967295"),
        (&["--cap-add", "all", "--uidmap", "0:100000:1000"], "touch /x && stat -c %u /x", "0"),
        (&["--env", "A=b", "--hostname", "hh", "--workdir", "/tmp"], "echo $A; hostname; pwd", "b\nhh\n/tmp"),
    ];
    for (index, (options, script, wanted)) in table.iter().enumerate() {
        let heard = said(&p, &format!("o{index}"), options, &["sh", "-c", &format!("{script}; true")]);
        assert_eq!(heard.trim().trim_start_matches(' '), wanted.trim(), "{options:?}");
    }
    let privileged = said(
        &p,
        "privileged",
        &["--privileged", "--ulimit", "nproc=512:512", "--ulimit", "nofile=512:512"],
        &["sh", "-c", "ls /dev | wc -l"],
    );
    assert!(privileged.trim().parse::<u32>().unwrap() > 30, "{privileged}");
}

/// A pod from a document of Kubernetes', with nothing to be pulled.
pub(crate) fn kube() {
    let p = podman();
    let document = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kp"},
        "spec": {"hostNetwork": true, "restartPolicy": "Never", "containers": [{
            "name": "main", "image": "localhost/box", "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", "echo from kube; exec /bin/sleep 1000"],
            "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true},
            "resources": {"limits": {"memory": "64Mi"}},
        }]},
    });
    let file = p.path("pod.yaml");
    std::fs::write(&file, document.to_string()).unwrap();
    p.ok(&["import", "-q", "-c", "CMD [\"sleep\",\"1000\"]", &p.path("busybox.tar"), "infra"]);
    let conf = p.path("containers.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, format!("{text}[engine]\ninfra_image = \"localhost/infra\"\n")).unwrap();
    let played = p.run(&["play", "kube", &file]);
    assert_eq!(played.code, 0, "{}{}", played.out, played.err);
    wait_for("its word", || p.run(&["logs", "kp-main"]).out.contains("from kube"));
    assert_eq!(p.ok(&["exec", "kp-main", "/bin/id", "-u"]), "1000");
    p.run(&["pod", "rm", "-f", "-t", "0", "kp"]);
    assert_eq!(p.ok(&["ps", "-aq"]), "");
}

/// A terminal that nobody watches, and one beside it that somebody does.
pub(crate) fn terminals() {
    let p = podman();
    run(&p, &["-dt", "--name", "t1"], &["sh", "-c", "tty; sleep 1000"]).ok();
    wait_for("its terminal", || p.run(&["logs", "t1"]).out.contains("/dev/pts/0"));
    assert!(p.on_terminal(&["exec", "-it", "t1", "tty"]).contains("/dev/pts/1"));
    p.ok(&["kill", "t1"]);
    remove(&p, "t1");
}
