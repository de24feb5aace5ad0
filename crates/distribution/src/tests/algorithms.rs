//! Content by sha512: pushed in every way, read, tagged, named by other content, collected, and there after a restart.

use oci::image::media;
use serde_json::json;

use super::{Server, descriptor};
use crate::depot::Sweep;
use crate::digest::{Algorithm, Digest};

fn sha512(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha512, content)
}

/// Uploads in chunks; `begin` is the query of the first request, `end` what the last one brings.
fn push_in_chunks(server: &Server, begin: &str, chunks: &[&[u8]], end: &[u8]) -> u16 {
    let digest = sha512(&[chunks.concat().as_slice(), end].concat());
    let begun = server.ask(&format!("POST /v2/a/blobs/uploads/{begin}"), &[], b"");
    let address = begun.header("location").unwrap().to_owned();
    for chunk in chunks {
        assert_eq!(server.ask(&format!("PATCH {address}"), &[], chunk).status, 202);
    }
    let answer = server.ask(&format!("PUT {address}?digest={digest}"), &[], end);
    let path = answer.header("location").unwrap_or_default().to_owned();
    assert!(answer.status != 201 || path == format!("/v2/a/blobs/{digest}"), "{path}");
    answer.status
}

#[test]
fn blobs_come_in_every_way() {
    let server = Server::start(|_| {});
    let one = sha512(b"one");
    let pushed = server.ask(&format!("POST /v2/a/blobs/uploads/?digest={one}"), &[], b"one");
    assert_eq!(
        (pushed.status, pushed.header("docker-content-digest")),
        (201, Some(one.to_string().as_str()))
    );
    assert_eq!(push_in_chunks(&server, "", &[], b"two"), 201);
    assert_eq!(push_in_chunks(&server, "", &[b"th", b"ree"], b""), 201);
    assert_eq!(push_in_chunks(&server, "?digest-algorithm=sha512", &[b"fo", b"ur"], b"!"), 201);
    let unknown = server.ask("POST /v2/a/blobs/uploads/?digest-algorithm=md5", &[], b"");
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "DIGEST_INVALID"));
    let wrong = server.ask(&format!("POST /v2/a/blobs/uploads/?digest={}", sha512(b"x")), &[], b"y");
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "DIGEST_INVALID"));
    let server = Server::start_in(server.stop(), |_| {});
    for content in [&b"one"[..], b"two", b"three", b"four!"] {
        let digest = sha512(content);
        let answer = server.get(&format!("/v2/a/blobs/{digest}"));
        assert_eq!((answer.status, answer.body.as_slice()), (200, content));
        let file = server.directory.path().join("data/blobs/sha512").join(digest.hex());
        assert_eq!(std::fs::read(file).unwrap(), content);
    }
    let mounted = server.ask(&format!("POST /v2/b/blobs/uploads/?mount={one}&from=a"), &[], b"");
    assert_eq!((mounted.status, server.get(&format!("/v2/b/blobs/{one}")).status), (201, 200));
    let head = server.ask(&format!("HEAD /v2/a/blobs/{one}"), &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("3")));
    assert_eq!(server.get("/v2/a/blobs/sha256:".to_owned().as_str()).status, 400);
}

#[test]
fn manifests_name_and_have_either_digest() {
    let server = Server::start(|_| {});
    server.push_blob("a", b"{}");
    let layer = sha512(b"layer");
    let mut manifest = super::image(b"layer");
    manifest["layers"][0]["digest"] = json!(layer.to_string());
    let text = manifest.to_string();
    assert_eq!(server.put_manifest("a", "t", &text).code(), "MANIFEST_BLOB_UNKNOWN");
    server.ask(&format!("POST /v2/a/blobs/uploads/?digest={layer}"), &[], b"layer");
    let digest = sha512(text.as_bytes());
    let put = server.put_manifest("a", &format!("{digest}?tag=t&tag=u"), &text);
    assert_eq!((put.status, put.header("docker-content-digest")), (201, Some(digest.to_string().as_str())));
    assert_eq!(put.header("oci-tag"), Some("t"));
    for target in ["t", "u", &digest.to_string()] {
        let answer = server.get(&format!("/v2/a/manifests/{target}"));
        assert_eq!(answer.header("docker-content-digest"), Some(digest.to_string().as_str()), "{target}");
        assert_eq!(answer.body, text.as_bytes());
    }
    assert_eq!(server.put_manifest("a", &format!("{digest}?tag=.no"), &text).code(), "TAG_INVALID");
    let mut about = super::image(b"layer");
    about["layers"] = json!([]);
    about["subject"] =
        json!({ "mediaType": media::MANIFEST, "digest": digest.to_string(), "size": text.len() });
    let put = server.put_manifest("a", "about", &about.to_string());
    assert_eq!((put.status, put.header("oci-subject")), (201, Some(digest.to_string().as_str())));
    let referrers = server.get(&format!("/v2/a/referrers/{digest}")).json();
    assert_eq!(referrers["manifests"].as_array().map(Vec::len), Some(1));
    let index = json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": [
        { "mediaType": media::MANIFEST, "digest": digest.to_string(), "size": text.len() },
        descriptor(media::MANIFEST, about.to_string().as_bytes()),
    ] });
    let kind = [("Content-Type", media::INDEX)];
    assert_eq!(server.ask("PUT /v2/a/manifests/i", &kind, index.to_string().as_bytes()).status, 201);
    assert_eq!(server.ask(&format!("DELETE /v2/a/manifests/{digest}"), &[], b"").status, 202);
    assert_eq!(server.get("/v2/a/manifests/t").status, 404);
}

#[test]
fn what_nothing_names_is_collected_and_the_rest_stays() {
    let server = Server::start(|_| {});
    let (kept, lost) = (sha512(b"layer"), sha512(b"lost"));
    for (digest, content) in [(kept, &b"layer"[..]), (lost, b"lost")] {
        server.ask(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), &[], content);
    }
    server.push_blob("a", b"{}");
    let mut manifest = super::image(b"layer");
    manifest["layers"][0]["digest"] = json!(kept.to_string());
    assert_eq!(server.put_manifest("a", "t", &manifest.to_string()).status, 201);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let found = server.runtime.block_on(server.site.depot.collect(Sweep::default())).unwrap();
    assert_eq!((found.contents, found.bytes), (1, 4));
    let there = std::fs::read_dir(server.directory.path().join("data/blobs/sha512")).unwrap();
    assert_eq!(there.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), [kept.hex().as_str()]);
    assert_eq!(server.get(&format!("/v2/a/blobs/{kept}")).body, b"layer");
}
