//! What names lead to: indexes with several platforms, attestations, artifacts, and what refers to them.
#![allow(clippy::disallowed_methods, reason = "tests read and rewrite files of the data root")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use store::{Document, Documents, Image, Removed, Result, Role, Store, Usage};
use support::targets::{MANIFEST, artifact, bytes, digest, image, index, on, saved};
use support::{Layout, Scratch, is_root, small};
use types::{Digest, Kind, Reference};

fn reopen(scratch: Scratch, change: impl FnOnce(&std::path::Path)) -> Scratch {
    let root = scratch.root();
    let Scratch { dir, store } = scratch;
    drop(store);
    change(&root);
    Scratch { store: Store::open_with(&root, small()).expect("open"), dir }
}

#[test]
fn an_index_is_kept_byte_for_byte_with_all_that_came() {
    if !is_root("an_index_is_kept_byte_for_byte_with_all_that_came") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, arm64) = index(&mut layout);
    layout.name(index.clone(), "example.com/multi:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    let scratch = reopen(scratch, |_| ());
    assert_eq!(scratch.store.warnings(), [] as [&str; 0]);

    let list = scratch.store.images();
    let target = list.target_of(&"example.com/multi:1".parse().expect("name")).expect("target");
    assert_eq!((target.digest, target.members.len(), list.len()), (digest(&index), 4, 2));
    assert_eq!(scratch.store.document(&target.digest).expect("index"), bytes(&layout, &index));
    assert_eq!(target.repo_digests, [format!("example.com/multi@{}", target.digest)]);
    let seen: Vec<_> = target.members.iter().map(|m| (m.role.clone(), m.image.is_some())).collect();
    let attests = Role::Attestation { of: digest(&amd64) };
    assert_eq!(seen, [(Role::Image, true), (Role::Image, true), (attests, true), (Role::Image, false)]);
    let chosen = |platform: &str| list.resolve_for("example.com/multi:1", Some(&on(platform)));
    assert_eq!(chosen("linux/amd64").expect("amd64").manifest, digest(&amd64));
    assert_eq!(chosen("linux/aarch64").expect("arm64").manifest, digest(&arm64));
    assert_eq!(list.resolve("example.com/multi:1").expect("host").manifest, digest(&amd64));
    let absent = chosen("linux/s390x").expect_err("absent");
    assert_eq!(
        (absent.kind(), absent.to_string().as_str()),
        (
            Kind::NotFound,
            "image with reference example.com/multi:1 was found but does not provide the specified platform (linux/s390x)"
        )
    );
    let arm64 = chosen("linux/arm64").expect("arm64");
    assert_eq!(list.resolve_for(&arm64.id.hex(), None).expect("by its id").id, arm64.id);
    assert!(list.resolve_for(&arm64.id.hex(), Some(&on("linux/amd64"))).is_err());
    let root = scratch.store.prepare("c", &arm64, true).expect("prepared for another platform");
    let types::Rootfs::Overlay { lower, .. } = root else { panic!("not an overlay") };
    assert_eq!(std::fs::read(lower[0].join("arch")).expect("arch"), b"arm64");
}

#[test]
fn saving_and_loading_and_saving_gives_the_same_bytes() {
    if !is_root("saving_and_loading_and_saving_gives_the_same_bytes") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, _) = index(&mut layout);
    layout.name(index.clone(), "example.com/multi:1");
    layout.name(index.clone(), "example.com/multi:2");
    let chart = artifact(&mut layout, "application/vnd.example.chart", b"chart", None);
    layout.name(chart, "example.com/chart:1");
    let one = Scratch::new();
    one.load(&layout.archive()).expect("load");
    one.load(&support::two_layers("plain:1", 1)).expect("load");
    let names = ["example.com/chart:1", "example.com/multi:2", "plain:1", "example.com/multi:1"];
    let first = saved(&one, &names);
    let two = Scratch::new();
    assert_eq!(two.load(&first).expect("load").len(), 4);
    assert!(saved(&two, &names) == first, "the second archive differs");
    assert_eq!(two.store.images().target(&digest(&index)).expect("target").references.len(), 2);

    // One platform of an index: its manifest is what the name then leads to.
    let mut alone = Vec::new();
    one.store.save_for(&["example.com/multi:1"], &[on("linux/amd64")], &mut alone).expect("save");
    let three = Scratch::new();
    three.load(&alone).expect("load");
    let image = three.store.resolve("example.com/multi:1").expect("image");
    assert_eq!((image.target, image.manifest), (digest(&amd64), digest(&amd64)));
    let missing = one.store.save_for(&["example.com/multi:1"], &[on("linux/s390x")], &mut Vec::new());
    assert_eq!(missing.expect_err("absent").kind(), Kind::NotFound);
}

#[test]
fn several_platforms_are_saved_loaded_and_removed() {
    if !is_root("several_platforms_are_saved_loaded_and_removed") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, arm64) = index(&mut layout);
    layout.name(index.clone(), "example.com/multi:1");
    let one = Scratch::new();
    one.load(&layout.archive()).expect("load");
    let name = ["example.com/multi:1"];
    let here = |scratch: &Scratch| -> Vec<(Role, bool)> {
        let list = scratch.store.images();
        let target = list.target_of(&name[0].parse().expect("name")).expect("target");
        target.members.iter().map(|member| (member.role.clone(), member.image.is_some())).collect()
    };
    let attests = Role::Attestation { of: digest(&amd64) };
    let all = [(Role::Image, true), (Role::Image, true), (attests.clone(), true), (Role::Image, false)];

    // Several: the index stays what the name leads to, whichever of its images were chosen.
    let mut both = Vec::new();
    one.store.save_for(&name, &[on("linux/arm64"), on("linux/amd64")], &mut both).expect("save");
    assert!(both == saved(&one, &name), "both platforms are all there is");
    let missing = one.store.save_for(&name, &[on("linux/amd64"), on("linux/s390x")], &mut Vec::new());
    assert_eq!(missing.expect_err("absent").kind(), Kind::NotFound);

    let load = |platforms: &[&str]| {
        let wanted: Vec<_> = platforms.iter().map(|platform| on(platform)).collect();
        let scratch = Scratch::new();
        let loaded = scratch.store.load_for(&mut &both[..], &wanted, &mut |_| ());
        loaded.map(|_| scratch)
    };
    assert_eq!(here(&load(&["linux/amd64", "linux/arm64"]).expect("both")), all);
    let two = load(&["linux/arm64"]).expect("one of them");
    assert_eq!(
        here(&two),
        [(Role::Image, true), (Role::Image, false), (attests, false), (Role::Image, false)]
    );
    assert_eq!(two.store.images().len(), 1, "Docker's manifest.json brings no other in");
    let absent = load(&["linux/arm64", "linux/s390x"]).err().expect("absent");
    assert_eq!(absent.kind(), Kind::NotFound, "{absent}");

    // What is here for one platform goes, with what is about it; the name and the other platform stay.
    let (user, nobody) = (Usage { container: "c0ffee".into(), running: false }, |_: &Digest| None);
    let remove = |platforms: &[&str], force: bool, used: bool| {
        let wanted: Vec<_> = platforms.iter().map(|platform| on(platform)).collect();
        let in_use = |_: &Digest| used.then(|| user.clone());
        one.store.remove_platforms(name[0], &wanted, force, &in_use)
    };
    assert_eq!(remove(&["linux/s390x"], false, false).expect_err("absent").kind(), Kind::NotFound);
    assert_eq!(remove(&["linux/amd64"], false, true).expect_err("used").kind(), Kind::Conflict);
    assert_eq!(here(&one), all);
    let host = one.store.resolve(name[0]).expect("host").id;
    let removed = remove(&["linux/amd64"], false, false).expect("amd64");
    assert_eq!(removed[0], Removed::Deleted(host.to_string()));
    let left = one.store.resolve(name[0]).expect("the other");
    assert_eq!((left.manifest, one.store.images().len()), (digest(&arm64), 1));
    // The last one takes the image along, unless other names say no.
    let other = "example.com/other:1".parse().expect("name");
    one.store.tag(&left, &other).expect("tag");
    assert_eq!(remove(&["linux/arm64"], false, false).expect_err("named twice").kind(), Kind::Conflict);
    one.store.remove("example.com/other:1", false, &nobody).expect("untag");
    let removed = remove(&["linux/arm64"], true, true).expect("the last");
    assert_eq!(removed[0], Removed::Untagged(name[0].into()));
    assert!(one.store.images().is_empty());
    assert_eq!(one.litter(), Vec::<String>::new());
}

/// Takes in one manifest by way of an index, as a pull does.
fn pull(
    scratch: &Scratch,
    layout: &Layout,
    index: &Value,
    descriptor: &Value,
    name: &str,
) -> Result<Arc<Image>> {
    let manifest: Value = serde_json::from_slice(&bytes(layout, descriptor)).expect("manifest");
    let media_type = index["mediaType"].as_str().expect("type").to_owned();
    let intake = scratch.store.intake(Documents {
        indexes: vec![Document { media_type, bytes: bytes(layout, index) }],
        manifest: bytes(layout, descriptor),
        manifest_type: MANIFEST.to_owned(),
        config: bytes(layout, &manifest["config"]),
    })?;
    let layer = intake.layers()[0];
    let mut blob = Some(Bytes::from(bytes(layout, &manifest["layers"][0])));
    let arrived =
        scratch.store.receive(&layer)?.run(&mut || Ok::<_, store::Error>(blob.take()), &|_| true)?;
    intake.commit(&[Arc::new(arrived)], Some(&name.parse::<Reference>().expect("name")))
}

#[test]
fn platforms_of_one_index_come_one_by_one() {
    if !is_root("platforms_of_one_index_come_one_by_one") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, arm64) = index(&mut layout);
    let other = layout.index_of(std::slice::from_ref(&amd64));
    let scratch = Scratch::new();
    let name = "example.com/multi:1";
    let first = pull(&scratch, &layout, &index, &amd64, name).expect("amd64");
    assert_eq!((first.target, first.config.architecture.as_str()), (digest(&index), "amd64"));
    let second = pull(&scratch, &layout, &index, &arm64, name).expect("arm64");
    assert_eq!(second.config.architecture, "arm64");
    let scratch = reopen(scratch, |_| ());
    let list = scratch.store.images();
    let target = list.target_of(&name.parse().expect("name")).expect("target");
    assert_eq!((target.digest, target.images().count()), (digest(&index), 2));
    assert_eq!(list.resolve(name).expect("host").id, first.id);
    assert_eq!(second.repo_digests, [format!("example.com/multi@{}", digest(&index))]);
    let stranger = pull(&scratch, &layout, &other, &arm64, name).expect_err("leads elsewhere");
    assert!(stranger.to_string().contains("does not lead to"), "{stranger}");

    // The name moves to another index; the repository still has the old one, under its digest.
    pull(&scratch, &layout, &other, &amd64, name).expect("the new index");
    let list = scratch.store.images();
    assert_eq!(list.target_of(&name.parse().expect("name")).expect("target").digest, digest(&other));
    let old = list.target(&digest(&index)).expect("kept");
    assert_eq!(
        (old.references.len(), &old.repo_digests[..]),
        (0, &[format!("example.com/multi@{}", digest(&index))][..])
    );
    let by_digest = format!("example.com/multi:1@{}", digest(&index));
    assert_eq!(list.resolve(&by_digest).expect("by digest").target, digest(&index));
    let image = list.get(&first.id).expect("in both");
    assert_eq!((image.references.len(), image.repo_digests.len()), (1, 2));
}

#[test]
fn i03_a_digest_is_found_in_its_own_repository_only() {
    if !is_root("i03_a_digest_is_found_in_its_own_repository_only") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, _) = index(&mut layout);
    layout.name(index.clone(), "example.com/a:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    for known in [digest(&index), digest(&amd64)] {
        for name in ["example.com/a@", "example.com/a:1@", "example.com/a:other@"] {
            assert!(scratch.store.resolve(&format!("{name}{known}")).is_ok(), "{name}{known}");
        }
        for name in ["example.com/b@", "example.com/b:1@", "a:1@", "example.com/a/b@"] {
            let error = scratch.store.resolve(&format!("{name}{known}")).expect_err(name);
            assert_eq!(error.kind(), Kind::NotFound, "{name}{known}");
        }
    }
    // A repository that is said to have it (as after a push) has it.
    let other = "example.com/b:1".parse().expect("name");
    scratch.store.note_repository(&digest(&index), &other).expect("note");
    let scratch = reopen(scratch, |_| ());
    assert!(scratch.store.resolve(&format!("example.com/b@{}", digest(&index))).is_ok());
}

#[test]
fn removing_takes_all_platforms_or_the_one_that_was_meant() {
    if !is_root("removing_takes_all_platforms_or_the_one_that_was_meant") {
        return;
    }
    let mut layout = Layout::default();
    let (index, _, _) = index(&mut layout);
    layout.name(index, "example.com/multi:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    let list = scratch.store.images();
    let host = list.resolve("example.com/multi:1").expect("host");
    let arm64 = list.resolve_for("example.com/multi:1", Some(&on("linux/arm64"))).expect("arm64");
    let used = arm64.id;
    let user = move |id: &Digest| (*id == used).then(|| Usage { container: "c0ffee".into(), running: true });
    let nobody = |_: &Digest| None;
    for text in [arm64.id.hex(), host.id.hex(), "example.com/multi:1".to_owned()] {
        assert_eq!(
            scratch.store.remove(&text, false, &user).expect_err("used").kind(),
            Kind::Conflict,
            "{text}"
        );
    }
    let removed = scratch.store.remove(&arm64.id.hex(), false, &nobody).expect("arm64");
    let [layer] = arm64.layers[..] else { panic!("one layer") };
    assert_eq!(removed, [Removed::Deleted(arm64.id.to_string()), Removed::Deleted(layer.to_string())]);
    assert!(scratch.store.resolve("example.com/multi:1").is_ok());
    scratch.load(&layout.archive()).expect("it comes again");
    let removed = scratch.store.remove("example.com/multi:1", false, &nobody).expect("all");
    let told = |gone: Digest| removed.contains(&Removed::Deleted(gone.to_string()));
    assert!(told(arm64.id) && told(host.id) && removed[0] == Removed::Untagged("example.com/multi:1".into()));
    assert_eq!(scratch.litter(), Vec::<String>::new());
}

#[test]
fn a_lost_manifest_takes_only_its_platform_along() {
    if !is_root("a_lost_manifest_takes_only_its_platform_along") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, arm64) = index(&mut layout);
    layout.name(index.clone(), "example.com/multi:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    let lost = digest(&arm64).hex();
    let scratch =
        reopen(scratch, |root| std::fs::remove_file(root.join("blobs/sha256").join(lost)).expect("remove"));
    let warnings = scratch.store.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("is not in the store"), "{warnings:?}");
    assert_eq!(scratch.store.resolve("example.com/multi:1").expect("host").manifest, digest(&amd64));
    scratch.load(&layout.archive()).expect("load again");
    let list = scratch.store.images();
    assert!(list.resolve_for("example.com/multi:1", Some(&on("linux/arm64"))).is_ok());
    // Without its index.json and the copy of it, the documents themselves say what leads to what.
    scratch.store.records().delete("store", "index", store::Durability::Full).expect("forget");
    let scratch = reopen(scratch, |root| std::fs::remove_file(root.join("index.json")).expect("remove"));
    let list = scratch.store.images();
    let target = list.target(&digest(&index)).expect("found without its name");
    assert_eq!((list.targets().count(), target.images().count()), (1, 3));
}

/// index.json as it was before names led to targets: one descriptor of a manifest per name.
#[test]
fn a_data_root_from_before_indexes_were_kept_opens() {
    if !is_root("a_data_root_from_before_indexes_were_kept_opens") {
        return;
    }
    let mut layout = Layout::default();
    let amd64 = image(&mut layout, "amd64");
    layout.name(amd64.clone(), "example.com/old:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    scratch.load(&support::two_layers("made:1", 1)).expect("load");
    let made = scratch.store.resolve("made:1").expect("made");
    let descriptor = |of: &Digest, size: u64, name: &str| {
        serde_json::json!({"mediaType": MANIFEST, "digest": of.to_string(), "size": size,
            "platform": {"architecture": "amd64", "os": "linux"},
            "annotations": {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}})
    };
    let mut old = descriptor(&digest(&amd64), amd64["size"].as_u64().expect("size"), "example.com/old:1");
    old["annotations"]["dev.berth.foreign-manifest"] = "true".into();
    let size = scratch.store.document(&made.manifest).expect("manifest").len() as u64;
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [old, descriptor(&made.manifest, size, "docker.io/library/made:1")]});
    let scratch =
        reopen(scratch, |root| std::fs::write(root.join("index.json"), index.to_string()).expect("write"));
    assert_eq!(scratch.store.warnings(), [] as [&str; 0]);
    let image = scratch.store.resolve("example.com/old:1").expect("old");
    assert_eq!(
        (image.target, &image.repo_digests[..]),
        (digest(&amd64), &[format!("example.com/old@{}", digest(&amd64))][..])
    );
    let again = scratch.store.resolve("made:1").expect("made");
    assert_eq!((again.id, again.repo_digests.len()), (made.id, 0));
    scratch.store.prepare("c", &again, true).expect("prepare");
}
