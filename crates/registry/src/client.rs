//! The client: what all repositories share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::HeaderValue;
use types::{Kind, Reference};

use crate::auth::Keyring;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::exchange::suggests_plain;
use crate::hosts::{Endpoint, Stamp, endpoints, stamp};
use crate::http::{Failure, Origin, Patience, Transport, Url};
use crate::options::Options;
use crate::repository::Repository;

/// A client of registries. Cheap to clone; clones share connections and tokens. Needs a tokio runtime.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Core>);

pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) transport: Transport,
    pub(crate) keyring: Keyring,
    /// Lists of referrers are read, added to and written back by one at a time.
    pub(crate) listing: tokio::sync::Mutex<()>,
    /// Hosts that were seen to speak plain HTTP where that is allowed.
    plain: Mutex<HashSet<Origin>>,
    /// The hosts of registries, as long as the files that say so do not change.
    hosts: Mutex<HashMap<String, Hosts>>,
}

/// A registry's hosts, and the files that said so.
type Hosts = (Stamp, Arc<[Endpoint]>);

/// Hosts of so many registries are remembered.
const REGISTRIES: usize = 256;

impl Client {
    /// Makes a client. Nothing is asked or read yet.
    ///
    /// # Errors
    /// When the user agent cannot go into a header.
    pub fn new(options: Options) -> Result<Self> {
        let agent = HeaderValue::try_from(&options.user_agent);
        let agent = agent.map_err(|_| Error::invalid("the user agent is not plain text"))?;
        let transport = Transport::new(options.proxies.clone(), agent);
        let (keyring, listing, plain, hosts) = Default::default();
        Ok(Self(Arc::new(Core { options, transport, keyring, listing, plain, hosts })))
    }

    /// A repository, as these credentials may see it. Nothing is asked yet.
    #[must_use]
    pub fn repository(&self, reference: &Reference, credentials: Credentials) -> Repository {
        Repository::new(Arc::clone(&self.0), reference.domain(), reference.path(), credentials)
    }
}

impl Core {
    pub(crate) fn patience(&self, endpoint: &Endpoint) -> Patience {
        Patience { connect: endpoint.connect_timeout, idle: self.options.idle_timeout }
    }

    /// The hosts of a registry.
    pub(crate) async fn endpoints(self: &Arc<Self>, domain: &str) -> Result<Arc<[Endpoint]>> {
        let (core, domain) = (Arc::clone(self), domain.to_owned());
        tokio::task::spawn_blocking(move || core.find_endpoints(&domain))
            .await
            .map_err(|e| Error::new(Kind::Internal, format!("reading the hosts of a registry failed: {e}")))?
    }

    fn find_endpoints(&self, domain: &str) -> Result<Arc<[Endpoint]>> {
        let now = stamp(&self.options.certs_dirs, domain);
        let lock = || self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, list)) = lock().get(domain)
            && *then == now
        {
            return Ok(Arc::clone(list));
        }
        let list: Arc<[Endpoint]> = endpoints(domain, &self.options).map_err(Error::invalid)?.into();
        let mut hosts = lock();
        if hosts.len() >= REGISTRIES {
            hosts.clear();
        }
        hosts.insert(domain.to_owned(), (now, Arc::clone(&list)));
        Ok(list)
    }

    /// The registry itself.
    pub(crate) async fn origin(self: &Arc<Self>, domain: &str) -> Result<Endpoint> {
        let all = self.endpoints(domain).await?;
        let own = all.iter().find(|endpoint| endpoint.is_origin).cloned();
        own.ok_or_else(|| Error::invalid(format!("only mirrors are configured for {domain}")))
    }

    /// A URL of a host in the scheme that the host was seen to speak.
    pub(crate) fn reached(&self, endpoint: &Endpoint, url: &Url) -> Url {
        let is_plain = endpoint.may_be_plain
            && self.plain.lock().unwrap_or_else(PoisonError::into_inner).contains(&url.origin);
        if is_plain { url.in_clear() } else { url.clone() }
    }

    /// Goes on to plain HTTP after TLS failed at a host where that is allowed. Answers whether it did.
    pub(crate) fn fall_back(&self, endpoint: &Endpoint, url: &mut Url, failure: &Failure) -> bool {
        if !endpoint.may_be_plain || !suggests_plain(failure.trouble) {
            return false;
        }
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if !url.origin.is_tls {
            // Perhaps it speaks TLS by now.
            plain.remove(&endpoint.base.origin);
            return false;
        }
        if url.origin != endpoint.base.origin {
            return false;
        }
        plain.insert(url.origin.clone());
        *url = url.in_clear();
        true
    }
}
