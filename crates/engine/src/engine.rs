//! The engine as its callers hold it, and what all its parts share.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use net::Network;
use oci::runtime::LinuxSeccomp;
use registry::Client;
use store::{Durability, Store};
use tokio::sync::Notify;

use crate::claims::Claims;
use crate::events::Events;
use crate::execs::Execs;
use crate::host::Host;
use crate::prune::Prunes;
use crate::pull::Flights;
use crate::state::{Entry, Record, Table, spare};
use crate::supervisor::Supervisor;
use crate::{Error, Options, Result};

/// Kind of the container records in the store.
pub(crate) const CONTAINERS: &str = "container";

/// One engine on one data root. Cheap to clone; clones are the same engine.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

/// What the engine's parts share.
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) host: Host,
    pub(crate) store: Store,
    /// The default bridge, unless it was switched off.
    pub(crate) network: Option<Network>,
    /// How other people's registries are spoken to.
    pub(crate) registry: Client,
    /// Layers on their way in.
    pub(crate) flights: Arc<Flights>,
    pub(crate) supervisor: Supervisor,
    pub(crate) table: Table,
    pub(crate) events: Events,
    pub(crate) execs: Execs,
    pub(crate) claims: Claims,
    pub(crate) prunes: Prunes,
    /// Told when an image has come.
    pub(crate) arrived: Arc<Notify>,
    /// Default filters by the capabilities they were made for.
    pub(crate) filters: Mutex<HashMap<Vec<String>, Arc<LinuxSeccomp>>>,
    /// What went wrong while opening and should be shown to people.
    pub(crate) warnings: Vec<String>,
    /// When this daemon began.
    pub(crate) opened_ns: i64,
    /// Containers whose records cannot be read, by another version perhaps: they are left alone.
    pub(crate) unreadable: HashSet<String>,
    /// Identifies this data root in `info`.
    pub(crate) id: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Inner {
    /// The default bridge.
    pub(crate) fn bridge(&self) -> Result<&Network> {
        self.network.as_ref().ok_or_else(|| Error::new(types::Kind::NotFound, "network bridge not found"))
    }

    /// The directory of a container's small files and its log.
    pub(crate) fn directory(&self, id: &str) -> PathBuf {
        self.options.data_root.join("containers").join(id)
    }

    /// Its log.
    pub(crate) fn log_path(&self, id: &str) -> PathBuf {
        self.directory(id).join(format!("{id}-json.log"))
    }

    /// The plan it runs by; on a file system that a boot empties.
    pub(crate) fn plan_path(&self, id: &str) -> PathBuf {
        self.options.exec_root.join("plans").join(id)
    }

    /// Its cgroup, from the hierarchies' roots.
    pub(crate) fn cgroup(&self, id: &str) -> String {
        format!("{}/{id}", self.options.cgroup_parent.trim_end_matches('/'))
    }

    /// Writes a record down. Not synced: it survives a killed daemon, which is what the start path promises. A `--rm` container
    /// has a copy only while it runs: nobody misses it before or after.
    pub(crate) fn save(&self, record: &Record) -> Result<()> {
        let json = serde_json::to_string(record)
            .map_err(|e| Error::doing("cannot print the container's record", types::Kind::Internal, e))?;
        self.store.records().put(CONTAINERS, &record.id, &json, Durability::Relaxed)?;
        if record.state.is_live() || !record.volatile {
            spare::keep(&self.directory(&record.id), &json);
        }
        Ok(())
    }

    /// Changes a container's record and writes it down. A record that cannot be written is logged: the change itself has
    /// happened, and the next change writes it again.
    pub(crate) fn change(&self, entry: &Entry, change: impl FnOnce(&mut Record)) -> Arc<Record> {
        let record = entry.modify(change);
        if let Err(error) = self.save(&record) {
            tracing::error!(container = %record.id, %error, "a container's record could not be written");
        }
        record
    }

    /// The container that a person means.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Entry>> {
        self.table.find(who)
    }

    /// The default filter for a container with these capabilities, made once.
    pub(crate) fn default_filter(&self, capabilities: &[String]) -> Arc<LinuxSeccomp> {
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = filters.get(capabilities) {
            return filter.clone();
        }
        let arch = plan::seccomp::Arch::native();
        let filter = Arc::new(plan::seccomp::default_profile(capabilities, self.host.facts.kernel, arch));
        filters.insert(capabilities.to_vec(), filter.clone());
        filter
    }
}

/// Runs what may block for long away from the tasks.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::doing("a worker of the engine failed", types::Kind::Internal, e))
}

/// Runs what waits for a client on a thread of its own: however many clients stall, the workers that everybody needs stay free.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("upload".to_owned())
        .spawn(move || drop(done.send(work())))
        .map_err(|e| Error::io("cannot start a thread for the upload", e))?;
    result.await.map_err(|e| Error::doing("the upload's thread failed", types::Kind::Internal, e))
}
