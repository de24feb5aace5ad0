//! Manifests and indexes: raw bytes whose digest was checked.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use oci::image::media;
use types::{Digest, Kind};

use super::{Descriptor, Repository, Target};
use crate::answer::one_line;
use crate::error::{Error, Result};
use crate::exchange::{Answer, Ask, NO_CREDENTIALS, exchange};
use crate::hosts::{Capability, Endpoint};
use crate::http::{Payload, Response};

/// A manifest or index may have so many bytes: twice what other clients take.
pub const MANIFEST_BYTES: u64 = 8 << 20;

const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, */*";

/// The digest of what is sent, as the registry says.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The registry lists what it was given among what refers to its subject.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A manifest or index, byte for byte.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// What it was sent as.
    pub media_type: String,
    /// Its digest; the bytes were checked against it.
    pub digest: Digest,
    /// Its bytes. What they mean was not looked at, but that nobody could mean schema 1.
    pub bytes: Bytes,
}

impl Repository {
    /// Fetches a manifest or index.
    ///
    /// # Errors
    /// `NotFound` in Docker's words; `Corrupt` when the bytes are not those of the digest, or too many; `Unimplemented` for
    /// a manifest of schema 1; `Forbidden` when the registry wants other credentials.
    pub async fn manifest(&self, target: &Target) -> Result<Manifest> {
        let answer = self.ask_manifest(Method::GET, target).await?;
        self.read_manifest(target, answer.map_err(|error| self.say_unknown(target, error))?).await
    }

    /// As `manifest`, from the host to which is pushed; `None` when it has no such thing.
    pub(super) async fn manifest_at(&self, endpoint: &Endpoint, target: &Target) -> Result<Option<Manifest>> {
        let url = self.url(endpoint, &format!("/manifests/{target}"));
        let mut ask = self.signed(Ask::new(Method::GET, url), Capability::Push);
        ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        match exchange(&self.0.core, endpoint, ask).await?.expect(&[200]).await {
            Ok(answer) => self.read_manifest(target, answer).await.map(Some),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_manifest(&self, target: &Target, answer: Answer) -> Result<Manifest> {
        let Answer { mut response, asked, .. } = answer;
        response.refuse_encoding().map_err(|why| Error::corrupt(format!("{asked}: {why}")))?;
        let bytes = response.body.whole(MANIFEST_BYTES).await;
        let bytes = bytes.map_err(|failure| Error::unreachable(&asked, &failure))?.ok_or_else(|| {
            Error::corrupt(format!("{asked}: the manifest is longer than {MANIFEST_BYTES} bytes"))
        })?;
        let is = Digest::from_hash(hash(&bytes));
        let said = match target {
            Target::Digest(digest) => Some(*digest),
            Target::Tag(_) => said_digest(&asked, &response)?,
        };
        if said.is_some_and(|said| said != is) {
            let said = said.map(|said| said.to_string()).unwrap_or_default();
            return Err(Error::corrupt(format!("{asked}: the manifest's digest is {is}, not {said}")));
        }
        let media_type = media_type(&response);
        refuse_schema_1(&media_type, &self.shown(target))?;
        Ok(Manifest { media_type, digest: is, bytes })
    }

    /// Puts a manifest or index there, byte for byte, and answers its digest. One that is about another is put on the list of what
    /// refers to that one, where the registry does not see to it itself.
    ///
    /// # Errors
    /// `InvalidInput` when the registry does not take it: its blobs must be there first.
    pub async fn push_manifest(&self, target: &Target, media_type: &str, bytes: Bytes) -> Result<Digest> {
        let is = Digest::from_hash(hash(&bytes));
        if let Target::Digest(digest) = target
            && *digest != is
        {
            return Err(Error::corrupt(format!("the manifest's digest is {is}, not {digest}")));
        }
        let endpoint = self.first(Capability::Push).await?;
        let is_listed = self.put_manifest(&endpoint, target, media_type, bytes.clone()).await?;
        if !is_listed {
            self.list_referrer(&endpoint, media_type, &is, &bytes).await?;
        }
        Ok(is)
    }

    /// Puts a document there. Answers whether the registry keeps the list of what refers to its subject.
    pub(super) async fn put_manifest(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<bool> {
        let is = Digest::from_hash(hash(&bytes));
        let kind = HeaderValue::try_from(media_type);
        let kind = kind.map_err(|_| Error::invalid(format!("{media_type:?} is no media type")))?;
        let url = self.url(endpoint, &format!("/manifests/{target}"));
        let mut ask = self.signed(Ask::new(Method::PUT, url), Capability::Push);
        ask.headers.insert(CONTENT_TYPE, kind);
        ask.payload = Payload::Whole(bytes);
        let answer = exchange(&self.0.core, endpoint, ask).await?.expect(&[200, 201, 202]).await?;
        match said_digest(&answer.asked, &answer.response)? {
            Some(said) if said != is => {
                Err(Error::corrupt(format!("the registry took the manifest {is} for {said}")))
            }
            _ => Ok(answer.response.headers.contains_key(OCI_SUBJECT)),
        }
    }

    /// What a target is, without its bytes; `None` when the registry has no such thing.
    ///
    /// # Errors
    /// As `manifest`, but for `NotFound`.
    pub async fn head(&self, target: &Target) -> Result<Option<Descriptor>> {
        let answer = match self.ask_manifest(Method::HEAD, target).await? {
            Ok(answer) => answer,
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(error) if error.is_method_unknown() => return self.head_by_get(target).await,
            Err(error) => return Err(self.reason(target, error).await),
        };
        let Answer { response, asked, .. } = answer;
        let size = response.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let digest = match target {
            Target::Digest(digest) => Some(*digest),
            Target::Tag(_) => said_digest(&asked, &response)?,
        };
        match (digest, size) {
            (Some(digest), Some(size)) => {
                Ok(Some(Descriptor { media_type: media_type(&response), digest, size }))
            }
            // Some registries say less: then the manifest itself must tell.
            _ => self.head_by_get(target).await,
        }
    }

    async fn head_by_get(&self, target: &Target) -> Result<Option<Descriptor>> {
        match self.manifest(target).await {
            Ok(Manifest { media_type, digest, bytes }) => {
                Ok(Some(Descriptor { media_type, digest, size: bytes.len() as u64 }))
            }
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Answers to HEAD say nothing: those to GET say why.
    async fn reason(&self, target: &Target, error: Error) -> Error {
        if error.status().is_none() || error.to_string().ends_with(NO_CREDENTIALS) {
            return error;
        }
        self.manifest(target).await.err().unwrap_or(error)
    }

    async fn ask_manifest(&self, method: Method, target: &Target) -> Result<Result<Answer>> {
        let capability = match target {
            Target::Tag(_) => Capability::Resolve,
            Target::Digest(_) => Capability::Pull,
        };
        let make = |endpoint: &Endpoint| {
            let mut ask = Ask::new(method.clone(), self.url(endpoint, &format!("/manifests/{target}")));
            ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
            ask
        };
        Ok(self.ask(capability, &[200], make).await)
    }

    /// `name:tag` or `name@digest`, as people write it.
    pub(crate) fn shown(&self, target: &Target) -> String {
        let name = self.familiar();
        match target {
            Target::Tag(tag) => format!("{name}:{tag}"),
            Target::Digest(digest) => format!("{name}@{digest}"),
        }
    }

    /// Docker's words for a manifest that is not there.
    fn say_unknown(&self, target: &Target, error: Error) -> Error {
        let message = match (error.code(), error.kind()) {
            ("DENIED", _) => format!(
                "pull access denied for {}, repository does not exist or may require 'docker login': {error}",
                self.familiar()
            ),
            ("NAME_UNKNOWN", _) => format!("repository {} not found: {error}", self.familiar()),
            (_, Kind::NotFound) => format!("manifest for {} not found: {error}", self.shown(target)),
            _ => return error,
        };
        error.said(message)
    }
}

impl Repository {
    /// A small blob that is a document, such as a configuration, checked against its digest.
    ///
    /// # Errors
    /// `NotFound` when it is not there; `Corrupt` when it is not what it should be, or has more than `MANIFEST_BYTES`.
    pub async fn document(&self, digest: &Digest, size: u64) -> Result<Bytes> {
        if size > MANIFEST_BYTES {
            return Err(Error::corrupt(format!("document {digest} is longer than {MANIFEST_BYTES} bytes")));
        }
        let mut blob = self.blob(digest, size, 0).await?;
        let mut all = BytesMut::new();
        while let Some(bytes) = blob.chunk().await? {
            all.extend_from_slice(&bytes);
        }
        let is = Digest::from_hash(hash(&all));
        if is != *digest {
            return Err(Error::corrupt(format!("document {digest} has the digest {is}")));
        }
        Ok(all.freeze())
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The type that the content was sent as, without its parameters.
pub(crate) fn media_type(response: &Response) -> String {
    let text = response.header(CONTENT_TYPE).unwrap_or_default();
    one_line(text.split(';').next().unwrap_or_default())
}

/// `Docker-Content-Digest`. One of another algorithm says nothing to us.
pub(crate) fn said_digest(asked: &str, response: &Response) -> Result<Option<Digest>> {
    let Some(text) = response.header(CONTENT_DIGEST).filter(|text| text.starts_with("sha256:")) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|e| Error::corrupt(format!("{asked}: {e}")))
}

fn refuse_schema_1(media_type: &str, shown: &str) -> Result<()> {
    if !media::is_schema_1(media_type) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Unimplemented,
        format!(
            "{shown} is an image of Docker's manifest schema 1, which is no longer supported: \
             push it once more with a current client"
        ),
    ))
}
