//! Archives that lie, bite or break off: each gives one clear error and leaves nothing behind.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use layer::{Device, Entry, EntryKind};
use serde_json::json;
use store::Options;
use support::{
    Layout, Scratch, config, docker_archive, docker_archive_with, gzip, hex, is_root, small, tar, tar_of,
    zstd,
};
use types::Kind;

/// Loads; expects that error, and nothing left.
fn refuse(scratch: &Scratch, archive: &[u8], kind: Kind, want: &str) {
    let before = scratch.litter();
    let error = match scratch.load(archive) {
        Ok(_) => panic!("loaded, wanted: {want}"),
        Err(e) => e,
    };
    assert!(error.to_string().contains(want), "wanted {want:?}, got {error}");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(scratch.litter(), before, "{want}");
}

fn refuse_layer(scratch: &Scratch, entries: &[(Entry, &[u8])], want: &str) {
    refuse(scratch, &docker_archive(&["a:1"], &[tar_of(entries)]), Kind::InvalidInput, want);
}

fn hardlink(path: &str, target: &str) -> Entry {
    Entry { link: target.into(), ..Entry::new(path, EntryKind::Hardlink, 0) }
}

#[test]
fn i06_i09_layers_cannot_leave_their_root() {
    if !is_root("i06_i09_layers_cannot_leave_their_root") {
        return;
    }
    let scratch = Scratch::new();
    let canary = scratch.dir.path().join("canary");
    std::fs::create_dir(&canary).expect("canary");
    std::fs::write(canary.join("file"), "untouched").expect("canary");
    let outside = canary.to_str().expect("path");
    let up = format!("{}{outside}", "../".repeat(20));
    // Names and links that lead out.
    refuse_layer(&scratch, &[(Entry::file("a/../../x", 0), b"")], "has a \"..\" component");
    refuse_layer(&scratch, &[(hardlink("x", "../../../etc/passwd"), b"")], "bad target of the hard link");
    refuse_layer(&scratch, &[(hardlink("x", "/etc/passwd"), b"")], "is missing");
    refuse_layer(
        &scratch,
        &[(Entry::symlink("e", outside), b""), (hardlink("x", "e/file"), b"")],
        "a directory on the way is missing",
    );
    for target in [outside, &up] {
        // Through the link, the path is looked up inside the root, where it does not exist.
        refuse_layer(
            &scratch,
            &[(Entry::symlink("e", target), b""), (Entry::file("e/file", 3), b"bad")],
            "is not a directory",
        );
        // Under the link's own name, the link is replaced.
        let replaced = [(Entry::symlink("file", target), b"" as &[u8]), (Entry::file("file", 3), b"bad")];
        scratch.load(&docker_archive(&["a:1"], &[tar_of(&replaced)])).expect("replaced");
        let dressed = [
            (Entry::symlink("d", target), b"" as &[u8]),
            (Entry { mode: 0o777, uid: 9, ..Entry::directory("d") }, b""),
        ];
        scratch.load(&docker_archive(&["a:1"], &[tar_of(&dressed)])).expect("dressed");
    }
    // Absolute links within the image are fine.
    let inside = [
        (Entry::directory("real"), b"" as &[u8]),
        (Entry::symlink("alias", "/real"), b""),
        (Entry::file("alias/file", 2), b"in"),
        (hardlink("again", "/alias/file"), b""),
    ];
    scratch.load(&docker_archive(&["in:1"], &[tar_of(&inside)])).expect("inside");
    let image = scratch.store.resolve("in:1").expect("resolve");
    let types::Rootfs::Overlay { lower, .. } = scratch.store.prepare("c", &image, true).expect("prepare")
    else {
        panic!()
    };
    assert_eq!(std::fs::read(lower[0].join("real/file")).expect("file"), b"in");
    assert_eq!(std::fs::read(lower[0].join("again")).expect("again"), b"in");

    let stat = std::fs::metadata(&canary).expect("canary");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&stat) & 0o777, 0o755);
    assert_eq!(std::fs::read(canary.join("file")).expect("canary"), b"untouched");
    assert_eq!(std::fs::read_dir(&canary).expect("canary").count(), 1);
}

#[test]
fn i14_layers_cannot_plant_marks() {
    if !is_root("i14_layers_cannot_plant_marks") {
        return;
    }
    let scratch = Scratch::new();
    let mut zero = Entry::new("x", EntryKind::CharDevice, 0o600);
    refuse_layer(&scratch, &[(zero.clone(), b"")], "overlay's own whiteout mark");
    zero.device = Device { major: 0, minor: 1 };
    refuse_layer(&scratch, &[(Entry::symlink("", "/etc"), b"")], "root of the tree can only be a directory");
    refuse_layer(&scratch, &[(Entry::file(".wh.", 0), b"")], "the whiteout names nothing");
    refuse_layer(&scratch, &[(Entry::file("a/.wh...", 0), b"")], "the whiteout names nothing");
    refuse_layer(&scratch, &[(Entry::file(".wh.a/b", 0), b"")], "lies within a whiteout");
    refuse_layer(&scratch, &[(Entry::file(".wh.a", 0), b""), (hardlink("b", "a"), b"")], "is not a file");
    refuse_layer(&scratch, &[(Entry::directory("d"), b""), (hardlink("b", "d"), b"")], "is not a file");
    refuse_layer(&scratch, &[(Entry::file("f", 0), b""), (Entry::file("f/x", 0), b"")], "is not a directory");
}

#[test]
fn same_layer_order_does_not_matter() {
    if !is_root("same_layer_order_does_not_matter") {
        return;
    }
    let scratch = Scratch::new();
    let whiteout = (Entry::file("d/.wh.k", 0), b"" as &[u8]);
    let file = (Entry::file("d/k", 1), b"k" as &[u8]);
    let inner = (Entry::file("d/k/inner", 1), b"i" as &[u8]);
    for (index, (entries, want)) in [
        (vec![whiteout.clone(), file.clone()], "file"),
        (vec![file, whiteout.clone()], "file"),
        (vec![whiteout.clone(), inner.clone()], "opaque"),
        (vec![inner, whiteout.clone()], "opaque"),
        (vec![whiteout.clone(), whiteout], "whiteout"),
    ]
    .into_iter()
    .enumerate()
    {
        scratch.load(&docker_archive(&["a:1"], &[tar_of(&entries)])).expect("load");
        let image = scratch.store.resolve("a:1").expect("resolve");
        let root = scratch.store.prepare(&format!("c{index}"), &image, true).expect("prepare");
        let types::Rootfs::Overlay { lower, .. } = root else { panic!() };
        let path = lower[0].join("d/k");
        let stat = std::fs::symlink_metadata(&path).expect("there");
        let opaque = rustix::fs::getxattr(&path, "trusted.overlay.opaque", &mut [0_u8; 4][..]).is_ok();
        let got = match (stat.is_file(), stat.is_dir(), opaque) {
            (true, ..) => "file",
            (_, true, true) => "opaque",
            (_, true, false) => "directory",
            _ => "whiteout",
        };
        assert_eq!(got, want, "case {index}");
    }
}

#[test]
fn i02_digests_are_believed_by_nobody() {
    if !is_root("i02_digests_are_believed_by_nobody") {
        return;
    }
    let scratch = Scratch::new();
    let (layer, other) = (tar(&[("a", b"1")]), tar(&[("a", b"2")]));
    // The configuration says one diffID, the layer has another.
    let swapped = docker_archive(&["a:1"], std::slice::from_ref(&layer));
    let at = swapped.windows(layer.len()).position(|w| w == layer).expect("layer");
    let mut swapped_layer = swapped.clone();
    swapped_layer[at..at + other.len()].copy_from_slice(&other);
    let want = format!("diffID {}", support::sha256(&layer));
    refuse(&scratch, &swapped_layer, Kind::InvalidInput, &want);
    // Every blob of an OCI layout, one byte off.
    let mut layout = Layout::default();
    let descriptor = layout.image(std::slice::from_ref(&layer), gzip);
    layout.name(descriptor.clone(), "a:1");
    for index in 0..layout.blobs.len() {
        let mut damaged = Layout { blobs: layout.blobs.clone(), index: layout.index.clone() };
        let last = damaged.blobs[index].1.len() - 1;
        damaged.blobs[index].1[last] ^= 1;
        let digest = damaged.blobs[index].0.rsplit('/').next().expect("hex").to_owned();
        refuse(&scratch, &damaged.archive(), Kind::InvalidInput, &format!("sha256:{digest} is damaged"));
        let mut missing = Layout { blobs: layout.blobs.clone(), index: layout.index.clone() };
        missing.blobs.remove(index);
        refuse(&scratch, &missing.archive(), Kind::InvalidInput, "is not in the archive");
    }
    let with_index =
        |index: serde_json::Value| Layout { blobs: layout.blobs.clone(), index: vec![index] }.archive();
    let mut wrong = descriptor.clone();
    wrong["size"] = json!(7);
    refuse(&scratch, &with_index(wrong), Kind::InvalidInput, "bytes long, but should be 7");
    let mut wrong = descriptor.clone();
    wrong["digest"] = json!("sha256:../../../../etc/passwd");
    refuse(&scratch, &with_index(wrong), Kind::InvalidInput, "is not a sha256 digest");
    let mut wrong = descriptor.clone();
    wrong["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
    refuse(&scratch, &with_index(wrong), Kind::InvalidInput, "but it is named as");
    // A manifest that is also an index.
    let mut both = Layout { blobs: layout.blobs.clone(), index: Vec::new() };
    let text = json!({"schemaVersion": 2, "manifests": [], "config": {}, "layers": []}).to_string();
    let ambiguous = both.blob("application/vnd.oci.image.manifest.v1+json", text.as_bytes());
    both.index.push(ambiguous);
    refuse(&scratch, &both.archive(), Kind::InvalidInput, "is ambiguous");
    // Indexes without end cannot be built by digest, deep ones can.
    let mut deep = Layout { blobs: layout.blobs.clone(), index: Vec::new() };
    let mut at = descriptor;
    for _ in 0..12 {
        at = deep.index_of(&[at]);
    }
    deep.index.push(at);
    refuse(&scratch, &deep.archive(), Kind::InvalidInput, "nests more than 8 indexes");
}

#[test]
fn archives_cut_anywhere_are_refused() {
    if !is_root("archives_cut_anywhere_are_refused") {
        return;
    }
    let scratch = Scratch::new();
    let layers = [tar(&[("a", &[1; 3000])]), tar(&[("b", &[2; 700])])];
    for press in [|b: &[u8]| b.to_vec(), gzip, zstd] {
        let whole = press(&docker_archive_with(&["a:1"], &layers, gzip));
        let end = whole.len() - usize::from(whole.len() % 512 == 0) * 1024;
        for cut in (0..end).step_by(97).chain([0, 1, 5, 511, 512, 513]) {
            let error = scratch.load(&whole[..cut.min(end)]).expect_err("cut");
            assert_eq!(error.kind(), Kind::InvalidInput, "{cut}: {error}");
        }
        assert_eq!(scratch.litter(), Vec::<String>::new());
    }
    refuse(&scratch, b"", Kind::InvalidInput, "cut short");
    // Nothing but the end mark tells that a root file system is whole.
    let root = tar(&[("etc/passwd", b"x"), ("bin/sh", b"x")]);
    for cut in (512..root.len() - 512).step_by(512) {
        let import = scratch.store.import(&mut &root[..cut], None, &store::ImportConfig::default());
        assert!(import.is_err_and(|e| e.to_string().contains("cut short")), "{cut}");
    }
    assert_eq!(scratch.litter(), Vec::<String>::new());
    refuse(
        &scratch,
        &tar(&[("etc/passwd", b"x"), ("bin/sh", b"x")]),
        Kind::InvalidInput,
        "which can be imported",
    );
    refuse(&scratch, &tar(&[("x", b"x")]), Kind::InvalidInput, "has no image in it");
}

#[test]
fn lists_that_lie_are_refused() {
    if !is_root("lists_that_lie_are_refused") {
        return;
    }
    let scratch = Scratch::new();
    let layer = tar(&[("a", b"1")]);
    let config = config(std::slice::from_ref(&layer));
    let archive = |manifest: serde_json::Value| {
        tar(&[("c.json", &config), ("l.tar", &layer), ("manifest.json", manifest.to_string().as_bytes())])
    };
    let check = |manifest: serde_json::Value, want: &str| {
        refuse(&scratch, &archive(manifest), Kind::InvalidInput, want);
    };
    check(json!([{"Config": "c.json", "Layers": []}]), "has 1 layers, but manifest.json lists 0");
    check(json!([{"Config": "../c.json", "Layers": ["l.tar"]}]), "has a \"..\" component");
    check(json!([{"Config": "nope.json", "Layers": ["l.tar"]}]), "\"nope.json\", which is not in it");
    check(json!([{"Config": "c.json", "Layers": ["nope.tar"]}]), "is not in the archive");
    check(json!([{"Config": "l.tar", "Layers": ["l.tar"]}]), "cannot read the configuration");
    check(
        json!([{"Config": "c.json", "RepoTags": ["a b"], "Layers": ["l.tar"]}]),
        "invalid reference format",
    );
    check(json!({}), "manifest.json");
    check(json!([]), "has no image in it");
    let wrong_name = format!("{}.json", hex(b"other"));
    let renamed = tar(&[
        (&wrong_name, &config),
        ("l.tar", &layer),
        ("manifest.json", json!([{"Config": wrong_name, "Layers": ["l.tar"]}]).to_string().as_bytes()),
    ]);
    refuse(&scratch, &renamed, Kind::InvalidInput, "is damaged");
    let twice = tar(&[("manifest.json", b"[]"), ("manifest.json", b"{}")]);
    refuse(&scratch, &twice, Kind::InvalidInput, "is in it twice");
    let mut ring =
        vec![(Entry::symlink("c.json", "d.json"), b"" as &[u8]), (Entry::symlink("d.json", "c.json"), b"")];
    let manifest = json!([{"Config": "c.json", "Layers": []}]).to_string();
    ring.push((Entry::file("manifest.json", manifest.len() as u64), manifest.as_bytes()));
    refuse(&scratch, &tar_of(&ring), Kind::InvalidInput, "leads nowhere");
    refuse(
        &scratch,
        &tar_of(&[(Entry::symlink("a", "../../x"), b"")]),
        Kind::InvalidInput,
        "leads out of it",
    );
    refuse(
        &scratch,
        &tar_of(&[(Entry::new("a", EntryKind::Fifo, 0), b"")]),
        Kind::InvalidInput,
        "neither file",
    );
}

#[test]
fn i11_bombs_are_bounded() {
    if !is_root("i11_bombs_are_bounded") {
        return;
    }
    let scratch = Scratch::with(Options { document_bytes: 64 << 10, ..small() });
    // 80 MiB of zeros in one file: 300 times smaller when compressed, past the floor of 32 MiB.
    let zeros = vec![0; 80 << 20];
    let layer = tar(&[("zeros", &zeros)]);
    let pressed = docker_archive_with(&["a:1"], std::slice::from_ref(&layer), zstd);
    refuse(&scratch, &pressed, Kind::Exhausted, "looks like a bomb");
    refuse(&scratch, &zstd(&docker_archive(&["a:1"], &[layer])), Kind::Exhausted, "looks like a bomb");
    refuse(
        &scratch,
        &tar(&[("index.json", &vec![b' '; 70 << 10])]),
        Kind::InvalidInput,
        "longer than the 65536 bytes",
    );
    let big =
        tar(&[("c.json", &vec![b' '; 70 << 10]), ("manifest.json", br#"[{"Config":"c.json","Layers":[]}]"#)]);
    refuse(&scratch, &big, Kind::InvalidInput, "longer than the 65536 bytes");
    // A zstd frame whose window would take 2 GiB of memory: frame header with window descriptor 0xa8.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    refuse(&scratch, &window, Kind::InvalidInput, "cannot read the image archive");
    let few = Scratch::with(Options { archive_files: 3, ..small() });
    refuse(
        &few,
        &tar(&[("a", b""), ("b", b""), ("c", b""), ("d", b"")]),
        Kind::Exhausted,
        "more than 3 files",
    );
    // One name over and over is many files all the same.
    let again = [("a", &b""[..]); 5];
    refuse(&few, &tar(&again), Kind::Exhausted, "more than 3 files");
    // Many indexes that lead to one of 40 KiB, which is read for each.
    let mut layout = Layout::default();
    let mut image = layout.image(&[tar(&[("a", b"1")])], gzip);
    image["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let long = layout.index_of(&vec![image; 200]);
    for n in 0..120 {
        let mut entry = long.clone();
        entry["annotations"] = json!({"n": n.to_string()});
        let outer = layout.index_of(&[entry]);
        layout.name(outer, &format!("a:{n}"));
    }
    refuse(&scratch, &layout.archive(), Kind::Exhausted, "lists name more than 4MiB of documents");
    let capped = Scratch::with(Options { layer_bytes: 4096, image_layers: 2, ..small() });
    refuse(
        &capped,
        &docker_archive(&["a:1"], &[tar(&[("a", &[1; 9000])])]),
        Kind::Exhausted,
        "more than the allowed 4KiB",
    );
    let three = [tar(&[("a", b"")]), tar(&[("b", b"")]), tar(&[("c", b"")])];
    refuse(&capped, &docker_archive(&["a:1"], &three), Kind::InvalidInput, "at most 2 can be stacked");
    let mut huge = Entry::file("sparse", 1 << 50);
    huge.segments.clear();
    let limits = layer::Limits::default();
    assert!(huge.size > limits.file_bytes);
}

#[test]
fn one_bad_image_spoils_the_archive() {
    if !is_root("one_bad_image_spoils_the_archive") {
        return;
    }
    let scratch = Scratch::new();
    let mut layout = Layout::default();
    let good = layout.image(&[tar(&[("good", b"1")])], gzip);
    layout.name(good, "good:1");
    let bad = layout.image(&[tar_of(&[(Entry::file("../x", 0), b"")])], gzip);
    layout.name(bad, "bad:1");
    refuse(
        &scratch,
        &layout.archive(),
        Kind::InvalidInput,
        "image bad:1: layer 1 of 1: cannot unpack: archive entry \"../x\"",
    );
    assert!(scratch.store.images().is_empty());
}
