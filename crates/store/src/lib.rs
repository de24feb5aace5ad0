//! Floor 4: images, layers, snapshots, volumes and records under one data root. Blobs lie in an OCI image layout that
//! other tools can read. Knows archives, digests and overlayfs' on-disk form; must not know containers (to it they are
//! names), HTTP or registries. Everything here blocks: call it from a thread that may.
//!
//! ```no_run
//! let store = store::Store::open(std::path::Path::new("/var/lib/berth")).unwrap();
//! let mut archive = std::fs::File::open("busybox.tar").unwrap();
//! for loaded in store.load(&mut archive, &mut |_| ()).unwrap() {
//!     println!("{}", loaded.image.id);
//! }
//! let image = store.resolve("busybox").unwrap();
//! let root = store.prepare("c0ffee", &image, true).unwrap();
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::disallowed_methods, reason = "this crate is the one that does files")]

mod ballast;
mod blobs;
mod census;
mod changes;
mod check;
mod checkpoint;
mod commit;
mod durable;
mod error;
mod healthcheck;
mod hello;
mod image;
mod import;
mod ingest;
mod intake;
mod layers;
mod lease;
mod load;
mod merged;
mod notes;
mod open;
mod options;
mod partial;
mod records;
mod save;
mod snapshots;
mod space;
mod store;
mod stream;
mod trash;
mod tree;
mod upper;
mod volumes;
mod writeback;

pub use census::{Area, Room};
pub use changes::apply as apply_changes;
pub use check::{Fetch, Finding, Missing, Outcome, Report};
pub use commit::CommitConfig;
pub use error::{Error, Result};
pub use image::{Document, Image, ImageList, Member, Removed, Role, Target, Usage};
pub use import::ImportConfig;
pub use intake::{Arrived, Documents, Intake, Layer, Receiving, Step};
pub use lease::Lease;
pub use load::{Loaded, Progress};
pub use options::Options;
pub use records::{Durability, Record, Records};
pub use store::Store;
pub use tree::content_bytes;
pub use upper::{Captured, ChangeKind, Changed, Owners};
pub use volumes::{Volume, VolumeOptions, Volumes};
