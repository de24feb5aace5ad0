//! Proving who we are. Credentials are the registry's: they go to its own host, and to a token service of its domain that
//! its challenge names. No redirect, mirror or foreign URL ever gets them.

mod challenge;
mod realm;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;
use types::Kind;

use crate::client::Core;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::hosts::Endpoint;
use crate::http::{Origin, Url};

pub use challenge::{Challenge, ChallengeError, parse_challenges};
pub(crate) use scope::Scopes;
use token::{Token, Wish};

/// On whose behalf a request is made, and what for.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) credentials: Credentials,
    pub(crate) scopes: Scopes,
}

/// What a host wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Basic,
    Bearer { realm: Url, service: String, scopes: Scopes },
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    realm: Url,
    service: String,
    scopes: Scopes,
    credentials: Credentials,
}

/// A token's place. Whoever holds the turn asks for it; the others wait and take what came.
type Slot = Arc<Turn<Option<Token>>>;

/// What hosts wanted, and the tokens that were given.
#[derive(Default)]
pub(crate) struct Keyring {
    wants: Mutex<HashMap<Origin, Want>>,
    tokens: Mutex<HashMap<Key, Slot>>,
}

/// What goes into `Authorization`, and what there is to say about it.
#[derive(Default)]
pub(crate) struct Proof {
    pub(crate) header: Option<HeaderValue>,
    /// The credentials were not shown to the token service; this says why.
    pub(crate) withheld: Option<String>,
}

impl Keyring {
    /// What a host wanted when it was asked last.
    pub(crate) fn want(&self, origin: &Origin) -> Option<Want> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }

    /// Takes note of an answer with status 401. `None` when it asks for nothing that we have a word for.
    pub(crate) fn challenged(&self, origin: &Origin, headers: &HeaderMap) -> Result<Option<Want>> {
        let mut all = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let text =
                value.to_str().map_err(|_| Error::corrupt("the registry's challenge is not plain text"))?;
            all.extend(parse_challenges(text).map_err(|e| Error::corrupt(e.to_string()))?);
        }
        let want = choose(&all)?;
        let mut wants = self.wants.lock().unwrap_or_else(PoisonError::into_inner);
        match &want {
            Some(want) => drop(wants.insert(origin.clone(), want.clone())),
            None => drop(wants.remove(origin)),
        }
        Ok(want)
    }

    fn slot(&self, key: Key) -> Slot {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, slot| {
            Arc::strong_count(slot) > 1
                || slot.try_lock().is_ok_and(|t| t.as_ref().is_some_and(|t| t.until > Instant::now()))
        });
        Arc::clone(tokens.entry(key).or_default())
    }
}

/// Bearer when it is offered, else Basic.
fn choose(challenges: &[Challenge]) -> Result<Option<Want>> {
    if let Some(bearer) = challenges.iter().find(|c| c.scheme == "bearer") {
        let realm = bearer.get("realm").unwrap_or_default();
        let realm = Url::parse(realm).map_err(|why| {
            Error::corrupt(format!("the registry's challenge names no token service: {why}"))
        })?;
        let service = bearer.get("service").unwrap_or_default().to_owned();
        let scopes = Scopes::read(bearer.get("scope").unwrap_or_default());
        return Ok(Some(Want::Bearer { realm, service, scopes }));
    }
    Ok(challenges.iter().any(|c| c.scheme == "basic").then_some(Want::Basic))
}

/// What to show to a host that wants this. `refused` is what it did not take just now.
pub(crate) async fn prove(
    core: &Core,
    endpoint: &Endpoint,
    origin: &Origin,
    want: Option<&Want>,
    who: &Who,
    refused: Option<&HeaderValue>,
) -> Result<Proof> {
    if endpoint.headers.contains_key(AUTHORIZATION) {
        return Ok(Proof::default());
    }
    let own = if endpoint.is_origin { &who.credentials } else { &Credentials::Anonymous };
    if let Credentials::Bearer(token) = own {
        return Ok(Proof { header: token::secret(&format!("Bearer {token}")), withheld: None });
    }
    match want {
        None => Ok(Proof::default()),
        Some(Want::Basic) => Ok(Proof { header: token::basic(own), withheld: None }),
        Some(Want::Bearer { realm, service, scopes }) => {
            let withheld = withhold(core, realm, origin, own);
            let credentials = if withheld.is_some() { &Credentials::Anonymous } else { own };
            // What the challenge names was for the request that it answered.
            let scopes = if who.scopes == Scopes::default() { scopes } else { &who.scopes };
            let wish = Wish { realm, service, scopes, credentials, offline: false };
            let value = bearer(core, endpoint, &wish, refused).await?;
            Ok(Proof { header: token::secret(&format!("Bearer {value}")), withheld })
        }
    }
}

/// A token for a host that wants one, as a header, and what proves the same user later.
pub(crate) async fn lasting(
    core: &Core,
    endpoint: &Endpoint,
    origin: &Origin,
    want: Option<&Want>,
    who: &Who,
) -> Result<(HeaderValue, String)> {
    let Some(Want::Bearer { realm, service, scopes }) = want else {
        return Err(Error::invalid("the registry wants no token"));
    };
    if let Some(why) = withhold(core, realm, origin, &who.credentials) {
        return Err(Error::new(Kind::Unauthorized, why));
    }
    let wish = Wish { realm, service, scopes, credentials: &who.credentials, offline: true };
    let token = token::fetch(core, endpoint, &wish).await?;
    let header = token::secret(&format!("Bearer {}", token.value));
    let header = header.ok_or_else(|| Error::corrupt("the token service's token is not plain text"))?;
    Ok((header, token.refresh))
}

/// Why the token service must not see the credentials, if it must not.
fn withhold(core: &Core, realm: &Url, registry: &Origin, credentials: &Credentials) -> Option<String> {
    if *credentials == Credentials::Anonymous || realm::is_trusted(realm, registry, &core.options.token_hosts)
    {
        return None;
    }
    let (host, service) = (registry.authority(), realm.origin.authority());
    Some(format!(
        "{host} wants its credentials sent to {service}, which is not of its domain: they were not \
         (the daemon's --token-host names hosts that may have them)"
    ))
}

/// A token that still holds, or a new one.
async fn bearer(
    core: &Core,
    endpoint: &Endpoint,
    wish: &Wish<'_>,
    refused: Option<&HeaderValue>,
) -> Result<String> {
    let slot = core.keyring.slot(Key {
        realm: wish.realm.clone(),
        service: wish.service.to_owned(),
        scopes: wish.scopes.clone(),
        credentials: wish.credentials.clone(),
    });
    let mut turn = slot.lock().await;
    if let Some(token) = &*turn
        && token.until > Instant::now()
        && refused.is_none_or(|refused| refused.as_bytes() != format!("Bearer {}", token.value).as_bytes())
    {
        return Ok(token.value.clone());
    }
    let token = token::fetch(core, endpoint, wish).await?;
    Ok(turn.insert(token).value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_is_better_than_basic() {
        let chosen = |text: &str| choose(&parse_challenges(text).unwrap());
        assert_eq!(chosen("Basic realm=a").unwrap(), Some(Want::Basic));
        assert_eq!(chosen("Negotiate").unwrap(), None);
        let both = chosen(r#"Basic realm="a", Bearer realm="https://b/t",service="s""#).unwrap();
        assert!(matches!(both, Some(Want::Bearer { service, .. }) if service == "s"));
        assert!(chosen("Bearer realm=a").is_err());
        assert!(chosen(r#"Bearer service="a""#).is_err());
    }
}
