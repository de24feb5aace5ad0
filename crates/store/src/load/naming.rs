//! Names in archives.

use oci::image::Descriptor;
use types::Reference;

use crate::error::{Error, Result};

/// The name that a descriptor of an OCI layout carries. A bare `latest` or version is a tag without a repository, which names nothing.
pub(super) fn of_descriptor(descriptor: &Descriptor) -> Result<Option<Reference>> {
    let annotation = |key: &str| descriptor.annotations.get(key).filter(|text| !text.is_empty());
    if let Some(name) = annotation("io.containerd.image.name") {
        return parse(name).map(Some);
    }
    let Some(name) = annotation("org.opencontainers.image.ref.name") else { return Ok(None) };
    let word = !name.contains([':', '/', '@']);
    let is_tag = name == "latest" || !name.starts_with(|c: char| c.is_ascii_lowercase());
    if word && is_tag { Ok(None) } else { parse(name).map(Some) }
}

/// A name from an archive; one with a digest keeps only its tag.
pub(super) fn parse(text: &str) -> Result<Reference> {
    let bad = |e| Error::invalid(format!("the archive names an image {text:?}: {e}"));
    let name: Reference = text.parse().map_err(bad)?;
    match (name.digest(), name.tag()) {
        (None, _) => Ok(name),
        (Some(_), tag) => format!("{}:{}", name.repository(), tag.unwrap_or("latest")).parse().map_err(bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations() {
        let check = |containerd: &str, name: &str, want: Option<&str>| {
            let mut descriptor = Descriptor::default();
            descriptor.annotations.insert("io.containerd.image.name".into(), containerd.into());
            descriptor.annotations.insert("org.opencontainers.image.ref.name".into(), name.into());
            let got = of_descriptor(&descriptor).unwrap().map(|r| r.familiar());
            assert_eq!(got.as_deref(), want, "{containerd:?} {name:?}");
        };
        check("docker.io/library/busybox:1", "1", Some("busybox:1"));
        check("", "latest", None);
        check("", "1.36", None);
        check("", "", None);
        check("", "busybox", Some("busybox:latest"));
        check("", "localhost/x:2", Some("localhost/x:2"));
    }
}
