//! Floor 1: the documents of Docker's Engine API, 1.24 to 1.51, as serde structs, and the small texts that travel
//! inside them: filters, times, durations, ports. Knows shapes and grammars; must not
//! know engines, hosts, clocks or wires. Every parser is pure.
//!
//! ```
//! let body: dockerapi::ContainerCreate = serde_json::from_str(r#"{"Image":"busybox","Cmd":null}"#).unwrap();
//! assert_eq!(body.config.image, "busybox");
//! assert!(body.config.cmd.is_none());
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod auth;
mod container;
mod distribution;
mod error;
mod event;
mod exec;
pub mod filters;
mod image;
mod network;
pub mod nil;
mod progress;
mod prune;
mod search;
pub mod spec;
mod stats;
mod store;
mod system;
pub mod time;
mod volume;

pub use auth::{AuthConfig, AuthResponse};
pub use container::*;
pub use distribution::{Distribution, DistributionDescriptor, DistributionPlatform};
pub use error::{Error, ErrorBody};
pub use event::{Actor, Event};
pub use exec::{ExecCreate, ExecCreated, ExecInspect, ExecProcess, ExecStart};
pub use filters::Filters;
pub use image::{
    DeletedImage, GraphDriver, HistoryItem, ImageConfig, ImageInspect, ImageManifest, ImageSummary,
    ManifestAttestation, ManifestImage, ManifestImageSize, ManifestSize, Metadata, RootFs,
};
pub use network::{
    ConfigReference, Endpoint, EndpointIpam, EndpointResource, Ipam, IpamConfig, Network, NetworkCreate,
    NetworkCreated, NetworkingConfig,
};
pub use progress::{Progress, ProgressDetail, ProgressError};
pub use prune::{Pruned, PrunedBuildCache, PrunedImages, PrunedNetworks, PrunedVolumes};
pub use search::SearchResult;
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, Throttling,
};
pub use store::StoreCheck;
pub use system::{
    AreaUsage, BuildCache, Collected, CollectedImage, Commit, Component, DiskUsage, FirewallBackend, Info,
    Platform, Plugins, RuntimeEntry, SwarmInfo, Version,
};
pub use volume::{Volume, VolumeCreate, VolumeList, VolumeUsage};
