//! Death at every system call: whatever the supervisor was about to do, nothing is lost or doubled afterwards. Needs strace.

use std::process::Command;

use protocol::{Ask, Empty, Happening, Restart, RestartName, Tell};

use crate::Case;
use crate::bench::{Bench, wait_exit};
use crate::deaths::{Hands, check_lines};
use crate::wire::Wire;

pub(crate) const CASES: &[Case] =
    &[("killed_at_every_call", killed_at_every_call), ("killed_in_a_restart", killed_in_a_restart)];

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
        told.then(|| watch(&mut wire, &mut hands))
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
            assert_eq!(watch(&mut wire, &mut hands), Some(42), "{name} {count}");
            check_lines(&bench, "c", LINES);
        }
        return true;
    };
    if ended.is_none() {
        bench.revive();
        let mut wire = hands.connect(&bench);
        assert_eq!(watch(&mut wire, &mut hands), Some(42), "{name} {count}");
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
fn watch(wire: &mut Wire, hands: &mut Hands) -> Option<i32> {
    loop {
        let tell = match wire.aside.pop_front() {
            Some(tell) => tell,
            None => wire.receive()?.tell?,
        };
        if let Some(Tell::Event(event)) = hands.hear(wire, tell)
            && let Some(Happening::Exited(exited)) = event.what
        {
            return Some(exited.exit.expect("exit").code.expect("known"));
        }
    }
}

/// The policy's start that was under way is undone, and made again; whether the daemon has acknowledged the end before or not.
fn killed_in_a_restart() {
    if Command::new("strace").arg("-V").output().is_err() {
        return println!("skipped: needs strace");
    }
    for acknowledged in [false, true] {
        // The second clone is the first restart.
        let mut bench = Bench::dying_at("clone3", 2);
        let mut hands = Hands::default();
        let mut wire = hands.connect(&bench);
        let mut start = bench.start("c", "echo life; exit 5");
        start.restart = Some(Restart { name: RestartName::OnFailure as i32, maximum: 2 });
        assert!(matches!(wire.ask(Ask::Start(start)), Tell::Started(_)));
        hands.take_aside(&mut wire);
        let (event, _) = wait_exit(&mut wire, "c", "");
        if acknowledged {
            wire.done(Ask::Acknowledge(event.number));
        }
        while wire.receive().is_some() {}
        bench.bury();
        bench.revive();
        let mut wire = hands.connect(&bench);
        loop {
            let Tell::Event(event) = wire.next() else { continue };
            match event.what {
                Some(Happening::Exited(exited)) if !exited.restarting => break,
                Some(Happening::RestartFailed(failure)) => panic!("{failure:?}"),
                _ => {}
            }
        }
        assert_eq!(bench.log("c").len(), 3, "acknowledged: {acknowledged}");
        let Tell::Containers(list) = wire.ask(Ask::List(Empty {})) else { panic!("list") };
        assert_eq!(list.containers[0].restarts, 2);
    }
}
