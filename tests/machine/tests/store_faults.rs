//! The daemon is killed at system calls of whatever changes images: nothing that was there is lost, nothing is half there, and the
//! disk is as if it had not been asked. (That the store itself stands it at every call is replayed in its own tests; this is the whole
//! daemon, at the 1st, 3rd and 10th call of each name in one thread. `BERTH_TEST_FAULTS=all` takes each from the 1st on, up to the first
//! that the daemon did not come to, at most 399.)

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use testkit::{Daemon, Ran, Registry, tar_of};

/// Calls that change files, or are needed to.
const CALLS: [&str; 12] = [
    "openat",
    "write",
    "pwrite64",
    "mkdir",
    "chmod",
    "fchmod",
    "rename",
    "unlink",
    "unlinkat",
    "fsync",
    "fdatasync",
    "syncfs",
];

/// Of the calls of one name in one thread, these are looked at.
fn places() -> Vec<u32> {
    let all = std::env::var("BERTH_TEST_FAULTS").is_ok_and(|text| text == "all");
    if all { (1..400).collect() } else { vec![1, 3, 10] }
}

/// Something that changes images: how it is prepared, done, and seen to have been done.
struct Act {
    name: &'static str,
    prepare: fn(&Daemon, &Archives),
    act: fn(&Daemon, &Archives) -> Ran,
    /// A name that is there afterwards, or is not.
    image: &'static str,
    appears: bool,
}

/// Archives that were made once.
struct Archives {
    root: Vec<u8>,
    saved: Vec<u8>,
}

/// Where the registry is, in the test's own network.
const PORT: u16 = 5000;
/// What is pulled from it.
const PULLED: &str = "127.0.0.1:5000/pulled:1";

const ACTS: [Act; 6] = [
    Act {
        name: "load",
        prepare: |d, _| away(d, "saved"),
        act: |d, a| d.feed(&["load"], &a.saved),
        image: "saved",
        appears: true,
    },
    Act {
        name: "import",
        prepare: |d, _| away(d, "made"),
        act: |d, a| d.feed(&["import", "-", "made"], &a.root),
        image: "made",
        appears: true,
    },
    Act {
        name: "tag",
        prepare: |d, _| away(d, "tagged"),
        act: |d, _| d.berth(&["tag", "base", "tagged"]),
        image: "tagged",
        appears: true,
    },
    Act {
        name: "rmi",
        prepare: |d, a| drop(d.feed(&["load"], &a.saved).ok()),
        act: |d, _| d.berth(&["rmi", "-f", "saved"]),
        image: "saved",
        appears: false,
    },
    Act {
        name: "commit",
        prepare: |d, _| away(d, "committed"),
        act: |d, _| d.berth(&["commit", "wrote", "committed"]),
        image: "committed",
        appears: true,
    },
    Act {
        name: "pull",
        prepare: |d, _| away(d, PULLED),
        act: |d, _| d.berth(&["pull", PULLED]),
        image: PULLED,
        appears: true,
    },
];

fn away(d: &Daemon, image: &str) {
    d.berth(&["rmi", "-f", image]);
}

fn is_there(d: &Daemon, image: &str) -> bool {
    d.berth(&["image", "inspect", image]).code == 0
}

fn archives(d: &Daemon) -> Archives {
    let root = tar_of(&[
        ("etc/", b"", 0o755),
        ("etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644),
        ("s", &[1; 5000], 0o755),
    ]);
    let other = tar_of(&[("bin/", b"", 0o755), ("bin/x", &[7; 30_000], 0o755)]);
    assert_eq!(d.feed(&["import", "-", "base"], &root).code, 0);
    assert_eq!(d.feed(&["import", "-", "saved"], &other).code, 0);
    let saved = d.directory().join("saved.tar");
    d.berth(&["save", "-o", saved.to_str().unwrap(), "saved"]).ok();
    Archives { root: tar_of(&[("made", &[3; 9000], 0o644)]), saved: std::fs::read(saved).unwrap() }
}

/// Has strace do that to the daemon's next calls.
fn inject(d: &Daemon, call: &str, what: &str) -> Child {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}"));
    let pid = d.pid().to_string();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", "signal=none", "-e", &trace, "-e", &inject, "-p", &pid]);
    let mut child = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
    while !said.contains("attached") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "strace: {said}");
    }
    child
}

/// Politely asked, it would wait for threads of a daemon that is dead.
fn end(mut strace: Child) {
    strace.kill().unwrap();
    strace.wait().unwrap();
}

/// All is well, and nothing lies about.
fn sound(d: &Daemon, place: &str) {
    let root = d.data_root();
    let said = d.berth(&["store", "check", "--data-root", root.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{place}: {} {}", said.out, said.err);
    assert!(said.out.ends_with("all is well\n"), "{place}: {}", said.out);
    let litter = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".new");
    let found = std::fs::read_dir(&root).unwrap().map(Result::unwrap);
    assert_eq!(found.map(litter).filter(|is| *is).count(), 0, "{place}: a file that is not whole");
    assert_eq!(std::fs::read_dir(root.join("ingest")).unwrap().count(), 0, "{place}: unfinished work");
    assert!(is_there(d, "base"), "{place}: the image that was there is gone");
}

fn killed(name: &str) {
    let act = ACTS.iter().find(|act| act.name == name).unwrap();
    let mut d = Daemon::start();
    let archives = archives(&d);
    let registry = (name == "pull").then(|| pushed(&d));
    if name == "commit" {
        d.busybox();
        let script = "echo new >/etc/new; rm /etc/group";
        d.berth(&["run", "--name", "wrote", "busybox", "sh", "-c", script]).ok();
    }
    let mut deaths = 0;
    for call in CALLS {
        deaths +=
            places().into_iter().take_while(|number| dies(&mut d, &archives, act, call, *number)).count();
    }
    println!("{name}: killed at {deaths} places");
    assert!(deaths > 5, "{name}: only {deaths} places");
    drop(registry);
}

/// A registry that has an image, which is nowhere else any more.
fn pushed(d: &Daemon) -> Registry {
    let registry = Registry::start(PORT, &[]);
    d.berth(&["tag", "saved", PULLED]).ok();
    d.berth(&["push", PULLED]).ok();
    away(d, PULLED);
    away(d, "saved");
    registry
}

/// Has it killed at one place; false when it did not come there.
fn dies(d: &mut Daemon, archives: &Archives, act: &Act, call: &str, number: u32) -> bool {
    (act.prepare)(d, archives);
    let strace = inject(d, call, &format!("signal=KILL:when={number}"));
    let said = (act.act)(d, archives);
    let alive = said.code == 0 && is_there(d, "base");
    end(strace);
    if alive {
        return false;
    }
    let place = format!("{} killed at {call} {number}", act.name);
    d.kill();
    d.up();
    sound(d, &place);
    if said.code == 0 {
        assert_eq!(is_there(d, act.image), act.appears, "{place}: it was said to be done");
    }
    true
}

pub(crate) fn load_is_killed() {
    killed("load");
}

pub(crate) fn import_is_killed() {
    killed("import");
}

pub(crate) fn tag_is_killed() {
    killed("tag");
}

pub(crate) fn rmi_is_killed() {
    killed("rmi");
}

pub(crate) fn commit_is_killed() {
    killed("commit");
}

pub(crate) fn pull_is_killed() {
    killed("pull");
}
