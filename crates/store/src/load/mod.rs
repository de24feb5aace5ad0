//! Loading image archives: spool everything (entries come in any order), see what is in it, prove it, commit it.

mod admit;
mod archive;
mod docker;
mod layout;
mod naming;
mod proposal;

use std::io::Read;
use std::sync::Arc;

use oci::image::platform::Preference;
use types::{Digest, Reference};

use crate::Store;
use crate::error::Result;
use crate::image::Image;
pub(crate) use admit::Proof;
use archive::Archive;
pub(crate) use proposal::{Part, Proposal, Source, compose};

/// What an archive gave.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image.
    pub image: Arc<Image>,
    /// A name that the archive gave it. An image with several names comes several times; one without, once.
    pub reference: Option<Reference>,
}

/// How far a load is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Bytes of the archive that came in so far, decompressed.
    Receiving {
        /// How many.
        bytes: u64,
    },
    /// Bytes of file content that were unpacked of a layer so far.
    Unpacking {
        /// Its diffID.
        layer: Digest,
        /// How many.
        bytes: u64,
    },
    /// The layer is whole and proven.
    Unpacked {
        /// Its diffID.
        layer: Digest,
    },
    /// The layer was there already.
    Present {
        /// Its diffID.
        layer: Digest,
    },
}

impl Store {
    /// Loads an image archive (docker-archive or OCI layout; plain, gzip or zstd), as it streams in. All of its
    /// images are there afterwards, or none.
    ///
    /// # Errors
    /// `InvalidInput` when the archive is malformed, hostile, cut short or contradicts its digests; `Exhausted` when the disk is full
    /// or a cap was hit.
    pub fn load(&self, input: &mut dyn Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        self.load_for(input, &[], progress)
    }

    /// As `load`, of each image only what is for these platforms; none means all.
    ///
    /// # Errors
    /// As `load`; `NotFound` when an image has nothing for one of the platforms.
    pub fn load_for(
        &self,
        input: &mut dyn Read,
        platforms: &[Preference],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        let session = self.0.ingest.session()?;
        let archive = Archive::spool(self, &session, input, progress)?;
        let mut proposals = Vec::new();
        if archive.is_layout() {
            proposals = layout::proposals(&archive, platforms)?;
        }
        if archive.is_docker() {
            docker::add_proposals(self, &archive, platforms, &mut proposals)?;
        }
        if proposals.is_empty() {
            return Err(archive.without_images());
        }
        let images = self.admit(&session, &proposals, Proof::default(), progress)?;
        let mut loaded = Vec::new();
        for (image, proposal) in images.into_iter().zip(&proposals) {
            let one = |reference: Option<&Reference>| Loaded {
                image: Arc::clone(&image),
                reference: reference.cloned(),
            };
            if proposal.references.is_empty() {
                loaded.push(one(None));
            }
            loaded.extend(proposal.references.iter().map(|name| one(Some(name))));
        }
        Ok(loaded)
    }
}
