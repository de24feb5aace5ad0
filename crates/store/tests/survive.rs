//! Full disks, killed and concurrent loads, damaged files: the store goes on, and what was acknowledged is there.
#![allow(clippy::disallowed_methods, reason = "tests break files and run processes")]

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use store::{Durability, Options, Store, VolumeOptions};
use support::{Layout, Scratch, docker_archive, gzip, is_root, small, tar, two_layers};
use types::Kind;

#[test]
fn concurrent_loads_and_removals_agree() {
    if !is_root("concurrent_loads_and_removals_agree") {
        return;
    }
    let scratch = Scratch::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loaders: Vec<_> = (0..4_u8)
            .map(|seed| {
                let store = scratch.store.clone();
                scope.spawn(move || {
                    for round in 0..12 {
                        let name = format!("app:{seed}");
                        let bytes = two_layers(&name, seed);
                        let loaded = store.load(&mut &bytes[..], &mut |_| ()).expect("load");
                        let container = format!("c-{seed}-{round}");
                        // Another thread may have removed it meanwhile; then it says so.
                        match store.prepare(&container, &loaded[0].image, true) {
                            Ok(_) => store.discard(&container).expect("discard"),
                            Err(e) => assert_eq!(e.kind(), Kind::NotFound, "{e}"),
                        }
                    }
                })
            })
            .collect();
        let remover = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for seed in 0..2 {
                    let _ = scratch.store.remove(&format!("app:{seed}"), true, &|_| None);
                }
            }
        });
        for loader in loaders {
            loader.join().expect("loader");
        }
        stop.store(true, Ordering::Relaxed);
        remover.join().expect("remover");
    });
    for image in scratch.store.images().iter() {
        scratch.store.prepare(&image.id.short(), image, true).expect("every listed image is whole");
        scratch.store.discard(&image.id.short()).expect("discard");
    }
    for seed in 0..4 {
        let _ = scratch.store.remove(&format!("app:{seed}"), true, &|_| None);
    }
    assert_eq!(scratch.litter(), Vec::<String>::new());
}

/// Not a test of its own: the process that `killed_loads_leave_nothing` kills.
#[test]
fn child_that_loads() {
    let Ok(root) = std::env::var("BERTH_TEST_STORE") else { return };
    let store = Store::open_with(root.as_ref(), small()).expect("open");
    println!("open");
    let done = store.load(&mut std::io::stdin(), &mut |progress| println!("{progress:?}"));
    println!("done {}", done.is_ok());
}

#[test]
fn killed_loads_leave_nothing() {
    if !is_root("killed_loads_leave_nothing") {
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().join("data");
    let bytes = two_layers("killed:1", 1);
    for lines in [1, 2, 4, 8, 11, 12, 13, 14, 15] {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["child_that_loads", "--exact", "--nocapture"])
            .env("BERTH_TEST_STORE", &root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let mut stdin = child.stdin.take().expect("stdin");
        let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout"));
        let feeder = std::thread::spawn({
            let bytes = bytes.clone();
            move || stdin.write_all(&bytes)
        });
        let mut line = String::new();
        for _ in 0..lines {
            line.clear();
            std::io::BufRead::read_line(&mut stdout, &mut line).expect("line");
        }
        child.kill().expect("kill");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).expect("rest");
        child.wait().expect("wait");
        let _ = feeder.join();
        let store = Store::open_with(&root, small()).expect("open after the kill");
        assert_eq!(store.warnings(), [] as [&str; 0], "killed after {lines} lines");
        assert_eq!(std::fs::read_dir(root.join("ingest")).expect("ingest").count(), 0);
        let blobs = std::fs::read_dir(root.join("blobs/sha256")).expect("blobs").count();
        let whole = store.images().len();
        assert!((whole, blobs) == (0, 0) || (whole, blobs) == (1, 4), "{whole} images, {blobs} blobs");
        store.load(&mut &bytes[..], &mut |_| ()).expect("load again");
        let image = store.resolve("killed:1").expect("resolve");
        store.prepare("c", &image, true).expect("prepare");
        store.discard("c").expect("discard");
        store.remove("killed:1", true, &|_| None).expect("remove");
    }
}

/// Not a test of its own: runs on the small disk of `a_full_disk_is_said_and_survived`.
#[test]
fn child_on_a_small_disk() {
    let Ok(root) = std::env::var("BERTH_TEST_SMALL_DISK") else { return };
    let store = Store::open_with(root.as_ref(), Options { reserve_bytes: 0, ..small() }).expect("open");
    store.load(&mut &two_layers("small:1", 1)[..], &mut |_| ()).expect("a small one fits");
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(9 << 20)
    .collect();
    // Full while spooling; full while unpacking (the spooled file is small, the layer is not); full while importing.
    let spooling = docker_archive(&["big:1"], &[tar(&[("noise", &noise)])]);
    let unpacking = support::docker_archive_with(&["big:2"], &[tar(&[("zeros", &vec![0; 12 << 20])])], gzip);
    for bytes in [&spooling, &unpacking] {
        let error = store.load(&mut &bytes[..], &mut |_| ()).expect_err("does not fit");
        assert_eq!(error.kind(), Kind::Exhausted, "{error}");
        assert!(error.to_string().contains("free some space"), "{error}");
    }
    let root_tar = tar(&[("noise", &noise)]);
    let error =
        store.import(&mut &root_tar[..], None, &store::ImportConfig::default()).expect_err("does not fit");
    assert_eq!(error.kind(), Kind::Exhausted, "{error}");
    // Filled to the brim by somebody else, removing still works.
    let filler = std::path::Path::new(&root).join("filler");
    let mut file = std::fs::File::create(&filler).expect("filler");
    while file.write_all(&noise[..4096]).is_ok() {}
    assert_eq!(
        store.load(&mut &two_layers("small:2", 2)[..], &mut |_| ()).expect_err("full").kind(),
        Kind::Exhausted
    );
    let image = store.resolve("small:1").expect("still there");
    store.tag(&image, &"small:3".parse().expect("name")).expect("tag");
    store.records().put("container", "c", &"x".repeat(20_000), Durability::Relaxed).expect("put");
    store.remove("small:3", false, &|_| None).expect("untag");
    drop(file);
    std::fs::remove_file(filler).expect("filler");
    store.prepare("c", &image, true).expect("prepare");
    store.load(&mut &two_layers("small:2", 2)[..], &mut |_| ()).expect("goes on without reopening");
    // Opening on a full disk keeps the records.
    drop(store);
    let filler = std::path::Path::new(&root).join("filler");
    let mut file = std::fs::File::create(&filler).expect("filler");
    while file.write_all(&noise[..4096]).is_ok() {}
    let store =
        Store::open_with(root.as_ref(), Options { reserve_bytes: 0, ..small() }).expect("open when full");
    assert_eq!((store.records().all("container").expect("all").len(), store.warnings().len()), (1, 0));
    assert!(store.resolve("small:2").is_ok());
    drop(file);
    // Without an inode left, opening and removing work too.
    drop(store);
    std::fs::remove_file(filler).expect("filler");
    // The room for bad days, which the full disk took, is made again.
    drop(Store::open_with(root.as_ref(), Options { reserve_bytes: 0, ..small() }).expect("open"));
    let many = std::path::Path::new(&root).join("many");
    std::fs::create_dir(&many).expect("directory");
    // As a killed daemon leaves them.
    for tail in ["-wal", "-shm"] {
        std::fs::write(std::path::Path::new(&root).join(format!("berth.db{tail}")), "").expect("log");
    }
    let mut names = (0..).map(|n: u32| many.join(n.to_string()));
    while names.next().is_some_and(|name| std::fs::write(name, "").is_ok()) {}
    let store = Store::open_with(root.as_ref(), Options { reserve_bytes: 0, ..small() })
        .expect("open without inodes");
    assert_eq!(store.warnings(), [] as [&str; 0]);
    store.remove("small:2", true, &|_| None).expect("remove");
    assert!(store.resolve("small:2").is_err());
    println!("small disk survived");
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let test = "a_full_disk_is_said_and_survived";
    if !is_root(test) || !support::has_tool(test, "unshare") {
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let (base, program) = (dir.path().display(), std::env::current_exe().expect("own path"));
    let seen = support::run(&format!(
        "unshare --mount sh -ec 'mount -t tmpfs -o size=8m,nr_inodes=2500,mode=700 berth-test {base}
         BERTH_TEST_SMALL_DISK={base}/data {} child_on_a_small_disk --exact --nocapture'",
        program.display()
    ));
    assert!(seen.contains("small disk survived"), "{seen}");
}

/// Every page zeroed and flipped, and coarser things.
fn damages(database: &[u8]) -> Vec<(String, Vec<u8>)> {
    let pages = database.len() / 4096;
    let mut damages: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("text".into(), b"this is no database".to_vec()),
        ("half".into(), database[..database.len() / 2].to_vec()),
    ];
    for page in 0..pages {
        let mut zeroed = database.to_vec();
        zeroed[page * 4096..(page + 1) * 4096].fill(0);
        damages.push((format!("page {page} zeroed"), zeroed));
        let mut flipped = database.to_vec();
        flipped[page * 4096 + 3] ^= 0xff;
        damages.push((format!("page {page} flipped"), flipped));
    }
    damages
}

#[test]
fn damaged_files_never_stop_the_store() {
    if !is_root("damaged_files_never_stop_the_store") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&two_layers("kept:1", 1)).expect("load");
    for id in 0..200 {
        let json = format!("{{\"n\":{id},\"pad\":\"{}\"}}", "x".repeat(500));
        scratch.store.records().put("container", &format!("{id:03}"), &json, Durability::Full).expect("put");
    }
    scratch
        .store
        .volumes()
        .create(VolumeOptions { name: "data".into(), ..VolumeOptions::default() })
        .expect("volume");
    let root = scratch.root();
    let Scratch { dir, store } = scratch;
    drop(store);
    let database = std::fs::read(root.join("berth.db")).expect("database");
    for (what, bytes) in damages(&database) {
        std::fs::write(root.join("berth.db"), bytes).expect("damage");
        let _ = std::fs::remove_file(root.join("berth.db-wal"));
        let store = Store::open(&root).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(store.resolve("kept:1").is_ok(), "{what}");
        assert_eq!(store.volumes().list().len(), 1, "{what}");
        store
            .records()
            .put("container", "new", "{}", Durability::Full)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let count = store.records().all("container").unwrap_or_else(|e| panic!("{what}: {e}")).len();
        assert!(count >= 1, "{what}");
        drop(store);
        for entry in std::fs::read_dir(&root).expect("root") {
            let path = entry.expect("entry").path();
            if path.to_string_lossy().contains(".damaged-") {
                std::fs::remove_file(path).expect("tidy");
            }
        }
    }
    drop(dir);
}

#[test]
fn damaged_images_are_rebuilt_or_left_out() {
    if !is_root("damaged_images_are_rebuilt_or_left_out") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&two_layers("kept:1", 1)).expect("load");
    let root = scratch.root();
    let Scratch { dir, store } = scratch;
    drop(store);
    // index.json: the copy in the records has the names; without it, the manifests are found without names.
    std::fs::write(root.join("index.json"), b"{ torn").expect("damage");
    let store = Store::open(&root).expect("open");
    assert!(store.resolve("kept:1").is_ok() && store.warnings().len() == 1, "{:?}", store.warnings());
    let id = store.resolve("kept:1").expect("resolve").id;
    store.records().delete("store", "index", Durability::Full).expect("forget");
    drop(store);
    std::fs::write(root.join("index.json"), b"").expect("damage");
    let store = Store::open(&root).expect("open");
    assert!(store.resolve(&id.to_string()).is_ok(), "{:?}", store.warnings());
    store
        .tag(&store.resolve(&id.to_string()).expect("image"), &"kept:1".parse().expect("name"))
        .expect("tag");
    drop(store);

    // An unpacked layer that got lost comes back from its blob.
    for entry in std::fs::read_dir(root.join("overlay/l")).expect("layers") {
        std::fs::remove_dir_all(entry.expect("layer").path()).expect("damage");
    }
    let store = Store::open(&root).expect("open");
    let image = store.resolve("kept:1").expect("resolve");
    assert_eq!(image.size, 50_000 + 20_000 + 1);
    store.prepare("c", &image, true).expect("prepare");
    store.discard("c").expect("discard");
    drop(store);
    // A damaged blob takes only its own image away.
    let manifest = root.join("blobs/sha256").join(image.manifest.hex());
    std::fs::write(&manifest, b"{}").expect("damage");
    let store = Store::open(&root).expect("open");
    assert!(
        store.images().is_empty() && store.warnings()[0].contains("is damaged"),
        "{:?}",
        store.warnings()
    );
    store.load(&mut &two_layers("kept:1", 1)[..], &mut |_| ()).expect("loading it again repairs it");
    drop(dir);
}

#[test]
fn deep_trees_of_containers_are_removed() {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    if !is_root("deep_trees_of_containers_are_removed") {
        return;
    }
    let scratch = Scratch::new();
    scratch.load(&two_layers("a:1", 1)).expect("load");
    let image = scratch.store.resolve("a:1").expect("resolve");
    let types::Rootfs::Overlay { upper, .. } = scratch.store.prepare("c", &image, true).expect("prepare")
    else {
        panic!("not an overlay")
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at = rustix::fs::open(&upper, flags, Mode::empty()).expect("upper");
    // Far deeper than a path can say, or than handles could be kept open.
    for _ in 0..5000 {
        mkdirat(&at, "deep", Mode::RWXU).expect("mkdir");
        rustix::fs::symlinkat("/", &at, "link").expect("symlink");
        at = openat(&at, "deep", flags, Mode::empty()).expect("open");
    }
    drop(at);
    scratch.store.discard("c").expect("discard");
    let left = std::fs::read_dir(scratch.root().join("overlay/snapshots")).expect("snapshots").count();
    assert_eq!(left, 0);
    assert!(std::path::Path::new("/etc").is_dir());
}

#[test]
fn a_record_that_is_the_same_is_still_made_durable() {
    let scratch = Scratch::new();
    let log = || std::fs::metadata(scratch.root().join("berth.db-wal")).expect("log").len();
    let put = |durability| scratch.store.records().put("k", "i", "{}", durability).expect("put");
    put(Durability::Relaxed);
    let before = log();
    put(Durability::Relaxed);
    assert_eq!(log(), before, "nothing to write");
    put(Durability::Full);
    assert!(log() > before, "a commit that syncs was written");
    assert_eq!(scratch.store.records().get("k", "i").expect("get").as_deref(), Some("{}"));
    scratch.store.records().delete("k", "i", Durability::Full).expect("delete");
    assert_eq!(scratch.store.records().get("k", "i").expect("get"), None);
}

#[test]
fn reserve_is_kept() {
    if !is_root("reserve_is_kept") {
        return;
    }
    let scratch = Scratch::with(Options { reserve_bytes: u64::MAX / 4, ..small() });
    let mut layout = Layout::default();
    let descriptor = layout.image(&[tar(&[("a", b"1")])], gzip);
    layout.name(descriptor, "a:1");
    let error = scratch.load(&layout.archive()).expect_err("no room");
    assert_eq!(error.kind(), Kind::Exhausted);
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(scratch.litter(), Vec::<String>::new());
    scratch.store.volumes().create(VolumeOptions::default()).expect("small things still fit");
}
