//! No descriptors are left: what is refused leaves nothing, and what can be done without any is done.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Scratch, is_root, two_layers};

/// In a program of its own, as all of a process' threads share the limit.
#[test]
fn a_snapshot_is_made_or_not_without_descriptors() {
    if !is_root("a_snapshot_is_made_or_not_without_descriptors") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&two_layers("a:1", 1)).expect("load");
    let image = scratch.store.resolve("a:1").expect("image");
    scratch.store.prepare("first", &image, false).expect("prepare");
    let snapshots = || {
        let entries = std::fs::read_dir(scratch.root().join("overlay/snapshots")).expect("snapshots");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("entry").file_name()).collect();
        names.sort();
        names
    };
    let before = getrlimit(Resource::Nofile);
    let limit = |current| setrlimit(Resource::Nofile, Rlimit { current, ..before }).expect("limit");
    limit(Some(0));
    let refused = scratch.store.prepare("second", &image, false);
    let discarded = scratch.store.discard("first");
    limit(before.current);
    let refused = refused.expect_err("no descriptors").to_string();
    assert!(refused.contains("cannot make the snapshot of container second"), "{refused}");
    discarded.expect("nobody wrote into it");
    assert_eq!(snapshots(), [""; 0]);
    scratch.store.prepare("second", &image, false).expect("now it can be");
    assert_eq!(snapshots(), ["second"]);
}
