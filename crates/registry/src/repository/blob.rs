//! Blobs, streamed. A connection that breaks is replaced by one that goes on where it broke.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT_ENCODING, CONTENT_RANGE, HeaderValue, RANGE};
use types::{Digest, Kind};

use super::Repository;
use super::range::{Rest, judge};
use crate::error::{Error, Result};
use crate::exchange::{Answer, Ask};
use crate::hosts::{Capability, Endpoint};
use crate::http::{Body, Failure};
use crate::retry::{Outcome, pause};

/// A blob on its way. Its length is seen to; its digest is for whoever takes the bytes to check.
pub struct Blob {
    repository: Repository,
    digest: Digest,
    size: u64,
    at: u64,
    body: Option<Body>,
    asked: String,
    /// Breaks in a row without a byte between them.
    breaks: u32,
}

impl Repository {
    /// Begins to fetch a blob of this size, from this byte on.
    ///
    /// # Errors
    /// `NotFound` when no host has it; `Corrupt` when the registry has another size for it.
    pub async fn blob(&self, digest: &Digest, size: u64, from: u64) -> Result<Blob> {
        if from > size {
            return Err(Error::invalid(format!("blob {digest} has {size} bytes, none at {from}")));
        }
        let mut blob = Blob {
            repository: self.clone(),
            digest: *digest,
            size,
            at: from,
            body: None,
            asked: String::new(),
            breaks: 0,
        };
        if from < size {
            blob.open().await?;
        }
        Ok(blob)
    }

    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let make =
            |endpoint: &Endpoint| Ask::new(Method::HEAD, self.url(endpoint, &format!("/blobs/{digest}")));
        match self.ask(Capability::Pull, &[200], make).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Blob {
    /// The next bytes, up to half a MiB; `None` when all of them came.
    ///
    /// # Errors
    /// When the connection cannot be mended, or the blob is longer or shorter than its size.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while self.at < self.size {
            let failure = match self.read().await {
                Ok(Some(bytes)) => return self.take(bytes).map(Some),
                Ok(None) => None,
                Err(failure) => Some(failure),
            };
            self.body = None;
            self.mend(failure).await?;
        }
        self.finish().await?;
        Ok(None)
    }

    /// The position of the next byte.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.body {
            Some(body) => body.chunk().await,
            None => Ok(None),
        }
    }

    fn take(&mut self, bytes: Bytes) -> Result<Bytes> {
        let at = self.at + bytes.len() as u64;
        if at > self.size {
            return Err(self.wrong(&format!("more than its {} bytes came", self.size)));
        }
        (self.at, self.breaks) = (at, 0);
        Ok(bytes)
    }

    /// Waits a little and goes on from where the connection broke. `failure` is absent when the body just ended.
    async fn mend(&mut self, failure: Option<Failure>) -> Result<()> {
        let Some(failure) = failure else {
            return Err(self.wrong(&format!("only {} of its {} bytes came", self.at, self.size)));
        };
        self.breaks += 1;
        let most = self.repository.0.core.options.attempts;
        let random = crate::exchange::random();
        let Some(pause) = pause(Outcome::Failed(failure.trouble), self.breaks, most, random, 0) else {
            return Err(Error::unreachable(&self.asked, &failure));
        };
        tracing::debug!("{}: {} at byte {}, once more in {pause:?}", self.asked, failure.message, self.at);
        tokio::time::sleep(pause).await;
        self.open().await
    }

    /// Asks for what is missing.
    async fn open(&mut self) -> Result<()> {
        let (from, size) = (self.at, self.size);
        let answer = match self.ask_from(from).await {
            // A registry that knows ranges, but not this one, is asked for all of it.
            Err(error) if from > 0 && error.status() == Some(416) => self.ask_from(0).await?,
            answer => answer?,
        };
        let Answer { response, asked, .. } = answer;
        self.asked = asked;
        let status = response.status.as_u16();
        let judged = judge(status, response.header(CONTENT_RANGE), response.body.announced(), from, size);
        let rest = judged.map_err(|why| self.wrong(&why))?;
        let mut body = response.body;
        if let Rest::After(skip) = rest
            && let Some(first) = self.pass_over(&mut body, skip).await?
        {
            body.push_back(first);
        }
        self.body = Some(body);
        Ok(())
    }

    async fn ask_from(&self, from: u64) -> Result<Answer> {
        let path = format!("/blobs/{}", self.digest);
        let make = |endpoint: &Endpoint| {
            let mut ask = Ask::new(Method::GET, self.repository.url(endpoint, &path));
            ask.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if from > 0
                && let Ok(range) = HeaderValue::try_from(format!("bytes={from}-{}", self.size - 1))
            {
                ask.headers.insert(RANGE, range);
            }
            ask
        };
        self.repository.ask(Capability::Pull, &[200, 206], make).await
    }

    /// Reads what is there already; answers what came with the last of it.
    async fn pass_over(&self, body: &mut Body, skip: u64) -> Result<Option<Bytes>> {
        let mut left = skip;
        loop {
            let piece = body.chunk().await.map_err(|failure| Error::unreachable(&self.asked, &failure))?;
            let Some(mut piece) = piece else {
                return Err(self.wrong(&format!("only {} of its {} bytes came", skip - left, self.size)));
            };
            if (piece.len() as u64) <= left {
                left -= piece.len() as u64;
                if left == 0 {
                    return Ok(None);
                }
                continue;
            }
            let at = usize::try_from(left).unwrap_or(usize::MAX);
            return Ok(Some(piece.split_off(at)));
        }
    }

    /// Sees that nothing follows the last byte.
    async fn finish(&mut self) -> Result<()> {
        let Some(mut body) = self.body.take() else { return Ok(()) };
        match body.chunk().await {
            Ok(Some(_)) => Err(self.wrong(&format!("more than its {} bytes came", self.size))),
            // All bytes came; how the connection ended is of no interest.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn wrong(&self, why: &str) -> Error {
        Error::corrupt(format!("blob {}: {why}", self.digest))
    }
}
