//! Manifests that pass and manifests that do not, as tables.

use serde_json::{Value, json};

use super::*;

fn descriptor(kind: &str) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{}", "0a".repeat(32)), "size": 7 })
}

fn manifest(kind: &str) -> Value {
    json!({ "schemaVersion": 2, "mediaType": kind, "config": descriptor(media::CONFIG), "layers": [descriptor(media::LAYER_GZIP)] })
}

fn index(kind: &str) -> Value {
    json!({ "schemaVersion": 2, "mediaType": kind, "manifests": [descriptor(media::MANIFEST)] })
}

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

fn without(mut document: Value, field: &str) -> Value {
    document.as_object_mut().unwrap().remove(field);
    document
}

fn checked(content_type: &str, document: &Value) -> Result<Checked, Refusal> {
    check(Some(content_type).filter(|t| !t.is_empty()), document.to_string().as_bytes())
}

#[test]
fn manifests_name_what_they_need() {
    for kind in [media::MANIFEST, media::DOCKER_MANIFEST] {
        let found = checked(kind, &manifest(kind)).unwrap();
        assert_eq!((found.blobs.len(), found.manifests.len()), (2, 0));
        assert_eq!(found.artifact_type, media::CONFIG);
    }
    for kind in [media::INDEX, media::DOCKER_MANIFEST_LIST] {
        let found = checked(kind, &index(kind)).unwrap();
        assert_eq!((found.blobs.len(), found.manifests.len()), (0, 1));
    }
    let artifact = with(manifest(media::MANIFEST), "artifactType", json!("a/b"));
    let artifact = with(artifact, "subject", descriptor(media::MANIFEST));
    let found = checked("application/vnd.oci.image.manifest.v1+json; charset=utf-8", &artifact).unwrap();
    assert!(found.artifact_type == "a/b" && found.subject.is_some());
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut elsewhere = descriptor(foreign);
    elsewhere["urls"] = json!(["https://example/x"]);
    let found =
        checked(media::MANIFEST, &with(manifest(media::MANIFEST), "layers", json!([elsewhere]))).unwrap();
    assert_eq!(found.blobs.len(), 1);
    assert!(checked(media::MANIFEST, &without(manifest(media::MANIFEST), "mediaType")).is_ok());
    assert!(checked("", &manifest(media::MANIFEST)).is_ok());
}

/// Documents that two readers could take for two things, or that are none.
#[test]
fn i01_what_has_two_readings_is_refused() {
    let oci = || manifest(media::MANIFEST);
    let list = || index(media::INDEX);
    let any = || json!([descriptor(media::MANIFEST)]);
    let cases = [
        (media::INDEX, oci()),
        (media::MANIFEST, list()),
        (media::DOCKER_MANIFEST, oci()),
        (media::DOCKER_MANIFEST_LIST, list()),
        (media::MANIFEST, with(oci(), "manifests", any())),
        (media::MANIFEST, with(oci(), "manifests", json!([]))),
        (media::MANIFEST, with(oci(), "fsLayers", any())),
        (media::MANIFEST, with(oci(), "blobs", any())),
        (media::INDEX, with(list(), "layers", any())),
        (media::INDEX, with(list(), "config", descriptor(media::CONFIG))),
        (media::INDEX, with(list(), "fsLayers", any())),
        (media::INDEX, with(list(), "layers", json!([]))),
        (media::INDEX, without(oci(), "mediaType")),
        (media::MANIFEST, without(list(), "mediaType")),
        (media::MANIFEST, with(without(oci(), "mediaType"), "manifests", any())),
        (media::INDEX, with(without(list(), "mediaType"), "layers", any())),
        (media::DOCKER_MANIFEST, without(manifest(media::DOCKER_MANIFEST), "mediaType")),
        (media::DOCKER_MANIFEST_LIST, without(index(media::DOCKER_MANIFEST_LIST), "mediaType")),
        (media::MANIFEST, with(oci(), "mediaType", json!("Application/Vnd.Oci.Image.Manifest.V1+Json"))),
        (media::MANIFEST, with(oci(), "mediaType", json!("text/plain"))),
        ("text/plain", oci()),
        ("application/json", without(oci(), "mediaType")),
        ("", without(oci(), "mediaType")),
        ("application/vnd.oci.artifact.manifest.v1+json", with(oci(), "mediaType", json!(null))),
        (
            "application/vnd.docker.distribution.manifest.v1+json",
            json!({ "schemaVersion": 1, "fsLayers": [] }),
        ),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({ "schemaVersion": 1 })),
        (media::MANIFEST, with(oci(), "schemaVersion", json!(1))),
        (media::MANIFEST, with(oci(), "schemaVersion", json!(3))),
        (media::MANIFEST, with(oci(), "schemaVersion", json!("2"))),
        (media::MANIFEST, without(oci(), "schemaVersion")),
        (media::MANIFEST, without(oci(), "config")),
        (media::MANIFEST, without(oci(), "layers")),
        (media::INDEX, without(list(), "manifests")),
        (media::MANIFEST, with(oci(), "config", json!([]))),
        (media::MANIFEST, with(oci(), "layers", json!({}))),
        (media::INDEX, with(list(), "manifests", json!([{ "digest": "sha256:../x", "size": 1 }]))),
        (media::MANIFEST, with(oci(), "config", json!({ "digest": "sha512:00", "size": 1 }))),
        (
            media::MANIFEST,
            with(oci(), "layers", json!([{ "digest": format!("sha256:{}", "0A".repeat(32)), "size": 1 }])),
        ),
        (
            media::MANIFEST,
            with(oci(), "layers", json!([{ "digest": format!("sha256:{}", "0a".repeat(32)), "size": -1 }])),
        ),
        (media::MANIFEST, with(oci(), "subject", json!({ "digest": "x", "size": 1 }))),
        (media::MANIFEST, with(oci(), "Manifests", any())),
        (media::MANIFEST, with(oci(), "MediaType", json!(media::INDEX))),
        (media::INDEX, with(list(), "LAYERS", any())),
        (media::MANIFEST, json!([])),
        (media::MANIFEST, json!("x")),
    ];
    for (content_type, document) in &cases {
        let refusal = checked(content_type, document).unwrap_err();
        assert_eq!(refusal.code, Code::ManifestInvalid, "{content_type} {document}");
    }
}

#[test]
fn i01_fields_that_are_there_twice_are_refused() {
    let text = manifest(media::MANIFEST).to_string();
    let kind = format!("\"mediaType\":\"{}\"", media::INDEX);
    for twice in [kind.as_str(), "\"config\":{}", "\"layers\":[]", "\"schemaVersion\":2"] {
        let document = format!("{{{twice},{}", &text[1..]);
        assert!(check(Some(media::MANIFEST), document.as_bytes()).is_err(), "{document}");
    }
    for broken in ["", "{", "{}x", "\u{feff}{}", "nul"] {
        assert!(check(Some(media::MANIFEST), broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn schema_1_is_refused_with_a_reason() {
    let v1 = json!({ "schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": [] });
    let refusal = checked("application/vnd.docker.distribution.manifest.v1+prettyjws", &v1).unwrap_err();
    assert!(refusal.message.contains("schema 1"), "{}", refusal.message);
}

#[test]
fn sizes_are_bounded() {
    let long = with(manifest(media::MANIFEST), "annotations", json!({ "a": "x".repeat(LONGEST) }));
    assert!(checked(media::MANIFEST, &long).is_err());
    let many = vec![descriptor(media::LAYER_GZIP); MOST_PARTS];
    assert!(checked(media::MANIFEST, &with(manifest(media::MANIFEST), "layers", json!(many))).is_err());
}
