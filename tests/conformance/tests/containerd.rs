//! containerd by its own small client.

use testkit::wait_for;

use super::caller::{self, Caller};

fn containerd() -> Caller {
    let mut caller = Caller::new();
    let (socket, configuration) = (caller.path("sock"), caller.path("config.toml"));
    let text = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {socket:?}\n",
        caller.path("root"),
        caller.path("state"),
    );
    std::fs::write(&configuration, text).unwrap();
    caller.head = vec!["ctr".into(), "-a".into(), socket];
    caller.serve(&["containerd", "-c", &configuration], &["version"]);
    let root = caller.path("box");
    std::fs::create_dir(&root).unwrap();
    let mut tar = std::process::Command::new("tar");
    assert!(tar.args(["-C", &root, "-xf", &caller.path("busybox.tar")]).status().unwrap().success());
    caller
}

/// `ctr run`, from a directory.
fn words<'a>(root: &'a str, options: &[&'a str], id: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let head = ["run", "--rootfs", "--env", "PATH=/bin"];
    [&head, options, &[root, id], rest].concat()
}

pub(crate) fn tasks() {
    let c = containerd();
    let (runtime, root, cgroup) = (caller::runtime(), c.path("box"), format!("/{}/c", c.mark));
    let run = |options: &[&str], id: &str, rest: &[&str]| {
        let options = [&["--runc-binary", &runtime, "--cgroup", &cgroup], options].concat();
        c.run(&words(&root, &options, id, rest))
    };
    assert_eq!(run(&["--rm"], "c1", &["echo", "hello"]).ok(), "hello");
    assert_eq!(run(&["--rm"], "c2", &["sh", "-c", "exit 7"]).code, 7);
    let said = run(&["--rm"], "c3", &["absent"]);
    assert!(said.code == 1 && said.err.contains("executable file not found in $PATH"), "{}", said.err);
    let options = ["--runc-binary", &runtime, "--cgroup", &cgroup, "--rm", "-t"];
    assert!(c.on_terminal(&words(&root, &options, "c4", &["tty"])).contains("/dev/pts/0"));
    let script = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | cut -f2; touch /x";
    let said = run(&["--rm", "--seccomp", "--read-only"], "c5", &["sh", "-c", script]);
    assert_eq!(said.out, "00000000a80425fb\n1\n2\n");
    assert!(said.err.contains("Read-only file system"), "{}", said.err);

    run(&["-d"], "c6", &["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]).ok();
    let status =
        || c.ok(&["task", "ls"]).lines().find(|l| l.starts_with("c6 ")).unwrap_or_default().to_owned();
    assert!(status().ends_with("RUNNING"), "{}", status());
    let said = c.run(&["task", "exec", "--exec-id", "e1", "c6", "sh", "-c", "echo inside; exit 4"]);
    assert_eq!((said.code, said.out.as_str()), (4, "inside\n"));
    assert!(c.on_terminal(&["task", "exec", "-t", "--exec-id", "e2", "c6", "tty"]).contains("/dev/pts/0"));
    assert!(c.ok(&["task", "ps", "c6"]).lines().count() >= 2);
    assert!(c.ok(&["task", "metrics", "c6"]).contains("c6"));
    c.ok(&["task", "pause", "c6"]);
    assert!(status().ends_with("PAUSED"), "{}", status());
    c.ok(&["task", "resume", "c6"]);
    let said = c.run(&["task", "checkpoint", "c6"]);
    assert_eq!(said.code, 1, "there is no checkpoint: {}", said.out);
    assert!(status().ends_with("RUNNING"), "and no harm done: {}", status());
    c.ok(&["task", "kill", "-s", "SIGTERM", "c6"]);
    wait_for("the end", || status().ends_with("STOPPED"));
    c.ok(&["task", "rm", "c6"]);
    c.ok(&["container", "rm", "c6"]);
    run(&["-d"], "c7", &["sleep", "1000"]).ok();
    c.ok(&["task", "kill", "-a", "-s", "SIGKILL", "c7"]);
    c.run(&["task", "delete", "-f", "c7"]);
    c.ok(&["container", "rm", "c7"]);
    assert_eq!(c.ok(&["container", "ls", "-q"]), "");
}
