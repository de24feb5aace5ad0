//! What has gone wrong in runtimes before, row by row (R01 to R21): each test is red against a runtime that leaves the row's defence
//! out (`cargo xtask test teeth`).

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;
use testkit::{Bundle, wait_for};

/// A process inherits no capabilities unless somebody asks for ambient ones (CVE-2022-24769, CVE-2022-29162).
pub(crate) fn r04_nothing_is_inheritable() {
    let b = Bundle::new();
    let script = "grep CapInh /proc/self/status; sleep 1000";
    let mut document = b.document(script);
    let named = json!(["CAP_CHOWN", "CAP_KILL"]);
    document["process"]["capabilities"]["inheritable"] = named.clone();
    b.write(&document);
    let none = "CapInh:\t0000000000000000";
    b.runtime(&["run", "-d", "c1"]).ok();
    wait_for("its line", || fs::read_to_string(b.directory().join("out")).unwrap().ends_with('\n'));
    assert_eq!(fs::read_to_string(b.directory().join("out")).unwrap().trim(), none, "the first process");
    let process = b.directory().join("process.json");
    let text = json!({
        "args": ["grep", "CapInh", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
        "capabilities": {"bounding": named, "effective": named, "permitted": named, "inheritable": named},
    });
    fs::write(&process, text.to_string()).unwrap();
    let process = process.display().to_string();
    let grep = ["c1", "grep", "CapInh", "/proc/self/status"];
    for options in [&[][..], &["--cap", "CAP_NET_RAW"], &["-u", "1000"], &["--cap", "CAP_KILL", "-u", "7"]] {
        let said = b.runtime(&[&["exec"], options, &grep].concat());
        assert_eq!((said.code, said.out.trim()), (0, none), "{options:?}: {}", said.err);
    }
    assert_eq!(b.runtime(&["exec", "-p", &process, "c1"]).out.trim(), none, "a document of its own");
    // Asked for, it is given: ambient capabilities need it.
    document["process"]["capabilities"]["ambient"] = json!(["CAP_KILL"]);
    document["process"]["args"] = json!(["grep", "CapInh", "/proc/self/status"]);
    b.runtime(&["delete", "--force", "c1"]).ok();
    assert_eq!(b.run(&document).ok(), "CapInh:\t0000000000000020");
}

/// A container that may look into every process of its namespaces gets hold of the runtime's program, waits until it is not
/// executed any more, and writes there (CVE-2019-5736). What it holds is a sealed file, and what is mapped cannot be written either.
pub(crate) fn r01_the_runtimes_program_cannot_be_changed() {
    let b = Bundle::new();
    let program = b.directory().join("runtime-copy");
    let original = b.command(&[]).get_program().to_owned();
    fs::copy(which(&original), &program).unwrap();
    let before = fs::read(&program).unwrap();
    let runtime = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(b.command(words).get_args()).current_dir(b.directory()).stdin(Stdio::null());
        let file = |name: &str| fs::File::create(b.directory().join(name)).unwrap();
        let status = command.stdout(file("said")).stderr(file("errors")).status().unwrap();
        let read = |name: &str| fs::read_to_string(b.directory().join(name)).unwrap();
        assert!(status.success(), "{words:?}: {}", read("errors"));
        read("said")
    };
    let script = "cd /proc; while [ ! -e /go ]; do sleep 0.05; done; \
        for p in [0-9]*; do [ $p/exe -ef /bin/busybox ] || { readlink $p/exe; exec 5< $p/exe; break; }; done > /seen; \
        echo evil >> $p/exe; echo $? >> /seen; for m in $p/map_files/*; do echo evil >> $m; done; mv /seen /held; \
        while [ ! -e /on ]; do sleep 0.05; done; echo evil >> /proc/self/fd/5; echo $? > /written; sleep 1000";
    let mut document = b.document(script);
    let all = json!([
        "CAP_SYS_PTRACE",
        "CAP_SYS_ADMIN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_CHOWN",
        "CAP_KILL",
        "CAP_SETUID",
        "CAP_SETGID",
        "CAP_SETPCAP",
        "CAP_SYS_CHROOT",
        "CAP_MKNOD",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_SETFCAP",
        "CAP_SYS_RESOURCE"
    ]);
    document["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    b.write(&document);
    runtime(&["run", "-d", "attacker"]);
    // The victim waits for its start, being still the runtime, among the attacker's processes.
    let state: serde_json::Value = serde_json::from_str(&runtime(&["state", "attacker"])).unwrap();
    let mut victim = b.document("sleep 1000");
    victim["linux"]["namespaces"] = json!([
        {"type": "pid", "path": format!("/proc/{}/ns/pid", state["pid"])}, {"type": "mount"}, {"type": "uts"}, {"type": "network"},
    ]);
    victim["linux"]["cgroupsPath"] = json!(format!("{}2", victim["linux"]["cgroupsPath"].as_str().unwrap()));
    b.write(&victim);
    runtime(&["create", "victim"]);
    let state: serde_json::Value = serde_json::from_str(&runtime(&["state", "victim"])).unwrap();
    let exe = fs::read_link(format!("/proc/{}/exe", state["pid"])).unwrap().display().to_string();
    fs::write(b.inside("go"), "").unwrap();
    wait_for("the attacker to hold it", || b.inside("held").exists());
    runtime(&["start", "victim"]);
    fs::write(b.inside("on"), "").unwrap();
    wait_for("the attacker's writing", || {
        fs::read_to_string(b.inside("written")).is_ok_and(|text| text.ends_with('\n'))
    });
    let held = fs::read_to_string(b.inside("held")).unwrap();
    assert!(fs::read(&program).unwrap() == before, "the program was changed: {held}");
    assert!(exe.starts_with("/memfd:"), "the first process runs {exe}");
    assert_eq!(
        held, "/memfd:berth-runtime (deleted)\n1\n",
        "what was held, and that it could not be opened for writing"
    );
    assert_eq!(fs::read_to_string(b.inside("written")).unwrap(), "1\n", "nor later");
}

/// Nothing is written to a file of `/proc` that somebody has put something else over (CVE-2025-52881).
pub(crate) fn r10_a_covered_proc_is_not_written() {
    let b = Bundle::new();
    let canary = b.directory().join("canary");
    let mut document = b.document("cat /proc/sys/kernel/domainname");
    document["linux"]["sysctl"] = json!({"kernel.domainname": "within"});
    assert_eq!(b.run(&document).ok(), "within");
    let covered = |place: &str| {
        fs::write(&canary, "canary").unwrap();
        let runtime = b.command(&["run", "c1"]);
        let mut shell = Command::new("unshare");
        let script = format!("mount --bind {} {place} && exec \"$0\" \"$@\"", canary.display());
        shell.args(["-m", "sh", "-c", &script]).arg(runtime.get_program()).args(runtime.get_args());
        let said = shell.current_dir(b.directory()).output().unwrap();
        assert_eq!(fs::read_to_string(&canary).unwrap(), "canary", "{place}: written to what covers it");
        (said.status.code().unwrap_or(-1), String::from_utf8_lossy(&said.stderr).into_owned())
    };
    let (code, said) = covered("/proc/sys/kernel/domainname");
    assert!(code == 1 && said.contains("kernel.domainname"), "{code} {said}");
    assert_eq!(b.runtime(&["list", "-q"]).out, "", "nothing is left");
}

/// Where a program lies.
fn which(program: &std::ffi::OsStr) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|place| place.join(program));
    places.chain([program.into()]).find(|place| place.is_file()).unwrap()
}
