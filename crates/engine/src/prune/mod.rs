//! Prunes: what nobody uses goes, by Docker's rules. What a load, pull, push, commit or creation in progress needs is in use.

mod containers;
mod images;
mod volumes;

use dockerapi::{Filters, PrunedBuildCache, PrunedNetworks};
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::now_ns;
use crate::engine::Engine;
use crate::{Error, Result};

/// One prune of a kind at a time.
#[derive(Debug, Default)]
pub(crate) struct Prunes {
    containers: Mutex<()>,
    images: Mutex<()>,
    volumes: Mutex<()>,
}

fn alone(running: &Mutex<()>) -> Result<MutexGuard<'_, ()>> {
    running.try_lock().map_err(|_| Error::conflict("a prune operation is already running"))
}

/// The moment of the filter `until`, nanoseconds since the epoch.
fn until(filters: &Filters) -> Result<Option<i64>> {
    match filters.get("until") {
        [] => Ok(None),
        [text] => dockerapi::time::parse_moment(text, now_ns())
            .map(Some)
            .map_err(|_| Error::invalid(format!("failed to parse value as time or duration: {text:?}"))),
        _ => Err(Error::invalid("more than one until filter specified")),
    }
}

impl Engine {
    /// Removes networks that no container uses. There are only those that cannot be removed.
    ///
    /// # Errors
    /// An unknown filter or one that means nothing.
    pub async fn network_prune(&self, filters: Filters) -> Result<PrunedNetworks> {
        filters.only(&["label", "label!", "until"])?;
        until(&filters)?;
        self.0.tell_pruned("network", 0);
        Ok(PrunedNetworks::default())
    }

    /// Empties the build cache. There is none.
    ///
    /// # Errors
    /// None at present.
    pub async fn build_cache_prune(&self) -> Result<PrunedBuildCache> {
        self.0.tell_pruned("builder", 0);
        Ok(PrunedBuildCache::default())
    }
}
