//! Registries with ways of their own: what the specification leaves open, and what some do without it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fake::{Fake, MANIFEST_TYPE, Reply, Seen, client, content, digest, drain, manifest, options};
use registry::{Client, Credentials, Descriptor, Options, Pushed, Source, Target};
use types::Kind;

async fn push(fake: &Fake, chunk: u64, bytes: &[u8]) -> registry::Result<Pushed> {
    let options = Options { upload_chunk_bytes: chunk, ..options() };
    let kim = Credentials::Basic { user: "kim".to_owned(), password: "hunter2".to_owned() };
    let app = Client::new(options).unwrap().repository(&fake.name("app"), kim);
    let blob = Descriptor { media_type: String::new(), digest: digest(bytes), size: bytes.len() as u64 };
    app.push_blob(&blob, None, &Source::bytes(Bytes::copy_from_slice(bytes))).await
}

/// A registry that takes an upload, but for what `odd` answers instead.
async fn uploads(odd: impl Fn(&Seen, usize) -> Option<Reply> + Send + Sync + 'static) -> Fake {
    let count = AtomicUsize::new(0);
    Fake::start(move |seen| {
        if let Some(reply) = odd(seen, count.fetch_add(1, Ordering::SeqCst)) {
            return reply;
        }
        match seen.method.as_str() {
            "HEAD" => Reply::new(404, ""),
            "PUT" => Reply::new(201, ""),
            _ => Reply::new(202, "").header("Location", "/u"),
        }
    })
    .await
}

#[tokio::test]
async fn who_knows_no_head_is_asked_otherwise() {
    for status in [405, 501] {
        let (bytes, is) = manifest();
        let size = bytes.len() as u64;
        let fake = Fake::start(move |seen| match (seen.method.as_str(), seen.path.as_str()) {
            ("HEAD", _) => Reply::new(status, ""),
            ("GET", "/v2/app/manifests/1") => {
                Reply::new(200, bytes.clone()).header("Content-Type", MANIFEST_TYPE)
            }
            ("POST", _) => Reply::new(202, "").header("Location", "/u"),
            ("PUT", _) => Reply::new(201, ""),
            _ => Reply::new(404, ""),
        })
        .await;
        let app = client().repository(&fake.name("app"), Credentials::Anonymous);
        let head = app.head(&Target::Tag("1".to_owned())).await.unwrap();
        let expected = Descriptor { media_type: MANIFEST_TYPE.to_owned(), digest: is, size };
        assert_eq!(head, Some(expected), "{status}");
        assert_eq!(app.head(&Target::Tag("2".to_owned())).await.unwrap(), None, "{status}");
        assert_eq!(push(&fake, 0, b"hello").await.unwrap(), Pushed::Sent, "{status}");
    }
}

#[tokio::test]
async fn a_range_that_is_not_given_is_read_from_the_start() {
    let bytes = content(100_000);
    let body = bytes.clone();
    let fake = Fake::start(move |seen| match seen.header("range") {
        "" => Reply::new(200, body.clone()),
        _ => Reply::new(416, ""),
    })
    .await;
    let app = client().repository(&fake.name("app"), Credentials::Anonymous);
    let rest = app.blob(&digest(&bytes), bytes.len() as u64, 70_001).await.unwrap();
    assert!(drain(rest).await.unwrap() == bytes[70_001..]);
}

#[tokio::test]
async fn places_to_go_on_are_written_in_any_form() {
    for (location, line) in [
        ("/u", "PUT /u?digest="),
        ("/u?state=a%2Fb", "PUT /u?state=a%2Fb&digest="),
        ("u-1?state=1", "PUT /v2/app/blobs/uploads/u-1?state=1&digest="),
        ("?state=1", "PUT /v2/app/blobs/uploads/?state=1&digest="),
        ("http://HOST/v2/app/u?a=1&b=2", "PUT /v2/app/u?a=1&b=2&digest="),
        ("//HOST/u", "PUT /u?digest="),
    ] {
        let fake = uploads(move |seen, _| {
            let location = location.replace("HOST", seen.header("host"));
            (seen.method == "POST").then(|| Reply::new(202, "").header("Location", location))
        })
        .await;
        push(&fake, 0, b"hello").await.unwrap();
        assert!(fake.lines()[2].starts_with(line), "{location}: {:?}", fake.lines());
    }
}

#[tokio::test]
async fn an_upload_is_made_again_when_the_registry_says() {
    for status in [429, 503] {
        let fake = uploads(move |seen, count| match (seen.method.as_str(), count) {
            ("PUT", 2) => Some(Reply::new(status, "").header("Retry-After", "1")),
            ("GET", _) => Some(Reply::new(204, "").header("Range", "0-0")),
            _ => None,
        })
        .await;
        let began = Instant::now();
        assert_eq!(push(&fake, 0, b"hello").await.unwrap(), Pushed::Sent, "{status}");
        assert!(began.elapsed() >= Duration::from_secs(1), "{status}: {:?}", began.elapsed());
        let puts: Vec<_> = fake.seen().into_iter().filter(|seen| seen.method == "PUT").collect();
        assert_eq!((puts.len(), &*puts[1].body), (2, &b"hello"[..]));
    }
    // Who wants more patience than anybody has is not asked again.
    let fake = uploads(|seen, _| {
        (seen.method == "PUT").then(|| Reply::new(503, "").header("Retry-After", "100000"))
    })
    .await;
    assert_eq!(push(&fake, 0, b"hello").await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(fake.lines().len(), 3);
}

/// A token that is good for five requests: it runs out between two chunks.
#[tokio::test]
async fn a_token_that_runs_out_during_an_upload_is_replaced() {
    let bytes = content(1000);
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let service = Fake::start(move |_| {
        Reply::new(200, format!(r#"{{"token":"t{}"}}"#, count.fetch_add(1, Ordering::SeqCst) + 1))
    })
    .await;
    let realm = format!(r#"Bearer realm="http://{}/token",service="s""#, service.address);
    let (used, have) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fake = uploads(move |seen, _| {
        let mut now = given.load(Ordering::SeqCst);
        // The first token has had its day with the third request that it was good for.
        if now == 1 && used.load(Ordering::SeqCst) >= 3 {
            now = 2;
        }
        if seen.header("authorization") != format!("Bearer t{now}") {
            return Some(Reply::new(401, "").header("WWW-Authenticate", realm.clone()));
        }
        used.fetch_add(1, Ordering::SeqCst);
        let at = have.fetch_add(seen.body.len(), Ordering::SeqCst) + seen.body.len();
        let range = format!("0-{}", at.saturating_sub(1));
        match seen.method.as_str() {
            "GET" => Some(Reply::new(204, "").header("Range", range)),
            "PATCH" => Some(Reply::new(202, "").header("Range", range).header("Location", "/u")),
            _ => None,
        }
    })
    .await;
    assert_eq!(push(&fake, 400, &bytes).await.unwrap(), Pushed::Sent);
    assert_eq!(service.lines().len(), 2);
    let taken: Vec<_> =
        fake.seen().into_iter().filter(|s| s.header("authorization") != "Bearer t1").collect();
    let ranges: Vec<_> = taken.iter().map(|s| s.header("content-range")).filter(|r| !r.is_empty()).collect();
    assert_eq!(ranges, ["400-799", "800-999"]);
    assert_eq!(fake.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn a_chunk_that_the_registry_counts_otherwise_is_sent_from_there() {
    let bytes = content(1000);
    // It lost 150 of the 400 bytes that it said it had.
    let fake = uploads(|seen, _| match (seen.method.as_str(), seen.header("content-range")) {
        ("PATCH", "400-799") => Some(Reply::new(416, "")),
        ("GET", _) => Some(Reply::new(204, "").header("Range", "0-249").header("Location", "/v")),
        _ => None,
    })
    .await;
    push(&fake, 400, &bytes).await.unwrap();
    let sent: Vec<_> = fake.seen().iter().filter(|s| s.method == "PATCH").map(Seen::line).collect();
    let ranges: Vec<_> = fake.seen().iter().map(|s| s.header("content-range").to_owned()).collect();
    assert_eq!(
        ranges.iter().filter(|r| !r.is_empty()).collect::<Vec<_>>(),
        ["0-399", "400-799", "250-649", "650-999"]
    );
    assert_eq!(sent[2], "PATCH /v", "it went on where the registry said");
}

#[tokio::test]
async fn an_upload_of_which_only_the_answer_was_lost_is_not_made_again() {
    let fake = uploads(|seen, count| match (seen.method.as_str(), count) {
        ("PUT", _) => Some(Reply::raw("")),
        ("GET", _) => Some(Reply::new(404, "")),
        ("HEAD", 1..) => Some(Reply::new(200, "")),
        _ => None,
    })
    .await;
    assert_eq!(push(&fake, 0, b"hello").await.unwrap(), Pushed::Sent);
    let methods: Vec<_> = fake.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["HEAD", "POST", "PUT", "GET", "HEAD"]);
}

#[tokio::test]
async fn a_registry_that_took_a_blob_for_another_is_found_out() {
    let other = digest(b"other").to_string();
    let fake = uploads(move |seen, _| {
        let lie = || Reply::new(201, "").header("Docker-Content-Digest", other.clone());
        (seen.method == "PUT").then(lie)
    })
    .await;
    let error = push(&fake, 0, b"hello").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}
