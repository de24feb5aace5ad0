//! What is known of the manifests behind an image's name: platforms that are here or not, attestations, artifacts, and what
//! refers to them.

use dockerapi::{
    ImageInspect, ImageManifest, ImageSummary, ManifestAttestation, ManifestImage, ManifestImageSize,
    ManifestSize,
};
use oci::image::Descriptor;
use oci::image::platform::Preference;
use serde_json::Value;
use store::{Image, ImageList, Member, Role, Target};
use types::Digest;

use crate::Result;
use crate::engine::{Engine, Inner};

impl Engine {
    /// Fills in `descriptor`, `manifests` and `referrers` of listed images.
    pub fn image_manifests(&self, images: &mut [ImageSummary]) {
        let list = self.0.store.images();
        for summary in images {
            let image = summary.id.parse().ok().and_then(|id: Digest| list.get(&id));
            let Some(target) = image.and_then(|image| list.target(&image.target)) else { continue };
            summary.descriptor = Some(value(&target.descriptor()));
            summary.manifests = Some(self.manifests(target));
            summary.referrers = referrers(&list, target);
        }
    }

    /// As `image_inspect`, for that platform alone, with `descriptor`, `manifests` and `referrers`.
    ///
    /// # Errors
    /// When there is no such image, or not for the platform.
    pub async fn image_inspect_for(&self, name: &str, platform: Option<&str>) -> Result<ImageInspect> {
        let image = self.image_on(name, platform, Preference::only).await?;
        let mut answer = self.account(&image);
        let list = self.0.store.images();
        if let Some(target) = list.target(&image.target) {
            answer.descriptor = Some(value(&target.descriptor()));
            answer.manifests = Some(self.manifests(target));
            answer.referrers = referrers(&list, target);
        }
        Ok(answer)
    }

    fn manifests(&self, target: &Target) -> Vec<ImageManifest> {
        let users = |image: &Image| {
            let id = image.id.to_string();
            self.0
                .table
                .all()
                .into_iter()
                .filter(|record| record.image_id == id)
                .map(|r| r.id.clone())
                .collect()
        };
        target.members.iter().map(|member| manifest(member, &users)).collect()
    }
}

impl Inner {
    /// How the manifest of an image is named; nothing when the image is gone.
    pub(crate) fn manifest_descriptor(&self, id: &str) -> Option<Value> {
        let list = self.store.images();
        let image = list.get(&id.parse().ok()?)?;
        let target = list.target(&image.target)?;
        let member = target.members.iter().find(|member| member.digest == image.manifest)?;
        Some(value(&member.descriptor))
    }
}

/// One line of the account: `users` answers which containers an image has.
fn manifest(member: &Member, users: &dyn Fn(&Image) -> Vec<String>) -> ImageManifest {
    let here = member.image.as_deref();
    let content = here.map_or(0, |image| signed(image.content_size));
    let unpacked = here.filter(|image| image.is_runnable()).map_or(0, |image| signed(image.size));
    let mut descriptor = member.descriptor.clone();
    let (kind, image_data, attestation_data) = match &member.role {
        Role::Image => {
            let platform = member.platform().unwrap_or_default();
            let containers = here.map(users).unwrap_or_default();
            let size = ManifestImageSize { unpacked };
            let data = ManifestImage { platform: value(&platform), containers, size };
            ("image", Some(data), None)
        }
        Role::Attestation { of } => ("attestation", None, Some(ManifestAttestation { of: of.to_string() })),
        Role::Artifact(kind) => {
            descriptor.artifact_type.clone_from(kind);
            ("unknown", None, None)
        }
        Role::Unknown => ("unknown", None, None),
    };
    ImageManifest {
        id: member.digest.to_string(),
        descriptor: value(&descriptor),
        available: here.is_some(),
        size: ManifestSize { content, total: content + unpacked },
        kind: kind.to_owned(),
        image_data,
        attestation_data,
    }
}

/// What is about the target or one of its manifests.
fn referrers(list: &ImageList, target: &Target) -> Vec<Value> {
    let mut subjects: Vec<Digest> = target.members.iter().map(|member| member.digest).collect();
    if !subjects.contains(&target.digest) {
        subjects.insert(0, target.digest);
    }
    let about = subjects.into_iter().flat_map(|subject| list.referrers(subject));
    let descriptor = |image: &Image| -> Option<Descriptor> { Some(list.target(&image.target)?.descriptor()) };
    about.filter_map(|image| descriptor(image)).map(|descriptor| value(&descriptor)).collect()
}

fn value(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
