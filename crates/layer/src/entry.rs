//! One archive entry, whatever format wrote it.

use crate::path::TreePath;

/// What an entry makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// A regular file, sparse or not.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to `link`, which is kept byte for byte.
    Symlink,
    /// Another name for the file at `link`.
    Hardlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
}

/// Seconds and nanoseconds since 1970; `nanos` always counts forward.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Time {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// 0 … 999,999,999.
    pub nanos: u32,
}

/// A device number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Device {
    /// Major number, at most 12 bits.
    pub major: u32,
    /// Minor number, at most 20 bits.
    pub minor: u32,
}

/// A piece of a file that holds data; everything between pieces is a hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// One entry. Its data (for files: the segments one after another) is read from the reader that gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its cleaned name.
    pub path: TreePath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky (12 bits).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Time,
    /// Length of a file in bytes, holes included; 0 for everything else.
    pub size: u64,
    /// The pieces with data, in order and without overlap.
    pub segments: Vec<Segment>,
    /// Target of a symbolic or hard link, as written.
    pub link: Vec<u8>,
    /// Device number of a device.
    pub device: Device,
    /// Extended attributes: full name and value, in the archive's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// An entry of that kind at `path` (which must be clean already), owned by root, dated 1970.
    #[must_use]
    pub fn new(path: &str, kind: EntryKind, mode: u32) -> Self {
        let path = path.split('/').fold(TreePath::default(), |dir, name| dir.join(name.as_bytes()));
        Self {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            size: 0,
            segments: Vec::new(),
            link: Vec::new(),
            device: Device::default(),
            xattrs: Vec::new(),
        }
    }

    /// A file of `size` bytes, mode 0644.
    #[must_use]
    pub fn file(path: &str, size: u64) -> Self {
        Self { size, segments: whole(size), ..Self::new(path, EntryKind::File, 0o644) }
    }

    /// A directory, mode 0755.
    #[must_use]
    pub fn directory(path: &str) -> Self {
        Self::new(path, EntryKind::Directory, 0o755)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(path: &str, target: &str) -> Self {
        Self { link: target.into(), ..Self::new(path, EntryKind::Symlink, 0o777) }
    }

    /// Bytes of data that the archive holds for this entry.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.length).sum()
    }
}

/// The one segment of a file without holes.
pub(crate) fn whole(size: u64) -> Vec<Segment> {
    if size == 0 { Vec::new() } else { vec![Segment { offset: 0, length: size }] }
}
