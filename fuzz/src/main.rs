//! Fuzzing what reads foreign bytes: `cargo run -p fuzz -- [TARGET|all] [SECONDS] [SEED]`.
//!
//! Inputs are mutations of seeds and of inputs that led to an answer of a new kind, drawn from a number that changes each day and is
//! printed. One that breaks a target is written to a file, and `cargo run -p fuzz -- TARGET FILE` runs that one again.
#![allow(
    clippy::disallowed_methods,
    reason = "a development tool reads files, runs programs and looks at the clock"
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod host;
mod images;
mod mutate;
mod oracle;
mod registries;
mod requests;
mod seccomp;
mod targets;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use mutate::Random;
use targets::{TARGETS, Target};

/// The input that is being tried, for the panic that it may cause.
static CURRENT: Mutex<(String, Vec<u8>)> = Mutex::new((String::new(), Vec::new()));

/// Longest input in bytes.
const LONGEST: usize = 1 << 16;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| words.get(at).map(String::as_str);
    let name = word(0).unwrap_or("all");
    let chosen: Vec<&Target> = TARGETS.iter().filter(|t| name == "all" || t.name == name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
        eprintln!("{name:?} is no target; there are: {}", names.join(" "));
        return ExitCode::FAILURE;
    }
    keep_what_breaks();
    if let Some(path) = word(1).filter(|w| Path::new(w).is_file()) {
        let input = std::fs::read(path).unwrap_or_default();
        for target in &chosen {
            (target.run)(&input);
        }
        return ExitCode::SUCCESS;
    }
    let seconds = word(1).and_then(|w| w.parse().ok()).unwrap_or(20);
    let seed = word(2).and_then(|w| w.parse().ok()).unwrap_or_else(seed_of_the_day);
    let (mut passed, mut skipped) = (0, 0);
    for target in &chosen {
        if let Some(lack) = (target.lacks)() {
            skipped += 1;
            println!("test fuzz::{} ... skipped: {lack}", target.name);
            continue;
        }
        passed += 1;
        let runs = fuzz(target, Duration::from_secs(seconds), seed);
        println!("test fuzz::{} ... ok ({runs} inputs from {seed})", target.name);
    }
    images::finish();
    println!("test result: ok. {passed} passed; 0 failed; {skipped} skipped;");
    ExitCode::SUCCESS
}

/// Another one each day, the same for everybody.
fn seed_of_the_day() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)
}

fn fuzz(target: &Target, time: Duration, seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut pool: Vec<Vec<u8>> = (target.seeds)();
    let started = Instant::now();
    let mut runs = 0;
    while started.elapsed() < time {
        let mut input = pool[random.below(pool.len())].clone();
        for _ in 0..=random.below(6) {
            mutate::change(&mut input, &pool, &mut random);
        }
        input.truncate(LONGEST);
        if let Ok(mut current) = CURRENT.lock() {
            *current = (target.name.to_owned(), input.clone());
        }
        let new = (target.run)(&input);
        // An answer that was not there before is worth going on from.
        if new && pool.len() < 4096 {
            pool.push(input);
        }
        runs += 1;
    }
    runs
}

/// A panic ends the program; the input is written down before.
fn keep_what_breaks() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        let Ok(current) = CURRENT.lock() else { return };
        let path = std::env::temp_dir().join(format!("fuzz-{}", current.0));
        if std::fs::write(&path, &current.1).is_ok() {
            eprintln!("the input is in {}", path.display());
        }
    }));
}
