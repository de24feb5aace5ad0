//! Files that the disk lost or changed: nobody is told that they are there, a check finds them, and a push mends them.

use super::{Server, image};
use crate::digest::{Digest, digest_of};

fn file(server: &Server, digest: Digest) -> std::path::PathBuf {
    server.directory.path().join("data/blobs/sha256").join(digest.hex())
}

#[test]
fn what_the_disk_lost_is_pushed_again() {
    let server = Server::start(|_| {});
    let (gone, cut) = (server.push_blob("a", b"gone"), server.push_blob("a", b"cut short"));
    std::fs::remove_file(file(&server, gone)).unwrap();
    std::fs::write(file(&server, cut), b"cut").unwrap();
    for (digest, content) in [(gone, &b"gone"[..]), (cut, b"cut short")] {
        for method in ["HEAD", "GET"] {
            let line = format!("{method} /v2/a/blobs/{digest}");
            assert_eq!(server.ask(&line, &[], b"").status, 404, "{line}");
        }
        server.push_blob("a", content);
        assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).body, content);
    }
}

#[test]
fn a_check_finds_what_is_broken_and_repair_forgets_it() {
    let server = Server::start(|_| {});
    let manifest = server.push_image("a", "t", b"layer");
    server.push_blob("b", b"layer");
    server.push_image("a", "u", b"other");
    let layer = digest_of(b"layer");
    let check = |repair| server.runtime.block_on(server.site.depot.check(repair)).unwrap();
    let found = check(false);
    assert_eq!((found.contents, found.broken, found.told.len()), (5, 0, 0));
    std::fs::write(file(&server, layer), b"lAyer").unwrap();
    std::fs::write(file(&server, manifest), image(b"layer").to_string().to_uppercase()).unwrap();
    let found = check(false);
    assert_eq!((found.contents, found.broken), (5, 2));
    let mut told: Vec<_> =
        found.told.iter().map(|one| (one.digest.clone(), one.repositories.join(" "))).collect();
    told.sort();
    let mut wanted = [(layer.to_string(), "a b".to_owned()), (manifest.to_string(), "a".to_owned())];
    wanted.sort();
    assert_eq!(told, wanted);
    assert_eq!(
        server.get("/v2/a/manifests/t").status,
        500,
        "damaged bytes are not given out as the manifest"
    );
    assert_eq!(check(true).broken, 2);
    assert_eq!(check(true).broken, 0);
    for path in [format!("/v2/b/blobs/{layer}"), "/v2/a/manifests/t".to_owned()] {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
    assert_eq!(server.get("/v2/a/manifests/u").status, 200);
    assert_eq!(server.push_image("a", "t", b"layer"), manifest);
    assert_eq!(server.get(&format!("/v2/a/blobs/{layer}")).body, b"layer");
    assert_eq!(check(false).broken, 0);
}
