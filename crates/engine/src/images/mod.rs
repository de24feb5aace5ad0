//! Images: the store's, in Docker's form.

mod archives;
mod history;
mod inspect;
mod list;
mod manifests;
mod names;
mod pattern;

use std::collections::BTreeMap;

use oci::image::Platform;
use oci::image::platform::{PlatformError, Preference};
use store::Image;
use types::{Reference, ReferenceError};

pub use archives::Import;
pub use list::ImageListOptions;
pub(crate) use list::layers_of;

use crate::{Error, Result};

/// A name for an image, which cannot have a digest (`refusal`), and must not read like the beginning of one.
pub(crate) fn new_name(text: &str, refusal: &'static str) -> Result<Reference> {
    let name: Reference = text.parse().map_err(|e: ReferenceError| Error::invalid(e.to_string()))?;
    if name.digest().is_some() {
        return Err(Error::invalid(refusal));
    }
    if name.familiar_name() == "sha256" {
        return Err(Error::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    Ok(name)
}

/// The platform that was asked for, with what else will do for it.
pub(crate) fn preference(
    platform: Option<&str>,
    strictness: fn(&Platform) -> Preference,
) -> Result<Option<Preference>> {
    let platform = platform.filter(|text| !text.is_empty());
    Ok(platform.map(platform_of).transpose()?.map(|platform| strictness(&platform)))
}

/// Those platforms, and no others.
fn preferences(platforms: &[String]) -> Result<Vec<Preference>> {
    platforms.iter().map(|text| Ok(Preference::only(&platform_of(text)?))).collect()
}

/// A platform as people write it, or as the API's JSON.
pub(crate) fn platform_of(text: &str) -> Result<Platform> {
    if text.starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|e| Error::invalid(format!("{text:?} is not a platform in JSON: {e}")));
    }
    text.parse().map_err(|e: PlatformError| Error::invalid(e.to_string()))
}

pub(crate) fn labels(image: &Image) -> BTreeMap<String, String> {
    image.config.config.as_ref().map(|c| c.labels.clone()).unwrap_or_default()
}
