//! Archives, names, records and volumes while they are recorded, in several lives of a process.

use std::collections::BTreeMap;
use std::path::Path;

use layer::Entry;
use store::{Durability, ImportConfig, Progress, Store, VolumeOptions};
use testkit::power::{dies_here, mark};

use super::judge::listing;
use super::support::{Scratch, docker_archive, docker_archive_with, gzip, small, tar, tar_of, zstd};

/// The lives. A new one begins where the one before was over, or died.
pub(crate) const CHAPTERS: [&str; 4] = ["first", "second", "dies", "last"];

/// An image's archive with that name, two layers of which one is shared.
fn archive(name: &str, press: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    docker_archive_with(&[name], &[shared(), own(name)], press)
}

pub(crate) fn shared() -> Vec<u8> {
    tar(&[("shared", &[9; 3000]), ("etc/", b""), ("etc/conf", b"of the base")])
}

pub(crate) fn own(name: &str) -> Vec<u8> {
    let dressed = Entry { mode: 0o4755, uid: 7, gid: 8, ..Entry::file("bin", name.len() as u64) };
    tar_of(&[
        (dressed, name.as_bytes()),
        (Entry::directory("d"), b""),
        (Entry::file("d/.wh..wh..opq", 0), b""),
        (Entry::directory("etc"), b""),
        (Entry::file("etc/.wh.conf", 0), b""),
        (Entry::symlink("link", "bin"), b""),
        (Entry::file("much", 9000), &[name.as_bytes()[0]; 9000]),
    ])
}

fn root() -> Vec<u8> {
    tar(&[("etc/", b""), ("etc/passwd", b"root:x:0:0::/:/bin/sh\n")])
}

/// How every layer of the story looks, by the name of its directory.
pub(crate) fn layers() -> BTreeMap<String, Vec<String>> {
    let scratch = Scratch::new();
    for name in ["a:1", "b:1", "c:1", "d:1"] {
        scratch.load(&archive(name, gzip)).expect("load");
    }
    scratch.store.import(&mut &root()[..], None, &ImportConfig::default()).expect("import");
    listings(&scratch.store)
}

/// How every layer in the store looks.
pub(crate) fn listings(store: &Store) -> BTreeMap<String, Vec<String>> {
    let images = store.images();
    let paths = images.iter().flat_map(|image| store.layer_paths(image));
    let name = |path: &Path| path.file_name().expect("name").to_string_lossy().into_owned();
    paths.map(|path| (name(&path), listing(&path))).collect()
}

/// Loads an image; says before which id it will have.
fn load(store: &Store, name: &str, archive: &[u8]) {
    let id = super::support::sha256(&super::support::config(&[shared(), own(name)]));
    mark("begin", "image", name, &id);
    let loaded = store.load(&mut &archive[..], &mut |_| ()).expect("load");
    assert_eq!(loaded[0].image.id.to_string(), id);
    mark("done", "image", name, &id);
}

pub(crate) fn remove(store: &Store, name: &str) {
    mark("begin", "image", name, "");
    store.remove(name, true, &|_| None).expect("remove");
    mark("done", "image", name, "");
}

fn tag(store: &Store, image: &str, name: &str) {
    let image = store.resolve(image).expect("image");
    mark("begin", "image", name, &image.id.to_string());
    store.tag(&image, &name.parse().expect("name")).expect("tag");
    mark("done", "image", name, &image.id.to_string());
}

fn put(store: &Store, id: &str, json: &str, durability: Durability) {
    mark("begin", "record", id, json);
    store.records().put("story", id, json, durability).expect("put");
    if durability == Durability::Full {
        mark("done", "record", id, json);
    }
}

fn volume(store: &Store, name: &str) {
    mark("begin", "volume", name, "x");
    let labels = BTreeMap::from([("l".to_owned(), "x".to_owned())]);
    let options = VolumeOptions { name: name.into(), labels, ..VolumeOptions::default() };
    store.volumes().create(options).expect("volume");
    mark("done", "volume", name, "x");
}

/// Lives one life.
pub(crate) fn tell(root: &Path, chapter: &str) {
    let store = Store::open_with(root, small()).expect("open");
    match chapter {
        "first" => first(&store),
        "second" => second(&store),
        "dies" => dies(&store),
        "last" => last(&store),
        "opens" => {}
        other => panic!("{other}"),
    }
}

fn first(store: &Store) {
    put(store, "early", "1", Durability::Full);
    load(store, "a:1", &archive("a:1", gzip));
    put(store, "r", "1", Durability::Full);
    load(store, "b:1", &archive("b:1", zstd));
    put(store, "r", "2", Durability::Relaxed);
    put(store, "s", "1", Durability::Full);
    tag(store, "a:1", "a:2");
    volume(store, "data");
    remove(store, "a:1");
    // An archive that turns out bad at its end leaves nothing.
    let bad = docker_archive(&["bad:1"], &[tar_of(&[(Entry::file("../x", 0), b"")])]);
    store.load(&mut &bad[..], &mut |_| ()).expect_err("bad");
    remove(store, "a:2");
    put(store, "r", "3", Durability::Full);
}

fn second(store: &Store) {
    load(store, "c:1", &archive("c:1", <[u8]>::to_vec));
    // The same name for another image.
    tag(store, "b:1", "c:2");
    import(store);
    mark("begin", "volume", "data", "");
    store.volumes().remove("data", false, &|_| Vec::new()).expect("remove");
    mark("done", "volume", "data", "");
    // It is there already: only the name is new.
    load(store, "c:1", &archive("c:1", gzip));
}

fn import(store: &Store) {
    // It is dated, so its id is known only then.
    mark("begin", "image", "made:1", "?");
    let name = "made:1".parse().expect("name");
    let image = store.import(&mut &root()[..], Some(&name), &ImportConfig::default()).expect("import");
    mark("done", "image", "made:1", &image.id.to_string());
}

/// Dies in the middle of a load, with one layer unpacked.
fn dies(store: &Store) {
    let id = super::support::sha256(&super::support::config(&[shared(), own("d:1")]));
    mark("begin", "image", "d:1", &id);
    remove(store, "b:1");
    let done = &mut |progress| {
        if matches!(progress, Progress::Unpacked { .. }) {
            dies_here();
        }
    };
    let _ = store.load(&mut &archive("d:1", gzip)[..], done);
    panic!("it should have died");
}

fn last(store: &Store) {
    let image = store.resolve("c:2").expect("image");
    store.prepare("kept", &image, true).expect("prepare");
    remove(store, "c:2");
    store.discard("kept").expect("discard");
    load(store, "d:1", &archive("d:1", gzip));
    remove(store, "c:1");
}
