//! What comes with an image beside its layers: what its index states of it, always; what refers to it, when it is asked for
//! (image-spec, manifest.md; distribution-spec, Listing Referrers; docs/decisions/0022).

use std::collections::{BTreeSet, VecDeque};

use oci::image::{Descriptor, Index, Manifest, media};
use store::{Document, Documents, Image, Role};
use types::Digest;

use super::One;
use super::resolve::{corrupt, digest_in, named, parse, with_config};
use crate::engine::blocking;
use crate::{Error, Result};

/// One pull takes so many referrers at most.
const MOST: usize = 1000;

impl One<'_> {
    /// Whether all that its index states of an image is here.
    pub(super) fn is_attested(&self, image: &Image) -> bool {
        let list = self.engine.0.store.images();
        let Some(target) = list.target(&image.target) else { return true };
        let of = Role::Attestation { of: image.manifest };
        target.members.iter().all(|member| member.role != of || member.image.is_some())
    }

    /// The documents of what the index states of the image. What cannot be had is told, and the image comes without it.
    pub(super) async fn statements(&self, image: &Documents) -> Vec<Documents> {
        let mut all = Vec::new();
        for descriptor in stated(image).unwrap_or_default() {
            let found = async {
                let manifest = named(self.repository, &descriptor).await?;
                with_config(self.repository, image.indexes.clone(), manifest).await
            };
            match found.await {
                Ok(documents) => all.push(documents),
                Err(error) => self.warn_of_statement(&error).await,
            }
        }
        all
    }

    pub(super) async fn warn_of_statement(&self, error: &Error) {
        self.say.status(format!("WARNING: an attestation of the image could not be pulled: {error}")).await;
    }

    /// Takes in what refers to the image or to its index, and what refers to that.
    pub(super) async fn take_referrers(&self, image: &Image) -> Result<()> {
        let mut subjects = VecDeque::from([image.target]);
        if image.manifest != image.target {
            subjects.push_back(image.manifest);
        }
        let mut seen: BTreeSet<Digest> = subjects.iter().copied().collect();
        while let Some(subject) = subjects.pop_front() {
            for descriptor in self.repository.referrers(&subject, None).await? {
                let digest = digest_in(&descriptor.digest)?;
                if !seen.insert(digest) {
                    continue;
                }
                if seen.len() > MOST {
                    let name = self.name.familiar();
                    return Err(Error::invalid(format!("{name}: more than {MOST} manifests refer to it")));
                }
                if self.take_referrer(subject, &descriptor, digest).await? {
                    subjects.push_back(digest);
                }
            }
        }
        Ok(())
    }

    /// Answers whether it is here now.
    async fn take_referrer(&self, subject: Digest, descriptor: &Descriptor, digest: Digest) -> Result<bool> {
        let list = self.engine.0.store.images();
        let id = digest.short();
        let kind = &descriptor.artifact_type;
        if list.referrers(subject).any(|known| known.manifest == digest) {
            self.say.message(&id, format!("Referrer already exists: {kind}")).await;
            return Ok(true);
        }
        if !media::is_manifest(&descriptor.media_type) {
            self.say.message(&id, format!("Skipped a referrer that is no manifest: {kind}")).await;
            return Ok(false);
        }
        self.say.message(&id, format!("Pulling referrer: {kind}")).await;
        let manifest = named(self.repository, descriptor).await?;
        check_subject(&manifest, subject)?;
        let documents = with_config(self.repository, Vec::new(), manifest).await?;
        let (intake, arrived) = self.take_layers(documents).await?;
        blocking(move || intake.commit(&arrived, None)).await??;
        Ok(true)
    }
}

/// What the index of an image names as statements about it.
fn stated(image: &Documents) -> Result<Vec<Descriptor>> {
    let Some(index) = image.indexes.last() else { return Ok(Vec::new()) };
    let own = Document { media_type: image.manifest_type.clone(), bytes: image.manifest.clone() }.digest();
    let index: Index = parse(index, "index")?;
    let of = |one: &Descriptor, key: &str, value: &str| one.annotations.get(key).is_some_and(|v| v == value);
    let is_stated = |one: &Descriptor| {
        media::is_manifest(&one.media_type)
            && of(one, "vnd.docker.reference.type", "attestation-manifest")
            && of(one, "vnd.docker.reference.digest", &own.to_string())
    };
    Ok(index.manifests.into_iter().filter(is_stated).collect())
}

/// A registry's list may name anything; the manifest itself says what it is about.
fn check_subject(manifest: &Document, subject: Digest) -> Result<()> {
    let read: Manifest = parse(manifest, "manifest")?;
    match read.subject {
        Some(about) if about.digest == subject.to_string() => Ok(()),
        _ => {
            let digest = manifest.digest();
            Err(corrupt(format!("manifest {digest} is listed as about {subject}, but does not say so")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use types::Kind;

    use super::*;

    fn document(media_type: &str, document: &Value) -> Document {
        Document { media_type: media_type.to_owned(), bytes: document.to_string().into_bytes() }
    }

    #[test]
    fn an_index_states_things_of_its_manifests() {
        let manifest = document(media::MANIFEST, &json!({ "schemaVersion": 2 }));
        let (own, other) = (manifest.digest(), Digest::from_hash([2; 32]));
        let entry = |n: u8, kind: &str, of: Digest| {
            json!({ "mediaType": media::MANIFEST, "digest": Digest::from_hash([n; 32]).to_string(),
                "annotations": { "vnd.docker.reference.type": kind, "vnd.docker.reference.digest": of.to_string() } })
        };
        let index = json!({ "manifests": [entry(3, "attestation-manifest", other), entry(4, "attestation-manifest", own), entry(5, "x", own), {}] });
        let documents = Documents {
            indexes: vec![document(media::INDEX, &index)],
            manifest: manifest.bytes,
            manifest_type: manifest.media_type,
            config: Vec::new(),
        };
        let digests: Vec<_> = stated(&documents).unwrap().into_iter().map(|one| one.digest).collect();
        assert_eq!(digests, [Digest::from_hash([4; 32]).to_string()]);
    }

    #[test]
    fn a_referrer_says_itself_what_it_is_about() {
        let subject = Digest::from_hash([1; 32]);
        for (about, good) in [
            (json!({ "digest": subject.to_string() }), true),
            (json!({ "digest": Digest::from_hash([2; 32]).to_string() }), false),
            (Value::Null, false),
        ] {
            let manifest = document(media::MANIFEST, &json!({ "subject": about }));
            let result = check_subject(&manifest, subject).map_err(|e| e.kind());
            assert_eq!(result, if good { Ok(()) } else { Err(Kind::Corrupt) }, "{about}");
        }
    }
}
