//! Making whole what a check found broken.

use std::time::{SystemTime, UNIX_EPOCH};

use types::Digest;

use super::{Check, Missing, compare, mounted, some, told};
use crate::error::Result;
use crate::ingest::{Session, Spooled};
use crate::layers::Fresh;
use crate::stream::digest_of;

impl Check<'_, '_> {
    /// Gets a blob again: from memory when it is a document that is held there, else from elsewhere.
    pub(super) fn refill(
        &mut self,
        missing: &Missing,
        known: Option<&[u8]>,
    ) -> std::result::Result<String, String> {
        let session = self.store.0.ingest.session().map_err(|e| told(&e))?;
        let held = known.filter(|document| digest_of(document) == missing.digest);
        let (spooled, how) = match held {
            Some(mut document) => (self.spool(&session, &mut document), "written again"),
            None => {
                let fetch = self.fetch.as_mut().ok_or("nobody can fetch it")?;
                let mut input = fetch(missing)?;
                (self.spool(&session, &mut *input), "pulled again")
            }
        };
        let spooled = spooled.map_err(|e| told(&e))?;
        if spooled.digest != missing.digest {
            return Err(format!("what was got has the digest {}", spooled.digest));
        }
        let blobs = &self.store.0.blobs;
        blobs.commit(&spooled).and_then(|()| blobs.sync()).map_err(|e| told(&e))?;
        self.broken.remove(&missing.digest);
        Ok(how.into())
    }

    fn spool(&self, session: &Session, input: &mut dyn std::io::Read) -> Result<Spooled> {
        session.spool(input, &mut self.store.space())
    }

    /// A layer beside what its blob unpacks to, which takes its place when they differ.
    pub(super) fn layer(&mut self, layer: &Digest, blob: &Digest, names: &str) -> Result<()> {
        let whole = !self.broken.contains(blob);
        let there = self.store.0.layers.has(layer);
        if !whole {
            let state = if there { "cannot be compared" } else { "is missing" };
            let what = format!("layer {layer} of {names} {state}: its blob {blob} is not whole");
            self.fault(what, |_| Err("load or pull the image again".into()));
            return Ok(());
        }
        // Files are dated by a clock that is some milliseconds behind.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let since = now.saturating_sub(2);
        let session = self.store.0.ingest.session()?;
        let fresh = self.store.unpack_again(&session, layer, blob)?;
        let clauses = if there {
            compare::differences(fresh.tree(), &self.store.0.layers.path(layer), since.cast_signed())
                .map_err(|e| crate::Error::call(format!("cannot compare layer {layer}"), e))?
        } else {
            vec!["it is missing".into()]
        };
        if !clauses.is_empty() {
            let what = format!("layer {layer} of {names} is damaged: {}", some(&clauses));
            self.fault(what, |check| check.replace(&session, layer, fresh));
        }
        Ok(())
    }

    fn replace(
        &self,
        session: &Session,
        layer: &Digest,
        fresh: Fresh,
    ) -> std::result::Result<String, String> {
        let layers = &self.store.0.layers;
        let name = layers.path(layer).file_name().map(|name| name.to_string_lossy().into_owned());
        if !mounted::mounted(&name.into_iter().collect::<Vec<_>>()).is_empty() {
            return Err("a container that runs looks through it; stop it first".into());
        }
        let change = self.store.change();
        let done = layers.replace(session, fresh);
        drop(change);
        done.map_err(|e| told(&e))?;
        Ok("unpacked again from its blob".into())
    }
}
