//! What a container's root is made of: the data in which the store and the runtime meet.

use std::path::PathBuf;

/// The root file system of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rootfs {
    /// A directory that is bound as it is (an OCI bundle's `root.path`).
    Directory(PathBuf),
    /// An overlay of read-only layers and a writable one, mounted in the container's own mount
    /// namespace only.
    Overlay {
        /// Read-only layers, topmost first. Never empty.
        lower: Vec<PathBuf>,
        /// The writable layer; on the same file system as `work`.
        upper: PathBuf,
        /// Overlayfs' scratch directory.
        work: PathBuf,
        /// Skip all syncing (overlayfs `volatile`): only for a root that is never mounted twice.
        volatile: bool,
    },
}
