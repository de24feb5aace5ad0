//! Floor 0: the nouns that every other crate shares. Knows nothing of files, kernels or wires.
//!
//! ```
//! use types::{Digest, Reference};
//! let name: Reference = "busybox".parse().unwrap();
//! assert_eq!(name.to_string(), "docker.io/library/busybox:latest");
//! assert!("sha256:../x".parse::<Digest>().is_err());
//! ```

mod digest;
mod id;
mod kind;
mod reference;
mod rootfs;
mod size;
pub mod weak;

pub use digest::{Digest, DigestError};
pub use id::{ContainerName, Id, IdError};
pub use kind::Kind;
pub use reference::{Reference, ReferenceError};
pub use rootfs::Rootfs;
pub use size::{SizeError, parse_bytes, print_bytes, print_bytes_decimal};
