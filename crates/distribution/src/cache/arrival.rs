//! Blobs that a cache is fetching: one download however many ask, and everybody reads along while it comes. The last piece is given
//! out only when the whole has the right digest: nobody gets all of a wrong blob.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use types::Kind;

use super::{Cache, away, only_sha256};
use crate::code::{Code, Refusal};
use crate::depot;
use crate::digest::Digest;
use crate::name::Name;
use crate::site::Site;

/// How far a download is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// There once the first bytes are.
    file: Option<Arc<File>>,
    bytes: u64,
    end: Option<Result<(), Refusal>>,
}

/// A blob that is coming in.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
    progress: watch::Receiver<Progress>,
}

impl Arrival {
    /// Waits until so many bytes are there; for all of them, until they are known to be the right ones.
    pub(crate) async fn wait(mut self, bytes: u64) -> io::Result<()> {
        let there = |now: &Progress| now.end.is_some() || (now.bytes >= bytes && bytes < self.size);
        let now = self.progress.wait_for(there).await.map_err(io::Error::other)?;
        match &now.end {
            Some(Err(refusal)) => Err(io::Error::other(refusal.message.clone())),
            _ => Ok(()),
        }
    }
}

impl Cache {
    /// Sees to it that a blob is here, if a manifest that is here names it. One that is on its way can be read along.
    pub(crate) async fn blob(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &Name,
        digest: Digest,
    ) -> Result<Option<Arrival>, Refusal> {
        loop {
            let Some(size) = self.missing(site, name, digest).await? else { return Ok(None) };
            let Some(mut progress) = self.follow(site, name, digest, size)? else { continue };
            let ready = progress.wait_for(|now| now.end.is_some() || now.file.is_some()).await;
            let now = ready.map_err(|_| Refusal::new(Code::Unknown, "the fetch ended in a fault"))?.clone();
            match (now.end, now.file) {
                // Also for another repository, that gets it from there in the next round.
                (Some(Ok(())), _) | (None, None) => {}
                (Some(Err(refusal)), _) => return Err(refusal),
                (None, Some(file)) => return Ok(Some(Arrival { file, size, progress })),
            }
        }
    }

    /// The size of a blob that upstream has and that need not be here, for whoever only asks about it.
    pub(crate) async fn blob_size(
        &self,
        site: &Site,
        name: &Name,
        digest: Digest,
    ) -> Result<Option<u64>, Refusal> {
        let Some(size) = self.missing(site, name, digest).await? else { return Ok(None) };
        let wanted = digest.for_client().ok_or_else(only_sha256)?;
        let there = self.repository(name)?.has_blob(&wanted).await.map_err(away)?;
        Ok(Some(size).filter(|_| there))
    }

    /// The size of a blob that must be fetched: not when the repository has it, gets it from a neighbour, or no manifest names it.
    async fn missing(&self, site: &Site, name: &Name, digest: Digest) -> Result<Option<u64>, Refusal> {
        let (here, size, holder) = site.depot.read(|db| {
            let size = depot::needed_size(db, name, digest)?;
            Ok((depot::blob(db, name, digest)?, size, depot::holder(db, digest)?))
        })?;
        if here.is_some() {
            site.metrics.cached(true);
            return Ok(None);
        }
        let Some(holder) = holder.filter(|_| size.is_some()).and_then(|name| name.parse::<Name>().ok())
        else {
            return Ok(size);
        };
        let to = name.clone();
        let mounted = site.depot.change(move |batch| batch.mount(&to, &holder, digest)).await?;
        Ok(size.filter(|_| !mounted))
    }

    /// The download of a blob, begun if nobody did. Nothing when it ended this moment.
    fn follow(
        self: &Arc<Self>,
        site: &Arc<Site>,
        name: &Name,
        digest: Digest,
        size: u64,
    ) -> Result<Option<watch::Receiver<Progress>>, Refusal> {
        let mut fetching = self.fetching();
        if let Some(progress) = fetching.get(&digest) {
            return Ok(Some(progress.clone()));
        }
        // It leaves the list after it is recorded.
        if site.depot.read(|db| depot::holder(db, digest))?.is_some() {
            return Ok(None);
        }
        site.metrics.cached(false);
        let (tell, progress) = watch::channel(Progress::default());
        fetching.insert(digest, progress.clone());
        // A task of its own: the client that asked first may go, others wait for the same.
        let (cache, site, name) = (self.clone(), site.clone(), name.clone());
        tokio::spawn(async move {
            let end = cache.fetch_blob(&site, name, digest, size, &tell).await;
            if let Err(refusal) = &end {
                tracing::warn!(%digest, why = refusal.message, "a blob did not come in from upstream");
            }
            cache.fetching().remove(&digest);
            tell.send_modify(|now| now.end = Some(end));
        });
        Ok(Some(progress))
    }

    async fn fetch_blob(
        &self,
        site: &Site,
        name: Name,
        digest: Digest,
        size: u64,
        tell: &watch::Sender<Progress>,
    ) -> Result<(), Refusal> {
        let wanted = digest.for_client().ok_or_else(only_sha256)?;
        let blob = self.repository(&name)?.blob(&wanted, size, 0).await;
        let mut blob = blob.map_err(|error| match error.kind() {
            Kind::NotFound => Refusal::new(Code::BlobUnknown, "upstream does not have this blob"),
            _ => away(error),
        })?;
        let mut held = site.uploads.unnamed(digest.algorithm()).await?;
        while let Some(bytes) = blob.chunk().await.map_err(away)? {
            held = site.uploads.append(held, bytes).await?;
            tell.send_modify(|now| (now.file, now.bytes) = (held.file(), held.offset()));
        }
        let spooled = site
            .uploads
            .finish(held, digest)
            .await
            .map_err(|refusal| Refusal { status: Some(hyper::StatusCode::BAD_GATEWAY), ..refusal })?;
        site.depot.change(move |batch| batch.add_blob(&name, &spooled)).await
    }
}
