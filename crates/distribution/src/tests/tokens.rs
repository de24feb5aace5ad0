//! Tokens: whose count, and for what (D02). Each forged one has a right one beside it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};
use serde_json::{Value, json};

use super::Server;
use crate::auth::{AuthOptions, TokenOptions};
use crate::depot::now;
use crate::digest::digest_of;

/// A key pair, its public half as a JSON Web Key, and the names in its tokens.
struct Signer {
    pair: EcdsaKeyPair,
    header: Value,
}

impl Signer {
    fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { pair, header: json!({ "alg": "ES256", "typ": "JWT", "kid": kid }) }
    }

    fn key(&self, kid: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": text(&point[1..33]), "y": text(&point[33..]) })
    }

    fn sign(&self, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(&self.header), text(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn claims() -> Value {
    json!({
        "iss": "issuer", "aud": "service", "exp": now() + 300, "nbf": now() - 5,
        "access": [{ "type": "repository", "name": "a", "actions": ["pull", "push"] }],
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

fn server(files: &[(&str, String)]) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let mut options = TokenOptions {
        realm: "https://auth.test/token".into(),
        service: "service".into(),
        issuer: "issuer".into(),
        ..Default::default()
    };
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        if *name == "jwks" { options.jwks = Some(path) } else { options.root_certs = Some(path) }
    }
    Server::start_in(directory, |o| o.auth = AuthOptions::Token(options))
}

/// The status of a push to `a`.
fn push(server: &Server, token: &str) -> u16 {
    let digest = digest_of(b"x");
    let proof = format!("Bearer {token}");
    server
        .ask(&format!("POST /v2/a/blobs/uploads/?digest={digest}"), &[("Authorization", &proof)], b"x")
        .status
}

#[test]
fn d02_a_key_counts_by_what_it_is_not_by_its_name() {
    let (ours, forger) = (Signer::new("ours"), Signer::new("ours"));
    let server = server(&[("jwks", json!({ "keys": [ours.key("ours")] }).to_string())]);
    assert_eq!(push(&server, &ours.sign(&claims())), 201);
    assert_eq!(push(&server, &forger.sign(&claims())), 401, "another key with the same name");
    let mut inside = Signer { header: forger.header.clone(), ..forger };
    inside.header["jwk"] = inside.key("ours");
    assert_eq!(push(&server, &inside.sign(&claims())), 401, "a key that the token brought along");
    let mut unnamed = Signer { header: json!({ "alg": "ES256" }), ..ours };
    assert_eq!(push(&server, &unnamed.sign(&claims())), 201);
    unnamed.header = json!({ "alg": "ES256", "kid": "another" });
    assert_eq!(push(&server, &unnamed.sign(&claims())), 401, "another key's name");
    for alg in ["none", "HS256", "RS256", "es256", ""] {
        unnamed.header = json!({ "alg": alg });
        assert_eq!(push(&server, &unnamed.sign(&claims())), 401, "{alg}");
    }
    unnamed.header = json!({ "alg": "ES256", "crit": ["exp"] });
    assert_eq!(push(&server, &unnamed.sign(&claims())), 401);
}

#[test]
fn d02_issuer_audience_and_time_are_pinned() {
    let ours = Signer::new("ours");
    let server = server(&[("jwks", json!({ "keys": [ours.key("ours")] }).to_string())]);
    let status = |claims: &Value| push(&server, &ours.sign(claims));
    assert_eq!(status(&with("aud", json!(["other", "service"]))), 201);
    for (field, value) in [
        ("iss", json!("other")),
        ("iss", json!("")),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("exp", json!(now() - 120)),
        ("exp", json!(null)),
        ("nbf", json!(now() + 120)),
        ("access", json!([])),
        ("access", json!([{ "type": "repository", "name": "b", "actions": ["*"] }])),
        ("access", json!([{ "type": "repository", "name": "a", "actions": ["pull"] }])),
        ("access", json!([{ "type": "registry", "name": "a", "actions": ["*"] }])),
    ] {
        assert_eq!(status(&with(field, value.clone())), 401, "{field} {value}");
    }
    let token = ours.sign(&claims());
    for broken in
        ["", "a.b", "a.b.c", &token[..token.len() - 4], &token.replace('.', ".."), &format!("{token}A")]
    {
        assert_eq!(push(&server, broken), 401, "{broken}");
    }
}

#[test]
fn challenges_say_what_to_ask_for() {
    let ours = Signer::new("ours");
    let server = server(&[("jwks", json!({ "keys": [ours.key("ours")] }).to_string())]);
    let base = "Bearer realm=\"https://auth.test/token\",service=\"service\"";
    assert_eq!(server.get("/v2/").header("www-authenticate"), Some(base));
    let upload = server.ask("POST /v2/b/blobs/uploads/", &[], b"");
    let scoped = format!("{base},scope=\"repository:b:pull,push\"");
    assert_eq!((upload.status, upload.code().as_str()), (401, "UNAUTHORIZED"));
    assert_eq!(upload.header("www-authenticate"), Some(scoped.as_str()));
    let proof = format!("Bearer {}", ours.sign(&claims()));
    let other = server.ask("GET /v2/b/tags/list", &[("Authorization", &proof)], b"");
    let scoped = format!("{base},scope=\"repository:b:pull\",error=\"insufficient_scope\"");
    assert_eq!(other.header("www-authenticate"), Some(scoped.as_str()));
    assert_eq!(server.ask("GET /v2/_catalog", &[("Authorization", &proof)], b"").status, 401);
}

#[test]
fn d06_a_mount_needs_a_right_to_its_source() {
    let ours = Signer::new("ours");
    let server = server(&[("jwks", json!({ "keys": [ours.key("ours")] }).to_string())]);
    let grant = |name: &str| json!([{ "type": "repository", "name": name, "actions": ["pull", "push"] }]);
    let ask = |line: &str, access: Value, body: &[u8]| {
        let proof = format!("Bearer {}", ours.sign(&with("access", access)));
        server.ask(line, &[("Authorization", &proof)], body).status
    };
    let digest = digest_of(b"secret");
    assert_eq!(ask(&format!("POST /v2/b/blobs/uploads/?digest={digest}"), grant("b"), b"secret"), 201);
    for from in ["&from=b", ""] {
        let mount = format!("POST /v2/a/blobs/uploads/?mount={digest}{from}");
        assert_eq!(ask(&mount, grant("a"), b""), 202, "{from}");
        assert_eq!(ask(&format!("GET /v2/a/blobs/{digest}"), grant("a"), b""), 404);
    }
    let both = json!([grant("a")[0], grant("b")[0]]);
    assert_eq!(ask(&format!("POST /v2/a/blobs/uploads/?mount={digest}&from=b"), both, b""), 201);
}

#[test]
fn certificates_vouch_for_the_keys_below_them() {
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.clone().self_signed(&root_key).unwrap();
    let server = server(&[("roots", root.pem())]);
    let below = |issuer_key: &rcgen::KeyPair| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = Issuer::new(ca, issuer_key);
        let leaf =
            CertificateParams::new(vec!["signer".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
        Signer { pair, header: json!({ "alg": "ES256", "x5c": [STANDARD.encode(leaf.der())] }) }
    };
    assert_eq!(push(&server, &below(&root_key).sign(&claims())), 201);
    let stranger = rcgen::KeyPair::generate().unwrap();
    assert_eq!(push(&server, &below(&stranger).sign(&claims())), 401);
    let own = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &root_key.serialize_der()).unwrap();
    let direct = Signer { pair: own, header: json!({ "alg": "ES256" }) };
    assert_eq!(push(&server, &direct.sign(&claims())), 201);
    let mut borrowed = Signer::new("x");
    borrowed.header["x5c"] = below(&root_key).header["x5c"].clone();
    assert_eq!(push(&server, &borrowed.sign(&claims())), 401, "a certificate of somebody else's key");
}
