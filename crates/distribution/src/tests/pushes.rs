//! What comes in goes out again, whole and in parts.

use oci::image::media;
use serde_json::json;

use super::{Server, descriptor, image};
use crate::digest::digest_of;

#[test]
fn a_blob_comes_back_whole_and_in_parts() {
    let server = Server::start(|_| {});
    let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let digest = server.push_blob("a/b", &content);
    let path = format!("/v2/a/b/blobs/{digest}");
    let whole = server.get(&path);
    assert!(whole.status == 200 && whole.body == content);
    assert_eq!(whole.header("docker-content-digest"), Some(digest.to_string().as_str()));
    let part = |range: &str| server.ask(&format!("GET {path}"), &[("Range", range)], b"");
    for (range, first, last) in
        [("bytes=0-0", 0, 0), ("bytes=9000000-", 9_000_000, 19_999_999), ("bytes=-5", 19_999_995, 19_999_999)]
    {
        let answer = part(range);
        assert!(answer.status == 206 && answer.body == content[first..=last], "{range}");
        let said = format!("bytes {first}-{last}/20000000");
        assert_eq!(answer.header("content-range"), Some(said.as_str()));
    }
    let outside = part("bytes=20000000-");
    assert_eq!((outside.status, outside.header("content-range")), (416, Some("bytes */20000000")));
    let known = server.ask(&format!("GET {path}"), &[("If-None-Match", &format!("\"{digest}\""))], b"");
    assert!(known.status == 304 && known.body.is_empty());
    let head = server.ask(&format!("HEAD {path}"), &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("20000000"), 0));
    let empty = server.push_blob("a", b"");
    let answer = server.get(&format!("/v2/a/blobs/{empty}"));
    assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, Some("0")));
}

#[test]
fn a_manifest_needs_what_it_names() {
    let server = Server::start(|_| {});
    let manifest = image(b"layer").to_string();
    let answer = server.put_manifest("a", "t", &manifest);
    assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    server.push_blob("b", b"layer");
    server.push_blob("a", b"{}");
    assert_eq!(server.put_manifest("a", "t", &manifest).status, 400, "another repository's blob");
    server.push_blob("a", b"layer");
    assert_eq!(server.put_manifest("a", "t", &manifest).status, 201);
    let mut wrong = image(b"layer");
    wrong["layers"][0]["size"] = json!(4);
    assert_eq!(server.put_manifest("a", "t", &wrong.to_string()).code(), "MANIFEST_INVALID");
    let index = json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": [descriptor(media::MANIFEST, manifest.as_bytes())] });
    let put = |name: &str| {
        server.ask(
            &format!("PUT /v2/{name}/manifests/i"),
            &[("Content-Type", media::INDEX)],
            index.to_string().as_bytes(),
        )
    };
    assert_eq!((put("b").status, put("a").status), (400, 201));
    let other = digest_of(b"other");
    assert_eq!(server.put_manifest("a", &other.to_string(), &manifest).code(), "DIGEST_INVALID");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20));
    assert_eq!(server.put_manifest("a", "t", &long).status, 413);
    assert_eq!(server.get("/v2/a/manifests/t").body, manifest.as_bytes());
}

#[test]
fn referrers_are_listed_filtered_and_cut() {
    let server = Server::start(|_| {});
    let subject = server.push_image("a", "t", b"layer");
    let artifact = |kind: &str, n: u32| {
        let mut manifest = image(b"layer");
        manifest["artifactType"] = json!(kind);
        manifest["annotations"] = json!({ "n": n.to_string() });
        manifest["subject"] =
            json!({ "mediaType": media::MANIFEST, "digest": subject.to_string(), "size": 1 });
        let text = manifest.to_string();
        let answer = server.put_manifest("a", &digest_of(text.as_bytes()).to_string(), &text);
        assert_eq!((answer.status, answer.header("oci-subject")), (201, Some(subject.to_string().as_str())));
    };
    (0..3).for_each(|n| artifact("x/a", n));
    artifact("x/b+c", 9);
    let list = |query: &str| server.get(&format!("/v2/a/referrers/{subject}{query}"));
    let all = list("");
    assert_eq!(all.header("content-type"), Some(media::INDEX));
    assert_eq!(all.json()["manifests"].as_array().map(Vec::len), Some(4));
    assert_eq!(all.header("oci-filters-applied"), None);
    let some = list("?artifactType=x/b%2Bc");
    assert_eq!(some.header("oci-filters-applied"), Some("artifactType"));
    let found = &some.json()["manifests"];
    assert_eq!((found.as_array().map(Vec::len), &found[0]["annotations"]["n"]), (Some(1), &json!("9")));
    assert_eq!(found[0]["artifactType"], "x/b+c");
    let page = list("?artifactType=x/a&n=2");
    let next = page.header("link").unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
    let rest = server.get(&next);
    assert_eq!((rest.json()["manifests"].as_array().map(Vec::len), rest.header("link")), (Some(1), None));
    let none = server.get(&format!("/v2/a/referrers/{}", digest_of(b"none")));
    assert_eq!((none.status, none.json()["manifests"].clone()), (200, json!([])));
}

#[test]
fn tags_come_in_order_and_in_pages() {
    let server = Server::start(|_| {});
    for tag in ["b", "a", "c", "B"] {
        server.push_image("a", tag, b"layer");
    }
    assert_eq!(server.get("/v2/a/tags/list").json(), json!({ "name": "a", "tags": ["B", "a", "b", "c"] }));
    let page = server.get("/v2/a/tags/list?n=3");
    assert_eq!(page.header("link"), Some("</v2/a/tags/list?n=3&last=b>; rel=\"next\""));
    assert_eq!(server.get("/v2/a/tags/list?n=3&last=b").json()["tags"], json!(["c"]));
    assert_eq!(server.get("/v2/none/tags/list").code(), "NAME_UNKNOWN");
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let server = Server::start(|_| {});
    let digest = server.push_image("a", "t", b"layer");
    let upload = server.ask("POST /v2/a/blobs/uploads/", &[], b"");
    let address = upload.header("location").unwrap().to_owned();
    assert_eq!(server.ask(&format!("PATCH {address}"), &[], b"half").status, 202);
    let stray = server.directory.path().join("data/blobs/sha256").join("ab".repeat(32));
    let directory = server.stop();
    std::fs::write(&stray, "no record names this").unwrap();
    let server = Server::start_in(directory, |_| {});
    assert_eq!(
        server.get("/v2/a/manifests/t").header("docker-content-digest"),
        Some(digest.to_string().as_str())
    );
    assert_eq!(server.get(&address).code(), "BLOB_UPLOAD_UNKNOWN");
    let uploads = server.directory.path().join("data/uploads");
    assert!(!stray.exists() && std::fs::read_dir(uploads).unwrap().next().is_none());
}
