//! Containers: what is asked for at creation, and what lists and inspection answer.

mod config;
mod host;
mod inspect;
mod mount;
mod small;
mod summary;

pub use config::{Config, ContainerCreate, ContainerCreated, HealthConfig};
pub use host::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, PortBinding, PortMap, Resources, RestartPolicy,
    ThrottleDevice, Ulimit, WeightDevice,
};
pub use inspect::{ContainerInspect, Health, HealthResult, MountPoint, NetworkSettings, State};
pub use mount::{BindOptions, ImageOptions, Mount, MountDriver, TmpfsOptions, VolumeOptions};
pub use small::{Committed, FilesystemChange, TopResult, UpdateBody, UpdateResult, WaitError, WaitResult};
pub use summary::{ContainerSummary, PortSummary, SummaryHost, SummaryNetworks};
