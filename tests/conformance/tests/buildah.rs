//! buildah, which starts the runtime itself.

use super::caller::{self, Caller};

fn buildah() -> Caller {
    let mut caller = Caller::new();
    let (graph, run) = (caller.path("graph"), caller.path("run"));
    caller.head =
        ["buildah", "--root", &graph, "--runroot", &run, "--storage-driver", "vfs"].map(str::to_owned).into();
    let configuration = caller.path("containers.conf");
    std::fs::write(
        &configuration,
        "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n",
    )
    .unwrap();
    caller.environment =
        vec![("CONTAINERS_CONF".into(), configuration), ("TMPDIR".into(), caller.path("tmp"))];
    std::fs::create_dir(caller.path("tmp")).unwrap();
    caller
}

/// A working container with the machine's busybox in it.
fn filled(b: &Caller, options: &[&str]) -> String {
    let name = b.ok(&[&["from"], options, &["scratch"]].concat());
    b.ok(&["add", &name, &b.path("busybox.tar"), "/"]);
    b.ok(&["config", "--env", "A=b", "--cmd", "sh", &name]);
    name
}

/// `buildah run` in it.
fn run(b: &Caller, options: &[&str], name: &str, words: &[&str]) -> testkit::Ran {
    let runtime = caller::runtime();
    let head = ["run", "--isolation", "oci", "--runtime", &runtime];
    b.run(&[&head, options, &[name, "--"], words].concat())
}

pub(crate) fn runs() {
    let b = buildah();
    let name = filled(&b, &[]);
    let said = run(
        &b,
        &[],
        &name,
        &["sh", "-c", "id -u; echo $A; grep -E 'CapEff|Seccomp:' /proc/self/status | cut -f2"],
    );
    assert_eq!((said.out.as_str(), said.err.as_str()), ("0\nb\n00000000a80425fb\n2\n", ""));
    assert_eq!(run(&b, &[], &name, &["sh", "-c", "exit 7"]).code, 7);
    let said = run(&b, &[], &name, &["absent"]);
    assert!(said.code != 0 && said.err.contains("executable file not found in $PATH"), "{}", said.err);
    let heard = b.on_terminal(&[
        "run",
        "--isolation",
        "oci",
        "--runtime",
        &caller::runtime(),
        "--tty",
        &name,
        "--",
        "tty",
    ]);
    assert!(heard.contains("/dev/pts/0"), "{heard}");
    let table: &[(&[&str], &str, &str)] = &[
        (&["--network", "none"], "ls /sys/class/net", "lo"),
        (&["--network", "host"], "readlink /proc/self/ns/net", &own("net")),
        (&["--ipc", "host", "--uts", "host"], "readlink /proc/self/ns/ipc", &own("ipc")),
        (&["--workingdir", "/tmp", "--hostname", "hh"], "pwd; hostname", "/tmp\nhh"),
        (&["--cap-drop", "all"], "grep CapEff /proc/self/status | cut -f2", "0000000000000000"),
        (&["--volume", "/etc:/x:ro"], "touch /x/y 2>&1 | grep -c Read-only", "1"),
        (&["--mount", "type=tmpfs,dst=/x"], "touch /x/y && ls /x", "y"),
        (&["--user", "alice"], "id -un", "alice"),
        (&["--no-pivot"], "ls /bin/sh", "/bin/sh"),
    ];
    for (options, script, wanted) in table {
        let said = run(&b, options, &name, &["sh", "-c", script]);
        assert_eq!(said.out.trim(), *wanted, "{options:?} {}", said.err);
    }
}

fn own(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string()
}

pub(crate) fn runs_in_user_namespaces() {
    let b = buildah();
    let maps = ["--userns-uid-map", "0:100000:2000", "--userns-gid-map", "0:100000:2000"];
    let name = filled(&b, &maps);
    let script = "id -u; cat /proc/self/uid_map; touch /made; stat -c %u /made";
    let said = run(&b, &[], &name, &["sh", "-c", script]).ok();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "2000", "0"]);
}

pub(crate) fn builds() {
    let b = buildah();
    let base = filled(&b, &[]);
    // Mount points that the first run makes: a build in a user namespace may not make any in the image's root.
    run(&b, &[], &base, &["true"]).ok();
    b.ok(&["commit", "-q", &base, "base"]);
    let context = b.path("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(format!("{context}/f"), "hi\n").unwrap();
    let file = "FROM localhost/base\nCOPY f /f\nRUN echo built > /b && cat /f\n\
        RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c touch /t/x /c/y && ls /t /c\nUSER alice\nRUN id -un\n";
    std::fs::write(format!("{context}/Dockerfile"), file).unwrap();
    let (runtime, parent, cache) =
        (caller::runtime(), format!("/{}", b.mark), format!("TMPDIR={}", b.path("tmp")));
    let _ = cache;
    let build = |options: &[&str]| {
        let head = ["build", "--isolation", "oci", "--runtime", &runtime, "--no-cache"];
        b.run(&[&head, options, &["-t", "one", &context]].concat())
    };
    let said = build(&[]);
    assert!(
        said.code == 0 && said.out.contains("\nhi\n") && said.out.contains("\nalice\n"),
        "{}{}",
        said.out,
        said.err
    );
    let limits = [
        "--memory",
        "64m",
        "--cpu-shares",
        "512",
        "--ulimit",
        "nofile=100:200",
        "--cgroup-parent",
        &parent,
        "--shm-size",
        "1m",
        "--network",
        "none",
    ];
    let said = build(&limits);
    assert_eq!(said.code, 0, "{}", said.err);
    let said = build(&[
        "--runtime-flag",
        "debug",
        "--runtime-flag",
        "log-format=json",
        "--runtime-flag",
        &format!("log={}", b.path("rt.log")),
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    std::fs::write(format!("{context}/Dockerfile"), format!("{file}RUN exit 9\n")).unwrap();
    assert_eq!(build(&[]).code, 9);
    std::fs::write(format!("{context}/Dockerfile"), "FROM localhost/base\nRUN cat /proc/self/uid_map\n")
        .unwrap();
    let said = build(&["--userns-uid-map", "0:100000:2000", "--userns-gid-map", "0:100000:2000"]);
    assert!(said.code == 0 && said.out.contains(" 100000 "), "{}{}", said.out, said.err);
}
