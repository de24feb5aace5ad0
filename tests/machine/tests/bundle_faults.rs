//! Whatever fails or dies on the way of the runtime's commands: one sentence, the right code, and nothing that `delete --force`
//! does not remove.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Bundle, Ran};

/// A command at a place of the system calls it makes: which call, and the how-manieth of its kind.
type Place = (String, usize);

/// Runs the runtime's words under strace, for no longer than a while.
fn traced(b: &Bundle, options: &[&str], words: &[&str]) -> Ran {
    let runtime = b.command(words);
    let file = |name: &str| b.directory().join(name);
    let make = |name: &str| fs::File::create(file(name)).unwrap();
    let mut strace = Command::new("strace");
    strace.arg("-o").arg(file("trace")).args(["-e", "signal=none"]).args(options);
    strace.arg(runtime.get_program()).args(runtime.get_args());
    strace.current_dir(b.directory()).stdin(Stdio::null()).stdout(make("out")).stderr(make("err"));
    let mut child = strace.spawn().unwrap();
    let deadline = Instant::now() + testkit::slow(Duration::from_secs(20));
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("{options:?} {words:?} does not end");
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let read = |name: &str| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
    Ran { code: status.code().unwrap_or(-1), out: read("out"), err: read("err") }
}

/// Where a command can be interrupted. With `-f` also its children, each by its own count.
fn places(b: &Bundle, options: &[&str], words: &[&str]) -> Vec<Place> {
    traced(b, options, words);
    let trace = fs::read_to_string(b.directory().join("trace")).unwrap();
    let mut counts = std::collections::BTreeMap::<(&str, &str), usize>::new();
    for line in trace.lines() {
        let (process, call) =
            if options.contains(&"-f") { line.split_once(' ').unwrap() } else { ("", line) };
        let name = call.trim_start().split('(').next().unwrap();
        if call.contains('(') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *counts.entry((process, name)).or_default() += 1;
        }
    }
    let mut places: Vec<Place> =
        counts.iter().flat_map(|((_, name), count)| (1..=*count).map(|n| ((*name).to_owned(), n))).collect();
    places.sort();
    places.dedup();
    places
}

/// Does something at every place of a command, on both processors, each with a bundle of its own.
fn everywhere(
    options: &[&str],
    words: &[&str],
    script: &str,
    prepare: fn(&Bundle),
    at: &(dyn Fn(&Bundle, usize, &Place) + Sync),
) {
    let new = || {
        let b = Bundle::new();
        let mut document = b.document(script);
        document["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
        document["linux"]["resources"]["pids"] = json!({"limit": 100});
        b.write(&document);
        b
    };
    let first = new();
    prepare(&first);
    let places = places(&first, options, words);
    first.runtime(&["delete", "--force", "c1"]).ok();
    assert!(places.len() > 20, "{places:?}");
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let (places, new) = (&places, &new);
            scope.spawn(move || {
                let b = new();
                for (index, place) in places.iter().enumerate().filter(|(index, _)| index % 2 == half) {
                    prepare(&b);
                    at(&b, index, place);
                    let said = b.runtime(&["delete", "--force", "c1"]);
                    assert!(said.code == 0 && said.err.is_empty(), "{words:?} {place:?}: {}", said.err);
                    assert_eq!(b.left(), [""; 0], "{words:?} {place:?}");
                }
            });
        }
    });
}

/// Kills the runtime as it enters each of its system calls.
fn killed_everywhere(words: &[&str], script: &str, prepare: fn(&Bundle)) {
    everywhere(&[], words, script, prepare, &|b, _, (call, n)| {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={n}"));
        traced(b, &["-e", &trace, "-e", &inject], words);
        // Whatever is there now, it can be asked about.
        let state = b.runtime(&["state", "c1"]);
        assert!(
            state.code == 0 || state.err.contains("does not exist"),
            "{words:?} {call} {n}: {}",
            state.err
        );
        fs::create_dir_all(b.directory().join("state")).unwrap();
        let list = b.runtime(&["list"]);
        assert!(list.code == 0 && list.err.is_empty(), "{words:?} {call} {n}: {}", list.err);
    });
}

fn nothing(_: &Bundle) {}

fn created(b: &Bundle) {
    b.runtime(&["create", "c1"]).ok();
}

fn running(b: &Bundle) {
    b.runtime(&["run", "-d", "c1"]).ok();
}

pub(crate) fn create_is_killed() {
    killed_everywhere(&["create", "c1"], "sleep 1000", nothing);
}

pub(crate) fn run_is_killed() {
    killed_everywhere(&["run", "c1"], "true", nothing);
}

pub(crate) fn start_is_killed() {
    killed_everywhere(&["start", "c1"], "sleep 1000", created);
}

pub(crate) fn exec_is_killed() {
    killed_everywhere(&["exec", "c1", "true"], "sleep 1000", running);
}

pub(crate) fn delete_is_killed() {
    killed_everywhere(&["delete", "--force", "c1"], "sleep 1000", running);
}

/// What a language's start and end need is not ours to survive, and some calls cannot fail.
const UNTOUCHED: [&str; 26] = [
    "arch_prctl",
    "brk",
    "clock_nanosleep",
    "close",
    "execve",
    "exit",
    "exit_group",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "mmap",
    "mprotect",
    "munmap",
    "poll",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "umask",
];

/// Each system call of a start is refused once, with one of these reasons.
pub(crate) fn every_call_is_refused() {
    const REASONS: [&str; 5] = ["ENOSPC", "EMFILE", "ENOMEM", "EPERM", "EIO"];
    everywhere(&["-f"], &["run", "c1"], "true", nothing, &|b, index, (call, n)| {
        if UNTOUCHED.contains(&call.as_str()) || call == "uname" || call == "sched_getaffinity" {
            return;
        }
        let reason = REASONS[index % REASONS.len()];
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={reason}:when={n}"));
        let said = traced(b, &["-f", "-e", &trace, "-e", &inject], &["run", "c1"]);
        let place = format!("{call} {n} {reason}: {} {}", said.code, said.err);
        match said.code {
            0 => {}
            1 => {
                assert!(said.err.starts_with("berth-runtime: ") && said.err.lines().count() == 1, "{place}");
                // What could not be removed stays for `delete --force`.
                assert!(said.err.contains(": remove ") || b.left().is_empty(), "{place}: {:?}", b.left());
            }
            _ => panic!("{place}"),
        }
    });
}

/// Each step of a plan fails once.
pub(crate) fn every_step_fails() {
    let b = Bundle::new();
    let mut document = b.document("sleep 1000");
    document["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
    document["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    for words in [["create", "c1"], ["run", "-d"]] {
        let words: Vec<&str> = if words[0] == "run" { vec!["run", "-d", "c1"] } else { words.to_vec() };
        let fails = |step: &usize| {
            document["annotations"] = json!({"berth.fault-step": step.to_string()});
            b.write(&document);
            let said = b.runtime(&words);
            if said.code == 0 {
                return false;
            }
            assert_eq!((said.code, said.err.lines().count()), (1, 1), "step {step}: {}", said.err);
            assert!(said.err.contains("fault"), "step {step}: {}", said.err);
            assert_eq!(b.left(), [""; 0], "{words:?}, step {step}");
            true
        };
        let mut fails = fails;
        let steps = (0..500).take_while(|step| fails(step)).count();
        assert!((25..500).contains(&steps), "{steps} steps failed");
        b.runtime(&["delete", "--force", "c1"]).ok();
        assert_eq!(b.left(), [""; 0]);
    }
}

fn mount(words: &[&str]) {
    assert!(Command::new("mount").args(words).status().unwrap().success(), "mount {words:?}");
}

/// The place of states has room for ever more, until it is enough.
pub(crate) fn state_on_a_full_disk() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    let state = b.directory().join("state");
    fs::create_dir(&state).unwrap();
    let place = state.display().to_string();
    for kind in ["nr_inodes", "nr_blocks"] {
        let mut room = 0;
        loop {
            room += 1;
            assert!(room < 20, "never enough {kind}");
            mount(&["-t", "tmpfs", "-o", &format!("{kind}={room}"), "berth-test", &place]);
            let said = b.runtime(&["create", "c1"]);
            let left = if said.code == 0 { Vec::new() } else { b.left() };
            b.runtime(&["delete", "--force", "c1"]).ok();
            assert!(Command::new("umount").arg(&place).status().unwrap().success());
            if said.code == 0 {
                break;
            }
            assert_eq!((said.code, said.err.lines().count()), (1, 1), "{kind} {room}: {}", said.err);
            assert!(said.err.contains("no space left on device"), "{kind} {room}: {}", said.err);
            assert_eq!(left, [""; 0], "{kind} {room}");
        }
        assert!(room > 1, "one of {kind} was enough: this tests nothing");
    }
    mount(&["-t", "tmpfs", "-o", "ro", "berth-test", &place]);
    let said = b.runtime(&["create", "c1"]);
    assert!(Command::new("umount").arg(&place).status().unwrap().success());
    assert!(said.code == 1 && said.err.contains("read-only file system"), "{}", said.err);
    fs::remove_dir(&state).unwrap();
    fs::write(&state, "").unwrap();
    let said = b.runtime(&["create", "c1"]);
    assert!(said.code == 1 && said.err.contains("state"), "{}", said.err);
    fs::remove_file(&state).unwrap();
    assert_eq!(b.left(), [""; 0]);
}

/// Somebody deletes what somebody else is making.
pub(crate) fn deleted_while_it_is_made() {
    let b = Bundle::new();
    b.write(&b.document("sleep 1000"));
    for round in 0..40_u64 {
        let mut create = b.command(&["create", "c1"]);
        let mut create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(round * 500));
        let said = b.runtime(&["delete", "--force", "c1"]);
        assert!(matches!(said.code, 0 | 1) && !said.err.contains("panicked"), "{}", said.err);
        create.wait().unwrap();
        b.runtime(&["delete", "--force", "c1"]).ok();
        assert_eq!(b.left(), [""; 0], "round {round}");
    }
}
