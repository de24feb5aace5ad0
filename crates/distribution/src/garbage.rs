//! `berth registry garbage-collect`: by the registry that serves the directory, or here when none does.

use std::time::Duration;

use types::Kind;

use crate::code::Refusal;
use crate::control;
use crate::depot::{Collected, Depot, Sweep};
use crate::error::{Error, Result};
use crate::options::Collect;
use crate::run::alone;
use crate::site::Site;

impl Site {
    /// Collects once, and counts it.
    pub(crate) async fn collect(&self, sweep: Sweep) -> Result<Collected, Refusal> {
        let found = self.depot.collect(sweep).await?;
        if !sweep.dry_run {
            self.metrics.collected(&found);
            tracing::info!(?found, "garbage was collected");
        }
        Ok(found)
    }
}

/// Collects, and tells on standard output what went.
pub(crate) fn collect(asked: &Collect) -> Result<()> {
    if !asked.data_root.is_dir() {
        let path = asked.data_root.display();
        return Err(Error::new(Kind::NotFound, format!("there is no registry in {path}")));
    }
    let sweep = Sweep { grace: asked.grace, untagged: asked.untagged, dry_run: asked.dry_run };
    let found = match Depot::open(&asked.data_root) {
        Ok(depot) => alone(depot.collect(sweep))?,
        Err(error) if error.kind() == Kind::Conflict => control::ask_to_collect(&asked.data_root, sweep)?,
        Err(error) => return Err(error),
    };
    let verb = if asked.dry_run { "would remove" } else { "removed" };
    println!(
        "{verb} {} manifests, {} blobs of repositories, {} files with {} bytes",
        found.manifests, found.links, found.contents, found.bytes
    );
    Ok(())
}

/// Collects every so often, for ever.
pub(crate) async fn rounds(site: std::sync::Arc<Site>, every: Duration, sweep: Sweep) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(refusal) = site.collect(sweep).await {
            tracing::warn!(why = refusal.message, "garbage could not be collected");
        }
    }
}
