//! Documents of the image specification, with the fields that Docker adds.

mod config;
mod manifest;
pub mod media;
mod once;
pub mod platform;
#[cfg(test)]
mod tests;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, Nothing, RootFs};
pub use manifest::{Descriptor, Index, Layout, Manifest, Platform};
pub use once::parse;
