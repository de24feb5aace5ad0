//! Compiled system call filters, kept between commands below the state directory: most containers of a host have the same one, and
//! reading and compiling it is the larger part of what a `create` thinks about.
//!
//! An entry holds the whole text that it was compiled from, and counts for no other text and for no other build of this program. It is
//! believed for the same reason as a record: it lies in a directory that is this user's alone, and so is the file. Whatever else is in
//! its place is not used, and replaced. Without a place to write there is nothing kept, and everything else goes on.

use std::io::{Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci::runtime::{Spec, filter_text};
use protocol::FrameReader;
use protocol::plan::Seccomp;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdir, openat, renameat, unlinkat};
use rustix::io::Errno;

/// The directory below the state directory. No container can have this id.
const DIRECTORY: &str = "@filters";
/// Entries at most. With more, all begin anew.
const MOST: usize = 16;
/// Longest text of which a filter is kept, and longest filter, in bytes.
const LONGEST: usize = 128 << 10;

/// Where filters are kept, for whom.
pub(super) struct Filters {
    place: PathBuf,
    owner: u32,
    /// What compiles them: the linker's name of this build. Without one nothing is kept.
    program: &'static [u8],
}

/// What a document says of its filter.
pub(super) enum Filter {
    /// The document has none, or it is to be compiled from the document and not to be kept.
    Plain,
    /// It is to be compiled from the document, in which its text lies there, and may be kept.
    New(Range<usize>),
    /// It was kept, and was taken out of the document.
    Kept(Seccomp),
}

impl Filters {
    /// Below a state directory.
    pub(super) fn of(root: &Path) -> Self {
        Self {
            place: root.join(DIRECTORY),
            owner: rustix::process::geteuid().as_raw(),
            program: sys::program_file::build_id().unwrap_or_default(),
        }
    }

    /// Reads a runtime document without its filter when that is kept. `None`: it has to be read as it is.
    pub(super) fn read(&self, document: &[u8]) -> (Option<Spec>, Filter) {
        let Some(text) = filter_text(document).filter(|text| text.len() <= LONGEST) else {
            return (None, Filter::Plain);
        };
        let Some(filter) = self.find(&document[text.clone()]) else { return (None, Filter::New(text)) };
        let rest = [&document[..text.start], b"null", &document[text.end..]].concat();
        match oci::read::<Spec>(&rest) {
            Ok(spec) if spec.linux.as_ref().is_some_and(|linux| linux.seccomp.is_none()) => {
                (Some(spec), Filter::Kept(filter))
            }
            // What is wrong with it is to be told of the document as it is.
            _ => (None, Filter::Plain),
        }
    }

    fn find(&self, text: &[u8]) -> Option<Seccomp> {
        let directory = self.directory()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(directory, self.name(text), flags, Mode::empty()).ok()?;
        let found = fstat(&file).ok()?;
        let longest = 2 * LONGEST as i64;
        // One without a name was replaced a moment ago.
        if !self.is_ours(&found, FileType::RegularFile) || found.st_nlink > 1 || found.st_size > longest {
            return None;
        }
        let mut bytes = Vec::with_capacity(found.st_size as usize + 1);
        std::fs::File::from(file).take(longest as u64).read_to_end(&mut bytes).ok()?;
        understand(&bytes, self.program, text)
    }

    /// Keeps a filter, if that can be done.
    pub(super) fn keep(&self, text: &[u8], filter: &Seccomp) {
        let bytes = entry(self.program, text, filter);
        if self.program.is_empty() || bytes.len() > 2 * LONGEST {
            return;
        }
        let _ = mkdir(&self.place, Mode::RWXU);
        if let Some(directory) = self.directory() {
            let _ = self.write(&directory, &self.name(text), &bytes);
        }
    }

    /// Readers see the entry that was there before, or the whole new one.
    fn write(&self, directory: &OwnedFd, name: &str, bytes: &[u8]) -> Result<(), Errno> {
        make_room(directory)?;
        let temporary = format!("new.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        // One that is there is of somebody with the same number, who was killed or is in another namespace: others will be able to.
        let opened = openat(directory, &*temporary, flags, mode)?;
        let written = std::fs::File::from(opened).write_all(bytes);
        let done = match written {
            Ok(()) => renameat(directory, &*temporary, directory, name),
            Err(_) => Err(Errno::IO),
        };
        done.inspect_err(|_| {
            let _ = unlinkat(directory, &*temporary, AtFlags::empty());
        })
    }

    /// A handle of the directory, if it is one in which nobody else can have put anything.
    fn directory(&self) -> Option<OwnedFd> {
        if self.program.is_empty() {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.place, flags, Mode::empty()).ok()?;
        let found = fstat(&directory).ok()?;
        self.is_ours(&found, FileType::Directory).then_some(directory)
    }

    /// Nobody else may read or write it, and nobody else has made it.
    fn is_ours(&self, found: &rustix::fs::Stat, kind: FileType) -> bool {
        const OTHERS: u32 = 0o077;
        FileType::from_raw_mode(found.st_mode) == kind
            && found.st_uid == self.owner
            && found.st_mode & OTHERS == 0
    }

    fn name(&self, text: &[u8]) -> String {
        format!("{:016x}", sum(&[self.program, text]))
    }
}

/// Removes everything when there is too much.
fn make_room(directory: &OwnedFd) -> Result<(), Errno> {
    let names: Vec<_> = Dir::read_from(directory.as_fd())?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
        .collect();
    if names.len() >= MOST {
        for name in names {
            let _ = unlinkat(directory, &name, AtFlags::empty());
        }
    }
    Ok(())
}

/// A sum over all else; the build; the length of the text and the text; the filter.
fn entry(program: &[u8], text: &[u8], filter: &Seccomp) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    let filter = protocol::encode(filter);
    let sum = sum(&[program, &length, text, &filter]).to_le_bytes();
    [&sum, program, &length, text, &filter].concat()
}

/// The filter of an entry, if that is for this build and text, and whole.
fn understand(entry: &[u8], program: &[u8], text: &[u8]) -> Option<Seccomp> {
    let (told, all) = entry.split_first_chunk()?;
    let length = (text.len() as u32).to_le_bytes();
    let filter = all.strip_prefix(program)?.strip_prefix(&length)?.strip_prefix(text)?;
    if u64::from_le_bytes(*told) != sum(&[program, &length, text, filter]) {
        return None;
    }
    let mut reader = FrameReader::default();
    reader.push(filter);
    let filter = reader.take().ok()??;
    reader.rest().is_empty().then_some(filter)
}

/// Tells damage, and gives names that are seldom the same. What two texts have to be the same for is compared whole.
fn sum(parts: &[&[u8]]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for chunk in part.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
            sum ^= sum >> 32;
        }
        sum = (sum ^ part.len() as u64).wrapping_mul(PRIME);
    }
    sum
}

#[cfg(test)]
mod tests;
