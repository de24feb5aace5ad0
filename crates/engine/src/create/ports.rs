//! Which ports a request wants published, and which address it wants.

use std::net::Ipv4Addr;

use dockerapi::{ContainerCreate, NetworkingConfig};
use net::PortRequest;
use plan::spec::modes::Network;

use crate::{Error, Result};

/// The network part of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) ports: Vec<PortRequest>,
    pub(crate) ip: Option<Ipv4Addr>,
    pub(crate) aliases: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Reads ports and endpoint settings.
pub(crate) fn read(body: &ContainerCreate, network: &Network) -> Result<Wishes> {
    let mut wishes = Wishes { ports: ports(body)?, ..Wishes::default() };
    if let Some(config) = &body.networking_config {
        endpoint(config, network, &mut wishes)?;
    }
    if *network != Network::Bridge && !wishes.ports.is_empty() {
        wishes.ports.clear();
        wishes
            .warnings
            .push(format!("Published ports are discarded when using {} network mode", network.word()));
    }
    Ok(wishes)
}

fn ports(body: &ContainerCreate) -> Result<Vec<PortRequest>> {
    let bindings = &body.host_config.port_bindings;
    let mut ports = Vec::new();
    for (port, hosts) in bindings {
        dockerapi::spec::split_port(port)?;
        for host in hosts.iter().flatten() {
            ports.push(PortRequest::parse(port, &host.host_ip, &host.host_port)?);
        }
    }
    if body.host_config.publish_all_ports {
        let bound = |port: &&String| bindings.get(*port).is_none_or(|b| b.iter().flatten().next().is_none());
        for port in body.config.exposed_ports.keys().filter(bound) {
            ports.push(PortRequest::parse(port, "", "")?);
        }
    }
    Ok(ports)
}

fn endpoint(config: &NetworkingConfig, network: &Network, wishes: &mut Wishes) -> Result<()> {
    let mut settings = config.endpoints_config.iter();
    let Some((name, endpoint)) = settings.next() else { return Ok(()) };
    if settings.next().is_some() {
        return Err(Error::unimplemented(
            "several networks for one container are not supported by Berth yet",
        ));
    }
    if name != "default" && Network::parse(name)? != *network {
        return Err(Error::unimplemented(format!(
            "conflicting options: the container's network is {}, its endpoint is configured for {name}",
            network.word()
        )));
    }
    let Some(endpoint) = endpoint else { return Ok(()) };
    let ipam = endpoint.ipam_config.clone().unwrap_or_default();
    let asked = [
        ("Links", !endpoint.links.is_empty()),
        ("MacAddress", !endpoint.mac_address.is_empty()),
        ("DriverOpts", !endpoint.driver_opts.is_empty()),
        ("GwPriority", endpoint.gw_priority != 0),
        ("IPAMConfig.IPv6Address", !ipam.ipv6_address.is_empty()),
        ("IPAMConfig.LinkLocalIPs", !ipam.link_local_ips.is_empty()),
    ];
    if let Some((field, _)) = asked.iter().find(|(_, asked)| *asked) {
        return Err(Error::unimplemented(format!(
            "EndpointsConfig.{field} is not supported by Berth yet; leave it out"
        )));
    }
    if !ipam.ipv4_address.is_empty() {
        let ip = ipam.ipv4_address.parse();
        wishes.ip =
            Some(ip.map_err(|_| Error::invalid(format!("invalid IPv4 address: {}", ipam.ipv4_address)))?);
    }
    wishes.aliases.clone_from(&endpoint.aliases);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(body: serde_json::Value, network: &Network) -> std::result::Result<Wishes, String> {
        let body: ContainerCreate = serde_json::from_value(body).expect("a request");
        read(&body, network).map_err(|e| e.to_string())
    }

    #[test]
    fn ports_and_addresses() {
        let body = json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "HostConfig": {"PublishAllPorts": true,
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": null}}});
        let wishes = read_json(body.clone(), &Network::Bridge).expect("wishes");
        let list: Vec<_> = wishes.ports.iter().map(|p| (p.host_port, p.container_port)).collect();
        assert_eq!(list, [(8080, 80), (0, 53)]);
        let host = read_json(body, &Network::Host).expect("wishes");
        assert!(host.ports.is_empty() && host.warnings.len() == 1);
        let endpoint = json!({"NetworkingConfig": {"EndpointsConfig":
            {"bridge": {"IPAMConfig": {"IPv4Address": "172.30.0.9"}}}}});
        assert_eq!(read_json(endpoint, &Network::Bridge).expect("ip").ip, Some(Ipv4Addr::new(172, 30, 0, 9)));
        let two = json!({"NetworkingConfig": {"EndpointsConfig": {"bridge": null, "x": null}}});
        assert!(read_json(two, &Network::Bridge).is_err());
        let bad = json!({"HostConfig": {"PortBindings": {"x/tcp": [{}]}}});
        assert!(read_json(bad, &Network::Bridge).is_err());
    }
}
