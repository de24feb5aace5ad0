//! What a container wrote, by the kernel's own overlayfs: compared, exported, made an image of.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::os::unix::fs::MetadataExt;

use store::{ChangeKind, CommitConfig, ImportConfig, Owners};
use support::{Scratch, is_root, run, tar};
use types::Rootfs;

const BASE: &[(&str, &[u8])] = &[
    ("bin/", b""),
    ("bin/x", b"xyz"),
    ("d/", b""),
    ("d/one", b"1"),
    ("d/sub/", b""),
    ("d/sub/two", b"2"),
    ("e/", b""),
    ("e/h", b"h"),
    ("etc/", b""),
    ("etc/passwd", b"x"),
    ("f/", b""),
    ("f/file", b"f"),
    ("g", b"g"),
    ("tmp/", b""),
    ("touched", b"t"),
];

/// What is done to the merged root, and what it comes to.
const ACTS: &str = "echo n > new; touch etc/passwd; rm -r d; mkdir d; echo z > d/z; rm -r f; echo file > f; rm g; mkdir g;
    echo k > g/k; rm e/h; mkdir -p q/w; echo e > q/w/e; ln q/w/e q/w/f; mkdir bin/y; chmod 700 tmp; mknod q/p p; ln -s aaa q/s;
    chmod 600 touched; chmod 644 touched; touch -d 1970-01-01 touched;
    mkdir gone; rmdir gone; mkdir dev; touch dev/console etc/hosts; truncate -s 1M q/holes; mknod q/null c 1 3; chown 5:6 q/null";
const CHANGES: &str = "C /bin, A /bin/y, C /d, D /d/one, D /d/sub, A /d/z, C /e, D /e/h, C /etc, C /etc/passwd, C /f, C /g, A /g/k, A /new, A /q, A /q/holes, A /q/null, A /q/p, A /q/s, A /q/w, A /q/w/e, A /q/w/f, C /tmp";

/// Attributes that a layer keeps; the second is `cap_net_raw=ep`.
const ATTRIBUTES: &[(&str, &str, &[u8])] = &[
    ("q/w", "user.a", b"b"),
    ("new", "security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("q/null", "trusted.b", b"c"),
];

struct Container {
    scratch: Scratch,
    image: std::sync::Arc<store::Image>,
}

impl Container {
    fn new() -> Self {
        let scratch = Scratch::new();
        let name = "base:1".parse().expect("name");
        let config = ImportConfig::default();
        let image = scratch.store.import(&mut &tar(BASE)[..], Some(&name), &config).expect("import");
        scratch.store.prepare("c1", &image, false).expect("prepare");
        Self { scratch, image }
    }

    /// Runs a script in the merged root, with a real overlayfs below it.
    fn act(&self, container: &str, script: &str) -> String {
        let Rootfs::Overlay { lower, upper, work, .. } =
            self.scratch.store.snapshot(container, false).expect("snapshot")
        else {
            panic!("an overlay")
        };
        let lower: Vec<_> = lower.iter().map(|path| path.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={},index=off,metacopy=off,redirect_dir=off",
            lower.join(":"),
            upper.display(),
            work.display()
        );
        let merged = self.scratch.dir.path().join("merged");
        std::fs::create_dir_all(&merged).expect("merged");
        let merged = merged.display();
        run(&format!(
            "unshare -m sh -ec 'mount -t overlay -o {options} overlay {merged}; cd {merged}; {script}'"
        ))
    }

    fn changes(&self, container: &str) -> String {
        let changed = self.scratch.store.changes(container, Owners::default()).expect("changes");
        let letter = |kind| match kind {
            ChangeKind::Modified => 'C',
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
        };
        let shown =
            changed.iter().map(|c| format!("{} {}", letter(c.kind), String::from_utf8_lossy(&c.path)));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn exported(&self, container: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        self.scratch.store.export(container, Owners::default(), &mut archive).expect("export");
        archive
    }
}

/// Everything of a tree but the dates of its directories, which a layer's own directories carry.
const CENSUS: &str = "find . -mindepth 1 ! -path ./dev/console ! -path ./etc/hosts ! -path ./dev -printf \"%p %y %m %U %G %s %l %n \" \
    \\( -type d -o -printf \"%T@\" \\) -printf \"\\\\n\" | sed \"s/ d \\([0-9]* [0-9]* [0-9]*\\) .*/ d \\1/\" | sort;
    find . -type f ! -path ./etc/hosts ! -path ./dev/console | sort | xargs sha256sum";

#[test]
fn changes_are_dockers() {
    if !is_root("changes_are_dockers") {
        return;
    }
    let c = Container::new();
    assert_eq!(c.changes("c1"), "");
    c.act("c1", ACTS);
    assert_eq!(c.changes("c1"), CHANGES);
    let missing = c.scratch.store.changes("nope", Owners::default()).expect_err("no container");
    assert_eq!(missing.kind(), types::Kind::NotFound);
}

#[test]
fn an_image_is_what_the_container_was() {
    if !is_root("an_image_is_what_the_container_was") {
        return;
    }
    let c = Container::new();
    c.act("c1", ACTS);
    let was = c.act("c1", CENSUS);
    assert!(was.contains("./q/w/f f"), "{was}");
    let Ok(Rootfs::Overlay { upper, .. }) = c.scratch.store.snapshot("c1", false) else {
        panic!("an overlay")
    };
    for (path, name, value) in ATTRIBUTES {
        rustix::fs::setxattr(upper.join(path), *name, value, rustix::fs::XattrFlags::empty()).expect(name);
    }
    let store = &c.scratch.store;
    let config = || CommitConfig {
        author: "me".into(),
        message: "m".into(),
        created_by: "sh".into(),
        ..CommitConfig::default()
    };
    let commit = |name: Option<&str>| {
        let name = name.map(|name| name.parse().expect("name"));
        let captured = store.capture("c1", Owners::default()).expect("capture");
        store.commit_container(captured, &c.image, config(), name.as_ref()).expect("commit")
    };
    let (one, two) = (commit(Some("made:1")), commit(None));
    assert_eq!(one.layers, two.layers, "the same tree gives the same layer");
    assert_eq!(one.layers[..1], c.image.layers[..]);
    assert_eq!(one.repo_tags(), ["made:1"]);
    let last = one.config.history.last().expect("history");
    assert_eq!((last.author.as_str(), last.comment.as_str(), last.created_by.as_str()), ("me", "m", "sh"));
    assert_eq!(one.config.history.len(), 2);
    let layer = store.layer_paths(&one).pop().expect("a layer");
    for (path, name, value) in ATTRIBUTES {
        let mut found = [0; 64];
        let length = rustix::fs::getxattr(layer.join(path), *name, &mut found[..]).expect(name);
        assert_eq!(&found[..length], *value, "{path} {name}");
    }
    store.prepare("c2", &one, false).expect("prepare");
    assert_eq!(c.act("c2", CENSUS), was);
    assert_eq!(c.changes("c2"), "");
    // The archive of it, too, and what other tools make of that.
    let exported = c.exported("c1");
    let image = store.import(&mut &exported[..], None, &ImportConfig::default()).expect("import");
    store.prepare("c3", &image, false).expect("prepare");
    assert_eq!(c.act("c3", CENSUS), was);
    let archive = c.scratch.dir.path().join("export.tar");
    std::fs::write(&archive, &exported).expect("write");
    let listed = run(&format!("tar tf {}", archive.display()));
    assert!(
        !listed.contains("d/one") && listed.contains("dev/console") && !listed.contains(".wh."),
        "{listed}"
    );
}

#[test]
fn nothing_written_is_no_layer() {
    if !is_root("nothing_written_is_no_layer") {
        return;
    }
    let c = Container::new();
    // Mount points alone are nothing.
    c.act("c1", "mkdir -p dev/pts proc sys; touch etc/hosts etc/resolv.conf .dockerenv");
    assert_eq!(c.changes("c1"), "");
    let store = &c.scratch.store;
    let captured = store.capture("c1", Owners::default()).expect("capture");
    let image = store.commit_container(captured, &c.image, CommitConfig::default(), None).expect("commit");
    assert_eq!(image.layers, c.image.layers);
    assert!(image.config.history.last().expect("history").empty_layer);
}

#[test]
fn a_commit_that_fails_leaves_nothing() {
    if !is_root("a_commit_that_fails_leaves_nothing") {
        return;
    }
    let c = Container::new();
    let store = &c.scratch.store;
    c.act("c1", "echo x > .wh.new");
    let before = c.scratch.litter();
    let Err(odd) = store.capture("c1", Owners::default()) else { panic!("a mark in the container") };
    assert!(odd.to_string().contains("\".wh.new\" cannot be kept"), "{odd}");
    c.act("c1", "rm .wh.new; echo y > new");
    let captured = store.capture("c1", Owners::default()).expect("capture");
    store.remove("base:1", true, &|_| None).expect("remove");
    let gone =
        store.commit_container(captured, &c.image, CommitConfig::default(), None).expect_err("no base");
    assert_eq!(gone.kind(), types::Kind::NotFound, "{gone}");
    // The base's blobs went with it; its layer stays below the container.
    let after = c.scratch.litter();
    assert!(after.iter().all(|name| before.contains(name)), "{after:?}");
}

#[test]
fn holes_stay_cheap_to_read() {
    if !is_root("holes_stay_cheap_to_read") {
        return;
    }
    let c = Container::new();
    c.act("c1", "truncate -s 16M big; echo end >> big");
    let image = {
        let captured = c.scratch.store.capture("c1", Owners::default()).expect("capture");
        c.scratch.store.commit_container(captured, &c.image, CommitConfig::default(), None).expect("commit")
    };
    let blob = image.layer_blobs()[1];
    let path = c.scratch.root().join("blobs/sha256").join(blob.hex());
    let size = std::fs::metadata(path).expect("blob").size();
    assert!(size < 1 << 18, "16 MiB of zeros take {size} bytes");
}

#[test]
fn owners_are_the_containers() {
    if !is_root("owners_are_the_containers") {
        return;
    }
    let c = Container::new();
    // As a container with users of its own leaves it: what it copied up and made belongs to its ids on the host.
    c.act("c1", "touch -r etc/passwd kept; chown 1000000:1000000 etc/passwd; echo n > new; chown 1000005:1000006 new; rm kept");
    let owners = Owners { first: 1_000_000, count: 65_536 };
    let Ok(Rootfs::Overlay { upper, .. }) = c.scratch.store.snapshot("c1", false) else {
        panic!("an overlay")
    };
    let mut capability = vec![1, 0, 0, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    capability.extend(1_000_000_u32.to_le_bytes());
    rustix::fs::setxattr(
        upper.join("new"),
        "security.capability",
        &capability,
        rustix::fs::XattrFlags::empty(),
    )
    .expect("set");
    let changed = c.scratch.store.changes("c1", owners).expect("changes");
    let paths: Vec<_> = changed.iter().map(|c| String::from_utf8_lossy(&c.path).into_owned()).collect();
    assert_eq!(paths, ["/new"], "the same file in the container's eyes is no change");
    let captured = c.scratch.store.capture("c1", owners).expect("capture");
    let image =
        c.scratch.store.commit_container(captured, &c.image, CommitConfig::default(), None).expect("commit");
    let layer = c.scratch.store.layer_paths(&image).pop().expect("a layer");
    let of = |path: &str| std::fs::metadata(layer.join(path)).map(|m| (m.uid(), m.gid())).expect(path);
    assert_eq!((of("new"), of("etc/passwd")), ((5, 6), (0, 0)));
    let mut found = [0; 64];
    let length = rustix::fs::getxattr(layer.join("new"), "security.capability", &mut found[..]).expect("get");
    assert_eq!((length, found[3]), (20, 2));
    let mut archive = Vec::new();
    c.scratch.store.export("c1", owners, &mut archive).expect("export");
    let path = c.scratch.dir.path().join("export.tar");
    std::fs::write(&path, &archive).expect("write");
    let listed = run(&format!("tar tvf {} --numeric-owner", path.display()));
    assert!(listed.contains("5/6") && !listed.contains("1000000"), "{listed}");
}
