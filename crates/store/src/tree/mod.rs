//! Trees on disk, always walked from a handle: unpacking, removing, measuring, copying.

mod attributes;
mod born;
mod copy;
pub(crate) mod handle;
mod measure;
mod parents;
mod remove;
mod unpack;

pub(crate) use copy::copy_contents;
pub(crate) use handle::{Tree, file_type, is_whiteout, os, proc_path, stat_name};
pub use measure::content_bytes;
pub(crate) use remove::{remove, remove_at};
pub(crate) use unpack::{Unpacked, unpack};

/// The mark that makes overlayfs show nothing from the layers below a directory.
pub(crate) const OPAQUE_XATTR: &str = "trusted.overlay.opaque";
