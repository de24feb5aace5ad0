//! What went wrong in other engines' images and must not here, by the number of the weakness. Each attack comes with a control which
//! shows that it is one.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use layer::{Entry, EntryKind};
use serde_json::json;
use store::VolumeOptions;
use support::{Layout, Scratch, docker_archive, gzip, has_tool, is_root, run, tar, tar_of};
use types::{Kind, Rootfs};

fn kind(path: &str, kind: EntryKind, link: &str) -> Entry {
    Entry { link: link.into(), ..Entry::new(path, kind, 0o755) }
}

/// The layer's one entry under a name that no writer of ours would give it.
fn renamed(entry: &Entry, name: &str) -> Vec<u8> {
    let mut bytes = tar_of(&[(entry.clone(), b"")]);
    bytes[..100].fill(0);
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|b| u32::from(*b)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

/// The image's lower directories.
fn lower(scratch: &Scratch, container: &str, image: &str) -> Vec<PathBuf> {
    let image = scratch.store.resolve(image).expect("resolve");
    match scratch.store.prepare(container, &image, true).expect("prepare") {
        Rootfs::Overlay { lower, .. } => lower,
        other @ Rootfs::Directory(_) => panic!("{other:?} is no overlay"),
    }
}

fn refused(scratch: &Scratch, archive: &[u8], case: &str) -> String {
    let before = scratch.litter();
    let error = scratch.load(archive).err().unwrap_or_else(|| panic!("{case}: loaded"));
    assert_eq!(error.kind(), Kind::InvalidInput, "{case}: {error}");
    assert_eq!(scratch.litter(), before, "{case}: something is left");
    error.to_string()
}

#[test]
fn i02_digests_that_are_paths_lead_nowhere() {
    if !is_root("i02_digests_that_are_paths_lead_nowhere") {
        return;
    }
    let scratch = Scratch::new();
    let mut layout = Layout::default();
    let good = layout.image(&[tar(&[("a", b"1")])], gzip);
    let text = good["digest"].as_str().expect("digest").to_owned();
    let hex = text.trim_start_matches("sha256:").to_owned();
    let bad = [
        "sha256:../x".to_owned(),
        "../../index.json".to_owned(),
        format!("sha256:../sha256/{hex}"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{}", hex.to_uppercase()),
        format!("SHA256:{hex}"),
        format!("sha512:{hex}"),
        format!("sha256:{hex}\0"),
        format!("sha256:{hex} "),
        hex.clone(),
        String::new(),
    ];
    for digest in &bad {
        let mut named = good.clone();
        named["digest"] = json!(digest);
        let odd = Layout { blobs: layout.blobs.clone(), index: vec![named] };
        refused(&scratch, &odd.archive(), digest);
        assert!(scratch.store.resolve(&format!("a@{digest}")).is_err(), "{digest}");
    }
    layout.name(good, "a:1");
    scratch.load(&layout.archive()).expect("the same with its right digest");
}

/// go-archive's TestUntarInvalidFilenames, -Hardlink, -Symlink and TestUntarSymlinkBreakout: what they try, on a host where GNU tar
/// falls for it.
#[test]
fn i06_links_and_names_reach_no_victim() {
    if !is_root("i06_links_and_names_reach_no_victim")
        || !has_tool("i06_links_and_names_reach_no_victim", "tar")
    {
        return;
    }
    let (hard, soft) = (EntryKind::Hardlink, EntryKind::Symlink);
    let plain = Entry::file("x", 0);
    let mut attacks = vec![
        ("a name that climbs", renamed(&plain, "../victim/dest")),
        ("a rooted name that climbs", renamed(&plain, "/../victim/dest")),
        ("a name that climbs from below", renamed(&plain, "a/../../victim/dest")),
        ("a directory that climbs", renamed(&Entry::directory("x"), "../victim/dir/")),
        ("a whiteout that climbs", renamed(&plain, "../victim/.wh.hello")),
        ("a fifo that climbs", renamed(&kind("x", EntryKind::Fifo, ""), "../victim/fifo")),
        ("a hard link out", tar_of(&[(kind("x", hard, "../victim/hello"), b"")])),
        ("a rooted hard link out", tar_of(&[(kind("x", hard, "/../victim/hello"), b"")])),
    ];
    for (case, target) in [("a link up", "../victim"), ("a link up from the root", "/../victim")] {
        let through = [(kind("l", soft, target), &b""[..]), (Entry::file("l/hello", 4), b"hack")];
        attacks.push((case, tar_of(&through)));
    }
    let chain = [
        (kind("loop", soft, ".."), &b""[..]),
        (kind("next", soft, "loop/victim"), b""),
        (Entry::file("next/hello", 4), b"hack"),
    ];
    attacks.push(("links in a row", tar_of(&chain)));
    let scratch = Scratch::new();
    let victim = scratch.dir.path().join("victim");
    std::fs::create_dir(&victim).expect("victim");
    std::fs::write(victim.join("hello"), "hi").expect("victim");
    for (case, layer) in &attacks {
        refused(&scratch, &docker_archive(&["a:1"], std::slice::from_ref(layer)), case);
    }
    assert_eq!(std::fs::read_dir(&victim).expect("victim").count(), 1);
    assert_eq!(std::fs::read(victim.join("hello")).expect("victim"), b"hi");
    // Whoever believes the names writes to the victim.
    let naive = scratch.dir.path().join("naive");
    std::fs::create_dir(&naive).expect("directory");
    std::fs::write(scratch.dir.path().join("attack.tar"), &attacks[0].1).expect("archive");
    run(&format!("cd {} && tar -xPf ../attack.tar", naive.display()));
    assert!(victim.join("dest").exists(), "the attack is none");
}

/// go-archive's TestUntarThroughAbsoluteSymlink and its absolute hard links: what images really have stays possible.
#[test]
fn i06_absolute_links_within_the_image_work() {
    if !is_root("i06_absolute_links_within_the_image_work") {
        return;
    }
    let scratch = Scratch::new();
    let layer = tar_of(&[
        (Entry::directory("usr"), &b""[..]),
        (Entry::directory("usr/lib"), b""),
        (kind("lib", EntryKind::Symlink, "/usr/lib"), b""),
        (Entry::file("lib/a.so", 1), b"a"),
        (kind("lib/b.so", EntryKind::Hardlink, "/lib/a.so"), b""),
        (kind("up", EntryKind::Symlink, "../../../usr"), b""),
        (Entry::file("up/c", 1), b"c"),
    ]);
    scratch.load(&docker_archive(&["a:1"], &[layer])).expect("load");
    let root = &lower(&scratch, "c", "a:1")[0];
    let inode = |name: &str| std::fs::symlink_metadata(root.join(name)).expect(name).ino();
    assert_eq!(inode("usr/lib/a.so"), inode("usr/lib/b.so"));
    assert_eq!(std::fs::read(root.join("usr/c")).expect("file"), b"c");
    assert_eq!(std::fs::read_link(root.join("lib")).expect("link"), Path::new("/usr/lib"));
}

#[test]
fn i07_the_root_can_only_be_a_directory() {
    if !is_root("i07_the_root_can_only_be_a_directory") {
        return;
    }
    let scratch = Scratch::new();
    for name in [".", "./", "/", "//", "./.", ""] {
        for (what, link) in [
            (EntryKind::Symlink, "/etc"),
            (EntryKind::Hardlink, "a"),
            (EntryKind::File, ""),
            (EntryKind::Fifo, ""),
            (EntryKind::CharDevice, ""),
            (EntryKind::BlockDevice, ""),
        ] {
            let mut entry = kind("x", what, link);
            entry.device = layer::Device { major: 1, minor: 3 };
            let layer = renamed(&entry, name);
            refused(&scratch, &docker_archive(&["a:1"], &[layer]), &format!("{name:?} as {what:?}"));
        }
        let dressed = Entry { mode: 0o711, uid: 7, gid: 8, ..Entry::directory("x") };
        scratch.load(&docker_archive(&["a:1"], &[renamed(&dressed, name)])).expect(name);
        let stat = std::fs::metadata(&lower(&scratch, &format!("c{}", name.len()), "a:1")[0]).expect("root");
        assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.gid()), (0o711, 7, 8), "{name:?}");
        scratch.store.discard(&format!("c{}", name.len())).expect("discard");
    }
}

/// CVE-2026-33056: a link and a directory of one name; the directory's mode and owner went to what the link leads to.
#[test]
fn i09_a_directory_entry_does_not_dress_what_a_link_leads_to() {
    if !is_root("i09_a_directory_entry_does_not_dress_what_a_link_leads_to") {
        return;
    }
    let scratch = Scratch::new();
    let outside = scratch.dir.path().join("outside");
    std::fs::create_dir(&outside).expect("outside");
    let before = std::fs::metadata(&outside).expect("outside");
    let layer = tar_of(&[
        (Entry { mode: 0o700, ..Entry::directory("inside") }, &b""[..]),
        (kind("d", EntryKind::Symlink, outside.to_str().expect("path")), b""),
        (kind("e", EntryKind::Symlink, "inside"), b""),
        (Entry { mode: 0o777, uid: 9, ..Entry::directory("d") }, b""),
        (Entry { mode: 0o777, uid: 9, ..Entry::directory("e") }, b""),
    ]);
    scratch.load(&docker_archive(&["a:1"], &[layer])).expect("load");
    let root = &lower(&scratch, "c", "a:1")[0];
    let after = std::fs::metadata(&outside).expect("outside");
    assert_eq!((before.mode(), before.uid()), (after.mode(), after.uid()));
    let stat = |name: &str| std::fs::symlink_metadata(root.join(name)).expect(name);
    assert_eq!((stat("inside").mode() & 0o7777, stat("inside").uid()), (0o700, 0));
    assert!(stat("d").is_dir() && stat("e").is_dir());
    assert_eq!((stat("e").mode() & 0o7777, stat("e").uid()), (0o777, 9));
}

#[test]
fn i14_overlay_attributes_of_a_layer_are_dropped() {
    if !is_root("i14_overlay_attributes_of_a_layer_are_dropped") {
        return;
    }
    let names = ["opaque", "redirect", "metacopy", "origin", "impure", "nlink", "whiteout", "protattr"];
    let mut evil = Entry::directory("d");
    for name in names {
        for family in ["trusted", "user"] {
            evil.xattrs.push((format!("{family}.overlay.{name}").into(), b"y".to_vec()));
        }
    }
    evil.xattrs.push((b"user.note".to_vec(), b"kept".to_vec()));
    let scratch = Scratch::new();
    scratch
        .load(&docker_archive(&["a:1"], &[tar(&[("d/low", b"1")]), tar_of(&[(evil, b"")])]))
        .expect("load");
    let root = &lower(&scratch, "c", "a:1")[0];
    let mut value = [0_u8; 16];
    let mut get = |name: &str| rustix::fs::getxattr(root.join("d"), name, &mut value[..]).ok();
    assert_eq!(get("user.note"), Some(4), "attributes arrive");
    for name in names {
        for family in ["trusted", "user"] {
            assert_eq!(get(&format!("{family}.overlay.{name}")), None, "{family}.overlay.{name}");
        }
    }
}

/// CVE-2022-23648: what the image has at the path of a volume was looked up on the host.
#[test]
fn i15_a_volume_is_filled_from_the_image_only() {
    if !is_root("i15_a_volume_is_filled_from_the_image_only") {
        return;
    }
    let scratch = Scratch::new();
    let secret = scratch.dir.path().join("secret");
    std::fs::create_dir(&secret).expect("secret");
    std::fs::write(secret.join("key"), "host").expect("secret");
    let outside = secret.to_str().expect("path");
    let up = format!("{}{}", "../".repeat(30), outside.trim_start_matches('/'));
    let layer = tar_of(&[
        (Entry::directory("data"), &b""[..]),
        (Entry::file("data/own", 1), b"1"),
        (kind("absolute", EntryKind::Symlink, outside), b""),
        (kind("relative", EntryKind::Symlink, &up), b""),
        (kind("hop", EntryKind::Symlink, "/absolute"), b""),
        (kind("round", EntryKind::Symlink, "round"), b""),
        (kind("good", EntryKind::Symlink, "/data"), b""),
    ]);
    scratch.load(&docker_archive(&["a:1"], &[layer])).expect("load");
    let image = scratch.store.resolve("a:1").expect("resolve");
    let root = scratch.store.prepare("c", &image, true).expect("prepare");
    let Rootfs::Overlay { lower, .. } = &root else { panic!("{root:?} is no overlay") };
    let volumes = scratch.store.volumes();
    let fill = |path: &str| {
        let (volume, _) = volumes.create(VolumeOptions::default()).expect("create");
        let copied = volumes.copy_up(&volume.name, &root, path);
        (copied, std::fs::read_dir(&volume.path).expect("volume").count())
    };
    for path in ["/absolute", "/relative", "/hop", "/round", "absolute/.", &format!("/{outside}")] {
        let (copied, files) = fill(path);
        assert!(!copied.is_ok_and(|copied| copied) && files == 0, "{path}: {files} files");
    }
    for path in ["/data/../../secret", "../secret", "/..", &up] {
        let (copied, files) = fill(path);
        assert_eq!((copied.expect_err(path).kind(), files), (Kind::InvalidInput, 0), "{path}");
    }
    // Joining paths, as others did, reads the host's file; and links within the image work.
    for joined in ["absolute/key", "relative/key"] {
        assert_eq!(std::fs::read(lower[0].join(joined)).expect("the attack is none"), b"host");
    }
    let (copied, files) = fill("/good");
    assert_eq!((copied.expect("copy"), files), (true, 1));
}

#[test]
fn i17_annotations_and_labels_change_no_root() {
    if !is_root("i17_annotations_and_labels_change_no_root") {
        return;
    }
    let annotations = json!({
        "containerd.io/snapshot/uidmapping": "0:100000:65536",
        "containerd.io/snapshot/gidmapping": "0:100000:65536",
        "containerd.io/snapshot/overlay.upperdir": "/etc",
        "containerd.io/snapshot.ref": "other",
        "io.kubernetes.cri.untrusted-workload": "true",
    });
    let owned = Entry { uid: 1234, gid: 5678, ..Entry::file("own", 1) };
    let layer = tar_of(&[(owned, b"1")]);
    let build = |dressed: bool| {
        let mut layout = Layout::default();
        let mut descriptor = layout.image(std::slice::from_ref(&layer), gzip);
        if dressed {
            let (_, bytes) = layout.blobs.pop().expect("manifest");
            let mut manifest: serde_json::Value = serde_json::from_slice(&bytes).expect("json");
            manifest["annotations"] = annotations.clone();
            manifest["layers"][0]["annotations"] = annotations.clone();
            manifest["config"]["annotations"] = annotations.clone();
            let media_type = descriptor["mediaType"].as_str().expect("type").to_owned();
            descriptor = layout.blob(&media_type, manifest.to_string().as_bytes());
            descriptor["annotations"] = annotations.clone();
        }
        let name = if dressed { "dressed:1" } else { "plain:1" };
        descriptor["annotations"]["org.opencontainers.image.ref.name"] = json!(name);
        layout.index.push(descriptor);
        layout.archive()
    };
    let scratch = Scratch::new();
    scratch.load(&build(false)).expect("load");
    scratch.load(&build(true)).expect("load");
    let mut saved = Vec::new();
    scratch.store.save(&["dressed:1"], &mut saved).expect("save");
    let key = b"containerd.io/snapshot/uidmapping";
    assert!(saved.windows(key.len()).any(|window| window == key), "the annotations are not there at all");
    let (plain, dressed) = (lower(&scratch, "a", "plain:1"), lower(&scratch, "b", "dressed:1"));
    assert_eq!(plain, dressed, "one layer, one tree");
    let stat = std::fs::metadata(dressed[0].join("own")).expect("own");
    assert_eq!((stat.uid(), stat.gid()), (1234, 5678));
}
