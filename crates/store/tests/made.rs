//! Images made here (import, hello), images written out again, and volumes filled from them.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::os::unix::fs::MetadataExt;

use layer::{Entry, EntryKind};
use store::{ImportConfig, VolumeOptions};
use support::{Scratch, docker_archive, gzip, has_tool, is_root, run, tar, tar_of, zstd};
use types::{Kind, Rootfs};

#[test]
fn import_dresses_a_root() {
    if !is_root("import_dresses_a_root") {
        return;
    }
    let scratch = Scratch::new();
    let root = tar(&[("bin/", b""), ("bin/x", b"xyz")]);
    let changes = [
        "CMD [\"x\"]",
        "ENV A=b",
        "EXPOSE 80",
        "VOLUME /data",
        "LABEL k=v",
        "WORKDIR /w",
        "USER 5",
        "STOPSIGNAL 9",
    ];
    let config = ImportConfig {
        changes: changes.map(str::to_owned).to_vec(),
        message: "made".into(),
        ..ImportConfig::default()
    };
    let name = "imported:1".parse().expect("name");
    for bytes in [root.clone(), gzip(&root), zstd(&root)] {
        let image = scratch.store.import(&mut &bytes[..], Some(&name), &config).expect("import");
        let made = image.config.config.clone().expect("config");
        assert_eq!(
            (made.cmd, made.env, made.user.as_str()),
            (Some(vec!["x".into()]), vec!["A=b".into()], "5")
        );
        assert_eq!((made.working_dir.as_str(), made.stop_signal.as_str()), ("/w", "9"));
        assert_eq!((image.size, image.config.history[0].comment.as_str()), (3, "made"));
        assert_eq!(image.config.architecture, "amd64");
        assert_eq!(scratch.store.resolve("imported:1").expect("name").id, image.id);
    }
    let fails = |bytes: &[u8], config: &ImportConfig, want: &str| {
        let before = scratch.litter();
        let error = scratch.store.import(&mut &bytes[..], None, config).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!((error.kind(), scratch.litter()), (Kind::InvalidInput, before));
    };
    let plain = ImportConfig::default();
    fails(b"", &plain, "the archive is empty");
    fails(&root[..700], &plain, "cut short");
    fails(&root[..1024], &plain, "cut short");
    fails(b"hello, this is a text and not an archive at all", &plain, "cut short");
    fails(&vec![b'x'; 4096], &plain, "not a tar header");
    fails(b"\xfd7zXZ\0......", &plain, "compressed with xz");
    fails(
        &root,
        &ImportConfig { changes: vec!["RUN x".into()], ..plain.clone() },
        "run is not a valid change command",
    );
    fails(&root, &ImportConfig { platform: "windows/amd64".into(), ..plain.clone() }, "this is linux");
    fails(&root, &ImportConfig { platform: "linux/".into(), ..plain }, "invalid component of the platform");
}

#[test]
fn a_tall_image_is_stacked() {
    if !is_root("a_tall_image_is_stacked") {
        return;
    }
    let scratch = Scratch::new();
    let layer = |n: usize| tar(&[("d/", b""), (&format!("d/{n}"), b""), ("d/top", n.to_string().as_bytes())]);
    let layers: Vec<_> = (0..200).map(layer).collect();
    scratch.load(&docker_archive(&["tall:1"], &layers)).expect("load");
    let image = scratch.store.resolve("tall:1").expect("resolve");
    let root = scratch.store.prepare("c", &image, true).expect("prepare");
    let (volume, _) = scratch.store.volumes().create(VolumeOptions::default()).expect("volume");
    assert!(scratch.store.volumes().copy_up(&volume.name, &root, "/d").expect("copy"));
    assert_eq!(std::fs::read(volume.path.join("top")).expect("top"), b"199");
    assert_eq!(std::fs::read_dir(&volume.path).expect("volume").count(), 201);
}

#[test]
fn hello_is_the_same_every_time() {
    if !is_root("hello_is_the_same_every_time") {
        return;
    }
    let program = std::env::current_exe().expect("own path");
    let (one, two) = (Scratch::new(), Scratch::new());
    let image = one.store.embedded_hello(&program).expect("hello");
    assert_eq!(one.store.embedded_hello(&program).expect("again").id, image.id);
    assert_eq!(two.store.embedded_hello(&program).expect("other").id, image.id);
    assert_eq!(image.repo_tags(), ["hello:latest"]);
    assert!(image.created > 1_700_000_000, "people are shown how long ago that was");
    let Rootfs::Overlay { lower, .. } = one.store.prepare("c", &image, true).expect("prepare") else {
        panic!()
    };
    let hello = std::fs::metadata(lower[0].join("hello")).expect("hello");
    assert_eq!(
        (hello.mode() & 0o7777, hello.len()),
        (0o755, std::fs::metadata(&program).expect("own").len())
    );
    // A name that the user gave to something else is theirs until hello is asked for again.
    assert_eq!(one.store.images().len(), 1);
}

#[test]
fn saved_images_load_here_and_elsewhere() {
    let test = "saved_images_load_here_and_elsewhere";
    if !is_root(test) {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&docker_archive(&["a:1", "a:2"], &[tar(&[("x", b"1")])])).expect("load");
    scratch.load(&docker_archive(&["b:1"], &[tar(&[("x", b"1")]), tar(&[("y", b"2")])])).expect("load");
    let mut saved = Vec::new();
    scratch.store.save(&["a:1", "a:2", "b:1"], &mut saved).expect("save");
    let other = Scratch::new();
    let loaded = other.load(&saved).expect("load the saved");
    assert_eq!(loaded.len(), 3);
    for name in ["a:1", "a:2", "b:1"] {
        assert_eq!(other.store.resolve(name).expect(name).id, scratch.store.resolve(name).expect(name).id);
    }
    assert_eq!(scratch.store.save(&["c"], &mut Vec::new()).expect_err("missing").kind(), Kind::NotFound);
    if has_tool(test, "skopeo") {
        let path = scratch.dir.path().join("saved");
        std::fs::write(&path, &saved).expect("write");
        for source in ["docker-archive", "oci-archive"] {
            let name = if source == "docker-archive" { "b:1" } else { "docker.io/library/b:1" };
            let seen = run(&format!("skopeo inspect {source}:{}:{name}", path.display()));
            assert!(seen.contains("amd64"), "{seen}");
        }
    }
}

/// Two layers with a directory `data` that the upper one changes.
fn data_layers() -> [Vec<u8>; 2] {
    let base = tar_of(&[
        (Entry { mode: 0o750, uid: 7, gid: 8, ..Entry::directory("data") }, b""),
        (Entry { mode: 0o600, uid: 9, ..Entry::file("data/a", 3) }, b"low"),
        (Entry::file("data/gone", 1), b"x"),
        (
            Entry { uid: 9, link: b"data/a".to_vec(), ..Entry::new("data/same", EntryKind::Hardlink, 0o600) },
            b"",
        ),
        (Entry::directory("data/sub"), b""),
        (Entry::file("data/sub/hidden", 1), b"x"),
        (Entry::symlink("link", "/data"), b""),
        (Entry::symlink("out", "/../../../../etc"), b""),
        (Entry::file("file", 0), b""),
    ]);
    let top = tar_of(&[
        (Entry { mode: 0o750, uid: 7, gid: 8, ..Entry::directory("data") }, b""),
        (Entry::file("data/.wh.gone", 0), b""),
        (Entry::file("data/sub/.wh..wh..opq", 0), b""),
        (Entry::file("data/sub/new", 1), b"n"),
    ]);
    [base, top]
}

#[test]
fn volumes_are_kept_and_filled() {
    if !is_root("volumes_are_kept_and_filled") {
        return;
    }
    let scratch = Scratch::new();
    let volumes = scratch.store.volumes();
    scratch.load(&docker_archive(&["v:1"], &data_layers())).expect("load");
    let image = scratch.store.resolve("v:1").expect("resolve");
    let root = scratch.store.prepare("c", &image, true).expect("prepare");
    for path in ["/data", "/link"] {
        let (volume, new) = volumes.create(VolumeOptions::default()).expect("create");
        assert!(new && volume.anonymous && volume.name.len() == 64);
        assert!(volumes.copy_up(&volume.name, &root, path).expect("copy"));
        let seen =
            run(&format!("cd {} && find . -printf '%P %y %m %U:%G %n\\n' | sort", volume.path.display()));
        assert_eq!(
            seen,
            " d 750 7:8 3\na f 600 9:0 2\nsame f 600 9:0 2\nsub d 755 0:0 2\nsub/new f 644 0:0 1\n"
        );
        assert!(!volumes.copy_up(&volume.name, &root, path).expect("not twice"));
    }
    let (named, _) = volumes
        .create(VolumeOptions {
            name: "mine".into(),
            labels: [("k".into(), "v".into())].into(),
            ..VolumeOptions::default()
        })
        .expect("create");
    for path in ["/missing", "/file", "/out"] {
        assert!(!volumes.copy_up("mine", &root, path).expect(path), "{path}");
    }
    assert_eq!(volumes.copy_up("mine", &root, "/data/../..").expect_err("dots").kind(), Kind::InvalidInput);
    assert!(
        !volumes.create(VolumeOptions { name: "mine".into(), ..VolumeOptions::default() }).expect("again").1
    );
    for bad in ["a", "../x", "a/b", ".hidden", "-a"] {
        let options = VolumeOptions { name: bad.into(), ..VolumeOptions::default() };
        assert_eq!(volumes.create(options).expect_err(bad).kind(), Kind::InvalidInput, "{bad}");
    }
    let users = |_: &str| vec!["c1".to_owned()];
    let nobody = |_: &str| Vec::new();
    assert_eq!(
        volumes.remove("mine", true, &users).expect_err("used").to_string(),
        "remove mine: volume is in use - [c1]"
    );
    let data = scratch.root();
    let Scratch { dir, store } = scratch;
    drop(store);
    let store = store::Store::open(&data).expect("open");
    assert_eq!(store.volumes().get("mine").expect("get"), named);
    assert_eq!(store.volumes().list().len(), 3);
    store.volumes().remove("mine", false, &nobody).expect("remove");
    assert_eq!(store.volumes().get("mine").expect_err("gone").to_string(), "get mine: no such volume");
    assert!(!named.path.exists());
    drop(dir);
}
