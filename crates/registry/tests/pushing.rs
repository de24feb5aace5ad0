//! Blobs and manifests on their way out: mounted, whole, in chunks, broken.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fake::{Fake, MANIFEST_TYPE, Reply, Seen, client, content, digest, manifest, options};
use registry::{Client, Credentials, Descriptor, Options, Pushed, Source, Target};
use types::Kind;

/// What the registry has of an upload, and how it behaves.
#[derive(Default)]
struct Uploads {
    bytes: Vec<u8>,
    /// Takes only this much of the next body, and closes.
    break_at: Option<usize>,
    least: Option<u64>,
    forgets: bool,
}

/// A registry with one upload.
async fn registry(state: Uploads) -> (Fake, Arc<Mutex<Uploads>>) {
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let fake = Fake::start(move |seen| answer(seen, &mut shared.lock().unwrap())).await;
    (fake, state)
}

fn answer(seen: &Seen, state: &mut Uploads) -> Reply {
    let range = |have: usize| format!("0-{}", have.saturating_sub(1));
    match seen.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        "POST" => {
            state.bytes.clear();
            let reply = Reply::new(202, "").header("Location", "/v2/app/blobs/uploads/u?state=1");
            state.least.map_or(reply.clone(), |n| reply.header("OCI-Chunk-Min-Length", n.to_string()))
        }
        "GET" if state.forgets => Reply::new(404, ""),
        "GET" => Reply::new(204, "").header("Range", range(state.bytes.len())),
        "PATCH" | "PUT" => {
            if let Some(at) = state.break_at.take() {
                state.bytes.extend(&seen.body[..at]);
                return Reply::raw("");
            }
            state.bytes.extend(&seen.body);
            let status = if seen.method == "PUT" { 201 } else { 202 };
            let is = digest(&state.bytes).to_string();
            let reply = Reply::new(status, "").header("Range", range(state.bytes.len()));
            let reply = reply.header("Location", "/v2/app/blobs/uploads/u?state=2");
            if status == 201 { reply.header("Docker-Content-Digest", is) } else { reply }
        }
        _ => Reply::new(405, ""),
    }
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor { media_type: String::new(), digest: digest(bytes), size: bytes.len() as u64 }
}

async fn push(fake: &Fake, options: Options, bytes: &[u8]) -> registry::Result<Pushed> {
    let app = Client::new(options).unwrap().repository(&fake.name("app"), Credentials::Anonymous);
    app.push_blob(&blob(bytes), None, &Source::bytes(Bytes::copy_from_slice(bytes))).await
}

#[tokio::test]
async fn a_blob_goes_in_one_piece() {
    let (fake, state) = registry(Uploads::default()).await;
    let bytes = content(3_000_000);
    assert_eq!(push(&fake, options(), &bytes).await.unwrap(), Pushed::Sent);
    assert!(state.lock().unwrap().bytes == bytes);
    let is = digest(&bytes);
    assert_eq!(
        fake.lines(),
        [
            format!("HEAD /v2/app/blobs/{is}"),
            "POST /v2/app/blobs/uploads/".to_owned(),
            format!("PUT /v2/app/blobs/uploads/u?state=1&digest=sha256%3A{}", is.hex()),
        ]
    );
    assert_eq!(fake.seen()[2].header("content-length"), "3000000");
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let (fake, _) = registry(Uploads::default()).await;
    assert_eq!(push(&fake, options(), b"").await.unwrap(), Pushed::Sent);
}

#[tokio::test]
async fn chunks_when_they_are_wanted() {
    let bytes = content(1_000_000);
    let (fake, state) = registry(Uploads::default()).await;
    push(&fake, Options { upload_chunk_bytes: 400_000, ..options() }, &bytes).await.unwrap();
    assert!(state.lock().unwrap().bytes == bytes);
    let ranges: Vec<_> = fake.seen().iter().map(|s| s.header("content-range").to_owned()).collect();
    assert_eq!(ranges, ["", "", "0-399999", "400000-799999", "800000-999999", ""]);

    let (fake, _) = registry(Uploads { least: Some(600_000), ..Uploads::default() }).await;
    push(&fake, Options { upload_chunk_bytes: 400_000, ..options() }, &bytes).await.unwrap();
    assert_eq!(fake.seen()[2].header("content-range"), "0-599999");

    let (fake, _) = registry(Uploads { least: Some(1), ..Uploads::default() }).await;
    push(&fake, options(), &bytes).await.unwrap();
    assert_eq!(fake.seen()[2].method, "PATCH");
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_broke() {
    let bytes = content(1_000_000);
    for chunk in [0, 400_000] {
        let (fake, state) = registry(Uploads { break_at: Some(123_456), ..Uploads::default() }).await;
        push(&fake, Options { upload_chunk_bytes: chunk, ..options() }, &bytes).await.unwrap();
        assert!(state.lock().unwrap().bytes == bytes, "{chunk}");
        let after = fake.seen().iter().position(|s| s.method == "GET").unwrap() + 1;
        assert!(fake.seen()[after].header("content-range").starts_with("123456-"), "{chunk}");
        assert_eq!(fake.lines().iter().filter(|l| l.starts_with("POST")).count(), 1, "{chunk}");
    }
}

#[tokio::test]
async fn an_upload_that_was_forgotten_begins_anew() {
    let bytes = content(1_000_000);
    let (fake, state) =
        registry(Uploads { break_at: Some(123_456), forgets: true, ..Uploads::default() }).await;
    push(&fake, options(), &bytes).await.unwrap();
    assert!(state.lock().unwrap().bytes == bytes);
    assert_eq!(fake.lines().iter().filter(|l| l.starts_with("POST")).count(), 2);
}

#[tokio::test]
async fn what_is_there_or_can_be_mounted_is_not_sent() {
    let fake = Fake::start(|seen| match seen.method.as_str() {
        "HEAD" if seen.path.starts_with("/v2/there") => Reply::new(200, ""),
        "HEAD" => Reply::new(404, ""),
        "POST" if seen.path.contains("from=kim%2Fbase") => Reply::new(201, "").header("Location", "/x"),
        "POST" if seen.path.contains("mount=") => Reply::new(403, ""),
        "POST" => Reply::new(202, "").header("Location", "/u"),
        _ => Reply::new(201, ""),
    })
    .await;
    let source = Source::bytes("hello".into());
    for (name, from, pushed) in [
        ("there", None, Pushed::Present),
        ("app", Some("kim/base"), Pushed::Mounted),
        ("app", Some("secret"), Pushed::Sent),
        ("app", None, Pushed::Sent),
    ] {
        let app = client().repository(&fake.name(name), Credentials::Anonymous);
        let got = app.push_blob(&blob(b"hello"), from, &source).await;
        assert_eq!(got.unwrap(), pushed, "{name} {from:?}");
    }
    let app = client().repository(&fake.name("app"), Credentials::Anonymous);
    assert!(app.mount(&digest(b"hello"), "kim/base").await.unwrap());
    assert!(!app.mount(&digest(b"hello"), "secret").await.unwrap());
    assert_eq!(fake.lines().pop().unwrap(), "DELETE /u", "an upload that nobody wants is ended");
}

#[tokio::test]
async fn refusals_are_said_and_not_repeated() {
    let body = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}"#;
    for (status, kind) in [(400, Kind::InvalidInput), (403, Kind::Forbidden), (413, Kind::InvalidInput)] {
        let fake = Fake::start(move |seen| match seen.method.as_str() {
            "HEAD" => Reply::new(404, ""),
            "POST" => Reply::new(202, "").header("Location", "/u"),
            _ => Reply::new(status, body),
        })
        .await;
        let error = push(&fake, options(), b"hello").await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("did not match uploaded content"), "{error}");
        assert_eq!(fake.seen().len(), 3);
    }
}

#[tokio::test]
async fn a_source_that_is_not_its_length_is_an_error() {
    let (fake, _) = registry(Uploads::default()).await;
    let app = client().repository(&fake.name("app"), Credentials::Anonymous);
    let short = Descriptor { size: 10, ..blob(b"hello") };
    let error = app.push_blob(&short, None, &Source::bytes("hello".into())).await.unwrap_err();
    assert!(error.to_string().contains("ended before its length"), "{error}");
    let unreadable = Source::new(|_| Err(std::io::Error::other("no such file")));
    let error = app.push_blob(&short, None, &unreadable).await.unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
}

#[tokio::test]
async fn progress_is_told() {
    let (fake, _) = registry(Uploads::default()).await;
    let app = client().repository(&fake.name("app"), Credentials::Anonymous);
    let bytes = content(2_000_000);
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let source = Source::bytes(Bytes::from(bytes.clone())).telling(move |at| log.lock().unwrap().push(at));
    app.push_blob(&blob(&bytes), None, &source).await.unwrap();
    let told = told.lock().unwrap();
    assert!(told.len() > 2 && told.is_sorted() && told.last() == Some(&2_000_000), "{told:?}");
}

#[tokio::test]
async fn a_manifest_arrives_as_it_is() {
    let (bytes, is) = manifest();
    let fake = Fake::start(|seen| {
        let said = if seen.path.ends_with("liar") { digest(b"x") } else { digest(&seen.body) };
        Reply::new(201, "").header("Docker-Content-Digest", said.to_string())
    })
    .await;
    let app = client().repository(&fake.name("app"), Credentials::Anonymous);
    let push = async |target: Target| app.push_manifest(&target, MANIFEST_TYPE, bytes.clone().into()).await;
    assert_eq!(push(Target::Tag("1".to_owned())).await.unwrap(), is);
    assert_eq!(push(Target::Digest(is)).await.unwrap(), is);
    let seen = &fake.seen()[0];
    assert_eq!(
        (seen.line(), seen.header("content-type")),
        ("PUT /v2/app/manifests/1".to_owned(), MANIFEST_TYPE)
    );
    assert_eq!(seen.body, bytes);
    assert_eq!(push(Target::Tag("liar".to_owned())).await.unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(push(Target::Digest(digest(b"y"))).await.unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(fake.seen().len(), 3, "a digest that is not the content's is not even sent");
}

#[tokio::test]
async fn referrers_by_list_and_by_tag() {
    let index = r#"{"schemaVersion":2,"manifests":[
        {"mediaType":"m","digest":"sha256:a","size":1,"artifactType":"sig"},
        {"mediaType":"m","digest":"sha256:b","size":1,"artifactType":"sbom"}]}"#;
    let of = digest(b"image");
    let fake = Fake::start(move |seen| {
        let is_list = seen.path.starts_with("/v2/new/referrers/");
        let is_tag = seen.path == format!("/v2/old/manifests/sha256-{}", of.hex());
        if is_list || is_tag { Reply::new(200, index) } else { Reply::new(404, "") }
    })
    .await;
    for (name, count) in [("new", 2), ("old", 2), ("none", 0)] {
        let app = client().repository(&fake.name(name), Credentials::Anonymous);
        assert_eq!(app.referrers(&of, None).await.unwrap().len(), count, "{name}");
        let signatures = app.referrers(&of, Some("sig")).await.unwrap();
        assert_eq!(signatures.len(), count / 2, "{name}");
    }
    assert!(fake.lines().iter().any(|line| line.ends_with("?artifactType=sig")));
}

/// A registry that keeps documents, and lists of referrers if it `lists`.
async fn depot(lists: bool) -> (Fake, Arc<Mutex<BTreeMap<String, Seen>>>) {
    let kept: Arc<Mutex<BTreeMap<String, Seen>>> = Arc::default();
    let shared = Arc::clone(&kept);
    let fake = Fake::start(move |seen| {
        let mut kept = shared.lock().unwrap();
        match seen.method.as_str() {
            "PUT" => {
                kept.insert(seen.path.clone(), seen.clone());
                let reply = Reply::new(201, "");
                if lists { reply.header("OCI-Subject", digest(b"image").to_string()) } else { reply }
            }
            _ => match kept.get(&seen.path) {
                Some(put) => {
                    Reply::new(200, put.body.clone()).header("Content-Type", put.header("content-type"))
                }
                None => Reply::new(404, ""),
            },
        }
    })
    .await;
    (fake, kept)
}

#[tokio::test]
async fn what_refers_is_listed_by_whoever_pushes_it() {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let of = digest(b"image");
    let place = format!("/v2/app/manifests/sha256-{}", of.hex());
    let about = |kind: &str| {
        let text = format!(
            r#"{{"schemaVersion":2,"artifactType":"{kind}","config":{{}},"layers":[],"subject":{{"digest":"{of}","size":5}},"annotations":{{"by":"kim"}}}}"#
        );
        (digest(text.as_bytes()), Bytes::from(text))
    };
    for lists in [false, true] {
        let (fake, kept) = depot(lists).await;
        let client = client();
        let push = async |kind: &str| {
            let (is, bytes) = about(kind);
            let app = client.repository(&fake.name("app"), Credentials::Anonymous);
            app.push_manifest(&Target::Digest(is), MANIFEST_TYPE, bytes).await
        };
        // All at once, and one of them twice: none is lost, none is there two times.
        let all = tokio::join!(push("a"), push("b"), push("c"), push("d"), push("a"));
        assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok() && all.4.is_ok());
        let list = kept.lock().unwrap().get(&place).cloned();
        if lists {
            assert!(list.is_none(), "the registry keeps the list");
            continue;
        }
        let list = list.expect("a list");
        assert_eq!(list.header("content-type"), INDEX);
        let app = client.repository(&fake.name("app"), Credentials::Anonymous);
        let mut listed = app.referrers(&of, None).await.unwrap();
        listed.sort_by(|a, b| a.artifact_type.cmp(&b.artifact_type));
        let kinds: Vec<_> = listed.iter().map(|one| one.artifact_type.as_str()).collect();
        assert_eq!(kinds, ["a", "b", "c", "d"]);
        let (is, bytes) = about("a");
        assert_eq!(
            (&*listed[0].digest, listed[0].size, &*listed[0].media_type),
            (&*is.to_string(), bytes.len() as i64, MANIFEST_TYPE)
        );
        assert_eq!(listed[0].annotations["by"], "kim");
        // What others wrote beside the list is kept; what is no list is left alone.
        let other = r#"{"schemaVersion":2,"manifests":[],"annotations":{"x":"y"}}"#;
        for (kind, body, works) in [(INDEX, other, true), (INDEX, "{", false), (MANIFEST_TYPE, "{}", false)] {
            let mut seen = list.clone();
            seen.headers.insert("content-type".to_owned(), kind.to_owned());
            seen.body = body.into();
            kept.lock().unwrap().insert(place.clone(), seen);
            let result = push("a").await;
            assert_eq!(result.is_ok(), works, "{body}");
            let now = String::from_utf8(kept.lock().unwrap()[&place].body.clone()).unwrap();
            assert!(if works { now.contains(r#""x":"y""#) } else { now == body }, "{now}");
        }
    }
}
