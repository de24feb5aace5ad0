//! What the store allows: caps on foreign input, and how much disk it leaves alone.

/// Caps and reserves. The defaults suit a server; tests lower them.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that a whole archive may spool to disk, after decompression.
    pub archive_bytes: u64,
    /// Bytes that one layer may unpack to.
    pub layer_bytes: u64,
    /// Once a stream gave `ratio_floor` bytes, it may give at most this many bytes per compressed one.
    pub ratio: u64,
    /// Bytes below which the ratio does not count (zeros compress a thousandfold, and that is fine).
    pub ratio_floor: u64,
    /// Bytes of the file system that loads leave free, so that removing still works when it is full.
    pub reserve_bytes: u64,
    /// Bytes of one JSON document (manifest, index, configuration).
    pub document_bytes: u64,
    /// Files in one image archive.
    pub archive_files: usize,
    /// Layers of one image: overlayfs stacks at most 500, Docker makes at most 127.
    pub image_layers: usize,
    /// Caps of the tar reader.
    pub tar: layer::Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            archive_bytes: 256 << 30,
            layer_bytes: 128 << 30,
            ratio: 250,
            ratio_floor: 1 << 30,
            reserve_bytes: 64 << 20,
            document_bytes: 4 << 20,
            archive_files: 100_000,
            image_layers: 500,
            tar: layer::Limits::default(),
        }
    }
}
