//! Real containers: namespaces, cgroups, a terminal.

use std::path::Path;
use std::time::Duration;

use protocol::{Ask, Empty, Exec, Happening, Input, Pause, Resize, Signal, Start, Stdio, Tell};
use serde_json::json;
use types::Rootfs;

use crate::Case;
use crate::bench::{Bench, attach, read_output, target, wait_exit};
use crate::deaths::Hands;
use crate::wire::Wire;

pub(crate) const CASES: &[Case] = &[
    ("real_exit_and_exec", exit_and_exec),
    ("real_terminal_killed", terminal_killed),
    ("real_terminal_upgraded", terminal_upgraded),
    ("real_out_of_memory", out_of_memory),
    ("real_pause_and_kill", pause_and_kill),
];

const BUSYBOX: &str = "/bin/busybox";

/// A root with nothing but busybox; removed with the bench.
fn make_root(bench: &Bench) -> String {
    let root = format!("{}/rootfs", bench.root);
    for directory in ["bin", "proc", "dev", "sys", "tmp"] {
        std::fs::create_dir_all(format!("{root}/{directory}")).expect("directory");
    }
    std::fs::copy(BUSYBOX, format!("{root}/bin/busybox")).expect("busybox");
    for applet in ["sh", "sleep", "echo", "cat", "stty", "head", "tail", "tr", "seq"] {
        let _ = std::os::unix::fs::symlink("busybox", format!("{root}/bin/{applet}"));
    }
    root
}

fn plan_start(bench: &Bench, id: &str, script: &str, stdio: Stdio, memory: Option<i64>) -> Start {
    let spec = json!({
        "ociVersion": "1.2.0",
        "hostname": "real",
        "process": {
            "terminal": stdio.terminal, "cwd": "/", "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script], "env": ["PATH=/bin"],
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            "resources": {"memory": {"limit": memory.unwrap_or(64 << 20), "swap": memory.unwrap_or(64 << 20)}},
        },
    });
    let spec: oci::runtime::Spec = serde_json::from_value(spec).expect("spec");
    let options = plan::container::Options { cgroup_parent: cgroup_parent(), ..Default::default() };
    let rootfs = Rootfs::Directory(make_root(bench).into());
    let facts = runtime::facts::gather().expect("facts");
    let planned = plan::container::plan(id, &spec, &rootfs, &facts, &options).expect("plan");
    Start { plan: Some(planned.plan), stdio: Some(stdio), ..bench.start(id, "") }
}

fn cgroup_parent() -> String {
    format!("/berth-supervisor-live-{}", std::process::id())
}

/// The parent cgroups stay when their containers go; this run's are removed at its end.
pub(crate) fn remove_cgroups() {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mounts = hierarchies.map(|entry| entry.path()).chain(["/sys/fs/cgroup".into()]);
    for parent in mounts.map(|mount| format!("{}{}", mount.display(), cgroup_parent())) {
        // A supervisor killed at a test's end may have left its container's.
        let _ = std::fs::remove_dir(format!("{parent}/c"));
        let _ = std::fs::remove_dir(parent);
    }
}

fn is_possible() -> bool {
    let possible = rustix::process::geteuid().is_root() && Path::new(BUSYBOX).exists();
    if !possible {
        println!("skipped: needs root and busybox-static");
    }
    possible
}

fn started(tell: Tell) -> i32 {
    let Tell::Started(started) = tell else { panic!("{tell:?}") };
    assert!(started.warnings.is_empty(), "{:?}", started.warnings);
    started.pid
}

fn signal(id: &str, number: i32, all: bool) -> Ask {
    Ask::Signal(Signal { target: Some(target(id, "")), signal: number, all })
}

fn exit_and_exec() {
    if !is_possible() {
        return;
    }
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let script =
        "trap 'exit 5' TERM; echo pid $$; cat /proc/self/oom_score_adj; while :; do sleep 0.01; done";
    let start = plan_start(&bench, "c", script, Stdio::default(), None);
    let plan = start.plan.clone().expect("plan");
    let pid = started(wire.ask(Ask::Start(start)));
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    let process = serde_json::from_value(json!({
        "cwd": "/", "args": ["/bin/sh", "-c", "stty size; exit 6"], "env": ["PATH=/bin"], "terminal": true,
    }));
    let process: oci::runtime::Process = process.expect("process");
    let exec = plan::container::plan_exec(&plan, &process, &Default::default()).expect("exec plan").plan;
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("c", "e", false));
    let stdio = Stdio { terminal: true, width: 90, height: 30, ..Stdio::default() };
    let exec = Exec { target: Some(target("c", "e")), plan: Some(exec), stdio: Some(stdio) };
    let told = wire.ask(Ask::Exec(exec));
    assert!(matches!(told, Tell::Started(_)), "{told:?}");
    assert_eq!(String::from_utf8_lossy(&read_output(&mut viewer).0), "30 90\r\n");
    assert_eq!(wait_exit(&mut wire, "c", "e").1.code, Some(6));
    wire.done(signal("c", 15, false));
    let exit = wait_exit(&mut wire, "c", "").1;
    assert_eq!((exit.code, exit.oom), (Some(5), false));
    let log: Vec<String> = bench.log("c").into_iter().map(|(_, text)| text).collect();
    assert_eq!(log[0], "pid 1\\n");
    println!("oom_score_adj {}", log[1]);
    wire.done(Ask::Remove(target("c", "")));
}

const TALKER: &str = "i=0; while [ $i -lt 800 ]; do echo line $i; i=$((i+1)); sleep 0.001; done; \
                      read a; echo got $a; stty size; exit 42";

fn check_terminal(bench: &Bench, size: &str) {
    let log: Vec<String> = bench.log("c").into_iter().map(|(_, text)| text).collect();
    for (n, text) in log[..800].iter().enumerate() {
        assert_eq!(*text, format!("line {n}\\r\\n"));
    }
    // The terminal echoes what was typed.
    assert_eq!(log[800..], ["typed\\r\\n", "got typed\\r\\n", &format!("{size}\\r\\n")]);
}

fn type_and_resize(bench: &Bench, wire: &mut Wire) {
    let resize = Resize { target: Some(target("c", "")), width: 101, height: 33 };
    wire.done(Ask::Resize(resize));
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("c", "", true));
    while !bench.log("c").iter().any(|(_, text)| text.starts_with("line 799")) {
        std::thread::sleep(Duration::from_millis(20));
    }
    viewer.send_bytes(&protocol::encode(&Input { bytes: b"typed\n".to_vec(), end: false }), &[]);
    let (out, _) = read_output(&mut viewer);
    assert!(String::from_utf8_lossy(&out).ends_with("got typed\r\n33 101\r\n"));
}

fn terminal() -> Stdio {
    Stdio { terminal: true, stdin: true, width: 80, height: 24, ..Stdio::default() }
}

fn terminal_killed() {
    if !is_possible() {
        return;
    }
    let mut bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    started(wire.ask(Ask::Start(plan_start(&bench, "c", TALKER, terminal(), None))));
    hands.take_aside(&mut wire);
    for round in 0..10_u64 {
        std::thread::sleep(Duration::from_millis(20 + round * 7));
        bench.kill();
        bench.revive();
        wire = hands.connect(&bench);
    }
    type_and_resize(&bench, &mut wire);
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(42));
    check_terminal(&bench, "33 101");
}

fn terminal_upgraded() {
    if !is_possible() {
        return;
    }
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    started(wire.ask(Ask::Start(plan_start(&bench, "c", TALKER, terminal(), None))));
    let own = std::env::current_exe().expect("own path").to_string_lossy().into_owned();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(30));
        wire.done(Ask::Upgrade(own.clone()));
    }
    type_and_resize(&bench, &mut wire);
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(42));
    check_terminal(&bench, "33 101");
}

fn out_of_memory() {
    if !is_possible() {
        return;
    }
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let script = "x=$(head -c 4000000 /dev/zero | tr '\\0' x); while :; do x=$x$x; done";
    started(wire.ask(Ask::Start(plan_start(&bench, "c", script, Stdio::default(), Some(16 << 20)))));
    let mut noticed = false;
    let exit = loop {
        let Tell::Event(event) = wire.next() else { continue };
        match event.what {
            Some(Happening::OutOfMemory(_)) => noticed = true,
            Some(Happening::Exited(exited)) => break exited.exit.expect("exit"),
            _ => {}
        }
    };
    assert_eq!((exit.code, exit.oom, noticed), (Some(137), true, true));
}

fn pause_and_kill() {
    if !is_possible() {
        return;
    }
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    started(wire.ask(Ask::Start(plan_start(
        &bench,
        "c",
        "while :; do echo x; sleep 0.005; done",
        Stdio::default(),
        None,
    ))));
    std::thread::sleep(Duration::from_millis(100));
    wire.done(Ask::Pause(Pause { container: "c".into(), frozen: true }));
    std::thread::sleep(Duration::from_millis(50));
    let before = bench.log("c").len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(bench.log("c").len(), before);
    wire.done(signal("c", 9, false));
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(137));
}
