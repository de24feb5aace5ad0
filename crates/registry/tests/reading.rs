//! Manifests, blobs and tags from registries that are well, slow, broken or hostile.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake::{Fake, MANIFEST_TYPE, Reply, client, content, digest, drain, manifest, options};
use registry::{Client, Credentials, MANIFEST_BYTES, Options, Repository, Target};
use types::Kind;

fn open(fake: &Fake) -> Repository {
    client().repository(&fake.name("app"), Credentials::Anonymous)
}

fn tag(name: &str) -> Target {
    Target::Tag(name.to_owned())
}

#[tokio::test]
async fn a_manifest_comes_as_it_is() {
    let fake = Fake::start(|_| Reply::new(200, manifest().0).header("Content-Type", MANIFEST_TYPE)).await;
    let got = open(&fake).manifest(&tag("1")).await.unwrap();
    assert_eq!((got.bytes.to_vec(), got.digest), manifest());
    assert_eq!(got.media_type, MANIFEST_TYPE);
    let seen = &fake.seen()[0];
    assert_eq!(seen.line(), "GET /v2/app/manifests/1");
    assert!(seen.header("accept").contains("application/vnd.docker.distribution.manifest.list.v2+json"));
    assert_eq!(seen.header("host"), fake.address.to_string());
    assert_eq!(seen.header("authorization"), "");
}

#[tokio::test]
async fn a_manifest_that_is_not_what_was_asked_for_is_refused() {
    let other = digest(b"something else").to_string();
    let lies = [
        ("another digest", Reply::new(200, "{}").header("Docker-Content-Digest", &other)),
        ("no digest", Reply::new(200, "{}").header("Docker-Content-Digest", "sha256:../x")),
        ("too long", Reply::new(200, vec![b' '; 9 << 20])),
        ("said to be too long", Reply { length: Some(100 << 30), ..Reply::new(200, "{}") }),
        ("encoded", Reply::new(200, "{}").header("Content-Encoding", "gzip")),
        ("not HTTP", Reply::raw("SSH-2.0-OpenSSH_9.2\r\n")),
        ("headers without end", Reply::raw(format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(1 << 20)))),
        ("too many headers", Reply::raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(500)))),
    ];
    for (name, reply) in lies {
        let fake = Fake::start(move |_| reply.clone()).await;
        let error = open(&fake).manifest(&tag("1")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{name}: {error}");
        assert_eq!(fake.lines().len(), 1, "{name}: a lie is not asked for twice");
    }
    let fake = Fake::start(|_| Reply::new(200, "{}")).await;
    let error = open(&fake).manifest(&Target::Digest(digest(b"x"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}

#[tokio::test]
async fn i05_an_endless_manifest_is_cut_off() {
    let raw = |length: u64| {
        let body = vec![b' '; usize::try_from(length).unwrap()];
        let mut raw =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n").into_bytes();
        raw.extend(body);
        raw.extend(b"\r\n0\r\n\r\n");
        raw
    };
    let fake = Fake::start(move |seen| {
        let is_long = seen.path.ends_with("long");
        Reply::raw(raw(if is_long { MANIFEST_BYTES + 1 } else { MANIFEST_BYTES }))
    })
    .await;
    assert!(open(&fake).manifest(&tag("full")).await.is_ok(), "the limit itself is allowed");
    let error = open(&fake).manifest(&tag("long")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}

#[tokio::test]
async fn schema_1_is_refused_with_a_sentence() {
    for kind in ["prettyjws", "json"] {
        let media = format!("application/vnd.docker.distribution.manifest.v1+{kind}");
        let fake = Fake::start(move |_| Reply::new(200, "{}").header("Content-Type", &media)).await;
        let error = open(&fake).manifest(&tag("old")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unimplemented);
        assert!(error.to_string().contains("schema 1"), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_as_docker_says_it() {
    let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let fake = Fake::start(move |_| Reply::new(404, body)).await;
    let error = open(&fake).manifest(&tag("1")).await.unwrap_err();
    let sentence =
        format!("manifest for {}/app:1 not found: manifest unknown: manifest unknown", fake.address);
    assert_eq!((error.kind(), error.to_string()), (Kind::NotFound, sentence));
    assert_eq!(open(&fake).head(&tag("1")).await.unwrap(), None);
    assert!(!open(&fake).has_blob(&digest(b"x")).await.unwrap());
}

#[tokio::test]
async fn a_head_tells_what_a_tag_means() {
    let (bytes, is) = manifest();
    let fake = Fake::start(move |seen| {
        let reply = Reply::new(200, manifest().0).header("Content-Type", MANIFEST_TYPE);
        if seen.path.ends_with("mute") {
            reply
        } else {
            reply.header("Docker-Content-Digest", is.to_string())
        }
    })
    .await;
    for (name, lines) in [("1", 1), ("mute", 2)] {
        let before = fake.lines().len();
        let head = open(&fake).head(&tag(name)).await.unwrap().unwrap();
        assert_eq!((head.digest, head.size, &*head.media_type), (is, bytes.len() as u64, MANIFEST_TYPE));
        assert_eq!(fake.lines().len() - before, lines, "{name}");
    }
}

/// A blob of 1 MB of which each answer gives some.
async fn broken(ranges: bool, each: usize) -> (Fake, Vec<u8>) {
    let blob = content(1 << 20);
    let body = blob.clone();
    let fake = Fake::start(move |seen| {
        let asked =
            seen.header("range").strip_prefix("bytes=").and_then(|r| r.split('-').next()?.parse().ok());
        let from: usize = asked.unwrap_or(0);
        if !ranges || asked.is_none() {
            return Reply::new(200, body.clone()).cut_after(if asked.is_some() { from + each } else { each });
        }
        let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
        Reply::new(206, &body[from..]).header("Content-Range", range).cut_after(each)
    })
    .await;
    (fake, blob)
}

#[tokio::test]
async fn a_broken_blob_goes_on_where_it_broke() {
    for ranges in [true, false] {
        let (fake, blob) = broken(ranges, 300_000).await;
        let got = open(&fake).blob(&digest(&blob), blob.len() as u64, 0).await.unwrap();
        assert!(drain(got).await.unwrap() == blob, "ranges: {ranges}");
        let seen = fake.seen();
        assert_eq!(seen.len(), 4, "ranges: {ranges}");
        assert_eq!(seen[1].header("range"), format!("bytes=300000-{}", blob.len() - 1));
    }
}

#[tokio::test]
async fn a_blob_is_resumed_from_what_is_there() {
    for ranges in [true, false] {
        let (fake, blob) = broken(ranges, 1 << 20).await;
        let got = open(&fake).blob(&digest(&blob), blob.len() as u64, 700_001).await.unwrap();
        assert!(drain(got).await.unwrap() == blob[700_001..], "ranges: {ranges}");
        let all = open(&fake).blob(&digest(&blob), blob.len() as u64, blob.len() as u64).await.unwrap();
        assert!(drain(all).await.unwrap().is_empty());
        assert_eq!(fake.lines().len(), 1, "nothing is asked for when nothing is missing");
    }
}

#[tokio::test]
async fn a_blob_that_never_moves_on_is_given_up() {
    let fake = Fake::start(|_| Reply::new(200, content(1000)).cut_after(0)).await;
    let options = Options { attempts: 3, ..options() };
    let app = Client::new(options).unwrap().repository(&fake.name("app"), Credentials::Anonymous);
    let error = drain(app.blob(&digest(b""), 1000, 0).await.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert_eq!(fake.lines().len(), 3);
}

#[tokio::test]
async fn a_blob_of_another_size_is_refused() {
    for (size, raw) in [(999, ""), (1001, ""), (1001, "close"), (999, "close")] {
        let fake = Fake::start(move |_| {
            let mut head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
            head.extend(content(1000));
            if raw.is_empty() { Reply::new(200, content(1000)) } else { Reply::raw(head) }
        })
        .await;
        let error = match open(&fake).blob(&digest(b""), size, 0).await {
            Ok(blob) => drain(blob).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), Kind::Corrupt, "{size} {raw}: {error}");
    }
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let fake =
        Fake::start(|_| Reply::new(206, content(600)).header("Content-Range", "bytes 0-599/1000")).await;
    let error = open(&fake).blob(&digest(b""), 1000, 400).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}

#[tokio::test]
async fn silence_is_not_waited_for_and_slowness_is() {
    let fake = Fake::start(|seen| {
        let pause = Duration::from_millis(if seen.path.ends_with("mute") { 60_000 } else { 700 });
        Reply { pause, ..Reply::new(200, "{}") }
    })
    .await;
    let options = Options { idle_timeout: Duration::from_secs(1), attempts: 1, ..options() };
    let app = Client::new(options).unwrap().repository(&fake.name("app"), Credentials::Anonymous);
    // 1.4 seconds in all, but never a second of silence.
    assert!(app.manifest(&tag("slow")).await.is_ok());
    let error = app.manifest(&tag("mute")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("1 seconds"), "{error}");
}

#[tokio::test]
async fn only_what_may_pass_is_asked_for_again() {
    for (status, times) in [(429, 2), (503, 2), (502, 2), (504, 2), (500, 1), (400, 1), (403, 1), (404, 1)] {
        let count = AtomicUsize::new(0);
        let fake = Fake::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(status, "").header("Retry-After", "0"),
            _ => Reply::new(200, "{}"),
        })
        .await;
        let got = open(&fake).manifest(&tag("1")).await;
        assert_eq!((got.is_ok(), fake.lines().len()), (times == 2, times), "{status}");
    }
}

#[tokio::test]
async fn a_connection_that_went_away_while_idle_is_no_failure() {
    let fake = Fake::start(|_| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")).await;
    let options = Options { attempts: 1, ..options() };
    let app = Client::new(options).unwrap().repository(&fake.name("app"), Credentials::Anonymous);
    for _ in 0..20 {
        app.manifest(&tag("1")).await.unwrap();
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let fake = Fake::start(|_| Reply::new(200, "{}")).await;
    let app = open(&fake);
    for _ in 0..10 {
        app.manifest(&tag("1")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // One more for the question whether it speaks TLS.
    assert_eq!(fake.connections(), 2);
}

#[tokio::test]
async fn tags_come_page_by_page() {
    let fake = Fake::start(|seen| match seen.path.as_str() {
        "/v2/app/tags/list" => Reply::new(200, r#"{"name":"app","tags":["a","b"]}"#)
            .header("Link", r#"</v2/app/tags/list?last=b&n=2>; rel="next""#),
        "/v2/app/tags/list?last=b&n=2" => Reply::new(200, r#"{"tags":["c"]}"#),
        "/v2/empty/tags/list" => Reply::new(200, r#"{"tags":null}"#),
        "/v2/astray/tags/list" => {
            Reply::new(200, r#"{"tags":[]}"#).header("Link", r#"<http://127.0.0.2:1/>; rel="next""#)
        }
        _ => Reply::new(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
    })
    .await;
    let tags = async |name: &str| client().repository(&fake.name(name), Credentials::Anonymous).tags().await;
    assert_eq!(tags("app").await.unwrap(), ["a", "b", "c"]);
    assert!(tags("empty").await.unwrap().is_empty());
    assert_eq!(tags("nothing").await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(tags("astray").await.unwrap_err().kind(), Kind::Corrupt);
}
