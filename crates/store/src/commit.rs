//! `commit`, second half: what was captured becomes a layer, and a new image on the container's own.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::sync::Arc;

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use oci::image::{ContainerConfig, History, ImageConfig};
use types::{Digest, Kind, Reference};

use crate::Store;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::ingest::Spooled;
use crate::load::{Proof, compose};
use crate::upper::{Captured, Spool};

/// The fastest that makes layers a third; they are written once and read often.
const LEVEL: u32 = 1;
const BUFFER: usize = 256 << 10;

/// How the new image is dressed.
#[derive(Clone, Debug, Default)]
pub struct CommitConfig {
    /// Defaults for its containers.
    pub config: ContainerConfig,
    /// Who made it.
    pub author: String,
    /// What its history says.
    pub message: String,
    /// By which command the layer came about.
    pub created_by: String,
}

impl Store {
    /// Makes an image of what a container wrote and of the image that it stands on.
    ///
    /// # Errors
    /// `NotFound` when that image is not in the store any more; `InvalidInput` when the name has a digest; `Exhausted` when
    /// the disk is full.
    pub fn commit_container(
        &self,
        captured: Captured,
        base: &Image,
        config: CommitConfig,
        name: Option<&Reference>,
    ) -> Result<Arc<Image>> {
        if name.is_some_and(|name| name.digest().is_some()) {
            return Err(Error::invalid("refusing to create a tag with a digest reference"));
        }
        let _pinned = self.pin(base.layers.iter().chain(&base.blobs).copied().collect());
        let mut layers = self.layers_of(base)?;
        let mut proof = Proof::default();
        let mut diff_ids = base.layers.clone();
        if !captured.is_empty {
            let layer = self.compress(&captured)?;
            let diff_id = self.discover(&captured.session, &layer, &mut proof)?;
            if diff_id != captured.archive.digest {
                return Err(Error::corrupt("the layer was damaged while it was compressed"));
            }
            diff_ids.push(diff_id);
            layers.push(layer);
        }
        let document = describe(base, config, &diff_ids, captured.is_empty);
        let json =
            serde_json::to_vec(&document).map_err(|e| Error::json("cannot write the configuration", e))?;
        let proposal = compose(json, layers, name.cloned().into_iter().collect())?;
        let images = self.admit(&captured.session, &[proposal], proof, &mut |_| ())?;
        images.into_iter().next().ok_or_else(|| Error::corrupt("the committed image disappeared"))
    }

    fn layers_of(&self, base: &Image) -> Result<Vec<Spooled>> {
        let blobs = &self.0.blobs;
        let of = |digest: &Digest| {
            let size = blobs.size(digest).ok_or_else(|| {
                let id = base.id;
                Error::new(
                    Kind::NotFound,
                    format!("the container's image {id} was removed: it cannot be built on"),
                )
            })?;
            Ok(Spooled { path: blobs.path(digest), digest: *digest, size })
        };
        base.blobs.iter().map(of).collect()
    }

    fn compress(&self, captured: &Captured) -> Result<Spooled> {
        let fail = |e: io::Error| Error::stream("cannot compress the layer", e);
        let plain = File::open(&captured.archive.path).map_err(fail)?;
        let spool = Spool::create(captured.session.path(), self.space())?;
        let output = BufWriter::with_capacity(BUFFER, spool);
        let mut encoder = GzEncoder::new(output, Compression::new(LEVEL));
        io::copy(&mut BufReader::with_capacity(BUFFER, plain), &mut encoder).map_err(fail)?;
        let spool = encoder.finish().map_err(fail)?.into_inner().map_err(|e| fail(e.into_error()))?;
        let _ = std::fs::remove_file(&captured.archive.path);
        Ok(spool.finish())
    }
}

/// The configuration: the base's, with new defaults, one more layer and one more line of history.
fn describe(base: &Image, config: CommitConfig, diff_ids: &[Digest], is_empty: bool) -> ImageConfig {
    let created = Some(Timestamp::now().to_string());
    let mut document = ImageConfig::clone(&base.config);
    document.history.push(History {
        created: created.clone(),
        created_by: config.created_by,
        author: config.author.clone(),
        comment: config.message,
        empty_layer: is_empty,
    });
    document.created = created;
    document.author = config.author;
    document.config = Some(config.config);
    "layers".clone_into(&mut document.rootfs.kind);
    document.rootfs.diff_ids = diff_ids.iter().map(Digest::to_string).collect();
    document
}
