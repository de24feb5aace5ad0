//! The mode words of a request: network, IPC, process ids, host name, cgroup, users.

use dockerapi::{Config, HostConfig};

use crate::Error;

/// Where the container's network is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// Berth's bridge.
    #[default]
    Bridge,
    /// A namespace with loopback only.
    None,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

impl Network {
    /// Reads `HostConfig.NetworkMode`.
    ///
    /// # Errors
    /// A network that Berth does not have.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "" | "default" | "bridge" => Ok(Self::Bridge),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ => match text.strip_prefix("container:") {
                Some("") => Err(Error::invalid("invalid container format container:<name|id>")),
                Some(who) => Ok(Self::Container(who.to_owned())),
                None => Err(Error::new(types::Kind::NotFound, format!("network {text} not found"))),
            },
        }
    }

    /// Docker's word.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Bridge => "bridge".to_owned(),
            Self::None => "none".to_owned(),
            Self::Host => "host".to_owned(),
            Self::Container(who) => format!("container:{who}"),
        }
    }
}

/// The other modes, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modes {
    /// Network.
    pub network: Network,
    /// The host's IPC.
    pub host_ipc: bool,
    /// No `/dev/shm` of its own.
    pub no_shm: bool,
    /// The host's process ids.
    pub host_pid: bool,
    /// Another container's process ids.
    pub pid_of: Option<String>,
    /// The host's host name.
    pub host_uts: bool,
    /// The host's cgroup root.
    pub host_cgroup: bool,
    /// A user namespace of its own.
    pub own_users: bool,
}

/// Reads the modes.
///
/// # Errors
/// A word that Docker or Berth does not have, or modes that contradict each other.
pub fn read(host: &HostConfig) -> Result<Modes, Error> {
    let mut modes = Modes { network: Network::parse(&host.network_mode)?, ..Modes::default() };
    match host.ipc_mode.as_str() {
        // Shareable only says that others may join, which none can yet.
        "" | "private" | "shareable" => {}
        "none" => modes.no_shm = true,
        "host" => modes.host_ipc = true,
        other if other.starts_with("container:") => return Err(sharing("IpcMode container:…")),
        other => return Err(Error::invalid(format!("Invalid IPC mode: {other}"))),
    }
    match host.pid_mode.as_str() {
        "" | "private" => {}
        "host" => modes.host_pid = true,
        other => match other.strip_prefix("container:").filter(|who| !who.is_empty()) {
            Some(who) => modes.pid_of = Some(who.to_owned()),
            None => return Err(Error::invalid(format!("Invalid PID mode: {other}"))),
        },
    }
    modes.host_uts = word("UTS", &host.uts_mode)?;
    modes.host_cgroup = word("cgroup namespace", &host.cgroupns_mode)?;
    modes.own_users = match host.userns_mode.as_str() {
        "" | "host" => false,
        "auto" | "private" => true,
        other => return Err(Error::invalid(format!("invalid user namespace mode: {other}"))),
    };
    alone(host, &modes)?;
    Ok(modes)
}

fn word(what: &str, text: &str) -> Result<bool, Error> {
    match text {
        "" | "private" => Ok(false),
        "host" => Ok(true),
        other => Err(Error::invalid(format!("Invalid {what} mode: {other}"))),
    }
}

fn sharing(what: &str) -> Error {
    Error::unimplemented(format!("{what} is not supported by Berth yet: containers cannot share /dev/shm"))
}

/// Refuses options that another option leaves without meaning. To be asked of what the person wrote, before the image's
/// configuration is merged into it: an image may expose ports.
///
/// # Errors
/// Docker's sentences.
pub fn contradictions(config: &Config, host: &HostConfig) -> Result<(), Error> {
    let conflict = |options: &str| Err(Error::invalid(format!("conflicting options: {options}")));
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return conflict("hostname and the UTS mode");
    }
    if !host.network_mode.starts_with("container:") {
        return Ok(());
    }
    let clash = [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (
            !host.links.is_empty(),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (!host.dns.is_empty(), "dns and the network mode"),
        (!host.extra_hosts.is_empty(), "custom host-to-IP mapping and the network mode"),
        (
            !host.port_bindings.is_empty() || host.publish_all_ports,
            "port publishing and the container type network mode",
        ),
        (!config.exposed_ports.is_empty(), "port exposing and the container type network mode"),
    ];
    clash.iter().find(|(asked, _)| *asked).map_or(Ok(()), |(_, options)| conflict(options))
}

/// A user namespace of its own goes with namespaces of its own.
fn alone(host: &HostConfig, modes: &Modes) -> Result<(), Error> {
    let no_network = matches!(modes.network, Network::Container(_) | Network::Host);
    let shares = modes.host_pid || modes.host_ipc || no_network || modes.pid_of.is_some();
    if modes.own_users && (host.privileged || shares) {
        return Err(Error::invalid(
            "a user namespace of its own cannot be combined with privileged mode or with namespaces of the host or of another \
             container",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let host = HostConfig::default;
        assert_eq!(read(&host()), Ok(Modes::default()));
        let all = HostConfig {
            network_mode: "container:x".to_owned(),
            ipc_mode: "host".to_owned(),
            pid_mode: "container:y".to_owned(),
            uts_mode: String::new(),
            cgroupns_mode: "host".to_owned(),
            ..host()
        };
        let expected = Modes {
            network: Network::Container("x".to_owned()),
            host_ipc: true,
            pid_of: Some("y".to_owned()),
            host_cgroup: true,
            ..Modes::default()
        };
        assert_eq!(read(&all), Ok(expected));
        for bad in [
            HostConfig { network_mode: "mynet".to_owned(), ..host() },
            HostConfig { network_mode: "container:".to_owned(), ..host() },
            HostConfig { ipc_mode: "x".to_owned(), ..host() },
            HostConfig { ipc_mode: "container:x".to_owned(), ..host() },
            HostConfig { pid_mode: "container:".to_owned(), ..host() },
            HostConfig { uts_mode: "x".to_owned(), ..host() },
            HostConfig { userns_mode: "auto".to_owned(), privileged: true, ..host() },
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn options_without_meaning() {
        let ask = |config: &str, host: &str| {
            let config = serde_json::from_str(config).expect("a configuration");
            let host = serde_json::from_str(host).expect("a host configuration");
            contradictions(&config, &host).map_err(|e| e.to_string())
        };
        for (config, host, expected) in [
            ("{}", r#"{"NetworkMode":"container:x"}"#, ""),
            (r#"{"Hostname":"h"}"#, r#"{"NetworkMode":"host"}"#, ""),
            (r#"{"Hostname":"h"}"#, r#"{"UTSMode":"host"}"#, "hostname and the UTS mode"),
            (r#"{"Hostname":"h"}"#, r#"{"NetworkMode":"container:x"}"#, "hostname and the network mode"),
            ("{}", r#"{"NetworkMode":"container:x","Dns":["1.1.1.1"]}"#, "dns and the network mode"),
            (
                "{}",
                r#"{"NetworkMode":"container:x","ExtraHosts":["a:1.1.1.1"]}"#,
                "custom host-to-IP mapping and the network mode",
            ),
            (
                "{}",
                r#"{"NetworkMode":"container:x","PublishAllPorts":true}"#,
                "port publishing and the container type network mode",
            ),
            (
                r#"{"ExposedPorts":{"80/tcp":{}}}"#,
                r#"{"NetworkMode":"container:x"}"#,
                "port exposing and the container type network mode",
            ),
        ] {
            let sentence =
                if expected.is_empty() { Ok(()) } else { Err(format!("conflicting options: {expected}")) };
            assert_eq!(ask(config, host), sentence, "{config} {host}");
        }
    }
}
