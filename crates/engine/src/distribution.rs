//! Looking at what a registry has, without fetching it.

use dockerapi::{Distribution, DistributionDescriptor, DistributionPlatform};
use oci::image::{ImageConfig, Index, Manifest, Platform, media};
use registry::{Credentials, Repository, Target};
use types::{Digest, Kind, Reference};

use crate::engine::Engine;
use crate::{Error, Result};

impl Engine {
    /// What a name means at its registry, and the platforms that it is for.
    ///
    /// # Errors
    /// `InvalidInput` when the name is none; what the registry refuses.
    pub async fn distribution(&self, name: &str, credentials: Credentials) -> Result<Distribution> {
        let reference: Reference =
            name.parse().map_err(|e: types::ReferenceError| Error::invalid(e.to_string()))?;
        let repository = self.0.registry.repository(&reference, credentials);
        let asked = Target::of(&reference);
        // What is there is asked for first, as Docker does: its refusals are worded after that.
        let known = repository.head(&asked).await?;
        let found = repository.manifest(&known.map_or(asked, |known| Target::Digest(known.digest))).await?;
        let platforms = if media::is_index(&found.media_type) {
            listed(read(name, &found.bytes)?)
        } else {
            of_config(&repository, name, &read(name, &found.bytes)?).await?
        };
        Ok(Distribution {
            descriptor: DistributionDescriptor {
                media_type: found.media_type,
                digest: found.digest.to_string(),
                size: i64::try_from(found.bytes.len()).unwrap_or(i64::MAX),
                ..DistributionDescriptor::default()
            },
            platforms,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    oci::image::parse(bytes)
        .map_err(|e| Error::doing(&format!("cannot read the manifest of {name}"), Kind::Corrupt, e))
}

fn listed(index: Index) -> Vec<DistributionPlatform> {
    index.manifests.into_iter().filter_map(|one| one.platform).map(document).collect()
}

/// A manifest says where it runs in its configuration; an artifact runs nowhere.
async fn of_config(
    repository: &Repository,
    name: &str,
    manifest: &Manifest,
) -> Result<Vec<DistributionPlatform>> {
    let config = &manifest.config;
    if !matches!(config.media_type.as_str(), media::CONFIG | media::DOCKER_CONFIG) {
        return Ok(Vec::new());
    }
    let digest: Digest = config
        .digest
        .parse()
        .map_err(|e| Error::doing(&format!("the manifest of {name}"), Kind::Corrupt, e))?;
    let size = u64::try_from(config.size).unwrap_or(0);
    let config: ImageConfig = read(name, &repository.document(&digest, size).await?)?;
    Ok(vec![DistributionPlatform {
        architecture: config.architecture,
        os: config.os,
        os_version: config.os_version,
        os_features: config.os_features,
        variant: config.variant,
    }])
}

fn document(platform: Platform) -> DistributionPlatform {
    let Platform { architecture, os, os_version, os_features, variant } = platform;
    DistributionPlatform { architecture, os, os_version, os_features, variant }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_of_an_index_in_its_order() {
        let index: Index = serde_json::from_str(
            r#"{"manifests":[{"platform":{"os":"linux","architecture":"arm","variant":"v7"}},{},
                {"platform":{"os":"windows","architecture":"amd64","os.version":"10"}}]}"#,
        )
        .unwrap();
        let shown = serde_json::to_string(&listed(index)).unwrap();
        assert_eq!(
            shown,
            r#"[{"architecture":"arm","os":"linux","variant":"v7"},{"architecture":"amd64","os":"windows","os.version":"10"}]"#
        );
    }
}
