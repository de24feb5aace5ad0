//! Archives of other people's tools go through the store and back into other people's tools, and stay what they were.
#![allow(clippy::disallowed_methods, reason = "tests run tools and read files")]

mod support;

use std::path::Path;

use support::targets::{digest, index, on};
use support::{Layout, Scratch, docker_archive, has_tool, is_root, run, tar};

/// The command of a tool with its own storage below `base`.
fn own(tool: &str, base: &Path) -> String {
    let base = base.display();
    format!("{tool} --root {base}/root --runroot {base}/run --storage-driver vfs")
}

#[test]
fn archives_go_from_tool_to_tool_through_the_store() {
    let test = "archives_go_from_tool_to_tool_through_the_store";
    if !is_root(test) || !["skopeo", "podman", "buildah"].iter().all(|tool| has_tool(test, tool)) {
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let base = dir.path().display();
    let source = docker_archive(
        &["example.com/app:1"],
        &[
            tar(&[("bin/", b""), ("bin/sh", &[7; 70_000])]),
            tar(&[("bin/.wh.sh", b""), ("srv", &[b'd'; 300])]),
        ],
    );
    std::fs::write(dir.path().join("source"), source).expect("source");
    let skopeo = format!("skopeo --insecure-policy copy -q docker-archive:{base}/source");
    let (podman, buildah) = (own("podman", dir.path()), own("buildah", dir.path()));
    run(&format!("{podman} load -q -i {base}/source"));
    for (name, command) in [
        ("skopeo-oci", format!("{skopeo} oci-archive:{base}/skopeo-oci:example.com/app:1")),
        ("skopeo-docker", format!("{skopeo} docker-archive:{base}/skopeo-docker:example.com/app:1")),
        (
            "skopeo-chunked",
            format!(
                "{skopeo} --dest-compress-format zstd:chunked oci-archive:{base}/skopeo-chunked:example.com/app:1"
            ),
        ),
        (
            "podman-oci",
            format!("{podman} save -q --format oci-archive -o {base}/podman-oci example.com/app:1"),
        ),
        ("podman-docker", format!("{podman} save -q -o {base}/podman-docker example.com/app:1")),
        (
            "buildah-oci",
            format!("{buildah} push -q example.com/app:1 oci-archive:{base}/buildah-oci:example.com/app:1"),
        ),
        (
            "buildah-docker",
            format!(
                "{buildah} push -q example.com/app:1 docker-archive:{base}/buildah-docker:example.com/app:1"
            ),
        ),
    ] {
        run(&command);
        let scratch = Scratch::new();
        scratch.load_file(&dir.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let image = scratch.store.resolve("example.com/app:1").expect(name);
        let mut saved = Vec::new();
        scratch.store.save(&["example.com/app:1"], &mut saved).expect("save");
        std::fs::write(dir.path().join("saved"), &saved).expect("write");
        run(&format!("{podman} rmi -f example.com/app:1 && {podman} load -q -i {base}/saved"));
        let id = run(&format!("{podman} image inspect -f '{{{{.Id}}}}' example.com/app:1"));
        assert_eq!(id.trim(), image.id.hex(), "{name}");
        run(&format!(
            "skopeo --insecure-policy copy -q oci-archive:{base}/saved oci-archive:{base}/again:example.com/app:2"
        ));
        let again = scratch.load_file(&dir.path().join("again")).expect("again");
        assert_eq!(again[0].image.id, image.id, "{name}");
        // skopeo compresses the plain layers of docker-archives, which makes another manifest.
        if !name.ends_with("docker") {
            assert_eq!(again[0].image.manifest, image.manifest, "{name}");
        }
    }
}

#[test]
fn skopeo_chooses_a_platform_of_the_store() {
    let test = "skopeo_chooses_a_platform_of_the_store";
    if !is_root(test) || !has_tool(test, "skopeo") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, arm64) = index(&mut layout);
    layout.name(index.clone(), "example.com/multi:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    let store = format!("oci:{}:example.com/multi:1", scratch.root().display());
    let raw = run(&format!("skopeo inspect --raw {store} | sha256sum"));
    assert!(raw.starts_with(&digest(&index).hex()), "{raw}");
    let base = scratch.dir.path().display();
    for (architecture, manifest) in [("amd64", &amd64), ("arm64", &arm64)] {
        let to = format!("oci:{base}/{architecture}:one");
        run(&format!("skopeo --insecure-policy --override-arch {architecture} copy -q {store} {to}"));
        let seen = run(&format!("skopeo inspect --raw {to} | sha256sum"));
        assert!(seen.starts_with(&digest(manifest).hex()), "{architecture}: {seen}");
    }
    // And what it makes of the store comes back as the same manifest.
    run(&format!("cd {base}/arm64 && tar -cf ../one.tar ."));
    let other = Scratch::new();
    other.load_file(&scratch.dir.path().join("one.tar")).expect("load");
    let image = other.store.images().iter().next().expect("image").clone();
    assert_eq!((image.manifest, on("linux/arm64").rank(&image.platform())), (digest(&arm64), Some(0)));
}
