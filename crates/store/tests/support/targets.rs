//! Indexes, attestations and artifacts, built by hand.

use oci::image::Platform;
use oci::image::platform::Preference;
use serde_json::{Value, json};
use types::Digest;

use super::{Layout, Scratch, gzip, sha256, tar};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

pub fn on(platform: &str) -> Preference {
    Preference::only(&platform.parse::<Platform>().expect("platform"))
}

/// Adds an image for that architecture; answers its descriptor, with platform.
pub fn image(layout: &mut Layout, architecture: &str) -> Value {
    let layer = tar(&[("arch", architecture.as_bytes())]);
    let config = json!({"architecture": architecture, "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}});
    let config = layout.blob(CONFIG, config.to_string().as_bytes());
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(&layer));
    let mut descriptor = manifest(layout, &json!({"config": config, "layers": [layer]}));
    descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
    descriptor
}

pub fn manifest(layout: &mut Layout, fields: &Value) -> Value {
    let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST});
    for (key, value) in fields.as_object().expect("fields") {
        manifest[key] = value.clone();
    }
    layout.blob(MANIFEST, manifest.to_string().as_bytes())
}

/// What BuildKit attaches to an image.
pub fn attestation(layout: &mut Layout, of: &Value) -> Value {
    let config = json!({"architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": []}});
    let config = layout.blob(CONFIG, config.to_string().as_bytes());
    let statement = layout.blob("application/vnd.in-toto+json", of["digest"].to_string().as_bytes());
    let mut descriptor = manifest(layout, &json!({"config": config, "layers": [statement]}));
    descriptor["platform"] = json!({"architecture": "unknown", "os": "unknown"});
    descriptor["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": of["digest"]});
    descriptor
}

/// An artifact with an empty configuration, about `subject` if there is one.
pub fn artifact(layout: &mut Layout, kind: &str, content: &[u8], subject: Option<&Value>) -> Value {
    let config = layout.blob(EMPTY, b"{}");
    let content = layout.blob("text/plain", content);
    let mut fields = json!({"artifactType": kind, "config": config, "layers": [content]});
    if let Some(subject) = subject {
        fields["subject"] = json!({"mediaType": subject["mediaType"], "digest": subject["digest"],
            "size": subject["size"]});
    }
    manifest(layout, &fields)
}

/// arm64, amd64, an attestation of that, and s390x of which the archive has nothing: index, amd64, arm64.
pub fn index(layout: &mut Layout) -> (Value, Value, Value) {
    let (amd64, arm64) = (image(layout, "amd64"), image(layout, "arm64"));
    let attestation = attestation(layout, &amd64);
    let absent = image(&mut Layout::default(), "s390x");
    let index = layout.index_of(&[arm64.clone(), amd64.clone(), attestation, absent]);
    (index, amd64, arm64)
}

pub fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().expect("digest").parse().expect("digest")
}

pub fn bytes(layout: &Layout, descriptor: &Value) -> Vec<u8> {
    let hex = digest(descriptor).hex();
    layout.blobs.iter().find(|(name, _)| name.ends_with(&hex)).expect("blob").1.clone()
}

pub fn saved(scratch: &Scratch, names: &[&str]) -> Vec<u8> {
    let mut archive = Vec::new();
    scratch.store.save(names, &mut archive).expect("save");
    archive
}
