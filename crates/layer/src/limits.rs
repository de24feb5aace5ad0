//! The caps of one archive. All of them exist so that a small file cannot use up the host.

/// How much an archive may ask for. The defaults are far above any image seen in practice.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Entries in one archive.
    pub entries: u64,
    /// Bytes of one path or link target.
    pub path_bytes: usize,
    /// Components of one path.
    pub path_depth: usize,
    /// Bytes of one PAX header or GNU long name.
    pub extension_bytes: u64,
    /// Extended attributes of one entry.
    pub xattrs: usize,
    /// Pieces of one sparse file.
    pub sparse_segments: usize,
    /// Bytes of one file, holes included.
    pub file_bytes: u64,
    /// Whether an archive without its end mark (two zero blocks) is refused. Only where nothing else
    /// (a digest) tells that the archive is whole.
    pub need_end: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            path_bytes: 4096,
            path_depth: 256,
            extension_bytes: 1 << 20,
            xattrs: 128,
            sparse_segments: 64 << 10,
            file_bytes: 1 << 40,
            need_end: false,
        }
    }
}
