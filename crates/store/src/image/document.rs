//! Foreign image documents: parsed once, and refused when they can be read in two ways (CVE-2021-41190).

use oci::image::{ImageConfig, Index, Manifest, media};
use serde_json::Value;
use types::{Digest, weak};

use crate::error::{Error, Result};
use crate::stream::digest_of;

/// A document byte for byte: its digest never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// The media type under which it came.
    pub media_type: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Document {
    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&self.bytes)
    }
}

/// An index: has manifests, and nothing that only a manifest has.
pub(crate) fn check_index(bytes: &[u8], media_type: &str, what: &str) -> Result<Index> {
    let value = object(bytes, what)?;
    refuse_fields(&value, &["config", "layers", "fsLayers"], what)?;
    let index: Index = serde_json::from_value(value).map_err(|e| unreadable(what, e))?;
    check_type(&index.media_type, media_type, what)?;
    check_version(index.schema_version, what)?;
    Ok(index)
}

/// A manifest of one image or artifact: has a configuration and layers, and nothing that only an index has.
pub(crate) fn check_manifest(bytes: &[u8], media_type: &str, what: &str) -> Result<Manifest> {
    let value = object(bytes, what)?;
    refuse_fields(&value, &["manifests", "fsLayers"], what)?;
    if !value.get("config").is_some_and(Value::is_object) || !value.get("layers").is_some_and(Value::is_array)
    {
        return Err(Error::invalid(format!("{what} is not an image manifest: it lacks a config or layers")));
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|e| unreadable(what, e))?;
    check_type(&manifest.media_type, media_type, what)?;
    check_version(manifest.schema_version, what)?;
    Ok(manifest)
}

/// Whether the manifest is of a container image: its configuration is one, and so are its layers. Anything else is an artifact.
pub(crate) fn is_of_image(manifest: &Manifest) -> bool {
    let is_statement = |media_type: &str| media_type.starts_with("application/vnd.in-toto");
    matches!(manifest.config.media_type.as_str(), media::CONFIG | media::DOCKER_CONFIG)
        && !manifest.layers.iter().any(|layer| is_statement(&layer.media_type))
}

/// The type of an artifact: what it says, else the media type of its configuration (image-spec, manifest.md).
pub(crate) fn artifact_type(manifest: &Manifest) -> String {
    let said =
        [&manifest.artifact_type, &manifest.config.media_type].into_iter().find(|text| !text.is_empty());
    said.map_or_else(|| "unknown".to_owned(), Clone::clone)
}

/// An image configuration, with the diffIDs of its layers.
pub(crate) fn parse_config(bytes: &[u8], what: &str) -> Result<(ImageConfig, Vec<Digest>)> {
    let config: ImageConfig =
        serde_json::from_value(object(bytes, what)?).map_err(|e| unreadable(what, e))?;
    if !config.rootfs.kind.is_empty() && config.rootfs.kind != "layers" {
        return Err(Error::invalid(format!(
            "{what} has a rootfs of the unknown type {:?}",
            config.rootfs.kind
        )));
    }
    if !config.os.is_empty() && config.os != "linux" {
        return Err(Error::invalid(format!("{what} is of an image for {}, not linux", config.os)));
    }
    let diff_ids = config.rootfs.diff_ids.iter().map(|text| text.parse());
    let diff_ids = diff_ids.collect::<Result<Vec<_>, _>>();
    Ok((config, diff_ids.map_err(|e| Error::invalid(format!("{what} has a bad diffID: {e}")))?))
}

fn object(bytes: &[u8], what: &str) -> Result<Value> {
    oci::image::parse(bytes).map_err(|e| unreadable(what, e))
}

fn unreadable(what: &str, e: serde_json::Error) -> Error {
    Error::json(format!("cannot read {what}"), e)
}

fn refuse_fields(value: &Value, fields: &[&str], what: &str) -> Result<()> {
    // Go reads field names in any case, so any case counts.
    let odd = value
        .as_object()
        .and_then(|map| map.keys().find(|key| fields.iter().any(|field| key.eq_ignore_ascii_case(field))));
    match odd {
        Some(field) if !weak::is_off("I01") => {
            Err(Error::invalid(format!("{what} is ambiguous: it has the field {field:?}")))
        }
        _ => Ok(()),
    }
}

/// A document may leave its type out, but not contradict whoever named it.
fn check_type(own: &str, named: &str, what: &str) -> Result<()> {
    if own.is_empty() || named.is_empty() || own == named {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} says that it is a {own:?}, but it is named as a {named:?}")))
}

fn check_version(version: i32, what: &str) -> Result<()> {
    match version {
        2 => Ok(()),
        other => Err(Error::invalid(format!("{what} has schema version {other}; only 2 is supported"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json"},"layers":[]"#;

    #[test]
    fn ambiguous_documents_are_refused() {
        let manifest = |rest: &str| {
            check_manifest(format!("{MANIFEST}{rest}}}").as_bytes(), media::MANIFEST, "m").is_ok()
        };
        assert!(manifest(""));
        assert!(manifest(r#","mediaType":"application/vnd.oci.image.manifest.v1+json""#));
        for bad in [
            r#","manifests":[]"#,
            r#","Manifests":[]"#,
            r#","fsLayers":[]"#,
            r#","mediaType":"application/vnd.oci.image.index.v1+json""#,
            r#","schemaVersion":1"#,
            r#","layers":[]"#,
            r#","Config":{}"#,
            r#","annotations":{"a":"1","a":"2"}"#,
        ] {
            assert!(!manifest(bad), "{bad}");
        }
        let index = |text: &str| check_index(text.as_bytes(), media::INDEX, "i").is_ok();
        assert!(index(r#"{"schemaVersion":2,"manifests":[]}"#));
        for bad in [
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            r#"{"schemaVersion":2,"manifests":[],"config":{}}"#,
            r#"{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
            "[]",
            "{",
        ] {
            assert!(!index(bad), "{bad}");
        }
    }

    #[test]
    fn diff_ids_are_digests() {
        let config = |id: &str| {
            parse_config(format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#).as_bytes(), "c")
        };
        assert!(config(&format!("sha256:{}", "ab".repeat(32))).is_ok());
        assert!(config("sha256:../../etc").is_err());
        assert!(parse_config(br#"{"os":"windows"}"#, "c").is_err());
    }
}
