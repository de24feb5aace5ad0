//! What a layer says of owners, modes and dates is what its files have, whatever they are born with: also where a directory hands on its
//! group, or decides on modes.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod support;

use std::os::unix::fs::MetadataExt;

use layer::{Entry, EntryKind, Time};
use rustix::fs::XattrFlags;
use support::{Scratch, docker_archive, is_root, tar_of};

const ACL: &str = "system.posix_acl_default";

/// `u::rwx,g::r-x,o::---` (acl(5); the kernel's form: version, then tag, permissions and id of each entry).
fn acl() -> Vec<u8> {
    let entries = [(1u16, 7u16), (4, 5), (0x20, 0)];
    let entry = |(tag, bits): (u16, u16)| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &[0xff; 4]].concat();
    [2u32.to_le_bytes().to_vec(), entries.into_iter().flat_map(entry).collect()].concat()
}

const MODES: [u32; 10] = [0o644, 0o755, 0o600, 0o666, 0o777, 0o4755, 0o2755, 0o1777, 0o2644, 0];
const OWNERS: [(u32, u32); 4] = [(0, 0), (0, 50), (1000, 0), (1000, 1000)];

fn entry(path: String, kind: EntryKind, mode: u32, (uid, gid): (u32, u32)) -> Entry {
    let mtime = Time { seconds: 1_000_000_000 + i64::from(mode), nanos: 5 };
    Entry { uid, gid, mtime, link: b"target".to_vec(), ..Entry::new(&path, kind, mode) }
}

/// A directory of each kind, and in it files, directories and links of each mode and owner.
fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (number, mode) in [0o755, 0o2775, 0o700, 0o2755].into_iter().enumerate() {
        for owner in OWNERS {
            let top = format!("{number}-{}-{}", owner.0, owner.1);
            entries.push(entry(top.clone(), EntryKind::Directory, mode, owner));
            for (mode, owner) in MODES.iter().flat_map(|mode| OWNERS.map(|owner| (*mode, owner))) {
                let name = |kind: &str| format!("{top}/{kind}-{mode:o}-{}-{}", owner.0, owner.1);
                entries.push(entry(name("file"), EntryKind::File, mode, owner));
                entries.push(entry(name("directory"), EntryKind::Directory, mode, owner));
                entries.push(entry(format!("{}/below", name("directory")), EntryKind::File, mode, owner));
                entries.push(entry(name("link"), EntryKind::Symlink, 0o777, owner));
            }
        }
    }
    entries
}

fn check(scratch: &Scratch, entries: &[Entry]) {
    let with_data: Vec<(Entry, &[u8])> = entries.iter().map(|entry| (entry.clone(), &b""[..])).collect();
    scratch.load(&docker_archive(&["a:1"], &[tar_of(&with_data)])).expect("load");
    let image = scratch.store.resolve("a:1").expect("image");
    let root = scratch.store.layer_paths(&image).remove(0);
    for entry in entries {
        let path = root.join(entry.path.to_string());
        let found = std::fs::symlink_metadata(&path).expect("there");
        let is = (found.mode() & 0o7777, found.uid(), found.gid(), found.mtime(), found.mtime_nsec());
        let Time { seconds, nanos } = entry.mtime;
        assert_eq!(is, (entry.mode, entry.uid, entry.gid, seconds, i64::from(nanos)), "{}", path.display());
    }
}

#[test]
fn owners_modes_and_dates_are_the_layers() {
    if is_root("owners_modes_and_dates_are_the_layers") {
        check(&Scratch::new(), &entries());
    }
}

#[test]
fn modes_hold_where_an_access_list_decides() {
    if !is_root("modes_hold_where_an_access_list_decides") {
        return;
    }
    let scratch = Scratch::new();
    // The control: without a change of mode, it would be another one.
    let probe = scratch.dir.path().join("probe");
    std::fs::create_dir(&probe).expect("probe");
    if rustix::fs::setxattr(&probe, ACL, &acl(), XattrFlags::empty()).is_err() {
        println!("skipped: modes_hold_where_an_access_list_decides needs a file system with access lists");
        return;
    }
    std::fs::write(probe.join("file"), "").expect("file");
    assert_eq!(std::fs::metadata(probe.join("file")).expect("file").mode() & 0o777, 0o640);
    let mut entries = entries();
    entries[0].xattrs.push((ACL.into(), acl()));
    check(&scratch, &entries);
    // The same, from the data root on.
    let scratch = Scratch::new();
    rustix::fs::setxattr(scratch.root().join("ingest"), ACL, &acl(), XattrFlags::empty())
        .expect("access list");
    check(&scratch, &self::entries());
}

/// A later name of a file says what the file is like from then on, as Docker has it; GNU tar does not listen.
#[test]
fn the_last_of_several_names_decides() {
    if !is_root("the_last_of_several_names_decides") {
        return;
    }
    let scratch = Scratch::new();
    let first = entry("a".into(), EntryKind::File, 0o644, (1, 1));
    let named = |path: &str, target: &str, mode, owner| {
        let link = target.as_bytes().to_vec();
        Entry { link, ..entry(path.into(), EntryKind::Hardlink, mode, owner) }
    };
    let entries = [
        first.clone(),
        entry("to".into(), EntryKind::Symlink, 0o777, (1, 1)),
        named("b", "a", 0o4755, (5, 6)),
        named("c", "a", 0o4755, (5, 6)),
        named("to2", "to", 0o600, (5, 6)),
    ];
    let with_data: Vec<(Entry, &[u8])> = entries.into_iter().map(|entry| (entry, &b""[..])).collect();
    scratch.load(&docker_archive(&["a:1"], &[tar_of(&with_data)])).expect("load");
    let image = scratch.store.resolve("a:1").expect("image");
    let root = scratch.store.layer_paths(&image).remove(0);
    for name in ["a", "b", "c"] {
        let found = std::fs::symlink_metadata(root.join(name)).expect("there");
        let is = (found.mode() & 0o7777, found.uid(), found.gid(), found.mtime(), found.nlink());
        assert_eq!(is, (0o4755, 5, 6, 1_000_000_000 + 0o4755, 3), "{name}");
    }
    let link = std::fs::symlink_metadata(root.join("to")).expect("there");
    assert_eq!((link.is_symlink(), link.uid(), link.gid(), link.nlink()), (true, 5, 6, 2));
    assert_eq!(std::fs::read_link(root.join("to2")).expect("link"), std::path::Path::new("target"));
}
