//! Sessions of the guest: what is left by the last cut is judged, images are changed, and the power is cut again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::dice::Dice;
use super::judge::{self, Found, Wanted};
use super::machine::{Guest, Said};
use super::script::{self, BASE, Ground, Is, Names, Operation};
use super::{Bench, Tally, images};

/// How the file system is mounted: as usual, and in ways that are less forgiving.
const MOUNTS: [&str; 4] =
    ["defaults", "noauto_da_alloc", "noauto_da_alloc,commit=1", "data=writeback,noauto_da_alloc"];

/// What one disk has been through.
pub(super) struct Chain {
    names: Names,
    /// Ids of images that have been there.
    known: BTreeSet<String>,
    mount: &'static str,
    /// A container of this session holds the base.
    is_held: bool,
    history: Vec<String>,
}

impl Chain {
    fn ground<'a>(&'a self, ids: &'a BTreeMap<String, String>) -> Ground<'a> {
        Ground { names: &self.names, ids, is_held: self.is_held }
    }
}

/// Cuts, one after the other.
pub(super) struct Session<'a> {
    bench: &'a Bench,
    pub(super) dice: Dice,
    without: &'a str,
    pub(super) tally: Tally,
    chains: usize,
    /// Seconds that each kind of operation took, on average.
    times: BTreeMap<&'static str, f64>,
    /// Random numbers of earlier sessions.
    seen: BTreeSet<String>,
}

impl<'a> Session<'a> {
    pub(super) fn new(bench: &'a Bench, seed: u64, without: &'a str) -> Self {
        Self {
            bench,
            dice: Dice::new(seed),
            without,
            tally: Tally::default(),
            chains: 0,
            times: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn begin_chain(&mut self) -> Result<Chain, String> {
        self.bench.machine.fresh_disk()?;
        let mount = MOUNTS[self.chains % MOUNTS.len()];
        self.chains += 1;
        let history = vec![format!("mount -o {mount}")];
        Ok(Chain { names: Names::new(), known: BTreeSet::new(), mount, is_held: false, history })
    }

    /// Wakes the guest and has it start a daemon on the disk; without an answer when the power was cut meanwhile.
    fn wake(&mut self, chain: &mut Chain, may_cut: bool) -> Result<Option<Guest>, String> {
        self.bench.machine.copy("disk", "disk.before")?;
        let mut guest = self.bench.machine.wake()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let clock = format!("date -s @{now} > /dev/null; cat /proc/sys/kernel/random/uuid");
        let random = guest.run(&clock)?.concat();
        if !self.seen.insert(random) {
            return Err("two sessions have the same random numbers".to_owned());
        }
        let started = Instant::now();
        let number = guest.begin(&format!("sh /bin/start '{}' '{}'", chain.mount, self.without))?;
        if may_cut && self.dice.once_in(8) {
            std::thread::sleep(Duration::from_secs_f64(self.dice.share() * self.time("start")));
            guest.cut()?;
            self.count_cut(chain, "start")?;
            return Ok(None);
        }
        match guest.hear_out(number)? {
            (_, 0) => self.took("start", started),
            (lines, _) => {
                self.fault(chain, &[format!("the daemon does not start: {}", lines.join("\n"))])?;
                return Ok(None);
            }
        }
        Ok(Some(guest))
    }

    /// Judges the disk that the last cut left, works on, and cuts the power again.
    pub(super) fn stop(&mut self, chain: &mut Chain) -> Result<(), String> {
        let Some(mut guest) = self.wake(chain, true)? else { return Ok(()) };
        if !self.judge(&mut guest, chain)? {
            return Ok(());
        }
        self.hold(&mut guest, chain)?;
        for _ in 0..self.dice.below(3) {
            let operation = script::draw(&mut self.dice, &chain.ground(&self.bench.ids));
            self.one(&mut guest, chain, operation)?;
        }
        self.cut_short(guest, chain)
    }

    /// Removes the containers of the session before, and runs one in some sessions: it takes as long as all the rest.
    fn hold(&mut self, guest: &mut Guest, chain: &mut Chain) -> Result<(), String> {
        guest.run("ids=$(berth ps -aq); [ -z \"$ids\" ] || berth rm -f $ids")?;
        chain.is_held = self.dice.once_in(3);
        if chain.is_held {
            if !chain.names.contains_key(BASE) {
                self.one(guest, chain, Operation::Load(0))?;
            }
            let run = format!("berth run --name worker --network none {BASE} sh -c '{}'", images::WRITES);
            guest.run(&run)?;
        }
        Ok(())
    }

    /// Judges the disk that the last cut left.
    pub(super) fn look(&mut self, chain: &mut Chain) -> Result<(), String> {
        if let Some(mut guest) = self.wake(chain, false)? {
            self.judge(&mut guest, chain)?;
        }
        Ok(())
    }

    fn judge(&mut self, guest: &mut Guest, chain: &mut Chain) -> Result<bool, String> {
        let started = Instant::now();
        let lines = guest.run("sh /bin/report")?;
        self.took("report", started);
        let wanted = Wanted {
            names: &chain.names,
            known: &chain.known,
            trees: &self.bench.trees,
            written: &self.bench.written,
        };
        let Found { names, images, partial, faults } = judge::judge(&lines, &wanted);
        self.tally.judged += 1;
        self.tally.partial += partial;
        if !faults.is_empty() {
            self.fault(chain, &faults)?;
            return Ok(false);
        }
        chain.names = names.into_iter().map(|(name, id)| (name, BTreeSet::from([Is::Image(id)]))).collect();
        chain.known.extend(images);
        Ok(true)
    }

    /// Does one operation to its end.
    fn one(&mut self, guest: &mut Guest, chain: &mut Chain, operation: Operation) -> Result<(), String> {
        let effect = operation.effect(&chain.ground(&self.bench.ids));
        script::begin(&mut chain.names, &effect);
        let started = Instant::now();
        let number = guest.begin(&operation.words())?;
        let (lines, code) = guest.hear_out(number)?;
        self.took(operation.kind(), started);
        self.ended(chain, &operation, &effect, &lines, code)
    }

    fn ended(
        &mut self,
        chain: &mut Chain,
        operation: &Operation,
        effect: &[(String, Is)],
        lines: &[String],
        code: i32,
    ) -> Result<(), String> {
        let words = operation.words();
        if code != 0 {
            return self.fault(chain, &[format!("{words}: exit code {code}: {}", lines.join("\n"))]);
        }
        let made = lines.iter().rev().find(|line| line.starts_with("sha256:")).cloned().unwrap_or_default();
        script::acknowledge(&mut chain.names, effect, made.trim());
        chain.known.extend(Some(made.trim().to_owned()).filter(|id| !id.is_empty()));
        chain.known.extend(effect.iter().filter_map(|(_, is)| match is {
            Is::Image(id) => Some(id.clone()),
            _ => None,
        }));
        chain.history.push(format!("done: {words}"));
        *self.tally.acknowledged.entry(operation.kind()).or_default() += 1;
        Ok(())
    }

    /// Begins one operation or two and cuts the power within them.
    fn cut_short(&mut self, mut guest: Guest, chain: &mut Chain) -> Result<(), String> {
        let mut operations = vec![script::draw(&mut self.dice, &chain.ground(&self.bench.ids))];
        if self.dice.once_in(2) {
            operations.extend(script::draw_beside(
                &mut self.dice,
                &chain.ground(&self.bench.ids),
                &operations[0],
            ));
        }
        let longest = operations.iter().map(|operation| self.time(operation.kind())).fold(0.0, f64::max);
        let mut going = BTreeMap::new();
        let until = Instant::now() + Duration::from_secs_f64(longest * self.dice.share() * 0.85);
        for operation in operations {
            let effect = operation.effect(&chain.ground(&self.bench.ids));
            script::begin(&mut chain.names, &effect);
            chain.history.push(format!("begun: {}", operation.words()));
            going.insert(guest.begin(&operation.words())?, (operation, effect, Vec::new()));
        }
        let mut heard = Vec::new();
        while let Some(said) = guest.hear(until)? {
            heard.push(said);
        }
        heard.extend(guest.cut()?);
        for said in heard {
            match said {
                Said::Line(number, line) => {
                    if let Some((_, _, lines)) = going.get_mut(&number) {
                        lines.push(line);
                    }
                }
                Said::End(number, code) => {
                    if let Some((operation, effect, lines)) = going.remove(&number) {
                        self.ended(chain, &operation, &effect, &lines, code)?;
                    }
                }
            }
        }
        let kinds: Vec<&str> = going.values().map(|(operation, _, _)| operation.kind()).collect();
        let place = if kinds.is_empty() { "rest".to_owned() } else { kinds.join("+") };
        self.count_cut(chain, &place)
    }

    /// Takes note of a cut, and has the disk lose its cache in half of them: all that was not flushed, or some of it.
    fn count_cut(&mut self, chain: &mut Chain, place: &str) -> Result<(), String> {
        let some = self.dice.once_in(2);
        let lost = if self.dice.once_in(2) {
            self.bench.machine.lose_cache(|| some && self.dice.once_in(2))?
        } else {
            0
        };
        self.tally.lost.0 += usize::from(lost > 0);
        self.tally.lost.1 += lost;
        *self.tally.cuts.entry(place.to_owned()).or_default() += 1;
        chain.history.push(format!("cut: {place}"));
        println!("cut {} ({}): {place}, {lost} writes lost", self.tally.cuts(), chain.mount);
        Ok(())
    }

    fn fault(&mut self, chain: &Chain, faults: &[String]) -> Result<(), String> {
        let number = self.tally.faults.len();
        let heading = if self.without.is_empty() { "FAULT" } else { "found, as it should be" };
        faults.iter().for_each(|fault| println!("{heading}: {fault}"));
        if self.without.is_empty() {
            let kept = format!("fault{number}.disk");
            self.bench.machine.copy("disk.before", &kept)?;
            let story = [chain.history.as_slice(), faults].concat().join("\n");
            let place = self.bench.machine.path(&format!("fault{number}.txt"));
            fs::write(&place, story).map_err(|e| format!("{}: {e}", place.display()))?;
            println!("the disk as it was found: {}", self.bench.machine.path(&kept).display());
        }
        self.tally.faults.extend(faults.iter().cloned());
        Ok(())
    }

    fn time(&self, kind: &str) -> f64 {
        self.times.get(kind).copied().unwrap_or(1.0)
    }

    fn took(&mut self, kind: &'static str, started: Instant) {
        let took = started.elapsed().as_secs_f64();
        let average = self.times.entry(kind).or_insert(took);
        *average = *average * 0.8 + took * 0.2;
    }
}
