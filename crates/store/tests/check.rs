//! Whatever is broken in a store, the check says so in a sentence, repairs it when it was asked to, and then has nothing left to say.
#![allow(clippy::disallowed_methods, reason = "tests break files")]

mod support;

use std::path::{Path, PathBuf};

use store::{Finding, Missing, Outcome, Report};
use support::{Scratch, gzip, is_root, sha256, tar_of};

use layer::Entry;

/// The layers of the image that is broken.
fn layers() -> Vec<Vec<u8>> {
    let dressed = Entry {
        mode: 0o4755,
        uid: 7,
        gid: 8,
        mtime: layer::Time { seconds: 77, nanos: 5 },
        ..Entry::file("bin", 3)
    };
    let hard = Entry { link: b"bin".to_vec(), ..Entry::new("hard", layer::EntryKind::Hardlink, 0) };
    vec![
        tar_of(&[
            (Entry::directory("etc"), b""),
            (Entry::file("etc/conf", 4), b"conf"),
            (dressed, b"bin"),
            (hard, b""),
        ]),
        tar_of(&[(Entry::file("etc/.wh.conf", 0), b""), (Entry::symlink("link", "etc"), b"")]),
    ]
}

fn loaded() -> Scratch {
    let scratch = Scratch::new();
    let archive = support::docker_archive_with(&["a:1"], &layers(), gzip);
    scratch.load(&archive).expect("load");
    scratch
}

/// Finds the tree of the layer with that file.
fn tree(scratch: &Scratch, file: &str) -> PathBuf {
    let image = scratch.store.resolve("a:1").expect("image");
    let mut paths = scratch.store.layer_paths(&image).into_iter();
    paths.find(|path| path.join(file).symlink_metadata().is_ok()).expect("a layer with it")
}

fn nothing(_: &Missing) -> Result<Box<dyn std::io::Read>, String> {
    Err("there is no registry".into())
}

fn findings(report: &Report) -> Vec<String> {
    report.findings.iter().map(Finding::to_string).collect()
}

/// Breaks something; the check must find it, and nothing else; the repair must mend it.
fn mends(what: &str, want: &str, repaired: &str, damage: impl FnOnce(&Scratch)) {
    let scratch = loaded();
    damage(&scratch);
    let found = scratch.store.check(None).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(found.is_damaged() && found.findings.len() == 1, "{what}: {:?}", findings(&found));
    assert!(findings(&found)[0].contains(want), "{what}: {:?}", findings(&found));
    assert_eq!(found.findings[0].outcome, Outcome::Left);
    let mended = scratch.store.check(Some(&mut nothing)).expect("repair");
    assert!(!mended.is_damaged() && mended.findings.len() == 1, "{what}: {:?}", findings(&mended));
    assert!(findings(&mended)[0].ends_with(repaired), "{what}: {:?}", findings(&mended));
    let after = scratch.store.check(None).expect("check");
    assert_eq!(findings(&after), [""; 0], "{what}");
    assert!(after.to_string().ends_with("all is well"), "{after}");
    let litter = scratch.litter();
    assert!(!litter.iter().any(|name| name.starts_with("ingest")), "{what}: {litter:?}");
}

#[test]
fn a_sound_store_is_said_to_be() {
    if !is_root("a_sound_store_is_said_to_be") {
        return;
    }
    let scratch = loaded();
    let report = scratch.store.check(None).expect("check");
    assert_eq!((report.images, report.layers, report.blobs), (1, 2, 4));
    assert_eq!(findings(&report), [""; 0]);
    // One in which containers live is, too.
    let image = scratch.store.resolve("a:1").expect("image");
    scratch.store.prepare("c", &image, true).expect("prepare");
    assert_eq!(findings(&scratch.store.check(Some(&mut nothing)).expect("check")), [""; 0]);
}

#[test]
fn layers_are_compared_with_their_blobs() {
    if !is_root("layers_are_compared_with_their_blobs") {
        return;
    }
    let again = "unpacked again from its blob";
    let write = |path: PathBuf, text: &str| std::fs::write(path, text).expect("damage");
    mends("content", "\"etc/conf\" has other content", again, |s| {
        write(tree(s, "bin").join("etc/conf"), "cont")
    });
    mends("zeros", "\"etc/conf\" has other content", again, |s| {
        write(tree(s, "bin").join("etc/conf"), "\0\0\0\0")
    });
    mends("length", "\"etc/conf\" has another length", again, |s| write(tree(s, "bin").join("etc/conf"), ""));
    mends("more", "\"etc/new\" does not belong there", again, |s| write(tree(s, "bin").join("etc/new"), ""));
    mends("less", "\"etc/conf\" is missing", again, |s| {
        std::fs::remove_file(tree(s, "bin").join("etc/conf")).expect("damage");
    });
    mends("mode", "\"bin\" has another mode", again, |s| chmod(&tree(s, "bin").join("bin"), 0o755));
    mends("root", "\".\" has another mode", again, |s| chmod(&tree(s, "bin"), 0o700));
    mends("owner", "\"bin\" has another owner", again, |s| {
        let path = tree(s, "bin").join("bin");
        std::os::unix::fs::chown(&path, Some(9), None).expect("damage");
        chmod(&path, 0o4755);
    });
    mends("links", "\"hard\" has other hard links", again, |s| {
        let (bin, hard) = (tree(s, "bin").join("bin"), tree(s, "bin").join("hard"));
        std::fs::remove_file(&hard).expect("damage");
        support::run(&format!("cp -p {} {}", bin.display(), hard.display()));
    });
    mends("target", "\"link\" has another target", again, |s| {
        let path = tree(s, "link").join("link");
        std::fs::remove_file(&path).expect("damage");
        std::os::unix::fs::symlink("usr", path).expect("damage");
    });
    mends("kind", "\"etc/conf\" is of another kind", again, |s| {
        let path = tree(s, "link").join("etc/conf");
        std::fs::remove_file(&path).expect("damage");
        std::fs::create_dir(path).expect("damage");
    });
    mends("attribute", "\"etc\" has other attributes", again, |s| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(tree(s, "bin").join("etc"), "trusted.overlay.opaque", b"y", flags)
            .expect("damage");
    });
    mends("date", "\"bin\" has another date", again, |s| {
        support::run(&format!("touch -d @99 {}", tree(s, "bin").join("bin").display()));
    });
    mends("gone", "it is missing", again, |s| {
        std::fs::remove_dir_all(tree(s, "bin")).expect("damage");
    });
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("damage");
}

#[test]
fn names_and_strays_are_put_right() {
    if !is_root("names_and_strays_are_put_right") {
        return;
    }
    mends("index", "index.json is not what it should be", "written again", |s| {
        std::fs::write(s.root().join("index.json"), br#"{"schemaVersion":2,"manifests":[]}"#)
            .expect("damage");
    });
    mends("stray blob", "1 thing belong to no image: blobs/sha256/00", "removed", |s| {
        std::fs::write(s.root().join("blobs/sha256").join("00".repeat(32)), "x").expect("damage");
    });
    mends("stray tree", "1 thing belong to no image: overlay/l/abc", "removed", |s| {
        std::fs::create_dir(s.root().join("overlay/l/abc")).expect("damage");
    });
    mends("configuration", "is damaged: its content has the digest", "written again", |s| {
        let id = s.store.resolve("a:1").expect("image").id;
        std::fs::write(s.root().join("blobs/sha256").join(id.hex()), "{}").expect("damage");
    });
}

#[test]
fn blobs_come_from_elsewhere_or_stay_broken() {
    if !is_root("blobs_come_from_elsewhere_or_stay_broken") {
        return;
    }
    let scratch = loaded();
    let blob = gzip(&layers()[0]);
    let digest = sha256(&blob);
    let path = scratch.root().join("blobs/sha256").join(&digest[7..]);
    for damage in [Some(&b"cut"[..]), None] {
        match damage {
            Some(bytes) => std::fs::write(&path, bytes).expect("damage"),
            None => std::fs::remove_file(&path).expect("damage"),
        }
        let found = scratch.store.check(None).expect("check");
        // The blob is broken, and its layer has nothing to be compared with.
        assert_eq!(found.findings.len(), 2, "{:?}", findings(&found));
        assert!(findings(&found)[0].contains("of a:1 is"), "{:?}", findings(&found));
        assert!(findings(&found)[1].contains("cannot be compared"), "{:?}", findings(&found));

        let left = scratch.store.check(Some(&mut nothing)).expect("check");
        assert!(left.is_damaged(), "{left}");
        assert!(findings(&left)[0].ends_with("not repaired: there is no registry"), "{:?}", findings(&left));

        let mut wrong = |_: &Missing| Ok::<Box<dyn std::io::Read>, String>(Box::new(&b"something else"[..]));
        let left = scratch.store.check(Some(&mut wrong)).expect("check");
        assert!(findings(&left)[0].contains("what was got has the digest"), "{:?}", findings(&left));

        let mut registry = |missing: &Missing| {
            assert_eq!((missing.digest.to_string(), missing.manifest), (digest.clone(), false));
            assert_eq!(missing.references[0].familiar(), "a:1");
            Ok::<Box<dyn std::io::Read>, String>(Box::new(std::io::Cursor::new(gzip(&layers()[0]))))
        };
        let mended = scratch.store.check(Some(&mut registry)).expect("check");
        assert!(!mended.is_damaged(), "{:?}", findings(&mended));
        assert!(findings(&mended)[0].ends_with("pulled again"), "{:?}", findings(&mended));
        assert_eq!(findings(&scratch.store.check(None).expect("check")), [""; 0]);
    }
}
