//! Weaknesses that registries had, one test each (D01, D03, D04); the others have files of their own.

use serde_json::json;

use super::Server;
use crate::digest::digest_of;

#[test]
fn d01_a_list_has_an_end_whatever_is_asked_for() {
    let server = Server::start(|_| {});
    let digest = server.push_blob("a", b"x");
    let many = server.site.depot.change(move |batch| {
        let from = "a".parse()?;
        (0..1200).try_for_each(|n| batch.mount(&format!("r{n}").parse()?, &from, digest).map(drop))
    });
    server.runtime.block_on(many).unwrap();
    let count = |query: &str| {
        let answer = server.get(&format!("/v2/_catalog{query}"));
        let entries = answer.json()["repositories"].as_array().map_or(0, Vec::len);
        (answer.status, entries, answer.header("link").is_some())
    };
    assert_eq!(count(""), (200, 100, true));
    assert_eq!(count("?n=1000"), (200, 1000, true));
    for huge in ["1001", "9223372036854775808", "99999999999999999999999999"] {
        assert_eq!(count(&format!("?n={huge}")), (200, 1000, true), "{huge}");
    }
    assert_eq!(count("?n=0"), (200, 0, false));
    for bad in ["-1", "x", "1e3", "%00"] {
        let answer = server.get(&format!("/v2/_catalog?n={bad}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"), "{bad}");
    }
    assert_eq!(count("?n=1000&last=r998"), (200, 1, false));
}

#[test]
fn d03_what_was_deleted_in_one_repository_stays_deleted_there() {
    let server = Server::start(|_| {});
    let digest = server.push_blob("a", b"shared");
    server.push_blob("b", b"shared");
    let status = |name: &str| server.get(&format!("/v2/{name}/blobs/{digest}")).status;
    assert_eq!((status("a"), status("b")), (200, 200));
    assert_eq!(server.ask(&format!("DELETE /v2/a/blobs/{digest}"), &[], b"").status, 202);
    assert_eq!((status("a"), status("b"), status("a")), (404, 200, 404));
    assert_eq!(server.ask(&format!("HEAD /v2/b/blobs/{digest}"), &[], b"").status, 200);
    let mounted = server.ask(&format!("POST /v2/c/blobs/uploads/?mount={digest}&from=b"), &[], b"");
    assert_eq!((mounted.status, status("c"), status("a")), (201, 200, 404));
    // Nor does the repository that lost it have it to give away.
    let mounted = server.ask(&format!("POST /v2/d/blobs/uploads/?mount={digest}&from=a"), &[], b"");
    assert_eq!((mounted.status, status("d")), (202, 404));
    let directory = server.stop();
    let server = Server::start_in(directory, |_| {});
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).status, 404);
    assert_eq!(server.get(&format!("/v2/b/blobs/{digest}")).body, b"shared");
}

#[test]
fn d03_manifests_and_tags_likewise() {
    let server = Server::start(|_| {});
    let digest = server.push_image("a", "t", b"layer");
    server.push_image("b", "t", b"layer");
    assert_eq!(server.get("/v2/a/manifests/t").status, 200);
    assert_eq!(server.ask(&format!("DELETE /v2/a/manifests/{digest}"), &[], b"").status, 202);
    assert_eq!(server.get("/v2/b/manifests/t").status, 200);
    for target in ["t", &digest.to_string()] {
        assert_eq!(server.get(&format!("/v2/a/manifests/{target}")).status, 404, "{target}");
    }
    assert_eq!(server.get("/v2/a/tags/list").json()["tags"], json!([]));
    assert_eq!(server.ask("DELETE /v2/b/manifests/t", &[], b"").status, 202);
    assert_eq!(server.get(&format!("/v2/b/manifests/{digest}")).status, 200);
}

#[test]
fn d04_nothing_gets_around_the_policy() {
    let directory = {
        let server = Server::start(|_| {});
        server.push_image("a", "t", b"layer");
        server.stop()
    };
    let layer = digest_of(b"layer");
    let manifest = digest_of(super::image(b"layer").to_string().as_bytes());
    let id = "0a".repeat(16);
    let deletions = [
        format!("/v2/a/manifests/{manifest}"),
        "/v2/a/manifests/t".to_owned(),
        format!("/v2/a/blobs/{layer}"),
    ];
    let server = Server::start_in(directory, |options| options.delete = false);
    for path in &deletions {
        let answer = server.ask(&format!("DELETE {path}"), &[], b"");
        assert_eq!((answer.status, answer.code().as_str()), (405, "UNSUPPORTED"), "{path}");
    }
    assert_eq!(server.get("/v2/a/manifests/t").status, 200);
    let server = Server::start_in(server.stop(), |options| options.read_only = true);
    let writes = [
        "POST /v2/a/blobs/uploads/".to_owned(),
        format!("POST /v2/a/blobs/uploads/?digest={layer}"),
        format!("POST /v2/b/blobs/uploads/?mount={layer}&from=a"),
        format!("PATCH /v2/a/blobs/uploads/{id}"),
        format!("PUT /v2/a/blobs/uploads/{id}?digest={layer}"),
        format!("DELETE /v2/a/blobs/uploads/{id}"),
        "PUT /v2/a/manifests/u".to_owned(),
        format!("PUT /v2/a/manifests/{manifest}"),
    ];
    for line in writes.into_iter().chain(deletions.iter().map(|path| format!("DELETE {path}"))) {
        assert_eq!(server.ask(&line, &[], b"layer").status, 405, "{line}");
    }
    assert_eq!(server.get("/v2/a/manifests/t").status, 200);
    assert_eq!(server.get(&format!("/v2/a/blobs/{layer}")).body, b"layer");
}
