//! What a creation asks for, judged before anything is made. What Berth cannot honour is refused by name.

use dockerapi::{Config, ContainerCreate, HostConfig, RestartPolicy};
use plan::spec::{limits, modes, modes::Modes, security, security::Security, signal, sysctl, user};
use serde_json::Value;

use crate::host::Host;
use crate::{Error, Result};

/// What the checks read on the way.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) modes: Modes,
    pub(crate) warnings: Vec<String>,
}

/// Checks a request whose configuration was merged with its image's.
pub(crate) fn check(body: &ContainerCreate, host: &Host) -> Result<Checked> {
    let (config, host_config) = (&body.config, &body.host_config);
    unsupported(config, host_config)?;
    configuration(config)?;
    let modes = modes::read(host_config)?;
    let facts = host.for_limits();
    let mut warnings = limits::check(&host_config.resources, &facts)?;
    warnings.extend(refused_by_kernel(host_config, host));
    restart(&host_config.restart_policy)?;
    if host_config.auto_remove && !matches!(host_config.restart_policy.name.as_str(), "" | "no") {
        return Err(Error::conflict("can't create 'AutoRemove' container with restart policy"));
    }
    names(host_config, &modes)?;
    security_options(host_config, host)?;
    Ok(Checked { modes, warnings })
}

fn unsupported(config: &Config, host: &HostConfig) -> Result<()> {
    let health = config.healthcheck.as_ref().map(|h| h.test.first().map_or("", String::as_str));
    let asked = [
        ("Healthcheck", health.is_some_and(|test| !matches!(test, "" | "NONE"))),
        ("MacAddress", !config.mac_address.is_empty()),
        ("OnBuild", !config.on_build.is_empty()),
        ("HostConfig.VolumeDriver", !matches!(host.volume_driver.as_str(), "" | "local")),
        ("HostConfig.VolumesFrom", !host.volumes_from.is_empty()),
        ("HostConfig.Cgroup", !host.cgroup.is_empty()),
        ("HostConfig.Links", !host.links.is_empty()),
        ("HostConfig.StorageOpt", !host.storage_opt.is_empty()),
        ("HostConfig.Runtime", !matches!(host.runtime.as_str(), "" | "berth" | "runc")),
        ("HostConfig.Isolation", !matches!(host.isolation.as_str(), "" | "default")),
    ];
    if let Some((field, _)) = asked.iter().find(|(_, asked)| *asked) {
        return Err(Error::unimplemented(format!("{field} is not supported by Berth yet; leave it out")));
    }
    match host.other.iter().find(|(_, value)| !is_zero(value)) {
        Some((field, _)) => {
            Err(Error::unimplemented(format!("HostConfig.{field} is not known to Berth; leave it out")))
        }
        None => Ok(()),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn configuration(config: &Config) -> Result<()> {
    // What the kernel takes and a line of /etc/hosts can hold.
    let is_name = |c: char| !c.is_whitespace() && !c.is_control();
    for (what, name) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        if name.len() > 64 || !name.chars().all(is_name) {
            return Err(Error::invalid(format!("invalid {what} format: {name}")));
        }
    }
    for entry in &config.env {
        if entry.starts_with('=') || entry.is_empty() || entry.contains('\0') {
            return Err(Error::invalid(format!("invalid environment variable: {entry}")));
        }
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid(format!(
            "the working directory '{}' is invalid, it needs to be an absolute path",
            config.working_dir
        )));
    }
    if !config.stop_signal.is_empty() {
        signal::parse(&config.stop_signal)?;
    }
    user::check(&config.user)?;
    for port in config.exposed_ports.keys() {
        dockerapi::spec::split_port(port)?;
    }
    let words = config.entrypoint.iter().chain(&config.cmd).flatten();
    if words.clone().any(|w| w.contains('\0')) {
        return Err(Error::invalid("the command contains a NUL byte"));
    }
    match words.count() {
        0 => Err(Error::invalid("no command specified")),
        _ => Ok(()),
    }
}

/// Checks a restart policy.
pub(crate) fn restart(policy: &RestartPolicy) -> Result<()> {
    let count = policy.maximum_retry_count;
    match policy.name.as_str() {
        "" | "no" | "always" | "unless-stopped" if count != 0 => Err(Error::invalid(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        )),
        "" | "no" | "always" | "unless-stopped" => Ok(()),
        "on-failure" if count < 0 => {
            Err(Error::invalid("invalid restart policy: maximum retry count cannot be negative"))
        }
        "on-failure" => Ok(()),
        other => Err(Error::invalid(format!(
            "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        ))),
    }
}

fn names(host: &HostConfig, modes: &Modes) -> Result<()> {
    for address in &host.dns {
        if address.parse::<std::net::IpAddr>().is_err() {
            return Err(Error::invalid(format!("invalid IP address: {address}")));
        }
    }
    let odd = |text: &String| text.chars().any(|c| c.is_control() || c == ' ');
    if host.dns_search.iter().chain(&host.dns_options).any(odd) {
        return Err(Error::invalid("a DNS search domain or option contains a space or a control character"));
    }
    for entry in &host.extra_hosts {
        super::files::extra_host(entry, None)?;
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.shm_size < 0 {
        return Err(Error::invalid("SHM size can not be less than 0"));
    }
    let shared = sysctl::Shared {
        network: modes.network == modes::Network::Host,
        ipc: modes.host_ipc,
        uts: modes.host_uts,
    };
    sysctl::plan(&host.sysctls, shared, host.privileged)?;
    Ok(())
}

fn security_options(host: &HostConfig, facts: &Host) -> Result<()> {
    let options = security::parse(&host.security_opt)?;
    let capabilities = super::prepare::capabilities(host, facts)?;
    if let security::Seccomp::Profile(text) = &options.seccomp {
        let arch = plan::seccomp::Arch::native();
        plan::seccomp::read_profile(text, &capabilities, facts.facts.kernel, arch)?;
    }
    let _: Security = options;
    Ok(())
}

/// Limits that this host's cgroups cannot hold: said, not dropped.
fn refused_by_kernel(host: &HostConfig, facts: &Host) -> Vec<String> {
    let cgroups = &facts.facts.cgroups;
    let limits = &host.resources;
    let has = |controller: &str| cgroups.v1_of(controller).is_some() || cgroups.v2_has(controller);
    let asked = [
        ("memory", "memory", limits.memory != 0 || limits.memory_reservation != 0),
        ("cpu", "CPU", limits.nano_cpus != 0 || limits.cpu_quota != 0 || limits.cpu_shares != 0),
        ("cpuset", "cpuset", !limits.cpuset_cpus.is_empty() || !limits.cpuset_mems.is_empty()),
        ("pids", "PIDs", limits.pids_limit.is_some_and(|n| n > 0)),
    ];
    asked
        .iter()
        .filter(|(controller, _, asked)| *asked && !has(controller))
        .map(|(_, name, _)| {
            format!(
                "Your kernel does not support {name} limit capabilities or the cgroup is not mounted. Limitation discarded."
            )
        })
        .collect()
}
