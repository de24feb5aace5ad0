//! Importing the tar of a root file system as an image of one layer.

use std::io::Read;
use std::sync::Arc;

use jiff::Timestamp;
use oci::image::{ContainerConfig, History, ImageConfig, Platform, RootFs};
use types::{Digest, Reference};

use crate::Store;
use crate::changes;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::ingest::Spooled;
use crate::load::{Proof, Proposal, compose};

/// How the new image is dressed.
#[derive(Clone, Debug, Default)]
pub struct ImportConfig {
    /// Dockerfile instructions for the configuration: `CMD …`, `ENV …`.
    pub changes: Vec<String>,
    /// What the history says.
    pub message: String,
    /// `os/architecture[/variant]`; this machine's when empty.
    pub platform: String,
}

impl Store {
    /// Makes an image of a root file system's tar (plain, gzip or zstd).
    ///
    /// # Errors
    /// `InvalidInput` when the archive or a change is malformed; `Exhausted` when the disk is full or a cap was hit.
    pub fn import(
        &self,
        input: &mut dyn Read,
        name: Option<&Reference>,
        config: &ImportConfig,
    ) -> Result<Arc<Image>> {
        if name.is_some_and(|name| name.digest().is_some()) {
            return Err(Error::invalid("cannot import digest reference"));
        }
        let mut defaults = ContainerConfig::default();
        changes::apply(&mut defaults, &config.changes)?;
        let mut image = ImageConfig {
            created: Some(Timestamp::now().to_string()),
            config: Some(defaults),
            ..ImageConfig::default()
        };
        set_platform(&mut image, &config.platform)?;
        let history =
            History { created: image.created.clone(), comment: config.message.clone(), ..History::default() };
        let session = self.0.ingest.session()?;
        let layer = session.spool(input, &mut self.space())?;
        if layer.size == 0 {
            return Err(Error::invalid("cannot import: the archive is empty"));
        }
        let mut proof = Proof::default();
        let diff_id = self.discover(&session, &layer, &mut proof)?;
        let proposal = one_layer(image, history, (layer, diff_id), name)?;
        let images = self.admit(&session, &[proposal], proof, &mut |_| ())?;
        images.into_iter().next().ok_or_else(|| Error::corrupt("the imported image disappeared"))
    }
}

/// Proposes an image of one layer with that diffID.
pub(crate) fn one_layer(
    mut config: ImageConfig,
    history: History,
    (layer, diff_id): (Spooled, Digest),
    name: Option<&Reference>,
) -> Result<Proposal> {
    config.rootfs = RootFs { kind: "layers".into(), diff_ids: vec![diff_id.to_string()] };
    config.history = vec![history];
    let json = serde_json::to_vec(&config).map_err(|e| Error::json("cannot write the configuration", e))?;
    compose(json, vec![layer], name.cloned().into_iter().collect())
}

fn set_platform(config: &mut ImageConfig, text: &str) -> Result<()> {
    let bad = |e| Error::invalid(format!("cannot import: {e}"));
    let platform = if text.is_empty() { Platform::host() } else { text.parse().map_err(bad)? };
    if platform.os != "linux" {
        return Err(Error::invalid(format!("cannot import an image for {platform}: this is linux")));
    }
    config.os = platform.os;
    config.architecture = platform.architecture;
    config.variant = platform.variant;
    Ok(())
}
