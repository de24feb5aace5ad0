//! Images that come piece by piece: at once, broken off and taken up again, damaged, hostile.

#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use store::{Arrived, Documents, Error, Layer, Options, Step};
use support::served::{Broken, Served, reference, send, send_until};
use support::{Scratch, gzip, is_root, sha256, small, tar, zstd};
use types::Kind;

fn layers() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    vec![
        tar(&[("etc/", b""), ("etc/x", b"x"), ("gone/", b""), ("gone/y", b""), ("noise", &noise)]),
        tar(&[("etc/.wh.x", b""), ("gone/", b""), ("gone/.wh..wh..opq", b""), ("two", b"two")]),
    ]
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

#[test]
fn an_image_comes_in_any_order_and_compression() {
    if !is_root("an_image_comes_in_any_order_and_compression") {
        return;
    }
    for press in [plain as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
        let scratch = Scratch::new();
        let served = Served::new(&layers(), press);
        let intake = scratch.store.intake(served.documents.clone()).expect("intake");
        let wanted: Vec<Layer> = intake.layers().to_vec();
        let arrived: Vec<Arc<Arrived>> = std::thread::scope(|scope| {
            // The topmost first, and all at once.
            let all = wanted.iter().rev().map(|layer| {
                let receiving = scratch.store.receive(layer).expect("receive");
                let blob = served.blob(layer);
                scope.spawn(move || Arc::new(send(receiving, blob).expect("send")))
            });
            all.collect::<Vec<_>>().into_iter().map(|thread| thread.join().expect("thread")).collect()
        });
        assert!(scratch.store.images().is_empty(), "nothing is seen before it is whole");
        let image = intake.commit(&arrived, Some(&reference("box:1"))).expect("commit");
        assert_eq!(image.id.to_string(), sha256(&served.documents.config));
        assert_eq!(image.manifest.to_string(), sha256(&served.documents.manifest));
        assert_eq!(image.repo_digests, [format!("box@{}", image.manifest)]);
        drop((arrived, intake));
        let root = scratch.store.layer_paths(&image);
        assert_eq!(std::fs::read(root[1].join("two")).expect("two"), b"two");
        assert_eq!(std::fs::metadata(root[0].join("noise")).expect("noise").len(), 800_000);
        assert!(std::fs::symlink_metadata(root[1].join("etc/x")).is_ok(), "the whiteout");
        assert_eq!(scratch.unfinished(), [""; 0]);
        // Again: nothing is wanted any more.
        let again = scratch.store.intake(served.documents.clone()).expect("intake");
        assert!(again.layers().iter().all(|layer| again.has(layer)));
        again.commit(&[], Some(&reference("box:2"))).expect("the same under another name");
        assert_eq!(scratch.store.resolve("box:2").expect("box:2").id, image.id);
    }
}

#[test]
fn a_broken_blob_goes_on_where_it_ended() {
    if !is_root("a_broken_blob_goes_on_where_it_ended") {
        return;
    }
    let mut scratch = Scratch::new();
    let served = Served::new(&layers(), gzip);
    let intake = scratch.store.intake(served.documents.clone()).expect("intake");
    let layer = intake.layers()[0];
    let blob = served.blob(&layer);
    drop(intake);
    for end in [0, 1, 70_000, blob.len() - 1, blob.len()] {
        let receiving = scratch.store.receive(&layer).expect("receive");
        assert!(matches!(send_until(receiving, blob, end), Broken::Connection), "{end}");
        // As after the daemon was killed.
        scratch.reopen();
        assert_eq!(scratch.store.receive(&layer).expect("receive").have(), end as u64);
    }
    let image = served.pull(&scratch.store, "box:1").expect("the rest");
    assert_eq!(image.layer_sizes[0], 800_001);
    assert_eq!(scratch.unfinished(), [""; 0]);
}

#[test]
fn what_nobody_wants_any_more_is_not_unpacked() {
    if !is_root("what_nobody_wants_any_more_is_not_unpacked") {
        return;
    }
    let scratch = Scratch::new();
    let served = Served::new(&layers(), gzip);
    let intake = scratch.store.intake(served.documents.clone()).expect("intake");
    let layer = intake.layers()[0];
    let blob = served.blob(&layer);
    let mut pieces = blob.chunks(1000);
    let next = &mut || Ok::<_, Error>(pieces.next().map(Bytes::copy_from_slice));
    // All of it comes; then the pull is broken off.
    let tell =
        |step: Step| !matches!(step, Step::Unpacked(bytes) if bytes == layer.size) && step != Step::Failed;
    let error = scratch.store.receive(&layer).expect("receive").run(next, &tell).err().expect("unwanted");
    assert!(error.to_string().contains("nobody waits"), "{error}");
    assert_eq!(scratch.store.receive(&layer).expect("receive").have(), layer.size, "the blob waits");
    assert_eq!(scratch.unfinished(), [format!("partial/{}", layer.blob.hex())]);
}

#[test]
fn what_is_damaged_is_not_kept() {
    if !is_root("what_is_damaged_is_not_kept") {
        return;
    }
    let scratch = Scratch::new();
    let served = Served::new(&layers(), gzip);
    let intake = scratch.store.intake(served.documents.clone()).expect("intake");
    let layer = intake.layers()[0];
    let blob = served.blob(&layer).to_vec();
    let mut flipped = blob.clone();
    // In the checksum behind the data: who unpacks cannot stumble over it before all has come and its hash is known.
    flipped[blob.len() - 5] ^= 1;
    let longer = [blob.as_slice(), b"x"].concat();
    // A good blob that is not the one of this layer: the digest of what is in it differs.
    let lying = Layer { diff_id: layer.blob, ..layer };
    let cases: [(&str, Layer, &[u8], &str); 5] = [
        ("flipped", layer, &flipped, "filesystem layer verification failed for digest sha256:"),
        ("longer", layer, &longer, "filesystem layer verification failed for digest sha256:"),
        ("shorter", layer, &blob[..9000], "filesystem layer verification failed for digest sha256:"),
        ("empty", layer, b"", "filesystem layer verification failed for digest sha256:"),
        ("another", lying, &blob, "layers from manifest don't match image configuration"),
    ];
    for (name, layer, bytes, says) in cases {
        let error = send(scratch.store.receive(&layer).expect("receive"), bytes).err().expect(name);
        assert!(error.to_string().contains(says) && error.kind() == Kind::Corrupt, "{name}: {error}");
        assert_eq!(scratch.store.receive(&layer).expect(name).have(), 0, "{name}: it was kept");
    }
    // In the middle either side may be the first to find it; nothing of it stays.
    let mut torn = blob.clone();
    torn[blob.len() / 2] ^= 1;
    assert!(send(scratch.store.receive(&layer).expect("receive"), &torn).is_err());
    assert_eq!(scratch.store.receive(&layer).expect("torn").have(), 0, "it was kept");
    // What an earlier try left may have rotted: that is found, and the next try begins anew.
    let end = blob.len() / 2;
    send_until(scratch.store.receive(&layer).expect("receive"), &blob, end);
    let path = scratch.root().join("partial").join(layer.blob.hex());
    std::fs::write(&path, vec![0; end]).expect("rot");
    let error = send(scratch.store.receive(&layer).expect("receive"), &blob).err().expect("rotten");
    assert_eq!(error.kind(), Kind::Corrupt);
    send(scratch.store.receive(&layer).expect("receive"), &blob).expect("anew");
    assert!(intake.commit(&[], None).is_err(), "a layer is missing");
    assert!(scratch.store.images().is_empty());
}

#[test]
fn i11_a_bomb_is_stopped_while_it_comes() {
    if !is_root("i11_a_bomb_is_stopped_while_it_comes") {
        return;
    }
    let scratch = Scratch::with(Options { ratio_floor: 1 << 20, ratio: 10, ..small() });
    let served = Served::new(&[tar(&[("zeros", &vec![0; 64 << 20])])], gzip);
    let intake = scratch.store.intake(served.documents.clone()).expect("intake");
    let layer = intake.layers()[0];
    let taken = Mutex::new(0);
    let tell = |step: Step| {
        if let Step::Unpacked(bytes) = step {
            *taken.lock().expect("lock") = bytes;
        }
        true
    };
    let mut pieces = served.blob(&layer).chunks(1000);
    let next = &mut || Ok::<_, Error>(pieces.next().map(Bytes::copy_from_slice));
    let error = scratch.store.receive(&layer).expect("receive").run(next, &tell).err().expect("a bomb");
    assert!(error.to_string().contains("this looks like a bomb"), "{error}");
    assert!(*taken.lock().expect("lock") > 0);
    assert_eq!(scratch.unfinished(), [""; 0]);
}

#[test]
fn what_arrived_for_two_is_committed_by_both() {
    if !is_root("what_arrived_for_two_is_committed_by_both") {
        return;
    }
    let scratch = Scratch::new();
    let served = Served::new(&layers(), gzip);
    let (one, two) = (
        scratch.store.intake(served.documents.clone()).expect("one"),
        scratch.store.intake(served.documents.clone()).expect("two"),
    );
    let arrived = served.receive_all(&scratch.store, &one).expect("receive");
    let busy = scratch.store.receive(&one.layers()[0]).err().expect("once at a time");
    assert_eq!(busy.kind(), Kind::Conflict);
    one.commit(&arrived, Some(&reference("one:1"))).expect("one");
    // Even when the first is removed before: the second counts on the layers.
    scratch.store.remove("one:1", false, &|_| None).expect("remove");
    let image = two.commit(&arrived, Some(&reference("two:1"))).expect("two");
    drop((arrived, one, two));
    assert!(scratch.store.layer_paths(&image).iter().all(|path| path.is_dir()));
    assert_eq!(scratch.unfinished(), [""; 0]);
    scratch.store.remove("two:1", false, &|_| None).expect("remove");
}

#[test]
fn documents_that_contradict_each_other_are_refused() {
    let scratch = Scratch::new();
    let served = Served::new(&layers(), gzip);
    let refused = |change: &dyn Fn(&mut Documents), says: &str| {
        let mut documents = served.documents.clone();
        change(&mut documents);
        let error = scratch.store.intake(documents).err().expect(says);
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(&|d| d.config.push(b' '), "image config verification failed for digest sha256:");
    refused(&|d| d.manifest.truncate(20), "cannot read the manifest");
    refused(&|d| d.manifest_type = "application/vnd.oci.image.index.v1+json".into(), "says that it is a");
    let text = |d: &Documents| String::from_utf8(d.manifest.clone()).expect("text");
    refused(&|d| d.manifest = text(d).replace("\"size\": ", "\"size\": -").into(), "negative size");
    let one = Served::new(&layers()[..1], gzip);
    let size = served.documents.config.len().to_string();
    let mixed = text(&one.documents)
        .replace(&sha256(&one.documents.config), &sha256(&served.documents.config))
        .replace(&one.documents.config.len().to_string(), &size);
    refused(&|d| d.manifest = mixed.clone().into(), "has 1 layers, but its configuration 2");
}
