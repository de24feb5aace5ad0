//! Proving proposed images and taking them in: every layer is unpacked and its diffID compared; then all is committed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;

use layer::Limits;
use types::{Digest, Kind, Reference};

use super::{Part, Progress, Proposal, Source};
use crate::Store;
use crate::error::{Error, Result};
use crate::image::{Image, ImageList, Kept, Target, parse_config};
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
            for part in &proposal.parts {
                self.prove(session, part, &mut proof, progress).map_err(|e| e.within(&what))?;
            }
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
        let change = self.change();
        let list = self.images();
        let mut whole = Vec::new();
        for target in list.targets_with(image.id) {
            whole.push(Arc::new(self.read_target(&target.digest, &Kept::from(&**target))?));
        }
        let others =
            list.targets().filter(|target| !whole.iter().any(|w| w.digest == target.digest)).cloned();
        self.publish(&change, ImageList::new(others.chain(whole.iter().cloned()).collect::<Vec<_>>()))
    }

    /// Unpacks a layer of which nobody said a diffID; answers it. Only its end mark tells that it was not cut on the way.
    pub(crate) fn discover(&self, session: &Session, layer: &Spooled, proof: &mut Proof) -> Result<Digest> {
        let file = File::open(&layer.path).map_err(|e| Error::call("cannot read back the archive", e))?;
        let limits = Limits { need_end: true, ..self.0.options.tar.clone() };
        let (tree, done, diff_id) = self.unpack(session, file, &limits, None, &mut |_| ())?;
        proof.add(layer.digest, diff_id, Some(&self.0.layers.finish(session, tree, diff_id, done)?));
        Ok(diff_id)
    }

    /// Unpacks a layer of the store into the session, onto the disk, whether it is there already or not.
    pub(crate) fn unpack_again(&self, session: &Session, layer: &Digest, blob: &Digest) -> Result<Fresh> {
        let file = self.0.blobs.open_blob(blob)?;
        let fresh = self.unpack_layer(session, file, layer, None, &mut |_| ())?;
        sync(session)?;
        Ok(fresh)
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
        part: &Part,
        proof: &mut Proof,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let Some(config) = &part.config else {
            // What is not unpacked has only to be there: it was hashed when it was spooled.
            return part.blobs.iter().try_for_each(|source| self.open_source(source).map(|_| ()));
        };
        let (_, diff_ids) = parse_config(config, "its configuration")?;
        if diff_ids.len() > self.0.options.image_layers {
            let most = self.0.options.image_layers;
            return Err(Error::invalid(format!(
                "it has {} layers; at most {most} can be stacked",
                diff_ids.len()
            )));
        }
        for (index, (source, diff_id)) in part.blobs.iter().zip(&diff_ids).enumerate() {
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
        let work =
            |input: &mut dyn BufRead| tree::unpack(input, tree, limits, self.space(), self.trail(), advance);
        let (done, digest) = with_inflated(blob, Bound::layer(&self.0.options), raw, work)?;
        Ok((path, done, digest))
    }

    fn commit(&self, session: &Session, proposals: &[Proposal], fresh: &[Fresh]) -> Result<Vec<Arc<Image>>> {
        let change = self.change();
        self.0.layers.commit(fresh)?;
        let mut list = (*self.images()).clone();
        let mut taken = Vec::new();
        for proposal in proposals {
            let target = match known_image(&list, proposal) {
                Some(target) => {
                    self.repair_blobs(&target, proposal)?;
                    target
                }
                None => Arc::new(self.commit_target(session, proposal, &list)?),
            };
            let others = list.targets().filter(|known| known.digest != target.digest).cloned();
            list = ImageList::new(others.chain([Arc::clone(&target)]).collect::<Vec<_>>());
            for name in &proposal.references {
                list = crate::image::with_name(&list, target.digest, name);
            }
            taken.push(target.digest);
        }
        self.0.blobs.sync()?;
        self.publish(&change, list)?;
        let list = self.images();
        let pairs = taken.iter().zip(proposals);
        Ok(pairs.filter_map(|(target, proposal)| stands_for(list.target(target)?, proposal)).collect())
    }

    fn commit_target(&self, session: &Session, proposal: &Proposal, list: &ImageList) -> Result<Target> {
        let digest = proposal.target.digest();
        let known = list.target(&digest);
        let mut kept = known.map_or_else(Kept::default, |known| Kept::from(&**known));
        for part in &proposal.parts {
            let has = known.is_some_and(|known| known.images().any(|i| i.manifest == part.manifest.digest()));
            for blob in part.blobs.iter().filter_map(|source| source.spooled.as_ref()) {
                // What was here already is written again only where it was cut or lost.
                if !has || self.0.blobs.size(&blob.digest) != Some(blob.size) {
                    self.0.blobs.commit(blob)?;
                }
            }
        }
        for document in proposal.documents() {
            self.commit_document(session, document)?;
        }
        kept.media_type.clone_from(&proposal.target.media_type);
        kept.foreign |= proposal.foreign;
        kept.here.extend(proposal.parts.iter().map(|part| part.manifest.digest()));
        kept.repositories.extend(proposal.repositories.iter().cloned());
        self.read_target(&digest, &kept)
    }

    /// An image that is here already gets those of its blobs again that were cut or lost.
    fn repair_blobs(&self, known: &Target, proposal: &Proposal) -> Result<()> {
        let spooled =
            proposal.parts.iter().flat_map(|part| &part.blobs).filter_map(|source| source.spooled.as_ref());
        for blob in spooled.filter(|s| known.images().any(|image| image.blobs.contains(&s.digest))) {
            if self.0.blobs.size(&blob.digest) != Some(blob.size) {
                self.0.blobs.commit(blob)?;
            }
        }
        Ok(())
    }

    fn commit_document(&self, session: &Session, document: &[u8]) -> Result<()> {
        let digest = digest_of(document);
        if self.0.blobs.document(&digest, self.0.options.document_bytes).is_ok() {
            return Ok(());
        }
        let path = session.path();
        std::fs::write(&path, document).map_err(|e| Error::call("cannot store a document", e))?;
        self.0.blobs.commit(&Spooled { path, digest, size: document.len() as u64 })
    }
}

/// A manifest that was made here says nothing new of an image that is here: only the names are.
fn known_image(list: &ImageList, proposal: &Proposal) -> Option<Arc<Target>> {
    let [part] = &proposal.parts[..] else { return None };
    let image = list.get(&part.id).filter(|_| !proposal.foreign)?;
    list.target(&image.target).filter(|target| target.image().is_some_and(|own| own.id == part.id)).cloned()
}

/// The image that stands for what was taken in.
fn stands_for(target: &Target, proposal: &Proposal) -> Option<Arc<Image>> {
    let is_new = |image: &&Arc<Image>| proposal.parts.iter().any(|part| part.id == image.id);
    let own = target.image().filter(is_new);
    let runs = || target.images().find(|image| is_new(image) && image.is_runnable());
    own.or_else(runs).or_else(|| target.images().find(is_new)).or_else(|| target.image()).cloned()
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
        digests.extend(proposal.documents().map(digest_of));
        for part in &proposal.parts {
            digests.extend(part.blobs.iter().map(|source| source.digest));
            if let Some(config) = &part.config {
                digests.extend(parse_config(config, "a configuration")?.1);
            }
        }
    }
    Ok(digests)
}

fn shown(proposal: &Proposal) -> String {
    match (proposal.references.first(), proposal.parts.first()) {
        (Some(name), _) => name.familiar(),
        (None, Some(part)) => part.id.to_string(),
        (None, None) => proposal.target.digest().to_string(),
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
