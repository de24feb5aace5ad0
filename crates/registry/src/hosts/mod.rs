//! Whom to ask for a registry's content, in which order, and what trust they get.

mod certs;
mod file;
mod insecure;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http::{Tls, Url};
use crate::options::Options;

pub(crate) use certs::{Stamp, stamp};
pub use file::{HostEntry, HostsError, parse_hosts};

/// What a host is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Content by digest.
    Pull,
    /// What a tag means.
    Resolve,
    /// Anything that changes the registry.
    Push,
}

impl Capability {
    pub(crate) const ALL: [Self; 3] = [Self::Pull, Self::Resolve, Self::Push];
}

/// One host that answers for a registry.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Up to and including `/v2`, or what stands for it.
    pub(crate) base: Url,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) tls: Arc<Tls>,
    /// Sent with each request to this host.
    pub(crate) headers: HeaderMap,
    pub(crate) connect_timeout: Duration,
    /// The registry itself: its credentials may be shown to it.
    pub(crate) is_origin: bool,
    /// When nobody answers in TLS, plain HTTP will do.
    pub(crate) may_be_plain: bool,
    /// The registry whose content is meant, for hosts that answer for several.
    pub(crate) namespace: Option<String>,
}

/// The hosts of a registry in the order in which they are asked. Reads files; the error is a sentence.
pub(crate) fn endpoints(domain: &str, options: &Options) -> Result<Vec<Endpoint>, String> {
    let found = |name: &str| certs::read(&options.certs_dirs, name);
    plan::plan(domain, options, &found)?.into_iter().map(|host| open(host, options)).collect()
}

fn open(host: plan::Host, options: &Options) -> Result<Endpoint, String> {
    let tls = Tls::load(&host.trust).map_err(|why| format!("{}: {why}", host.base.origin.authority()))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &host.headers {
        let both = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (Ok(name), Ok(mut value)) = both else {
            return Err(format!("{}: the header {name:?} cannot be sent", host.base.origin.authority()));
        };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(Endpoint {
        base: host.base,
        capabilities: host.capabilities,
        tls: Arc::new(tls),
        headers,
        connect_timeout: host.dial_timeout.unwrap_or(options.connect_timeout),
        is_origin: host.is_origin,
        may_be_plain: host.may_be_plain,
        namespace: host.namespace,
    })
}
