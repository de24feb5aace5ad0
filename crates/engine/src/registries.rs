//! How registries are reached, and what `info` tells of it.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// What a daemon is told about registries.
#[derive(Clone, Debug)]
pub struct Registries {
    /// Directories with one directory per registry (`host` or `host:port`) that holds `hosts.toml` and certificates. The first that
    /// knows a registry counts.
    pub certs_dirs: Vec<PathBuf>,
    /// Registries that may speak plain HTTP or show any certificate: hosts with or without port, or networks.
    pub insecure: Vec<String>,
    /// URLs of mirrors of docker.io.
    pub mirrors: Vec<String>,
    /// Hosts that may be token services of registries in other domains.
    pub token_hosts: Vec<String>,
    /// URL of the proxy for http; empty for none.
    pub http_proxy: String,
    /// URL of the proxy for https; empty for none.
    pub https_proxy: String,
    /// Hosts and networks that are reached without a proxy, separated by commas.
    pub no_proxy: String,
    /// So many layers are downloaded at a time.
    pub downloads: u32,
    /// So many layers are uploaded at a time.
    pub uploads: u32,
    /// A request is sent at most so many times.
    pub attempts: u32,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            certs_dirs: ["/etc/berth/certs.d", "/etc/docker/certs.d"].map(PathBuf::from).to_vec(),
            insecure: Vec::new(),
            mirrors: Vec::new(),
            token_hosts: Vec::new(),
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            downloads: 3,
            uploads: 5,
            attempts: 5,
        }
    }
}

impl Registries {
    /// The client that goes by all this.
    pub(crate) fn client(&self) -> crate::Result<registry::Client> {
        let url = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(registry::Client::new(registry::Options {
            certs_dirs: self.certs_dirs.clone(),
            insecure: self.insecure.clone(),
            mirrors: self.mirrors.clone(),
            token_hosts: self.token_hosts.clone(),
            proxies: registry::Proxies {
                http: url(&self.http_proxy),
                https: url(&self.https_proxy),
                no_proxy: self.no_proxy.clone(),
            },
            attempts: self.attempts.max(1),
            ..registry::Options::default()
        })?)
    }

    /// `RegistryConfig` of `info`.
    pub(crate) fn document(&self) -> Value {
        let (networks, hosts): (Vec<&String>, Vec<&String>) =
            self.insecure.iter().partition(|entry| is_network(entry));
        let networks: Vec<&str> =
            networks.into_iter().map(String::as_str).chain(["::1/128", "127.0.0.0/8"]).collect();
        let index = |name: &str, mirrors: &[String], secure: bool, official: bool| json!({ "Name": name, "Mirrors": mirrors, "Secure": secure, "Official": official });
        let mut indexes = Map::new();
        indexes.insert("docker.io".to_owned(), index("docker.io", &self.mirrors, true, true));
        for host in hosts {
            indexes.insert(host.clone(), index(host, &[], false, false));
        }
        json!({
            "AllowNondistributableArtifactsCIDRs": [],
            "AllowNondistributableArtifactsHostnames": [],
            "InsecureRegistryCIDRs": networks,
            "IndexConfigs": indexes,
            "Mirrors": self.mirrors,
        })
    }
}

/// An address and the length of its prefix.
fn is_network(entry: &str) -> bool {
    entry.split_once('/').is_some_and(|(address, prefix)| {
        address.parse::<std::net::IpAddr>().is_ok() && prefix.parse::<u8>().is_ok()
    })
}

/// A proxy's URL without the name and password in it.
pub(crate) fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("xxxxx:xxxxx@{host}"),
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_tells_what_was_told() {
        let told = Registries {
            insecure: vec!["r.test:5000".into(), "10.0.0.0/8".into()],
            mirrors: vec!["https://m.test/".into()],
            ..Registries::default()
        };
        let document = told.document();
        assert_eq!(document["IndexConfigs"]["r.test:5000"]["Secure"], false);
        assert_eq!(document["IndexConfigs"]["docker.io"]["Mirrors"], json!(["https://m.test/"]));
        assert_eq!(document["InsecureRegistryCIDRs"], json!(["10.0.0.0/8", "::1/128", "127.0.0.0/8"]));
    }

    #[test]
    fn proxies_without_their_secrets() {
        assert_eq!(masked("http://kim:secret@p.test:1"), "http://xxxxx:xxxxx@p.test:1");
        assert_eq!(masked("kim:secret@p.test"), "xxxxx:xxxxx@p.test");
        assert_eq!((masked("http://p.test:1").as_str(), masked("").as_str()), ("http://p.test:1", ""));
    }
}
