//! Pushing a blob (distribution-spec, Push): mounted from another repository where that is possible, else sent whole or in
//! chunks, and after a break only what the registry does not have yet.

use std::time::Duration;

use hyper::Method;
use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use types::{Digest, Kind};

use super::manifest::said_digest;
use super::source::Source;
use super::{Descriptor, Repository};
use crate::auth::Scopes;
use crate::error::{Error, Result};
use crate::exchange::{Answer, Ask, exchange, random};
use crate::hosts::{Capability, Endpoint};
use crate::http::{Payload, Url};
use crate::retry::{Outcome, pause};

/// Registries that say that chunks have a least length get chunks of at least this one.
const CHUNK_BYTES: u64 = 64 << 20;
/// Some registries move the whole blob before they answer.
const PATIENCE: Duration = Duration::from_secs(600);
const CHUNK_LEAST: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// How a blob came to be in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Sent,
}

/// An upload under way.
struct Upload {
    location: Url,
    /// The registry has the bytes before this one.
    at: u64,
    /// Chunks are this long; 0 means all at once.
    chunk: u64,
}

impl Repository {
    /// Sees to it that the repository has a blob. `from` is another repository of the same registry that is thought to have it.
    ///
    /// # Errors
    /// `Forbidden` when these credentials may not push; `Corrupt` when the registry got other bytes than the digest's.
    pub async fn push_blob(&self, blob: &Descriptor, from: Option<&str>, source: &Source) -> Result<Pushed> {
        let endpoint = self.first(Capability::Push).await?;
        if self.is_there(&endpoint, &blob.digest).await? {
            return Ok(Pushed::Present);
        }
        let mut upload = match self.begin(&endpoint, Some(&blob.digest).zip(from)).await? {
            None => return Ok(Pushed::Mounted),
            Some(upload) => upload,
        };
        let most = self.0.core.options.attempts;
        let mut tries = 1;
        loop {
            let before = upload.at;
            let error = match self.send(&endpoint, blob, source, &mut upload).await {
                Ok(()) => return Ok(Pushed::Sent),
                Err(error) => error,
            };
            if upload.at > before {
                tries = 1;
            }
            let now = jiff::Timestamp::now().as_second();
            let Some(pause) = pause(outcome(&error), tries, most, random(), now) else { return Err(error) };
            tries += 1;
            tracing::debug!("{error}: once more in {pause:?}");
            tokio::time::sleep(pause).await;
            match self.ask_progress(&endpoint, &mut upload).await {
                Ok(()) => {}
                // It was whole already, and only the answer was lost.
                Err(_) if self.is_there(&endpoint, &blob.digest).await? => return Ok(Pushed::Sent),
                // The registry has forgotten it, or cannot tell: from the beginning.
                Err(_) => match self.begin(&endpoint, None).await? {
                    Some(new) => upload = new,
                    None => return Ok(Pushed::Mounted),
                },
            }
        }
    }

    /// Has the registry take a blob from another of its repositories. Answers whether it did.
    ///
    /// # Errors
    /// When these credentials may not push.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<bool> {
        let endpoint = self.first(Capability::Push).await?;
        let Some(upload) = self.begin(&endpoint, Some((digest, from))).await? else { return Ok(true) };
        // It began an upload instead, which nobody will go on with.
        let ask = self.signed(Ask::new(Method::DELETE, upload.location), Capability::Push);
        let _ = exchange(&self.0.core, &endpoint, ask).await;
        Ok(false)
    }

    async fn is_there(&self, endpoint: &Endpoint, digest: &Digest) -> Result<bool> {
        let url = self.url(endpoint, &format!("/blobs/{digest}"));
        let ask = self.signed(Ask::new(Method::HEAD, url), Capability::Push);
        let answer = exchange(&self.0.core, endpoint, ask).await?;
        match answer.response.status.as_u16() {
            200 => Ok(true),
            // Who cannot be asked gets it.
            404 | 405 | 501 => Ok(false),
            _ => Err(answer.expect(&[200]).await.err().unwrap_or_else(|| Error::corrupt("no answer"))),
        }
    }

    /// Asks for a place to send to; `None` when the blob was mounted.
    async fn begin(&self, endpoint: &Endpoint, mount: Option<(&Digest, &str)>) -> Result<Option<Upload>> {
        let mut url = self.url(endpoint, "/blobs/uploads/");
        let mut who = self.who(Capability::Push);
        if let Some((digest, from)) = mount {
            url = url.with_query("mount", &digest.to_string()).with_query("from", from);
            who.scopes = who.scopes.and(Scopes::repository(from, &["pull"]));
        }
        let mut ask = Ask { who: Some(who), ..Ask::new(Method::POST, url) };
        ask.headers.insert(CONTENT_TYPE, OCTETS);
        let answer = exchange(&self.0.core, endpoint, ask).await?;
        // Rights to the other repository may be missing; a plain upload needs none.
        if mount.is_some() && matches!(answer.response.status.as_u16(), 401 | 403 | 404 | 405) {
            return Box::pin(self.begin(endpoint, None)).await;
        }
        let answer = answer.expect(&[201, 202]).await?;
        if answer.response.status == 201 {
            return Ok(None);
        }
        let least = answer.response.header(CHUNK_LEAST).and_then(|text| text.parse().ok());
        let chunk = chunk_bytes(self.0.core.options.upload_chunk_bytes, least);
        Ok(Some(Upload { location: location(endpoint, &answer)?, at: 0, chunk }))
    }

    /// Sends what is missing and closes the upload.
    async fn send(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        source: &Source,
        upload: &mut Upload,
    ) -> Result<()> {
        while upload.chunk > 0 && upload.at < blob.size {
            let end = blob.size.min(upload.at + upload.chunk);
            let ask = self.piece(Method::PATCH, upload.location.clone(), source, upload.at, end, true);
            let answer = exchange(&self.0.core, endpoint, ask).await?.expect(&[202, 204]).await?;
            upload.location = location(endpoint, &answer)?;
            upload.at = received(answer.response.header(RANGE), blob.size).unwrap_or(end);
        }
        let url = upload.location.with_query("digest", &blob.digest.to_string());
        let ask = self.piece(Method::PUT, url, source, upload.at, blob.size, upload.at > 0);
        let answer = exchange(&self.0.core, endpoint, ask).await?.expect(&[201, 204]).await?;
        match said_digest(&answer.asked, &answer.response)? {
            Some(said) if said != blob.digest => {
                Err(Error::corrupt(format!("the registry took blob {} for {said}", blob.digest)))
            }
            _ => Ok(()),
        }
    }

    fn piece(&self, method: Method, url: Url, source: &Source, from: u64, to: u64, ranged: bool) -> Ask {
        let mut ask = self.signed(Ask::new(method, url), Capability::Push);
        ask.headers.insert(CONTENT_TYPE, OCTETS);
        ask.patience = Some(PATIENCE);
        if to == from {
            return ask;
        }
        if ranged && let Ok(range) = HeaderValue::try_from(format!("{from}-{}", to - 1)) {
            ask.headers.insert(CONTENT_RANGE, range);
        }
        ask.payload = Payload::Stream { pieces: source.pieces(from, to - from), left: to - from };
        ask
    }

    /// Asks how much of an upload has arrived. (It is also where a token that grew old meanwhile is replaced.)
    async fn ask_progress(&self, endpoint: &Endpoint, upload: &mut Upload) -> Result<()> {
        let ask = self.signed(Ask::new(Method::GET, upload.location.clone()), Capability::Push);
        let answer = exchange(&self.0.core, endpoint, ask).await?.expect(&[200, 202, 204]).await?;
        if answer.response.headers.contains_key(LOCATION) {
            upload.location = location(endpoint, &answer)?;
        }
        let at = received(answer.response.header(RANGE), u64::MAX);
        upload.at = at.ok_or_else(|| Error::corrupt("the registry does not say how much it has"))?;
        Ok(())
    }

    pub(crate) fn signed(&self, ask: Ask, capability: Capability) -> Ask {
        Ask { who: Some(self.who(capability)), ..ask }
    }
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Where an upload goes on. Another host than the registry's gets our bytes but never our credentials.
fn location(endpoint: &Endpoint, answer: &Answer) -> Result<Url> {
    let text = answer.response.header(LOCATION);
    let text = text
        .ok_or_else(|| Error::corrupt(format!("{}: the registry names no place to go on", answer.asked)))?;
    let to = answer.url.join(text).map_err(|why| Error::corrupt(format!("{}: {why}", answer.asked)))?;
    if answer.url.origin.is_tls && !to.origin.is_tls && !endpoint.may_be_plain {
        let sentence = format!("{}: the upload is to go on in plain http: it does not", answer.asked);
        return Err(Error::corrupt(sentence));
    }
    Ok(to)
}

/// How many bytes a `Range: 0-<last>` says have arrived. Registries write `0-0` before the first byte, too: one byte is sent twice
/// rather than skipped.
fn received(range: Option<&str>, size: u64) -> Option<u64> {
    let text = range?.trim();
    let (first, last) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    let last: u64 = last.parse().ok()?;
    if first != "0" || last >= size {
        return None;
    }
    Some(if last == 0 { 0 } else { last + 1 })
}

fn chunk_bytes(configured: u64, least: Option<u64>) -> u64 {
    match (configured, least) {
        (0, None | Some(0)) => 0,
        (0, Some(least)) => least.max(CHUNK_BYTES),
        (configured, least) => configured.max(least.unwrap_or(0)),
    }
}

/// What sort of end an upload came to.
fn outcome(error: &Error) -> Outcome<'_> {
    use crate::http::Trouble;
    match (error.status(), error.kind()) {
        // A token that ran out on the way, or a range that the registry sees differently: asking for the progress mends both.
        (Some(401 | 416), _) => Outcome::Answered(503, None),
        (Some(status), _) => Outcome::Answered(status, error.retry_after()),
        (None, Kind::Unavailable) => Outcome::Failed(Trouble::Broken),
        (None, _) => Outcome::Failed(Trouble::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived() {
        for (range, at) in [
            (Some("0-0"), Some(0)),
            (Some("0-99"), Some(100)),
            (Some("bytes=0-41"), Some(42)),
            (Some("0-100"), None),
            (Some("5-9"), None),
            (Some("0"), None),
            (Some("0--1"), None),
            (None, None),
        ] {
            assert_eq!(received(range, 100), at, "{range:?}");
        }
    }

    #[test]
    fn lengths_of_chunks() {
        for (configured, least, chunk) in [
            (0, None, 0),
            (0, Some(0), 0),
            (0, Some(1), CHUNK_BYTES),
            (0, Some(CHUNK_BYTES * 2), CHUNK_BYTES * 2),
            (5, None, 5),
            (5, Some(3), 5),
            (5, Some(7), 7),
        ] {
            assert_eq!(chunk_bytes(configured, least), chunk, "{configured} {least:?}");
        }
    }
}
