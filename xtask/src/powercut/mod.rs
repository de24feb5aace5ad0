//! `cargo xtask powercut`: cuts the power of a guest while its daemon changes images, wakes it again with the disk as the cut left it, and
//! judges what the next daemon makes of it.

mod cache;
mod dice;
mod images;
mod judge;
mod machine;
mod script;
mod session;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use images::Tree;
use machine::{Guest, Machine};
use session::Session;

use crate::suite::Count;

/// What promises that something is on the disk.
const PROMISES: &str = "fsync,fdatasync,syncfs,sync_file_range,sync";

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    stops: u64,
    minutes: u64,
    seed: u64,
    /// System calls that do nothing and say that they did.
    without: String,
}

impl Options {
    /// Reads the words behind `powercut`.
    pub(crate) fn read(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { stops: 200, minutes: 240, seed: 1, without: String::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let mut number =
                || value().and_then(|text| text.parse().map_err(|e| format!("{word} {text}: {e}")));
            match *word {
                "--stops" => options.stops = number()?,
                "--minutes" => options.minutes = number()?,
                "--seed" => options.seed = number()?,
                "--without" => options.without = (*value()?).to_owned(),
                "--without-syncs" => PROMISES.clone_into(&mut options.without),
                _ => return Err(format!("powercut does not know {word}")),
            }
        }
        Ok(options)
    }
}

/// Cuts as often as asked; fails when anything was lost, doubled or left over, or when the judge is blind.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    judged(&Options::read(words)?)?.verdict()
}

/// A few cuts, for every run of the tests.
pub(crate) fn short() -> Result<Count, String> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    println!("seed {seed}");
    judged(&Options { stops: 6, minutes: 10, seed, without: String::new() })
}

/// Cuts the power of a guest whose syncs do nothing until that is found, and then of one as it is. With `--without` only the first.
fn judged(options: &Options) -> Result<Count, String> {
    let bench = Bench::prepare()?;
    let mut lying = options.clone();
    if options.without.is_empty() {
        lying.stops = 10;
        PROMISES.clone_into(&mut lying.without);
    }
    let tally = bench.cut(&lying)?;
    println!("without {}: {} faults after {} cuts", lying.without, tally.faults.len(), tally.cuts());
    let mut good = vec![!tally.faults.is_empty()];
    if options.without.is_empty() {
        let tally = bench.cut(options)?;
        tally.print();
        good.push(tally.faults.is_empty());
    }
    let passed = good.iter().filter(|good| **good).count() as u64;
    Ok(Count { passed, failed: good.len() as u64 - passed, skipped: 0 })
}

/// A guest that can be woken, and what is in its images.
struct Bench {
    machine: Machine,
    /// Ids of the images by the names they get.
    ids: BTreeMap<String, String>,
    trees: BTreeMap<String, Tree>,
    written: Tree,
}

/// What happened.
#[derive(Default)]
struct Tally {
    /// Cuts, by what they fell into.
    cuts: BTreeMap<String, u64>,
    acknowledged: BTreeMap<&'static str, usize>,
    /// Reports that were judged, and parts of blobs in them.
    judged: usize,
    partial: usize,
    /// Cuts in which the disk lost writes that were not flushed, and how many.
    lost: (usize, usize),
    faults: Vec<String>,
    time: Duration,
}

impl Tally {
    fn cuts(&self) -> u64 {
        self.cuts.values().sum()
    }

    fn print(&self) {
        println!("{} cuts in {:.0} s, {} disks judged", self.cuts(), self.time.as_secs_f64(), self.judged);
        println!("they fell into: {:?}", self.cuts);
        println!("with {} of them the disk lost {} writes that were not flushed", self.lost.0, self.lost.1);
        println!(
            "acknowledged: {:?}; parts of blobs that waited for their pull: {}",
            self.acknowledged, self.partial
        );
        println!("faults: {}", self.faults.len());
    }
}

impl Bench {
    fn prepare() -> Result<Self, String> {
        let layers = images::layers()?;
        let machine = Machine::build(&layers)?;
        let mut ids = BTreeMap::new();
        machine.keep(|guest| {
            ids = make_ready(guest)?;
            Ok(())
        })?;
        let trees = layers.into_iter().map(|layer| (layer.diff_id, layer.tree)).collect();
        Ok(Self { machine, ids, trees, written: images::written()? })
    }

    fn cut(&self, options: &Options) -> Result<Tally, String> {
        let started = Instant::now();
        let mut session = Session::new(self, options.seed, &options.without);
        let done = cut_all(&mut session, options, started + Duration::from_secs(options.minutes * 60));
        session.tally.time = started.elapsed();
        if done.is_err() {
            session.tally.print();
        }
        done.map(|()| session.tally)
    }
}

/// Cuts until there were enough or the time is over; without syncs, until that was found.
fn cut_all(session: &mut Session<'_>, options: &Options, until: Instant) -> Result<(), String> {
    let mut chain = None;
    let is_over = |tally: &Tally| {
        let found = !options.without.is_empty() && !tally.faults.is_empty();
        found || tally.cuts() >= options.stops || Instant::now() > until
    };
    while !is_over(&session.tally) {
        let mut going = match chain.take() {
            Some(chain) => chain,
            None => session.begin_chain()?,
        };
        let faults = session.tally.faults.len();
        session.stop(&mut going)?;
        // A disk with a fault has had its day.
        let is_sound = faults == session.tally.faults.len();
        if is_sound && (session.dice.once_in(8) || is_over(&session.tally)) {
            session.look(&mut going)?;
        } else if is_sound {
            chain = Some(going);
        }
    }
    Ok(())
}

/// Fills a registry in the guest's memory, and learns the images' ids from a daemon whose data root lies there as well.
fn make_ready(guest: &mut Guest) -> Result<BTreeMap<String, String>, String> {
    let mut ids = BTreeMap::new();
    guest.run("mkdir /data /prepared")?;
    guest.run(
        "berth registry serve --data-root /registry > /run/registry.log 2>&1 & echo $! > /run/registry.pid",
    )?;
    guest.run("berth daemon --data-root /prepared/data --exec-root /prepared/run --host $DOCKER_HOST --bridge none > /run/prepared.log 2>&1 & echo $! > /run/prepared.pid")?;
    guest.run("until berth version; do usleep 50000; done")?;
    let mut id = |guest: &mut Guest, name: String| -> Result<(), String> {
        let said = guest.run(&format!("berth image inspect -f '{{{{.Id}}}}' {name}"))?;
        ids.insert(name, said.concat().trim().to_owned());
        Ok(())
    };
    for image in 0..images::IMAGES.len() {
        let (loaded, pulled) = (script::loaded(image), script::pulled(image));
        guest.run(&format!("berth load -i /bin/made/i{image}.tar"))?;
        id(guest, loaded.clone())?;
        guest.run(&format!(
            "berth tag {loaded} {pulled} && berth push {pulled} && berth rmi {pulled} {loaded}"
        ))?;
    }
    for image in 0..images::IMAGES.len() {
        let pulled = script::pulled(image);
        guest.run(&format!("berth pull {pulled}"))?;
        id(guest, pulled)?;
    }
    guest.run(
        "pid=$(cat /run/prepared.pid); kill $pid; while kill -0 $pid; do usleep 50000; done; rm -r /prepared",
    )?;
    // Nothing in it may draw a random number for as long as it has been up: only then does its kernel ask the processor for new ones
    // on waking, and two sessions do not have the same ones.
    let up = guest.run("cut -d . -f 1 /proc/uptime")?.concat();
    std::thread::sleep(Duration::from_secs(
        up.trim().parse::<u64>().map_err(|e| format!("{up:?}: {e}"))? + 5,
    ));
    Ok(ids)
}
