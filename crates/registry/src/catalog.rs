//! The repositories of a registry (distribution's catalog; few registries show it to everybody).

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;

use crate::auth::{Scopes, Who};
use crate::client::Client;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::exchange::{Ask, exchange};
use crate::page::{PAGES, read_page};

#[derive(Deserialize)]
struct Page {
    repositories: Option<Vec<String>>,
}

impl Client {
    /// The paths of all repositories, in the registry's order. Only the registry itself is asked, no mirror.
    ///
    /// # Errors
    /// `Unauthorized` or `Forbidden` when these credentials may not see it, `NotFound` when the registry has no such list.
    pub async fn catalog(&self, domain: &str, credentials: Credentials) -> Result<Vec<String>> {
        let core = Arc::clone(&self.0);
        let endpoint = core.origin(domain).await?;
        let who = Who { credentials, scopes: Scopes::catalog() };
        let (mut all, mut next) = (Vec::new(), endpoint.base.under("/_catalog"));
        for _ in 0..PAGES {
            let ask = Ask { who: Some(who.clone()), ..Ask::new(Method::GET, next) };
            let answer = exchange(&core, &endpoint, ask).await?.expect(&[200]).await?;
            let (page, url) = read_page::<Page>(answer).await?;
            all.extend(page.repositories.unwrap_or_default());
            match url {
                Some(url) => next = url,
                None => return Ok(all),
            }
        }
        Err(Error::corrupt(format!("the catalog of {domain} has no end")))
    }
}
