//! A story: what happens to files in several lives of a process, and how power cuts during it are judged.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::crash::{Fate, Replay, Syncs};
use super::disk::Disk;
use super::place::lay_out;
use super::trace;
use super::trial::{Judge, Trial, cases};
use super::wanted::Wanted;

/// Tells the recorded process where its files are.
const ROOT: &str = "BERTH_TEST_STORE";
/// Tells it which life to live.
const CHAPTER: &str = "BERTH_TEST_CHAPTER";

/// Where states are laid out fastest.
#[must_use]
pub fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// How many cuts to look at: those of `BERTH_POWER_STATES`, or `default`.
///
/// # Panics
/// When that is no number.
#[must_use]
pub fn states(default: usize) -> usize {
    let asked = std::env::var("BERTH_POWER_STATES").ok();
    asked.map_or(default, |number| number.parse().expect("a number of states"))
}

/// In the recorded process: its directory, and the chapter that it is to tell.
#[must_use]
pub fn chapter() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(ROOT)?.into(), std::env::var(CHAPTER).ok()?))
}

/// What is recorded and judged. It is told by a test of the same program.
pub struct Story<'a> {
    /// That test's name: it asks for its [`chapter`].
    pub teller: &'a str,
    /// The lives. A new one begins where the one before was over, or died.
    pub chapters: &'a [&'a str],
    /// The life that only opens what is there.
    pub opening: &'a str,
    /// The kinds of syncs that it needs.
    pub syncs: &'a [Syncs],
    /// A directory, best in [`memory`].
    pub place: &'a Path,
    /// Who judges the directory `data` of what it is given.
    pub judge: &'a Judge<'a>,
}

impl Story<'_> {
    /// Cuts the power after every operation, as often as `most` allows, and does it again without each kind of sync, where something
    /// must be lost: else this would see nothing.
    ///
    /// # Panics
    /// When something is lost, or left over.
    pub fn is_cut_at_every_moment(&self, most: usize) {
        let disk = self.record();
        let wanted = Wanted::all(&disk);
        let cases = cases(disk.moments(), most);
        let trial = |replay| Trial { place: self.place, replay, wanted: &wanted, judge: self.judge };
        let (states, faults) = trial(Replay::new(&disk)).run(&cases, 100);
        println!("{} operations, {} cuts, {states} different states", disk.moments(), cases.len());
        assert!(faults.is_empty(), "{} of {states} states: {}", faults.len(), shown(&faults));
        assert!(states * 4 > cases.len().min(2000), "{states} states are too few");
        for syncs in self.syncs {
            let (_, faults) = trial(Replay::without(&disk, *syncs)).run(&cases, 1);
            assert!(!faults.is_empty(), "nothing is lost without syncs of {syncs:?}");
        }
    }

    /// Cuts the power, opens what is left, and cuts the power meanwhile, `most` times.
    ///
    /// # Panics
    /// When something is lost, or left over.
    pub fn is_cut_while_it_recovers(&self, most: usize) {
        let disk = self.record();
        let wanted = Wanted::all(&disk);
        let replay = Replay::new(&disk);
        let mut sum = 0;
        for tenth in 1..10 {
            let moment = disk.moments() * tenth / 10;
            let fate = if tenth % 3 == 0 { Fate::All } else { Fate::Random(tenth as u64) };
            let before = replay.state(moment, fate);
            let base = self.place.join("again");
            std::fs::create_dir(&base).expect("a place");
            lay_out(&before, &base);
            let mut again = Disk::on(before);
            self.record_chapter(&mut again, &base, self.opening);
            std::fs::remove_dir_all(&base).expect("tidy");
            let cases = cases(again.moments(), most / 9);
            let wanted = std::slice::from_ref(&wanted[moment]);
            let trial = Trial { place: self.place, replay: Replay::new(&again), wanted, judge: self.judge };
            let (states, faults) = trial.run(&cases, 100);
            assert!(faults.is_empty(), "cut after {moment}, {fate:?}, then: {}", shown(&faults));
            sum += states;
        }
        println!("{sum} different states");
        assert!(sum > 20, "{sum} states are too few");
    }

    fn record(&self) -> Disk {
        let mut disk = Disk::default();
        let base = self.place.join("told");
        std::fs::create_dir(&base).expect("a place");
        self.chapters.iter().for_each(|chapter| self.record_chapter(&mut disk, &base, chapter));
        std::fs::remove_dir_all(&base).expect("tidy");
        disk
    }

    fn record_chapter(&self, disk: &mut Disk, base: &Path, chapter: &str) {
        let mut child = Command::new(std::env::current_exe().expect("own path"));
        child.args([self.teller, "--exact", "--nocapture", "--test-threads=1"]);
        child.env(ROOT, base.join("data")).env(CHAPTER, chapter);
        trace::record(disk, base, &child);
    }
}

fn shown(faults: &[String]) -> String {
    faults.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n")
}
