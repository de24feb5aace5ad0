//! `berth daemon`: its flags, as plain data for the program that runs it.

use crate::flags::{Flag, Matches, bytes, check, many, number, one, switch};

/// Where a daemon keeps what does not outlive the host's uptime, unless told otherwise.
pub(crate) const DEFAULT_EXEC_ROOT: &str = "/run/berth";
/// The flag that makes the daemon leave its parent's session.
pub(crate) const OWN_SESSION: &str = "--own-session";
pub(crate) const DEFAULT_DATA_ROOT: &str = "/var/lib/berth";

/// The daemon's flags; dockerd's meaning where dockerd has them.
pub(crate) const FLAGS: &[Flag] = &[
    many("host", "Socket to listen on (unix:///path or tcp://address:port)").short('H'),
    one("data-root", "Directory for images, containers and volumes (default /var/lib/berth)"),
    one("exec-root", "Directory for run state (default /run/berth)"),
    one("group", "Group that owns the unix socket (default docker)").short('G'),
    one("cgroup-parent", "Cgroup to put containers under (default /berth)"),
    one("bridge", "Name of the bridge (default berth0), or none").short('b'),
    one("bip", "Address of the bridge with its prefix length"),
    one("runtime", "Path of berth-runtime, when it is not beside this program"),
    one("pidfile", "File for the daemon's pid (default EXEC-ROOT/daemon.pid)").short('p'),
    one("config-file", "File that says what flags do not (default /etc/berth/daemon.json)"),
    many(
        "certs-dir",
        "Directory of certificates and hosts.toml per registry (default /etc/berth/certs.d, /etc/docker/certs.d)",
    ),
    many(
        "insecure-registry",
        "Registry that may speak plain HTTP or show any certificate (HOST[:PORT] or a network)",
    ),
    many("registry-mirror", "URL of a mirror of docker.io"),
    many("token-host", "Host that may be the token service of registries in other domains"),
    one("http-proxy", "URL of the proxy for http (default $HTTP_PROXY)"),
    one("https-proxy", "URL of the proxy for https (default $HTTPS_PROXY)"),
    one("no-proxy", "Hosts and networks to reach directly, separated by commas (default $NO_PROXY)"),
    number("max-concurrent-downloads", "Layers to download at a time (default 3)").checked(check::count),
    number("max-concurrent-uploads", "Layers to upload at a time (default 5)").checked(check::count),
    number("max-download-attempts", "Times to send a request (default 5)").checked(check::count),
    bytes(
        "image-budget",
        "Room for images: those used longest ago go when there is less (default: no limit)",
    ),
    switch("temporary", "When the daemon ends, remove its containers and all else it made"),
    switch("debug", "Log more").short('D'),
    one("log-level", "Least severe message to log: debug, info, warn or error").short('l'),
    switch("own-session", "Leave the session of whoever started it").hidden(),
];

/// What the flags of the daemon say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonOptions {
    /// Addresses to listen on; empty means the default socket.
    pub hosts: Vec<String>,
    /// Directory for what lasts.
    pub data_root: String,
    /// Directory for run state.
    pub exec_root: String,
    /// Group of the unix socket, when it was named.
    pub group: Option<String>,
    /// Cgroup over those of the containers, when it was named.
    pub cgroup_parent: Option<String>,
    /// Name of the bridge, when it was named.
    pub bridge: Option<String>,
    /// The bridge's address and prefix length, when they were named.
    pub bridge_address: Option<String>,
    /// Path of the runtime, when it was named.
    pub runtime: Option<String>,
    /// File for the daemon's pid, when it was named.
    pub pidfile: Option<String>,
    /// At its end the daemon takes along all that it made.
    pub temporary: bool,
    /// Bytes that images may take, when there is a limit.
    pub image_budget_bytes: Option<u64>,
    /// Least severe message to log.
    pub log_level: String,
    /// File that says what flags do not, when it was named.
    pub config_file: Option<String>,
    /// How registries are reached.
    pub registries: RegistryOptions,
}

/// What the flags say of registries. `None` and empty lists: nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Directories of certificates and `hosts.toml`.
    pub certs_dirs: Vec<String>,
    /// Registries that may speak plain HTTP or show any certificate.
    pub insecure: Vec<String>,
    /// URLs of mirrors of docker.io.
    pub mirrors: Vec<String>,
    /// Hosts that may be token services of registries in other domains.
    pub token_hosts: Vec<String>,
    /// URL of the proxy for http.
    pub http_proxy: Option<String>,
    /// URL of the proxy for https.
    pub https_proxy: Option<String>,
    /// Hosts and networks that are reached directly.
    pub no_proxy: Option<String>,
    /// Layers to download at a time.
    pub downloads: Option<u32>,
    /// Layers to upload at a time.
    pub uploads: Option<u32>,
    /// Times to send a request.
    pub attempts: Option<u32>,
}

/// Reads the flags; `host` is what `berth --host … daemon` gave.
pub(crate) fn options(flags: &Matches, host: &[String]) -> DaemonOptions {
    let text = |name: &str| flags.given(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let level = if flags.is("debug") { "debug" } else { "info" };
    DaemonOptions {
        hosts: flags.list("host").iter().chain(host).cloned().collect(),
        data_root: text("data-root").unwrap_or_else(|| DEFAULT_DATA_ROOT.to_owned()),
        exec_root: text("exec-root").unwrap_or_else(|| DEFAULT_EXEC_ROOT.to_owned()),
        group: text("group"),
        cgroup_parent: text("cgroup-parent"),
        bridge: text("bridge"),
        bridge_address: text("bip"),
        runtime: text("runtime"),
        pidfile: text("pidfile"),
        temporary: flags.is("temporary"),
        image_budget_bytes: flags.given("image-budget").and_then(|text| types::parse_bytes(text).ok()),
        log_level: text("log-level").unwrap_or_else(|| level.to_owned()),
        config_file: text("config-file"),
        registries: registries(flags),
    }
}

fn registries(flags: &Matches) -> RegistryOptions {
    let text = |name: &str| flags.given(name).map(str::to_owned);
    let count = |name: &str| flags.given(name).and_then(|text| text.parse().ok());
    RegistryOptions {
        certs_dirs: flags.list("certs-dir").to_vec(),
        insecure: flags.list("insecure-registry").to_vec(),
        mirrors: flags.list("registry-mirror").to_vec(),
        token_hosts: flags.list("token-host").to_vec(),
        http_proxy: text("http-proxy"),
        https_proxy: text("https-proxy"),
        no_proxy: text("no-proxy"),
        downloads: count("max-concurrent-downloads"),
        uploads: count("max-concurrent-uploads"),
        attempts: count("max-download-attempts"),
    }
}
