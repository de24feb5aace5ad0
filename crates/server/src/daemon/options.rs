//! What a daemon is told about itself, and what of it cannot be.

use std::path::PathBuf;

use engine::{BridgeConfig, Options};
use types::Kind;

use super::registries::RegistryOptions;
use crate::error::{Error, Result};

/// What a daemon is told. `cli` reads it from the flags, which have dockerd's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonOptions {
    /// `-H`: where to listen; empty for the default socket.
    pub hosts: Vec<String>,
    /// `--data-root`: what outlives a boot.
    pub data_root: PathBuf,
    /// `--exec-root`: what does not.
    pub exec_root: PathBuf,
    /// `--group`: who else may use a Unix socket; `docker`, when it exists, unless named.
    pub group: Option<String>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `--bridge`: the default bridge's name; `none`: there is none. One that is not the default also names the packet filter's table.
    pub bridge: Option<String>,
    /// `--bip`: the bridge's own address with its prefix length.
    pub bridge_address: Option<String>,
    /// `--runtime`: the small program; beside this program or in the path unless named.
    pub runtime: Option<PathBuf>,
    /// `--pidfile`; in the exec root unless named.
    pub pidfile: Option<PathBuf>,
    /// `--log-level`: `debug`, `info`, `warn`, `error` or `fatal`.
    pub log_level: String,
    /// `--temporary`: a daemon that ends in good order takes its containers and all else it made along.
    pub temporary: bool,
    /// `--image-budget`: bytes that images may take; `None`: as many as there is room for.
    pub image_budget_bytes: Option<u64>,
    /// `--config-file`: what flags do not say; `/etc/berth/daemon.json`, when it is there, unless named.
    pub config_file: Option<PathBuf>,
    /// How registries are reached.
    pub registries: RegistryOptions,
}

impl Default for DaemonOptions {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            data_root: "/var/lib/berth".into(),
            exec_root: "/run/berth".into(),
            group: None,
            cgroup_parent: None,
            bridge: None,
            bridge_address: None,
            runtime: None,
            pidfile: None,
            log_level: "info".to_owned(),
            temporary: false,
            image_budget_bytes: None,
            config_file: None,
            registries: RegistryOptions::default(),
        }
    }
}

impl DaemonOptions {
    /// Refuses what cannot be.
    pub(super) fn check(&self) -> Result<()> {
        if !matches!(self.log_level.as_str(), "debug" | "info" | "warn" | "error" | "fatal") {
            return Err(Error::invalid(format!(
                "invalid log level {:?}: want debug, info, warn, error or fatal",
                self.log_level
            )));
        }
        for (flag, path) in [("--data-root", &self.data_root), ("--exec-root", &self.exec_root)] {
            if !path.is_absolute() {
                return Err(Error::invalid(format!(
                    "{flag} must be an absolute path, not {}",
                    path.display()
                )));
            }
        }
        if self.data_root == self.exec_root {
            return Err(Error::invalid("--data-root and --exec-root must not be the same directory"));
        }
        Ok(())
    }

    /// Where the pid goes.
    pub(super) fn pidfile(&self) -> PathBuf {
        self.pidfile.clone().unwrap_or_else(|| self.exec_root.join("daemon.pid"))
    }

    /// The engine's part.
    pub(super) fn engine(&self) -> Result<Options> {
        let mut engine = Options {
            data_root: self.data_root.clone(),
            exec_root: self.exec_root.clone(),
            image_budget_bytes: self.image_budget_bytes,
            ..Options::default()
        };
        if let Some(parent) = &self.cgroup_parent {
            engine.cgroup_parent = format!("/{}", parent.trim_matches('/'));
        }
        engine.bridge = self.bridge()?;
        engine.registries = self.registries.engine(&variable)?;
        engine.runtime = self.runtime.clone().map_or_else(find_runtime, Ok)?;
        Ok(engine)
    }
}

impl DaemonOptions {
    fn bridge(&self) -> Result<Option<BridgeConfig>> {
        let mut config = BridgeConfig::default();
        match self.bridge.as_deref() {
            Some("none") if self.bridge_address.is_some() => {
                return Err(Error::invalid(
                    "--bip gives an address to a bridge that --bridge none leaves out",
                ));
            }
            Some("none") => return Ok(None),
            Some(bridge) => {
                check_link(bridge)?;
                bridge.clone_into(&mut config.bridge);
                bridge.clone_into(&mut config.table);
            }
            None => {}
        }
        if let Some(address) = &self.bridge_address {
            config.subnet = address.parse().ok();
            let is_hosts = config.subnet.is_some_and(|net| {
                ![net.network(), net.broadcast()].contains(&net.addr()) && !net.addr().is_multicast()
            });
            if !is_hosts {
                let want = "want the bridge's own IPv4 address with its prefix length, as 172.20.0.1/16";
                return Err(Error::invalid(format!("invalid --bip {address:?}: {want}")));
            }
        }
        Ok(Some(config))
    }
}

/// What the environment says, if it says anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// A link's name: 1 to 15 characters that are also fit for the name of a table.
fn check_link(name: &str) -> Result<()> {
    let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if !name.is_empty() && name.len() <= 15 && name.bytes().all(fit) {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid --bridge {name:?}: want at most 15 of a-z A-Z 0-9 _ . -")))
}

/// `berth-runtime` beside this program, or in the path.
fn find_runtime() -> Result<PathBuf> {
    const NAME: &str = "berth-runtime";
    let here = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|dir| dir.join(NAME)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = here
        .into_iter()
        .chain(std::env::split_paths(&path).map(|dir| dir.join(NAME)))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!(
                "{NAME} is neither beside this program nor in PATH: install it, or name it with --runtime"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be() {
        let check = |change: fn(&mut DaemonOptions)| {
            let mut options = DaemonOptions::default();
            change(&mut options);
            options.check()
        };
        assert!(check(|_| {}).is_ok());
        assert!(check(|o| "loud".clone_into(&mut o.log_level)).is_err());
        assert!(check(|o| o.data_root = "d".into()).is_err());
        assert!(check(|o| o.exec_root.clone_from(&o.data_root)).is_err());
        assert!(check_link("bt1x2").is_ok());
        assert!(
            check_link("").is_err() && check_link("a/b").is_err() && check_link("sixteen-letters-").is_err()
        );
    }

    #[test]
    fn the_bridge_can_be_left_out() {
        let bridge = |name: Option<&str>, address: Option<&str>| {
            let options = DaemonOptions {
                bridge: name.map(str::to_owned),
                bridge_address: address.map(str::to_owned),
                ..Default::default()
            };
            options.bridge().map(|bridge| bridge.map(|bridge| (bridge.bridge, bridge.table)))
        };
        let named = |bridge: &str, table: &str| Some((bridge.to_owned(), table.to_owned()));
        assert_eq!(bridge(None, None).unwrap(), named("berth0", "berth"));
        assert_eq!(bridge(Some("b1"), None).unwrap(), named("b1", "b1"));
        assert_eq!(bridge(Some("none"), None).unwrap(), None);
        assert!(bridge(Some("none"), Some("10.79.1.1/24")).is_err());
    }

    #[test]
    fn the_bridge_has_a_hosts_address() {
        let refused = |address: &str| {
            let options = DaemonOptions { bridge_address: Some(address.to_owned()), ..Default::default() };
            options.engine().is_err_and(|e| e.to_string().contains("invalid --bip"))
        };
        assert!(!refused("10.79.1.1/24") && !refused("10.79.1.5/24"));
        for bad in ["10.79.1.0/24", "10.79.1.255/24", "224.0.0.1/24", "10.79.1.1", "x", "fd00::1/64"] {
            assert!(refused(bad), "{bad}");
        }
    }
}
