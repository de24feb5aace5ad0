//! Proving proposed images and taking them in: every layer is unpacked and its diffID compared; then all is committed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use layer::Limits;
use types::{Digest, Kind, Reference};

use super::{Progress, Proposal, Source};
use crate::Store;
use crate::error::{Error, Result};
use crate::image::{Image, ImageList, Naming, parse_config};
use crate::ingest::{Session, Spooled};
use crate::layers::Fresh;
use crate::stream::{Bound, digest_of, inflate_and_hash, with_inflated};
use crate::tree::{self, Unpacked};

/// What is proven so far.
#[derive(Default)]
pub(crate) struct Proof {
    fresh: BTreeMap<Digest, Fresh>,
    /// Blobs and the diffIDs of what is in them.
    pairs: BTreeSet<(Digest, Digest)>,
}

impl Proof {
    /// Adds that this blob holds this layer, which is in the store or lies in a session.
    pub(crate) fn add(&mut self, blob: Digest, diff_id: Digest, fresh: Option<&Fresh>) {
        self.pairs.insert((blob, diff_id));
        self.fresh.extend(fresh.map(|fresh| (diff_id, fresh.clone())));
    }
}

impl Store {
    /// Takes all proposed images in, or none. `proof`: what is proven of them already.
    pub(crate) fn admit(
        &self,
        session: &Session,
        proposals: &[Proposal],
        mut proof: Proof,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Arc<Image>>> {
        let pinned = self.pin(wanted(proposals)?);
        proof.pairs.extend(self.known_pairs());
        for proposal in proposals {
            let what = format!("image {}", shown(proposal));
            self.prove(session, proposal, &mut proof, progress).map_err(|e| e.within(what))?;
        }
        if !proof.fresh.is_empty() {
            sync(session)?;
        }
        let fresh: Vec<Fresh> = proof.fresh.into_values().collect();
        let committed = self.commit(session, proposals, &fresh);
        if committed.is_err() {
            // What was moved already has no owner.
            drop(pinned);
            let _ = self.sweep(&self.change());
        }
        committed
    }

    /// Unpacks again what images need and the disk lost. Answers what stands in the way, one sentence per image: it is kept, for
    /// a full disk passes, and loading the image again repairs it.
    pub(crate) fn restore_layers(&self) -> Vec<String> {
        let list = self.images();
        let lost = |image: &&Arc<Image>| image.layers.iter().any(|layer| !self.0.layers.has(layer));
        let broken: Vec<_> = list.iter().filter(lost).cloned().collect();
        let mut found = Vec::new();
        for image in &broken {
            if let Err(e) = self.restore_image(image) {
                let name = image.references.first().map_or_else(|| image.id.to_string(), Reference::familiar);
                found.push(format!("image {name} lacks layers until it is loaded again: {e}"));
            }
        }
        found
    }

    fn restore_image(&self, image: &Image) -> Result<()> {
        let session = self.0.ingest.session()?;
        let mut proof = Proof::default();
        for (blob, diff_id) in image.blobs.iter().zip(&image.layers) {
            let source = Source { digest: *blob, spooled: None };
            self.prove_layer(&session, &source, diff_id, &mut proof, &mut |_| ())?;
        }
        sync(&session)?;
        let fresh: Vec<Fresh> = proof.fresh.into_values().collect();
        self.0.layers.commit(&fresh)?;
        let naming = Naming {
            media_type: image.manifest_type.clone(),
            references: image.references.clone(),
            foreign: image.foreign_manifest,
        };
        let whole = Arc::new(self.read_image(&image.manifest, &naming)?);
        let change = self.change();
        let others = self.images();
        self.publish(
            &change,
            ImageList::new(others.iter().filter(|i| i.id != image.id).cloned().chain([whole])),
        )
    }

    /// Unpacks a layer of which nobody said a diffID; answers it. Only its end mark tells that it was not cut on the way.
    pub(crate) fn discover(&self, session: &Session, layer: &Spooled, proof: &mut Proof) -> Result<Digest> {
        let file = File::open(&layer.path).map_err(|e| Error::call("cannot read back the archive", e))?;
        let limits = Limits { need_end: true, ..self.0.options.tar.clone() };
        let (tree, done, diff_id) = self.unpack(session, file, &limits, None, &mut |_| ())?;
        proof.add(layer.digest, diff_id, Some(&self.0.layers.finish(session, tree, diff_id, done)?));
        Ok(diff_id)
    }

    fn known_pairs(&self) -> BTreeSet<(Digest, Digest)> {
        let list = self.images();
        let pairs = |image: &Arc<Image>| -> Vec<_> {
            image.blobs.iter().copied().zip(image.layers.iter().copied()).collect()
        };
        list.iter().flat_map(pairs).collect()
    }

    fn prove(
        &self,
        session: &Session,
        proposal: &Proposal,
        proof: &mut Proof,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let (_, diff_ids) = parse_config(&proposal.config, "its configuration")?;
        if diff_ids.len() > self.0.options.image_layers {
            let most = self.0.options.image_layers;
            return Err(Error::invalid(format!(
                "it has {} layers; at most {most} can be stacked",
                diff_ids.len()
            )));
        }
        for (index, (source, diff_id)) in proposal.layers.iter().zip(&diff_ids).enumerate() {
            self.prove_layer(session, source, diff_id, proof, progress)
                .map_err(|e| e.within(format!("layer {} of {}", index + 1, diff_ids.len())))?;
        }
        Ok(())
    }

    fn prove_layer(
        &self,
        session: &Session,
        source: &Source,
        diff_id: &Digest,
        proof: &mut Proof,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let there = proof.fresh.contains_key(diff_id) || self.0.layers.has(diff_id);
        let file = self.open_source(source)?;
        if there {
            if !proof.pairs.contains(&(source.digest, *diff_id)) {
                compare(diff_id, &inflate_and_hash(file, Bound::layer(&self.0.options))?)?;
            }
            progress(Progress::Present { layer: *diff_id });
        } else {
            // A plain layer was hashed when it was spooled just now.
            let spooled = source.spooled.as_ref().filter(|spooled| spooled.path.starts_with(session.dir()));
            let raw = spooled.map(|spooled| spooled.digest);
            let fresh = self.unpack_layer(session, file, diff_id, raw, progress)?;
            proof.fresh.insert(*diff_id, fresh);
            progress(Progress::Unpacked { layer: *diff_id });
        }
        proof.pairs.insert((source.digest, *diff_id));
        Ok(())
    }

    fn open_source(&self, source: &Source) -> Result<File> {
        match &source.spooled {
            // Of what arrived for several images at once, the first that was committed has moved the blob.
            Some(spooled) if spooled.path.exists() => {
                File::open(&spooled.path).map_err(|e| Error::call("cannot read back a layer", e))
            }
            _ => self.0.blobs.open_blob(&source.digest).map_err(|e| match e.kind() {
                Kind::NotFound => Error::invalid(format!("its blob {} is not in the archive", source.digest)),
                _ => e,
            }),
        }
    }

    fn unpack_layer(
        &self,
        session: &Session,
        file: File,
        diff_id: &Digest,
        raw: Option<Digest>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Fresh> {
        let mut bytes = 0;
        let limits = &self.0.options.tar;
        let (tree, done, found) = self.unpack(session, file, limits, raw, &mut |count| {
            bytes += count;
            progress(Progress::Unpacking { layer: *diff_id, bytes });
        })?;
        compare(diff_id, &found)?;
        self.0.layers.finish(session, tree, *diff_id, done)
    }

    /// Unpacks a layer into the session; answers where, what it came to, and its diffID. `raw`: the digest of the blob, where somebody hashes it.
    pub(crate) fn unpack(
        &self,
        session: &Session,
        blob: impl Read + Send,
        limits: &Limits,
        raw: Option<Digest>,
        advance: &mut dyn FnMut(u64),
    ) -> Result<(PathBuf, Unpacked, Digest)> {
        let (path, tree) = self.0.layers.begin(session)?;
        let work = |input: &mut dyn Read| tree::unpack(input, tree, limits, self.space(), advance);
        let (done, digest) = with_inflated(blob, Bound::layer(&self.0.options), raw, work)?;
        Ok((path, done, digest))
    }

    fn commit(&self, session: &Session, proposals: &[Proposal], fresh: &[Fresh]) -> Result<Vec<Arc<Image>>> {
        let change = self.change();
        self.0.layers.commit(fresh)?;
        let mut list = (*self.images()).clone();
        let mut images = Vec::new();
        for proposal in proposals {
            let image = match list.get(&proposal.id) {
                Some(known) => {
                    self.repair_blobs(known, proposal)?;
                    Arc::clone(known)
                }
                None => Arc::new(self.commit_image(session, proposal)?),
            };
            list = ImageList::new(list.iter().cloned().chain([Arc::clone(&image)]));
            for name in &proposal.references {
                list = crate::image::with_name(&list, image.id, name);
            }
            images.push(image.id);
        }
        self.0.blobs.sync()?;
        self.publish(&change, list)?;
        let list = self.images();
        Ok(images.iter().filter_map(|id| list.get(id).cloned()).collect())
    }

    /// An image that is there already gets those of its blobs again that were cut or lost.
    fn repair_blobs(&self, known: &Image, proposal: &Proposal) -> Result<()> {
        let spooled = proposal.layers.iter().filter_map(|source| source.spooled.as_ref());
        for blob in spooled.filter(|s| known.blobs.contains(&s.digest)) {
            if self.0.blobs.size(&blob.digest) != Some(blob.size) {
                self.0.blobs.commit(blob)?;
            }
        }
        Ok(())
    }

    fn commit_image(&self, session: &Session, proposal: &Proposal) -> Result<Image> {
        for spooled in proposal.layers.iter().filter_map(|source| source.spooled.as_ref()) {
            self.0.blobs.commit(spooled)?;
        }
        for document in [&proposal.config, &proposal.manifest] {
            let path = session.path();
            std::fs::write(&path, document).map_err(|e| Error::call("cannot store a document", e))?;
            let spooled = Spooled { path, digest: digest_of(document), size: document.len() as u64 };
            self.0.blobs.commit(&spooled)?;
        }
        let naming = Naming {
            media_type: proposal.manifest_type.clone(),
            references: Vec::new(),
            foreign: proposal.foreign,
        };
        self.read_image(&digest_of(&proposal.manifest), &naming)
    }
}

/// All that was unpacked, onto the disk: one call for any number of files.
fn sync(session: &Session) -> Result<()> {
    let fail = |e: std::io::Error| Error::call("cannot sync the layers", e);
    let dir = File::open(session.dir()).map_err(fail)?;
    rustix::fs::syncfs(&dir).map_err(|e| fail(e.into()))
}

/// Everything that the proposals name.
fn wanted(proposals: &[Proposal]) -> Result<Vec<Digest>> {
    let mut digests = Vec::new();
    for proposal in proposals {
        let (_, diff_ids) = parse_config(&proposal.config, "a configuration")?;
        digests.extend(diff_ids);
        digests.extend(proposal.layers.iter().map(|source| source.digest));
        digests.extend([proposal.id, digest_of(&proposal.manifest)]);
    }
    Ok(digests)
}

fn shown(proposal: &Proposal) -> String {
    match proposal.references.first() {
        Some(name) => name.familiar(),
        None => proposal.id.to_string(),
    }
}

fn compare(want: &Digest, found: &Digest) -> Result<()> {
    if want == found {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "its content has the digest {found}, but the configuration says diffID {want}: the archive is damaged"
    )))
}
