//! Tokens: how they are asked for, how long they last.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::time::Instant;

use super::scope::Scopes;
use crate::client::Core;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::exchange::{Answer, Ask, exchange};
use crate::hosts::Endpoint;
use crate::http::{Payload, Url, escape};

/// What we call ourselves to token services.
const CLIENT: &str = "berth";
/// An answer of a token service may have so many bytes.
const ANSWER_BYTES: u64 = 1 << 20;
/// Tokens that say nothing else last so long (distribution, token specification).
const SHORTEST: Duration = Duration::from_secs(60);

/// A token and the moment from which another is asked for.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) until: Instant,
    /// What proves the same user later, when it was asked for.
    pub(crate) refresh: String,
}

/// What a token service is asked.
pub(crate) struct Wish<'a> {
    pub(crate) realm: &'a Url,
    pub(crate) service: &'a str,
    pub(crate) scopes: &'a Scopes,
    pub(crate) credentials: &'a Credentials,
    /// Also something that lasts: at login.
    pub(crate) offline: bool,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Asks the service that a registry named.
pub(crate) async fn fetch(core: &Core, registry: &Endpoint, wish: &Wish<'_>) -> Result<Token> {
    if let Credentials::Identity(token) = wish.credentials {
        let answer = send(core, registry, wish, post(wish, token), None).await?;
        // Services that know only GET.
        if !matches!(answer.response.status.as_u16(), 404 | 405) {
            return read(answer).await;
        }
    }
    let authorization = basic(wish.credentials);
    read(send(core, registry, wish, get(wish), authorization).await?).await
}

/// `Authorization: Basic`; an identity token goes as the password of nobody in particular.
pub(crate) fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let pair = match credentials {
        Credentials::Basic { user, password } => format!("{user}:{password}"),
        Credentials::Identity(token) => format!("<token>:{token}"),
        Credentials::Anonymous | Credentials::Bearer(_) => return None,
    };
    secret(&format!("Basic {}", STANDARD.encode(pair)))
}

/// A header that no log shows.
pub(crate) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn get(wish: &Wish<'_>) -> Ask {
    let mut url = wish.realm.clone();
    if !wish.service.is_empty() {
        url = url.with_query("service", wish.service);
    }
    for scope in wish.scopes.texts() {
        url = url.with_query("scope", &scope);
    }
    if let Credentials::Basic { user, .. } = wish.credentials {
        url = url.with_query("account", user);
    }
    if wish.offline {
        url = url.with_query("offline_token", "true").with_query("client_id", CLIENT);
    }
    Ask::new(Method::GET, url)
}

/// RFC 6749, section 6, as distribution's token specification has it.
fn post(wish: &Wish<'_>, token: &str) -> Ask {
    let scopes = wish.scopes.to_string();
    let fields = [
        ("grant_type", "refresh_token"),
        ("service", wish.service),
        ("client_id", CLIENT),
        ("scope", &scopes),
        ("refresh_token", token),
    ];
    let form: Vec<String> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    let mut ask = Ask::new(Method::POST, wish.realm.clone());
    ask.headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    ask.payload = Payload::Whole(Bytes::from(form.join("&")));
    ask
}

/// The service is a host of its own: its credentials stay with it when it redirects.
async fn send(
    core: &Core,
    registry: &Endpoint,
    wish: &Wish<'_>,
    ask: Ask,
    authorization: Option<HeaderValue>,
) -> Result<Answer> {
    let is_home = wish.realm.origin == registry.base.origin;
    let tls = if is_home { (*registry.tls).clone() } else { registry.tls.for_stranger().clone() };
    let service = Endpoint {
        base: wish.realm.clone(),
        capabilities: Vec::new(),
        tls: tls.into(),
        connect_timeout: registry.connect_timeout,
        namespace: None,
        headers: authorization.into_iter().map(|value| (AUTHORIZATION, value)).collect::<HeaderMap>(),
        is_origin: false,
        may_be_plain: false,
    };
    Box::pin(exchange(core, &service, ask)).await
}

async fn read(answer: Answer) -> Result<Token> {
    let Answer { mut response, asked, .. } = answer.expect(&[200]).await?;
    let failed = |why: &str| Error::corrupt(format!("{asked}: {why}"));
    let bytes = response.body.whole(ANSWER_BYTES).await;
    let bytes = bytes.map_err(|failure| Error::unreachable(&asked, &failure))?;
    let bytes = bytes.ok_or_else(|| failed("the token service's answer is too long"))?;
    parse(&bytes, Instant::now()).map_err(failed)
}

/// Reads a service's answer that came at this moment. Its own clock is of no interest.
fn parse(bytes: &[u8], now: Instant) -> Result<Token, &'static str> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|_| "the token service's answer cannot be read")?;
    let both = [document.token, document.access_token];
    let value = both.into_iter().flatten().find(|token| !token.is_empty());
    let value = value.ok_or("the token service's answer has no token")?;
    let lasts =
        Duration::from_secs(document.expires_in.unwrap_or(0)).clamp(SHORTEST, Duration::from_secs(86_400));
    // A tenth early: requests take time.
    Ok(Token { value, until: now + lasts.mul_f64(0.9), refresh: document.refresh_token.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_token_services() {
        let now = Instant::now();
        for (text, value, seconds, refresh) in [
            (r#"{"token":"a"}"#, "a", 54, ""),
            (r#"{"access_token":"b","expires_in":300}"#, "b", 270, ""),
            (r#"{"token":"a","access_token":"b","expires_in":5}"#, "a", 54, ""),
            (r#"{"token":"","access_token":"b","refresh_token":"r"}"#, "b", 54, "r"),
            (r#"{"token":"a","expires_in":999999999999}"#, "a", 77_760, ""),
            (r#"{"token":"a","expires_in":null,"issued_at":"1970-01-01T00:00:00Z"}"#, "a", 54, ""),
        ] {
            let token = parse(text.as_bytes(), now).unwrap_or_else(|e| panic!("{text}: {e}"));
            let lasts = (token.until - now).as_secs();
            assert_eq!((&*token.value, lasts, &*token.refresh), (value, seconds, refresh), "{text}");
        }
        for bad in ["", "{}", "[]", r#"{"token":""}"#, r#"{"token":1}"#, r#"{"token":"a","expires_in":-1}"#] {
            assert!(parse(bad.as_bytes(), now).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_services_are_asked() {
        let realm = Url::parse("https://auth.example/token?x=1").unwrap();
        let scopes = Scopes::repository("a/b", &["pull"]).and(Scopes::repository("c", &["pull"]));
        let credentials = Credentials::Basic { user: "kim".to_owned(), password: "p".to_owned() };
        let wish =
            Wish { realm: &realm, service: "r", scopes: &scopes, credentials: &credentials, offline: true };
        assert_eq!(
            get(&wish).url.path,
            "/token?x=1&service=r&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull&account=kim\
             &offline_token=true&client_id=berth"
        );
        let Payload::Whole(form) = post(&wish, "t&t").payload else { panic!("a form") };
        assert_eq!(
            String::from_utf8_lossy(&form),
            "grant_type=refresh_token&service=r&client_id=berth&\
             scope=repository%3Aa%2Fb%3Apull%20repository%3Ac%3Apull&refresh_token=t%26t"
        );
    }
}
