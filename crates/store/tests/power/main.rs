//! Power cuts by replay: everything that a story of loads, tags, removals and deaths does to its disk is recorded, and after each of
//! its operations the power is cut, in many ways. The store must open on what is left, with all that was promised and nothing else
//! (docs/decisions/0013).
#![allow(clippy::disallowed_methods, reason = "tests run processes and make files")]

mod crash;
mod disk;
mod judge;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crash::{Fate, Replay};
use disk::{Disk, Operation};
use judge::Wanted;

/// States that are looked at when nobody asks for a number (`BERTH_POWER_STATES`).
const STATES: usize = 1_500;
/// Random fates for each moment, of all that there could be.
const RANDOM: u64 = 24;

/// Not a test of its own: the process that is recorded.
#[test]
fn story_of_a_process() {
    let (Ok(root), Ok(chapter)) = (std::env::var("BERTH_TEST_STORE"), std::env::var("BERTH_TEST_CHAPTER"))
    else {
        return;
    };
    story::tell(Path::new(&root), &chapter);
}

/// A directory in memory, gone at the end.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("berth-power-").tempdir_in(base).expect("scratch")
}

fn record(base: &Path) -> Disk {
    let mut disk = Disk::new();
    for chapter in story::CHAPTERS {
        record_chapter(&mut disk, base, chapter);
    }
    disk
}

fn record_chapter(disk: &mut Disk, base: &Path, chapter: &str) {
    let mut child = Command::new(std::env::current_exe().expect("own path"));
    child.args(["story_of_a_process", "--exact", "--nocapture", "--test-threads=1"]);
    child.env("BERTH_TEST_STORE", base.join("data")).env("BERTH_TEST_CHAPTER", chapter);
    trace::record(disk, base, &child);
}

/// What must be found after each number of operations, as the marks tell: `begin image a:1 ID` and `done image a:1 ID`.
fn wanted(disk: &Disk) -> Vec<Wanted> {
    let parts = |operation: &Operation| match operation {
        Operation::Mark(mark) => mark.split(' ').map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let marks: Vec<Vec<String>> = disk.operations.iter().map(parts).collect();
    let mut now = Wanted::default();
    // Before anything was said, nothing is there.
    for mark in marks.iter().filter(|mark| !mark.is_empty()) {
        table(&mut now, &mark[1]).insert(mark[2].clone(), BTreeSet::from([String::new()]));
    }
    let mut all = vec![now.clone()];
    for (at, mark) in marks.iter().enumerate() {
        if let [verb, kind, name, value] = &mark[..] {
            let values = table(&mut now, kind).entry(name.clone()).or_default();
            if verb == "done" {
                values.clear();
            }
            let later = || marks[at + 1..].iter().find(|m| m.get(1..3) == mark.get(1..3)).expect("its end");
            values.insert(if value == "?" { later()[3].clone() } else { value.clone() });
        }
        all.push(now.clone());
    }
    all
}

fn table<'a>(wanted: &'a mut Wanted, kind: &str) -> &'a mut BTreeMap<String, BTreeSet<String>> {
    match kind {
        "image" => &mut wanted.names,
        "record" => &mut wanted.records,
        "volume" => &mut wanted.volumes,
        other => panic!("{other}"),
    }
}

/// Every moment with every plain fate, then random ones; of these, `most`, evenly.
fn cases(moments: usize, most: usize) -> Vec<(usize, Fate)> {
    let plain =
        [Fate::All, Fate::None, Fate::Names { zeros: false }, Fate::Names { zeros: true }, Fate::Data];
    let fates = || plain.into_iter().chain((0..RANDOM).map(Fate::Random));
    let all: Vec<_> = (0..=moments).flat_map(|moment| fates().map(move |fate| (moment, fate))).collect();
    // A step that shares no factor with the number of fates comes by all of them.
    let step = (all.len() / most).max(1) | 1;
    all.into_iter().step_by(step).collect()
}

/// How many states to look at.
fn most() -> usize {
    let asked = std::env::var("BERTH_POWER_STATES").ok();
    asked.map_or(STATES, |number| number.parse().expect("a number of states"))
}

/// One recorded disk, and what must be found on it after each of its operations.
struct Trial<'a> {
    place: &'a Path,
    replay: Replay<'a>,
    wanted: &'a [Wanted],
    layers: &'a BTreeMap<String, Vec<String>>,
    seen: Mutex<BTreeSet<u64>>,
    faults: Mutex<Vec<String>>,
}

impl<'a> Trial<'a> {
    fn new(
        place: &'a Path,
        replay: Replay<'a>,
        wanted: &'a [Wanted],
        layers: &'a BTreeMap<String, Vec<String>>,
    ) -> Self {
        Self { place, replay, wanted, layers, seen: Mutex::default(), faults: Mutex::default() }
    }

    /// Looks at all of the cases, or as many as it takes to find `enough` faults.
    fn run(self, cases: &[(usize, Fate)], enough: usize) -> (usize, Vec<String>) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let (next, trial) = (&next, &self);
                let place = self.place.join(format!("state-{worker}"));
                scope.spawn(move || {
                    while let Some((moment, fate)) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                        && trial.faults.lock().expect("faults").len() < enough
                    {
                        trial.look(&place, *moment, *fate);
                    }
                });
            }
        });
        (self.seen.into_inner().expect("seen").len(), self.faults.into_inner().expect("faults"))
    }

    fn look(&self, place: &Path, moment: usize, fate: Fate) {
        let nodes = self.replay.state(moment, fate);
        let wanted = &self.wanted[moment.min(self.wanted.len() - 1)];
        // The same state with other promises is another one.
        let key = judge::fingerprint(&nodes) ^ wanted.fingerprint();
        if !self.seen.lock().expect("seen").insert(key) {
            return;
        }
        std::fs::create_dir(place).expect("a place");
        judge::lay_out(&nodes, place);
        let verdict = judge::judge(&place.join("data"), wanted, self.layers);
        std::fs::remove_dir_all(place).expect("tidy");
        if let Err(fault) = verdict {
            let near = self.replay.near(moment);
            self.faults.lock().expect("faults").push(format!("after {moment} ({near}), {fate:?}: {fault}"));
        }
    }
}

fn can_run(test: &str) -> bool {
    support::is_root(test) && support::has_tool(test, "strace")
}

fn shown(faults: &[String]) -> String {
    faults.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n")
}

#[test]
fn power_cuts_at_every_moment_lose_and_double_nothing() {
    if !can_run("power_cuts_at_every_moment_lose_and_double_nothing") {
        return;
    }
    let scratch = scratch();
    let disk = record(scratch.path());
    let (wanted, layers) = (wanted(&disk), story::layers());
    let cases = cases(disk.operations.len(), most());
    let trial = |replay| Trial::new(scratch.path(), replay, &wanted, &layers);
    let (states, faults) = trial(Replay::new(&disk)).run(&cases, 100);
    println!("{} operations, {} cuts, {states} different states", disk.operations.len(), cases.len());
    assert!(faults.is_empty(), "{} of {states} states: {}", faults.len(), shown(&faults));
    assert!(states > 500, "{states} states are too few");

    // Without one kind of sync, or the other, something is lost: this test would see it.
    let is_directory = |node: usize| disk.now.0[node].kind == disk::Kind::Directory;
    let file = |o: &Operation| matches!(o, Operation::Sync { node, .. } if !is_directory(*node));
    let directory = |o: &Operation| matches!(o, Operation::Sync { node, .. } if is_directory(*node));
    let all = |o: &Operation| matches!(o, Operation::SyncAll { .. });
    for undone in [&file as &dyn Fn(&Operation) -> bool, &directory, &all] {
        let (_, faults) = trial(Replay::without(&disk, undone)).run(&cases, 1);
        assert!(!faults.is_empty(), "nothing is lost without a sync");
    }
}

#[test]
fn power_cuts_during_the_recovery_from_one() {
    if !can_run("power_cuts_during_the_recovery_from_one") {
        return;
    }
    let scratch = scratch();
    let disk = record(scratch.path());
    let (wanted, layers) = (wanted(&disk), story::layers());
    let replay = Replay::new(&disk);
    let moments = disk.operations.len();
    let mut sum = 0;
    for tenth in 1..10 {
        let moment = moments * tenth / 10;
        let fate = if tenth % 3 == 0 { Fate::All } else { Fate::Random(tenth as u64) };
        let before = replay.state(moment, fate);
        let base = scratch.path().join("again");
        std::fs::create_dir(&base).expect("a place");
        judge::lay_out(&before, &base);
        let mut again = Disk::on(before);
        record_chapter(&mut again, &base, "opens");
        std::fs::remove_dir_all(&base).expect("tidy");
        let cases = cases(again.operations.len(), most() / 20);
        let trial =
            Trial::new(scratch.path(), Replay::new(&again), std::slice::from_ref(&wanted[moment]), &layers);
        let (states, faults) = trial.run(&cases, 100);
        assert!(faults.is_empty(), "cut after {moment}, {fate:?}, then: {}", shown(&faults));
        sum += states;
    }
    println!("{sum} different states");
    assert!(sum > 50, "{sum} states are too few");
}
