//! The keys whose signatures count: from a JSON Web Key Set, and from a bundle of certificates. A name of a key (`kid`) at most leaves
//! keys out; what counts is that one of ours fits the signature (D02).

use std::fs;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use serde::Deserialize;
use types::weak;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::error::{Error, Result};

/// Certificates that a token may bring.
const LONGEST_CHAIN: usize = 8;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

/// A message with its signature.
pub(super) struct Signed<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) message: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// All keys that we trust.
#[derive(Default)]
pub(super) struct Keys {
    set: Vec<Key>,
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

struct Key {
    name: Option<String>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// An uncompressed point.
    P256(Vec<u8>),
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<KeyDocument>,
}

/// One key (RFC 7517), with the fields of both kinds.
#[derive(Deserialize)]
struct KeyDocument {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads both files, where they are named.
    pub(super) fn read(root_certs: Option<&Path>, jwks: Option<&Path>) -> Result<Self> {
        let mut keys = Self::default();
        if let Some(path) = jwks {
            let failed = |e| Error::call(format!("cannot read the keys {}", path.display()), e);
            let text = fs::read(path).map_err(failed)?;
            keys.set = parse(&text).map_err(|why| Error::invalid(format!("{}: {why}", path.display())))?;
        }
        if let Some(path) = root_certs {
            keys.trust(path).map_err(|why| Error::invalid(format!("{}: {why}", path.display())))?;
        }
        if keys.set.is_empty() && keys.roots.is_empty() {
            let message = "token authentication needs a key in --token-root-certs or --token-jwks";
            return Err(Error::invalid(message));
        }
        Ok(keys)
    }

    fn trust(&mut self, path: &Path) -> Result<(), String> {
        let certificates = CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())?;
        self.roots = certificates.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        for root in &self.roots {
            self.anchors.push(anchor_from_trusted_cert(root).map_err(|e| e.to_string())?.to_owned());
        }
        Ok(())
    }

    /// Whether one of our keys, or one that our certificates vouch for, made this signature.
    pub(super) fn made(&self, signed: &Signed<'_>, name: Option<&str>, chain: &[Vec<u8>], now: i64) -> bool {
        let candidate = |key: &&Key| name.is_none() || key.name.is_none() || key.name.as_deref() == name;
        let fits = |key: &Key| key.made(signed) || (name.is_some() && weak::is_off("D02"));
        if self.set.iter().filter(candidate).any(fits) || self.roots.iter().any(|root| key_of(root, signed)) {
            return true;
        }
        let Some((leaf, others)) = chain.split_first() else { return false };
        let leaf = CertificateDer::from(leaf.as_slice());
        self.vouches_for(&leaf, others, now) && key_of(&leaf, signed)
    }

    /// Whether a certificate was issued below one of ours and is valid now.
    fn vouches_for(&self, leaf: &CertificateDer<'_>, others: &[Vec<u8>], now: i64) -> bool {
        let Ok(leaf) = EndEntityCert::try_from(leaf) else { return false };
        let others: Vec<CertificateDer<'_>> = others.iter().map(|one| one.as_slice().into()).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now.unsigned_abs()));
        let known = webpki::ALL_VERIFICATION_ALGS;
        others.len() < LONGEST_CHAIN
            && [KeyUsage::client_auth(), KeyUsage::server_auth()].into_iter().any(|usage| {
                leaf.verify_for_usage(known, &self.anchors, &others, time, usage, None, None).is_ok()
            })
    }
}

impl Key {
    fn made(&self, signed: &Signed<'_>) -> bool {
        match (&self.material, signed.algorithm) {
            (Material::Rsa(key), Algorithm::Rs256) => {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.message, signed.signature).is_ok()
            }
            (Material::P256(point), Algorithm::Es256) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed.message, signed.signature).is_ok()
            }
            _ => false,
        }
    }
}

/// Whether the certificate's own key made the signature.
fn key_of(certificate: &CertificateDer<'_>, signed: &Signed<'_>) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    match signed.algorithm {
        Algorithm::Rs256 => {
            let algorithm = webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256;
            certificate.verify_signature(algorithm, signed.message, signed.signature).is_ok()
        }
        Algorithm::Es256 => der_signature(signed.signature).is_some_and(|signature| {
            let algorithm = webpki::aws_lc_rs::ECDSA_P256_SHA256;
            certificate.verify_signature(algorithm, signed.message, &signature).is_ok()
        }),
    }
}

/// Two numbers side by side (RFC 7518, 3.4) as certificates' algorithms have them: a sequence of two integers.
fn der_signature(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() != 64 {
        return None;
    }
    let mut body = Vec::with_capacity(72);
    for half in raw.chunks_exact(32) {
        let digits: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        let padded = digits.first().is_none_or(|byte| byte & 0x80 != 0);
        body.extend([2, u8::try_from(digits.len() + usize::from(padded)).ok()?]);
        body.extend(padded.then_some(0));
        body.extend(digits);
    }
    let mut whole = vec![0x30, u8::try_from(body.len()).ok()?];
    whole.extend(body);
    Some(whole)
}

fn parse(text: &[u8]) -> Result<Vec<Key>, String> {
    let set: KeySet = serde_json::from_slice(text).map_err(|e| format!("it is no JSON Web Key Set: {e}"))?;
    let signs = |key: &&KeyDocument| key.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
    set.keys
        .iter()
        .filter(signs)
        .map(|key| Ok(Key { name: key.kid.clone(), material: material(key)? }))
        .collect()
}

fn material(key: &KeyDocument) -> Result<Material, String> {
    let field = |name: &str, text: &Option<String>| {
        let bytes = text.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.ok_or_else(|| format!("a key of type {} has no {name}", key.kty))
    };
    match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => {
            Ok(Material::Rsa(RsaPublicKeyComponents { n: field("n", &key.n)?, e: field("e", &key.e)? }))
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (field("x", &key.x)?, field("y", &key.y)?);
            if x.len() != 32 || y.len() != 32 {
                return Err("a key's point is not on P-256".to_owned());
            }
            Ok(Material::P256([&[4], x.as_slice(), &y].concat()))
        }
        (kind, _) => Err(format!("a key of type {kind} is not accepted: want RSA, or EC with P-256")),
    }
}
