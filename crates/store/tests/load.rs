//! Loading archives of every shape that tools make, and finding, naming and removing what came of them.

#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use layer::{Entry, EntryKind};
use store::{Durability, Progress, Removed, Store, Usage};
use support::{
    Layout, Scratch, docker_archive, docker_archive_with, gzip, is_root, sha256, tar, tar_of, zstd,
};
use types::{Kind, Rootfs};

fn two_layers() -> Vec<Vec<u8>> {
    vec![
        tar(&[
            ("bin/", b""),
            ("bin/a", b"one"),
            ("etc/", b""),
            ("etc/x", b"x"),
            ("gone/", b""),
            ("gone/y", b""),
        ]),
        tar(&[("etc/.wh.x", b""), ("gone/", b""), ("gone/.wh..wh..opq", b""), ("bin/b", b"two!")]),
    ]
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

#[test]
fn docker_archive_is_loaded_and_prepared() {
    if !is_root("docker_archive_is_loaded_and_prepared") {
        return;
    }
    let scratch = Scratch::new();
    let archive = docker_archive(&["busybox:1", "example.com/b:2"], &two_layers());
    let mut seen = Vec::new();
    let loaded = scratch.store.load(&mut &archive[..], &mut |p| seen.push(p)).expect("load");
    assert_eq!(loaded.len(), 2);
    let image = scratch.store.resolve("busybox:1").expect("resolve");
    assert_eq!(image.id.to_string(), sha256(&support::config(&two_layers())));
    assert_eq!(image.repo_tags(), ["busybox:1", "example.com/b:2"]);
    assert_eq!((image.size, image.created), (3 + 1 + 4, 1_714_979_289));
    assert!(image.repo_digests.is_empty());
    assert!(seen.iter().filter(|p| matches!(p, Progress::Unpacked { .. })).count() == 2);

    let root = scratch.store.prepare("c1", &image, true).expect("prepare");
    let Rootfs::Overlay { lower, upper, work, volatile } = root else { panic!("not an overlay") };
    assert!(volatile && upper.is_dir() && work.is_dir() && lower.len() == 2);
    let hidden = std::fs::symlink_metadata(lower[0].join("etc/x")).expect("whiteout");
    assert!(hidden.file_type().is_char_device() && hidden.rdev() == 0);
    let mut opaque = [0; 8];
    let length = rustix::fs::getxattr(lower[0].join("gone"), "trusted.overlay.opaque", &mut opaque[..])
        .expect("opaque");
    assert_eq!(&opaque[..length], b"y");
    assert_eq!(std::fs::read(lower[1].join("bin/a")).expect("a"), b"one");
    assert_eq!(scratch.store.prepare("c1", &image, true).expect_err("twice").kind(), Kind::Conflict);
    scratch.store.discard("c1").expect("discard");
    assert!(!upper.exists());
}

#[test]
fn every_compression_gives_the_same_image() {
    if !is_root("every_compression_gives_the_same_image") {
        return;
    }
    for outer in [plain as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
        for inner in [plain as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
            let scratch = Scratch::new();
            scratch.load(&outer(&docker_archive_with(&["a:1"], &two_layers(), inner))).expect("docker");
            let mut layout = Layout::default();
            let descriptor = layout.image(&two_layers(), inner);
            layout.name(descriptor, "docker.io/library/b:1");
            scratch.load(&outer(&layout.archive())).expect("oci");
            let images = scratch.store.images();
            assert_eq!(images.len(), 1);
            assert_eq!(images.iter().next().expect("image").repo_tags(), ["a:1", "b:1"]);
        }
    }
}

#[test]
fn nested_indexes_choose_this_platform() {
    if !is_root("nested_indexes_choose_this_platform") {
        return;
    }
    let scratch = Scratch::new();
    let mut layout = Layout::default();
    let mut here = layout.image(&two_layers(), gzip);
    here["platform"] = serde_json::json!({"os": "linux", "architecture": "amd64"});
    let mut there = layout.image(&[tar(&[("other", b"")])], gzip);
    there["platform"] = serde_json::json!({"os": "linux", "architecture": "arm64"});
    let inner = layout.index_of(&[there.clone(), here]);
    let outer = layout.index_of(&[inner]);
    layout.name(outer, "multi:1");
    let loaded = scratch.load(&layout.archive()).expect("load");
    assert_eq!(loaded.len(), 1);
    let image = scratch.store.resolve("multi:1").expect("resolve");
    assert_eq!(image.layers.len(), 2);
    // The repository's digest is that of what the name leads to; a manifest below it is found there too.
    let digest = format!("multi@{}", image.target);
    assert_ne!(image.target, image.manifest);
    assert_eq!(image.repo_digests, [digest.as_str()]);
    for known in [digest, format!("multi@{}", image.manifest)] {
        assert_eq!(scratch.store.resolve(&known).expect("by digest").id, image.id, "{known}");
    }
    for foreign in [image.target, image.manifest].map(|digest| format!("other@{digest}")) {
        assert_eq!(scratch.store.resolve(&foreign).expect_err("foreign").kind(), Kind::NotFound);
    }
    // Two indexes, and of two platforms a manifest, a configuration and layers.
    assert_eq!(scratch.litter().iter().filter(|n| n.starts_with("blobs/")).count(), 2 + 4 + 3);

    let scratch = Scratch::new();
    let mut layout = Layout::default();
    let mut there2 = layout.image(&[tar(&[("b", b"")])], gzip);
    there2["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
    layout.image(&[tar(&[("other", b"")])], gzip);
    let index = layout.index_of(&[there, there2]);
    layout.name(index, "multi:2");
    let host = oci::image::platform::Preference::host();
    let error =
        scratch.store.load_for(&mut &layout.archive()[..], &[host], &mut |_| ()).expect_err("no platform");
    assert_eq!(
        error.to_string(),
        "no matching manifest for linux/amd64 in the manifest list entries (it has: linux/arm64, linux/s390x)"
    );
    assert_eq!(scratch.litter(), Vec::<String>::new());
    assert_eq!(scratch.load(&layout.archive()).expect("whatever it is for").len(), 1);
}

#[test]
fn both_lists_in_one_archive_agree() {
    if !is_root("both_lists_in_one_archive_agree") {
        return;
    }
    let scratch = Scratch::new();
    let mut layout = Layout::default();
    let layers = two_layers();
    let mut descriptor = layout.image(&layers, plain);
    descriptor["annotations"] = serde_json::json!({"io.containerd.image.name": "docker.io/library/a:1",
        "org.opencontainers.image.ref.name": "1"});
    layout.index.push(descriptor);
    let config = support::config(&layers);
    let manifest = serde_json::json!([{"Config": format!("blobs/sha256/{}", support::hex(&config)),
        "RepoTags": ["a:1", "a:2"], "Layers": layers.iter().map(|l| format!("blobs/sha256/{}", support::hex(l))).collect::<Vec<_>>()}]);
    layout.blobs.insert(0, ("manifest.json".into(), manifest.to_string().into_bytes()));
    let loaded = scratch.load(&layout.archive()).expect("load");
    let names: Vec<_> = loaded.iter().filter_map(|l| l.reference.as_ref().map(|r| r.familiar())).collect();
    assert_eq!(names, ["a:1", "a:2"]);
    assert_eq!(scratch.store.images().len(), 1);
}

#[test]
fn special_files_arrive_whole() {
    if !is_root("special_files_arrive_whole") {
        return;
    }
    let capability = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let long = "long/".repeat(60) + "name";
    let mut ping = Entry { mode: 0o4755, uid: 70_000, gid: 5, ..Entry::file("ping", 3) };
    ping.xattrs.push((b"security.capability".to_vec(), capability.to_vec()));
    ping.xattrs.push((b"trusted.overlay.opaque".to_vec(), b"y".to_vec()));
    ping.mtime = layer::Time { seconds: 1_000_000, nanos: 5 };
    let link = Entry { link: b"/ping".to_vec(), ..Entry::new("again", EntryKind::Hardlink, ping.mode) };
    let again =
        Entry { uid: ping.uid, gid: ping.gid, mtime: ping.mtime, xattrs: ping.xattrs.clone(), ..link };
    let mut null = Entry::new("dev/null", EntryKind::CharDevice, 0o666);
    null.device = layer::Device { major: 1, minor: 3 };
    let layer = tar_of(&[
        (Entry { mode: 0o1777, ..Entry::directory("") }, b""),
        (ping, b"abc"),
        (null, b""),
        (Entry::new("pipe", EntryKind::Fifo, 0o600), b""),
        (Entry::symlink("abs", "/etc/../bin"), b""),
        (again, b""),
        (Entry::file(&long, 1), b"x"),
        (Entry { mtime: layer::Time { seconds: 77, nanos: 0 }, ..Entry::directory("dated") }, b""),
        (Entry::file("dated/file", 0), b""),
    ]);
    let scratch = Scratch::new();
    scratch.load(&docker_archive(&["a:1"], &[layer])).expect("load");
    let image = scratch.store.resolve("a:1").expect("resolve");
    let Rootfs::Overlay { lower, upper, .. } = scratch.store.prepare("c", &image, false).expect("prepare")
    else {
        panic!("not an overlay")
    };
    let stat = |name: &str| std::fs::symlink_metadata(lower[0].join(name)).expect(name);
    let ping = stat("ping");
    assert_eq!((ping.mode() & 0o7777, ping.uid(), ping.gid(), ping.nlink()), (0o4755, 70_000, 5, 2));
    assert_eq!((ping.mtime(), ping.mtime_nsec(), ping.ino()), (1_000_000, 5, stat("again").ino()));
    let mut value = [0; 64];
    let path = lower[0].join("ping");
    let length = rustix::fs::getxattr(&path, "security.capability", &mut value[..]).expect("capability");
    assert_eq!(value[..length], capability);
    assert!(rustix::fs::getxattr(&path, "trusted.overlay.opaque", &mut value[..]).is_err());
    assert_eq!(stat("dev/null").rdev(), rustix::fs::makedev(1, 3));
    assert!(stat("pipe").file_type().is_fifo());
    assert_eq!(std::fs::read_link(lower[0].join("abs")).expect("link").to_str(), Some("/etc/../bin"));
    assert_eq!(std::fs::read(lower[0].join(&long)).expect("long"), b"x");
    assert_eq!(stat("dated").mtime(), 77);
    assert_eq!(std::fs::metadata(upper).expect("upper").mode() & 0o7777, 0o1777);
}

#[test]
fn i16_an_image_without_layers_has_an_empty_root() {
    if !is_root("i16_an_image_without_layers_has_an_empty_root") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&docker_archive(&["empty:1"], &[])).expect("load");
    let image = scratch.store.resolve("empty:1").expect("resolve");
    let Rootfs::Overlay { lower, .. } = scratch.store.prepare("c", &image, true).expect("prepare") else {
        panic!("not an overlay")
    };
    assert_eq!((lower.len(), std::fs::read_dir(&lower[0]).expect("lower").count()), (1, 0));
    // A layer that is there twice is stacked once; one that hides all below it is the last.
    let same = tar(&[("a", b"1")]);
    let opaque = tar(&[(".wh..wh..opq", b""), ("b", b"2")]);
    scratch.load(&docker_archive(&["odd:1"], &[same.clone(), opaque, same.clone(), same])).expect("load");
    let image = scratch.store.resolve("odd:1").expect("resolve");
    let Rootfs::Overlay { lower, .. } = scratch.store.prepare("d", &image, true).expect("prepare") else {
        panic!("not an overlay")
    };
    assert_eq!((image.layers.len(), lower.len()), (4, 2));
}

#[test]
fn removing_follows_docker() {
    if !is_root("removing_follows_docker") {
        return;
    }
    let scratch = Scratch::new();
    let store = &scratch.store;
    let nobody = |_: &types::Digest| None;
    scratch.load(&docker_archive(&["a:1", "b:1"], &two_layers())).expect("load");
    let image = store.resolve("a:1").expect("resolve");
    let short = image.id.short();
    let refused = store.remove(&short, false, &nobody).expect_err("several names");
    assert_eq!(
        refused.to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(store.remove("a:1", false, &nobody).expect("untag"), [Removed::Untagged("a:1".into())]);
    let stopped = |_: &types::Digest| Some(Usage { container: "0123456789abcdef".into(), running: false });
    let running = |_: &types::Digest| Some(Usage { container: "0123456789abcdef".into(), running: true });
    assert_eq!(
        store.remove("b:1", false, &stopped).expect_err("used").to_string(),
        format!(
            "conflict: unable to remove repository reference \"b:1\" (must force) - container 0123456789ab is using its referenced image {short}"
        )
    );
    assert_eq!(
        store.remove(&short, true, &running).expect_err("running").to_string(),
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container 0123456789ab"
        )
    );
    assert_eq!(
        store.remove(&short, false, &stopped).expect_err("stopped").to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container 0123456789ab"
        )
    );
    // A container's layers outlive their image.
    store.prepare("c1", &image, false).expect("prepare");
    let removed = store.remove("b:1", true, &stopped).expect("force");
    assert_eq!(removed, [Removed::Untagged("b:1".into()), Removed::Deleted(image.id.to_string())]);
    assert!(store.snapshot("c1", false).is_ok());
    store.discard("c1").expect("discard");
    let Err(missing) = store.remove("b:1", true, &nobody) else { panic!("still there") };
    assert_eq!((missing.kind(), missing.to_string().as_str()), (Kind::NotFound, "No such image: b:1"));
    assert_eq!(scratch.litter(), Vec::<String>::new());
}

#[test]
fn names_move_and_prefixes_are_found() {
    if !is_root("names_move_and_prefixes_are_found") {
        return;
    }
    let scratch = Scratch::new();
    let store = &scratch.store;
    scratch.load(&docker_archive(&["a:1"], &two_layers())).expect("load");
    scratch.load(&docker_archive(&["a:1"], &two_layers()[..1])).expect("load again");
    let images = store.images();
    let nameless = images.iter().find(|i| i.references.is_empty()).expect("dangling");
    assert_eq!(store.resolve(&nameless.id.hex()[..7]).expect("prefix").id, nameless.id);
    assert_eq!(store.resolve(&nameless.id.to_string()).expect("id").id, nameless.id);
    assert_eq!(store.resolve(&nameless.id.hex()).expect("hex").id, nameless.id);
    assert_eq!(
        store.resolve(&format!("sha256:{}", &nameless.id.hex()[..9])).expect("prefix").id,
        nameless.id
    );
    store.tag(nameless, &"a:2".parse().expect("name")).expect("tag");
    assert_eq!(store.resolve("a:2").expect("name").id, nameless.id);
    assert_eq!(store.resolve("nope").expect_err("missing").to_string(), "No such image: nope:latest");
    assert_eq!(store.resolve("nope:3").expect_err("missing").to_string(), "No such image: nope:3");
    assert_eq!(store.resolve("Nope").expect_err("capital").kind(), Kind::InvalidInput);
    assert_eq!(store.resolve("a b").expect_err("blank").kind(), Kind::InvalidInput);
}

#[test]
fn everything_is_there_after_reopening() {
    if !is_root("everything_is_there_after_reopening") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&docker_archive(&["a:1"], &two_layers())).expect("load");
    let image = scratch.store.resolve("a:1").expect("resolve");
    scratch.store.prepare("c1", &image, false).expect("prepare");
    scratch.store.records().put("container", "c1", "{}", Durability::Relaxed).expect("put");
    let root = scratch.root();
    assert_eq!(Store::open(&root).err().expect("locked").kind(), Kind::Conflict);
    let Scratch { dir, store } = scratch;
    drop(store);
    std::fs::create_dir_all(root.join("ingest/7/left")).expect("litter");
    std::fs::write(root.join("blobs/sha256").join("ab".repeat(32)), b"litter").expect("litter");
    let store = Store::open(&root).expect("open");
    assert_eq!(store.warnings(), [] as [&str; 0]);
    let again = store.resolve("a:1").expect("resolve");
    assert_eq!((again.size, &again.layers, again.created), (image.size, &image.layers, image.created));
    assert!(store.snapshot("c1", false).is_ok());
    assert_eq!(store.records().all("container").expect("all").len(), 1);
    assert!(!root.join("ingest/7").exists() && !root.join("blobs/sha256").join("ab".repeat(32)).exists());
    drop(dir);
}
