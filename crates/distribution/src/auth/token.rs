//! Bearer tokens: whose, for whom, for what (distribution, "token authentication").

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use serde::Deserialize;

use super::access::{Access, Needed, Scope};
use super::jwt::{self, Wanted};
use super::keys::Keys;
use super::{Caller, TokenOptions};
use crate::code::{Code, Refusal};
use crate::depot::now;
use crate::error::{Result, chain};

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Grant {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

impl Grant {
    pub(crate) fn covers(&self, access: &Access) -> bool {
        let scope = match &access.scope {
            Scope::Repository(name) => self.kind == "repository" && self.name == name.as_str(),
            Scope::Catalog => self.kind == "registry" && self.name == "catalog",
        };
        scope && self.actions.iter().any(|action| action == "*" || action == access.action.as_str())
    }
}

/// The issuer whose tokens count.
pub(crate) struct Tokens {
    options: TokenOptions,
    keys: RwLock<(Stamps, Arc<Keys>)>,
}

type Stamps = [Option<SystemTime>; 2];

impl Tokens {
    pub(crate) fn open(options: TokenOptions) -> Result<Self> {
        let keys = (stamps(&options), Arc::new(read(&options)?));
        Ok(Self { options, keys: RwLock::new(keys) })
    }

    pub(crate) fn admit(&self, needed: &Needed, header: Option<&str>) -> Result<Caller, Refusal> {
        let Some(token) = header.and_then(bearer) else {
            return Err(self.challenge(needed, "authentication required", None));
        };
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).1.clone();
        let wanted = Wanted { issuer: &self.options.issuer, service: &self.options.service, now: now() };
        let grants = jwt::verify(token, &keys, wanted)
            .map_err(|why| self.challenge(needed, why, Some("invalid_token")))?;
        let caller = Caller::Bearer(grants);
        if needed.must.iter().all(|access| caller.may(access)) {
            Ok(caller)
        } else {
            Err(self.challenge(needed, "the token does not allow this", Some("insufficient_scope")))
        }
    }

    fn challenge(&self, needed: &Needed, why: &str, error: Option<&str>) -> Refusal {
        let TokenOptions { realm, service, .. } = &self.options;
        let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
        let scope = needed.scope();
        if !scope.is_empty() {
            challenge += &format!(",scope=\"{scope}\"");
        }
        if let Some(error) = error {
            challenge += &format!(",error=\"{error}\"");
        }
        Refusal::new(Code::Unauthorized, why).header("WWW-Authenticate", challenge)
    }

    /// Reads the keys again when a file has changed; those that cannot be read leave the old ones.
    pub(crate) fn refresh(&self) {
        let now = stamps(&self.options);
        if self.keys.read().unwrap_or_else(PoisonError::into_inner).0 == now {
            return;
        }
        match read(&self.options) {
            Ok(keys) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = (now, Arc::new(keys)),
            Err(error) => tracing::warn!(error = chain(&error), "the keys of tokens cannot be read again"),
        }
    }
}

fn read(options: &TokenOptions) -> Result<Keys> {
    Keys::read(options.root_certs.as_deref(), options.jwks.as_deref())
}

fn stamps(options: &TokenOptions) -> Stamps {
    let stamp = |path: &Option<PathBuf>| std::fs::metadata(path.as_ref()?).ok()?.modified().ok();
    [stamp(&options.root_certs), stamp(&options.jwks)]
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
