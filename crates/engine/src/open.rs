//! Opening the engine: containers that went on without a daemon are found again, what belongs to nobody is removed.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use net::Network;
use protocol::{Container, Containers, Exited, Target};
use store::{Durability, Store};

use crate::claims::Claims;
use crate::clock::now_ns;
use crate::engine::{CONTAINERS, Engine, Inner, blocking};
use crate::events::Events;
use crate::execs::Execs;
use crate::host::Host;
use crate::prune::Prunes;
use crate::pull::Flights;
use crate::state::{Entry, Record, Status, Table, spare};
use crate::supervisor::{Supervisor, SupervisorEvents};
use crate::{Error, Options, Result};

/// Exit code of a container whose end nobody saw, as after a power cut.
const LOST: i32 = 255;

impl Engine {
    /// Opens the engine on its roots, and takes over what runs.
    ///
    /// # Errors
    /// When a root, the bridge or the supervisor cannot be had.
    pub async fn open(options: Options) -> Result<Self> {
        let (store, network, host, options) = blocking(move || prepare(options)).await??;
        let supervisor = Supervisor::connect_or_start(&options.exec_root, &options.runtime).await?;
        let Records { table, warnings, unreadable } = read_records(&store, &options)?;
        for warning in store.warnings().iter().chain(&warnings) {
            tracing::warn!("{warning}");
        }
        let registry = options.registries.client()?;
        let id = data_root_id(&store)?;
        let flights = Arc::new(Flights::new(options.registries.downloads));
        let inner = Inner {
            options,
            host,
            store,
            network,
            registry,
            flights,
            supervisor,
            table,
            events: Events::default(),
            execs: Execs::default(),
            claims: Claims::default(),
            prunes: Prunes::default(),
            arrived: Arc::default(),
            filters: Mutex::new(HashMap::new()),
            warnings,
            opened_ns: now_ns(),
            unreadable,
            id,
        };
        let engine = Self(Arc::new(inner));
        let mut events = engine.0.supervisor.events();
        engine.reconcile(events.as_mut()).await?;
        if let Some(events) = events {
            engine.listen(events);
        }
        engine.start_by_policy();
        engine.keep_to_budget();
        Ok(engine)
    }

    /// Handles the supervisor's events for as long as the engine lives.
    fn listen(&self, mut events: SupervisorEvents) {
        let engine = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let Some(inner) = engine.upgrade() else { return };
                let number = event.number;
                let engine = Engine(inner);
                engine.handle(event).await;
                engine.0.supervisor.acknowledge(number);
            }
        });
    }

    /// Makes records, processes, network and disk agree. What happened while no daemon was there is gone through first, in its order;
    /// then what is counts.
    async fn reconcile(&self, mut events: Option<&mut SupervisorEvents>) -> Result<()> {
        let inner = &self.0;
        let Containers { containers, last_event } = inner.supervisor.list().await?;
        while let Some(event) = events.as_mut().and_then(|events| events.past(last_event)) {
            self.handle(event).await;
        }
        inner.supervisor.acknowledge(last_event);
        let mut held: HashMap<String, Container> =
            containers.into_iter().map(|c| (c.id.clone(), c)).collect();
        for entry in inner.table.entries() {
            let id = entry.record().id.clone();
            self.agree(&entry, held.remove(&id)).await;
        }
        for id in held.into_keys().filter(|id| !inner.unreadable.contains(id)) {
            tracing::warn!(container = %id, "a container without a record is ended");
            self.end_for_good(&id).await;
        }
        let engine = self.clone();
        blocking(move || engine.0.sweep()).await??;
        for entry in inner.table.entries() {
            let record = entry.record();
            let half_gone = matches!(record.state.status, Status::Removing);
            if half_gone || record.host.auto_remove && record.state.status == Status::Exited {
                let engine = self.clone();
                tokio::spawn(async move {
                    let _change = entry.change.lock().await;
                    if !entry.phase().borrow().removed {
                        let _ = engine.take_apart(&entry, true).await;
                    }
                });
            }
        }
        Ok(())
    }

    /// One record and what the supervisor says of it.
    async fn agree(&self, entry: &Arc<Entry>, held: Option<Container>) {
        let inner = &self.0;
        let record = entry.record();
        match held {
            Some(now) if now.pid != 0 => {
                inner.change(entry, |r| {
                    r.state.status = if now.frozen { Status::Paused } else { Status::Running };
                    r.state.pid = now.pid;
                    r.state.started_ns = now.started_at_ns;
                    r.state.restarts = now.restarts;
                    r.state.boot.clone_from(&inner.host.boot);
                });
                match (record.state.held_still, now.frozen) {
                    (true, true) => self.thaw(entry).await,
                    (true, false) => drop(inner.change(entry, |r| r.state.held_still = false)),
                    _ => {}
                }
            }
            Some(now) if now.restarting => {
                inner.change(entry, |r| {
                    r.state.status = Status::Restarting;
                    r.state.pid = 0;
                    r.state.restarts = now.restarts;
                });
            }
            // Its end was told by an event before; this is for one that was lost.
            Some(now) if record.state.is_live() => {
                self.ended(entry, Exited { exit: now.exit, restarting: false }).await;
            }
            Some(now) => self.forget_process(&now.id).await,
            None if record.state.is_live() => {
                inner.change(entry, |r| {
                    r.state.status = Status::Exited;
                    r.state.pid = 0;
                    r.state.exit_code = Some(LOST);
                    r.state.finished_ns = now_ns();
                    r.network = None;
                });
            }
            // A start that its daemon did not live to finish.
            None if record.network.is_some() => {
                inner.change(entry, |r| r.network = None);
            }
            None => {}
        }
    }

    /// Ends whatever the supervisor holds by this id, or is about to start by its policy.
    pub(crate) async fn end_for_good(&self, id: &str) {
        let target = Target { container: id.to_owned(), exec: String::new() };
        let _ = self.0.supervisor.hold_restart(target.clone()).await;
        let _ = self.0.supervisor.signal(target.clone(), 9, true).await;
        for _ in 0..100 {
            match self.0.supervisor.remove(target.clone()).await {
                Err(error) if error.kind() == types::Kind::Conflict => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                _ => return,
            }
        }
    }

    /// After a boot of the host, policies start what they are there for.
    fn start_by_policy(&self) {
        for entry in self.0.table.entries() {
            let record = entry.record();
            let state = &record.state;
            let ran = !state.boot.is_empty() && state.boot != self.0.host.boot && !state.is_live();
            let policy = &record.host.restart_policy.name;
            let wanted = plan::restart::after_boot(policy, state.stopped_by_hand, state.exit_code);
            if ran && wanted {
                let engine = self.clone();
                tokio::spawn(async move {
                    let _change = entry.change.lock().await;
                    if !entry.record().state.is_live()
                        && let Err(error) = engine.launch(&entry).await
                    {
                        tracing::error!(container = %entry.record().id, %error, "its policy could not start it");
                    }
                });
            }
        }
    }

    /// Has the supervisor become the runtime program that is installed now, with every container it holds.
    ///
    /// # Errors
    /// When it cannot be executed; then the present one goes on.
    pub async fn upgrade_supervisor(&self) -> Result<()> {
        self.0.supervisor.upgrade(&self.0.options.runtime).await
    }

    /// Ends every container and takes the network down: for a daemon that was told to leave nothing behind.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn tear_down(&self) -> Result<()> {
        for entry in self.0.table.entries() {
            let id = entry.record().id.clone();
            let options = crate::RemoveOptions { volumes: true, force: true };
            match self.remove(&id, options).await {
                Err(error) if error.kind() != types::Kind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.0.supervisor.shutdown().await?;
        let engine = self.clone();
        blocking(move || {
            remove_cgroup_parents(&engine.0);
            engine.0.network.as_ref().map_or(Ok(()), |network| Ok(network.teardown()?))
        })
        .await?
    }
}

fn prepare(options: Options) -> Result<(Store, Option<Network>, Host, Options)> {
    make_root(&options.data_root, 0o710)?;
    make_root(&options.exec_root, 0o700)?;
    make_root(&options.data_root.join("containers"), 0o710)?;
    make_root(&options.exec_root.join("plans"), 0o700)?;
    let host = Host::gather()?;
    let store = Store::open(&options.data_root)?;
    let network = options.bridge.clone().map(Network::open).transpose()?;
    Ok((store, network, host, options))
}

/// Makes a directory, or tightens the mode of the one that is there (CVE-2021-41091).
fn make_root(path: &Path, mode: u32) -> Result<()> {
    let tried = format!("cannot make {}", path.display());
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|e| Error::io(&tried, e))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|e| Error::io(&tried, e))
}

/// What is written down of containers.
#[derive(Default)]
struct Records {
    table: Table,
    warnings: Vec<String>,
    unreadable: HashSet<String>,
}

/// Reads the database's records, and takes those that it lost from their copies.
fn read_records(store: &Store, options: &Options) -> Result<Records> {
    let mut records = Records::default();
    for row in store.records().all(CONTAINERS)? {
        match serde_json::from_str::<Record>(&row.json) {
            Ok(record) => records.table.insert(Arc::new(Entry::new(record))),
            Err(error) => records.skip(row.id, &error),
        }
    }
    let directory = options.data_root.join("containers");
    for id in names_in(&directory) {
        if records.table.by_id(&id).is_some() || records.unreadable.contains(&id) {
            continue;
        }
        match spare::find(&directory.join(&id)) {
            Some(Ok(record)) if record.id == id => {
                let json = serde_json::to_string(&record).map_err(|e| {
                    Error::doing("cannot print the container's record", types::Kind::Internal, e)
                })?;
                store.records().put(CONTAINERS, &id, &json, Durability::Relaxed)?;
                records
                    .warnings
                    .push(format!("container {id} was missing in the database; its copy was taken"));
                records.table.insert(Arc::new(Entry::new(record)));
            }
            Some(Err(error)) => records.skip(id, &error),
            // Half made, or the copy of another.
            Some(Ok(_)) | None => {}
        }
    }
    Ok(records)
}

impl Records {
    fn skip(&mut self, id: String, error: &serde_json::Error) {
        self.warnings.push(format!("the record of container {id} cannot be read, it is left alone: {error}"));
        self.unreadable.insert(id);
    }
}

/// The data root's own name, made once.
fn data_root_id(store: &Store) -> Result<String> {
    if let Some(id) = store.records().get("engine", "id")? {
        return Ok(id);
    }
    let id = crate::create::new_id()?[..32].to_owned();
    store.records().put("engine", "id", &id, Durability::Relaxed)?;
    Ok(id)
}

impl Inner {
    /// Removes what carries Berth's mark and is in no record. Blocks.
    fn sweep(&self) -> Result<()> {
        let all = self.table.all();
        let alone = || self.unreadable.iter().map(String::as_str);
        let known: HashSet<&str> = all.iter().map(|r| r.id.as_str()).chain(alone()).collect();
        let live = all.iter().filter(|r| r.state.is_live()).map(|r| r.id.as_str());
        let live: HashSet<&str> = live.chain(alone()).collect();
        for name in self.store.snapshots().iter().filter(|n| !known.contains(n.as_str())) {
            tracing::info!(container = %name, "a writable layer without a container is removed");
            if let Err(error) = self.store.discard(name) {
                tracing::warn!(container = %name, %error, "it could not be removed");
            }
        }
        for name in names_in(&self.options.data_root.join("containers")) {
            if !known.contains(name.as_str()) {
                // A creation that was cut short: what it had made for itself goes as well.
                for volume in
                    self.store.volumes().list().iter().filter(|v| v.anonymous && v.container == name)
                {
                    let _ = self.store.volumes().remove(&volume.name, true, &|_| Vec::new());
                }
                let _ = std::fs::remove_dir_all(self.directory(&name));
            }
        }
        for name in names_in(&self.options.exec_root.join("plans")) {
            if !live.contains(name.as_str()) {
                let _ = std::fs::remove_file(self.plan_path(&name));
            }
        }
        self.sweep_cgroups(&live);
        let places: Vec<_> = all
            .iter()
            .filter(|r| r.state.is_live())
            .filter_map(|r| r.network.clone())
            .map(|n| (n.endpoint, n.published))
            .collect();
        self.network.as_ref().map_or(Ok(()), |network| Ok(network.reconcile(&places)?))
    }

    /// Empty cgroups of containers that do not live. One that is not empty is the kernel's to refuse.
    fn sweep_cgroups(&self, live: &HashSet<&str>) {
        for parent in cgroup_parents(self) {
            for name in names_in(&parent) {
                let is_id = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
                if is_id && !live.contains(name.as_str()) {
                    remove_cgroup(&parent.join(name));
                }
            }
        }
    }
}

fn cgroup_parents(inner: &Inner) -> Vec<std::path::PathBuf> {
    let cgroups = &inner.host.facts.cgroups;
    let mounts = cgroups.v1.iter().map(|h| &h.mount).chain(cgroups.v2.iter().map(|v| &v.mount));
    mounts.map(|m| Path::new(m).join(inner.options.cgroup_parent.trim_matches('/'))).collect()
}

/// Removes a cgroup and those in it, as far as they are empty.
fn remove_cgroup(path: &Path) {
    for name in names_in(path) {
        let child = path.join(name);
        if child.is_dir() {
            remove_cgroup(&child);
        }
    }
    let _ = std::fs::remove_dir(path);
}

fn remove_cgroup_parents(inner: &Inner) {
    if inner.options.cgroup_parent.trim_matches('/').is_empty() {
        return;
    }
    for parent in cgroup_parents(inner) {
        let _ = std::fs::remove_dir(parent);
    }
}

fn names_in(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()
}
