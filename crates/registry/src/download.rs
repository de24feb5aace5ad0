//! A file at any URL: what `import` is given in place of an archive.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use types::Kind;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::exchange::{Ask, exchange};
use crate::hosts::Endpoint;
use crate::http::{Body, Tls, Trust, Url};

/// A file as it comes.
pub struct Download {
    body: Body,
    asked: String,
    length: Option<u64>,
    came: u64,
}

impl Client {
    /// Fetches a file over http or https, as nobody in particular. Redirects are followed, but not from https to http.
    ///
    /// # Errors
    /// When the URL is none, nobody answers, or the answer is not the file.
    pub async fn download(&self, url: &str) -> Result<Download> {
        let url = Url::parse(url).map_err(Error::invalid)?;
        let tls = Tls::load(&Trust::default()).map_err(|why| Error::new(Kind::Internal, why))?;
        let place = Endpoint {
            base: url.clone(),
            capabilities: Vec::new(),
            tls: Arc::new(tls),
            headers: HeaderMap::new(),
            connect_timeout: self.0.options.connect_timeout,
            namespace: None,
            is_origin: false,
            may_be_plain: !url.origin.is_tls,
        };
        let answer = exchange(&self.0, &place, Ask::new(Method::GET, url)).await?.expect(&[200]).await?;
        answer
            .response
            .refuse_encoding()
            .map_err(|why| Error::corrupt(format!("{}: {why}", answer.asked)))?;
        let length = answer.response.header("content-length").and_then(|text| text.parse().ok());
        Ok(Download { body: answer.response.body, asked: answer.asked, length, came: 0 })
    }
}

impl Download {
    /// How many bytes it has, if the server says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When it breaks off, or ends before its length.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let piece = self.body.chunk().await.map_err(|failure| Error::unreachable(&self.asked, &failure))?;
        match &piece {
            Some(piece) => self.came += piece.len() as u64,
            None if self.length.is_some_and(|length| length != self.came) => {
                return Err(Error::corrupt(format!("{}: it ended after {} bytes", self.asked, self.came)));
            }
            None => {}
        }
        Ok(piece)
    }
}
