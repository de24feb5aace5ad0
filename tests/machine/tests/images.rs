//! Images from archives: good ones work, hostile ones leave nothing.

use std::fs;
use std::path::Path;

use testkit::Daemon;

pub(crate) fn import_tag_remove() {
    let d = Daemon::start();
    d.busybox();
    let id = d.berth(&["images", "-q", "--no-trunc"]).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    d.berth(&["tag", "busybox", "mine/box:v1"]).ok();
    let table = d.berth(&["images"]).ok();
    assert!(table.starts_with("REPOSITORY   TAG"), "{table}");
    assert!(table.contains("mine/box") && table.contains("v1"), "{table}");
    assert_eq!(d.berth(&["image", "inspect", "-f", "{{.Id}}", "mine/box:v1"]).ok(), id);
    assert_eq!(d.berth(&["rmi", "busybox"]).ok(), "Untagged: busybox:latest");
    assert!(d.berth(&["rmi", "mine/box:v1"]).ok().contains(&format!("Deleted: {id}")));
    assert_eq!(d.berth(&["images", "-q"]).ok(), "");
    let missing = d.berth(&["rmi", "mine/box:v1"]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("No such image: mine/box:v1"), "{}", missing.err);
}

/// Every regular file below a directory, with its size.
fn census(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![root.to_owned()];
    while let Some(directory) = rest.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                rest.push(entry.path());
            } else if !entry.file_name().to_string_lossy().starts_with("berth.db") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn hostile_archives_leave_nothing() {
    let d = Daemon::start();
    d.berth(&["images"]).ok();
    let before = census(&d.data_root());
    let outside = d.directory().join("outside");
    let absolute = format!("-> {}", outside.display());
    let layer = testkit::tar_of(&[("a", b"1", 0o644)]);
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]},"config":{}}"#;
    let manifest = br#"[{"Config":"config.json","RepoTags":["bad:latest"],"Layers":["layer.tar"]}]"#;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("garbage", vec![0x5a; 4096]),
        ("no manifest", testkit::tar_of(&[("x", b"y", 0o644)])),
        ("manifest is no JSON", testkit::tar_of(&[("manifest.json", b"{", 0o644)])),
        ("missing files", testkit::tar_of(&[("manifest.json", manifest, 0o644)])),
        (
            "wrong diff id",
            testkit::tar_of(&[
                ("manifest.json", manifest, 0o644),
                ("config.json", config, 0o644),
                ("layer.tar", &layer, 0o644),
            ]),
        ),
        (
            "climbing name",
            testkit::tar_of(&[(
                "manifest.json",
                br#"[{"Config":"../../../../etc/passwd","RepoTags":[],"Layers":[]}]"#,
                0o644,
            )]),
        ),
        (
            "link for a layer",
            testkit::tar_of(&[
                ("manifest.json", manifest, 0o644),
                ("config.json", config, 0o644),
                ("layer.tar", absolute.as_bytes(), 0o777),
            ]),
        ),
        ("truncated", testkit::busybox_tar()[..300_000].to_vec()),
    ];
    for (name, archive) in cases {
        let said = d.feed(&["load"], &archive);
        assert_eq!(said.code, 1, "{name}: {}", said.out);
        assert!(!said.err.is_empty() && said.err.lines().count() <= 2, "{name}: {}", said.err);
        assert_eq!(census(&d.data_root()), before, "{name} left something");
    }
    assert_eq!(d.berth(&["images", "-aq"]).ok(), "");
}

pub(crate) fn names_in_use_are_kept() {
    let d = Daemon::start();
    d.busybox();
    d.berth(&["create", "--name", "user", "busybox", "true"]).ok();
    let id = d.berth(&["images", "-q", "--no-trunc"]).ok();
    let used = d.berth(&["rmi", &id]);
    assert_eq!(used.code, 1, "{}", used.out);
    assert!(used.err.contains("image is being used by stopped container"), "{}", used.err);
    assert_eq!(d.berth(&["start", "-a", "user"]).code, 0);
}
