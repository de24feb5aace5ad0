//! What a daemon says about its bridge.

use ipnet::Ipv4Net;

/// The bridge, the table and the pool of one daemon. Several daemons run side by side when bridge and table differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The bridge's link name.
    pub bridge: String,
    /// The subnet, with the bridge's own address or, as its network's, the first one; nothing means the one that the bridge has
    /// already, or a private one that nothing here uses.
    pub subnet: Option<Ipv4Net>,
    /// The name of the packet filter's table.
    pub table: String,
    /// How many endpoints are kept ready. Each costs three network devices and one descriptor.
    pub pool_size: usize,
    /// The largest packet, in bytes; nothing means that of the link the default route goes by.
    pub mtu: Option<u32>,
    /// Let the kernel keep others from changing the table, where it can (Linux 6.9). Without that, the table is put back
    /// when others remove it.
    pub sole_owner: bool,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            bridge: "berth0".to_owned(),
            subnet: None,
            table: "berth".to_owned(),
            pool_size: 16,
            mtu: None,
            sole_owner: true,
        }
    }
}
