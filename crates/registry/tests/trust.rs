//! TLS: authorities, client certificates, registries that are declared insecure, mirrors, proxies.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod fake;

use std::path::Path;
use std::sync::Arc;

use fake::{Fake, Reply, options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use registry::{Client, Credentials, Options, Proxies, Target};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use types::Kind;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A server for `name`; with `clients`, only for those whom that authority knows.
    fn server(&self, name: &str, clients: Option<&Self>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (certificate, key) = self.issue(name);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }

    fn write(&self, file: &Path) {
        std::fs::write(file, self.0.pem()).unwrap();
    }
}

/// A TLS registry. 127.0.0.3 is as local as any, so its name is one that is not: the hosts file maps it.
async fn registry(config: ServerConfig) -> Fake {
    Fake::start_on("127.0.0.1", Some(config), |_| Reply::new(200, "{}")).await
}

async fn get(options: Options, name: &str) -> registry::Result<()> {
    let reference = format!("{name}/app:1").parse().unwrap();
    let app = Client::new(options).unwrap().repository(&reference, Credentials::Anonymous);
    app.manifest(&Target::of(&reference)).await.map(|_| ())
}

/// Options under which the registry at this address is asked in TLS only, with what `hosts.toml` says.
fn strict(dir: &Path, fake: &Fake, more: &str) -> Options {
    let place = dir.join("r.example");
    std::fs::create_dir_all(&place).unwrap();
    let text = format!("server = \"https://{}\"\n{more}", fake.address);
    std::fs::write(place.join("hosts.toml"), text).unwrap();
    Options { certs_dirs: vec![dir.to_owned()], ..options() }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_a_known_one_is_not() {
    let (ca, other) = (Authority::new(), Authority::new());
    let fake = registry(ca.server("127.0.0.1", None)).await;
    let dir = tempfile::tempdir().unwrap();
    let error = get(strict(dir.path(), &fake, ""), "r.example").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden);
    assert!(error.to_string().contains("verify certificate"), "{error}");
    assert!(fake.seen().is_empty());

    other.write(&dir.path().join("r.example/ca.crt"));
    let options = strict(dir.path(), &fake, "ca = \"ca.crt\"");
    assert!(get(options.clone(), "r.example").await.is_err(), "another authority is of no use");
    ca.write(&dir.path().join("r.example/ca.crt"));
    get(options, "r.example").await.unwrap();
    get(strict(dir.path(), &fake, "skip_verify = true"), "r.example").await.unwrap();
}

#[tokio::test]
async fn a_changed_file_counts_at_once() {
    let ca = Authority::new();
    let fake = registry(ca.server("127.0.0.1", None)).await;
    let dir = tempfile::tempdir().unwrap();
    let client = Client::new(strict(dir.path(), &fake, "ca = \"ca.crt\"")).unwrap();
    let reference = "r.example/app:1".parse().unwrap();
    let app = || client.repository(&reference, Credentials::Anonymous);
    let error = app().manifest(&Target::of(&reference)).await.unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
    ca.write(&dir.path().join("r.example/ca.crt"));
    app().manifest(&Target::of(&reference)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ca = Authority::new();
    let fake = registry(ca.server("elsewhere.example", None)).await;
    let dir = tempfile::tempdir().unwrap();
    let options = strict(dir.path(), &fake, "ca = \"ca.crt\"");
    ca.write(&dir.path().join("r.example/ca.crt"));
    assert_eq!(get(options, "r.example").await.unwrap_err().kind(), Kind::Forbidden);
}

#[tokio::test]
async fn certificates_lie_as_docker_lays_them_out() {
    let (ca, clients) = (Authority::new(), Authority::new());
    let fake = registry(ca.server("127.0.0.1", Some(&clients))).await;
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join(fake.address.to_string());
    std::fs::create_dir(&place).unwrap();
    ca.write(&place.join("ca.crt"));
    let options = Options { certs_dirs: vec![dir.path().to_owned()], attempts: 1, ..options() };
    let name = fake.address.to_string();
    assert!(get(options.clone(), &name).await.is_err(), "no certificate was shown");
    let (certificate, key) = clients.issue("kim");
    std::fs::write(place.join("client.cert"), certificate.pem()).unwrap();
    std::fs::write(place.join("client.key"), key.serialize_pem()).unwrap();
    get(options, &name).await.unwrap();
}

#[tokio::test]
async fn i04_our_certificate_is_not_shown_to_strangers() {
    let (ca, clients) = (Authority::new(), Authority::new());
    // It takes anybody, but would ask for a certificate and does not let in whoever shows none.
    let stranger =
        Fake::start_on("127.0.0.2", Some(ca.server("127.0.0.2", Some(&clients))), |_| Reply::new(200, "{}"))
            .await;
    let to = format!("https://{}/", stranger.address);
    let fake = Fake::start_on("127.0.0.1", Some(ca.server("127.0.0.1", Some(&clients))), move |seen| {
        if seen.path.starts_with("/v2/app") {
            Reply::new(307, "").header("Location", &to)
        } else {
            Reply::new(200, "{}")
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        attempts: 1,
        ..strict(dir.path(), &fake, "ca = \"ca.crt\"\nclient = [[\"c.cert\", \"c.key\"]]")
    };
    let place = dir.path().join("r.example");
    ca.write(&place.join("ca.crt"));
    let (certificate, key) = clients.issue("kim");
    std::fs::write(place.join("c.cert"), certificate.pem()).unwrap();
    std::fs::write(place.join("c.key"), key.serialize_pem()).unwrap();
    assert!(get(options.clone(), "r.example").await.is_err());
    assert_eq!((fake.seen().len(), stranger.seen().len()), (1, 0));
    let home = format!("https://{}", stranger.address);
    std::fs::write(
        place.join("hosts.toml"),
        format!("server = \"{home}\"\nca = \"ca.crt\"\nclient = [[\"c.cert\", \"c.key\"]]"),
    )
    .unwrap();
    get(options, "r.example").await.unwrap();
}

#[tokio::test]
async fn loopback_is_insecure_in_both_ways() {
    let ca = Authority::new();
    let tls = registry(ca.server("other.example", None)).await;
    get(options(), &tls.address.to_string()).await.unwrap();
    let plain = Fake::start(|_| Reply::new(200, "{}")).await;
    get(options(), &plain.address.to_string()).await.unwrap();
}

#[tokio::test]
async fn a_secure_registry_is_never_asked_in_clear() {
    let fake = Fake::start(|_| Reply::new(200, "{}")).await;
    let dir = tempfile::tempdir().unwrap();
    let error = get(strict(dir.path(), &fake, ""), "r.example").await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn mirrors_come_first_and_the_registry_last() {
    let has = |has: bool| move |_: &fake::Seen| if has { Reply::new(200, "{}") } else { Reply::new(404, "") };
    let (empty, full) = (Fake::start(has(false)).await, Fake::start(has(true)).await);
    let origin = Fake::start(has(true)).await;
    let gone = "http://127.0.0.1:1";
    let file = |mirror: &str| format!("[host.\"{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("r.example");
    std::fs::create_dir(&place).unwrap();
    let write = |mirrors: &[String]| {
        let text = format!("server = \"http://{}\"\n{}", origin.address, mirrors.concat());
        std::fs::write(place.join("hosts.toml"), text).unwrap();
    };
    let options = Options { certs_dirs: vec![dir.path().to_owned()], ..options() };
    let address = |fake: &Fake| format!("http://{}", fake.address);

    write(&[file(gone), file(&address(&empty)), file(&address(&full))]);
    get(options.clone(), "r.example").await.unwrap();
    assert_eq!(empty.lines(), ["GET /v2/app/manifests/1?ns=r.example"]);
    assert_eq!((full.seen().len(), origin.seen().len()), (1, 0));

    write(&[file(gone), file(&address(&empty))]);
    get(options, "r.example").await.unwrap();
    assert_eq!(origin.lines(), ["GET /v2/app/manifests/1"]);
}

#[tokio::test]
async fn i04_mirrors_see_no_credentials_but_their_own_headers() {
    let challenge = |seen: &fake::Seen| match seen.header("authorization") {
        "" => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"r\""),
        _ => Reply::new(200, "{}"),
    };
    let (mirror, origin) = (Fake::start(challenge).await, Fake::start(challenge).await);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("r.example");
    std::fs::create_dir(&place).unwrap();
    let kim = || Credentials::Basic { user: "kim".to_owned(), password: "hunter2".to_owned() };
    let text = format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\n[host.\"http://{0}\".header]\nX-Key = \"1\"\n",
        origin.address, mirror.address
    )
    .replace(
        &format!("[host.\"http://{}\".header]", origin.address),
        &format!("[host.\"http://{}\".header]", mirror.address),
    );
    std::fs::write(place.join("hosts.toml"), text).unwrap();
    let options = Options { certs_dirs: vec![dir.path().to_owned()], ..options() };
    let reference = "r.example/app:1".parse().unwrap();
    let app = Client::new(options).unwrap().repository(&reference, kim());
    app.manifest(&Target::of(&reference)).await.unwrap();
    let seen = mirror.seen();
    assert_eq!((seen.len(), seen[0].header("authorization"), seen[0].header("x-key")), (1, "", "1"));
    let last = origin.seen().pop().unwrap();
    assert!(last.header("authorization").starts_with("Basic ") && last.header("x-key").is_empty());
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    // Names that only the proxy could know: it sees the whole URL, and the host's name for a tunnel.
    let proxy = Fake::start(|seen| match seen.method.as_str() {
        "CONNECT" => Reply::new(403, ""),
        _ => Reply::new(200, "{}"),
    })
    .await;
    let url = format!("http://kim:hunter2@{}", proxy.address);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("plain.example");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("hosts.toml"), "server = \"http://plain.example\"").unwrap();
    let proxies = Proxies { http: Some(url.clone()), https: Some(url), no_proxy: String::new() };
    let options = Options { certs_dirs: vec![dir.path().to_owned()], proxies, ..options() };
    get(options.clone(), "plain.example").await.unwrap();
    let error = get(options, "secret.example").await.unwrap_err();
    assert!(error.to_string().contains("proxy"), "{error}");
    assert_eq!(proxy.lines(), ["GET http://plain.example/v2/app/manifests/1", "CONNECT secret.example:443"]);
    for seen in proxy.seen() {
        assert_eq!(seen.header("proxy-authorization"), "Basic a2ltOmh1bnRlcjI=");
    }
}
