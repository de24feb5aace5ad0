//! The supervisor is killed, and upgraded, while containers talk.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use protocol::{Adopt, Ask, Empty, Happening, Held, Input, Restart, RestartName, Stdio, Tell};

use crate::Case;
use crate::bench::{Bench, attach, read_output, target, wait_exit};
use crate::wire::Wire;

pub(crate) const CASES: &[Case] = &[
    ("killed_ten_times", killed_ten_times),
    ("killed_with_rotation", killed_with_rotation),
    ("killed_without_daemon", killed_without_daemon),
    ("killed_while_restarting", killed_while_restarting),
    ("killed_between_two_lives", killed_between_two_lives),
    ("killed_with_an_old_life_held", killed_with_an_old_life_held),
    ("killed_with_a_hundred", killed_with_a_hundred),
    ("upgraded_ten_times", upgraded_ten_times),
    ("upgraded_with_a_hundred", upgraded_with_a_hundred),
    ("upgrade_refused", upgrade_refused),
];

/// Lines as fast as a shell can, for about `seconds`.
fn talker(lines: u32) -> String {
    format!("i=0; while [ $i -lt {lines} ]; do echo line $i; i=$((i+1)); sleep 0.001; done; exit 42")
}

/// What a daemon holds.
#[derive(Default)]
pub(crate) struct Hands {
    held: HashMap<String, (Held, Vec<OwnedFd>)>,
}

impl Hands {
    /// Connects, gives what is held, subscribes, and takes duplicates.
    pub(crate) fn connect(&mut self, bench: &Bench) -> Wire {
        let mut wire = Wire::connect(&bench.root);
        wire.holds = true;
        let count = self.held.len();
        for (at, (held, fds)) in self.held.values().enumerate() {
            let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            let seq = wire.send(Ask::Adopt(Adopt { held: vec![held.clone()], more: at + 1 < count }), &fds);
            assert!(matches!(wire.answer(seq), Tell::Done(_)));
        }
        if count == 0 {
            wire.done(Ask::Adopt(Adopt::default()));
        }
        wire.done(Ask::Duplicate(Empty {}));
        wire.done(Ask::Subscribe(Empty {}));
        self.take_aside(&mut wire);
        wire
    }

    /// Subscribes at a supervisor that may die any time.
    pub(crate) fn try_greet(&mut self, mut wire: Wire) -> Option<Wire> {
        wire.holds = true;
        for ask in [Ask::Adopt(Adopt::default()), Ask::Duplicate(Empty {}), Ask::Subscribe(Empty {})] {
            let seq = wire.send(ask, &[]);
            wire.try_answer(seq)?;
        }
        self.take_aside(&mut wire);
        Some(wire)
    }

    /// Takes the duplicates that were told aside.
    pub(crate) fn take_aside(&mut self, wire: &mut Wire) {
        let aside = std::mem::take(&mut wire.aside);
        for tell in aside {
            if let Some(other) = self.hear(wire, tell) {
                wire.aside.push_back(other);
            }
        }
    }

    /// Takes and releases duplicates as told; anything else comes back.
    pub(crate) fn hear(&mut self, wire: &mut Wire, tell: Tell) -> Option<Tell> {
        let id = |held: &Held| held.target.as_ref().map_or(String::new(), |t| t.container.clone());
        match tell {
            Tell::Held(held) => {
                let fds = wire.fds.drain(..held.fds.len()).collect();
                self.held.insert(id(&held), (held, fds));
                None
            }
            Tell::Release(released) => {
                if released.fds.is_empty() || released.fds.iter().any(|name| name == "pidfd") {
                    self.held.remove(&id(&released));
                }
                None
            }
            other => Some(other),
        }
    }
}

pub(crate) fn check_lines(bench: &Bench, id: &str, lines: u32) {
    let log = bench.log(id);
    for (n, (_, text)) in log.iter().enumerate() {
        assert_eq!(*text, format!("line {n}\\n"), "entry {n} of {}", log.len());
    }
    assert_eq!(log.len(), lines as usize);
}

fn killed_ten_times() {
    let mut bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    wire.ask(Ask::Start(bench.start("c", &talker(1000))));
    hands.take_aside(&mut wire);
    for round in 0..10_u64 {
        std::thread::sleep(Duration::from_millis(40 + round * 13));
        bench.kill();
        bench.revive();
        wire = hands.connect(&bench);
    }
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(42));
    check_lines(&bench, "c", 1000);
}

fn killed_with_rotation() {
    let mut bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    let script = "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done; exit 42";
    let mut start = bench.start("c", script);
    if let Some(log) = &mut start.log {
        (log.max_bytes, log.max_files) = (100_000, 99);
    }
    wire.ask(Ask::Start(start));
    hands.take_aside(&mut wire);
    for round in 0..20_u64 {
        std::thread::sleep(Duration::from_millis(3 + round));
        bench.kill();
        bench.revive();
        wire = hands.connect(&bench);
    }
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(42));
    check_lines(&bench, "c", 60_000);
}

/// Nobody held anything: the container itself does. Nothing breaks, and not a line is lost.
fn killed_without_daemon() {
    let mut bench = Bench::new();
    let mut wire = bench.connect();
    let mut start = bench.start("c", &format!("read a; echo $a >&2; {}", talker(600)));
    start.stdio = Some(Stdio { stdin: true, ..Stdio::default() });
    wire.ask(Ask::Start(start));
    drop(wire);
    let mut type_it = Some(Input { bytes: b"typed\n".to_vec(), end: false });
    for round in 0..6 {
        std::thread::sleep(Duration::from_millis(50));
        bench.kill();
        std::thread::sleep(Duration::from_millis(50));
        bench.revive();
        drop(bench.connect());
        if round == 1
            && let Some(input) = type_it.take()
        {
            let mut viewer = Wire::connect(&bench.root);
            viewer.ask(attach("c", "", true));
            viewer.send_bytes(&protocol::encode(&input), &[]);
        }
    }
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let code = wait_exit(&mut wire, "c", "").1.code;
    assert!(code.is_none() || code == Some(42), "unknown, never wrong: {code:?}");
    let mut log = bench.log("c");
    assert_eq!(log.remove(0), ("stderr".to_owned(), "typed\\n".to_owned()));
    assert!(log.iter().zip(0..).all(|((_, text), n)| *text == format!("line {n}\\n")));
    assert_eq!(log.len(), 600);
}

fn killed_while_restarting() {
    let mut bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    let mut start = bench.start("c", "echo again; exit 5");
    start.restart = Some(Restart { name: RestartName::OnFailure as i32, maximum: 3 });
    wire.ask(Ask::Start(start));
    std::thread::sleep(Duration::from_millis(50));
    bench.kill();
    bench.revive();
    wire = hands.connect(&bench);
    let mut ended = 0;
    loop {
        let Tell::Event(event) = wire.next() else { continue };
        if let Some(Happening::Exited(exited)) = event.what {
            assert_eq!(exited.exit.and_then(|exit| exit.code), Some(5));
            ended += 1;
            if !exited.restarting {
                break;
            }
        }
    }
    assert_eq!(ended, 4);
    assert_eq!(bench.log("c").len(), 4);
}

/// Between two lives nobody but supervisor and daemon has the network: the policy cannot go on without, and says so.
fn killed_between_two_lives() {
    let mut bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    let network = std::fs::File::open("/proc/self/ns/net").expect("a namespace");
    let mut start = bench.start("c", "exit 5");
    start.restart = Some(Restart { name: RestartName::Always as i32, maximum: 0 });
    start.fds = vec!["net".into()];
    let seq = wire.send(Ask::Start(start), &[network.as_fd()]);
    assert!(matches!(wire.answer(seq), Tell::Started(_)));
    wait_exit(&mut wire, "c", "");
    bench.kill();
    bench.revive();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    loop {
        let Tell::Event(event) = wire.next() else { continue };
        if let Some(Happening::RestartFailed(failure)) = event.what {
            assert!(failure.message.contains("\"net\" was lost"), "{failure:?}");
            break;
        }
    }
}

/// The daemon has not heard of the second life yet and hands over what it holds of the first.
fn killed_with_an_old_life_held() {
    let mut bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    let mark = format!("{}/second", bench.root);
    let script = format!("[ -e {mark} ] || {{ touch {mark}; exit 1; }}; {}", talker(300));
    let mut start = bench.start("c", &script);
    start.restart = Some(Restart { name: RestartName::OnFailure as i32, maximum: 1 });
    assert!(matches!(wire.ask(Ask::Start(start)), Tell::Started(_)));
    hands.take_aside(&mut wire);
    while bench.log("c").len() < 50 {
        std::thread::sleep(Duration::from_millis(5));
    }
    bench.kill();
    bench.revive();
    let mut wire = hands.connect(&bench);
    loop {
        let (event, exit) = wait_exit(&mut wire, "c", "");
        if let Some(Happening::Exited(exited)) = event.what
            && !exited.restarting
        {
            assert_eq!(exit.code, Some(42));
            break;
        }
    }
    check_lines(&bench, "c", 300);
}

fn killed_with_a_hundred() {
    let mut bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    start_hundred(&bench, &mut wire);
    hands.take_aside(&mut wire);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(200));
        bench.kill();
        bench.revive();
        wire = hands.connect(&bench);
    }
    end_hundred(&bench, &mut wire);
}

fn start_hundred(bench: &Bench, wire: &mut Wire) {
    for n in 0..100 {
        let script = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 42";
        let told = wire.ask(Ask::Start(bench.start(&format!("c{n}"), script)));
        assert!(matches!(told, Tell::Started(_)), "{told:?}");
    }
}

fn end_hundred(bench: &Bench, wire: &mut Wire) {
    let mut left: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    while !left.is_empty() {
        let Tell::Event(event) = wire.next() else { continue };
        let Some(Happening::Exited(exited)) = event.what else { continue };
        assert_eq!(exited.exit.and_then(|exit| exit.code), Some(42));
        left.retain(|id| event.target != Some(target(id, "")));
    }
    for n in 0..100 {
        check_lines(bench, &format!("c{n}"), 40);
    }
}

/// Attached clients and subscribers do not notice.
fn upgraded_ten_times() {
    let bench = Bench::new();
    let mut hands = Hands::default();
    let mut wire = hands.connect(&bench);
    let mut viewer = Wire::connect(&bench.root);
    viewer.ask(attach("c", "", true));
    let script = format!("read a; echo got $a >&2; {}", talker(500));
    let mut start = bench.start("c", &script);
    start.stdio = Some(Stdio { stdin: true, ..Stdio::default() });
    wire.ask(Ask::Start(start));
    let pid = bench.supervisor.id();
    let own = std::env::current_exe().expect("own path").to_string_lossy().into_owned();
    for round in 0..10 {
        std::thread::sleep(Duration::from_millis(30));
        if round == 5 {
            let input = Input { bytes: b"input\n".to_vec(), end: false };
            viewer.send_bytes(&protocol::encode(&input), &[]);
        }
        wire.done(Ask::Upgrade(own.clone()));
    }
    assert_eq!(bench.supervisor.id(), pid);
    let (out, err) = read_output(&mut viewer);
    let expected: String = (0..500).map(|n| format!("line {n}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&out), expected);
    assert_eq!(err, b"got input\n");
    assert_eq!(wait_exit(&mut wire, "c", "").1.code, Some(42));
}

fn upgraded_with_a_hundred() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    wire.done(Ask::Subscribe(Empty {}));
    start_hundred(&bench, &mut wire);
    let own = std::env::current_exe().expect("own path").to_string_lossy().into_owned();
    for _ in 0..5 {
        wire.done(Ask::Upgrade(own.clone()));
        std::thread::sleep(Duration::from_millis(50));
    }
    end_hundred(&bench, &mut wire);
}

fn upgrade_refused() {
    let bench = Bench::new();
    let mut wire = bench.connect();
    for bad in ["/no/such/program", "relative", "/etc/passwd"] {
        let told = wire.ask(Ask::Upgrade(bad.into()));
        assert!(matches!(told, Tell::Failed(_)), "{told:?}");
    }
    // From a shell.
    let own = std::env::current_exe().expect("own path");
    for (program, works) in [(own.to_string_lossy().into_owned(), true), ("/no/such".to_owned(), false)] {
        let status = std::process::Command::new(&own)
            .args(["supervisor", "--root", &bench.root, "--upgrade", &program])
            .stderr(std::process::Stdio::null())
            .status();
        assert_eq!(status.expect("status").success(), works, "{program}");
    }
    wire.done(Ask::Shutdown(Empty {}));
}
