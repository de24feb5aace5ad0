//! What is no container image: kept, found, saved; and documents that can be read in two ways.

#![allow(clippy::disallowed_methods, reason = "the helpers of tests run tools and read files")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use store::{Document, Documents};
use support::targets::{MANIFEST, artifact, bytes, digest, image, index, manifest, on, saved};
use support::{Layout, Scratch, is_root};
use types::{Digest, Kind};

const NOBODY: &dyn Fn(&Digest) -> Option<store::Usage> = &|_| None;

#[test]
fn artifacts_are_kept_under_their_own_ids() {
    if !is_root("artifacts_are_kept_under_their_own_ids") {
        return;
    }
    let mut layout = Layout::default();
    let chart = artifact(&mut layout, "application/vnd.example.chart", b"a chart", None);
    layout.name(chart.clone(), "example.com/chart:1");
    let model = artifact(&mut layout, "application/vnd.example.model", b"a model", None);
    layout.name(model.clone(), "example.com/model:1");
    // Older tools say the type by that of the configuration.
    let config = layout.blob("application/vnd.cncf.helm.config.v1+json", b"{\"name\":\"x\"}");
    let helm = manifest(&mut layout, &json!({"config": config, "layers": []}));
    layout.name(helm.clone(), "example.com/helm:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    for (name, descriptor, kind) in [
        ("example.com/chart:1", &chart, "application/vnd.example.chart"),
        ("example.com/model:1", &model, "application/vnd.example.model"),
        ("example.com/helm:1", &helm, "application/vnd.cncf.helm.config.v1+json"),
    ] {
        let image = scratch.store.resolve(name).expect(name);
        assert_eq!((image.id, image.artifact_type.as_deref()), (digest(descriptor), Some(kind)), "{name}");
        assert!(!image.is_runnable() && image.layers.is_empty(), "{name}");
        assert_eq!(image.repo_digests, [format!("{}@{}", name.trim_end_matches(":1"), image.id)]);
        let on_platform = scratch.store.images().resolve_for(name, Some(&on("linux/amd64")));
        assert_eq!(on_platform.expect_err("runs nowhere").kind(), Kind::NotFound, "{name}");
    }
    let archive = saved(&scratch, &["example.com/chart:1", "example.com/helm:1"]);
    let other = Scratch::new();
    other.load(&archive).expect("load");
    assert!(saved(&other, &["example.com/chart:1", "example.com/helm:1"]) == archive);
    // Two share the empty configuration: it stays as long as one does.
    scratch.store.remove("example.com/chart:1", false, NOBODY).expect("remove");
    let left = scratch.store.resolve("example.com/model:1").expect("left");
    for blob in left.content() {
        assert!(scratch.store.blob(&blob).is_ok(), "{blob}");
    }
}

#[test]
fn referrers_are_found_and_go_with_their_subject() {
    if !is_root("referrers_are_found_and_go_with_their_subject") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, _) = index(&mut layout);
    layout.name(index.clone(), "example.com/multi:1");
    let signature = artifact(&mut layout, "application/vnd.example.signature", b"signed", Some(&index));
    let of_signature = artifact(&mut layout, "application/vnd.example.time", b"when", Some(&signature));
    let bill = artifact(&mut layout, "application/vnd.example.bill", b"parts", Some(&amd64));
    layout.index.extend([signature.clone(), of_signature.clone()]);
    layout.name(bill.clone(), "example.com/bill:1");
    let scratch = Scratch::new();
    scratch.load(&layout.archive()).expect("load");
    let list = scratch.store.images();
    let about = |subject: &Value| list.referrers(digest(subject)).map(|image| image.id).collect::<Vec<_>>();
    assert_eq!(about(&index), [digest(&signature)]);
    assert_eq!(about(&signature), [digest(&of_signature)]);
    assert_eq!(about(&amd64), [digest(&bill)]);
    let attached: Vec<_> =
        list.iter().filter(|image| list.is_attached(image)).map(|image| image.id).collect();
    let mut nameless = [digest(&signature), digest(&of_signature)];
    nameless.sort();
    assert_eq!(attached, nameless, "what has a name is on its own");
    scratch.store.remove("example.com/multi:1", false, NOBODY).expect("remove");
    // What has a name of its own stays.
    let left: Vec<_> = scratch.store.images().iter().map(|image| image.id).collect();
    assert_eq!(left, [digest(&bill)]);
    scratch.store.remove("example.com/bill:1", false, NOBODY).expect("remove");
    assert_eq!(scratch.litter(), Vec::<String>::new());
}

/// Spellings of a document that two readers can take for two things, or that is not what it is named as.
fn ambiguous(layout: &Layout, amd64: &Value, index: &Value) -> Vec<(&'static str, Value)> {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let parsed =
        |descriptor: &Value| -> Value { serde_json::from_slice(&bytes(layout, descriptor)).expect("json") };
    let (manifest, index) = (parsed(amd64), parsed(index));
    let with = |base: &Value, field: &str, value: Value| {
        let mut changed = base.clone();
        changed[field] = value;
        changed
    };
    let mut all = Vec::new();
    for field in ["manifests", "Manifests", "MANIFESTS", "fsLayers", "fslayers", "FSLAYERS"] {
        for value in [json!([]), index["manifests"].clone(), json!({}), Value::Null] {
            all.push((MANIFEST, with(&manifest, field, value)));
        }
    }
    for field in ["config", "Config", "layers", "LAYERS", "fsLayers", "FsLayers"] {
        for value in [manifest["config"].clone(), json!([]), Value::Null] {
            all.push((INDEX, with(&index, field, value)));
        }
    }
    for named in [INDEX, "application/vnd.docker.distribution.manifest.v2+json", "text/plain"] {
        all.push((MANIFEST, with(&manifest, "mediaType", named.into())));
    }
    for named in [MANIFEST, "application/vnd.docker.distribution.manifest.list.v2+json"] {
        all.push((INDEX, with(&index, "mediaType", named.into())));
    }
    all.push((INDEX, with(&manifest, "mediaType", INDEX.into())));
    all.push((MANIFEST, with(&index, "mediaType", MANIFEST.into())));
    for version in [json!(1), json!(3), json!(0)] {
        all.push((MANIFEST, with(&manifest, "schemaVersion", version.clone())));
        all.push((INDEX, with(&index, "schemaVersion", version)));
    }
    all
}

#[test]
fn i01_documents_that_can_be_read_in_two_ways_are_refused_wherever_they_lie() {
    if !is_root("i01_documents_that_can_be_read_in_two_ways_are_refused_wherever_they_lie") {
        return;
    }
    let mut layout = Layout::default();
    let (index, amd64, _) = index(&mut layout);
    let other = image(&mut layout, "riscv64");
    let corpus = ambiguous(&layout, &amd64, &index);
    assert!(corpus.len() >= 40, "{}", corpus.len());
    let scratch = Scratch::new();
    for (media_type, document) in &corpus {
        let mut layout = Layout { blobs: layout.blobs.clone(), index: Vec::new() };
        let odd = layout.blob(media_type, document.to_string().as_bytes());
        let below = layout.index_of(&[other.clone(), odd.clone()]);
        for top in [odd, below] {
            let mut layout = Layout { blobs: layout.blobs.clone(), index: Vec::new() };
            layout.name(top, "odd:1");
            let error = scratch.load(&layout.archive()).err();
            assert_eq!(error.map(|e| e.kind()), Some(Kind::InvalidInput), "{document}");
        }
    }
    assert!(scratch.store.images().is_empty());
    // The same documents without what is odd are taken: it was that which was refused.
    for good in [&index, &amd64] {
        let mut layout = Layout { blobs: layout.blobs.clone(), index: Vec::new() };
        layout.name(good.clone(), "good:1");
        scratch.load(&layout.archive()).expect("a plain document");
    }
}

/// A blob of an artifact may be anything, a gzip bomb or half a tar: nobody looks into it.
#[test]
fn artifacts_come_piece_by_piece_as_they_are() {
    if !is_root("artifacts_come_piece_by_piece_as_they_are") {
        return;
    }
    let mut layout = Layout::default();
    let odd = [0x1f, 0x8b, 8, 0, 1, 2, 3];
    let signature = artifact(&mut layout, "application/vnd.example.odd", &odd, None);
    let index = layout.index_of(std::slice::from_ref(&signature));
    let scratch = Scratch::new();
    let documents = Documents {
        indexes: vec![Document {
            media_type: index["mediaType"].as_str().expect("type").to_owned(),
            bytes: bytes(&layout, &index),
        }],
        manifest: bytes(&layout, &signature),
        manifest_type: MANIFEST.to_owned(),
        config: b"{}".to_vec(),
    };
    let send = |blob: &'static [u8]| {
        let intake = scratch.store.intake(documents.clone())?;
        let layer = intake.layers()[0];
        assert!(layer.is_opaque && !intake.has(&layer));
        let mut pieces = blob.chunks(3);
        let next = &mut || Ok::<_, store::Error>(pieces.next().map(Bytes::from_static));
        let arrived = scratch.store.receive(&layer)?.run(next, &|_| true)?;
        intake.commit(&[Arc::new(arrived)], Some(&"example.com/odd:1".parse().expect("name")))
    };
    assert_eq!(send(&[0x1f, 0x8b, 8, 0, 1, 2, 4]).expect_err("other bytes").kind(), Kind::Corrupt);
    let image = send(&[0x1f, 0x8b, 8, 0, 1, 2, 3]).expect("as promised");
    assert_eq!((image.id, image.target), (digest(&signature), digest(&index)));
    assert_eq!(image.artifact_type.as_deref(), Some("application/vnd.example.odd"));
    let (_, size) = scratch.store.blob(&image.layer_blobs()[0]).expect("blob");
    assert_eq!(size, 7);
}

/// What an index states of an image is committed with it: at no moment does the name lead to one alone.
#[test]
fn manifests_of_an_index_come_together() {
    if !is_root("manifests_of_an_index_come_together") {
        return;
    }
    let mut layout = Layout::default();
    let (amd64, arm64) = (image(&mut layout, "amd64"), image(&mut layout, "arm64"));
    let mut stated = artifact(&mut layout, "application/vnd.example.odd", b"stated", None);
    stated["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": amd64["digest"]});
    let index = layout.index_of(&[stated.clone(), amd64.clone(), arm64.clone()]);
    let other = layout.index_of(std::slice::from_ref(&stated));
    let scratch = Scratch::new();
    let take = |descriptor: &Value, index: &Value| {
        let manifest = bytes(&layout, descriptor);
        let read: Value = serde_json::from_slice(&manifest).expect("a manifest");
        let intake = scratch.store.intake(Documents {
            indexes: vec![Document {
                media_type: index["mediaType"].as_str().expect("type").to_owned(),
                bytes: bytes(&layout, index),
            }],
            manifest,
            manifest_type: MANIFEST.to_owned(),
            config: bytes(&layout, &read["config"]),
        });
        let intake = intake.expect("an intake");
        let blob = read["layers"].as_array().expect("layers").iter().map(|one| bytes(&layout, one));
        let arrived = intake.layers().iter().zip(blob).filter(|(layer, _)| !intake.has(layer));
        let arrived = arrived.map(|(layer, blob)| {
            let receiving = scratch.store.receive(layer).expect("a claim");
            let have = usize::try_from(receiving.have()).expect("length");
            let mut pieces = Some(Bytes::from(blob).slice(have..)).filter(|rest| !rest.is_empty());
            Arc::new(receiving.run(&mut || Ok::<_, store::Error>(pieces.take()), &|_| true).expect("whole"))
        });
        let arrived: Vec<_> = arrived.collect();
        (intake, arrived)
    };
    let name = "example.com/multi:1".parse().expect("name");
    let (first, its) = take(&arm64, &index);
    first.commit(&its, Some(&name)).expect("arm64");
    drop((first, its));
    let (intake, arrived) = take(&amd64, &index);
    let stranger = take(&stated, &other);
    let refused = intake.commit_with(&arrived, &[stranger], Some(&name));
    assert_eq!(refused.expect_err("another index").kind(), Kind::InvalidInput);
    let beside = take(&stated, &index);
    let taken = intake.commit_with(&arrived, &[beside], Some(&name)).expect("both");
    assert_eq!(taken.manifest, digest(&amd64), "the image stands for what came, not what is stated of it");
    drop((intake, arrived));
    let list = scratch.store.images();
    let target = list.target(&digest(&index)).expect("the index");
    assert!(target.members.iter().all(|member| member.image.is_some()));
    assert_eq!(list.len(), 2, "a statement is no image");
    scratch.store.remove("example.com/multi:1", false, NOBODY).expect("remove");
    assert_eq!(scratch.litter(), Vec::<String>::new());
}
