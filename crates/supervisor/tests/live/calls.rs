//! Death at every system call: whatever the supervisor was about to do, nothing is lost or doubled afterwards. Needs strace.

use std::process::Command;

use protocol::{Ask, Empty, Happening, Tell};

use crate::Case;
use crate::bench::Bench;
use crate::deaths::{Hands, check_lines};
use crate::wire::Wire;

pub(crate) const CASES: &[Case] = &[("killed_at_every_call", killed_at_every_call)];

/// Calls that change something, and how often they come in one short life.
const CALLS: [(&str, u32); 9] = [
    ("pwrite64", 60),
    ("splice", 14),
    ("pread64", 16),
    ("rename", 12),
    ("ftruncate", 3),
    ("openat", 20),
    ("sendmsg", 12),
    ("waitid", 2),
    ("epoll_ctl", 14),
];
const LINES: u32 = 300;

fn killed_at_every_call() {
    if Command::new("strace").arg("-V").output().is_err() {
        return println!("skipped: needs strace");
    }
    let mut deaths = 0;
    for (name, most) in CALLS {
        for count in 1..=most {
            deaths += u32::from(dies_at(name, count));
        }
    }
    println!("{deaths} deaths survived");
    assert!(deaths > 60);
}

/// One life of a container under a supervisor that dies at this call. False: it did not come to that call.
fn dies_at(name: &str, count: u32) -> bool {
    let mut bench = Bench::dying_at(name, count);
    let mut hands = Hands::default();
    let told = Wire::try_for(&bench.root, 60).and_then(|wire| hands.try_greet(wire)).and_then(|mut wire| {
        let told = start(&bench, &mut wire);
        hands.take_aside(&mut wire);
        told.then(|| watch(&mut wire))
    });
    bench.bury();
    let Some(ended) = told else {
        // It died before it answered: the start was undone, and works the second time.
        bench.revive();
        let mut wire = hands.connect(&bench);
        let Tell::Containers(list) = wire.ask(Ask::List(Empty {})) else { panic!("list") };
        if let Some(container) = list.containers.first() {
            assert!(container.pid != 0 || container.exit.is_some(), "{name} {count}: {container:?}");
        } else {
            let _ = std::fs::remove_file(bench.log_path("c"));
            assert!(start(&bench, &mut wire), "{name} {count}");
            assert_eq!(watch(&mut wire), Some(42), "{name} {count}");
            check_lines(&bench, "c", LINES);
        }
        return true;
    };
    if ended.is_none() {
        bench.revive();
        let mut wire = hands.connect(&bench);
        assert_eq!(watch(&mut wire), Some(42), "{name} {count}");
    }
    check_lines(&bench, "c", LINES);
    ended.is_none()
}

fn start(bench: &Bench, wire: &mut Wire) -> bool {
    let script = format!("i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done; exit 42");
    let mut start = bench.start("c", &script);
    if let Some(log) = &mut start.log {
        (log.max_bytes, log.max_files) = (3000, 99);
    }
    let seq = wire.send(Ask::Start(start), &[]);
    match wire.try_answer(seq) {
        Some(Tell::Started(_)) => true,
        Some(other) => panic!("{other:?}"),
        None => false,
    }
}

/// The exit code, or `None` when the supervisor dies before it tells.
fn watch(wire: &mut Wire) -> Option<i32> {
    loop {
        let tell = match wire.aside.pop_front() {
            Some(tell) => tell,
            None => wire.receive()?.tell?,
        };
        if let Tell::Event(event) = tell
            && let Some(Happening::Exited(exited)) = event.what
        {
            return Some(exited.exit.expect("exit").code.expect("known"));
        }
    }
}
