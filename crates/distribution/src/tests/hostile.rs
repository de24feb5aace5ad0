//! Clients that do not play by the rules of HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Answer, Server};
use crate::digest::digest_of;

/// How many answers came.
fn answers(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).matches("HTTP/1.1 ").count()
}

#[test]
fn pipelined_requests_are_answered_in_order_also_with_files_between() {
    let server = Server::start(|_| {});
    let big = vec![7; 3_000_000];
    let digest = server.push_blob("a", &big);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let blob = get(&format!("/v2/a/blobs/{digest}"));
    let last = "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let stream = [get("/v2/").as_str(), &blob, &get("/v2/_catalog"), &blob, last].concat();
    let all = server.raw(stream.as_bytes());
    let mut rest = all.as_slice();
    let mut lengths = Vec::new();
    while !rest.is_empty() {
        let answer = Answer::parse(rest);
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        if length == big.len() {
            assert!(answer.body[..length] == big);
        }
        lengths.push(length);
        rest = &rest[rest.len() - answer.body.len() + length..];
    }
    assert_eq!(lengths, [2, 3_000_000, 22, 3_000_000, 2]);
}

/// Two lengths: whoever stands before us may have read the other one. Nothing that follows is taken for a request.
#[test]
fn smuggled_requests_are_not_answered() {
    let server = Server::start(|_| {});
    let smuggled = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n";
    for (what, text) in [
        (
            "two lengths",
            format!("{post}Content-Length: 0\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
        ),
        (
            "length and chunks",
            format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "chunks and length",
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        ("unknown encoding", format!("{post}Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n{smuggled}")),
        ("space before colon", format!("{post}Content-Length : 0\r\n\r\n{smuggled}")),
        ("negative length", format!("{post}Content-Length: -1\r\n\r\n{smuggled}")),
        ("signed length", format!("{post}Content-Length: +0\r\n\r\n{smuggled}")),
        ("broken chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{smuggled}")),
        ("folded header", format!("{post}X: a\r\n b\r\nContent-Length: 0\r\n\r\n{smuggled}")),
        ("no version", format!("GET /v2/\r\n{smuggled}")),
    ] {
        let all = server.raw(text.as_bytes());
        let shown = String::from_utf8_lossy(&all);
        assert!(answers(&all) <= 1, "{what}: {shown}");
        assert!(!shown.contains("NAME_UNKNOWN"), "{what}: {shown}");
    }
    let honest = format!(
        "{post}Content-Length: 0\r\n\r\n{}",
        smuggled.replace("Host: x", "Host: x\r\nConnection: close")
    );
    assert!(
        String::from_utf8_lossy(&server.raw(honest.as_bytes())).contains("NAME_UNKNOWN"),
        "the request is real"
    );
}

#[test]
fn heads_are_bounded_in_length_and_time() {
    let server = Server::start(|_| {});
    let long = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_eq!(Answer::parse(&server.raw(long.as_bytes())).status, 431);
    let many: String = (0..200).map(|n| format!("X{n}: a\r\n")).collect();
    let many = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(Answer::parse(&server.raw(many.as_bytes())).status, 431);
    let began = Instant::now();
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for byte in b"GET /v2/ HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        std::thread::sleep(Duration::from_millis(50));
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(began.elapsed() < Duration::from_secs(8), "a slow head held its connection");
}

#[test]
fn crowds_wait_and_are_served() {
    let server = Server::start(|options| options.max_connections = 4);
    let idle: Vec<_> = (0..8).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let began = Instant::now();
    assert_eq!(server.get("/v2/").status, 200, "idle connections are let go");
    assert!(began.elapsed() > Duration::from_millis(300), "the crowd was no crowd");
    drop(idle);
}

#[test]
fn d06_paths_lead_nowhere_else() {
    let server = Server::start(|_| {});
    std::fs::write(server.directory.path().join("secret"), "secret").unwrap();
    let digest = digest_of(b"x");
    for path in [
        "/v2/../../secret",
        "/v2/a/blobs/../../../secret",
        "/v2/a/blobs/sha256:../../../secret",
        "/v2/a/blobs/sha256:..%2f..%2fsecret",
        "/v2/%2e%2e/manifests/x",
        "/v2/a/manifests/..%2fsecret",
        "/v2/a/blobs/uploads/..",
        "/v2/a/blobs/uploads/../../../secret",
        "//secret",
        "/v2/a%00b/tags/list",
        "/v2/a/../b/tags/list",
        "/v2/.../tags/list",
        "/v2/_uploads/tags/list",
    ] {
        let answer = server.get(path);
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("\"secret\""), "{path}");
    }
    for name in ["..", "a/../b", "A", "a//b", "-a", "a%2F..%2Fb"] {
        let answer = server.ask(&format!("POST /v2/{name}/blobs/uploads/?digest={digest}"), &[], b"x");
        assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
    }
    let mut there: Vec<_> =
        std::fs::read_dir(server.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["data", "secret"]);
}
