//! The engine about itself: info and version.

use std::collections::BTreeMap;

use dockerapi::{Component, FirewallBackend, Info, Platform, Plugins, RuntimeEntry, Version};

use crate::Result;
use crate::clock::{now_ns, rfc3339};
use crate::engine::{Engine, Inner};
use crate::registries::masked;
use crate::state::Status;

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Engine {
    /// The engine and its host.
    ///
    /// # Errors
    /// None at present.
    pub async fn info(&self) -> Result<Info> {
        let inner = &self.0;
        let host = &inner.host;
        let all = inner.table.all();
        let count = |fits: &dyn Fn(Status) -> bool| {
            i64::try_from(all.iter().filter(|r| fits(r.state.status)).count()).unwrap_or(0)
        };
        let cgroups = &host.facts.cgroups;
        let has = |v1: &str, v2: &str| cgroups.v1_of(v1).is_some() || cgroups.v2_has(v2);
        let network = inner.network.as_ref().map(net::Network::info);
        Ok(Info {
            id: inner.id.clone(),
            containers: count(&|_| true),
            containers_running: count(&|s| matches!(s, Status::Running | Status::Restarting)),
            containers_paused: count(&|s| s == Status::Paused),
            containers_stopped: count(&|s| {
                !matches!(s, Status::Running | Status::Restarting | Status::Paused)
            }),
            images: i64::try_from(inner.store.images().len()).unwrap_or(0),
            driver: "overlay2".to_owned(),
            driver_status: vec![("Store".to_owned(), "OCI image layout, one directory per layer".to_owned())],
            plugins: Plugins {
                volume: vec!["local".to_owned()],
                network: vec!["bridge".to_owned(), "host".to_owned(), "null".to_owned()],
                log: vec!["json-file".to_owned(), "none".to_owned()],
                ..Plugins::default()
            },
            memory_limit: has("memory", "memory"),
            swap_limit: host.facts.swap_limit,
            cpu_cfs_period: has("cpu", "cpu"),
            cpu_cfs_quota: has("cpu", "cpu"),
            cpu_shares: has("cpu", "cpu"),
            cpu_set: has("cpuset", "cpuset"),
            pids_limit: has("pids", "pids"),
            ipv4_forwarding: true,
            n_fd: count_fds(),
            oom_kill_disable: cgroups.v1_of("memory").is_some(),
            system_time: rfc3339(now_ns()),
            logging_driver: "json-file".to_owned(),
            cgroup_driver: "cgroupfs".to_owned(),
            cgroup_version: if cgroups.only_v2() { "2" } else { "1" }.to_owned(),
            n_events_listener: i64::try_from(inner.events.listeners()).unwrap_or(0),
            kernel_version: host.kernel.clone(),
            operating_system: host.operating_system.clone(),
            os_version: host.os_version.clone(),
            os_type: "linux".to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            index_server_address: "https://index.docker.io/v1/".to_owned(),
            registry_config: Some(inner.options.registries.document()),
            http_proxy: masked(&inner.options.registries.http_proxy),
            https_proxy: masked(&inner.options.registries.https_proxy),
            no_proxy: inner.options.registries.no_proxy.clone(),
            n_cpu: i64::from(host.cpus),
            mem_total: i64::try_from(host.memory_bytes).unwrap_or(i64::MAX),
            docker_root_dir: inner.options.data_root.to_string_lossy().into_owned(),
            name: host.hostname.clone(),
            server_version: VERSION.to_owned(),
            runtimes: BTreeMap::from([(
                "berth".to_owned(),
                RuntimeEntry { path: inner.options.runtime.to_string_lossy().into_owned() },
            )]),
            default_runtime: "berth".to_owned(),
            live_restore_enabled: true,
            init_binary: "berth-runtime".to_owned(),
            security_options: inner.security_options(),
            firewall_backend: network.is_some().then(|| FirewallBackend { driver: "nftables".to_owned() }),
            warnings: inner.warnings(network.as_ref().map_or(&[], |network| &network.warnings)),
            ..Info::default()
        })
    }

    /// Versions of the engine and its parts. The API's versions are the server's to say.
    ///
    /// # Errors
    /// None at present.
    pub async fn version(&self) -> Result<Version> {
        let host = &self.0.host;
        let arch = if std::env::consts::ARCH == "x86_64" { "amd64" } else { std::env::consts::ARCH };
        let details = BTreeMap::from([
            ("Arch".to_owned(), arch.to_owned()),
            ("KernelVersion".to_owned(), host.kernel.clone()),
            ("Os".to_owned(), "linux".to_owned()),
        ]);
        Ok(Version {
            platform: Platform { name: "Berth".to_owned() },
            components: vec![
                Component { name: "Engine".to_owned(), version: VERSION.to_owned(), details },
                Component {
                    name: "berth-runtime".to_owned(),
                    version: VERSION.to_owned(),
                    ..Component::default()
                },
            ],
            version: VERSION.to_owned(),
            os: "linux".to_owned(),
            arch: arch.to_owned(),
            kernel_version: host.kernel.clone(),
            ..Version::default()
        })
    }
}

impl Inner {
    fn security_options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if self.host.facts.seccomp {
            options.push("name=seccomp,profile=builtin".to_owned());
        }
        if self.host.facts.namespaces.iter().any(|n| n == "cgroup") {
            options.push("name=cgroupns".to_owned());
        }
        options
    }

    /// What people should know: what this host cannot do, and what was found damaged.
    fn warnings(&self, network: &[String]) -> Vec<String> {
        let cgroups = &self.host.facts.cgroups;
        let has = |v1: &str, v2: &str| cgroups.v1_of(v1).is_some() || cgroups.v2_has(v2);
        let mut warnings = Vec::new();
        for (present, text) in [
            (has("memory", "memory"), "WARNING: No memory limit support"),
            (self.host.facts.swap_limit, "WARNING: No swap limit support"),
            (has("cpu", "cpu"), "WARNING: No cpu limit support"),
            (has("cpuset", "cpuset"), "WARNING: No cpuset support"),
            (has("pids", "pids"), "WARNING: No pids limit support"),
            (self.host.facts.seccomp, "WARNING: No seccomp support"),
        ] {
            if !present {
                warnings.push(text.to_owned());
            }
        }
        let others = self.warnings.iter().chain(self.store.warnings()).chain(network);
        warnings.extend(others.map(|w| format!("WARNING: {w}")));
        warnings
    }
}

fn count_fds() -> i64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |d| i64::try_from(d.count()).unwrap_or(0))
}
