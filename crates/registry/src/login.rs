//! Finding out whether credentials are good, and getting something lasting for them.

use hyper::Method;
use hyper::header::AUTHORIZATION;
use types::Kind;

use crate::answer::refusal;
use crate::auth::{Scopes, Want, Who, lasting};
use crate::client::Client;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::exchange::{Ask, exchange};

/// What a registry says to credentials that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// What proves the same user later, without the password; empty when the registry has no such thing.
    pub identity_token: String,
    /// What Docker's clients print.
    pub status: &'static str,
}

impl Client {
    /// Shows credentials to a registry.
    ///
    /// # Errors
    /// `Unauthorized` when it does not take them.
    pub async fn login(&self, domain: &str, credentials: Credentials) -> Result<Login> {
        let core = &self.0;
        let endpoint = core.origin(domain).await?;
        let url = endpoint.base.under("/");
        let who = Who { credentials, scopes: Scopes::default() };
        let first = exchange(core, &endpoint, Ask::new(Method::GET, url.clone())).await?;
        if first.response.status != 401 {
            first.expect(&[200]).await?;
            return Ok(done(String::new()));
        }
        let want = core.keyring.challenged(&first.url.origin, &first.response.headers)?;
        let mut ask = Ask::new(Method::GET, url);
        let identity = match &want {
            Some(Want::Bearer { .. }) => {
                let (header, refresh) = lasting(core, &endpoint, &first.url.origin, want.as_ref(), &who)
                    .await
                    .map_err(|error| told(&first.asked, error))?;
                ask.headers.insert(AUTHORIZATION, header);
                refresh
            }
            _ => {
                ask.who = Some(who);
                String::new()
            }
        };
        let answer = exchange(core, &endpoint, ask).await?;
        if answer.response.status == 200 {
            return Ok(done(identity));
        }
        let (status, asked, shown) = (answer.response.status, answer.asked, answer.url);
        let error = refusal(&asked, answer.response).await;
        Err(error.said(format!("login attempt to {shown} failed with status: {status}")))
    }
}

fn done(identity_token: String) -> Login {
    Login { identity_token, status: "Login Succeeded" }
}

/// A token service's refusal, in Docker's words.
fn told(asked: &str, error: Error) -> Error {
    if !matches!(error.kind(), Kind::Unauthorized | Kind::Forbidden) {
        return error;
    }
    let text = error.to_string();
    let sentence = if text.starts_with("unauthorized") || text.contains("its credentials sent to") {
        format!("{asked}: {text}")
    } else {
        format!("{asked}: unauthorized: {text}")
    };
    error.said(sentence)
}
