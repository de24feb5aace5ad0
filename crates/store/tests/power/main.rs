//! Power cuts by replay: everything that a story of loads, pulls, commits, removals and deaths does to its disk is recorded, and after
//! each of its operations the power is cut, in many ways. The store must open on what is left, with all that was promised and nothing
//! else (docs/decisions/0013).
#![allow(clippy::disallowed_methods, reason = "tests run processes and make files")]

mod judge;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod taken;

use std::path::Path;

use testkit::power::{self, Story, Syncs, Wanted};

/// Cuts that are looked at when nobody asks for a number (`BERTH_POWER_STATES`), for each story.
const STATES: usize = 900;
/// As many during recoveries.
const RECOVERIES: usize = 300;

/// Not a test of its own: the process that is recorded.
#[test]
fn a_chapter_is_told() {
    let Some((root, chapter)) = power::chapter() else { return };
    if taken::CHAPTERS.contains(&chapter.as_str()) {
        taken::tell(&root, &chapter);
    } else {
        story::tell(&root, &chapter);
    }
}

/// Has a story judged, where it can be told.
fn judged(
    test: &str,
    chapters: &[&str],
    judge: &(dyn Fn(&Path, &Wanted) -> Result<(), String> + Sync),
    how: fn(&Story<'_>),
) {
    if !support::is_root(test) || !support::has_tool(test, "strace") {
        return;
    }
    let scratch =
        tempfile::Builder::new().prefix("berth-power-").tempdir_in(power::memory()).expect("scratch");
    how(&Story {
        teller: "a_chapter_is_told",
        chapters,
        opening: "opens",
        syncs: &[Syncs::Files, Syncs::Directories, Syncs::FileSystem],
        place: scratch.path(),
        judge: &|place, wanted| judge(&place.join("data"), wanted),
    });
}

fn archives(test: &str, how: fn(&Story<'_>)) {
    let layers = story::layers();
    judged(test, &story::CHAPTERS, &|root, wanted| judge::judge(root, wanted, &layers, &[]), how);
}

fn pulls(test: &str, how: fn(&Story<'_>)) {
    let (layers, served) = (taken::layers(), taken::served());
    judged(test, &taken::CHAPTERS, &|root, wanted| judge::judge(root, wanted, &layers, &served), how);
}

#[test]
fn power_cuts_at_every_moment_lose_and_double_nothing() {
    archives("power_cuts_at_every_moment_lose_and_double_nothing", |story| {
        story.is_cut_at_every_moment(power::states(STATES));
    });
}

#[test]
fn power_cuts_during_the_recovery_from_one() {
    archives("power_cuts_during_the_recovery_from_one", |story| {
        story.is_cut_while_it_recovers(power::states(RECOVERIES));
    });
}

#[test]
fn power_cuts_during_pulls_commits_and_prunes() {
    pulls("power_cuts_during_pulls_commits_and_prunes", |story| {
        story.is_cut_at_every_moment(power::states(STATES));
    });
}

#[test]
fn power_cuts_during_the_recovery_of_pulls() {
    pulls("power_cuts_during_the_recovery_of_pulls", |story| {
        story.is_cut_while_it_recovers(power::states(RECOVERIES));
    });
}
