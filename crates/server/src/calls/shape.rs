//! What documents look like in each version of the API: newer ones leave fields out that meant nothing.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::wire::fields::Fields;
use crate::wire::version::Version;

/// Of a container's, not of an image's configuration.
const NOT_OF_IMAGES: &[&str] = &[
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "NetworkDisabled",
    "MacAddress",
    "StopTimeout",
];

fn shaped(
    document: &impl Serialize,
    shape: impl FnOnce(&mut Fields) -> serde_json::Result<()>,
) -> Result<Fields> {
    let reshape = || {
        let mut fields = Fields::of(document)?;
        shape(&mut fields)?;
        Ok(fields)
    };
    reshape().map_err(|error: serde_json::Error| {
        Error::new(types::Kind::Internal, format!("cannot print the answer: {error}"))
    })
}

/// An image's account.
pub(super) fn image(document: &impl Serialize, version: Version) -> Result<Fields> {
    shaped(document, |fields| {
        if version.has(50) {
            fields.within("Config", |config| config.remove(NOT_OF_IMAGES))?;
        }
        Ok(())
    })
}

/// A container's account.
pub(super) fn container(document: &impl Serialize, version: Version) -> Result<Fields> {
    shaped(document, |fields| {
        if !version.has(48) {
            fields.remove(&["ImageManifestDescriptor"]);
        }
        Ok(())
    })
}

/// The engine's account of itself.
pub(super) fn info(document: &impl Serialize, version: Version) -> Result<Fields> {
    shaped(document, |fields| {
        if !version.has(49) {
            fields.remove(&["FirewallBackend"]);
            return Ok(());
        }
        for commit in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
            fields.within(commit, |commit| commit.remove(&["Expected"]))?;
        }
        let foreign = ["AllowNondistributableArtifactsCIDRs", "AllowNondistributableArtifactsHostnames"];
        fields.within("RegistryConfig", |registries| registries.remove(&foreign))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn version(minor: u32) -> Version {
        crate::wire::version::split(&format!("/v1.{minor}/x")).unwrap().0
    }

    #[test]
    fn fields_come_and_go() {
        let image_has = |minor, key: &str| {
            let document = dockerapi::ImageInspect::default();
            let value: Value = serde_json::to_value(image(&document, version(minor)).unwrap()).unwrap();
            value["Config"].get(key).is_some()
        };
        assert!(image_has(49, "Hostname") && image_has(49, "Cmd"));
        assert!(!image_has(50, "Hostname") && image_has(50, "Cmd"));

        let of_info = |minor| {
            let document = dockerapi::Info {
                registry_config: Some(json!({"AllowNondistributableArtifactsCIDRs": [], "Mirrors": []})),
                firewall_backend: Some(dockerapi::FirewallBackend::default()),
                ..dockerapi::Info::default()
            };
            serde_json::to_value(info(&document, version(minor)).unwrap()).unwrap()
        };
        let (old, new) = (of_info(48), of_info(49));
        assert!(old.get("FirewallBackend").is_none() && new.get("FirewallBackend").is_some());
        assert!(old["RuncCommit"].get("Expected").is_some() && new["RuncCommit"] == json!({"ID": ""}));
        assert_eq!(new["RegistryConfig"], json!({"Mirrors": []}));
        assert_eq!(old["RegistryConfig"].as_object().map(|o| o.len()), Some(2));

        let of_container = |minor| {
            let document = dockerapi::ContainerInspect {
                image_manifest_descriptor: Some(json!({})),
                ..dockerapi::ContainerInspect::default()
            };
            let value = serde_json::to_value(container(&document, version(minor)).unwrap()).unwrap();
            value.get("ImageManifestDescriptor").is_some()
        };
        assert!(!of_container(47) && of_container(48));
    }
}
