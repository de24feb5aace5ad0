//! Floor 2: what a layer archive says. Turns a tar stream into checked changes of a file tree, and entries into tar.
//! Knows the formats (ustar, PAX, GNU, whiteouts of the OCI image spec) and every cap; must not know files, hashes,
//! compression or kernels: it reads from a `Read` and decides.
//!
//! Two parsers must never disagree about an archive, so whatever is ambiguous is refused, not guessed.
//!
//! ```
//! use layer::{Entry, EntryKind, Limits, Reader, Writer};
//! let mut writer = Writer::new(Vec::new());
//! writer.append(&Entry::file("etc/motd", 3), &mut &b"hi\n"[..]).unwrap();
//! let bytes = writer.finish().unwrap();
//! let mut reader = Reader::new(&bytes[..], Limits::default());
//! let entry = reader.next_entry().unwrap().unwrap();
//! assert_eq!((entry.path.to_string(), entry.kind), ("etc/motd".to_owned(), EntryKind::File));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod change;
mod entry;
mod error;
mod header;
mod limits;
mod number;
mod path;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use change::{Change, OPAQUE_MARK, WHITEOUT_MARK, classify, is_allowed_xattr};
pub use entry::{Device, Entry, EntryKind, Segment, Time};
pub use error::Error;
pub use limits::Limits;
pub use path::{PathError, TreePath};
pub use reader::Reader;
pub use writer::Writer;
