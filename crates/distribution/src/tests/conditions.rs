//! What HTTP has a server do with conditions, several ranges, odd versions and wrong methods.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Answer, Server, image};
use crate::digest::digest_of;

#[test]
fn several_ranges_come_in_one_body() {
    let server = Server::start(|_| {});
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &content));
    let answer = server.ask(&format!("GET {path}"), &[("Range", "bytes=5-9, 1000000-1999999,-3")], b"");
    assert_eq!(answer.status, 206);
    let kind = answer.header("content-type").unwrap();
    let mark = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    let mut wanted = Vec::new();
    for (first, last) in [(5, 9), (1_000_000, 1_999_999), (2_999_997, 2_999_999)] {
        let head = format!(
            "\r\n--{mark}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/3000000\r\n\r\n"
        );
        wanted.extend_from_slice(head.as_bytes());
        wanted.extend_from_slice(&content[first..=last]);
    }
    wanted.extend_from_slice(format!("\r\n--{mark}--\r\n").as_bytes());
    assert!(answer.body == wanted);
    let many = server.ask(&format!("GET {path}"), &[("Range", "bytes=0-,0-,0-")], b"");
    assert!(many.status == 200 && many.body == content, "more than everything is everything");
    let head = server.ask(&format!("HEAD {path}"), &[("Range", "bytes=0-1")], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("3000000")));
}

#[test]
fn half_a_blob_goes_on_only_if_it_is_the_same() {
    let server = Server::start(|_| {});
    let digest = server.push_blob("a", b"0123456789");
    let get = |known: &str| {
        let headers = [("Range", "bytes=4-"), ("If-Range", known)];
        server.ask(&format!("GET /v2/a/blobs/{digest}"), &headers, b"").status
    };
    assert_eq!(get(&format!("\"{digest}\"")), 206);
    assert_eq!(get(&format!("\"{}\"", digest_of(b"x"))), 200);
    assert_eq!(get("Wed, 21 Oct 2015 07:28:00 GMT"), 200);
}

/// Of those who move a tag from the same place one wins, and nobody overwrites what they have not seen.
#[test]
fn a_tag_moves_only_from_where_the_client_saw_it() {
    let server = Server::start(|_| {});
    let first = server.push_image("a", "t", b"first");
    server.push_blob("a", b"second");
    let second = image(b"second").to_string();
    let kind = ("Content-Type", oci::image::media::MANIFEST);
    let put = |tag: &str, name: &str, value: &str| {
        let headers = [kind, (name, value)];
        server.ask(&format!("PUT /v2/a/manifests/{tag}"), &headers, second.as_bytes())
    };
    let late = put("t", "If-None-Match", "*");
    assert_eq!((late.status, late.code().as_str()), (412, "DENIED"));
    assert_eq!(put("t", "If-Match", &format!("\"{}\"", digest_of(b"x"))).status, 412);
    let now = || server.get("/v2/a/manifests/t").header("docker-content-digest").unwrap().to_owned();
    assert_eq!(now(), first.to_string());
    assert_eq!(put("t", "If-Match", &format!("\"{first}\"")).status, 201);
    assert_eq!(put("t", "If-Match", &format!("\"{first}\"")).status, 412);
    assert_eq!(now(), digest_of(second.as_bytes()).to_string());
    assert_eq!((put("u", "If-Match", "*").status, put("u", "If-None-Match", "*").status), (412, 201));
    let delete = |known: &str| server.ask("DELETE /v2/a/manifests/t", &[("If-Match", known)], b"").status;
    assert_eq!(delete(&format!("\"{first}\"")), 412);
    assert_eq!(delete(&format!("\"{}\"", digest_of(second.as_bytes()))), 202);
    let get = server.ask(
        "GET /v2/a/manifests/u",
        &[("If-None-Match", &format!("W/\"{}\"", digest_of(second.as_bytes())))],
        b"",
    );
    assert_eq!((get.status, get.body.len()), (304, 0));
}

#[test]
fn old_versions_and_wrong_methods_are_answered() {
    let server = Server::start(|_| {});
    let digest = server.push_blob("a", b"blob");
    let old = Answer::parse(&server.raw(format!("GET /v2/a/blobs/{digest} HTTP/1.0\r\n\r\n").as_bytes()));
    assert_eq!((old.status, old.body.as_slice()), (200, &b"blob"[..]));
    let nameless = Answer::parse(&server.raw(b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_eq!(nameless.status, 400);
    let absolute = b"GET http://x/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::parse(&server.raw(absolute)).status, 200);
    for (line, allowed) in [
        ("POST /v2/a/manifests/t", "GET, HEAD, PUT, DELETE"),
        ("PUT /v2/_catalog", "GET, HEAD"),
        ("GET /v2/a/blobs/uploads/", "POST"),
        (&format!("PUT /v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
    ] {
        let answer = server.ask(line, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{line}");
    }
}

/// A client that asks for leave to send its body gets it, or a refusal without having sent anything.
#[test]
fn leave_to_send_is_given_or_refused() {
    let server = Server::start(|options| options.max_uploads = 1);
    let expect = |line: &str, long: usize| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {long}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (String::from_utf8_lossy(&first[9..]).into_owned(), stream)
    };
    let digest = digest_of(b"body");
    let (status, mut stream) = expect(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), 4);
    assert_eq!(status, "100");
    stream.write_all(b"body").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 201"), "{rest}");
    assert_eq!(expect("PUT /v2/a/manifests/t", 5 << 20).0, "413");
    assert_eq!(expect("PUT /v2/A/manifests/t", 5).0, "400");
}
