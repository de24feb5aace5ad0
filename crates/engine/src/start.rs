//! `start`: facts, plan, place on the network, then the supervisor. Every act has its undo, run in reverse when a later
//! one fails.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use net::PortRequest;
use plan::container::{Options as PlanOptions, Planned};
use plan::spec::modes::Network;
use protocol::{Log, Plan, Restart, RestartName, Start, Stdio};
use types::{Kind, Rootfs};

use crate::create::files;
use crate::engine::{Engine, Inner, blocking};
use crate::state::{Entry, NetworkRecord, Record, Status};
use crate::{Error, Result, fault, propagation};

/// Everything a start needs, decided and claimed.
struct Ready {
    plan: Plan,
    warnings: Vec<String>,
    network: Option<NetworkRecord>,
    netns: Option<OwnedFd>,
}

impl Engine {
    /// Starts a container that does not run.
    ///
    /// # Errors
    /// `NotModified` when it runs already; whatever keeps it from starting, in which case the host is as before.
    pub async fn start(&self, who: &str) -> Result<()> {
        let entry = self.0.find(who)?;
        let engine = self.clone();
        crate::detached(async move {
            let _change = entry.change.lock().await;
            startable(&entry.record())?;
            engine.launch(&entry).await
        })
        .await
    }

    /// Starts it; the caller holds the container's `change`.
    pub(crate) async fn launch(&self, entry: &Arc<Entry>) -> Result<()> {
        let inner = &self.0;
        let _starting = entry.starting.lock().await;
        let record = entry.record();
        let (engine, wanted) = (self.clone(), record.clone());
        let done = match blocking(move || engine.0.make_ready(&wanted)).await {
            Ok(Ok(ready)) => {
                // Written down before it runs: a daemon that dies now must not leave it without its network.
                if ready.network.is_some() {
                    inner.change(entry, |r| r.network.clone_from(&ready.network));
                }
                self.hand_over(&record, ready).await
            }
            Ok(Err(error)) | Err(error) => Err(error),
        };
        match done {
            Ok((started, network)) => {
                let record = inner.change(entry, |r| {
                    r.network = network;
                    r.state.status = Status::Running;
                    r.state.pid = started.pid;
                    r.state.started_ns = started.at_ns;
                    r.state.exit_code = Some(0);
                    r.state.oom_killed = false;
                    r.state.error.clear();
                    r.state.restarts = 0;
                    r.state.stopped_by_hand = false;
                    r.state.last_event = started.last_event;
                    r.state.boot.clone_from(&inner.host.boot);
                });
                for warning in &started.warnings {
                    tracing::warn!(container = %record.id, "{warning}");
                }
                inner.tell_joined(&record);
                inner.tell(&record, "start", &[]);
                Ok(())
            }
            Err(error) => {
                self.failed(entry, &error);
                Err(error)
            }
        }
    }

    /// Gives the plan to the supervisor; on failure everything made ready is taken back.
    async fn hand_over(
        &self,
        record: &Record,
        ready: Ready,
    ) -> Result<(protocol::Started, Option<NetworkRecord>)> {
        let inner = &self.0;
        for warning in &ready.warnings {
            tracing::warn!(container = %record.id, "{warning}");
        }
        let (names, fds): (Vec<String>, Vec<OwnedFd>) =
            ready.netns.into_iter().map(|fd| ("net".to_owned(), fd)).unzip();
        let start = Start {
            plan: Some(ready.plan),
            stdio: Some(stdio(record)),
            log: log(inner, record),
            restart: Some(restart(record)),
            fds: names,
        };
        let started = match fault::step(record, "supervisor") {
            Ok(()) => inner.supervisor.start(start, fds).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(started) => Ok((started, ready.network)),
            Err(error) => {
                let (engine, network, id) = (self.clone(), ready.network, record.id.clone());
                blocking(move || engine.0.take_back(&id, network.as_ref())).await?;
                Err(error)
            }
        }
    }

    /// Writes down that a start failed. Docker leaves such a container as created, or exited when it had run before.
    fn failed(&self, entry: &Arc<Entry>, error: &Error) {
        let code = if error.exit_code() == 0 { 128 } else { error.exit_code() };
        self.0.change(entry, |r| {
            r.network = None;
            r.state.error = error.to_string();
            r.state.exit_code = Some(code);
        });
        entry.set_failed();
        let record = entry.record();
        if record.host.auto_remove {
            let (engine, entry) = (self.clone(), entry.clone());
            tokio::spawn(async move { engine.remove_ended(&entry).await });
        }
    }
}

/// Whether a person may start it.
fn startable(record: &Record) -> Result<()> {
    match record.state.status {
        Status::Running | Status::Restarting => {
            Err(Error::new(Kind::NotModified, format!("container {} is already running", record.id)))
        }
        Status::Paused => Err(Error::conflict("cannot start a paused container, try unpause instead")),
        Status::Removing | Status::Dead => {
            Err(Error::conflict("container is marked for removal and cannot be started"))
        }
        Status::Created | Status::Exited => Ok(()),
    }
}

fn stdio(record: &Record) -> Stdio {
    let [height, width] = record.host.console_size;
    Stdio {
        terminal: record.config.tty,
        stdin: record.config.open_stdin,
        stdin_once: record.config.stdin_once,
        width,
        height,
    }
}

fn log(inner: &Inner, record: &Record) -> Option<Log> {
    let path = inner.log_path(&record.id).to_string_lossy().into_owned();
    let (max_bytes, max_files) = (record.log.max_bytes, record.log.max_files);
    (!record.log.off).then_some(Log { path, max_bytes, max_files })
}

/// The policy in the protocol's terms.
pub(crate) fn restart(record: &Record) -> Restart {
    let policy = &record.host.restart_policy;
    let name = match policy.name.as_str() {
        "always" => RestartName::Always,
        "unless-stopped" => RestartName::UnlessStopped,
        "on-failure" => RestartName::OnFailure,
        _ => RestartName::No,
    };
    Restart { name: name as i32, maximum: u32::try_from(policy.maximum_retry_count).unwrap_or(0) }
}

impl Inner {
    /// Decides and claims. On failure what was claimed is given back. Blocks.
    fn make_ready(&self, record: &Record) -> Result<Ready> {
        fault::step(record, "look up")?;
        propagation::check(&record.mounts)?;
        let rootfs = self.store.snapshot(&record.id, record.volatile)?;
        if record.volatile && record.state.started_ns != 0 {
            forget_volatile(&rootfs);
        }
        let request = self.look_up(record, &rootfs)?;
        let spec = plan::spec::spec(&request);
        let options =
            PlanOptions { cgroup_parent: self.options.cgroup_parent.clone(), ..PlanOptions::default() };
        fault::step(record, "plan")?;
        let Planned { plan, warnings } =
            plan::container::plan(&record.id, &spec, &rootfs, &self.host.facts, &options)?;
        let is_bridged = Network::parse(&record.host.network_mode)? == Network::Bridge;
        let (network, netns) = match is_bridged && !record.config.network_disabled {
            true => {
                let (network, netns) = self.claim(record)?;
                (Some(network), Some(netns))
            }
            false => (None, None),
        };
        let written =
            fault::step(record, "files").and_then(|()| self.write_files(record, network.as_ref(), &plan));
        if let Err(error) = written {
            self.take_back(&record.id, network.as_ref());
            return Err(error);
        }
        Ok(Ready { plan, warnings, network, netns })
    }

    /// A place on the bridge, with the ports published.
    fn claim(&self, record: &Record) -> Result<(NetworkRecord, OwnedFd)> {
        fault::step(record, "claim")?;
        let bridge = self.bridge()?;
        if let Some(mended) = bridge.mend()? {
            tracing::warn!("{mended}");
        }
        let endpoint = bridge.claim(&record.id, record.ip)?;
        let published = fault::step(record, "publish")
            .and_then(|()| self.publish(&record.id, endpoint.record.ip, &record.ports));
        match published {
            Ok(published) => Ok((NetworkRecord { endpoint: endpoint.record, published }, endpoint.netns)),
            Err(error) => {
                drop(endpoint.netns);
                if let Err(release) = bridge.release(&endpoint.record, &[]) {
                    tracing::warn!(container = %record.id, error = %release, "an endpoint could not be given back");
                }
                Err(error)
            }
        }
    }

    fn publish(
        &self,
        id: &str,
        ip: std::net::Ipv4Addr,
        ports: &[PortRequest],
    ) -> Result<Vec<net::Published>> {
        if ports.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.bridge()?.publish(id, ip, ports)?)
    }

    /// The reverse of `make_ready`.
    fn take_back(&self, id: &str, network: Option<&NetworkRecord>) {
        let _ = std::fs::remove_file(self.plan_path(id));
        if let Some(network) = network {
            self.release(id, network);
        }
    }

    /// Gives a place on the network back. A failure is logged: the next start of the daemon reconciles.
    pub(crate) fn release(&self, id: &str, network: &NetworkRecord) {
        // Without a bridge, what an earlier daemon gave out goes with the container's namespace.
        let Some(bridge) = &self.network else { return };
        if let Err(error) = bridge.release(&network.endpoint, &network.published) {
            tracing::warn!(container = %id, %error, "the container's endpoint could not be released");
        }
    }

    fn write_files(&self, record: &Record, network: Option<&NetworkRecord>, plan: &Plan) -> Result<()> {
        let directory = self.directory(&record.id);
        let host_resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let resolver = files::Resolver {
            servers: &record.host.dns,
            search: &record.host.dns_search,
            options: &record.host.dns_options,
        };
        let gateway = network.map(|n| n.endpoint.gateway);
        let extra = record
            .host
            .extra_hosts
            .iter()
            .map(|entry| files::extra_host(entry, gateway))
            .collect::<Result<Vec<_>>>()?;
        let names = files::own_names(&record.config.hostname, &record.config.domainname);
        let own_network = record.host.network_mode != "host";
        let hosts = files::hosts(network.map(|n| n.endpoint.ip), &names, &extra);
        for (name, text) in [
            ("resolv.conf", files::resolv_conf(&host_resolv, own_network, &resolver)),
            ("hostname", format!("{}\n", record.config.hostname)),
            ("hosts", hosts),
        ] {
            std::fs::write(directory.join(name), text)
                .map_err(|e| Error::io(&format!("cannot write the container's {name}"), e))?;
        }
        std::fs::write(self.plan_path(&record.id), prost::Message::encode_to_vec(plan))
            .map_err(|e| Error::io("cannot keep the container's plan", e))
    }
}

/// Overlayfs refuses to mount a volatile layer twice unless this mark of its first life is gone.
fn forget_volatile(rootfs: &Rootfs) {
    if let Rootfs::Overlay { work, .. } = rootfs {
        let _ = std::fs::remove_dir_all(work.join("work/incompat"));
    }
}
