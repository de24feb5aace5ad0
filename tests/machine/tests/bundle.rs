//! The runtime's own command line: bundles, as containerd, podman and others hand them over.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use testkit::{Bundle, wait_for};

/// A hook that notes its moment, the status it was told, and whether it sees the mounts of the root.
fn note(b: &Bundle, moment: &str, log: &str) -> serde_json::Value {
    let root = b.inside("");
    let script = format!(
        "s=$(cat); s=${{s#*\\\"status\\\":\\\"}}; [ -e {root}/proc/version ] && m=\" mounted\"; echo \"{moment} ${{s%%\\\"*}}$m\" >> {log}",
        root = root.display()
    );
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], "timeout": 20}])
}

pub(crate) fn hooks_in_order_and_place() {
    let b = Bundle::new();
    let log = b.inside("log").display().to_string();
    let mut document = b.document("echo program >> /log; sleep 1000");
    document["hooks"] = json!({
        "prestart": note(&b, "prestart", &log),
        "createRuntime": note(&b, "createRuntime", &log),
        "createContainer": note(&b, "createContainer", &log),
        "startContainer": note(&b, "startContainer", "/log"),
        "poststart": note(&b, "poststart", &log),
        "poststop": note(&b, "poststop", &log),
    });
    b.write(&document);
    let read = || fs::read_to_string(b.inside("log")).unwrap_or_default();
    b.runtime(&["create", "c1"]).ok();
    // runc tells the first one that the container is being created, too.
    let first = if testkit::is_reference() { "creating" } else { "created" };
    let created = format!("prestart {first}\ncreateRuntime creating\ncreateContainer creating mounted\n");
    assert_eq!(read(), created);
    assert_eq!(b.status("c1"), "created");
    b.runtime(&["start", "c1"]).ok();
    wait_for("the program and the hook after it", || read().lines().count() == 6);
    let mut last: Vec<String> = read().lines().skip(3).map(str::to_owned).collect();
    assert_eq!(last.remove(0), "startContainer created");
    last.sort();
    assert_eq!(last, ["poststart running", "program"]);
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert!(read().ends_with("poststop stopped\n"), "{}", read());
}

pub(crate) fn failing_hooks_stop_the_container() {
    let b = Bundle::new();
    let log = b.inside("log").display().to_string();
    for moment in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
        let mut document = b.document("sleep 1000");
        let mut hooks = json!({"poststop": note(&b, moment, &log)});
        hooks[moment] = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo because >&2; exit 3"]}]);
        document["hooks"] = hooks;
        let said = b.run(&document);
        assert_ne!(said.code, 0, "{moment}");
        assert!(said.err.contains(&format!("error running {moment} hook #0")), "{}", said.err);
        assert!(said.err.contains("because"), "{}", said.err);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{moment}: nothing is left");
        assert!(fs::read_to_string(&log).unwrap().ends_with(&format!("{moment} stopped\n")));
    }
    let mut document = b.document("sleep 1000");
    document["hooks"] =
        json!({"prestart": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]});
    assert_eq!(b.run(&document).code, 1, "a hook has no longer than its timeout");
}

/// What goes wrong after `create` is told by `start`.
pub(crate) fn start_tells_why_not() {
    let b = Bundle::new();
    fs::write(b.inside("bin/broken"), "no program").unwrap();
    fs::set_permissions(b.inside("bin/broken"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut document = b.document("");
    document["process"]["args"] = json!(["/bin/broken"]);
    b.write(&document);
    b.runtime(&["create", "c1"]).ok();
    let said = b.runtime(&["start", "c1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("exec /bin/broken: exec format error"), "{}", said.err);
    wait_for("the end", || b.status("c1") == "stopped");
    let again = b.runtime(&["start", "c1"]);
    assert!(again.err.contains("cannot start a container that has stopped"), "{}", again.err);
}

pub(crate) fn user_namespace_is_joined() {
    let b = Bundle::new();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let mut first = b.document("sleep 1000");
    first["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    first["linux"]["uidMappings"] = map.clone();
    first["linux"]["gidMappings"] = map;
    b.write(&first);
    b.runtime(&["run", "-d", "c1"]).ok();
    let state: serde_json::Value = serde_json::from_str(&b.runtime(&["state", "c1"]).ok()).unwrap();
    let place = |kind: &str| format!("/proc/{}/ns/{kind}", state["pid"]);
    let link = |kind: &str| fs::read_link(place(kind)).unwrap().display().to_string();
    let script = "cat /proc/self/uid_map; stat -c %N /proc/self/ns/user /proc/self/ns/net /proc/self/ns/uts; echo $$; hostname; mount -t tmpfs x /tmp && echo mounted";
    let mut second = b.document(script);
    let all = json!(["CAP_SYS_ADMIN"]);
    second["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    second["hostname"] = json!("second");
    second["linux"]["cgroupsPath"] = json!(format!("{}2", first["linux"]["cgroupsPath"].as_str().unwrap()));
    second["linux"]["namespaces"] = json!([
        {"type": "user", "path": place("user")}, {"type": "network", "path": place("net")}, {"type": "uts", "path": place("uts")},
        {"type": "mount"}, {"type": "pid"}, {"type": "ipc"},
    ]);
    let said = b.run(&second);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.split_whitespace().take(3).eq(["0", "100000", "1000"]), "{}", said.out);
    for kind in ["user", "net", "uts"] {
        assert!(said.out.contains(&link(kind)), "{} is not in {}", link(kind), said.out);
    }
    assert!(said.out.ends_with("\n1\nsecond\nmounted\n"), "{}", said.out);
    assert_eq!(b.runtime(&["exec", "c1", "hostname"]).ok(), "second", "one uts namespace for both");
}

pub(crate) fn descriptors_are_preserved() {
    let b = Bundle::new();
    b.write(&b.document("cat /proc/self/fd/3; sleep 1000"));
    fs::write(b.directory().join("three"), "three").unwrap();
    let shell = |words: &str| {
        let command = b.command(&[]);
        let runtime = format!("{} --root {}/state", command.get_program().display(), b.directory().display());
        let mut shell = std::process::Command::new("sh");
        shell.current_dir(b.directory()).args(["-c", &words.replace("RUNTIME", &runtime)]);
        let output = shell.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    shell("RUNTIME run -d --preserve-fds 1 c1 3< three > out1 2>&1");
    wait_for("the container's output", || fs::read_to_string(b.directory().join("out1")).unwrap() == "three");
    let listed = "RUNTIME exec --preserve-fds 1 c1 sh -c 'cat <&3; ls /proc/$$/fd' 3< three 8< three";
    // 4 is the directory that `ls` reads.
    assert_eq!(shell(listed), "three0\n1\n2\n3\n4\n");
    let refused = shell("RUNTIME exec --preserve-fds 2 c1 true 3< three");
    assert!(refused.contains("not all of the descriptors 3 to 4"), "{refused}");
    b.runtime(&["delete", "--force", "c1"]).ok();
    // Announced to this process, or left over from another one.
    let announced = "sh -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec RUNTIME run c2' 3< three";
    b.write(&b.document("cat <&3; echo $LISTEN_FDS $LISTEN_PID"));
    assert_eq!(shell(announced), "three1 1\n");
    b.write(&b.document("ls /proc/$$/fd; echo $LISTEN_FDS"));
    assert_eq!(shell("LISTEN_FDS=1 LISTEN_PID=1 RUNTIME run c3 3< three"), "0\n1\n2\n\n");
}

pub(crate) fn exec_options() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    document["process"]["user"]["umask"] = json!(0o27);
    document["process"]["env"] = json!(["PATH=/bin", "A=1"]);
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    let exec = |options: &[&str], script: &str| {
        let said = b.runtime(&[&["exec"], options, &["c1", "sh", "-c", script]].concat());
        (said.code, said.out.trim_end().to_owned())
    };
    assert_eq!(exec(&[], "umask; echo $HOME $A; exit 5"), (5, "0027\n/root 1".into()));
    assert_eq!(exec(&["-u", "1000"], "echo $HOME"), (0, "/home/alice".into()));
    assert_eq!(exec(&["-u", "7"], "echo $HOME"), (0, "/".into()));
    assert_eq!(exec(&["--env", "A=2", "--cwd", "/tmp"], "echo $A; pwd"), (0, "2\n/tmp".into()));
    assert_eq!(exec(&["-u", "5:6", "-g", "8"], "id -u; id -g; id -G"), (0, "5\n6\n6 8".into()));
    let caps = |options: &[&str]| exec(options, "grep CapBnd /proc/self/status").1;
    assert_eq!(caps(&["--cap", "CAP_NET_RAW"]), caps(&[]).replace("400e3", "420e3"));
    let absent = b.runtime(&["exec", "c1", "absent"]);
    assert_eq!(absent.code, 255);
    assert!(absent.err.contains("executable file not found in $PATH"), "{}", absent.err);
    assert_eq!(b.runtime(&["exec", "--bogus", "c1", "true"]).code, 1);
}

pub(crate) fn kill_and_its_refusals() {
    let b = Bundle::new();
    b.write(&b.document("trap 'exit 9' USR1; while :; do sleep 0.05; done"));
    b.runtime(&["create", "c1"]).ok();
    b.runtime(&["kill", "c1", "TERM"]).ok();
    wait_for("a container that was not started yet to end", || b.status("c1") == "stopped");
    let refused = b.runtime(&["kill", "c1", "TERM"]);
    assert!(refused.code == 1 && refused.err.contains("container not running"), "{}", refused.err);
    assert_eq!(b.runtime(&["kill", "--all", "c1", "9"]).code, 0, "nobody is left: nothing to refuse");
    b.runtime(&["delete", "c1"]).ok();
    assert_eq!(b.runtime(&["delete", "c1"]).code, 1);
    assert_eq!(b.runtime(&["delete", "--force", "c1"]).code, 0);
    assert!(b.runtime(&["kill", "c1"]).err.contains("does not exist"));

    b.runtime(&["run", "-d", "c2"]).ok();
    b.runtime(&["kill", "c2", "0"]).ok();
    let refused = b.runtime(&["kill", "c2", "BOGUS"]);
    assert!(refused.code == 1 && refused.err.contains("BOGUS"), "{}", refused.err);
    assert_eq!(b.runtime(&["kill", "c2", "99"]).code, 1);
    let refused = b.runtime(&["delete", "c2"]);
    assert!(refused.err.contains("not stopped"), "{}", refused.err);
    b.runtime(&["kill", "c2", "SIGUSR1"]).ok();
    wait_for("the trap", || b.status("c2") == "stopped");
    assert_eq!(b.status("c2"), "stopped");
}

/// Without a pid namespace of its own, a container does not end with its first process.
pub(crate) fn kill_reaches_everybody() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1001 & exec sleep 1002");
    document["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "network"}]);
    document.as_object_mut().unwrap().remove("hostname");
    b.write(&document);
    b.runtime(&["run", "-d", "c1"]).ok();
    let pids = || b.runtime(&["ps", "--format", "json", "c1"]).out;
    wait_for("both processes", || pids().matches(',').count() == 1);
    b.runtime(&["kill", "c1", "KILL"]).ok();
    wait_for("nobody", || matches!(pids().trim(), "[]" | "null"));
}

pub(crate) fn scheduling_and_domain() {
    let b = Bundle::new();
    let mut document =
        b.document("grep -c . /proc/self/status; cut -d' ' -f19,41 /proc/self/stat; ionice; uname -m");
    document["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 7});
    document["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 5});
    document["linux"]["personality"] = json!({"domain": "LINUX32"});
    let said = b.run(&document).ok();
    // Nice value and policy of proc_pid_stat(5); 3 is SCHED_BATCH.
    assert!(said.ends_with("\n7 3\nbest-effort: prio 5\ni686"), "{said}");
}

/// A caller that is held to one processor does not hold the container to it.
pub(crate) fn every_processor_of_the_cpuset() {
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
    let b = Bundle::new();
    let script = "grep Cpus_allowed_list: /proc/self/status";
    b.write(&b.document(&format!("{script}; sleep 1000")));
    let pinned = |words: &[&str], output: &str| {
        let runtime = b.command(words);
        let mut command = std::process::Command::new("taskset");
        command.args(["1", &runtime.get_program().to_string_lossy()]).args(runtime.get_args());
        let file = fs::File::create(b.directory().join(output)).unwrap();
        assert!(command.current_dir(b.directory()).stdout(file).status().unwrap().success());
        wait_for("its line", || fs::read_to_string(b.directory().join(output)).unwrap().ends_with('\n'));
        fs::read_to_string(b.directory().join(output)).unwrap().trim_end().to_owned()
    };
    assert_eq!(pinned(&["run", "-d", "c1"], "out1"), own);
    assert_eq!(pinned(&["exec", "c1", "sh", "-c", script], "out2"), own);
}

/// Documents that lie, are huge, or ask for what is not there.
pub(crate) fn hostile_documents() {
    let b = Bundle::new();
    let mut document = b.document("echo fine");
    document["bogus"] = json!({"deep": [1, 2]});
    document["process"]["bogus"] = json!(1);
    document["annotations"] = json!({"padding": "x".repeat(1 << 20)});
    assert_eq!(b.run(&document).ok(), "fine", "what is unknown is ignored, and a megabyte is no trouble");

    let refused = |change: &dyn Fn(&mut serde_json::Value), wanted: &str| {
        let mut document = b.document("echo fine");
        change(&mut document);
        let said = b.run(&document);
        assert_eq!(said.code, 1, "{wanted}: {}", said.out);
        assert!(said.err.contains(wanted), "{:?} does not say {wanted:?}", said.err);
        assert_eq!(b.runtime(&["list", "-q"]).out, "", "{wanted}: nothing is left");
    };
    refused(&|d| d["ociVersion"] = json!("2.0.0"), "ociVersion \"2.0.0\"");
    refused(&|d| d["linux"]["namespaces"][0]["type"] = json!("moon"), "moon");
    refused(&|d| d["process"]["user"]["uid"] = json!(-1), "not a runtime document");
    refused(&|d| d["process"]["user"]["uid"] = json!(4_294_967_296_u64), "not a runtime document");
    refused(&|d| d["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_MOON"}), "SCMP_ACT_MOON");
    refused(&|d| d["root"]["path"] = json!("absent"), "absent");
    refused(&|d| d["process"]["args"] = json!(["absent"]), "executable file not found in $PATH");
    refused(&|d| d["linux"]["intelRdt"] = json!({"closID": "a/b"}), "linux.intelRdt");
    fs::write(b.directory().join("config.json"), "{\"ociVersion\": ").unwrap();
    assert!(b.runtime(&["run", "c1"]).err.contains("not a runtime document"));
    // Warnings go to the caller's log, not among the program's own words.
    let mut document = b.document("echo fine");
    document["process"]["capabilities"]["bounding"] = json!(["CAP_MOON"]);
    b.write(&document);
    let said = b.runtime(&["--log", "log", "--log-format", "json", "run", "c2"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "fine\n", ""));
    assert!(fs::read_to_string(b.directory().join("log")).unwrap().contains("CAP_MOON"));
    for command in ["checkpoint", "restore"] {
        assert!(b.runtime(&[command, "c1"]).err.contains("not supported"));
    }
}

pub(crate) fn thousands_of_mounts() {
    let b = Bundle::new();
    let mut document = b.document("grep -c ' /m/' /proc/self/mountinfo");
    let mounts = document["mounts"].as_array_mut().unwrap();
    mounts.extend((0..2000).map(|n| {
        json!({"destination": format!("/m/{n}"), "type": "bind", "source": "/etc", "options": ["bind", "ro"]})
    }));
    assert_eq!(b.run(&document).ok(), "2000");
}

/// Links of the root where the runtime makes or mounts something.
pub(crate) fn hostile_roots() {
    let b = Bundle::new();
    let canary = b.directory().join("canary");
    fs::create_dir(&canary).unwrap();
    let outside = canary.display().to_string();
    for (name, wanted) in [("proc", "ordinary directory"), ("sys", "ordinary directory")] {
        fs::remove_dir(b.inside(name)).unwrap();
        symlink(&outside, b.inside(name)).unwrap();
        let said = b.run(&b.document("echo fine"));
        assert!(said.code == 1 && said.err.contains(wanted), "{name}: {} {}", said.out, said.err);
        fs::remove_file(b.inside(name)).unwrap();
        fs::create_dir(b.inside(name)).unwrap();
    }
    fs::remove_dir(b.inside("dev")).unwrap();
    symlink(format!("../../../../../../../{outside}"), b.inside("dev")).unwrap();
    symlink(format!("../../../..{outside}-hosts"), b.inside("etc/hosts")).unwrap();
    symlink("loop", b.inside("etc/loop")).unwrap();
    symlink("/proc/self/root/../../../..", b.inside("escape")).unwrap();
    fs::remove_file(b.inside("etc/passwd")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(b.inside("etc/passwd")).status().unwrap().success());
    let mut document = b.document("echo fine $HOME");
    document["mounts"].as_array_mut().unwrap().extend([
        json!({"destination": "/etc/hosts", "type": "bind", "source": b.directory().join("config.json"), "options": ["bind"]}),
        json!({"destination": "/escape/made", "type": "tmpfs", "source": "tmpfs"}),
    ]);
    document["linux"]["maskedPaths"] = json!(["/escape/etc", "/proc/kcore"]);
    let said = b.run(&document);
    // The magic link is refused; without it everything stays inside.
    assert!(said.code == 1 && said.err.contains("/escape"), "{} {}", said.out, said.err);
    document["mounts"].as_array_mut().unwrap().pop();
    document["linux"]["maskedPaths"] = json!(["/proc/kcore"]);
    assert_eq!(b.run(&document).ok(), "fine /root", "a FIFO in place of the users' file holds nobody up");
    assert!(b.inside(&format!("{outside}-hosts")[1..]).exists(), "the link's target was made inside");
    document["mounts"][4]["destination"] = json!("/etc/loop");
    let said = b.run(&document);
    assert!(said.code == 1 && said.err.contains("/etc/loop"), "{} {}", said.out, said.err);
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0, "nothing was made outside");
}

/// Two at once: one container, one refusal.
pub(crate) fn one_of_many_creates_wins() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    let mut tries: Vec<_> = (0..8)
        .map(|n| {
            let err = fs::File::create(b.directory().join(format!("err{n}"))).unwrap();
            let mut command = b.command(&["create", "c1"]);
            command.stdout(std::process::Stdio::null()).stderr(err).spawn().unwrap()
        })
        .collect();
    let won = tries.iter_mut().filter_map(|child| child.wait().unwrap().code()).filter(|code| *code == 0);
    assert_eq!(won.count(), 1);
    let said = (0..8).filter(|n| {
        fs::read_to_string(b.directory().join(format!("err{n}"))).unwrap().contains("already exists")
    });
    assert_eq!(said.count(), 7);
    assert_eq!(b.status("c1"), "created");
}

pub(crate) fn broken_state_is_told() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    for id in ["../x", "a/b", "", ".", "..", "a b"] {
        let said = b.runtime(&["create", id]);
        assert!(said.code == 1 && !said.err.is_empty(), "{id:?}");
    }
    b.runtime(&["run", "-d", "c1"]).ok();
    let state = b.directory().join("state/c1/state.json");
    let whole = fs::read(&state).unwrap();
    for broken in ["", "{}", "[1]", "{\"pid\": \"x\"}"] {
        fs::write(&state, broken).unwrap();
        let said = b.runtime(&["kill", "c1", "KILL"]);
        assert_eq!(said.code, 1, "{broken:?}: {}", said.err);
        b.runtime(&["list"]).ok();
    }
    fs::write(&state, whole).unwrap();
    assert_eq!(b.status("c1"), "running");
    // A create that was killed before it wrote anything down.
    fs::create_dir(b.directory().join("state/c2")).unwrap();
    assert!(b.runtime(&["create", "c2"]).err.contains("already exists"));
    b.runtime(&["delete", "--force", "c2"]).ok();
    assert!(!b.directory().join("state/c2").exists());
}
