//! Everything that is known of an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dockerapi::{GraphDriver, ImageConfig, ImageInspect, Metadata, RootFs};
use serde_json::Map;
use store::Image;
use types::Digest;

use crate::Result;
use crate::engine::Engine;

impl Engine {
    /// Everything known of an image.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_inspect(&self, name: &str) -> Result<ImageInspect> {
        let image = self.image_for(name).await?;
        Ok(self.account(&image))
    }

    pub(crate) fn account(&self, image: &Image) -> ImageInspect {
        let mut answer = account(image);
        answer.graph_driver.data = layers(&self.0.store.layer_paths(image));
        answer
    }
}

/// Where the layers are, as overlayfs names them: the topmost, and those below it.
fn layers(paths: &[PathBuf]) -> BTreeMap<String, String> {
    let mut texts: Vec<_> = paths.iter().rev().map(|path| path.to_string_lossy().into_owned()).collect();
    if texts.is_empty() {
        return BTreeMap::new();
    }
    let lower = texts.split_off(1).join(":");
    let named = [("UpperDir", texts.concat()), ("LowerDir", lower)];
    named.into_iter().filter(|(_, path)| !path.is_empty()).map(|(key, path)| (key.to_owned(), path)).collect()
}

fn account(image: &Image) -> ImageInspect {
    let config = &image.config;
    let last = config.history.last();
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: image.repo_tags(),
        repo_digests: image.repo_digests.clone(),
        comment: last.map(|h| h.comment.clone()).unwrap_or_default(),
        created: config.created.clone().unwrap_or_default(),
        author: config.author.clone(),
        config: config.config.as_ref().map(defaults).unwrap_or_default(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size: i64::try_from(image.size).unwrap_or(i64::MAX),
        graph_driver: GraphDriver { name: "overlay2".to_owned(), ..GraphDriver::default() },
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: image.layers.iter().map(Digest::to_string).collect(),
        },
        metadata: Metadata::default(),
        artifact_type: image.artifact_type.clone().unwrap_or_default(),
        ..ImageInspect::default()
    }
}

/// The image's defaults in the API's form.
fn defaults(config: &oci::image::ContainerConfig) -> ImageConfig {
    let set = |keys: &BTreeMap<String, oci::image::Nothing>| {
        keys.keys().map(|k| (k.clone(), Map::new())).collect::<BTreeMap<_, _>>()
    };
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: set(&config.exposed_ports),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: set(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.clone().unwrap_or_default(),
        on_build: config.on_build.clone(),
        healthcheck: config.healthcheck.as_ref().map(|h| dockerapi::HealthConfig {
            test: h.test.clone(),
            interval: h.interval,
            timeout: h.timeout,
            start_period: h.start_period,
            start_interval: h.start_interval,
            retries: h.retries,
        }),
        ..ImageConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_layer_is_the_upper_one() {
        let shown = layers(&["/1", "/2", "/3"].map(PathBuf::from));
        assert_eq!(shown.get("UpperDir").map(String::as_str), Some("/3"));
        assert_eq!(shown.get("LowerDir").map(String::as_str), Some("/2:/1"));
        assert!(layers(&[]).is_empty() && layers(&["/1".into()]).len() == 1);
    }
}
