//! Start, output, input, exit, restart, refusals.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio as Std;
use std::time::{Duration, Instant};

use protocol::plan::{ExecPlan, Namespace, NamespaceKind, Process};
use protocol::{Ask, Empty, Exec, Happening, Input, Restart, RestartName, Signal, Stdio, Tell, Update};

use crate::Case;
use crate::bench::{Bench, attach, read_output, target, wait_exit};
use crate::wire::Wire;

pub(crate) const CASES: &[Case] = &[
    ("start_log_attach_exit_remove", start_log_attach_exit_remove),
    ("input_ends_once", input_ends_once),
    ("input_before_start", input_before_start),
    ("exec_beside", exec_beside),
    ("missing_program", missing_program),
    ("hung_program_stops_nobody", hung_program_stops_nobody),
    ("policy_gives_up", policy_gives_up),
    ("hold_stops_restarts", hold_stops_restarts),
    ("update_leaves_a_pending_restart", update_leaves_a_pending_restart),
    ("starts_know_what_came_before", starts_know_what_came_before),
    ("stuck_client", stuck_client),
    ("long_lines_and_odd_bytes", long_lines_and_odd_bytes),
    ("strangers_and_doubles", strangers_and_doubles),
    ("other_users_are_refused", other_users_are_refused),
    ("joins_another_container", joins_another_container),
    ("events_wait_for_a_daemon", events_wait_for_a_daemon),
    ("many_are_cheap", many_are_cheap),
];

fn start_log_attach_exit_remove() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut viewer = Wire::connect(&bench.root);
    assert!(matches!(viewer.ask(attach("c1", "", false)), Tell::Attached(_)));
    let started = wire.ask(Ask::Start(bench.start("c1", "echo hello; echo oops >&2; exit 3")));
    let Tell::Started(started) = started else { panic!("{started:?}") };
    assert!(started.pid > 1 && started.at_ns > 0);
    assert_eq!(read_output(&mut viewer), (b"hello\n".to_vec(), b"oops\n".to_vec()));
    let (event, exit) = wait_exit(&mut wire, "c1", "");
    assert_eq!(exit.code, Some(3));
    let mut log = bench.log("c1");
    log.sort();
    let line = |stream: &str, text: &str| (stream.to_owned(), format!("{text}\\n"));
    assert_eq!(log, [line("stderr", "oops"), line("stdout", "hello")]);
    let Tell::Containers(list) = wire.ask(Ask::List(Empty {})) else { panic!("list") };
    assert_eq!(list.containers.len(), 1);
    assert_eq!((list.containers[0].pid, list.containers[0].exit), (0, Some(exit)));
    wire.done(Ask::Acknowledge(event.number));
    wire.done(Ask::Remove(target("c1", "")));
    let gone = wire.ask(Ask::Remove(target("c1", "")));
    assert!(matches!(&gone, Tell::Failed(failure) if failure.kind == "NotFound"), "{gone:?}");
    wire.done(Ask::Shutdown(Empty {}));
}

fn input_ends_once() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut start = bench.start("cat", "cat; exit 7");
    start.stdio = Some(Stdio { stdin: true, stdin_once: true, ..Stdio::default() });
    assert!(matches!(wire.ask(Ask::Start(start)), Tell::Started(_)));
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("cat", "", true));
    let text = "0123456789".repeat(50_000).into_bytes();
    for chunk in text.chunks(30_000) {
        viewer.send_bytes(&protocol::encode(&Input { bytes: chunk.to_vec(), end: false }), &[]);
    }
    viewer.send_bytes(&protocol::encode(&Input { bytes: Vec::new(), end: true }), &[]);
    let (out, _) = read_output(&mut viewer);
    assert_eq!(out.len(), text.len());
    assert_eq!(out, text);
    assert_eq!(wait_exit(&mut wire, "cat", "").1.code, Some(7));
}

fn input_before_start() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("c", "", true));
    viewer.send_bytes(&protocol::encode(&Input { bytes: b"early\n".to_vec(), end: true }), &[]);
    std::thread::sleep(Duration::from_millis(50));
    let mut start = bench.start("c", "cat");
    start.stdio = Some(Stdio { stdin: true, stdin_once: true, ..Stdio::default() });
    assert!(matches!(wire.ask(Ask::Start(start)), Tell::Started(_)));
    assert_eq!(read_output(&mut viewer).0, b"early\n");
}

fn exec_beside() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    wire.ask(Ask::Start(bench.start("c", "exec sleep 100")));
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("c", "e1", true));
    let process = Process {
        args: ["/bin/sh", "-c", "cat; echo done >&2; kill -9 $$"].map(str::to_owned).into(),
        cwd: "/".into(),
        ..Process::default()
    };
    let plan = ExecPlan {
        container: "c".into(),
        process: Some(process),
        namespaces: vec![NamespaceKind::Uts as i32],
        ..ExecPlan::default()
    };
    let exec = Exec {
        target: Some(target("c", "e1")),
        plan: Some(plan),
        stdio: Some(Stdio { stdin: true, ..Stdio::default() }),
    };
    let started = wire.ask(Ask::Exec(exec));
    assert!(matches!(started, Tell::Started(_)), "{started:?}");
    viewer.send_bytes(&protocol::encode(&Input { bytes: b"in\n".to_vec(), end: true }), &[]);
    assert_eq!(read_output(&mut viewer), (b"in\n".to_vec(), b"done\n".to_vec()));
    let (event, exit) = wait_exit(&mut wire, "c", "e1");
    assert_eq!(exit.code, Some(137));
    wire.done(Ask::Acknowledge(event.number));
    let signal = Signal { target: Some(target("c", "")), signal: 15, all: false };
    wire.done(Ask::Signal(signal));
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(143));
}

fn missing_program() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    let mut start = bench.start("c", "");
    if let Some(process) = start.plan.as_mut().and_then(|plan| plan.process.as_mut()) {
        process.args = vec!["/no/such/program".into()];
    }
    let told = wire.ask(Ask::Start(start));
    assert!(matches!(&told, Tell::Failed(failure) if failure.exit_code == 127), "{told:?}");
    let Tell::Containers(list) = wire.ask(Ask::List(Empty {})) else { panic!("list") };
    assert!(list.containers.is_empty());
}

/// A program on a file system that does not answer (here: a file under a lease) keeps only its own container waiting.
fn hung_program_stops_nobody() {
    let lease = "import fcntl, os, signal, sys; signal.signal(signal.SIGIO, signal.SIG_IGN); \
                 fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK); print('leased', flush=True); \
                 sys.stdin.read()";
    let bench = Bench::new();
    let program = format!("{}/program", bench.root);
    std::fs::copy("/bin/true", &program).expect("copy");
    let mut python = std::process::Command::new("python3");
    python.args(["-c", lease, &program]).stdin(Std::piped()).stdout(Std::piped());
    let Ok(mut holder) = python.spawn() else { return println!("skipped: needs python3") };
    let mut word = [0; 6];
    holder.stdout.as_mut().expect("stdout").read_exact(&mut word).expect("the lease is taken");
    let mut wire = bench.connect();
    let mut start = bench.start("hung", "");
    if let Some(process) = start.plan.as_mut().and_then(|plan| plan.process.as_mut()) {
        process.args = vec![program];
    }
    let hung = wire.send(Ask::Start(start), &[]);
    let begin = Instant::now();
    let mut other = Wire::connect(&bench.root);
    let told = other.ask(Ask::Start(bench.start("c", "exit 0")));
    assert!(matches!(told, Tell::Started(_)), "{told:?}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // Its input ends: it goes, and the lease with it.
    drop(holder.stdin.take());
    assert!(matches!(wire.answer(hung), Tell::Started(_)));
    holder.wait().expect("wait");
}

fn policy_gives_up() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut start = bench.start("c", "echo again; exit 5");
    start.restart = Some(Restart { name: RestartName::OnFailure as i32, maximum: 2 });
    wire.ask(Ask::Start(start));
    let begin = Instant::now();
    let mut restarted = 0;
    loop {
        let Tell::Event(event) = wire.next() else { continue };
        match event.what {
            Some(Happening::Restarted(_)) => restarted += 1,
            Some(Happening::Exited(exited)) if !exited.restarting => break,
            _ => {}
        }
    }
    assert_eq!(restarted, 2);
    assert!(begin.elapsed() >= Duration::from_millis(300), "100 ms and 200 ms of back-off");
    assert_eq!(bench.log("c").len(), 3);
}

fn hold_stops_restarts() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut start = bench.start("c", "sleep 100");
    start.restart = Some(Restart { name: RestartName::Always as i32, maximum: 0 });
    wire.ask(Ask::Start(start));
    wire.done(Ask::HoldRestart(target("c", "")));
    wire.done(Ask::Signal(Signal { target: Some(target("c", "")), signal: 9, all: false }));
    let (event, exit) = wait_exit(&mut wire, "c", "");
    let Some(Happening::Exited(exited)) = event.what else { panic!("exited") };
    assert_eq!((exit.code, exited.restarting), (Some(137), false));
}

/// Whoever was told that it will be started again can rely on it.
fn update_leaves_a_pending_restart() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut start = bench.start("c", "exit 1");
    start.restart = Some(Restart { name: RestartName::Always as i32, maximum: 0 });
    wire.ask(Ask::Start(start));
    wait_exit(&mut wire, "c", "");
    let no = Restart { name: RestartName::No as i32, maximum: 0 };
    wire.done(Ask::Update(Update { container: "c".into(), writes: Vec::new(), restart: Some(no) }));
    let (event, _) = wait_exit(&mut wire, "c", "");
    let Some(Happening::Exited(exited)) = event.what else { panic!("exited") };
    assert!(!exited.restarting);
}

fn starts_know_what_came_before() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut last = 0;
    for _ in 0..3 {
        let Tell::Started(started) = wire.ask(Ask::Start(bench.start("c", "exit 1"))) else {
            panic!("start")
        };
        assert_eq!(started.last_event, last);
        last = wait_exit(&mut wire, "c", "").0.number;
        let Tell::Containers(list) = wire.ask(Ask::List(Empty {})) else { panic!("list") };
        assert_eq!(list.last_event, last);
    }
}

/// One who does not read makes the container wait; when he goes, it goes on. Nothing is missing in the log.
fn stuck_client() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("c", "", false));
    wire.ask(Ask::Start(bench.start("c", "seq 1 300000")));
    std::thread::sleep(Duration::from_millis(300));
    let before = bench.log("c").len();
    assert!(before < 300_000, "the container was to wait");
    let kib = rss_kib(&bench);
    assert!(kib < 20_000, "{kib} KiB");
    drop(viewer);
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(0));
    let log = bench.log("c");
    assert_eq!(log.len(), 300_000);
    assert!(log.iter().zip(1..).all(|((_, text), n)| *text == format!("{n}\\n")));
}

fn long_lines_and_odd_bytes() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let script = r#"head -c 40000 /dev/zero | tr '\0' x; echo; printf '\377\t<end'"#;
    wire.ask(Ask::Start(bench.start("c", script)));
    wait_exit(&mut wire, "c", "");
    let lengths: Vec<_> = bench.log("c").iter().map(|(_, text)| text.len()).collect();
    assert_eq!(lengths, [16384, 16384, 40_000 - 2 * 16384 + 2, r"\ufffd\u0009\u003cend".len()]);
}

fn strangers_and_doubles() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    let mode = |path: &str| std::fs::metadata(path).expect(path).permissions().mode() & 0o777;
    assert_eq!(mode(&format!("{}/supervisor.sock", bench.root)), 0o600);
    assert_eq!(mode(&bench.root), 0o700);
    // Garbage closes the connection, and only that.
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[4, 0, 0, 0, 1, 2, 3, 4]] {
        let mut stranger = Wire::connect(&bench.root);
        stranger.send_bytes(garbage, &[]);
        assert!(stranger.receive().is_none());
    }
    let second = std::process::Command::new(std::env::current_exe().expect("own path"))
        .args(["supervisor", "--root", &bench.root])
        .output()
        .expect("second");
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("already runs"), "{second:?}");
    wire.ask(Ask::Start(bench.start("c", "sleep 100")));
    let double = wire.ask(Ask::Start(bench.start("c", "sleep 100")));
    assert!(matches!(&double, Tell::Failed(failure) if failure.kind == "Conflict"), "{double:?}");
    let busy = wire.ask(Ask::Shutdown(Empty {}));
    assert!(matches!(&busy, Tell::Failed(failure) if failure.kind == "Conflict"), "{busy:?}");
    let bad = wire.ask(Ask::Start(bench.start("../x", "true")));
    assert!(matches!(&bad, Tell::Failed(failure) if failure.kind == "InvalidInput"), "{bad:?}");
    wire.done(Ask::Signal(Signal { target: Some(target("c", "")), signal: 9, all: false }));
}

/// Even where the modes of directory and socket would let them in.
fn other_users_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    let bench = Bench::new();
    let wire = bench.connect();
    let socket = format!("{}/supervisor.sock", bench.root);
    for (path, mode) in [(&bench.root, 0o755), (&socket, 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    }
    let root = bench.root.clone();
    let stranger = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65_534);
        // Of this thread only.
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("become nobody");
        std::os::unix::net::UnixStream::connect(format!("{root}/supervisor.sock"))
            .expect("the modes allow it");
        Wire::try_connect(&root).is_some()
    });
    assert!(!stranger.join().expect("thread"), "a stranger was answered");
    drop(wire);
    bench.connect();
}

/// By the pidfd that the supervisor has of it, not by a pid that may be another's.
fn joins_another_container() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let start = |id: &str, path: &str| {
        let mut start = bench.start(id, "readlink /proc/self/ns/net; exec sleep 100");
        if let Some(plan) = &mut start.plan {
            plan.namespaces =
                vec![Namespace { kind: NamespaceKind::Net as i32, path: path.to_owned(), late: false }];
        }
        Ask::Start(start)
    };
    for (id, path) in [("a", ""), ("b", "fd:container:a")] {
        let told = wire.ask(start(id, path));
        assert!(matches!(told, Tell::Started(_)), "{told:?}");
        while bench.log(id).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let own = std::fs::read_link("/proc/self/ns/net").expect("link");
    assert_eq!(bench.log("a"), bench.log("b"));
    assert_ne!(bench.log("a")[0].1, format!("{}\\n", own.display()));
    for id in ["a", "b"] {
        wire.done(Ask::Signal(Signal { target: Some(target(id, "")), signal: 9, all: false }));
        wait_exit(&mut wire, id, "");
    }
    let told = wire.ask(start("c", "fd:container:a"));
    assert!(matches!(&told, Tell::Failed(failure) if failure.kind == "Conflict"), "{told:?}");
}

fn events_wait_for_a_daemon() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    for id in ["a", "b"] {
        wire.ask(Ask::Start(bench.start(id, "exit 1")));
    }
    std::thread::sleep(Duration::from_millis(200));
    drop(wire);
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let first = wait_exit(&mut wire, "a", "").0;
    wire.done(Ask::Acknowledge(first.number));
    drop(wire);
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let Tell::Event(event) = wire.next() else { panic!("event") };
    assert_eq!(event.target, Some(target("b", "")));
}

/// Resident memory of the supervisor that is nobody else's file.
fn rss_kib(bench: &Bench) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bench.supervisor.id())).expect("status");
    let rss = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    rss.trim().trim_end_matches(" kB").parse().expect("number")
}

fn fds(bench: &Bench) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", bench.supervisor.id())).expect("fd").count()
}

/// 200, or as many as `BERTH_MANY` says.
fn many_are_cheap() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    let many = std::env::var("BERTH_MANY").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let (fds_before, kib_before) = (fds(&bench), rss_kib(&bench));
    let begin = Instant::now();
    for n in 0..many {
        let told = wire.ask(Ask::Start(bench.start(&format!("c{n}"), "exec sleep 1000")));
        assert!(matches!(told, Tell::Started(_)), "{told:?}");
    }
    let each = |n: usize| n as f64 / many as f64;
    let (fds_each, kib_each) =
        (each(fds(&bench) - fds_before), each((rss_kib(&bench) - kib_before) as usize));
    println!("{many}: {fds_each} descriptors, {kib_each:.1} KiB, {:?} each", begin.elapsed() / many as u32);
    assert!(fds_each <= 5.0 && kib_each < 16.0);
    for n in 0..many {
        wire.done(Ask::Signal(Signal { target: Some(target(&format!("c{n}"), "")), signal: 9, all: false }));
    }
}
