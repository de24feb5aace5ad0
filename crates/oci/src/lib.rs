//! Floor 1: the documents of the Open Container Initiative, as plain structs. Knows their field names and nothing of
//! their meaning: whether a path exists or a limit is sane is for higher floors.
//!
//! Unknown fields are ignored and `null` means absent, because documents come from many writers. A foreign document is never written
//! back from these structs: whoever has to pass one on keeps its bytes, or its digest would change.
//!
//! ```
//! let spec: oci::runtime::Spec = serde_json::from_str(r#"{"ociVersion":"1.2.0","root":{"path":"rootfs"},"x":1}"#).unwrap();
//! assert_eq!(spec.root.unwrap().path, "rootfs");
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod image;
mod lenient;
mod read;
pub mod runtime;

pub use read::{Document, ReadError, read};
