//! One repository of one registry.

mod blob;
mod manifest;
mod range;
mod referrers;
mod source;
mod subject;
mod tags;
mod upload;

use std::sync::Arc;

use tokio::sync::OnceCell;
use types::{Digest, Reference};

use crate::auth::{Scopes, Who};
use crate::client::Core;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::exchange::{Answer, Ask, exchange};
use crate::hosts::{Capability, Endpoint};
use crate::http::Url;

pub use blob::Blob;
pub use manifest::{MANIFEST_BYTES, Manifest};
pub use source::Source;
pub use upload::Pushed;

/// What of a repository is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Whatever the tag means now.
    Tag(String),
    /// Exactly this content.
    Digest(Digest),
}

impl Target {
    /// What a reference means: its digest if it has one, for that says more than its tag.
    #[must_use]
    pub fn of(reference: &Reference) -> Self {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Self::Digest(digest),
            (None, tag) => Self::Tag(tag.unwrap_or("latest").to_owned()),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Content of a registry: what sort, which, how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// A repository as somebody may see it. Cheap to clone.
#[derive(Clone)]
pub struct Repository(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) domain: String,
    pub(crate) path: String,
    pub(crate) credentials: Credentials,
    endpoints: OnceCell<Arc<[Endpoint]>>,
}

impl Repository {
    pub(crate) fn new(core: Arc<Core>, domain: &str, path: &str, credentials: Credentials) -> Self {
        Self(Arc::new(Inner {
            core,
            domain: domain.to_owned(),
            path: path.to_owned(),
            credentials,
            endpoints: OnceCell::new(),
        }))
    }

    /// The repository as people write it.
    #[must_use]
    pub fn familiar(&self) -> String {
        let Inner { domain, path, .. } = &*self.0;
        match domain.as_str() {
            "docker.io" => path.strip_prefix("library/").unwrap_or(path).to_owned(),
            _ => format!("{domain}/{path}"),
        }
    }

    /// The hosts that can do this, in order.
    async fn endpoints(&self, capability: Capability) -> Result<Vec<Endpoint>> {
        let all = self.0.endpoints.get_or_try_init(|| self.0.core.endpoints(&self.0.domain)).await?;
        let able: Vec<_> = all.iter().filter(|e| e.capabilities.contains(&capability)).cloned().collect();
        if able.is_empty() {
            let domain = &self.0.domain;
            return Err(Error::invalid(format!(
                "no host is configured for {domain} that can {capability:?}"
            )));
        }
        Ok(able)
    }

    /// The first host that can do this. What is begun at one host is not ended at another.
    async fn first(&self, capability: Capability) -> Result<Endpoint> {
        Ok(self.endpoints(capability).await?.swap_remove(0))
    }

    /// Who asks for what.
    fn who(&self, capability: Capability) -> Who {
        let actions: &[&str] = if capability == Capability::Push { &["pull", "push"] } else { &["pull"] };
        let scopes = Scopes::repository(&self.0.path, actions);
        Who { credentials: self.0.credentials.clone(), scopes }
    }

    /// A URL in this repository at one of its hosts.
    fn url(&self, endpoint: &Endpoint, path: &str) -> Url {
        let url = endpoint.base.under(&format!("/{}{path}", self.0.path));
        endpoint.namespace.as_deref().map_or(url.clone(), |domain| url.with_query("ns", domain))
    }

    /// Asks one host after the other until one gives an answer with one of these statuses. The registry's own error counts
    /// when there is none: a mirror's says little.
    async fn ask(
        &self,
        capability: Capability,
        statuses: &[u16],
        make: impl Fn(&Endpoint) -> Ask,
    ) -> Result<Answer> {
        let mut failed = None;
        for endpoint in self.endpoints(capability).await? {
            let ask = Ask { who: Some(self.who(capability)), ..make(&endpoint) };
            let result = match exchange(&self.0.core, &endpoint, ask).await {
                Ok(answer) => answer.expect(statuses).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tracing::debug!("{}: {error}", endpoint.base);
                    failed = Some(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| Error::invalid("no host is configured")))
    }
}
