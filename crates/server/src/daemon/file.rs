//! `daemon.json`: what a daemon is told in a file, with dockerd's keys. What is said twice, or not known, is an error.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use types::Kind;

use super::options::DaemonOptions;
use crate::error::{Error, Result};

/// The file that is read when none is named and it is there.
const DEFAULT: &str = "/etc/berth/daemon.json";

/// The keys that are known.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Document {
    hosts: Vec<String>,
    group: Option<String>,
    cgroup_parent: Option<String>,
    bridge: Option<String>,
    bip: Option<String>,
    pidfile: Option<String>,
    image_budget: Option<String>,
    insecure_registries: Vec<String>,
    registry_mirrors: Vec<String>,
    token_hosts: Vec<String>,
    proxies: Proxies,
    max_concurrent_downloads: Option<u32>,
    max_concurrent_uploads: Option<u32>,
    max_download_attempts: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
struct Proxies {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Option<String>,
}

/// Adds what the file says to what the flags say.
pub(super) fn merge(options: &mut DaemonOptions) -> Result<()> {
    let (path, named) = match &options.config_file {
        Some(path) => (path.clone(), true),
        None => (DEFAULT.into(), false),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => apply(options, &text).map_err(|error| {
            Error::new(
                error.kind(),
                format!("the daemon cannot be configured with {}: {error}", path.display()),
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(()),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Internal };
    Error::new(kind, format!("{} cannot be read: {error}", path.display()))
}

fn apply(options: &mut DaemonOptions, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let all: Map<String, Value> = serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?;
    if let Some(unknown) = all.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Error::invalid(format!("{unknown} is no key that Berth knows")));
    }
    let document: Document =
        serde_json::from_value(Value::Object(all)).map_err(|e| Error::invalid(e.to_string()))?;
    fill(options, document)
}

const KEYS: &[&str] = &[
    "bip",
    "bridge",
    "cgroup-parent",
    "group",
    "hosts",
    "image-budget",
    "insecure-registries",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "pidfile",
    "proxies",
    "registry-mirrors",
    "token-hosts",
];

fn fill(options: &mut DaemonOptions, file: Document) -> Result<()> {
    list("hosts", &mut options.hosts, file.hosts)?;
    one("group", &mut options.group, file.group)?;
    one("cgroup-parent", &mut options.cgroup_parent, file.cgroup_parent)?;
    one("bridge", &mut options.bridge, file.bridge)?;
    one("bip", &mut options.bridge_address, file.bip)?;
    one("pidfile", &mut options.pidfile, file.pidfile.map(Into::into))?;
    let budget = file.image_budget.map(|text| types::parse_bytes(&text)).transpose();
    one("image-budget", &mut options.image_budget_bytes, budget.map_err(|e| Error::invalid(e.to_string()))?)?;
    let registries = &mut options.registries;
    list("insecure-registries", &mut registries.insecure, file.insecure_registries)?;
    list("registry-mirrors", &mut registries.mirrors, file.registry_mirrors)?;
    list("token-hosts", &mut registries.token_hosts, file.token_hosts)?;
    one("http-proxy", &mut registries.http_proxy, file.proxies.http_proxy)?;
    one("https-proxy", &mut registries.https_proxy, file.proxies.https_proxy)?;
    one("no-proxy", &mut registries.no_proxy, file.proxies.no_proxy)?;
    one("max-concurrent-downloads", &mut registries.downloads, file.max_concurrent_downloads)?;
    one("max-concurrent-uploads", &mut registries.uploads, file.max_concurrent_uploads)?;
    one("max-download-attempts", &mut registries.attempts, file.max_download_attempts)
}

fn one<T>(key: &str, flag: &mut Option<T>, file: Option<T>) -> Result<()> {
    match (flag.is_some(), file) {
        (true, Some(_)) => Err(twice(key)),
        (false, file @ Some(_)) => {
            *flag = file;
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

fn list(key: &str, flag: &mut Vec<String>, file: Vec<String>) -> Result<()> {
    if !flag.is_empty() && !file.is_empty() {
        return Err(twice(key));
    }
    flag.extend(file);
    Ok(())
}

fn twice(key: &str) -> Error {
    Error::invalid(format!("{key} is given by a flag, too: say it once"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &mut DaemonOptions, text: &str) -> String {
        apply(options, text).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn adds_to_the_flags() {
        let mut options = DaemonOptions::default();
        let text = r#"{"insecure-registries": ["r.test:5000"], "registry-mirrors": ["https://m.test"],
            "proxies": {"http-proxy": "http://p.test:1", "no-proxy": "r.test"}, "max-concurrent-downloads": 6, "bip": "10.1.1.1/24"}"#;
        assert_eq!(read(&mut options, text), "");
        let registries = &options.registries;
        assert_eq!(
            (registries.insecure.len(), registries.mirrors.len(), registries.downloads),
            (1, 1, Some(6))
        );
        assert_eq!(registries.http_proxy.as_deref(), Some("http://p.test:1"));
        assert_eq!(options.bridge_address.as_deref(), Some("10.1.1.1/24"));
    }

    #[test]
    fn what_is_said_twice_or_wrong_is_told() {
        let mut options = DaemonOptions { group: Some("docker".into()), ..DaemonOptions::default() };
        options.registries.insecure.push("a.test".into());
        assert!(read(&mut options, r#"{"group": "x"}"#).starts_with("group is given by a flag, too"));
        assert!(
            read(&mut options, r#"{"insecure-registries": ["x"]}"#)
                .starts_with("insecure-registries is given")
        );
        assert_eq!(read(&mut options, r#"{"frobnicate": 1}"#), "frobnicate is no key that Berth knows");
        assert!(read(&mut options, r#"{"max-concurrent-uploads": "x"}"#).contains("invalid type"));
        assert!(!read(&mut options, "[]").is_empty() && !read(&mut options, "{").is_empty());
        assert_eq!(read(&mut options, " "), "");
    }
}
