//! A cache between a client and a registry (D05 among others). Upstream is a registry of ours, or a liar.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
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
