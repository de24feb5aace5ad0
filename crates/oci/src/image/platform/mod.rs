//! Platforms: how they are written (`os[(version)][/architecture[/variant]]`), which names mean the same, what a host can
//! run, and which manifest of an index is the one for it. As containerd's `platforms` package decides, for all of Docker's
//! tools do as it does.
//!
//! ```
//! use oci::image::{Descriptor, Platform, platform::Preference};
//! let wanted: Platform = "linux/aarch64".parse().unwrap();
//! assert_eq!(wanted.to_string(), "linux/arm64");
//! let of = |text: &str| Descriptor { platform: text.parse().ok(), ..Descriptor::default() };
//! let index = [of("linux/amd64"), of("linux/arm/v7"), of("linux/arm64/v8")];
//! assert_eq!(Preference::of(&wanted).best(&index).unwrap(), &index[2]);
//! ```

mod name;
mod preference;
#[cfg(test)]
mod tests;

pub use name::PlatformError;
pub use preference::{NoMatch, Preference};
