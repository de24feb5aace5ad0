//! podman, with conmon between it and the runtime.

use testkit::{processes_naming, wait_for};

use super::caller::{self, Caller};

/// A podman with everything of its own. Its default limits are above what a machine without `CAP_SYS_RESOURCE` may set.
pub(crate) fn podman() -> Caller {
    let mut caller = Caller::new();
    let configuration = caller.path("containers.conf");
    std::fs::write(
        &configuration,
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n",
    )
    .unwrap();
    caller.environment = vec![("CONTAINERS_CONF".into(), configuration)];
    let (graph, run, tmp, runtime) =
        (caller.path("graph"), caller.path("run"), caller.path("tmp"), caller::runtime());
    let head = [
        "podman",
        "--root",
        &graph,
        "--runroot",
        &run,
        "--tmpdir",
        &tmp,
        "--runtime",
        &runtime,
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
    ];
    caller.head = head.iter().map(|w| (*w).to_owned()).collect();
    caller.ok(&["import", "-q", &caller.path("busybox.tar"), "box"]);
    caller
}

/// Words before the image of a container that is alone.
fn alone(p: &Caller) -> [String; 4] {
    ["--network".into(), "none".into(), "--cgroup-parent".into(), format!("/{}", p.mark)]
}

pub(crate) fn run(p: &Caller, options: &[&str], rest: &[&str]) -> testkit::Ran {
    let alone = alone(p);
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    p.run(&[&["run"], alone.as_slice(), options, &["box"], rest].concat())
}

/// What a container says, from its log: an attached podman can miss the words of one that ends at once. It is not removed: podman
/// 4.3 at times leaves the /dev/shm of one with a user namespace mounted, with whichever runtime, and then cannot.
pub(crate) fn said(p: &Caller, name: &str, options: &[&str], rest: &[&str]) -> String {
    run(p, &[&["--name", name], options].concat(), rest).ok();
    p.ok(&["logs", name])
}

/// Removes a container that has ended. conmon has another podman clean up after it, and two at once get into each other's way.
pub(crate) fn remove(p: &Caller, name: &str) {
    wait_for("conmon and its podman to be gone", || processes_naming(&p.path("graph")).is_empty());
    p.ok(&["rm", name]);
}

pub(crate) fn runs_stops_and_executes() {
    let p = podman();
    assert_eq!(run(&p, &["--rm"], &["echo", "hello"]).ok(), "hello");
    assert_eq!(run(&p, &["--rm", "-u", "1000"], &["sh", "-c", "id -u; exit 7"]).code, 7);
    assert_eq!(run(&p, &["--rm", "-t"], &["tty"]).ok(), "/dev/pts/0");
    for (program, code) in [("absent", 127), ("/etc/passwd", 126)] {
        let said = run(&p, &["--rm"], &[program]);
        assert_eq!(said.code, code, "{}", said.err);
    }
    let script = "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.05; done";
    run(&p, &["-d", "--name", "c1"], &["sh", "-c", script]).ok();
    wait_for("both streams", || {
        let said = p.run(&["logs", "c1"]);
        said.out == "out\n" && said.err == "err\n"
    });
    assert_eq!(p.ok(&["exec", "-e", "A=b", "-w", "/tmp", "c1", "sh", "-c", "echo $A; pwd"]), "b\n/tmp");
    assert_eq!(p.run(&["exec", "c1", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(p.run(&["exec", "c1", "absent"]).code, 127);
    assert_eq!(p.ok(&["exec", "-t", "c1", "tty"]), "/dev/pts/0");
    assert!(p.ok(&["top", "c1", "pid", "args"]).contains("1           sh -c"));
    p.ok(&["pause", "c1"]);
    assert_eq!(p.ok(&["ps", "-a", "--format", "{{.Status}}"]), "Paused");
    p.ok(&["unpause", "c1"]);
    p.ok(&["stop", "c1"]);
    assert_eq!(p.ok(&["inspect", "c1", "--format", "{{.State.Status}} {{.State.ExitCode}}"]), "exited 3");
    p.ok(&["start", "c1"]);
    p.ok(&["kill", "c1"]);
    assert_eq!(p.ok(&["wait", "c1"]), "137");
    remove(&p, "c1");
    assert_eq!(p.ok(&["ps", "-aq"]), "");
}

pub(crate) fn users_limits_and_descriptors() {
    let p = podman();
    let map = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"];
    let script = "id -u; cat /proc/self/uid_map; touch /x && stat -c %u /x";
    let user = said(&p, "users", &map, &["sh", "-c", script]);
    assert_eq!(user.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "1000", "0"]);
    let script =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true";
    assert_eq!(said(&p, "memory", &["--memory", "64m"], &["sh", "-c", script]), "67108864");
    let script = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | cut -f2";
    let options = ["--cap-drop", "all", "--cap-add", "chown", "--security-opt", "no-new-privileges"];
    assert_eq!(said(&p, "capabilities", &options, &["sh", "-c", script]), "0000000000000001\n1\n2");
    // Descriptor 3 is the caller's, all the way through podman, conmon and the runtime.
    let alone = alone(&p);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec 3< /etc/hostname; exec \"$@\"", "sh"]).args(&p.head).arg("run").args(alone);
    command.args(["--rm", "--preserve-fds", "1", "box", "cat", "/proc/self/fd/3"]);
    let output =
        command.envs(p.environment.iter().cloned()).stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), std::fs::read_to_string("/etc/hostname").unwrap());
}

/// Containers that share namespaces, the users' among them.
pub(crate) fn pods() {
    let p = podman();
    let parent = format!("/{}", p.mark);
    p.ok(&[
        "pod",
        "create",
        "--name",
        "pod1",
        "--network",
        "none",
        "--infra-image",
        "box",
        "--infra-command",
        "sleep 1000",
        "--uidmap",
        "0:100000:1000",
        "--gidmap",
        "0:100000:1000",
        "--cgroup-parent",
        &parent,
    ]);
    let names = "for n in user net ipc uts; do readlink /proc/self/ns/$n; done; hostname";
    p.ok(&["run", "-d", "--pod", "pod1", "--name", "in1", "box", "sleep", "1000"]);
    let first = p.ok(&["exec", "in1", "sh", "-c", names]);
    assert!(first.ends_with("\npod1"), "{first}");
    assert_eq!(p.ok(&["run", "--rm", "--pod", "pod1", "box", "sh", "-c", names]), first);
    assert_eq!(p.ok(&["run", "--rm", "--pod", "pod1", "box", "sh", "-c", "touch /x && stat -c %u /x"]), "0");
    assert_eq!(p.ok(&["pod", "ps", "--format", "{{.Status}} {{.NumberOfContainers}}"]), "Running 2");
    p.ok(&["pod", "stop", "-t", "0", "pod1"]);
    // On hosts without every v1 hierarchy podman complains of its own directories here, whatever the runtime.
    p.run(&["pod", "rm", "-f", "-t", "0", "pod1"]);
    assert_eq!(p.ok(&["ps", "-aq"]), "");
}

pub(crate) fn hooks() {
    let p = podman();
    let (place, log) = (p.path("hooks.d"), p.path("hooked"));
    std::fs::create_dir(&place).unwrap();
    for stage in ["createRuntime", "createContainer", "poststart", "poststop"] {
        let script = format!("cat > /dev/null; echo {stage} >> {log}");
        let hook = serde_json::json!({"version": "1.0.0", "when": {"always": true}, "stages": [stage],
            "hook": {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}});
        std::fs::write(format!("{place}/{stage}.json"), hook.to_string()).unwrap();
    }
    let alone = alone(&p);
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    p.ok(&[&["--hooks-dir", &place, "run", "--rm"], alone.as_slice(), &["box", "true"]].concat());
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(said, "createRuntime\ncreateContainer\npoststart\npoststop\n");
}
