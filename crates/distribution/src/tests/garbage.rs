//! Garbage collection while others push and delete (D07).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Server, image};
use crate::depot::Sweep;
use crate::digest::digest_of;

fn now() -> Sweep {
    Sweep { grace: Duration::ZERO, untagged: false, dry_run: false }
}

#[test]
fn what_nothing_names_goes_and_the_rest_stays() {
    let server = Server::start(|_| {});
    let manifest = server.push_image("a", "t", b"layer");
    let stray = server.push_blob("a", b"stray");
    let collect = |sweep: Sweep| server.runtime.block_on(server.site.depot.collect(sweep)).unwrap();
    // A lease of this very second has not run out.
    std::thread::sleep(Duration::from_millis(1100));
    let kept = collect(Sweep { grace: Duration::from_secs(60), ..now() });
    assert_eq!((kept.links, kept.contents), (0, 0));
    let told = collect(Sweep { dry_run: true, ..now() });
    assert_eq!((told.links, told.contents, told.bytes), (1, 1, 5));
    assert_eq!(server.get(&format!("/v2/a/blobs/{stray}")).status, 200);
    assert_eq!(collect(now()), told);
    assert_eq!(server.get(&format!("/v2/a/blobs/{stray}")).status, 404);
    assert_eq!(server.get(&format!("/v2/a/blobs/{}", digest_of(b"layer"))).status, 200);
    server.push_image("a", "t", b"newer");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(collect(now()).manifests, 0);
    let gone = collect(Sweep { untagged: true, ..now() });
    assert_eq!((gone.manifests, gone.links, gone.contents), (1, 1, 2));
    assert_eq!(server.get(&format!("/v2/a/manifests/{manifest}")).status, 404);
    assert_eq!(
        server
            .ask(
                &format!("DELETE /v2/a/manifests/{}", digest_of(image(b"newer").to_string().as_bytes())),
                &[],
                b""
            )
            .status,
        202
    );
    collect(Sweep { untagged: true, ..now() });
    assert_eq!(server.get("/v2/_catalog").json()["repositories"].as_array().map(Vec::len), Some(0));
    let blobs = server.directory.path().join("data/blobs/sha256");
    assert!(std::fs::read_dir(blobs).unwrap().next().is_none());
}

#[test]
fn whoever_asks_for_a_blob_may_count_on_it() {
    let server = Server::start(|options| options.grace = Duration::from_secs(2));
    let digest = server.push_blob("a", b"layer");
    let sweep = Sweep { grace: Duration::from_secs(2), ..now() };
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(server.ask(&format!("HEAD /v2/a/blobs/{digest}"), &[], b"").status, 200);
        server.runtime.block_on(server.site.depot.collect(sweep)).unwrap();
    }
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).status, 200);
    std::thread::sleep(Duration::from_millis(3100));
    server.runtime.block_on(server.site.depot.collect(sweep)).unwrap();
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).status, 404);
}

/// No grace at all: a blob may go at any moment before its manifest comes. What is acknowledged is whole all the same.
#[test]
fn d07_an_acknowledged_manifest_survives_collection_at_any_moment() {
    let server = Server::start(|_| {});
    let done = AtomicBool::new(false);
    let (enough, met) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let end = Instant::now() + Duration::from_secs(40);
    let mut acknowledged = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                // Leases count in seconds: the collector looks from two seconds ahead, so that none protects anything.
                let sweep = server.site.depot.collect_before(crate::depot::now() + 2, false);
                server.runtime.block_on(sweep).unwrap();
                round = (round + 3) % 16;
                std::thread::sleep(Duration::from_millis(round));
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for name in ["r0", "r1"] {
                    server.push_blob(name, b"deleted");
                    server.ask(&format!("DELETE /v2/{name}/blobs/{}", digest_of(b"deleted")), &[], b"");
                }
            }
        });
        let pushers: Vec<_> = (0..2)
            .map(|pusher| {
                let (server, enough, met) = (&server, &enough, &met);
                scope.spawn(move || {
                    let over = || {
                        let seen = (enough.load(Ordering::Relaxed), met.load(Ordering::Relaxed));
                        (seen.0 >= 60 && seen.1 >= 5) || Instant::now() > end
                    };
                    push_until(server, pusher, over, enough, met)
                })
            })
            .collect();
        for pusher in pushers {
            acknowledged.extend(pusher.join().unwrap());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(acknowledged.len() > 20, "{} pushes in all", acknowledged.len());
    assert!(met.into_inner() > 0, "no push met the collector: this shows nothing");
    for (name, tag, layer) in &acknowledged {
        assert_eq!(server.get(&format!("/v2/{name}/manifests/{tag}")).status, 200, "{name}:{tag}");
        let blob = server.get(&format!("/v2/{name}/blobs/{}", digest_of(layer)));
        assert!(blob.status == 200 && blob.body == *layer, "{name}:{tag} lost its layer");
        assert_eq!(server.get(&format!("/v2/{name}/blobs/{}", digest_of(b"{}"))).status, 200);
    }
}

/// Pushes image after image; gives those that were acknowledged. Counts them, and those that were refused.
fn push_until(
    server: &Server,
    pusher: usize,
    over: impl Fn() -> bool,
    good: &AtomicUsize,
    bad: &AtomicUsize,
) -> Vec<(String, String, Vec<u8>)> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if over() {
            break;
        }
        let (name, tag) = (format!("r{pusher}"), format!("t{n}"));
        let layer = format!("layer {pusher} {n}").into_bytes();
        server.push_blob(&name, b"{}");
        server.push_blob(&name, &layer);
        let answer = server.put_manifest(&name, &tag, &image(&layer).to_string());
        if answer.status == 201 {
            good.fetch_add(1, Ordering::Relaxed);
            acknowledged.push((name, tag, layer));
        } else {
            assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
            bad.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}
