//! Files of the data root that got lost or damaged while no daemon ran, and calls that fail at their last step.
#![allow(clippy::disallowed_methods, reason = "tests break files")]

mod support;

use store::{Durability, Options, Store, VolumeOptions};
use support::{Scratch, is_root, small, tar, two_layers};
use types::Kind;

fn reopen(scratch: Scratch, damage: impl FnOnce(&std::path::Path)) -> Scratch {
    let root = scratch.root();
    let Scratch { dir, store } = scratch;
    drop(store);
    damage(&root);
    Scratch { store: Store::open_with(&root, small()).expect("open"), dir }
}

#[test]
fn a_lost_index_takes_no_image_with_it() {
    if !is_root("a_lost_index_takes_no_image_with_it") {
        return;
    }
    let mut scratch = Scratch::new();
    scratch.load(&two_layers("kept:1", 1)).expect("load");
    let id = scratch.store.resolve("kept:1").expect("resolve").id;
    let odd = br#"{"schemaVersion":2,"manifests":[{"mediaType":"","size":1,"digest":"sha512:ab"}]}"#;
    for damage in [None, Some(&b"{ torn"[..]), Some(odd)] {
        scratch = reopen(scratch, |root| match damage {
            None => std::fs::remove_file(root.join("index.json")).expect("remove"),
            Some(text) => std::fs::write(root.join("index.json"), text).expect("damage"),
        });
        assert!(scratch.store.resolve("kept:1").is_ok(), "{damage:?}");
        assert_eq!(scratch.store.warnings().len(), 1, "{:?}", scratch.store.warnings());
        // What was found is written down again: the next open has nothing to repair, and sweeps nothing.
        scratch = reopen(scratch, |_| ());
        assert!(scratch.store.resolve("kept:1").is_ok(), "{damage:?}");
        assert_eq!(scratch.store.warnings(), [] as [&str; 0]);
    }
    scratch.store.records().delete("store", "index", Durability::Full).expect("forget");
    scratch = reopen(scratch, |root| std::fs::remove_file(root.join("index.json")).expect("remove"));
    scratch = reopen(scratch, |root| std::fs::write(root.join("oci-layout"), "").expect("damage"));
    let image = scratch.store.resolve(&id.to_string()).expect("found without its name");
    scratch.store.prepare("c", &image, true).expect("prepare");
    let layout = std::fs::read_to_string(scratch.root().join("oci-layout")).expect("oci-layout");
    assert!(layout.contains("1.0.0"), "{layout}");
}

#[test]
fn an_image_that_cannot_be_restored_is_kept_until_it_is_loaded_again() {
    if !is_root("an_image_that_cannot_be_restored_is_kept_until_it_is_loaded_again") {
        return;
    }
    let mut scratch = Scratch::new();
    scratch.load(&two_layers("kept:1", 1)).expect("load");
    let shared = support::sha256(&tar(&[("shared", &[9; 50_000])])).replace("sha256:", "");
    scratch = reopen(scratch, |root| {
        for layer in std::fs::read_dir(root.join("overlay/l")).expect("layers") {
            std::fs::remove_dir_all(layer.expect("layer").path()).expect("damage");
        }
        std::fs::write(root.join("blobs/sha256").join(&shared), "cut").expect("damage");
    });
    let warnings = scratch.store.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("until it is loaded again"), "{warnings:?}");
    let kept = scratch.store.resolve("kept:1").expect("kept");
    assert_eq!(scratch.store.prepare("c", &kept, true).expect_err("no layer").kind(), Kind::NotFound);
    scratch.load(&two_layers("kept:1", 1)).expect("load again");
    let kept = scratch.store.resolve("kept:1").expect("kept");
    scratch.store.prepare("c", &kept, true).expect("prepare");
    let blob = std::fs::metadata(scratch.root().join("blobs/sha256").join(&shared));
    assert!(blob.expect("blob").len() > 50_000);
}

#[test]
fn a_blob_with_other_content_is_repaired_by_the_next_load() {
    if !is_root("a_blob_with_other_content_is_repaired_by_the_next_load") {
        return;
    }
    let mut scratch = Scratch::new();
    scratch.load(&two_layers("kept:1", 1)).expect("load");
    let image = scratch.store.resolve("kept:1").expect("resolve");
    for blob in [image.id, image.manifest] {
        scratch = reopen(scratch, |root| {
            let path = root.join("blobs/sha256").join(blob.hex());
            let mut bytes = std::fs::read(&path).expect("blob");
            *bytes.last_mut().expect("a byte") ^= 1;
            std::fs::write(&path, bytes).expect("damage");
        });
        assert!(scratch.store.images().is_empty());
        scratch.load(&two_layers("kept:1", 1)).expect("load again");
        scratch = reopen(scratch, |_| ());
        assert!(scratch.store.resolve("kept:1").is_ok(), "{:?}", scratch.store.warnings());
    }
}

#[test]
fn a_load_that_fails_at_its_last_step_leaves_nothing() {
    if !is_root("a_load_that_fails_at_its_last_step_leaves_nothing") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&two_layers("kept:1", 1)).expect("load");
    let before = scratch.litter();
    let index = scratch.root().join("index.json");
    let text = std::fs::read(&index).expect("index");
    std::fs::remove_file(&index).expect("remove");
    std::fs::create_dir_all(index.join("in the way")).expect("obstacle");
    scratch.load(&two_layers("other:1", 2)).expect_err("the index cannot be written");
    assert_eq!(scratch.litter(), before);
    std::fs::remove_dir_all(&index).expect("remove");
    std::fs::write(&index, text).expect("index");
    scratch.load(&two_layers("other:1", 2)).expect("load");
}

#[test]
fn many_small_things_leave_the_reserve_alone() {
    if !is_root("many_small_things_leave_the_reserve_alone") {
        return;
    }
    let scratch = Scratch::with(Options { reserve_bytes: u64::MAX, ..small() });
    let names: Vec<_> = (0..5000).map(|n| format!("{n}/")).collect();
    let directories: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let error = scratch
        .store
        .import(&mut &tar(&directories)[..], None, &store::ImportConfig::default())
        .expect_err("too many");
    assert_eq!(error.kind(), Kind::Exhausted, "{error}");
    assert_eq!(scratch.litter(), Vec::<String>::new());
}

#[test]
fn a_volume_is_removed_where_an_earlier_one_was_left_half_removed() {
    let scratch = Scratch::new();
    let volumes = scratch.store.volumes();
    volumes.create(VolumeOptions { name: "data".into(), ..VolumeOptions::default() }).expect("create");
    std::fs::create_dir_all(scratch.root().join("volumes/.data/_data")).expect("left over");
    volumes.remove("data", false, &|_| Vec::new()).expect("remove");
    assert_eq!(std::fs::read_dir(scratch.root().join("volumes")).expect("volumes").count(), 0);
}
