//! What refers to an image: signatures, attestations, other artifacts (distribution-spec, Listing Referrers), and the tag that
//! stands for the list where a registry has none.

use hyper::Method;
use hyper::header::{ACCEPT, HeaderValue};
use oci::image::{Descriptor, Index, media};
use types::{Digest, Kind};

use super::Repository;
use super::subject::tag_of;
use crate::error::{Error, Result};
use crate::exchange::Ask;
use crate::hosts::Capability;
use crate::http::Url;
use crate::page::{PAGES, read_page};

impl Repository {
    /// The manifests that name `digest` as their subject; with an artifact type, only those of that type.
    ///
    /// # Errors
    /// When the registry cannot be asked. A registry that knows nothing of referrers has none.
    pub async fn referrers(&self, digest: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        let mut all = match self.referrers_list(digest, artifact_type).await {
            Err(error) if error.kind() == Kind::NotFound || error.status() == Some(405) => {
                self.referrers_tag(digest).await?
            }
            listed => listed?,
        };
        // Registries may leave the filter to us.
        all.retain(|one| artifact_type.is_none_or(|wanted| one.artifact_type == wanted));
        Ok(all)
    }

    async fn referrers_list(&self, digest: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        let (mut all, mut next) = (Vec::new(), None::<Url>);
        for _ in 0..PAGES {
            let answer = self
                .ask(Capability::Pull, &[200], |endpoint| {
                    let first = || {
                        let url = self.url(endpoint, &format!("/referrers/{digest}"));
                        artifact_type.map_or(url.clone(), |of| url.with_query("artifactType", of))
                    };
                    let mut ask = Ask::new(Method::GET, next.clone().unwrap_or_else(first));
                    ask.headers.insert(ACCEPT, HeaderValue::from_static(media::INDEX));
                    ask
                })
                .await?;
            let (index, url) = read_page::<Index>(answer).await?;
            all.extend(index.manifests);
            match url {
                Some(url) => next = Some(url),
                None => return Ok(all),
            }
        }
        Err(Error::corrupt(format!("the list of what refers to {digest} has no end")))
    }

    /// The referrers tag schema: an index under a tag made of the digest.
    async fn referrers_tag(&self, digest: &Digest) -> Result<Vec<Descriptor>> {
        let tag = tag_of(digest);
        let manifest = match self.manifest(&tag).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(Vec::new()),
            manifest => manifest?,
        };
        let index: Index = oci::image::parse(&manifest.bytes)
            .map_err(|e| Error::corrupt(format!("{}: the list cannot be read: {e}", self.shown(&tag))))?;
        Ok(index.manifests)
    }
}
