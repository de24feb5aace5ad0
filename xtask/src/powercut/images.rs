//! What the guest's registry and archives hold, built on the spot out of a number: layers of many and few, large, small and empty files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use super::dice::Dice;

/// What a path of a layer is: its type and permissions, and the hash of its content or its target.
pub(super) type Tree = BTreeMap<String, (u32, String)>;

/// A layer, and what it is unpacked.
pub(super) struct Layer {
    tar: Vec<u8>,
    /// Hash of the tar.
    pub(super) diff_id: String,
    pub(super) tree: Tree,
}

/// Which layers each image has. The first is the one that containers run.
pub(super) const IMAGES: [&[usize]; 6] = [&[0], &[1], &[1, 2], &[3, 4], &[1, 5, 6], &[2, 3, 5]];

/// The hash of these bytes in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the layers: always the same.
pub(super) fn layers() -> Result<Vec<Layer>, String> {
    let busybox = fs::read("/bin/busybox").map_err(|e| format!("/bin/busybox: {e}"))?;
    let mut dice = Dice::new(4);
    let mut many = |count: usize, most: usize, place: &str| -> Vec<(String, Vec<u8>, u32)> {
        let name = |number: usize| format!("{place}/{}/{number}", number % 5);
        let mut entries: Vec<_> =
            (0..5).map(|inner| (format!("{place}/{inner}/"), Vec::new(), 0o755)).collect();
        entries.insert(0, (format!("{place}/"), Vec::new(), 0o755));
        entries.extend((0..count).map(|number| {
            let size = dice.below(most + 1);
            (name(number), dice.bytes(size), if number % 7 == 0 { 0o600 } else { 0o644 })
        }));
        entries
    };
    let links = |count: usize| {
        let empty = (0..count).map(|n| (format!("empty{n}"), Vec::new(), 0o640));
        let links = (0..count).map(|n| (format!("link{n}"), format!("-> ../empty{n}").into_bytes(), 0o777));
        empty.chain(links).collect::<Vec<_>>()
    };
    let contents = [
        vec![
            ("bin/".into(), Vec::new(), 0o755),
            ("bin/busybox".into(), busybox, 0o755),
            ("bin/sh".into(), b"-> busybox".to_vec(), 0o777),
            ("etc/".into(), Vec::new(), 0o755),
        ],
        many(40, 4000, "a"),
        many(1, 1_200_000, "b"),
        many(150, 3000, "c"),
        links(12),
        many(30, 5000, "a"),
        many(4, 300_000, "d"),
    ];
    Ok(contents.into_iter().map(|entries| layer(&entries)).collect())
}

fn layer(entries: &[(String, Vec<u8>, u32)]) -> Layer {
    let list: Vec<(&str, &[u8], u32)> =
        entries.iter().map(|(name, content, mode)| (name.as_str(), content.as_slice(), *mode)).collect();
    let tar = testkit::tar_of(&list);
    let tree = list
        .iter()
        .map(|(name, content, mode)| (name.trim_end_matches('/').to_owned(), seen(name, content, *mode)));
    Layer { diff_id: sha256(&tar), tree: tree.collect(), tar }
}

fn seen(name: &str, content: &[u8], mode: u32) -> (u32, String) {
    match content.strip_prefix(b"-> ") {
        Some(target) => (0o120_777, String::from_utf8_lossy(target).into_owned()),
        None if name.ends_with('/') => (0o040_000 | mode, String::new()),
        None => (0o100_000 | mode, sha256(content)),
    }
}

/// Writes `i<n>.tar`, archives as `docker save` makes them, and `l<n>.tar`, the layers.
pub(super) fn write(layers: &[Layer], directory: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut put = |name: String, bytes: &[u8]| {
        names.push(name.clone());
        fs::write(directory.join(&name), bytes).map_err(|e| format!("{name}: {e}"))
    };
    for (number, layer) in layers.iter().enumerate() {
        put(format!("l{number}.tar"), &layer.tar)?;
    }
    for (number, below) in IMAGES.iter().enumerate() {
        let diff_ids: Vec<String> =
            below.iter().map(|at| format!("sha256:{}", layers[*at].diff_id)).collect();
        let files: Vec<String> = below.iter().map(|at| format!("{at}/layer.tar")).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string();
        let manifest =
            json!([{"Config": "config.json", "RepoTags": [format!("load/i{number}:1")], "Layers": files}])
                .to_string();
        let mut entries: Vec<(&str, &[u8], u32)> =
            vec![("manifest.json", manifest.as_bytes(), 0o644), ("config.json", config.as_bytes(), 0o644)];
        entries.extend(
            files.iter().zip(*below).map(|(file, at)| (file.as_str(), layers[*at].tar.as_slice(), 0o644)),
        );
        put(format!("i{number}.tar"), &testkit::tar_of(&entries))?;
    }
    Ok(names)
}

/// What the container runs: it writes files of several kinds.
pub(super) const WRITES: &str = "busybox mkdir /w; for n in 1 2 3 4 5 6 7 8 9; do echo $n > /w/$n; done; : > /w/empty; busybox ln -s empty /w/link; busybox dd if=/bin/busybox of=/w/large bs=1024 count=300 2> /dev/null";

/// What it leaves.
pub(super) fn written() -> Result<Tree, String> {
    let busybox = fs::read("/bin/busybox").map_err(|e| format!("/bin/busybox: {e}"))?;
    let large = &busybox[..busybox.len().min(300 << 10)];
    let mut tree = Tree::from([
        ("w".into(), (0o040_755, String::new())),
        ("w/empty".into(), (0o100_644, sha256(b""))),
        ("w/link".into(), (0o120_777, "empty".into())),
        ("w/large".into(), (0o100_644, sha256(large))),
    ]);
    tree.extend((1..10).map(|n| (format!("w/{n}"), (0o100_644, sha256(format!("{n}\n").as_bytes())))));
    Ok(tree)
}
