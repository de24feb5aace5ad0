//! Leases: what a push or save in progress counts on outlives the removal of its image, and no longer than the lease.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::sync::Arc;

use store::{ImportConfig, Removed, Usage};
use support::{Scratch, is_root, tar, two_layers};

#[test]
fn leased_content_outlives_its_image() {
    if !is_root("leased_content_outlives_its_image") {
        return;
    }
    let scratch = Scratch::new();
    let store = &scratch.store;
    let import = |name: &str, text: &[u8]| {
        let name = name.parse().expect("name");
        store.import(&mut &tar(&[("file", text)])[..], Some(&name), &ImportConfig::default()).expect("import")
    };
    let image = import("a:1", b"one");
    let other = import("b:1", b"two");
    let all = scratch.litter();
    let target = Arc::clone(store.images().target(&image.target).expect("target"));
    let lease = store.lease_target(&target);
    assert!(store.is_leased(&image) && !store.is_leased(&other));
    store.remove("a:1", true, &|_| None).expect("remove");
    assert!(store.resolve("a:1").is_err());
    assert_eq!(scratch.litter(), all, "what is leased is not swept");
    drop(lease);
    // Whatever is removed next takes what the lease kept.
    store.remove("b:1", true, &|_| None).expect("remove");
    assert_eq!(scratch.litter(), Vec::<String>::new());
}

#[test]
fn many_go_at_once_but_what_is_needed() {
    if !is_root("many_go_at_once_but_what_is_needed") {
        return;
    }
    let scratch = Scratch::new();
    let store = &scratch.store;
    let ids: Vec<_> = ["a:1", "b:1", "c:1", "d:1"]
        .iter()
        .zip(1..)
        .map(|(name, seed)| scratch.load(&two_layers(name, seed)).expect("load")[0].image.id)
        .collect();
    let leased = store.resolve("c:1").expect("c:1");
    let lease = store.lease_target(store.images().target(&leased.target).expect("target"));
    let running =
        |id: &types::Digest| (*id == ids[3]).then(|| Usage { container: "c".into(), running: true });
    // One that went meanwhile is no failure.
    let all: Vec<_> = ids.iter().copied().chain([leased.manifest, ids[0]]).collect();
    let removed = store.remove_all(&all, &running).expect("remove");
    assert_eq!(removed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids[..2]);
    let told = |at: usize| {
        let one = |one: &Removed| match one {
            Removed::Untagged(name) => name.clone(),
            Removed::Deleted(_) => "deleted".to_owned(),
        };
        removed[at].1.iter().map(one).collect::<Vec<_>>()
    };
    // The layer of all four stays.
    assert_eq!(
        (told(0), told(1)),
        (
            vec!["a:1".into(), "deleted".into(), "deleted".into()],
            vec!["b:1".into(), "deleted".into(), "deleted".into()]
        )
    );
    assert!(store.resolve("c:1").is_ok() && store.resolve("d:1").is_ok() && store.resolve("a:1").is_err());
    drop(lease);
    let last = store.remove_all(&ids, &|_| None).expect("remove");
    let deleted = |at: usize| last[at].1.iter().filter(|one| matches!(one, Removed::Deleted(_))).count();
    assert_eq!((deleted(0), deleted(1)), (2, 3), "a shared layer goes with the last that has it");
    assert_eq!(scratch.litter(), [""; 0]);
    assert!(store.remove_all(&ids, &|_| None).expect("nothing").is_empty());
}
