//! Ways through proxies: tunnels to a registry that speaks TLS, in clear or in TLS to the proxy, and what proxies refuse.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod fake;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fake::{Fake, Reply, content, digest, options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use registry::{Client, Credentials, Descriptor, Options, Proxies, Pushed, Source, Target};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use types::Kind;

/// `kim:p@ss`, as it goes over the wire.
const KIM: &str = "Basic a2ltOnBAc3M=";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn server(authority: &Authority, name: &str) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap()
}

/// A proxy through which every name leads to one registry. Answers its address and what it was asked.
async fn proxy(registry: SocketAddr, tls: Option<ServerConfig>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (log, tls) = (Arc::clone(&asked), tls.map(|config| TlsAcceptor::from(Arc::new(config))));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, tls) = (Arc::clone(&log), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => pass(stream, registry, &log).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => pass(stream, registry, &log).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    (address, asked)
}

/// Lets whoever says that he is kim through to the registry.
async fn pass(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    registry: SocketAddr,
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    log.lock().unwrap().push(head.lines().next()?.to_owned());
    if !head.contains(&format!("Proxy-Authorization: {KIM}\r\n")) {
        stream.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").await.ok()?;
        return stream.shutdown().await.ok();
    }
    let mut way = TcpStream::connect(registry).await.ok()?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await.ok()?;
    tokio::io::copy_bidirectional(&mut stream, &mut way).await.ok().map(|_| ())
}

/// A registry by a name that nobody but the proxy knows, and where its authority lies.
async fn registry(dir: &Path) -> Fake {
    let ca = authority();
    let place = dir.join("r.example");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("ca.crt"), ca.pem()).unwrap();
    std::fs::write(place.join("hosts.toml"), "server = \"https://r.example:5000\"\nca = \"ca.crt\"\n")
        .unwrap();
    Fake::start_on("127.0.0.1", Some(server(&ca, "r.example")), |seen| match seen.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        "POST" => Reply::new(202, "").header("Location", "/u"),
        "PUT" => Reply::new(201, ""),
        _ => Reply::new(200, "{}"),
    })
    .await
}

fn through(dir: &Path, url: &str, no_proxy: &str) -> Client {
    let url = Some(url.to_owned());
    let proxies = Proxies { http: url.clone(), https: url, no_proxy: no_proxy.to_owned() };
    Client::new(Options { certs_dirs: vec![dir.to_owned()], proxies, ..options() }).unwrap()
}

async fn get(client: &Client, name: &str) -> registry::Result<()> {
    let reference = format!("{name}/app:1").parse().unwrap();
    let app = client.repository(&reference, Credentials::Anonymous);
    app.manifest(&Target::of(&reference)).await.map(|_| ())
}

/// Pulls and pushes through a proxy, as `kim`.
async fn pull_and_push(client: &Client) {
    get(client, "r.example").await.unwrap();
    let bytes = content(1_000_000);
    let blob = Descriptor { media_type: String::new(), digest: digest(&bytes), size: bytes.len() as u64 };
    let app = client.repository(&"r.example/app:1".parse().unwrap(), Credentials::Anonymous);
    let pushed = app.push_blob(&blob, None, &Source::bytes(Bytes::from(bytes))).await;
    assert_eq!(pushed.unwrap(), Pushed::Sent);
}

#[tokio::test]
async fn a_tunnel_leads_to_a_registry_in_tls() {
    let dir = tempfile::tempdir().unwrap();
    let fake = registry(dir.path()).await;
    let (address, asked) = proxy(fake.address, None).await;
    let url = format!("http://kim:p%40ss@{address}");
    pull_and_push(&through(dir.path(), &url, "")).await;
    let lines = asked.lock().unwrap().clone();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line == "CONNECT r.example:5000 HTTP/1.1"),
        "{lines:?}"
    );
    assert_eq!(fake.seen().pop().unwrap().body.len(), 1_000_000);
    for seen in fake.seen() {
        assert_eq!((seen.header("proxy-authorization"), seen.header("host")), ("", "r.example:5000"));
    }
    // Whom NO_PROXY names is looked for directly, and nobody else knows that name.
    for list in ["r.example", ".example", "r.example:5000", "*"] {
        let error = get(&through(dir.path(), &url, list), "r.example").await.unwrap_err();
        assert!(error.to_string().contains("lookup r.example"), "{list}: {error}");
    }
    assert_eq!(asked.lock().unwrap().len(), lines.len());
}

/// The proxy's certificate is checked against the system's authorities, which are read once in a process: so the client is one of
/// its own, told of them by the variable that OpenSSL has for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_may_be_spoken_to_in_tls() {
    if let (Ok(url), Ok(dir)) = (std::env::var("BERTH_TEST_PROXY"), std::env::var("BERTH_TEST_CERTS")) {
        return pull_and_push(&through(Path::new(&dir), &url, "")).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let fake = registry(dir.path()).await;
    let ca = authority();
    let (address, asked) = proxy(fake.address, Some(server(&ca, "127.0.0.1"))).await;
    let roots = dir.path().join("roots.pem");
    let url = format!("https://kim:p%40ss@{address}");
    let error = get(&through(dir.path(), &url, ""), "r.example").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("proxyconnect tcp: tls: failed to verify certificate"), "{error}");
    assert!(asked.lock().unwrap().is_empty(), "an unknown proxy is told nothing");
    for (known, passes) in [(authority().pem(), false), (ca.pem(), true)] {
        std::fs::write(&roots, known).unwrap();
        let mut client = std::process::Command::new(std::env::current_exe().unwrap());
        client.args(["--exact", "a_proxy_may_be_spoken_to_in_tls"]);
        client.env("SSL_CERT_FILE", &roots).env_remove("SSL_CERT_DIR");
        client.env("BERTH_TEST_PROXY", &url).env("BERTH_TEST_CERTS", dir.path());
        let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.success(), passes, "{said}");
    }
    let lines = asked.lock().unwrap().clone();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line == "CONNECT r.example:5000 HTTP/1.1"),
        "{lines:?}"
    );
    assert_eq!(fake.seen().pop().unwrap().body.len(), 1_000_000);
}

#[tokio::test]
async fn what_a_proxy_refuses_is_said_of_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let fake = registry(dir.path()).await;
    let (address, _) = proxy(fake.address, None).await;
    let plain = dir.path().join("plain.example");
    std::fs::create_dir(&plain).unwrap();
    std::fs::write(plain.join("hosts.toml"), "server = \"http://plain.example\"").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let odd = |text: &'static str| Fake::start(move |_| Reply::raw(text));
    let forbids = odd("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let lost = odd("HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    let none = odd("SSH-2.0-x\r\n\r\n").await;
    for (url, name, says) in [
        (
            format!("http://{address}"),
            "r.example",
            format!("the proxy {address} wants a name and a password"),
        ),
        (
            format!("http://kim:no@{address}"),
            "r.example",
            format!("the proxy {address} does not take the name"),
        ),
        (
            format!("http://{address}"),
            "plain.example",
            format!("the proxy {address} wants a name and a password"),
        ),
        (
            format!("http://{}", forbids.address),
            "r.example",
            format!("the proxy {} refuses a connection to r.example:5000: 403 Forbidden", forbids.address),
        ),
        (
            format!("http://{}", lost.address),
            "r.example",
            format!("the proxy {} refuses a connection to r.example:5000: 502 Bad Gateway", lost.address),
        ),
        (
            format!("http://{}", none.address),
            "r.example",
            format!("the proxy {} is none: it answers \"SSH-2.0-x\"", none.address),
        ),
        (
            format!("http://{closed}"),
            "r.example",
            format!("proxyconnect tcp: dial tcp {closed}: connect: connection refused"),
        ),
        ("socks5://127.0.0.1:1".to_owned(), "r.example", "a socks5 proxy is not supported".to_owned()),
    ] {
        let error = get(&through(dir.path(), &url, ""), name).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.to_string().contains(&says), "{url}: {error}");
        assert!(!error.to_string().contains("kim"), "{error}");
    }
}
