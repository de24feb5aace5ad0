//! The reader against those that everybody else uses: Python's tarfile, Go's archive/tar, GNU tar (CVE-2025-62518). Archives in every
//! dialect are changed at random; whatever ours accepts, each of the others must see the same way: the same entries with the same
//! names, kinds, sizes, links and contents. `BERTH_TEST_MUTANTS=100000` tries so many, `BERTH_TEST_SEED` another sample.
#![allow(clippy::disallowed_methods, reason = "tests run the other readers")]

#[path = "../blocks/mod.rs"]
mod blocks;
mod mutants;
mod others;
mod seen;

use mutants::{Random, mutant, seeds};
use others::Other;
use seen::{Seen, ours};

/// Of so many archives that are accepted, GNU tar sees one: it is a process each time.
const GNU_SEES: u64 = 8;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn i08_what_is_accepted_others_see_alike() {
    let mut others = Other::all();
    if others.is_empty() {
        println!("skipped: there is no other reader here");
        return;
    }
    let seeds = seeds();
    for seed in &seeds {
        let seen = ours(seed).unwrap_or_else(|why| panic!("a seed is refused: {why}"));
        others.iter_mut().for_each(|other| check(other, seed, &seen));
    }
    let mut random = Random::new(setting("BERTH_TEST_SEED", 7));
    let (mut tried, mut accepted) = (0, 0_u64);
    let wanted = setting("BERTH_TEST_MUTANTS", 4000);
    while tried < wanted {
        let bytes = mutant(&seeds, &mut random);
        tried += 1;
        let Ok(seen) = ours(&bytes) else { continue };
        accepted += 1;
        let is_turn = |other: &&mut Other| !other.is_slow() || accepted.is_multiple_of(GNU_SEES);
        others.iter_mut().filter(is_turn).for_each(|other| check(other, &bytes, &seen));
    }
    println!("{tried} mutants, of which {accepted} were accepted");
    assert!(accepted * 20 > wanted, "only {accepted} of {wanted} mutants were accepted: this shows little");
}

fn check(other: &mut Other, bytes: &[u8], seen: &[Seen]) {
    let theirs = other.read(bytes);
    if theirs.as_ref().is_ok_and(|theirs| other.agrees(seen, theirs)) {
        return;
    }
    let path = std::env::temp_dir().join("berth-disagreement.tar");
    std::fs::write(&path, bytes).expect("the archive");
    panic!("{} disagrees about {}:\nours   {seen:?}\ntheirs {theirs:?}", other.name(), path.display());
}
