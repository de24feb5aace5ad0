//! Names of images, their documents, their layers, and archives in every compression.

use std::io::{Read, Write};
use std::sync::Mutex;

use layer::{Entry, EntryKind, Limits, Reader, Writer};
use oci::image::{ImageConfig, Index, Manifest};
use serde::Serialize;
use types::{Digest, Reference};

use crate::targets::{is_new, is_new_error};

const HEX: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

pub(crate) fn references() -> Vec<Vec<u8>> {
    let digest = format!("registry.example:5000/a/b-c__d.e:tag@sha256:{HEX}");
    [digest.as_str(), "busybox", "[::1]:5000/x:1.0", "localhost/a", &format!("sha256:{HEX}")]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

/// What is printed reads the same, and no part of it could be anything but a name in a path or an address.
pub(crate) fn reference(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text, "a digest is written in one way only");
    }
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => return is_new_error(&types::ReferenceError::to_string(&error)),
    };
    assert_eq!(reference.to_string().parse().as_ref(), Ok(&reference), "what is printed reads the same");
    assert_eq!(reference.familiar().parse().as_ref(), Ok(&reference), "the short form reads the same");
    let path = reference.path();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/".contains(&b);
    assert!(path.bytes().all(plain) && path.split('/').all(|part| !part.starts_with('.')), "{path:?}");
    assert!(!path.split('/').any(str::is_empty) && path.len() <= 255, "{path:?}");
    let tag = reference.tag().unwrap_or("latest");
    assert!(!tag.starts_with(['.', '-']) && !tag.contains('/') && tag.len() <= 128, "{tag:?}");
    is_new(&format!("{} {} {:?}", reference.domain().len(), path.matches('/').count(), reference.digest()))
}

pub(crate) fn documents() -> Vec<Vec<u8>> {
    let blob = |kind: &str| {
        format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"sha256:{HEX}","size":2}}"#)
    };
    let manifest = blob("manifest.v1+json");
    vec![
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}],"annotations":{{"a":"b"}}}}"#,
            blob("config.v1+json"),
            blob("layer.v1.tar+gzip")
        )
        .into_bytes(),
        format!(r#"{{"schemaVersion":2,"manifests":[{manifest}],"subject":{manifest}}}"#).into_bytes(),
        format!(
            r#"{{"architecture":"arm64","os":"linux","variant":"v8","config":{{"Env":["A=b"],"ExposedPorts":{{"80/tcp":{{}}}},"Healthcheck":{{"Test":["NONE"],"Interval":1}}}},"rootfs":{{"type":"layers","diff_ids":["sha256:{HEX}"]}},"history":[{{"empty_layer":true}}]}}"#
        )
        .into_bytes(),
    ]
}

/// Each kind of document is read, or refused with a sentence; what was read is written so that it reads the same.
pub(crate) fn document(input: &[u8]) -> bool {
    fn whole<T: oci::Document + Serialize + PartialEq + std::fmt::Debug>(input: &[u8]) -> bool {
        let document: T = match oci::read(input) {
            Ok(document) => document,
            Err(error) => return is_new_error(&error.to_string()),
        };
        let written = serde_json::to_vec(&document).expect("what was read can be written");
        assert_eq!(oci::read::<T>(&written).as_ref(), Ok(&document), "what is written reads the same");
        is_new(&String::from_utf8_lossy(&written))
    }
    whole::<Manifest>(input) | whole::<Index>(input) | whole::<ImageConfig>(input)
}

pub(crate) fn archives() -> Vec<Vec<u8>> {
    let mut dressed = Entry::file("etc/dressed", 5);
    dressed.xattrs.push((b"user.note".to_vec(), b"value".to_vec()));
    let hard = Entry { link: b"etc/dressed".to_vec(), ..Entry::new("etc/hard", EntryKind::Hardlink, 0) };
    let entries = [
        Entry::directory("etc"),
        dressed,
        Entry::file(&("long/".repeat(30) + "name"), 3),
        Entry::symlink("soft", "/somewhere"),
        hard,
        Entry::file("etc/.wh.gone", 0),
    ];
    let mut writer = Writer::new(Vec::new());
    for entry in &entries {
        writer.append(entry, &mut std::io::repeat(b'x')).expect("memory takes all");
    }
    vec![writer.finish().expect("memory takes all")]
}

/// Makes the checksums of what looks like a header right again: else no mutant would get past them.
fn mend(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Entries are within the limits, their data is as long as they say, and what our writer makes of them reads the same.
pub(crate) fn archive(input: &[u8]) -> bool {
    let mut bytes = input.to_vec();
    mend(&mut bytes);
    let limits = Limits::default();
    let mut reader = Reader::new(&bytes[..], limits.clone());
    let mut new = false;
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return new,
            Err(error) => return new | is_new_error(&error.to_string()),
        };
        let path = entry.path.as_bytes();
        assert!(path.len() <= limits.path_bytes && entry.size <= limits.file_bytes, "{entry:?}");
        assert!(!path.starts_with(b"/") && path.split(|b| *b == b'/').all(|name| name != b".."), "{entry:?}");
        new |= is_new(&format!("{:?} {} {}", entry.kind, entry.segments.len().min(4), entry.xattrs.len()));
        let (mut data, mut chunk) = (0, [0; 4096]);
        loop {
            match reader.read_data(&mut chunk) {
                Ok(0) => break,
                Ok(count) => data += count as u64,
                Err(error) => return new | is_new_error(&error.to_string()),
            }
        }
        assert_eq!(data, entry.stored_bytes(), "{entry:?}");
        if entry.stored_bytes() == entry.size {
            assert_eq!(again(&entry).as_ref(), Some(&entry), "what is written reads the same");
        }
    }
}

/// The entry after a way through our own writer.
fn again(entry: &Entry) -> Option<Entry> {
    let mut writer = Writer::new(Vec::new());
    writer.append(entry, &mut std::io::repeat(0)).ok()?;
    Reader::new(&writer.finish().ok()?[..], Limits::default()).next_entry().ok()?
}

/// A small archive that is no image, in the compressions that are known.
pub(crate) fn pressed() -> Vec<Vec<u8>> {
    let plain = archives().swap_remove(0);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).expect("memory takes all");
    let gzip = gzip.finish().expect("memory takes all");
    let frame = zstd::encode_all(&plain[..], 1).expect("memory takes all");
    vec![[gzip.clone(), gzip.clone()].concat(), [frame.clone(), frame.clone()].concat(), gzip, frame]
}

/// Unpacking needs root.
pub(crate) fn lacks() -> Option<String> {
    let mut status = String::new();
    let read = std::fs::File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut status));
    let root = read.is_ok() && status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    (!root).then(|| "needs root".to_owned())
}

/// An empty store and its directory.
static STORE: Mutex<Option<(store::Store, tempfile::TempDir)>> = Mutex::new(None);

fn open() -> (store::Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let options =
        store::Options { archive_bytes: 16 << 20, ratio_floor: 1 << 20, ..store::Options::default() };
    (store::Store::open_with(&dir.path().join("data"), options).expect("an empty store opens"), dir)
}

/// Whatever the stream is, it is no image: one sentence, and nothing stays in the store.
pub(crate) fn load(input: &[u8]) -> bool {
    let mut opened = STORE.lock().expect("nobody panics with the store in hand");
    let (store, dir) = opened.get_or_insert_with(open);
    let error = store.load(&mut &input[..], &mut |_| ()).map(drop).expect_err("there is no image in it");
    store.settle();
    let left = std::fs::read_dir(dir.path().join("data/ingest")).expect("directory").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).filter(|name| name != "none").collect();
    assert!(left.is_empty(), "{left:?} is left after: {error}");
    is_new_error(&error.to_string())
}

/// Removes what [`load`] needed.
pub(crate) fn finish() {
    if let Ok(mut opened) = STORE.lock() {
        drop(opened.take());
    }
}
