//! Pulls, commits and prunes while they are recorded, in several lives of a process.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat,
};
use store::{CommitConfig, Error, Image, Owners, Store};
use testkit::power::{dies_here, mark};
use types::Rootfs;

use super::story::{listings, own, remove, shared};
use super::support::served::{Served, reference, send, send_until};
use super::support::{Scratch, gzip, small, tar, zstd};

/// The lives. A new one begins where the one before was over, or died.
pub(crate) const CHAPTERS: [&str; 6] =
    ["pulls", "breaks-off", "goes-on", "commits", "dies-before-it-is-committed", "prunes"];

fn common() -> Vec<u8> {
    tar(&[("common", &[5; 4000]), ("etc/", b""), ("etc/common", b"of two")])
}

/// What a registry has, by name.
fn image(name: &str) -> Served {
    match name {
        // The same layers, so that one download is for both.
        "r:1" | "s:1" => Served::new(&[common(), own(name)], gzip),
        "q:1" | "u:1" => Served::new(&[shared(), own(name)], <[u8]>::to_vec),
        "v:1" => Served::new(&[shared(), own(name)], zstd),
        _ => Served::new(&[shared(), own(name)], gzip),
    }
}

/// What is pulled, and what is tried to be.
const PULLED: [&str; 7] = ["p:1", "q:1", "r:1", "s:1", "u:1", "v:1", "bad:1"];

/// Whatever may have come in part.
pub(crate) fn served() -> Vec<Served> {
    PULLED.map(image).into()
}

/// How every layer of the story looks, by the name of its directory.
pub(crate) fn layers() -> BTreeMap<String, Vec<String>> {
    let scratch = Scratch::new();
    for name in PULLED {
        image(name).pull(&scratch.store, name).expect("pull");
    }
    write_and_commit(&scratch.store, "", &scratch.store.resolve("p:1").expect("p:1"));
    listings(&scratch.store)
}

/// Lives one life.
pub(crate) fn tell(root: &Path, chapter: &str) {
    if chapter == "prunes" {
        age_partials(root);
    }
    let store = Store::open_with(root, small()).expect("open");
    match chapter {
        "pulls" => pulls(&store),
        "breaks-off" => breaks_off(&store),
        "goes-on" => pull(&store, "u:1"),
        "commits" => commits(&store),
        "dies-before-it-is-committed" => dies_whole(&store),
        "prunes" => prunes(&store),
        other => panic!("{other}"),
    }
}

fn begin(name: &str, served: &Served) -> String {
    let id = super::support::sha256(&served.documents.config);
    mark("begin", "image", name, &id);
    id
}

fn pull(store: &Store, name: &str) {
    let served = image(name);
    let id = begin(name, &served);
    assert_eq!(served.pull(store, name).expect("pull").id.to_string(), id);
    mark("done", "image", name, &id);
}

fn pulls(store: &Store) {
    pull(store, "p:1");
    // A connection that breaks within a layer, and the next try.
    let served = image("q:1");
    begin("q:1", &served);
    let layer = store.intake(served.documents.clone()).expect("intake").layers()[1];
    send_until(store.receive(&layer).expect("receive"), served.blob(&layer), 6000);
    pull(store, "q:1");
    // What is there already, under another name.
    let id = begin("p:2", &image("p:1"));
    image("p:1").pull(store, "p:2").expect("pull");
    mark("done", "image", "p:2", &id);
    two_at_once(store);
    // A blob that is not what was promised leaves nothing.
    let mut served = image("bad:1");
    served.blobs[1][20] ^= 1;
    let layer = store.intake(served.documents.clone()).expect("intake").layers()[1];
    let damaged = send(store.receive(&layer).expect("receive"), &served.blobs[1]);
    assert_eq!(damaged.err().expect("damaged").kind(), types::Kind::Corrupt);
    remove(store, "p:1");
    remove(store, "q:1");
}

/// Two pulls, of which one waits for a layer that comes for the other.
fn two_at_once(store: &Store) {
    let (r, s) = (image("r:1"), image("s:1"));
    let ids = [begin("r:1", &r), begin("s:1", &s)];
    let intakes = [&r, &s].map(|served| store.intake(served.documents.clone()).expect("intake"));
    let of_both = intakes[0].layers()[0];
    let of_both = Arc::new(send(store.receive(&of_both).expect("receive"), r.blob(&of_both)).expect("send"));
    let arrived = std::thread::scope(|scope| {
        let own = [(&r, &intakes[0]), (&s, &intakes[1])].map(|(served, intake)| {
            let layer = intake.layers()[1];
            scope.spawn(move || send(store.receive(&layer).expect("receive"), served.blob(&layer)))
        });
        own.map(|thread| Arc::new(thread.join().expect("thread").expect("send")))
    });
    for ((intake, own), (name, id)) in intakes.iter().zip(arrived).zip(["r:1", "s:1"].iter().zip(ids)) {
        intake.commit(&[Arc::clone(&of_both), own], Some(&reference(name))).expect("commit");
        mark("done", "image", name, &id);
    }
}

/// Dies with a layer half there.
fn breaks_off(store: &Store) {
    let served = image("u:1");
    begin("u:1", &served);
    let layer = store.intake(served.documents.clone()).expect("intake").layers()[1];
    let mut pieces = served.blob(&layer)[..7000].chunks(900);
    let next = &mut || match pieces.next() {
        Some(piece) => Ok::<_, Error>(Some(Bytes::copy_from_slice(piece))),
        None => dies_here(),
    };
    let _ = store.receive(&layer).expect("receive").run(next, &|_| true);
    panic!("it should have died");
}

/// Dies with all layers there, and proven.
fn dies_whole(store: &Store) {
    let served = image("v:1");
    begin("v:1", &served);
    let intake = store.intake(served.documents.clone()).expect("intake");
    let _arrived = served.receive_all(store, &intake).expect("layers");
    dies_here();
}

fn commits(store: &Store) {
    let base = store.resolve("p:2").expect("p:2");
    let made = write_and_commit(store, "c1", &base);
    // Nothing was written; what it stands on loses its names.
    store.prepare("c2", &made, true).expect("prepare");
    mark("begin", "image", "made:2", "?");
    let captured = store.capture("c2", Owners::default()).expect("capture");
    let config = CommitConfig { message: "2".into(), ..CommitConfig::default() };
    let same = store.commit_container(captured, &made, config, Some(&reference("made:2"))).expect("commit");
    mark("done", "image", "made:2", &same.id.to_string());
    remove(store, "p:2");
    remove(store, "made:1");
    remove(store, "made:2");
    store.discard("c1").expect("discard");
    // Now the layers go.
    store.discard("c2").expect("discard");
    pull(store, "p:1");
}

/// A container's writes, and the image of them: named, and said to be, where there is a container's name.
fn write_and_commit(store: &Store, container: &str, base: &Image) -> Arc<Image> {
    let name = (!container.is_empty()).then(|| reference("made:1"));
    let container = if container.is_empty() { "c" } else { container };
    let Rootfs::Overlay { upper, .. } = store.prepare(container, base, true).expect("prepare") else {
        panic!("no overlay")
    };
    write(&upper);
    if name.is_some() {
        mark("begin", "image", "made:1", "?");
    }
    let captured = store.capture(container, Owners::default()).expect("capture");
    let made =
        store.commit_container(captured, base, CommitConfig::default(), name.as_ref()).expect("commit");
    if name.is_some() {
        mark("done", "image", "made:1", &made.id.to_string());
    }
    made
}

/// New, changed, removed and replaced things, all of one date.
fn write(upper: &Path) {
    fs::write(upper.join("new"), [3; 5000]).expect("new");
    fs::create_dir(upper.join("etc")).expect("etc");
    fs::write(upper.join("etc/conf"), "changed").expect("conf");
    fs::create_dir(upper.join("d")).expect("d");
    setxattr(upper.join("d"), "trusted.overlay.opaque", b"y", XattrFlags::empty()).expect("opaque");
    mknodat(CWD, upper.join("shared"), FileType::CharacterDevice, Mode::empty(), 0).expect("whiteout");
    std::os::unix::fs::symlink("new", upper.join("to")).expect("link");
    let then = Timespec { tv_sec: 1_700_000_000, tv_nsec: 0 };
    let times = Timestamps { last_access: then, last_modification: then };
    for path in ["new", "etc/conf", "etc", "d", "to", ""] {
        utimensat(CWD, upper.join(path), &times, AtFlags::SYMLINK_NOFOLLOW).expect("date");
    }
}

/// As if two days had passed.
fn age_partials(root: &Path) {
    for entry in fs::read_dir(root.join("partial")).expect("partial") {
        let file = fs::File::options().write(true).open(entry.expect("entry").path()).expect("partial");
        file.set_modified(SystemTime::now() - Duration::from_secs(48 * 3600)).expect("date");
    }
}

/// What nobody needs goes; what something in progress counts on stays.
fn prunes(store: &Store) {
    let list = store.images();
    let lease = store.lease_target(list.target(&store.resolve("r:1").expect("r:1").target).expect("target"));
    prune(store, &["p:1", "s:1", "u:1"]);
    assert!(store.resolve("r:1").is_ok(), "leased");
    drop(lease);
    pull(store, "v:1");
    prune(store, &["r:1", "v:1"]);
}

/// Removes all images; these will go.
fn prune(store: &Store, go: &[&str]) {
    go.iter().for_each(|name| mark("begin", "image", name, ""));
    let ids: Vec<_> = store.images().iter().map(|image| image.id).collect();
    assert_eq!(store.remove_all(&ids, &|_| None).expect("prune").len(), go.len());
    go.iter().for_each(|name| mark("done", "image", name, ""));
}
