//! Reading the caller's documents: whatever lies in their place, it neither holds us up nor fills our memory.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use oci::Document;
use rustix::fs::{FileType, Mode, OFlags, fcntl_setfl, fstat};

use super::output::Complaint;
use crate::error::text_of;

/// Longest document in bytes. A thousand mounts are about 100 KiB.
const LONGEST: usize = 16 << 20;

/// Where a document may come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// A regular file: a FIFO in a bundle would make us wait for a writer that may never come.
    File,
    /// Also a pipe, as shells make for `<(…)` and for `/dev/stdin`.
    FileOrPipe,
}

/// Reads the document at `path`; `what` is its name in the error.
pub(super) fn read<T: Document>(path: &Path, what: &str, from: From) -> Result<T, Complaint> {
    understand(&bytes(path, from)?, &path.display(), what)
}

/// Reads a document from whatever our standard input is.
pub(super) fn read_stdin<T: Document>(what: &str) -> Result<T, Complaint> {
    understand(&up_to_the_limit(std::io::stdin().lock(), 0, &"-")?, &"-", what)
}

pub(super) fn understand<T: Document>(bytes: &[u8], name: &dyn Display, what: &str) -> Result<T, Complaint> {
    oci::read(bytes).map_err(|error| Complaint::new(format!("{name} is not a {what} document: {error}")))
}

pub(super) fn bytes(path: &Path, from: From) -> Result<Vec<u8>, Complaint> {
    let name = path.display();
    let failed = |errno| Complaint::new(format!("read {name}: {}", text_of(errno)));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Fifo if from == From::FileOrPipe => {
            fcntl_setfl(&file, OFlags::empty()).map_err(failed)?;
        }
        _ => return Err(Complaint::new(format!("read {name}: it is not a regular file"))),
    }
    up_to_the_limit(File::from(file), stat.st_size as usize, &name)
}

fn up_to_the_limit(file: impl Read, expected: usize, name: &dyn Display) -> Result<Vec<u8>, Complaint> {
    let mut bytes = Vec::with_capacity(expected.min(LONGEST) + 1);
    let read = file.take(LONGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Complaint::io(&format!("read {name}"), &error))?;
    if bytes.len() > LONGEST {
        return Err(Complaint::new(format!("{name} is longer than {} MiB", LONGEST >> 20)));
    }
    Ok(bytes)
}
