//! Who is asking, and what they may: everybody, whoever is in a password file, or whoever brings a token of a trusted issuer. What a
//! call needs is decided in one place ([`access`]); who has it, in [`Caller::may`].

mod access;
mod htpasswd;
mod jwt;
mod keys;
mod token;

use std::path::PathBuf;

pub(crate) use access::Access;
use htpasswd::Htpasswd;
use token::{Grant, Tokens};

use crate::code::{Code, Refusal};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::route::Call;

/// How callers prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AuthOptions {
    /// Everybody may everything.
    #[default]
    Open,
    /// Whoever is in this file (htpasswd's format, bcrypt only) may everything.
    Htpasswd(PathBuf),
    /// Tokens say who may what.
    Token(TokenOptions),
}

/// Whose tokens are trusted, and where clients get them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenOptions {
    /// Address of the token service.
    pub realm: String,
    /// Our name: tokens must be meant for it (`aud`).
    pub service: String,
    /// The only issuer whose tokens count (`iss`).
    pub issuer: String,
    /// PEM file of certificates: their keys sign tokens, or the keys of certificates that they issued.
    pub root_certs: Option<PathBuf>,
    /// JSON Web Key Set with the keys that sign tokens.
    pub jwks: Option<PathBuf>,
}

/// The way in.
pub(crate) enum Auth {
    Open,
    Htpasswd(Htpasswd),
    Token(Tokens),
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Caller {
    /// May everything.
    Trusted,
    /// May what was granted.
    Bearer(Vec<Grant>),
}

impl Caller {
    pub(crate) fn may(&self, access: &Access) -> bool {
        match self {
            Self::Trusted => true,
            Self::Bearer(grants) => grants.iter().any(|grant| grant.covers(access)),
        }
    }
}

impl Auth {
    pub(crate) fn open(options: &AuthOptions) -> Result<Self> {
        Ok(match options {
            AuthOptions::Open => Self::Open,
            AuthOptions::Htpasswd(path) => Self::Htpasswd(Htpasswd::open(path.clone())?),
            AuthOptions::Token(options) => {
                let needed = [
                    ("--token-realm", &options.realm),
                    ("--token-service", &options.service),
                    ("--token-issuer", &options.issuer),
                ];
                let unfit = |text: &str| text.is_empty() || text.contains(['"', '\\']) || !text.is_ascii();
                if let Some((flag, _)) = needed.iter().find(|(_, text)| unfit(text)) {
                    return Err(Error::invalid(format!("token authentication needs {flag}, without quotes")));
                }
                Self::Token(Tokens::open(options.clone())?)
            }
        })
    }

    /// Lets a caller in, or says how to prove who they are. `from` is the repository that a mount takes from.
    pub(crate) async fn admit(
        &self,
        call: &Call,
        from: Option<&Name>,
        header: Option<&str>,
    ) -> Result<Caller, Refusal> {
        match self {
            Self::Open => Ok(Caller::Trusted),
            Self::Htpasswd(file) if file.knows(header).await? => Ok(Caller::Trusted),
            Self::Htpasswd(_) => Err(Refusal::new(Code::Unauthorized, "authentication required")
                .header("WWW-Authenticate", "Basic realm=\"berth registry\", charset=\"UTF-8\"")),
            Self::Token(tokens) => tokens.admit(&access::needed(call, from), header),
        }
    }

    /// Reads files again that have changed.
    pub(crate) fn refresh(&self) {
        if let Self::Token(tokens) = self {
            tokens.refresh();
        }
    }
}
