//! What every request sees of the registry that it came to.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::access::AccessLog;
use crate::auth::Auth;
use crate::cache::Cache;
use crate::depot::{Depot, Limits, Uploads};
use crate::error::Result;
use crate::metrics::{Gauges, Metrics};
use crate::options::Options;
use crate::policy::Policy;
use crate::wire::Tls;

/// Kilobytes of manifests that may be in memory while they are pushed.
const MANIFEST_ROOM: usize = 64 << 10;

/// A registry that is open.
pub(crate) struct Site {
    pub(crate) depot: Depot,
    pub(crate) uploads: Uploads,
    pub(crate) auth: Auth,
    pub(crate) tls: Option<Tls>,
    pub(crate) policy: Policy,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) metrics: Metrics,
    pub(crate) access_log: Option<AccessLog>,
    /// Leases are renewed when they are older than half of this, in seconds.
    pub(crate) grace: i64,
    /// Permits for kilobytes of pushed manifests.
    pub(crate) manifest_room: Semaphore,
}

impl Site {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let auth = Auth::open(&options.auth)?;
        let tls = options.tls.clone().map(Tls::open).transpose()?;
        let cache = options.cache.clone().map(Cache::open).transpose()?.map(Arc::new);
        let depot = Depot::open(&options.data_root)?;
        let limits = Limits {
            most: options.max_uploads,
            bytes: options.max_upload_bytes,
            expiry: options.upload_expiry,
        };
        Ok(Self {
            auth,
            policy: Policy { read_only: options.read_only, delete: options.delete, cache: cache.is_some() },
            cache,
            tls,
            metrics: Metrics::default(),
            access_log: options.access_log.as_deref().map(AccessLog::open).transpose()?,
            uploads: Uploads::new(depot.files().clone(), limits),
            depot,
            grace: i64::try_from(options.grace.as_secs()).unwrap_or(i64::MAX),
            manifest_room: Semaphore::new(MANIFEST_ROOM),
        })
    }

    /// Reads files again that have changed: certificates and keys.
    pub(crate) fn refresh(&self) {
        self.auth.refresh();
        if let Some(tls) = &self.tls {
            tls.refresh();
        }
    }

    /// The page of metrics.
    pub(crate) fn metrics_page(&self) -> String {
        let (uploads, upload_bytes) = self.uploads.count();
        self.metrics.page(Gauges { uploads, upload_bytes })
    }
}
