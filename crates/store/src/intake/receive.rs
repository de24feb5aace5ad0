//! One layer on its way in: received, hashed, inflated, hashed again and unpacked at the same time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::thread;

use bytes::Bytes;
use types::{Digest, Kind};

use super::Layer;
use super::growing::{Growing, Writing};
use crate::Store;
use crate::error::{Error, Result};
use crate::ingest::{Session, Spooled};
use crate::layers::Fresh;
use crate::partial::Claim;
use crate::stream::{Bound, Hasher, inflate_and_hash};

/// A blob is written back in pieces of so many bytes.
const STRIDE: u64 = 4 << 20;

/// How far a layer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// So many bytes of its blob are there.
    Received(u64),
    /// Its blob is there, and has the digest that was promised.
    Verified,
    /// So many bytes of its blob were inflated and unpacked.
    Unpacked(u64),
    /// It cannot be had.
    Failed,
}

/// A layer that is about to come.
pub struct Receiving {
    store: Store,
    layer: Layer,
    session: Session,
    origin: Origin,
}

enum Origin {
    /// What is missing comes from outside.
    Outside { claim: Claim, file: File, have: u64 },
    /// The store has the blob already, but not what is in it.
    Store,
}

/// A layer that came, is proven and unpacked, but belongs to no image yet. It goes when it is dropped; its blob waits a day.
pub struct Arrived {
    pub(super) layer: Layer,
    /// `None`: the store had what is in it.
    pub(super) fresh: Option<Fresh>,
    /// `None`: the store had the blob.
    pub(super) spooled: Option<Spooled>,
    _claim: Option<Claim>,
    _session: Session,
}

impl Store {
    /// Begins to receive a layer, or goes on with what an earlier try left of it.
    ///
    /// # Errors
    /// `Conflict` when it is being received already; `Exhausted` when there is no room for it.
    pub fn receive(&self, layer: &Layer) -> Result<Receiving> {
        // Also when only what was removed a moment ago makes room for any file at all.
        self.space().require(0)?;
        let session = self.0.ingest.session()?;
        let origin = if self.0.blobs.size(&layer.blob) == Some(layer.size) {
            Origin::Store
        } else {
            let claim = self.0.partials.claim(&layer.blob)?;
            let (file, have) = claim.open(layer.size)?;
            self.space().require(layer.size - have)?;
            Origin::Outside { claim, file, have }
        };
        Ok(Receiving { store: self.clone(), layer: *layer, session, origin })
    }
}

impl Receiving {
    /// The bytes of the blob that are there already: the next one wanted. As many as the blob has when nothing is missing.
    #[must_use]
    pub fn have(&self) -> u64 {
        match &self.origin {
            Origin::Outside { have, .. } => *have,
            Origin::Store => self.layer.size,
        }
    }

    /// Receives the rest of the blob, piece by piece, and unpacks it. `next` answers `None` at the end, and may block; it is not asked
    /// when the store has the blob. `tell` hears how it goes, and says whether anybody still wants it.
    ///
    /// # Errors
    /// `Corrupt` when the blob is not what was promised; else what unpacking failed of, or what `next` said: then what came
    /// stays for the next try.
    pub fn run<E: From<Error>>(
        self,
        next: &mut dyn FnMut() -> Result<Option<Bytes>, E>,
        tell: &(dyn Fn(Step) -> bool + Sync),
    ) -> Result<Arrived, E> {
        let Self { store, layer, session, origin } = self;
        let (fresh, claim) = match origin {
            Origin::Store => (unpack_stored(&store, &session, &layer, tell)?, None),
            Origin::Outside { claim, file, have } => {
                let work = Work { store: &store, session: &session, layer: &layer, tell };
                match work.run(&claim, file, have, next) {
                    Ok(fresh) => (fresh, Some(claim)),
                    Err(Stopped::Outside(error)) => return Err(error),
                    Err(Stopped::Here(error)) => {
                        // It is as good as before when it only was not wanted any more.
                        if tell(Step::Failed) {
                            claim.spoil();
                        }
                        return Err(error.into());
                    }
                }
            }
        };
        let spooled = claim.as_ref().map(|claim| {
            let path = claim.path().to_owned();
            Spooled { path, digest: layer.blob, size: layer.size }
        });
        Ok(Arrived { layer, fresh, spooled, _claim: claim, _session: session })
    }
}

/// Why a layer did not arrive.
enum Stopped<E> {
    /// Nothing more came.
    Outside(E),
    /// It could not be taken.
    Here(Error),
}

impl<E> From<Error> for Stopped<E> {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

struct Work<'a> {
    store: &'a Store,
    session: &'a Session,
    layer: &'a Layer,
    tell: &'a (dyn Fn(Step) -> bool + Sync),
}

impl Work<'_> {
    fn run<E>(
        &self,
        claim: &Claim,
        file: File,
        have: u64,
        next: &mut dyn FnMut() -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Fresh>, Stopped<E>> {
        let growing = Growing::default();
        if self.layer.is_opaque {
            self.receive(file, have, &growing.write(), next)?;
            return Ok(None);
        }
        let blob = File::open(claim.path()).map_err(|e| cannot_store(self.layer, e))?;
        let (received, unpacked) = thread::scope(|scope| {
            let unpacking = scope.spawn(|| {
                let blob = growing.follow(blob, |bytes| (self.tell)(Step::Unpacked(bytes)));
                let _turn = self.store.0.turns.wait();
                unpack(self.store, self.session, self.layer, blob, Some(self.layer.blob))
            });
            let received = self.receive(file, have, &growing.write(), next);
            let panicked = |_| Error::corrupt("the thread that unpacks the layer panicked");
            (received, unpacking.join().map_err(panicked).flatten())
        });
        match received {
            // Unpacking failed of that, too.
            Err(stopped) => Err(stopped),
            Ok(true) => Ok(unpacked?),
            Ok(false) => Err(match unpacked.err() {
                // What an earlier try left may have rotted: that is no fault of the image, and the next try begins anew.
                Some(error) if have == 0 || error.kind() != Kind::InvalidInput => error,
                _ => self.damaged(),
            }
            .into()),
        }
    }

    /// Writes and hashes what comes. False: nobody reads it any more, because unpacking failed.
    fn receive<E>(
        &self,
        mut file: File,
        have: u64,
        growing: &Writing<'_>,
        next: &mut dyn FnMut() -> Result<Option<Bytes>, E>,
    ) -> Result<bool, Stopped<E>> {
        growing.grew(have);
        let mut hasher = Hasher::new();
        self.hash_present(&file, have, &mut hasher)?;
        let (mut size, mut space) = (have, self.store.space());
        let (mut begun, mut trail) = (have, self.store.trail());
        while let Some(bytes) = next().map_err(Stopped::Outside)? {
            size += bytes.len() as u64;
            if size > self.layer.size {
                return Err(self.damaged().into());
            }
            file.write_all(&bytes).map_err(|e| cannot_store(self.layer, e))?;
            space.wrote(bytes.len() as u64)?;
            if !growing.grew(size) {
                return Ok(false);
            }
            hasher.update(&bytes);
            if size - begun >= STRIDE {
                let own = file.try_clone().map_err(|e| cannot_store(self.layer, e))?;
                trail.add(own.into(), begun, size - begun);
                begun = size;
            }
            (self.tell)(Step::Received(size));
        }
        if size != self.layer.size || hasher.finish() != self.layer.blob {
            return Err(self.damaged().into());
        }
        (self.tell)(Step::Verified);
        growing.finish();
        Ok(true)
    }

    /// What an earlier try left proves nothing by being there.
    fn hash_present(&self, file: &File, mut left: u64, hasher: &mut Hasher) -> Result<()> {
        let mut present = file.take(left);
        let mut chunk = vec![0; 256 << 10];
        while left > 0 {
            let count = present.read(&mut chunk).map_err(|e| cannot_store(self.layer, e))?;
            if count == 0 {
                return Err(self.damaged());
            }
            hasher.update(&chunk[..count]);
            left -= count as u64;
        }
        Ok(())
    }

    /// In Docker's words.
    fn damaged(&self) -> Error {
        let digest = self.layer.blob;
        Error::new(Kind::Corrupt, format!("filesystem layer verification failed for digest {digest}"))
    }
}

/// Unpacks a blob that the store has. It was not hashed just now, so all that is in it is.
fn unpack_stored(
    store: &Store,
    session: &Session,
    layer: &Layer,
    tell: &(dyn Fn(Step) -> bool + Sync),
) -> Result<Option<Fresh>> {
    if layer.is_opaque {
        return match digest_of_file(store.0.blobs.open_blob(&layer.blob)?)? == layer.blob {
            true => Ok(None),
            false => Err(Error::corrupt(format!("blob {} in the store is damaged", layer.blob))),
        };
    }
    let growing = Growing::default();
    let writing = growing.write();
    writing.grew(layer.size);
    writing.finish();
    let blob = growing.follow(store.0.blobs.open_blob(&layer.blob)?, |bytes| tell(Step::Unpacked(bytes)));
    let _turn = store.0.turns.wait();
    unpack(store, session, layer, blob, None)
}

/// What is in the blob. `None`: the store has that, and it was only compared.
fn unpack(
    store: &Store,
    session: &Session,
    layer: &Layer,
    blob: impl Read + Send,
    raw: Option<Digest>,
) -> Result<Option<Fresh>> {
    let inner = &store.0;
    let (found, unpacked) = if inner.layers.has(&layer.diff_id) {
        (inflate_and_hash(blob, Bound::layer(&inner.options))?, None)
    } else {
        let (tree, done, found) = store.unpack(session, blob, &inner.options.tar, raw, &mut |_| ())?;
        (found, Some((tree, done)))
    };
    if found != layer.diff_id {
        return Err(Error::new(
            Kind::Corrupt,
            format!(
                "layers from manifest don't match image configuration: blob {} holds the layer {found}, not {}",
                layer.blob, layer.diff_id
            ),
        ));
    }
    unpacked.map(|(tree, done)| inner.layers.finish(session, tree, layer.diff_id, done)).transpose()
}

fn digest_of_file(mut file: File) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match file.read(&mut chunk).map_err(|e| Error::call("cannot read a blob of the store", e))? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&chunk[..count]),
        }
    }
}

fn cannot_store(layer: &Layer, e: io::Error) -> Error {
    Error::call(format!("cannot store blob {}", layer.blob), e)
}
