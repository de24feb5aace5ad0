//! JSON Web Tokens (RFC 7519), as far as registries use them: signed with RS256 or ES256, and believed only when the signature is right.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::keys::{Algorithm, Keys, Signed};
use super::token::Grant;

/// Longest token, in bytes.
const LONGEST: usize = 32 << 10;
/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY: i64 = 60;

/// What a token says about how it was signed. A key inside (`jwk`) is not even read: whoever made the token made that, too (D02).
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    x5c: Vec<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    aud: Audience,
    #[serde(default)]
    exp: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    access: Option<Vec<Grant>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// Whom a token must come from, and whom it must be meant for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) issuer: &'a str,
    pub(super) service: &'a str,
    /// Seconds of the epoch.
    pub(super) now: i64,
}

/// What the token grants; else why it counts for nothing.
pub(super) fn verify(text: &str, keys: &Keys, wanted: Wanted<'_>) -> Result<Vec<Grant>, &'static str> {
    if text.len() > LONGEST {
        return Err("the token is too long");
    }
    let (signed, signature) = text.rsplit_once('.').ok_or("the token has not three parts")?;
    let (header, claims) = signed.split_once('.').ok_or("the token has not three parts")?;
    let header: Header = part(header)?;
    if header.crit.is_some() {
        return Err("the token wants something of its reader that is not known here");
    }
    let algorithm = match header.alg.as_str() {
        "RS256" => Algorithm::Rs256,
        "ES256" => Algorithm::Es256,
        _ => return Err("the token is signed in a way that is not accepted: want RS256 or ES256"),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the token's signature is not base64")?;
    let chain: Result<Vec<_>, _> = header.x5c.iter().map(|one| STANDARD.decode(one)).collect();
    let chain = chain.map_err(|_| "the token's certificates are not base64")?;
    let signed = Signed { algorithm, message: signed.as_bytes(), signature: &signature };
    if !keys.made(&signed, header.kid.as_deref(), &chain, wanted.now) {
        return Err("the token is not signed by a trusted key");
    }
    check(part(claims)?, wanted)
}

fn check(claims: Claims, wanted: Wanted<'_>) -> Result<Vec<Grant>, &'static str> {
    if claims.iss != wanted.issuer {
        return Err("the token is of another issuer");
    }
    let meant = match &claims.aud {
        Audience::One(one) => one == wanted.service,
        Audience::Many(many) => many.iter().any(|one| one == wanted.service),
    };
    if !meant {
        return Err("the token is meant for another service");
    }
    match claims.exp {
        None => return Err("the token has no end"),
        Some(end) if end.saturating_add(LEEWAY) <= wanted.now => return Err("the token has expired"),
        Some(_) => {}
    }
    if claims.nbf.is_some_and(|begin| begin.saturating_sub(LEEWAY) > wanted.now) {
        return Err("the token is not valid yet");
    }
    Ok(claims.access.unwrap_or_default())
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "the token is not base64")?;
    serde_json::from_slice(&bytes).map_err(|_| "the token does not parse")
}
