//! Garbage collection while others push and delete (D07).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Server, image, longer};
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
    let server = Server::start_for(tempfile::tempdir().unwrap(), Duration::from_secs(60), |_| {});
    let done = AtomicBool::new(false);
    let (enough, met, lost) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let least = Instant::now() + longer();
    let end = least + Duration::from_secs(40);
    let mut acknowledged = Vec::new();
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&done);
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
                let (server, enough, met, lost) = (&server, &enough, &met, &lost);
                scope.spawn(move || {
                    let over = || {
                        let seen = (enough.load(Ordering::Relaxed), met.load(Ordering::Relaxed));
                        let now = Instant::now();
                        (seen.0 >= 60 && seen.1 >= 5 && now > least)
                            || now > end
                            || lost.load(Ordering::Relaxed)
                    };
                    let pushed = push_until(server, pusher, over, enough, met);
                    let is_whole = |(name, _, layer): &Pushed| has(server, name, layer);
                    lost.fetch_or(!pushed.last().is_none_or(is_whole), Ordering::Relaxed);
                    pushed
                })
            })
            .collect();
        for pusher in pushers {
            acknowledged.extend(pusher.join().unwrap());
        }
    });
    for (name, tag, layer) in &acknowledged {
        assert_eq!(server.get(&format!("/v2/{name}/manifests/{tag}")).status, 200, "{name}:{tag}");
        assert!(has(&server, name, layer), "{name}:{tag} lost its layer");
        assert!(has(&server, name, b"{}"), "{name}:{tag} lost its configuration");
    }
    println!(
        "{} pushes were acknowledged, {} met the collector",
        acknowledged.len(),
        met.load(Ordering::Relaxed)
    );
    assert!(acknowledged.len() > 20, "{} pushes in all", acknowledged.len());
    assert!(met.into_inner() > 0, "no push met the collector: this shows nothing");
}

/// Also when this thread fails: the others go on until then.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn has(server: &Server, name: &str, content: &[u8]) -> bool {
    let blob = server.get(&format!("/v2/{name}/blobs/{}", digest_of(content)));
    blob.status == 200 && blob.body == content
}

/// Repository, tag and layer of an image that was acknowledged.
type Pushed = (String, String, Vec<u8>);

/// Pushes image after image; gives those that were acknowledged. Counts them, and those that were refused.
fn push_until(
    server: &Server,
    pusher: usize,
    over: impl Fn() -> bool,
    good: &AtomicUsize,
    bad: &AtomicUsize,
) -> Vec<Pushed> {
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
            let is_whole = has(server, &name, &layer);
            acknowledged.push((name, tag, layer));
            if !is_whole {
                break;
            }
        } else {
            assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
            bad.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}
