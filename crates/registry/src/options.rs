//! What a client is told about the registries it may meet.

use std::path::PathBuf;
use std::time::Duration;

use crate::http::Proxies;

/// How registries are reached. What is not said here is looked up in the certs directories each time.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directories with one directory per registry (`<host>` or `<host>:<port>`) that holds `hosts.toml`, `*.crt`,
    /// `*.cert` and `*.key`. The first that knows the registry counts.
    pub certs_dirs: Vec<PathBuf>,
    /// Registries whose certificates are not checked, and that may speak plain HTTP: hosts, `host:port`, or networks.
    /// Loopback addresses always are.
    pub insecure: Vec<String>,
    /// URLs of mirrors of docker.io, tried in this order before docker.io itself.
    pub mirrors: Vec<String>,
    /// Hosts that any registry may name as its token service, besides those of its own domain.
    pub token_hosts: Vec<String>,
    /// The proxies between here and there.
    pub proxies: Proxies,
    /// What we call ourselves.
    pub user_agent: String,
    /// A connection or a TLS handshake may take so long.
    pub connect_timeout: Duration,
    /// An exchange in which nothing moves for so long is over. There is no limit on the whole.
    pub idle_timeout: Duration,
    /// A request is sent at most so many times.
    pub attempts: u32,
    /// Uploads go in pieces of this many bytes; 0 sends a blob in one piece unless the registry wants smaller ones.
    pub upload_chunk_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            certs_dirs: ["/etc/berth/certs.d", "/etc/docker/certs.d"].map(PathBuf::from).to_vec(),
            insecure: Vec::new(),
            mirrors: Vec::new(),
            token_hosts: Vec::new(),
            proxies: Proxies::default(),
            user_agent: concat!("berth/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            attempts: 5,
            upload_chunk_bytes: 0,
        }
    }
}
