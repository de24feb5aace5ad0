//! `inspect`: everything known of a container, in Docker's form.

use std::collections::BTreeMap;

use dockerapi::{
    ContainerInspect, Endpoint, GraphDriver, MountPoint, NetworkSettings, PortBinding, PortMap, State,
};
use types::Rootfs;

use crate::Result;
use crate::clock::rfc3339;
use crate::engine::{Engine, Inner, blocking};
use crate::state::{MountRecord, Record, Status};

impl Engine {
    /// The full account of a container; with `size` also how much it has written.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn inspect(&self, who: &str, size: bool) -> Result<ContainerInspect> {
        let record = self.0.find(who)?.record();
        let mut answer = self.0.account(&record);
        if size {
            let (engine, id) = (self.clone(), record.id.clone());
            let written = blocking(move || engine.0.store.snapshot_bytes(&id).unwrap_or(0)).await?;
            let written = i64::try_from(written).unwrap_or(i64::MAX);
            answer.size_rw = Some(written);
            answer.size_root_fs = Some(written + self.0.image_bytes(&record));
        }
        Ok(answer)
    }
}

impl Inner {
    fn account(&self, record: &Record) -> ContainerInspect {
        let directory = self.directory(&record.id);
        let has_started = record.state.started_ns != 0;
        let file = |name: &str| match has_started {
            true => directory.join(name).to_string_lossy().into_owned(),
            false => String::new(),
        };
        let mut words = record.config.entrypoint.iter().chain(&record.config.cmd).flatten().cloned();
        let log_path = self.log_path(&record.id).to_string_lossy().into_owned();
        ContainerInspect {
            id: record.id.clone(),
            created: rfc3339(record.created_ns),
            path: words.next().unwrap_or_default(),
            args: words.collect(),
            state: state(record),
            image: record.image_id.clone(),
            resolv_conf_path: file("resolv.conf"),
            hostname_path: file("hostname"),
            hosts_path: file("hosts"),
            log_path: if record.log.off || !has_started { String::new() } else { log_path },
            name: format!("/{}", record.name),
            restart_count: i64::from(record.state.restarts),
            driver: "overlay2".to_owned(),
            platform: "linux".to_owned(),
            exec_ids: self.execs.running_of(&record.id),
            host_config: record.host.clone(),
            graph_driver: self.graph_driver(record),
            image_manifest_descriptor: self.manifest_descriptor(&record.image_id),
            // What `--tmpfs` asked for is shown in the host part only.
            mounts: record
                .mounts
                .iter()
                .filter(|m| !record.host.tmpfs.contains_key(&m.destination))
                .map(mount_point)
                .collect(),
            config: record.config.clone(),
            network_settings: network_settings(record),
            ..ContainerInspect::default()
        }
    }

    fn graph_driver(&self, record: &Record) -> GraphDriver {
        let mut data = BTreeMap::new();
        if let Ok(Rootfs::Overlay { lower, upper, work, .. }) =
            self.store.snapshot(&record.id, record.volatile)
        {
            let lower: Vec<_> = lower.iter().map(|p| p.to_string_lossy()).collect();
            data.insert("LowerDir".to_owned(), lower.join(":"));
            data.insert("UpperDir".to_owned(), upper.to_string_lossy().into_owned());
            data.insert("WorkDir".to_owned(), work.to_string_lossy().into_owned());
            // The host has no mount of it: while it runs, this is the way to what the container sees.
            if record.state.is_running() {
                data.insert("MergedDir".to_owned(), format!("/proc/{}/root", record.state.pid));
            }
        }
        GraphDriver { name: "overlay2".to_owned(), data }
    }

    pub(crate) fn image_bytes(&self, record: &Record) -> i64 {
        let image = record.image_id.parse().ok().and_then(|id| self.store.images().get(&id).cloned());
        image.map_or(0, |i| i64::try_from(i.size).unwrap_or(i64::MAX))
    }
}

fn state(record: &Record) -> State {
    let state = &record.state;
    State {
        status: state.status.word().to_owned(),
        running: state.is_live(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: i64::from(state.pid),
        exit_code: i64::from(state.exit_code.unwrap_or(0)),
        error: state.error.clone(),
        started_at: rfc3339(state.started_ns),
        finished_at: rfc3339(state.finished_ns),
        health: None,
    }
}

/// A mount as lists and inspection show it.
pub(crate) fn mount_point(mount: &MountRecord) -> MountPoint {
    let is_volume = mount.kind == "volume";
    MountPoint {
        kind: mount.kind.clone(),
        name: mount.name.clone(),
        source: mount.source.clone(),
        destination: mount.destination.clone(),
        driver: if is_volume { "local".to_owned() } else { String::new() },
        mode: mount.mode.clone(),
        rw: !mount.readonly,
        propagation: mount.propagation.clone(),
    }
}

/// The container's place on its network, by the network's name.
pub(crate) fn endpoints(record: &Record) -> BTreeMap<String, Endpoint> {
    if record.host.network_mode.starts_with("container:") {
        return BTreeMap::new();
    }
    let name = record.host.network_mode.clone();
    let mut endpoint = Endpoint::default();
    if record.state.started_ns != 0 {
        endpoint.network_id = crate::networks::id_of(&name);
    }
    if record.state.is_running() {
        endpoint.endpoint_id.clone_from(&record.id);
    }
    if let Some(network) = &record.network {
        let place = &network.endpoint;
        endpoint.gateway = place.gateway.to_string();
        endpoint.ip_address = place.ip.to_string();
        endpoint.ip_prefix_len = i64::from(place.prefix);
        endpoint.mac_address = place.mac.to_string();
        endpoint.aliases.clone_from(&record.aliases);
    }
    BTreeMap::from([(name, endpoint)])
}

fn network_settings(record: &Record) -> NetworkSettings {
    let networks = endpoints(record);
    let mut settings = NetworkSettings { ports: port_map(record), ..NetworkSettings::default() };
    if record.state.is_running() && !record.host.network_mode.starts_with("container:") {
        settings.sandbox_id.clone_from(&record.id);
        settings.sandbox_key = format!("/proc/{}/ns/net", record.state.pid);
    }
    if let Some(bridge) = networks.get("bridge") {
        settings.endpoint_id.clone_from(&bridge.endpoint_id);
        settings.gateway.clone_from(&bridge.gateway);
        settings.ip_address.clone_from(&bridge.ip_address);
        settings.ip_prefix_len = bridge.ip_prefix_len;
        settings.mac_address.clone_from(&bridge.mac_address);
    }
    settings.networks = networks;
    settings
}

/// Exposed ports, and where they are published while the container runs.
fn port_map(record: &Record) -> PortMap {
    let mut ports = PortMap::new();
    if record.network.is_none() {
        return ports;
    }
    for port in record.config.exposed_ports.keys() {
        ports.insert(port.clone(), None);
    }
    for p in record.network.iter().flat_map(|n| &n.published) {
        let binding = PortBinding { host_ip: p.host_ip.to_string(), host_port: p.host_port.to_string() };
        let key = format!("{}/{}", p.container_port, p.proto);
        ports.entry(key).or_default().get_or_insert_default().push(binding);
    }
    ports
}
