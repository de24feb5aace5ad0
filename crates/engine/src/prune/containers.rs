//! `container prune`.

use std::time::Duration;

use dockerapi::{Filters, Pruned};

use super::{alone, until};
use crate::clock::now_ns;
use crate::engine::{Engine, blocking};
use crate::state::Status;
use crate::{RemoveOptions, Result};

/// Whoever runs a container creates it, and starts it at once: so long a new one is left the chance.
const GRACE_NS: i64 = 1_000_000_000;

impl Engine {
    /// Removes the containers that do not run; their anonymous volumes stay, as with Docker.
    ///
    /// # Errors
    /// An unknown filter or one that means nothing; `Conflict` when one is running already.
    pub async fn container_prune(&self, filters: Filters) -> Result<Pruned> {
        filters.only(&["label", "label!", "until"])?;
        let until = until(&filters)?;
        let _alone = alone(&self.0.prunes.containers)?;
        self.wait_for_starts().await;
        let mut pruned = Pruned::default();
        for record in self.0.table.all() {
            let is_old = until.is_none_or(|until| record.created_ns <= until);
            if record.state.is_live() || !is_old || !filters.labels(&record.config.labels) {
                continue;
            }
            if record.state.status == Status::Created && record.created_ns + GRACE_NS > now_ns() {
                continue;
            }
            let (engine, id) = (self.clone(), record.id.clone());
            let bytes = blocking(move || engine.0.store.snapshot_bytes(&id).unwrap_or(0)).await?;
            match self.remove(&record.id, RemoveOptions::default()).await {
                Ok(()) => {
                    pruned.containers_deleted.push(record.id.clone());
                    pruned.space_reclaimed += bytes;
                }
                // It was started or removed meanwhile.
                Err(error) => tracing::debug!(container = %record.id, %error, "not pruned"),
            }
        }
        self.0.tell_pruned("container", pruned.space_reclaimed);
        Ok(pruned)
    }

    /// Waits until the containers that were just created are started, or are not that new any more.
    async fn wait_for_starts(&self) {
        let now = now_ns();
        let new = |ns: i64| ns + GRACE_NS > now && ns <= now;
        let all = self.0.table.all();
        let created = all.iter().filter(|r| r.state.status == Status::Created && new(r.created_ns));
        if let Some(youngest) = created.map(|r| r.created_ns).max() {
            let left = u64::try_from(youngest + GRACE_NS - now).unwrap_or(0);
            tokio::time::sleep(Duration::from_nanos(left + 1)).await;
        }
    }
}
