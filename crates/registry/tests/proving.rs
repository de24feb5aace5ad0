//! Credentials and tokens: who gets to see them, how often they are asked for.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake::{Fake, Reply, client, content, digest, drain, options};
use registry::{Client, Credentials, Options, Target};
use types::Kind;

const BASIC: &str = "Basic a2ltOmh1bnRlcjI=";

fn kim() -> Credentials {
    Credentials::Basic { user: "kim".to_owned(), password: "hunter2".to_owned() }
}

fn tag() -> Target {
    Target::Tag("1".to_owned())
}

/// A registry that wants Basic and then does what is said.
async fn basic(then: impl Fn(&fake::Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::start(move |seen| match seen.header("authorization") {
        BASIC => then(seen),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
    })
    .await
}

#[tokio::test]
async fn i04_credentials_stay_with_their_host() {
    let blob = content(5000);
    let body = blob.clone();
    let stranger = Fake::start_on("127.0.0.2", None, move |_| Reply::new(200, body.clone())).await;
    let to = format!("http://{}/elsewhere", stranger.address);
    let body = blob.clone();
    let registry = basic(move |seen| match seen.path.as_str() {
        "/here" => Reply::new(200, body.clone()),
        path if path.ends_with(&digest(b"home").hex()) => Reply::new(307, "").header("Location", "/here"),
        _ => Reply::new(307, "").header("Location", &to),
    })
    .await;
    let app = client().repository(&registry.name("app"), kim());

    let got = app.blob(&digest(b"away"), 5000, 0).await.unwrap();
    assert!(drain(got).await.unwrap() == blob);
    let seen = stranger.seen();
    assert_eq!(seen.len(), 1, "the redirect was followed");
    assert_eq!(seen[0].header("authorization"), "", "{:?}", seen[0]);
    assert_eq!(seen[0].header("host"), stranger.address.to_string());

    // The same redirect within the host does carry them: it is the host that decides.
    drain(app.blob(&digest(b"home"), 5000, 0).await.unwrap()).await.unwrap();
    let last = registry.seen().pop().unwrap();
    assert_eq!((last.path.as_str(), last.header("authorization")), ("/here", BASIC));
}

#[tokio::test]
async fn i04_a_stranger_that_asks_for_credentials_gets_none() {
    let stranger = Fake::start_on("127.0.0.2", None, |_| {
        Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\"")
    })
    .await;
    let to = format!("http://{}/", stranger.address);
    let registry = basic(move |_| Reply::new(302, "").header("Location", &to)).await;
    let app = client().repository(&registry.name("app"), kim());
    let error = app.blob(&digest(b"x"), 10, 0).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unauthorized, "{error}");
    assert_eq!(stranger.seen().len(), 1);
    assert_eq!(stranger.seen()[0].header("authorization"), "");
}

#[tokio::test]
async fn i04_uploads_that_go_on_elsewhere_carry_no_credentials() {
    let stranger = Fake::start_on("127.0.0.2", None, |_| Reply::new(201, "")).await;
    let to = format!("http://{}/bucket?signed=1", stranger.address);
    let registry = basic(move |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        _ => Reply::new(202, "").header("Location", &to),
    })
    .await;
    let app = client().repository(&registry.name("app"), kim());
    let blob = registry::Descriptor { media_type: String::new(), digest: digest(b"hello"), size: 5 };
    let source = registry::Source::bytes("hello".into());
    app.push_blob(&blob, None, &source).await.unwrap();
    let seen = stranger.seen();
    assert_eq!((seen.len(), seen[0].header("authorization"), &*seen[0].body), (1, "", &b"hello"[..]));
}

#[tokio::test]
async fn basic_credentials_are_asked_for_once() {
    let registry = basic(|_| Reply::new(200, "{}")).await;
    let app = client().repository(&registry.name("app"), kim());
    for _ in 0..3 {
        app.manifest(&tag()).await.unwrap();
    }
    assert_eq!(registry.seen().len(), 4, "one challenge, three manifests");
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_said() {
    let registry = basic(|_| Reply::new(200, "{}")).await;
    let nobody = client().repository(&registry.name("app"), Credentials::Anonymous);
    let error = nobody.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    let url = format!("http://{}/v2/app/manifests/1", registry.address);
    assert_eq!(error.to_string(), format!("Get \"{url}\": no basic auth credentials"));
    let error = nobody.head(&tag()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("Head \"{url}\": no basic auth credentials"));
    let wrong = Credentials::Basic { user: "kim".to_owned(), password: "x".to_owned() };
    let before = registry.seen().len();
    let error = client().repository(&registry.name("app"), wrong).manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized, "{error}");
    assert_eq!(registry.seen().len() - before, 2, "refused credentials are not shown again");
}

/// A token service on `ip`, and a registry that takes only the last token that it gave.
async fn bearer(ip: &str) -> (Fake, Fake) {
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let service = Fake::start_on(ip, None, move |seen| {
        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
        let is_known = matches!(seen.header("authorization"), BASIC) || seen.method == "POST";
        if seen.path.contains("private") && !is_known {
            return Reply::new(401, r#"{"details":"incorrect username or password"}"#);
        }
        Reply::new(200, format!(r#"{{"token":"t{n}","refresh_token":"lasting"}}"#))
    })
    .await;
    let realm = format!("http://{}/token", service.address);
    let registry = Fake::start(move |seen| {
        let good = format!("Bearer t{}", given.load(Ordering::SeqCst));
        if seen.header("authorization") == good {
            return Reply::new(200, "{}");
        }
        let repository = seen.path.split('/').nth(2).unwrap_or_default();
        let scope = format!("repository:{repository}:pull");
        Reply::new(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
            .header("WWW-Authenticate", format!(r#"Bearer realm="{realm}",service="s",scope="{scope}""#))
    })
    .await;
    (service, registry)
}

#[tokio::test]
async fn a_token_is_used_until_it_is_refused() {
    let (service, registry) = bearer("127.0.0.1").await;
    let client = client();
    let app = client.repository(&registry.name("app"), kim());
    for _ in 0..3 {
        app.manifest(&tag()).await.unwrap();
    }
    assert_eq!(service.lines(), ["GET /token?service=s&scope=repository%3Aapp%3Apull&account=kim"]);
    assert_eq!(service.seen()[0].header("authorization"), BASIC);
    assert_eq!(registry.seen().len(), 4);
    // Another token was given since: the first is refused and replaced, once.
    client.repository(&registry.name("other"), kim()).manifest(&tag()).await.unwrap();
    app.manifest(&tag()).await.unwrap();
    assert_eq!(service.seen().len(), 3);
}

#[tokio::test]
async fn many_requests_wait_for_one_token() {
    let (service, registry) = bearer("127.0.0.1").await;
    let app = client().repository(&registry.name("app"), Credentials::Anonymous);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.manifest(&tag()).await.map(|_| ()) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(service.seen().len(), 1);
    assert_eq!(service.seen()[0].header("authorization"), "");
}

#[tokio::test]
async fn a_registry_that_refuses_every_token_is_left() {
    let service = Fake::start(|_| Reply::new(200, r#"{"token":"t"}"#)).await;
    let challenge = format!(r#"Bearer realm="http://{}/",service="s""#, service.address);
    let registry = Fake::start(move |_| Reply::new(401, "").header("WWW-Authenticate", &challenge)).await;
    let app = client().repository(&registry.name("app"), kim());
    let error = app.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized, "{error}");
    assert!(registry.seen().len() <= 3 && service.seen().len() <= 2, "{:?}", registry.lines());
}

#[tokio::test]
async fn d05_a_foreign_token_service_sees_no_credentials() {
    let (service, registry) = bearer("127.0.0.2").await;
    let app = client().repository(&registry.name("app"), kim());
    // What anybody may see can still be had.
    app.manifest(&tag()).await.unwrap();
    let seen = service.seen();
    assert_eq!((seen.len(), seen[0].header("authorization")), (1, ""));
    assert!(!seen[0].path.contains("kim"), "{}", seen[0].path);

    let secret = client().repository(&registry.name("private"), kim());
    let error = secret.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    let error = client().login(&registry.address.to_string(), kim()).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.2"), "{error}");
    assert!(service.seen().iter().all(|seen| seen.header("authorization").is_empty()));

    // Listed, the same service does get them: it is the list that decides.
    let options = Options { token_hosts: vec!["127.0.0.2".to_owned()], ..options() };
    let trusting = Client::new(options).unwrap().repository(&registry.name("private"), kim());
    trusting.manifest(&tag()).await.unwrap();
    assert_eq!(service.seen().pop().unwrap().header("authorization"), BASIC);
}

#[tokio::test]
async fn identity_tokens_are_posted() {
    let (service, registry) = bearer("127.0.0.1").await;
    let app = client().repository(&registry.name("app"), Credentials::Identity("lasting".to_owned()));
    app.manifest(&tag()).await.unwrap();
    let seen = &service.seen()[0];
    assert_eq!(seen.line(), "POST /token");
    assert_eq!(
        String::from_utf8_lossy(&seen.body),
        "grant_type=refresh_token&service=s&client_id=berth&scope=repository%3Aapp%3Apull&refresh_token=lasting"
    );
}

#[tokio::test]
async fn identity_tokens_go_by_get_where_post_is_unknown() {
    let service = Fake::start(|seen| match seen.method.as_str() {
        "POST" => Reply::new(405, ""),
        _ => Reply::new(200, r#"{"token":"t"}"#),
    })
    .await;
    let challenge = format!(r#"Bearer realm="http://{}/",service="s""#, service.address);
    let registry = Fake::start(move |seen| match seen.header("authorization") {
        "Bearer t" => Reply::new(200, "{}"),
        _ => Reply::new(401, "").header("WWW-Authenticate", &challenge),
    })
    .await;
    let app = client().repository(&registry.name("app"), Credentials::Identity("lasting".to_owned()));
    app.manifest(&tag()).await.unwrap();
    assert_eq!(service.seen()[1].header("authorization"), "Basic PHRva2VuPjpsYXN0aW5n");
}

#[tokio::test]
async fn a_token_for_the_registry_is_shown_as_it_is() {
    let registry = Fake::start(|_| Reply::new(200, "{}")).await;
    let app = client().repository(&registry.name("app"), Credentials::Bearer("mine".to_owned()));
    app.manifest(&tag()).await.unwrap();
    assert_eq!(registry.seen()[0].header("authorization"), "Bearer mine");
}

#[tokio::test]
async fn a_challenge_that_can_be_read_in_two_ways_is_refused() {
    let service = Fake::start(|_| Reply::new(200, r#"{"token":"t"}"#)).await;
    let twice = format!(r#"Bearer realm="http://{0}/",realm="http://127.0.0.2:1/""#, service.address);
    for challenge in [twice.as_str(), "Bearer", "Bearer realm=\"file:///etc/shadow\"", "Bearer realm=\"x"] {
        let challenge = challenge.to_owned();
        let registry = Fake::start(move |_| Reply::new(401, "").header("WWW-Authenticate", &challenge)).await;
        let error = client().repository(&registry.name("app"), kim()).manifest(&tag()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    }
    assert!(service.seen().is_empty());
}

#[tokio::test]
async fn login() {
    let registry = basic(|_| Reply::new(200, "{}")).await;
    let domain = registry.address.to_string();
    let login = client().login(&domain, kim()).await.unwrap();
    assert_eq!((login.status, &*login.identity_token), ("Login Succeeded", ""));
    let wrong = Credentials::Basic { user: "kim".to_owned(), password: "x".to_owned() };
    let error = client().login(&domain, wrong.clone()).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!(
        error.to_string(),
        format!("login attempt to http://{domain}/v2/ failed with status: 401 Unauthorized")
    );

    let (service, registry) = bearer("127.0.0.1").await;
    let login = client().login(&registry.address.to_string(), kim()).await.unwrap();
    assert_eq!(login.identity_token, "lasting");
    assert!(service.lines()[0].contains("&account=kim&offline_token=true&client_id=berth"));
}

#[tokio::test]
async fn refusals_are_worded_as_docker_words_them() {
    let registry = Fake::start(|seen| {
        let (status, code) = match seen.path.split('/').nth(2) {
            Some("denied") => (403, "DENIED"),
            _ => (404, "NAME_UNKNOWN"),
        };
        Reply::new(status, format!(r#"{{"errors":[{{"code":"{code}","message":"why"}}]}}"#))
    })
    .await;
    let domain = registry.address;
    for (name, sentence) in [
        (
            "denied",
            format!(
                "pull access denied for {domain}/denied, repository does not exist or may require \
                 'docker login': denied: why"
            ),
        ),
        ("unknown", format!("repository {domain}/unknown not found: name unknown: why")),
    ] {
        let repository = client().repository(&registry.name(name), Credentials::Anonymous);
        assert_eq!(repository.manifest(&tag()).await.unwrap_err().to_string(), sentence);
    }
    // An answer to HEAD has no body: the reason is asked for.
    let denied = client().repository(&registry.name("denied"), Credentials::Anonymous);
    assert!(denied.head(&tag()).await.unwrap_err().to_string().starts_with("pull access denied"));
    let gone = client().repository(&"127.0.0.1:1/app".parse().unwrap(), Credentials::Anonymous);
    assert_eq!(
        gone.manifest(&tag()).await.unwrap_err().to_string(),
        "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
    let nowhere = "nowhere.invalid/app".parse().unwrap();
    let error = client().repository(&nowhere, Credentials::Anonymous).manifest(&tag()).await.unwrap_err();
    let start = "Get \"https://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid: ";
    assert!(error.to_string().starts_with(start), "{error}");
}

#[tokio::test]
async fn redirects_end() {
    let fake = Fake::start(|seen| {
        let n: u32 = seen.path.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let to = format!("/loop/{}", n + 1);
        if n == 5 { Reply::new(200, "{}") } else { Reply::new(307, "").header("Location", to) }
    })
    .await;
    let app = client().repository(&fake.name("app"), Credentials::Anonymous);
    app.manifest(&Target::Tag("0".to_owned())).await.unwrap();
    let before = fake.seen().len();
    let error = app.manifest(&Target::Tag("6".to_owned())).await.unwrap_err();
    assert!(error.kind() == Kind::Corrupt && error.to_string().contains("redirects"), "{error}");
    assert_eq!(fake.seen().len() - before, 11);
}
