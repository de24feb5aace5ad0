//! Reading the caller's documents: whatever lies in their place, it neither holds us up nor fills our memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fcntl_setfl, fstat};
use serde::de::DeserializeOwned;

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
pub(super) fn read<T: DeserializeOwned>(path: &Path, what: &str, from: From) -> Result<T, Complaint> {
    let bytes = bytes(path, from)?;
    let told = |error| Complaint::new(format!("{} is not a {what} document: {error}", path.display()));
    oci::read(&bytes).map_err(told)
}

fn bytes(path: &Path, from: From) -> Result<Vec<u8>, Complaint> {
    let failed = |errno| Complaint::new(format!("read {}: {}", path.display(), text_of(errno)));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Fifo if from == From::FileOrPipe => {
            fcntl_setfl(&file, OFlags::empty()).map_err(failed)?;
        }
        _ => return Err(Complaint::new(format!("read {}: it is not a regular file", path.display()))),
    }
    let mut bytes = Vec::with_capacity((stat.st_size as usize).min(LONGEST) + 1);
    let read = File::from(file).take(LONGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Complaint::io(&format!("read {}", path.display()), &error))?;
    if bytes.len() > LONGEST {
        let limit = LONGEST >> 20;
        return Err(Complaint::new(format!("{} is longer than {limit} MiB", path.display())));
    }
    Ok(bytes)
}
