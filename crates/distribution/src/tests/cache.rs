//! A cache between a client and a registry (D05 among others). Upstream is a registry of ours, or a liar.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Server, image};
use crate::cache::CacheOptions;
use crate::digest::digest_of;

fn cache_of(upstream: SocketAddr, fresh: Duration) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials");
    std::fs::write(&credentials, "ann:secret\n").unwrap();
    Server::start_in(directory, |options| {
        let upstream = upstream.to_string();
        options.cache =
            Some(CacheOptions { upstream, credentials: Some(credentials), fresh, certs_dirs: Vec::new() });
    })
}

#[test]
fn what_was_asked_for_once_stays_when_upstream_is_away() {
    let upstream = Server::start(|_| {});
    let digest = upstream.push_image("a", "t", b"layer");
    let layer = digest_of(b"layer");
    let cache = cache_of(upstream.address, Duration::ZERO);
    assert_eq!(cache.get(&format!("/v2/a/blobs/{layer}")).status, 404, "no manifest names it yet");
    let manifest = cache.get("/v2/a/manifests/t");
    assert_eq!((manifest.status, manifest.body.as_slice()), (200, image(b"layer").to_string().as_bytes()));
    assert_eq!(cache.get(&format!("/v2/a/blobs/{layer}")).body, b"layer");
    let newer = upstream.push_image("a", "t", b"newer");
    let seen = cache.get("/v2/a/manifests/t");
    assert_eq!(seen.header("docker-content-digest"), Some(newer.to_string().as_str()));
    assert_eq!(cache.get("/v2/a/manifests/none").status, 404);
    for line in ["POST /v2/a/blobs/uploads/", "PUT /v2/a/manifests/t"] {
        assert_eq!(cache.ask(line, &[], b"").status, 405, "{line}");
    }
    upstream.stop();
    for target in ["t", &newer.to_string(), &digest.to_string()] {
        assert_eq!(cache.get(&format!("/v2/a/manifests/{target}")).status, 200, "{target}");
    }
    assert_eq!(cache.get(&format!("/v2/a/blobs/{layer}")).body, b"layer");
    assert_eq!(cache.get(&format!("/v2/a/blobs/{}", digest_of(b"newer"))).status, 503);
}

/// Answers every request with this head, and remembers what came.
fn liar(address: &str, head: impl Fn() -> String + Send + 'static) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let own = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let ears = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let count = stream.read(&mut request).unwrap_or(0);
            ears.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..count]));
            let _ = write!(stream, "{}\r\nConnection: close\r\n\r\n", head());
        }
    });
    (own, heard)
}

/// Upstream names a token service elsewhere: the password does not go there. The same challenge with a service of its own gets it.
#[test]
fn d05_credentials_go_to_nobody_that_only_a_challenge_names() {
    let secret = STANDARD.encode("ann:secret");
    let told = |realm_host: &str| {
        let (service, heard) = liar(realm_host, || {
            "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Type: application/json\r\n\r\n{\"token\":\"x\"}"
                .to_owned()
        });
        let (upstream, asked) = liar("127.0.0.1", move || {
            format!(
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer realm=\"http://{service}/token\",service=\"s\""
            )
        });
        let cache = cache_of(upstream, Duration::ZERO);
        assert!(cache.get("/v2/a/manifests/t").status >= 400);
        assert!(asked.lock().unwrap().contains("/v2/a/manifests/t"), "upstream was asked");
        heard.lock().unwrap().contains(&secret)
    };
    assert!(told("127.0.0.1"), "its own service gets them, or this test shows nothing");
    assert!(!told("127.0.0.2"), "credentials went to a stranger");
}

/// Passes a connection on to another address, piece by piece, and says how many requests for a path came.
fn slow_upstream(to: SocketAddr) -> (SocketAddr, Arc<Mutex<String>>, Arc<Mutex<bool>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    let (heard, open) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(false)));
    let (ears, gate) = (heard.clone(), open.clone());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (ears, gate) = (ears.clone(), gate.clone());
            let server = TcpStream::connect(to).unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                pass(&mut up, &mut &server, |bytes| {
                    ears.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
                })
            });
            // The first MiB goes through; the rest waits for the gate.
            let mut passed = 0;
            std::thread::spawn(move || {
                pass(&mut down, &mut &client, |bytes| {
                    passed += bytes.len();
                    while passed > 1 << 20 && !*gate.lock().unwrap() {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                })
            });
        }
    });
    (own, heard, open)
}

fn pass(from: &mut TcpStream, to: &mut impl Write, mut see: impl FnMut(&[u8])) {
    let mut bytes = [0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 {
            break;
        }
        see(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
}

fn times(heard: &Mutex<String>, what: &str) -> usize {
    heard.lock().unwrap().matches(what).count()
}

/// Many ask at once: upstream is asked once. They get the beginning before the end is here, and all get the same.
#[test]
fn a_blob_comes_once_and_is_read_along() {
    let content: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 249) as u8).collect();
    let upstream = Server::start(|_| {});
    upstream.push_image("a", "t", &content);
    let (address, heard, gate) = slow_upstream(upstream.address);
    let cache = cache_of(address, Duration::ZERO);
    assert_eq!(cache.get("/v2/a/manifests/t").status, 200);
    let path = format!("/v2/a/blobs/{}", digest_of(&content));
    let head = cache.ask(&format!("HEAD {path}"), &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("8000000")));
    assert_eq!(times(&heard, &format!("GET {path}")), 0, "a question about it fetches nothing");
    let mut first = TcpStream::connect(cache.address).unwrap();
    first.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(first, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut start = vec![0; 300_000];
    first.read_exact(&mut start).unwrap();
    assert!(
        start.starts_with(b"HTTP/1.1 200") && !*gate.lock().unwrap(),
        "the beginning came before the end"
    );
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..6).map(|_| scope.spawn(|| cache.get(&path))).collect();
        let part = scope.spawn(|| cache.ask(&format!("GET {path}"), &[("Range", "bytes=7999990-")], b""));
        std::thread::sleep(Duration::from_millis(200));
        *gate.lock().unwrap() = true;
        for other in others {
            let answer = other.join().unwrap();
            assert!(answer.status == 200 && answer.body == content);
        }
        assert_eq!(part.join().unwrap().body, content[7_999_990..]);
    });
    first.read_to_end(&mut start).unwrap();
    assert!(start.ends_with(&content) && start.len() < content.len() + 1000);
    assert_eq!(times(&heard, &format!("GET {path}")), 1);
    assert!(cache.get(&path).body == content);
    assert_eq!(times(&heard, &format!("GET {path}")), 1, "from here on it is here");
}

/// Upstream gives other bytes than the digest's: nobody gets all of them, and they do not stay.
#[test]
fn a_wrong_blob_is_never_whole() {
    let upstream = Server::start(|_| {});
    let content = vec![7; 600_000];
    upstream.push_image("a", "t", &content);
    let digest = digest_of(&content);
    let cache = cache_of(upstream.address, Duration::ZERO);
    assert_eq!(cache.get("/v2/a/manifests/t").status, 200);
    let file = upstream.directory.path().join("data/blobs/sha256").join(digest.hex());
    std::fs::write(file, vec![8; 600_000]).unwrap();
    let all = cache
        .raw(format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    assert!(all.len() < 600_000, "{} bytes came", all.len());
    assert_eq!(cache.ask(&format!("HEAD /v2/a/blobs/{}", digest_of(b"{}")), &[], b"").status, 200);
    let there = std::fs::read_dir(cache.directory.path().join("data/blobs/sha256")).unwrap().count();
    assert_eq!(there, 1, "the manifest, and nothing else");
}

/// However many want to know a tag at once: one asks.
#[test]
fn a_tag_is_asked_for_once() {
    let upstream = Server::start(|_| {});
    upstream.push_image("a", "t", b"layer");
    let (address, heard, gate) = slow_upstream(upstream.address);
    *gate.lock().unwrap() = true;
    let cache = cache_of(address, Duration::from_secs(600));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| cache.get("/v2/a/manifests/t").status)).collect();
        assert!(all.into_iter().all(|one| one.join().unwrap() == 200));
    });
    assert_eq!(times(&heard, "GET /v2/a/manifests/t"), 1);
    // The neighbour's blob is not fetched again.
    upstream.push_image("b", "t", b"layer");
    let layer = digest_of(b"layer");
    for name in ["a", "b"] {
        assert_eq!(cache.get(&format!("/v2/{name}/manifests/t")).status, 200);
        assert_eq!(cache.get(&format!("/v2/{name}/blobs/{layer}")).body, b"layer");
    }
    assert_eq!(
        (times(&heard, &format!("GET /v2/a/blobs/{layer}")), times(&heard, "GET /v2/b/blobs/")),
        (1, 0)
    );
}
