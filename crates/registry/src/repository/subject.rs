//! Pushing a manifest that is about another, to a registry that keeps no lists of such (distribution-spec, Pushing Manifests with
//! Subject): the client keeps the list, under a tag made of the subject's digest.

use oci::image::{Descriptor, Manifest, media};
use serde_json::{Value, json};
use types::Digest;

use super::{Repository, Target};
use crate::error::{Error, Result};
use crate::hosts::Endpoint;

impl Repository {
    /// Puts a manifest that has just been pushed on its subject's list, if it has a subject.
    pub(super) async fn list_referrer(
        &self,
        endpoint: &Endpoint,
        media_type: &str,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<()> {
        let Some((subject, own)) = describe(media_type, digest, bytes)? else { return Ok(()) };
        let tag = tag_of(&subject);
        // Two of us would each lose what the other adds.
        let _alone = self.0.core.listing.lock().await;
        let known = self.manifest_at(endpoint, &tag).await?;
        let wrong = |why: &str| {
            let shown = self.shown(&tag);
            Error::invalid(format!("manifest {digest} was pushed, but not listed: {shown} {why}"))
        };
        let mut list = match &known {
            None => json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": [] }),
            Some(found) if media::is_index(&found.media_type) => {
                oci::image::parse(&found.bytes).map_err(|e| wrong(&format!("cannot be read: {e}")))?
            }
            Some(_) => return Err(wrong("is no list of referrers")),
        };
        let Some(manifests) = list["manifests"].as_array_mut() else {
            return Err(wrong("is no list of referrers"));
        };
        if manifests.iter().any(|one| one["digest"] == own["digest"]) {
            return Ok(());
        }
        manifests.push(own);
        let kind = known.map_or_else(|| media::INDEX.to_owned(), |found| found.media_type);
        self.put_manifest(endpoint, &tag, &kind, list.to_string().into()).await.map(|_| ())
    }
}

/// The tag under which the referrers of a digest are listed.
pub(super) fn tag_of(subject: &Digest) -> Target {
    Target::Tag(format!("sha256-{}", subject.hex()))
}

/// The subject of a manifest or index, and how the list names the manifest.
fn describe(media_type: &str, digest: &Digest, bytes: &[u8]) -> Result<Option<(Digest, Value)>> {
    let unreadable = |why: String| Error::invalid(format!("manifest {digest}: {why}"));
    let manifest: Manifest = oci::image::parse(bytes).map_err(|e| unreadable(e.to_string()))?;
    let Some(subject) = manifest.subject else { return Ok(None) };
    let subject: Digest =
        subject.digest.parse().map_err(|e: types::DigestError| unreadable(e.to_string()))?;
    let said = [manifest.artifact_type, manifest.config.media_type].into_iter().find(|text| !text.is_empty());
    let own = Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_string(),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        annotations: manifest.annotations,
        artifact_type: said.unwrap_or_default(),
        ..Descriptor::default()
    };
    Ok(Some((subject, serde_json::to_value(own).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_says_of_a_manifest() {
        let (own, subject) = (Digest::from_hash([1; 32]), Digest::from_hash([2; 32]));
        let check = |manifest: Value| {
            let found = describe(media::MANIFEST, &own, manifest.to_string().as_bytes()).unwrap();
            found.map(|(of, descriptor)| {
                assert_eq!(of, subject);
                assert_eq!(descriptor["digest"], own.to_string());
                (descriptor["artifactType"].clone(), descriptor["annotations"].clone())
            })
        };
        let about = json!({ "digest": subject.to_string(), "size": 1 });
        assert_eq!(check(json!({ "config": {}, "layers": [] })), None);
        let typed = json!({ "subject": about, "artifactType": "x/y", "annotations": { "a": "b" } });
        assert_eq!(check(typed), Some((json!("x/y"), json!({ "a": "b" }))));
        let untyped = json!({ "subject": about, "config": { "mediaType": "x/config" } });
        assert_eq!(check(untyped), Some((json!("x/config"), Value::Null)));
        let bad = json!({ "subject": { "digest": "sha256:../x" } }).to_string();
        assert!(describe(media::MANIFEST, &own, bad.as_bytes()).is_err());
    }
}
