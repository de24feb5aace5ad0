//! `exec` of the runtime's command line, beyond what `bundle` has.

use std::fs;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use testkit::{Bundle, wait_for};

fn started(b: &Bundle, document: &Value) {
    b.write(document);
    b.runtime(&["run", "-d", "c1"]).ok();
}

/// A process document, refused or run.
fn with_document(b: &Bundle, process: &Value) -> testkit::Ran {
    fs::write(b.directory().join("process.json"), process.to_string()).unwrap();
    b.runtime(&["exec", "-p", "process.json", "c1"])
}

pub(crate) fn of_each_status() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    b.runtime(&["create", "c1"]).ok();
    assert_eq!(b.runtime(&["exec", "c1", "echo", "before the start"]).ok(), "before the start");
    b.runtime(&["start", "c1"]).ok();
    b.runtime(&["pause", "c1"]).ok();
    let refused = b.runtime(&["exec", "c1", "true"]);
    assert_eq!(refused.code, 255);
    assert!(refused.err.contains("cannot exec in a paused container"), "{}", refused.err);
    let log = fs::File::create(b.directory().join("waiting")).unwrap();
    let mut command = b.command(&["exec", "--ignore-paused", "c1", "echo", "thawed"]);
    let mut waiting = command.stdout(log).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "nothing runs in a frozen container");
    b.runtime(&["resume", "c1"]).ok();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(fs::read_to_string(b.directory().join("waiting")).unwrap(), "thawed\n");
    b.runtime(&["kill", "c1", "KILL"]).ok();
    wait_for("the end", || b.status("c1") == "stopped");
    let refused = b.runtime(&["exec", "c1", "true"]);
    assert_eq!((refused.code, refused.err.contains("cannot exec in a stopped container")), (255, true));
    assert_eq!(b.runtime(&["exec", "absent", "true"]).code, 255);
}

/// What the options and the document are silent about is the container's.
pub(crate) fn takes_the_rest_from_the_container() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    document["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 5120, "hard": 10240}]);
    document["process"]["oomScoreAdj"] = json!(321);
    document["process"]["user"] = json!({"uid": 5, "gid": 6, "additionalGids": [7]});
    document["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 3});
    document["process"]["noNewPrivileges"] = json!(true);
    started(&b, &document);
    let script = "ulimit -c; ulimit -Hc; cat /proc/self/oom_score_adj; cut -d' ' -f19,41 /proc/self/stat; grep NoNewPrivs /proc/self/status; id -u; id -g; id -G";
    let said = b.runtime(&["exec", "c1", "sh", "-c", script]).ok();
    assert_eq!(said, "10\n20\n321\n3 3\nNoNewPrivs:\t1\n5\n6\n6 7");
    let said = b.runtime(&["exec", "-u", "8", "c1", "sh", "-c", "id -u; id -g; id -G"]).ok();
    assert_eq!(said, "8\n6\n6 7", "only the user was named");
    let process = json!({"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 1, "gid": 2, "umask": 0},
        "oomScoreAdj": 5, "rlimits": [{"type": "RLIMIT_CORE", "soft": 512, "hard": 1024}], "ioPriority": {"class": "IOPRIO_CLASS_IDLE"}});
    assert_eq!(with_document(&b, &process).ok(), "1\n2\n5\n3 3\nNoNewPrivs:\t1\n1\n2\n2");
}

pub(crate) fn documents_are_checked() {
    let b = Bundle::new();
    started(&b, &b.document("sleep 1000"));
    for (process, wanted) in [
        (json!({"args": ["true"], "cwd": "x"}), "process.cwd"),
        (json!({"args": [], "cwd": "/"}), "process.args"),
        (json!({"args": ["true"], "cwd": "/", "selinuxLabel": "a:b:c"}), "process.selinuxLabel"),
        (json!({"args": ["true"], "cwd": "/", "execCPUAffinity": {"final": "x"}}), "execCPUAffinity.final"),
        (
            json!({"args": ["true"], "cwd": "/", "execCPUAffinity": {"final": "4000"}}),
            "execCPUAffinity.final",
        ),
        (
            json!({"args": ["true"], "cwd": "/", "execCPUAffinity": {"initial": "4000"}}),
            "execCPUAffinity.initial",
        ),
    ] {
        let said = with_document(&b, &process);
        assert!(said.code == 255 && said.err.contains(wanted), "{process}: {} {}", said.code, said.err);
    }
    let labelled = b.runtime(&["exec", "--process-label", "a:b:c", "c1", "true"]);
    assert!(labelled.code == 255 && labelled.err.contains("process.selinuxLabel"), "{}", labelled.err);
    let profiled = b.runtime(&["exec", "--apparmor", "bt-absent", "c1", "true"]);
    assert!(profiled.code == 255 && profiled.err.contains("process.apparmorProfile"), "{}", profiled.err);
    assert_eq!(with_document(&b, &json!({"args": ["false"], "cwd": "/", "env": ["PATH=/bin"]})).code, 1);
    // A name that is none gives nothing, and is told.
    let said = b.runtime(&["exec", "--cap", "CAP_MOON", "c1", "echo", "fine"]);
    assert_eq!((said.code, said.out.as_str(), said.err.contains("CAP_MOON")), (0, "fine\n", true));
}

pub(crate) fn processors() {
    let b = Bundle::new();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let list =
        own.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned();
    let last = list.rsplit([',', '-']).next().unwrap().to_owned();
    let first = list.split([',', '-']).next().unwrap().to_owned();
    let mut document = b.document("grep Cpus_allowed_list: /proc/self/status > /first; sleep 1000");
    document["process"]["execCPUAffinity"] = json!({"initial": first, "final": last});
    started(&b, &document);
    wait_for("the first process", || b.inside("first").exists());
    wait_for("its line", || fs::read_to_string(b.inside("first")).unwrap().ends_with('\n'));
    assert_eq!(fs::read_to_string(b.inside("first")).unwrap(), format!("Cpus_allowed_list:\t{list}\n"));
    let grep = ["grep", "Cpus_allowed_list:", "/proc/self/status"];
    let said = b.runtime(&[&["exec", "c1"], grep.as_slice()].concat()).ok();
    assert_eq!(said, format!("Cpus_allowed_list:\t{last}"), "the container's document has it for execs");
    for (affinity, wanted) in [
        (json!({"initial": last}), &last),
        (json!({"final": first}), &first),
        (json!({"initial": first, "final": last}), &last),
        (json!({}), &list),
    ] {
        let process = json!({"args": grep, "cwd": "/", "env": ["PATH=/bin"], "execCPUAffinity": affinity});
        assert_eq!(with_document(&b, &process).ok(), format!("Cpus_allowed_list:\t{wanted}"), "{affinity}");
    }
}

pub(crate) fn callers_are_told() {
    let b = Bundle::new();
    started(&b, &b.document("sleep 1000"));
    b.runtime(&["exec", "-d", "--pid-file", "pid", "c1", "sleep", "1000"]).ok();
    let pid = fs::read_to_string(b.directory().join("pid")).unwrap();
    assert!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().starts_with("sleep"));
    // Where it cannot be written, nothing goes on running.
    let lost = b.runtime(&["exec", "-d", "--pid-file", "/absent/pid", "c1", "sleep", "4321"]);
    assert_eq!(lost.code, 255);
    wait_for("its end", || !b.runtime(&["ps", "c1"]).ok().contains("4321"));
    let refused = b.runtime(&["exec", "-t", "-d", "c1", "true"]);
    assert!(refused.code == 255 && refused.err.contains("--console-socket"), "{}", refused.err);
    let refused = b.runtime(&["exec", "-d", "--console-socket", "s", "c1", "true"]);
    assert!(refused.code == 255 && refused.err.contains("--console-socket"), "{}", refused.err);
    let place = b.directory().join("s");
    let listener = UnixListener::bind(&place).unwrap();
    b.runtime(&["exec", "-t", "-d", "--console-socket", "s", "c1", "sleep", "1000"]).ok();
    assert_eq!(crate::bundle_seccomp::receive(&listener).1.len(), 1, "the terminal");
    b.runtime(&["exec", "-d", "--pidfd-socket", "s", "c1", "sleep", "1000"]).ok();
    assert_eq!(crate::bundle_seccomp::receive(&listener).1.len(), 1, "the pidfd");
}

/// Cgroups below the container's, on either version.
pub(crate) fn into_a_cgroup_below() {
    let b = Bundle::new();
    let document = b.document("sleep 1000");
    started(&b, &document);
    let path = document["linux"]["cgroupsPath"].as_str().unwrap();
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok();
    let refused = |options: &[&str], wanted: &str| {
        let said = b.runtime(&[&["exec"], options, &["c1", "true"]].concat());
        assert!(said.code == 255 && said.err.contains(wanted), "{options:?}: {} {}", said.code, said.err);
    };
    refused(&["--cgroup", ".."], "bad sub cgroup path");
    refused(&["--cgroup", "absent"], "no such file or directory");
    refused(&["--cgroup", "moon:/"], "unknown controller");
    refused(&["--cgroup", "a", "--cgroup", "b"], "missing <controller>: prefix");
    let place = if v2 { format!("/sys/fs/cgroup{path}") } else { format!("/sys/fs/cgroup/memory{path}") };
    fs::create_dir(format!("{place}/below")).unwrap();
    let option = if v2 { "below" } else { "memory:below" };
    let pid = || {
        b.runtime(&["exec", "-d", "--pid-file", "pid", "--cgroup", option, "c1", "sleep", "1000"]).ok();
        fs::read_to_string(b.directory().join("pid")).unwrap()
    };
    let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", pid())).unwrap();
    let wanted = if v2 { format!("0::{path}/below\n") } else { format!(":memory:{path}/below\n") };
    assert!(cgroups.contains(&wanted), "{cgroups}");
    assert!(v2 || cgroups.contains(&format!(":pids:{path}\n")), "{cgroups}");
    b.runtime(&["exec", "--cgroup", "/", "c1", "true"]).ok();
}

/// A first process that has gone to another cgroup is followed there, but not where the caller names one.
pub(crate) fn after_the_first_process() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(mount) = mounts.lines().find(|line| line.contains(" - cgroup2 ")) else {
        println!("skipped: no cgroup v2 here");
        return;
    };
    let b = Bundle::new();
    let document = b.document("sleep 1000");
    started(&b, &document);
    let path = document["linux"]["cgroupsPath"].as_str().unwrap();
    let own = format!("{}{path}", mount.split(' ').nth(4).unwrap());
    let state: Value = serde_json::from_str(&b.runtime(&["state", "c1"]).ok()).unwrap();
    let place = || {
        let said = b.runtime(&["exec", "c1", "cat", "/proc/self/cgroup"]).ok();
        said.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
    };
    let before = place();
    fs::create_dir(format!("{own}/below")).unwrap();
    fs::write(format!("{own}/below/cgroup.procs"), state["pid"].to_string()).unwrap();
    assert_eq!(place(), before, "the container's own will do");
    // With a controller for those below, nobody may be in it any more.
    let controllers = fs::read_to_string(format!("{own}/cgroup.controllers")).unwrap();
    if let Some(controller) =
        controllers.split_whitespace().find(|c| matches!(*c, "memory" | "hugetlb" | "io"))
    {
        fs::write(format!("{own}/cgroup.subtree_control"), format!("+{controller}")).unwrap();
        assert_eq!(place(), format!("{before}/below"));
        fs::write(format!("{own}/cgroup.subtree_control"), format!("-{controller}")).unwrap();
    }
    let beside = format!("{own}-beside");
    fs::create_dir(&beside).unwrap();
    fs::write(format!("{beside}/cgroup.procs"), state["pid"].to_string()).unwrap();
    fs::remove_dir(format!("{own}/below")).unwrap();
    fs::remove_dir(&own).unwrap();
    let found = place();
    b.runtime(&["delete", "--force", "c1"]).ok();
    testkit::wait_for("an empty cgroup", || fs::remove_dir(&beside).is_ok());
    assert_eq!(found, format!("{before}-beside"));
}

/// Announced to the one that has them, and to nobody after it.
pub(crate) fn announced_descriptors() {
    let b = Bundle::new();
    b.write(&b.document("echo $LISTEN_FDS $LISTEN_PID > /told; sleep 1000"));
    fs::write(b.directory().join("three"), "three").unwrap();
    let shell = |words: &str| {
        let command = b.command(&[]);
        let runtime = format!("{} --root {}/state", command.get_program().display(), b.directory().display());
        let announced = format!("LISTEN_FDS=1 LISTEN_PID=$$ exec {runtime} {words} 3< three");
        let mut shell = std::process::Command::new("sh");
        let output = shell.current_dir(b.directory()).args(["-c", &announced]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    shell("run -d c1 > /dev/null 2>&1");
    wait_for("the first process", || fs::read_to_string(b.inside("told")).is_ok_and(|told| told == "1 1\n"));
    let script = "echo $LISTEN_FDS $LISTEN_PID";
    assert_eq!(b.runtime(&["exec", "c1", "sh", "-c", script]).ok(), "");
    assert_eq!(shell("exec c1 sh -c 'cat <&3; echo $LISTEN_FDS $LISTEN_PID'"), "three1 1\n");
}
