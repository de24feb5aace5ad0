//! The mode words of a request: network, IPC, process ids, host name, cgroup, users.

use dockerapi::HostConfig;

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
    contradictions(host, &modes)?;
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

fn contradictions(host: &HostConfig, modes: &Modes) -> Result<(), Error> {
    let no_network = matches!(modes.network, Network::Container(_) | Network::Host);
    if matches!(modes.network, Network::Container(_)) {
        let clash = [
            ("hostname", modes.host_uts),
            ("port publishing", !host.port_bindings.is_empty() || host.publish_all_ports),
            ("dns", !host.dns.is_empty()),
            ("custom host-to-IP mapping", !host.extra_hosts.is_empty()),
            ("links", !host.links.is_empty()),
        ];
        if let Some((what, _)) = clash.iter().find(|(_, asked)| *asked) {
            return Err(Error::invalid(format!(
                "conflicting options: {what} and the container type network mode"
            )));
        }
    }
    if modes.own_users
        && (host.privileged || modes.host_pid || modes.host_ipc || no_network || modes.pid_of.is_some())
    {
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
            HostConfig { network_mode: "container:x".to_owned(), publish_all_ports: true, ..host() },
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }
}
