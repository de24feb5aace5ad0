//! Looks at many states, on two threads, each state once.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crash::{Fate, Replay};
use super::place::{fingerprint, lay_out};
use super::wanted::Wanted;

/// Random fates for each moment, of all that there could be.
const RANDOM: u64 = 24;

/// Every moment with every plain fate, then random ones; of these, `most`, evenly.
pub(super) fn cases(moments: usize, most: usize) -> Vec<(usize, Fate)> {
    let plain =
        [Fate::All, Fate::None, Fate::Names { zeros: false }, Fate::Names { zeros: true }, Fate::Data];
    let fates = || plain.into_iter().chain((0..RANDOM).map(Fate::Random));
    let all: Vec<_> = (0..=moments).flat_map(|moment| fates().map(move |fate| (moment, fate))).collect();
    // A step that shares no factor with the number of fates comes by all of them.
    let step = (all.len() / most).max(1) | 1;
    all.into_iter().step_by(step).collect()
}

/// Given the directory that the recorded one was and what must be found there, says what is wrong.
pub type Judge<'a> = dyn Fn(&Path, &Wanted) -> Result<(), String> + Sync + 'a;

/// One recorded disk, what must be found on it after each of its operations (the last stands for all that follow), and who judges.
pub(super) struct Trial<'a> {
    /// Where states are laid out.
    pub(super) place: &'a Path,
    /// What was recorded.
    pub(super) replay: Replay<'a>,
    /// What must be found.
    pub(super) wanted: &'a [Wanted],
    /// Who judges.
    pub(super) judge: &'a Judge<'a>,
}

impl Trial<'_> {
    /// Looks at all of the cases, or as many as it takes to find `enough` faults. Answers how many different states there were, and
    /// the faults, a sentence each.
    pub(super) fn run(&self, cases: &[(usize, Fate)], enough: usize) -> (usize, Vec<String>) {
        let (next, seen, faults) = (AtomicUsize::new(0), Mutex::default(), Mutex::<Vec<String>>::default());
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let (next, seen, faults) = (&next, &seen, &faults);
                let place = self.place.join(format!("state-{worker}"));
                scope.spawn(move || {
                    while let Some((moment, fate)) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                        && faults.lock().expect("faults").len() < enough
                    {
                        let found = self.look(&place, *moment, *fate, seen);
                        faults.lock().expect("faults").extend(found);
                    }
                });
            }
        });
        (seen.into_inner().expect("seen").len(), faults.into_inner().expect("faults"))
    }

    fn look(&self, place: &Path, moment: usize, fate: Fate, seen: &Mutex<BTreeSet<u64>>) -> Option<String> {
        let nodes = self.replay.state(moment, fate);
        let wanted = &self.wanted[moment.min(self.wanted.len() - 1)];
        // The same state with other promises is another one.
        let mut hasher = DefaultHasher::new();
        wanted.hash(&mut hasher);
        if !seen.lock().expect("seen").insert(fingerprint(&nodes) ^ hasher.finish()) {
            return None;
        }
        std::fs::create_dir(place).expect("a place");
        lay_out(&nodes, place);
        let verdict = (self.judge)(place, wanted);
        std::fs::remove_dir_all(place).expect("tidy");
        let fault = verdict.err()?;
        Some(format!("after {moment} ({}), {fate:?}: {fault}", self.replay.near(moment)))
    }
}
