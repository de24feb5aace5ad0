//! Searching a registry by words (the first registry API, which docker.io still answers).

use hyper::Method;
use serde::Deserialize;

use crate::answer::one_line;
use crate::auth::{Scopes, Who};
use crate::client::Client;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::exchange::{Ask, exchange};
use crate::hosts::Endpoint;
use crate::http::Url;
use crate::page::read_document;

/// An answer may have so many bytes.
const ANSWER_BYTES: u64 = 16 << 20;

/// A repository that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// Its name, as the registry says it: without the registry.
    pub name: String,
    /// What its owner says of it, in one line.
    pub description: String,
    /// How many people like it.
    pub stars: i64,
    /// It is docker.io's own.
    pub is_official: bool,
    /// It was built by docker.io (always false by now).
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    results: Option<Vec<One>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct One {
    name: String,
    description: Option<String>,
    star_count: i64,
    is_official: bool,
    is_automated: bool,
}

impl Client {
    /// Searches a registry. At most `limit` are answered, in the registry's order.
    ///
    /// # Errors
    /// When the registry has no search, or refuses.
    pub async fn search(
        &self,
        domain: &str,
        words: &str,
        limit: u32,
        credentials: Credentials,
    ) -> Result<Vec<Hit>> {
        if words.is_empty() {
            return Err(Error::invalid("a search needs words to look for"));
        }
        let own = self.0.origin(domain).await?;
        let base = if domain == "docker.io" {
            Url::parse("https://index.docker.io").map_err(Error::invalid)?
        } else {
            Url { path: "/".to_owned(), ..own.base.clone() }
        };
        let url = base.under("/v1/search").with_query("q", words).with_query("n", &limit.to_string());
        let endpoint = Endpoint { base, ..own };
        let who = Who { credentials, scopes: Scopes::default() };
        let ask = Ask { who: Some(who), ..Ask::new(Method::GET, url) };
        let mut answer = exchange(&self.0, &endpoint, ask).await?.expect(&[200]).await?;
        let document: Document = read_document(&answer.asked, &mut answer.response, ANSWER_BYTES).await?;
        let all = document.results.unwrap_or_default().into_iter().take(limit as usize);
        Ok(all.map(hit).collect())
    }
}

fn hit(one: One) -> Hit {
    Hit {
        name: one_line(&one.name),
        description: one_line(&one.description.unwrap_or_default()),
        stars: one.star_count,
        is_official: one.is_official,
        is_automated: one.is_automated,
    }
}
