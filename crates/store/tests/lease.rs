//! Leases: what a push or save in progress counts on outlives the removal of its image, and no longer than the lease.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::sync::Arc;

use store::ImportConfig;
use support::{Scratch, is_root, tar};

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
