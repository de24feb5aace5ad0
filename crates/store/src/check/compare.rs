//! A layer's tree beside the one that its blob unpacks to: names, kinds, modes, owners, dates, links, attributes, content.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, lgetxattr, llistxattr, openat, readlinkat};
use rustix::io::Errno;

use crate::tree::handle::{Tree, file_type, os, proc_path, stat_name};

const CHUNK: usize = 256 << 10;

/// What differs, one clause each. Dates of `want` from `since` on are those of its unpacking and say nothing.
pub(super) fn differences(want: &Path, found: &Path, since: i64) -> rustix::io::Result<Vec<String>> {
    let open = |path: &Path| openat(Tree::open(path)?.root(), ".", directory_flags(), Mode::empty());
    let (want, found) = (open(want)?, open(found)?);
    let mut comparison = Comparison { since, clauses: Vec::new(), links: Default::default() };
    comparison.stats(".", &fstat(&want)?, &fstat(&found)?);
    comparison.directories(&want, &found, "")?;
    Ok(comparison.clauses)
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

struct Comparison {
    since: i64,
    clauses: Vec<String>,
    /// On either side, the first path of each file that has several.
    links: [BTreeMap<(u64, u64), String>; 2],
}

impl Comparison {
    fn directories(&mut self, want: &OwnedFd, found: &OwnedFd, path: &str) -> rustix::io::Result<()> {
        let (wanted, present) = (names(want)?, names(found)?);
        for name in wanted.union(&present) {
            let below = format!("{path}{}", String::from_utf8_lossy(name));
            match (stat_name(want, name)?, stat_name(found, name)?) {
                (Some(want_stat), Some(stat)) if file_type(&want_stat) == file_type(&stat) => {
                    self.entry((want, &want_stat), (found, &stat), name, &below)?;
                }
                (Some(_), Some(_)) => self.clauses.push(format!("{below:?} is of another kind")),
                (Some(_), None) => self.clauses.push(format!("{below:?} is missing")),
                (None, Some(_)) => self.clauses.push(format!("{below:?} does not belong there")),
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        (want, want_stat): (&OwnedFd, &Stat),
        (found, stat): (&OwnedFd, &Stat),
        name: &[u8],
        path: &str,
    ) -> rustix::io::Result<()> {
        self.stats(path, want_stat, stat);
        self.check(path, "attributes", attributes(want, name)? == attributes(found, name)?);
        match file_type(stat) {
            FileType::Directory => {
                let open = |dir: &OwnedFd| openat(dir, os(name), directory_flags(), Mode::empty());
                self.directories(&open(want)?, &open(found)?, &format!("{path}/"))?;
            }
            FileType::Symlink => {
                let target = |dir: &OwnedFd| readlinkat(dir, os(name), Vec::new());
                self.check(path, "a target", target(want)? == target(found)?);
            }
            FileType::RegularFile if want_stat.st_size == stat.st_size => {
                let same = same_content(want, found, name)
                    .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
                self.check(path, "content", same);
            }
            FileType::RegularFile => self.check(path, "a length", false),
            _ => self.check(path, "a device", want_stat.st_rdev == stat.st_rdev),
        }
        Ok(())
    }

    fn stats(&mut self, path: &str, want: &Stat, found: &Stat) {
        self.check(path, "a mode", want.st_mode & 0o7777 == found.st_mode & 0o7777);
        self.check(path, "an owner", (want.st_uid, want.st_gid) == (found.st_uid, found.st_gid));
        let dated = want.st_mtime < self.since;
        self.check(path, "a date", !dated || want.st_mtime == found.st_mtime);
        if file_type(want) != FileType::Directory && (want.st_nlink > 1 || found.st_nlink > 1) {
            let first = |links: &mut BTreeMap<_, String>, stat: &Stat| {
                links.entry((stat.st_dev, stat.st_ino)).or_insert_with(|| path.to_owned()).clone()
            };
            let [wanted, present] = &mut self.links;
            let same = first(wanted, want) == first(present, found);
            self.check(path, "hard links", same);
        }
    }

    fn check(&mut self, path: &str, what: &str, same: bool) {
        if !same {
            let other = what.strip_prefix("a ").or_else(|| what.strip_prefix("an "));
            self.clauses.push(match other {
                Some(what) => format!("{path:?} has another {what}"),
                None => format!("{path:?} has other {what}"),
            });
        }
    }
}

fn names(dir: &OwnedFd) -> rustix::io::Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if !matches!(&name[..], b"." | b"..") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn attributes(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let path = [proc_path(dir).as_bytes(), b"/", name].concat();
    let path = OsString::from_vec(path);
    let mut list = vec![0; 64 << 10];
    let length = match llistxattr(&path, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let mut found = BTreeMap::new();
    let mut value = vec![0; 64 << 10];
    for key in list[..length].split(|byte| *byte == 0).filter(|key| !key.is_empty()) {
        let count = lgetxattr(&path, os(key), &mut value[..])?;
        found.insert(key.to_vec(), value[..count].to_vec());
    }
    Ok(found)
}

fn same_content(want: &OwnedFd, found: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |dir| openat(dir, os(name), flags, Mode::empty()).map(File::from);
    let (mut want, mut found) = (open(want)?, open(found)?);
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let count = want.read(&mut left)?;
        if count == 0 {
            return Ok(found.read(&mut right)? == 0);
        }
        match found.read_exact(&mut right[..count]) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            done => done?,
        }
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}
