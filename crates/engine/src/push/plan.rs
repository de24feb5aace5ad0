//! What a push sends: blobs first, then the documents that name them, the one with the name last.

use std::collections::BTreeSet;

use oci::image::platform::Preference;
use oci::image::{Descriptor, Manifest, media};
use serde::Deserialize;
use store::{Image, Role, Target};
use types::{Digest, Kind};

use crate::{Error, Result};

/// A blob to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) media_type: String,
    /// People see the progress of layers.
    pub(super) is_layer: bool,
}

/// A manifest or index to send after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) digest: Digest,
    pub(super) media_type: String,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) blobs: Vec<Blob>,
    /// The last one gets the name.
    pub(super) documents: Vec<Document>,
    /// Layers that others give away, and that registries do not want.
    pub(super) foreign: Vec<Digest>,
    /// Manifests that the index names and that are not here: the registry must have them already.
    pub(super) absent: Vec<Digest>,
}

/// How a document of the store is read.
pub(super) type Read<'a> = dyn Fn(&Digest) -> Result<Vec<u8>> + 'a;

/// Everything that the target leads to.
pub(super) fn plan_all(target: &Target, read: &Read<'_>) -> Result<Plan> {
    let mut plan = Plan::default();
    for member in &target.members {
        match &member.image {
            Some(_) => plan.add(&member.digest, &member.descriptor.media_type, read)?,
            None => plan.absent.push(member.digest),
        }
    }
    // Topmost first is how they are listed; what is named must be there before whoever names it.
    let indexes: Vec<Digest> = target.documents().collect();
    for digest in indexes.into_iter().rev() {
        let media_type =
            if digest == target.digest { target.media_type.clone() } else { own_type(&read(&digest)?) };
        plan.documents.push(Document { digest, media_type });
    }
    Ok(plan)
}

/// One manifest of it.
pub(super) fn plan_one(target: &Target, image: &Image, read: &Read<'_>) -> Result<Plan> {
    let mut plan = Plan::default();
    let member = target.members.iter().find(|member| member.digest == image.manifest);
    let media_type = member.map(|member| member.descriptor.media_type.as_str()).unwrap_or_default();
    plan.add(&image.manifest, media_type, read)?;
    Ok(plan)
}

/// The image for a platform; without one, the only image that is here, if it is the only one.
pub(super) fn choose<'a>(
    target: &'a Target,
    shown: &str,
    platform: Option<&Preference>,
) -> Result<Option<&'a Image>> {
    if platform.is_some() {
        return Ok(Some(target.choose(shown, platform)?.as_ref()));
    }
    let mut here =
        target.members.iter().filter(|member| member.role == Role::Image).filter_map(|m| m.image.as_deref());
    Ok(here.next().filter(|_| here.next().is_none()))
}

impl Plan {
    fn add(&mut self, digest: &Digest, media_type: &str, read: &Read<'_>) -> Result<()> {
        let bytes = read(digest)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| Error::doing(&format!("cannot read manifest {digest}"), Kind::Corrupt, e))?;
        let known: BTreeSet<Digest> = self.blobs.iter().map(|blob| blob.digest).collect();
        let all = std::iter::once((&manifest.config, false)).chain(manifest.layers.iter().map(|l| (l, true)));
        for (descriptor, is_layer) in all {
            let blob = blob(digest, descriptor, is_layer)?;
            if is_foreign(descriptor) {
                self.foreign.push(blob.digest);
            } else if !known.contains(&blob.digest) && !self.blobs.contains(&blob) {
                self.blobs.push(blob);
            }
        }
        let named = if media_type.is_empty() { own_type(&bytes) } else { media_type.to_owned() };
        self.documents.push(Document { digest: *digest, media_type: named });
        Ok(())
    }
}

fn blob(manifest: &Digest, descriptor: &Descriptor, is_layer: bool) -> Result<Blob> {
    let bad = |why: String| Error::new(Kind::Corrupt, format!("manifest {manifest}: {why}"));
    let digest = descriptor.digest.parse().map_err(|e: types::DigestError| bad(e.to_string()))?;
    let size = u64::try_from(descriptor.size).map_err(|_| bad("a size is negative".to_owned()))?;
    Ok(Blob { digest, size, media_type: descriptor.media_type.clone(), is_layer })
}

/// Layers that must not be passed on, or that lie elsewhere.
fn is_foreign(descriptor: &Descriptor) -> bool {
    let kind = &descriptor.media_type;
    kind.contains(".nondistributable.") || kind.contains(".foreign.")
}

/// What a document calls itself.
fn own_type(bytes: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Head {
        media_type: String,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let head: Head = serde_json::from_slice(bytes).unwrap_or_default();
    match (head.media_type.is_empty(), head.manifests) {
        (false, _) => head.media_type,
        (true, Some(_)) => media::INDEX.to_owned(),
        (true, None) => media::MANIFEST.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> Digest {
        Digest::from_hash([n; 32])
    }

    #[test]
    fn blobs_come_once_and_foreign_ones_not_at_all() {
        let layer =
            |n: u8, kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{n}}}"#, digest(n));
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{},{},{},{}]}}"#,
            layer(1, media::CONFIG),
            layer(2, media::LAYER_GZIP),
            layer(3, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            layer(2, media::LAYER_GZIP),
            layer(4, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        );
        let read = |_: &Digest| Ok(manifest.clone().into_bytes());
        let mut plan = Plan::default();
        plan.add(&digest(9), "", &read).unwrap();
        plan.add(&digest(8), media::DOCKER_MANIFEST, &read).unwrap();
        let blobs: Vec<_> = plan.blobs.iter().map(|b| (b.digest, b.size, b.is_layer)).collect();
        assert_eq!(blobs, [(digest(1), 1, false), (digest(2), 2, true)]);
        assert!(plan.foreign.contains(&digest(3)) && plan.foreign.contains(&digest(4)));
        let kinds: Vec<_> = plan.documents.iter().map(|d| d.media_type.as_str()).collect();
        assert_eq!(kinds, [media::MANIFEST, media::DOCKER_MANIFEST]);
    }

    #[test]
    fn documents_call_themselves_something() {
        for (text, kind) in [
            (r#"{"mediaType":"x"}"#, "x"),
            (r#"{"manifests":[]}"#, media::INDEX),
            (r#"{"layers":[]}"#, media::MANIFEST),
        ] {
            assert_eq!(own_type(text.as_bytes()), kind);
        }
    }
}
