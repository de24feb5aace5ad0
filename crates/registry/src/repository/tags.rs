//! The tags of a repository, page by page (distribution-spec, Listing Tags).

use hyper::Method;
use serde::Deserialize;

use super::Repository;
use crate::error::{Error, Result};
use crate::exchange::Ask;
use crate::hosts::Capability;
use crate::http::Url;
use crate::page::{PAGES, read_page};

#[derive(Deserialize)]
struct Page {
    /// Registries write `null` for a repository whose last tag was deleted.
    tags: Option<Vec<String>>,
}

impl Repository {
    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// `NotFound` when there is no such repository.
    pub async fn tags(&self) -> Result<Vec<String>> {
        let (mut all, mut next) = (Vec::new(), None::<Url>);
        for _ in 0..PAGES {
            let answer = self
                .ask(Capability::Resolve, &[200], |endpoint| {
                    let first = || self.url(endpoint, "/tags/list");
                    Ask::new(Method::GET, next.clone().unwrap_or_else(first))
                })
                .await?;
            let (page, url) = read_page::<Page>(answer).await?;
            all.extend(page.tags.unwrap_or_default());
            match url {
                Some(url) => next = Some(url),
                None => return Ok(all),
            }
        }
        Err(Error::corrupt(format!("the list of tags of {} has no end", self.familiar())))
    }
}
