//! The networks there are: bridge, unless it is switched off, host, none.

use std::collections::BTreeMap;

use dockerapi::{EndpointResource, Filters, Ipam, IpamConfig, Network};
use types::Kind;

use crate::clock::rfc3339;
use crate::engine::{Engine, Inner};
use crate::{Error, Result};

const NAMES: [&str; 3] = ["bridge", "host", "none"];

/// A network's id. Networks are fixed, so their ids are too: 64 hex digits made of the name.
pub(crate) fn id_of(name: &str) -> String {
    let mut id: String = name.bytes().map(|b| format!("{b:02x}")).collect();
    id.truncate(64);
    format!("{id:0<64}")
}

/// The driver of a network.
pub(crate) fn driver_of(name: &str) -> &str {
    if name == "none" { "null" } else { name }
}

impl Engine {
    /// Lists networks.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn network_list(&self, filters: Filters) -> Result<Vec<Network>> {
        filters.only(&["dangling", "driver", "id", "label", "label!", "name", "scope", "type"])?;
        let dangling = filters.truth("dangling")?;
        let fits = |n: &Network| {
            filters.exact("driver", &n.driver)
                && filters.prefix("id", &n.id)
                && filters.labels(&n.labels)
                && filters.pattern("name", &n.name)
                && filters.exact("scope", &n.scope)
                && filters.exact("type", "builtin")
                && dangling != Some(true)
        };
        Ok(self.0.networks().map(|name| self.0.network(name)).filter(fits).collect())
    }

    /// One network, by name or the start of its id.
    ///
    /// # Errors
    /// When there is no such network.
    pub async fn network_inspect(&self, who: &str) -> Result<Network> {
        let by_name = self.0.networks().find(|name| *name == who);
        let by_id = |name: &&str| !who.is_empty() && id_of(name).starts_with(who);
        let found = by_name.or_else(|| self.0.networks().find(by_id));
        match found {
            Some(name) => Ok(self.0.network(name)),
            None => Err(Error::new(Kind::NotFound, format!("network {who} not found"))),
        }
    }
}

impl Inner {
    fn networks(&self) -> impl Iterator<Item = &'static str> {
        let has_bridge = self.network.is_some();
        NAMES.into_iter().filter(move |name| has_bridge || *name != "bridge")
    }

    fn network(&self, name: &str) -> Network {
        let mut network = Network {
            name: name.to_owned(),
            id: id_of(name),
            created: rfc3339(self.opened_ns),
            scope: "local".to_owned(),
            driver: driver_of(name).to_owned(),
            enable_ipv4: true,
            ipam: Ipam { driver: "default".to_owned(), ..Ipam::default() },
            containers: self.members(name),
            ..Network::default()
        };
        if let Some(info) = self.network.as_ref().filter(|_| name == "bridge").map(net::Network::info) {
            network.ipam.config = vec![IpamConfig {
                subnet: info.subnet.to_string(),
                gateway: info.gateway.to_string(),
                ..IpamConfig::default()
            }];
            network.options = BTreeMap::from([
                ("com.docker.network.bridge.default_bridge", "true"),
                ("com.docker.network.bridge.enable_icc", "true"),
                ("com.docker.network.bridge.enable_ip_masquerade", "true"),
                ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
                ("com.docker.network.bridge.name", &info.bridge),
                ("com.docker.network.driver.mtu", "1500"),
            ])
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        }
        network
    }

    fn members(&self, name: &str) -> BTreeMap<String, EndpointResource> {
        let all = self.table.all();
        let on = all.iter().filter(|r| r.host.network_mode == name && r.state.is_running());
        on.map(|r| {
            let place = r.network.as_ref().map(|n| &n.endpoint);
            let resource = EndpointResource {
                name: r.name.clone(),
                endpoint_id: r.id.clone(),
                mac_address: place.map(|p| p.mac.to_string()).unwrap_or_default(),
                ipv4_address: place.map(|p| format!("{}/{}", p.ip, p.prefix)).unwrap_or_default(),
                ..EndpointResource::default()
            };
            (r.id.clone(), resource)
        })
        .collect()
    }
}
