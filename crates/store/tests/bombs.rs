//! Small archives that ask for much: memory, disk, files. Each is refused with little memory, and the disk is as before. What a bomb
//! would have cost is shown by a reader without caps.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::io::{Read, Write};

use layer::{Entry, EntryKind, Limits, Reader, Writer};
use serde_json::json;
use store::Options;
use support::memory::{peak_growth, usage};
use support::{Scratch, config, docker_archive, gzip, has_tool, is_root, run, small, tar, tar_of};
use types::Kind;

/// What an attack may take of the process's memory, in bytes.
const MOST: u64 = 64 << 20;

/// 10 GiB, the length of what is never written.
const HUGE: u64 = 10 << 30;

/// The header of an entry whose data never comes from here.
fn head(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = Writer::new(&mut bytes).append(entry, &mut std::io::empty());
    bytes.truncate(bytes.len() / 512 * 512);
    bytes
}

/// An archive of an image whose one layer is that blob.
fn around(blob: &[u8]) -> Vec<u8> {
    let manifest = json!([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"]}]).to_string();
    tar(&[("c.json", &config(&[Vec::new()])), ("manifest.json", manifest.as_bytes()), ("l.tar", blob)])
}

/// A zstd frame of `start` and zeros, in blocks that say of 128 KiB that they are all the same.
fn frame(window: u8, start: &[u8], zeros: u64) -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
    let raw = u32::try_from(start.len()).expect("short") << 3;
    frame.extend_from_slice(&raw.to_le_bytes()[..3]);
    frame.extend_from_slice(start);
    for left in (0..zeros / u64::from(BLOCK)).rev() {
        let same = BLOCK << 3 | 1 << 1 | u32::from(left == 0);
        frame.extend_from_slice(&same.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Windows of 128 KiB and 2 GiB, as frames write them.
const SMALL_WINDOW: u8 = 7 << 3;
const HUGE_WINDOW: u8 = 21 << 3;

/// Reads at least that many bytes without any cap.
fn inflates_to(mut input: impl Read, bytes: u64) -> bool {
    std::io::copy(&mut input.by_ref().take(bytes), &mut std::io::sink()).is_ok_and(|read| read == bytes)
}

/// Loads in a process of its own; expects that error, the disk as it was, and little memory.
fn refuse(test: &str, options: Options, want: (Kind, &str), archive: impl FnOnce() -> Box<dyn Read>) {
    let grown = peak_growth(test, || {
        let scratch = Scratch::with(options);
        scratch.load(&docker_archive(&["good:1"], &[tar(&[("a", b"1")])])).expect("load");
        scratch.store.settle();
        let (before, litter) = (usage(&scratch.root()), scratch.litter());
        let error = scratch.store.load(&mut archive(), &mut |_| ()).expect_err("a bomb");
        assert_eq!(error.kind(), want.0, "{error}");
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        let said = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        assert!(said.contains(want.1), "wanted {:?}, got {said}", want.1);
        assert_eq!(scratch.litter(), litter);
        let after = usage(&scratch.root());
        assert!(after.1 == before.1 && after.0 <= before.0 + (64 << 10), "{before:?} {after:?}");
        assert!(scratch.store.resolve("good:1").is_ok());
    });
    assert!(grown.is_none_or(|grown| grown <= MOST), "{grown:?} bytes");
}

fn from(bytes: Vec<u8>) -> Box<dyn Read> {
    Box::new(std::io::Cursor::new(bytes))
}

#[test]
fn the_measurement_sees_memory() {
    let grown = peak_growth("the_measurement_sees_memory", || {
        drop(std::hint::black_box(vec![1_u8; 100 << 20]));
    });
    assert!(grown.is_none_or(|grown| grown >= 100 << 20), "{grown:?}");
}

#[test]
fn i05_an_endless_index_takes_no_memory() {
    let name = "i05_an_endless_index_takes_no_memory";
    if !is_root(name) {
        return;
    }
    let endless =
        || -> Box<dyn Read> { Box::new(head(&Entry::file("index.json", 100 << 30)).chain_all(b' ')) };
    assert!(inflates_to(endless(), 64 << 20), "the attack is none");
    refuse(name, Options::default(), (Kind::InvalidInput, "longer than the 4194304 bytes"), endless);
}

/// A start, and then one byte for ever.
trait ChainAll {
    fn chain_all(self, byte: u8) -> std::io::Chain<std::io::Cursor<Vec<u8>>, std::io::Repeat>;
}

impl ChainAll for Vec<u8> {
    fn chain_all(self, byte: u8) -> std::io::Chain<std::io::Cursor<Vec<u8>>, std::io::Repeat> {
        std::io::Cursor::new(self).chain(std::io::repeat(byte))
    }
}

#[test]
fn i11_a_zstd_bomb_is_stopped() {
    let name = "i11_a_zstd_bomb_is_stopped";
    if !is_root(name) {
        return;
    }
    let bomb = frame(SMALL_WINDOW, &head(&Entry::file("zeros", HUGE)), HUGE);
    assert!(bomb.len() < 400 << 10);
    let decoder = zstd::stream::read::Decoder::new(&bomb[..]).expect("decoder");
    assert!(inflates_to(decoder, 512 << 20), "the attack is none");
    refuse(name, small(), (Kind::Exhausted, "looks like a bomb"), || from(around(&bomb)));
}

#[test]
fn i11_a_gzip_bomb_in_gzip_is_stopped() {
    let name = "i11_a_gzip_bomb_in_gzip_is_stopped";
    if !is_root(name) {
        return;
    }
    // Pressed as hard as gzip can: a thousandfold.
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    member.write_all(&vec![0; 1 << 20]).expect("gzip");
    let member = member.finish().expect("gzip");
    let mut layer = gzip(&head(&Entry::file("zeros", 1 << 30)));
    for _ in 0..1 << 10 {
        layer.extend_from_slice(&member);
    }
    let decoder = flate2::read::MultiGzDecoder::new(&layer[..]);
    assert!(inflates_to(decoder, 5 << 20), "the attack is none");
    let bomb = gzip(&around(&layer));
    assert!(bomb.len() < 256 << 10, "{}", bomb.len());
    let options = Options { ratio_floor: 4 << 20, ..small() };
    refuse(name, options, (Kind::Exhausted, "looks like a bomb"), || from(bomb));
}

#[test]
fn i11_a_window_of_2_gib_is_not_made() {
    let name = "i11_a_window_of_2_gib_is_not_made";
    if !is_root(name) {
        return;
    }
    let content = || frame(HUGE_WINDOW, &head(&Entry::file("zeros", 8 << 20)), 16 << 20);
    let bytes = content();
    let mut decoder = zstd::stream::read::Decoder::new(&bytes[..]).expect("decoder");
    decoder.window_log_max(31).expect("window");
    assert!(inflates_to(decoder, 16 << 20), "the attack is none");
    refuse(name, small(), (Kind::InvalidInput, "zstd"), || from(around(&content())));
}

/// Many entries in one archive: counted, not remembered.
#[test]
fn i12_a_million_hard_links_are_counted_only() {
    let name = "i12_a_million_hard_links_are_counted_only";
    let grown = peak_growth(name, || {
        let link = Entry { link: b"f".to_vec(), ..Entry::new("x", EntryKind::Hardlink, 0) };
        let block = head(&link);
        let blocks = std::iter::repeat_n(block.as_slice(), 1 << 11).collect::<Vec<_>>().concat();
        let limits = Limits { entries: 1_000_000, ..Limits::default() };
        // More than the cap, and not without end.
        let input = Again { block: blocks, at: 0 }.take(1_100_000 * 512);
        let mut reader = Reader::new(input, limits);
        let mut count = 0;
        let error = loop {
            match reader.next_entry() {
                Ok(Some(_)) => count += 1,
                Ok(None) => panic!("an end"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(count, 1_000_000);
        assert!(error.contains("more than 1000000 entries"), "{error}");
    });
    assert!(grown.is_none_or(|grown| grown <= MOST), "{grown:?} bytes");
}

/// The same bytes over and over.
struct Again {
    block: Vec<u8>,
    at: usize,
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (&self.block[self.at..]).read(buffer)?;
        self.at = (self.at + count) % self.block.len();
        Ok(count)
    }
}

#[test]
fn i12_links_over_the_cap_leave_nothing() {
    let name = "i12_links_over_the_cap_leave_nothing";
    if !is_root(name) {
        return;
    }
    let links = |count: usize| {
        let mut writer = Writer::new(zstd::Encoder::new(Vec::new(), 1).expect("zstd"));
        writer.append(&Entry::file("f", 0), &mut std::io::empty()).expect("write");
        for n in 0..count {
            let link = Entry { link: b"f".to_vec(), ..Entry::new(&format!("l{n}"), EntryKind::Hardlink, 0) };
            writer.append(&link, &mut std::io::empty()).expect("write");
        }
        writer.finish().expect("finish").finish().expect("finish")
    };
    let options = Options { tar: Limits { entries: 20_000, ..Limits::default() }, ..small() };
    let want = (Kind::Exhausted, "more than 20000 entries");
    refuse(name, options, want, || from(around(&links(30_000))));
}

#[test]
fn i12_long_chains_of_links_are_not_followed() {
    let name = "i12_long_chains_of_links_are_not_followed";
    if !is_root(name) {
        return;
    }
    let chain = |length: usize| {
        let mut entries = vec![(Entry::directory("l0"), &b""[..])];
        for n in 1..=length {
            entries.push((Entry::symlink(&format!("l{n}"), &format!("l{}", n - 1)), b""));
        }
        entries.push((Entry::file(&format!("l{length}/file"), 1), b"x"));
        docker_archive(&["a:1"], &[tar_of(&entries)])
    };
    let scratch = Scratch::new();
    scratch.load(&chain(20)).expect("twenty links are fine");
    refuse(name, small(), (Kind::InvalidInput, "file"), || from(chain(2000)));
}

#[test]
fn i12_attributes_are_counted() {
    let name = "i12_attributes_are_counted";
    if !is_root(name) {
        return;
    }
    let dressed = |count: usize| {
        let mut entry = Entry::file("f", 0);
        entry.xattrs = (0..count).map(|n| (format!("user.{n}").into_bytes(), b"v".to_vec())).collect();
        docker_archive(&["a:1"], &[tar_of(&[(entry, b"")])])
    };
    Scratch::new().load(&dressed(20)).expect("twenty attributes are fine");
    refuse(name, small(), (Kind::Exhausted, "too many extended attributes"), || from(dressed(5000)));
}

#[test]
fn i10_deep_and_long_paths_are_refused() {
    let name = "i10_deep_and_long_paths_are_refused";
    if !is_root(name) {
        return;
    }
    let deep = |depth: usize| docker_archive(&["a:1"], &[tar(&[(&vec!["d"; depth].join("/"), b"1")])]);
    let scratch = Scratch::new();
    scratch.load(&deep(256)).expect("as deep as allowed");
    scratch.store.remove("a:1", true, &|_| None).expect("remove");
    refuse(name, small(), (Kind::InvalidInput, "the name has too many components"), || from(deep(257)));
}

/// PAX headers of almost 1 MiB, one after another, and one just past that.
#[test]
fn i10_pax_headers_do_not_add_up() {
    let name = "i10_pax_headers_do_not_add_up";
    let grown = peak_growth(name, || {
        let dressed = |count: usize| {
            let mut entry = Entry::file("f", 0);
            entry.xattrs =
                (0..count).map(|n| (format!("user.{n}").into_bytes(), vec![b'x'; 64 << 10])).collect();
            head(&entry)
        };
        let mut reader = Reader::new(Again { block: dressed(15), at: 0 }, Limits::default());
        for _ in 0..200 {
            assert_eq!(reader.next_entry().expect("read").expect("an entry").xattrs.len(), 15);
        }
        let error = Reader::new(&dressed(16)[..], Limits::default()).next_entry().expect_err("over");
        assert!(error.to_string().contains("is over the limit"), "{error}");
    });
    assert!(grown.is_none_or(|grown| grown <= MOST), "{grown:?} bytes");
}

/// 1 TiB of hole is an honest file and costs no disk; more is refused.
#[test]
fn i10_sparse_files_take_what_they_hold() {
    let name = "i10_sparse_files_take_what_they_hold";
    if !is_root(name) || !has_tool(name, "tar") {
        return;
    }
    let hole = |size: &str| {
        let dir = tempfile::tempdir().expect("directory");
        let make =
            format!("truncate -s {size} hole && printf x >> hole && tar -S --format=posix -cf l.tar hole");
        run(&format!("cd {} && {make}", dir.path().display()));
        docker_archive(&["a:1"], &[std::fs::read(dir.path().join("l.tar")).expect("archive")])
    };
    let scratch = Scratch::new();
    scratch.load(&hole("1023G")).expect("almost 1 TiB");
    assert!(usage(&scratch.root()).0 < 64 << 20);
    refuse(name, small(), (Kind::Exhausted, "is over the limit"), || from(hole("1T")));
}
