//! What a pushed manifest must be (image-spec, manifest.md and image-index.md; Docker's schema 2), and what it names. One document
//! has one reading: its type is stated, agrees with its fields, and nothing else fits (I01).

use std::collections::BTreeMap;

use crate::digest::Digest;
use oci::image::{Descriptor, Index, Manifest, media};
use serde::Deserialize;
use serde::de::IgnoredAny;
use types::weak;

use crate::code::{Code, Refusal};

/// Longest manifest, in bytes: what the specification asks a registry to take at least, and what clients read at most.
pub(crate) const LONGEST: usize = 4 << 20;
/// Most contents that one manifest may name.
const MOST_PARTS: usize = 10_000;

/// A manifest that was looked through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checked {
    pub(crate) media_type: String,
    /// Blobs that must be in the repository, and their sizes.
    pub(crate) blobs: Vec<(Digest, u64)>,
    /// Manifests that must be in the repository, and their sizes.
    pub(crate) manifests: Vec<(Digest, u64)>,
    /// The manifest that this one is about; it need not be there.
    pub(crate) subject: Option<Digest>,
    /// What kind of artifact it is, for lists of referrers.
    pub(crate) artifact_type: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Only whether the fields that tell the types apart are there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: i64,
    #[serde(default)]
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
    blobs: Option<IgnoredAny>,
}

/// Checks a manifest that came with this `Content-Type`.
pub(crate) fn check(content_type: Option<&str>, bytes: &[u8]) -> Result<Checked, Refusal> {
    if bytes.len() > LONGEST {
        return Err(invalid(format!("a manifest has at most {LONGEST} bytes")));
    }
    let shape: Shape = oci::read(bytes).map_err(|e| invalid(format!("the manifest does not parse: {e}")))?;
    spelled_as_specified(bytes)?;
    let media_type = media_type(content_type, &shape)?;
    if shape.schema_version != 2 {
        return Err(invalid(format!("schemaVersion is {}, want 2", shape.schema_version)));
    }
    if media::is_index(&media_type) {
        let others = [&shape.config, &shape.layers, &shape.fs_layers, &shape.blobs];
        if others.into_iter().any(Option::is_some) && !weak::is_off("I01") {
            return Err(ambiguous("an index", "config, layers, fsLayers or blobs"));
        }
        if shape.manifests.is_none() {
            return Err(invalid("an index has the field manifests"));
        }
        index(media_type, bytes)
    } else {
        let others = [&shape.manifests, &shape.fs_layers, &shape.blobs];
        if others.into_iter().any(Option::is_some) && !weak::is_off("I01") {
            return Err(ambiguous("a manifest", "manifests, fsLayers or blobs"));
        }
        if shape.config.is_none() || shape.layers.is_none() {
            return Err(invalid("a manifest has the fields config and layers"));
        }
        image(media_type, bytes)
    }
}

/// Some readers (Go's) take `Layers` for `layers`: a document that counts on it has two readings, too.
fn spelled_as_specified(bytes: &[u8]) -> Result<(), Refusal> {
    const FIELDS: [&str; 10] = [
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "fsLayers",
        "blobs",
    ];
    let keys: BTreeMap<String, IgnoredAny> = read(bytes)?;
    let twin = |key: &&String| FIELDS.iter().any(|field| key.eq_ignore_ascii_case(field) && key != field);
    match keys.keys().find(twin) {
        Some(key) => Err(invalid(format!("the field {key:?} could be read in two ways"))),
        None => Ok(()),
    }
}

/// The one type that header and document agree on.
fn media_type(header: Option<&str>, shape: &Shape) -> Result<String, Refusal> {
    let header = header.map(|text| text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase());
    let header = header.filter(|text| !text.is_empty());
    let inside = shape.media_type.as_deref().filter(|text| !text.is_empty());
    if header
        .as_deref()
        .is_some_and(|text| text.starts_with("application/vnd.docker.distribution.manifest.v1"))
        || shape.schema_version == 1
    {
        return Err(invalid("schema 1 manifests are not accepted: push the image with a newer client"));
    }
    let media_type = match (header, inside) {
        (Some(header), Some(inside)) if header != inside => {
            return Err(invalid(format!("Content-Type is {header}, but the manifest says {inside:?}")));
        }
        (Some(header), _) => header,
        (None, Some(inside)) => inside.to_owned(),
        (None, None) => return Err(invalid("the manifest comes without a Content-Type")),
    };
    if !media::is_index(&media_type) && !media::is_manifest(&media_type) {
        return Err(invalid(format!("{media_type:?} is not a type of manifest that this registry takes")));
    }
    if inside.is_none() && media_type.starts_with("application/vnd.docker.") {
        return Err(invalid(format!("a document of the type {media_type} says so in its field mediaType")));
    }
    Ok(media_type)
}

fn image(media_type: String, bytes: &[u8]) -> Result<Checked, Refusal> {
    let manifest: Manifest = read(bytes)?;
    if manifest.layers.len() >= MOST_PARTS {
        return Err(invalid(format!("a manifest names at most {MOST_PARTS} blobs")));
    }
    let mut blobs = vec![part("config", &manifest.config)?];
    for layer in manifest.layers.iter().filter(|layer| !is_elsewhere(layer)) {
        blobs.push(part("layers", layer)?);
    }
    let named = Some(manifest.artifact_type).filter(|text| !text.is_empty());
    Ok(Checked {
        media_type,
        blobs,
        manifests: Vec::new(),
        subject: subject(manifest.subject.as_ref())?,
        artifact_type: named.unwrap_or(manifest.config.media_type),
        annotations: manifest.annotations,
    })
}

fn index(media_type: String, bytes: &[u8]) -> Result<Checked, Refusal> {
    let index: Index = read(bytes)?;
    if index.manifests.len() > MOST_PARTS {
        return Err(invalid(format!("an index names at most {MOST_PARTS} manifests")));
    }
    let manifests: Result<_, _> = index.manifests.iter().map(|one| part("manifests", one)).collect();
    Ok(Checked {
        media_type,
        blobs: Vec::new(),
        manifests: manifests?,
        subject: subject(index.subject.as_ref())?,
        artifact_type: index.artifact_type,
        annotations: index.annotations,
    })
}

fn read<T: oci::Document>(bytes: &[u8]) -> Result<T, Refusal> {
    oci::read(bytes).map_err(|e| invalid(format!("the manifest does not parse: {e}")))
}

/// Layers that may not be passed on lie where their addresses say, not in a registry.
fn is_elsewhere(layer: &Descriptor) -> bool {
    let kind = &layer.media_type;
    !layer.urls.is_empty() && (kind.contains(".nondistributable.") || kind.contains(".foreign."))
}

fn part(field: &str, descriptor: &Descriptor) -> Result<(Digest, u64), Refusal> {
    let digest = descriptor.digest.parse::<Digest>();
    let digest = digest.map_err(|e| invalid(format!("{field}: {}", e.message)))?;
    let size = u64::try_from(descriptor.size)
        .map_err(|_| invalid(format!("{field}: the size of {digest} is negative")))?;
    Ok((digest, size))
}

fn subject(descriptor: Option<&Descriptor>) -> Result<Option<Digest>, Refusal> {
    descriptor.map(|one| part("subject", one).map(|(digest, _)| digest)).transpose()
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::ManifestInvalid, why)
}

fn ambiguous(what: &str, fields: &str) -> Refusal {
    invalid(format!("{what} with {fields} could be read in two ways"))
}

#[cfg(test)]
mod tests;
