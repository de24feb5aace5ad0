//! Who a client is to registries: the document of `POST /auth`, and of the headers `X-Registry-Auth` and `X-Registry-Config`.
#![allow(missing_docs, reason = "the fields are Docker's; only units and surprises are noted")]

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, nil};

/// Padding is taken and missed alike: clients differ.
const TOLERANT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, TOLERANT);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, TOLERANT);

/// What proves who somebody is to one registry. Its secrets are never printed by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// `username:password` in base64, as settings files of clients keep it.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub auth: String,
    /// Of old clients; means nothing.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub serveraddress: String,
    /// What a registry's token service gave at login in place of the password.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub identitytoken: String,
    /// A bearer token for the registry itself.
    #[serde(deserialize_with = "nil::or_default", skip_serializing_if = "String::is_empty")]
    pub registrytoken: String,
}

/// Answer of `POST /auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthResponse {
    pub status: String,
    pub identity_token: String,
}

impl AuthConfig {
    /// Reads the value of an `X-Registry-Auth` header: JSON in URL-safe base64. An empty one is nobody.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_header(value: &str) -> Result<Self, Error> {
        read(value, "X-Registry-Auth")
    }

    /// Reads the value of an `X-Registry-Config` header: one `AuthConfig` by registry.
    ///
    /// # Errors
    /// When it is not JSON in URL-safe base64.
    pub fn by_registry(value: &str) -> Result<BTreeMap<String, Self>, Error> {
        read(value, "X-Registry-Config")
    }

    /// The value of an `X-Registry-Auth` header.
    #[must_use]
    pub fn to_header(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        base64::engine::general_purpose::URL_SAFE.encode(json)
    }

    /// `username:password` in base64; empty when there is neither.
    #[must_use]
    pub fn encoded(&self) -> String {
        if self.username.is_empty() && self.password.is_empty() {
            return String::new();
        }
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.username, self.password))
    }

    /// Name and password, from their fields or out of `auth`; `None` when there is no name.
    #[must_use]
    pub fn basic(&self) -> Option<(String, String)> {
        if !self.username.is_empty() {
            return Some((self.username.clone(), self.password.clone()));
        }
        let text = String::from_utf8(PLAIN.decode(self.auth.trim()).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;
        (!name.is_empty()).then(|| (name.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}

fn read<T: DeserializeOwned + Default>(value: &str, header: &str) -> Result<T, Error> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(T::default());
    }
    let json = URL.decode(value).or_else(|_| PLAIN.decode(value)).map_err(|_| {
        Error::new(format!("invalid {header} header: it must be a valid base64url-encoded JSON document"))
    })?;
    serde_json::from_slice(&json)
        .map_err(|error| Error::new(format!("invalid {header} header: {}", shape(&error))))
}

/// What is wrong with a document, without any of its text: there may be a password in it.
fn shape(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON document ends too early",
        serde_json::error::Category::Data => "a field of the JSON document has another type",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is no JSON document",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    const JSON: &str =
        r#"{"username":"kim","password":"pä?>s","serveraddress":"r.test:5000","extra":1,"email":null}"#;

    #[test]
    fn headers_in_every_base64() {
        for value in [URL_SAFE.encode(JSON), URL_SAFE_NO_PAD.encode(JSON), STANDARD.encode(JSON)] {
            let auth = AuthConfig::from_header(&value).unwrap();
            assert_eq!((auth.username.as_str(), auth.password.as_str()), ("kim", "pä?>s"), "{value}");
            assert_eq!(AuthConfig::from_header(&auth.to_header()).unwrap(), auth);
        }
        assert_eq!(AuthConfig::from_header(" ").unwrap(), AuthConfig::default());
        assert_eq!(AuthConfig::from_header(&URL_SAFE.encode("{}")).unwrap(), AuthConfig::default());
        let all = AuthConfig::by_registry(&URL_SAFE.encode(format!("{{\"a\":{JSON}}}"))).unwrap();
        assert_eq!(all["a"].serveraddress, "r.test:5000");
    }

    #[test]
    fn what_is_wrong_is_told_without_its_secrets() {
        for bad in [
            "%%",
            "e",
            &URL_SAFE.encode("{\"password\":\"hunter2\""),
            &URL_SAFE.encode(r#"{"username":["hunter2"]}"#),
            &URL_SAFE.encode("hunter2"),
        ] {
            let said = AuthConfig::from_header(bad).unwrap_err().to_string();
            assert!(
                said.starts_with("invalid X-Registry-Auth header: ") && !said.contains("hunter2"),
                "{said}"
            );
        }
        let auth = AuthConfig {
            password: "hunter2".into(),
            identitytoken: "hunter2".into(),
            ..AuthConfig::default()
        };
        assert!(!format!("{auth:?}").contains("hunter2"));
    }

    #[test]
    fn names_and_passwords() {
        let of = |username: &str, auth: &str| {
            AuthConfig {
                username: username.into(),
                password: "p".into(),
                auth: auth.into(),
                ..AuthConfig::default()
            }
            .basic()
        };
        assert_eq!(of("kim", ""), Some(("kim".into(), "p".into())));
        assert_eq!(of("", &STANDARD.encode("kim:a:b")), Some(("kim".into(), "a:b".into())));
        assert_eq!(of("", "??"), None);
        assert_eq!(of("", ""), None);
    }
}
