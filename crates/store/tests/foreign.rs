//! Archives that other people's tools really wrote, and our store read by them.
#![allow(clippy::disallowed_methods, reason = "tests run tools and read files")]

mod support;

use std::path::Path;

use support::{Scratch, docker_archive, has_tool, is_root, run, tar};

/// A rootfs with busybox and what layers are full of.
fn source(dir: &Path) -> std::path::PathBuf {
    let base = tar(&[
        ("bin/", b""),
        ("bin/sh", &[7; 70_000]),
        ("etc/", b""),
        ("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
    ]);
    let top = tar(&[("etc/.wh.passwd", b""), ("srv/", b""), ("srv/data", &[b'd'; 300])]);
    let path = dir.join("source.tar");
    std::fs::write(&path, docker_archive(&["example.com/app:1"], &[base, top])).expect("source");
    path
}

#[test]
fn skopeo_archives_load_and_skopeo_reads_the_store() {
    let test = "skopeo_archives_load_and_skopeo_reads_the_store";
    if !is_root(test) || !has_tool(test, "skopeo") {
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let source = source(dir.path());
    let (from, base) = (source.display(), dir.path().display());
    let skopeo = "skopeo --insecure-policy copy -q";
    for (name, command) in [
        ("plain", format!("{skopeo} docker-archive:{from} oci-archive:{base}/plain:example.com/app:1")),
        (
            "gzip",
            format!(
                "{skopeo} --dest-compress-format gzip docker-archive:{from} oci:{base}/d1:app && tar -C {base}/d1 -czf {base}/gzip ."
            ),
        ),
        (
            "zstd",
            format!(
                "{skopeo} --dest-compress-format zstd docker-archive:{from} oci:{base}/d2:app:2 && tar -C {base}/d2 -cf - . | zstd -q -o {base}/zstd"
            ),
        ),
        ("docker", format!("{skopeo} docker-archive:{from} docker-archive:{base}/docker:app:3")),
        ("untagged", format!("{skopeo} docker-archive:{from} oci-archive:{base}/untagged")),
    ] {
        run(&command);
        let scratch = Scratch::new();
        let loaded = scratch.load_file(&dir.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((loaded.len(), loaded[0].image.layers.len()), (1, 2), "{name}");
        assert_eq!(loaded[0].reference.is_none(), name == "untagged", "{name}");
        scratch.store.tag(&loaded[0].image, &"example.com/mine:5".parse().expect("name")).expect("tag");
        let root = scratch.root();
        let seen = run(&format!("skopeo inspect oci:{}:example.com/mine:5", root.display()));
        assert!(seen.contains("\"Architecture\": \"amd64\""), "{name}: {seen}");
        let form = if name == "zstd" { "oci-archive" } else { "docker-archive" };
        let store = format!("oci:{}:example.com/mine:5", root.display());
        run(&format!("{skopeo} {store} {form}:{base}/back-{name}:x:1"));
        let again = scratch.load_file(&dir.path().join(format!("back-{name}"))).expect("back");
        assert_eq!(again[0].image.id, loaded[0].image.id, "{name}");
    }
}

#[test]
fn podman_archives_load() {
    let test = "podman_archives_load";
    if !is_root(test) || !has_tool(test, "podman") {
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let source = source(dir.path());
    let base = dir.path().display();
    let podman = format!("podman --root {base}/root --runroot {base}/run --storage-driver vfs");
    let load = format!(
        "{podman} load -q -i {} && {podman} tag example.com/app:1 example.com/app:2",
        source.display()
    );
    run(&load);
    for (name, flags, images) in [
        ("docker", "--format docker-archive", 2),
        ("oci", "--format oci-archive", 1),
        ("compressed", "--format oci-archive", 1),
    ] {
        let names = if images == 2 { "example.com/app:1 example.com/app:2" } else { "example.com/app:1" };
        run(&format!("{podman} save -q {flags} -o {base}/{name} {names}"));
        let scratch = Scratch::new();
        let loaded = scratch.load_file(&dir.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!loaded.is_empty() && loaded.iter().all(|l| l.image.layers.len() == 2), "{name}");
        assert!(scratch.store.resolve("example.com/app:1").is_ok(), "{name}");
    }
    let two = format!(
        "echo two > {base}/two && tar -C {base} -cf - two | {podman} import -q - example.com/other:1 && {podman} save -q -m -o {base}/multi example.com/app:1 example.com/other:1"
    );
    run(&two);
    let scratch = Scratch::new();
    let loaded = scratch.load_file(&dir.path().join("multi")).expect("multi");
    assert_eq!(loaded.len(), 2);
    assert!(scratch.store.resolve("example.com/other:1").is_ok());
}

#[test]
fn tars_of_other_writers_import_whole() {
    let test = "tars_of_other_writers_import_whole";
    if !is_root(test) || !has_tool(test, "busybox") {
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let base = dir.path().display();
    run(&format!(
        "mkdir -p {base}/r/bin {base}/r/dev {base}/r/deep && cd {base}/r && cp $(command -v busybox) bin/busybox
         ln bin/busybox bin/sh; ln -s /bin/busybox bin/ls; mknod dev/zero c 1 5; mkfifo pipe; chmod 4755 bin/busybox
         setcap cap_net_raw+ep bin/busybox 2>/dev/null || true
         n=deep; for i in $(seq 20); do n=$n/aaaaaaaaaaaaaaaaaaaa; done; mkdir -p $n; echo x > $n/file
         truncate -s 5M sparse; printf mid | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none; printf end >> sparse"
    ));
    let listing = |root: &str| {
        run(&format!(
            "cd {root} && find . -printf '%p %y %m %U:%G %s %l %n %T@\\n' | grep -v '^\\. ' | sed 's/ d \\(.*\\) [0-9]* \\(.*\\)/ d \\1 \\2/' | sort; sha256sum sparse bin/busybox"
        ))
    };
    let want = listing(&format!("{base}/r"));
    for (name, command) in [
        ("gnu", "tar --format=gnu -cf - ."),
        ("gnu-sparse", "tar --format=gnu -S -cf - ."),
        ("pax", "tar --format=pax --xattrs -cf - ."),
        ("pax-sparse-0.0", "tar --format=pax -S --sparse-version=0.0 -cf - ."),
        ("pax-sparse-0.1", "tar --format=pax -S --sparse-version=0.1 -cf - ."),
        ("pax-sparse-1.0", "tar --format=pax -S --sparse-version=1.0 -cf - ."),
        ("gzip", "tar --format=pax -czf - ."),
        ("busybox", "busybox tar -cf - ."),
    ] {
        run(&format!("cd {base}/r && {command} > {base}/{name}.tar"));
        let scratch = Scratch::new();
        let mut file = std::fs::File::open(dir.path().join(format!("{name}.tar"))).expect("tar");
        let image = scratch.store.import(&mut file, None, &store::ImportConfig::default());
        let image = image.unwrap_or_else(|e| panic!("{name}: {e}"));
        let root = scratch.store.prepare("c", &image, false).expect("prepare");
        let types::Rootfs::Overlay { lower, .. } = root else { panic!("not an overlay") };
        let got = listing(&lower[0].display().to_string());
        // Only PAX knows parts of a second.
        let cut = |text: &str| -> String {
            if name.starts_with("pax") || name == "gzip" {
                return text.to_owned();
            }
            text.lines().map(|l| format!("{}\n", l.rsplit_once('.').map_or(l, |(a, _)| a))).collect()
        };
        assert_eq!(cut(&got), cut(&want), "{name}");
        if name.contains("sparse") {
            use std::os::unix::fs::MetadataExt;
            let blocks = std::fs::metadata(lower[0].join("sparse")).expect("sparse").blocks();
            assert!(blocks < 200, "{name}: {blocks} blocks");
        }
    }
}

/// Three layers that remove, replace and bring back; prints what each stage should look like.
const STAGES: &str = r#"
B="buildah --root $1/root --runroot $1/run --storage-driver $2"
look() { (cd $1; find . -mindepth 1 -type d -printf '%p %y %m %U:%G %T@\n' -o -mindepth 1 -printf '%p %y %m %U:%G %s %l %T@\n' | sort); }
stage() {
    c=$($B from $1); m=$($B mount $c); eval "$3"; look $m > $4/want-$2
    $B umount $c >/dev/null; $B commit -q $c img:$2 >/dev/null; $B rm $c >/dev/null
    $B push -q img:$2 oci-archive:$4/stage-$2:localhost/img:$2
}
stage scratch 1 'mkdir -p $m/a/sub/deep $m/keep $m/etc $m/swap1 $m/var/cache/x; for i in 1 2 3; do echo $i > $m/a/f$i; echo $i > $m/a/sub/g$i; done
    echo k > $m/keep/k; ln $m/keep/k $m/keep/k2; ln -s ../etc $m/keep/s; echo x > $m/swap2; ln -s keep $m/swap3; mknod $m/node c 5 1; chown 1000:1001 $m/a; chmod 1777 $m/var/cache' $1
stage localhost/img:1 2 'rm $m/a/f1; rm -r $m/a/sub; mkdir $m/a/sub; echo new > $m/a/sub/new; chmod 700 $m/keep/k; rm -r $m/swap1; echo file > $m/swap1; rm $m/swap2; mkdir $m/swap2; echo in > $m/swap2/in
    rm $m/swap3; mkdir $m/swap3; rm -rf $m/var/cache/x; touch $m/etc/.hidden; rm $m/node' $1
stage localhost/img:2 3 'echo back > $m/a/f1; rm -r $m/a/sub; rm -r $m/swap2; ln -s /bin $m/swap2; mv $m/keep $m/kept' $1

"#;

#[test]
fn layers_of_buildah_merge_to_what_buildah_saw() {
    let test = "layers_of_buildah_merge_to_what_buildah_saw";
    if !is_root(test) || !has_tool(test, "buildah") {
        return;
    }
    for driver in ["vfs", "overlay"] {
        let dir = tempfile::tempdir().expect("dir");
        let base = dir.path().display();
        std::fs::write(dir.path().join("stages"), STAGES).expect("script");
        run(&format!("sh -e {base}/stages {base} {driver}"));
        for stage in 1..=3 {
            let scratch = Scratch::new();
            let loaded = scratch.load_file(&dir.path().join(format!("stage-{stage}"))).expect("load");
            let root = scratch.store.prepare("c", &loaded[0].image, true).expect("prepare");
            let (volume, _) =
                scratch.store.volumes().create(store::VolumeOptions::default()).expect("volume");
            assert!(scratch.store.volumes().copy_up(&volume.name, &root, "/").expect("copy"));
            let got = run(&format!(
                "cd {}; find . -mindepth 1 -type d -printf '%p %y %m %U:%G %T@\\n' -o -mindepth 1 -printf '%p %y %m %U:%G %s %l %T@\\n' | sort",
                volume.path.display()
            ));
            let want = std::fs::read_to_string(dir.path().join(format!("want-{stage}"))).expect("want");
            // Archives of buildah hold whole seconds.
            let cut = |text: &str| -> Vec<String> {
                text.lines().map(|l| l.rsplit_once('.').map_or(l, |(head, _)| head).to_owned()).collect()
            };
            assert_eq!(cut(&got), cut(&want), "{driver}, stage {stage}");
        }
    }
}
