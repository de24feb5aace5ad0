//! What a daemon is told about registries, and what of it cannot be.

use std::path::PathBuf;

use engine::Registries;

use crate::error::{Error, Result};

/// Registries as flags and files have them. `None` and empty lists: nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryOptions {
    /// `--certs-dir`.
    pub certs_dirs: Vec<PathBuf>,
    /// `--insecure-registry`.
    pub insecure: Vec<String>,
    /// `--registry-mirror`.
    pub mirrors: Vec<String>,
    /// `--token-host`.
    pub token_hosts: Vec<String>,
    /// `--http-proxy`, else `HTTP_PROXY`.
    pub http_proxy: Option<String>,
    /// `--https-proxy`, else `HTTPS_PROXY`.
    pub https_proxy: Option<String>,
    /// `--no-proxy`, else `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// `--max-concurrent-downloads`.
    pub downloads: Option<u32>,
    /// `--max-concurrent-uploads`.
    pub uploads: Option<u32>,
    /// `--max-download-attempts`.
    pub attempts: Option<u32>,
}

impl RegistryOptions {
    /// The engine's part; `variable` looks into the environment.
    pub(super) fn engine(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Registries> {
        let own = Registries::default();
        let proxy = |told: &Option<String>, name: &str| {
            let lower = name.to_lowercase();
            told.clone().or_else(|| variable(name)).or_else(|| variable(&lower)).unwrap_or_default()
        };
        Ok(Registries {
            certs_dirs: if self.certs_dirs.is_empty() { own.certs_dirs } else { self.certs_dirs.clone() },
            insecure: self.insecure.iter().map(|text| insecure(text)).collect::<Result<_>>()?,
            mirrors: self.mirrors.iter().map(|text| mirror(text)).collect::<Result<_>>()?,
            token_hosts: self.token_hosts.clone(),
            http_proxy: proxy(&self.http_proxy, "HTTP_PROXY"),
            https_proxy: proxy(&self.https_proxy, "HTTPS_PROXY"),
            no_proxy: proxy(&self.no_proxy, "NO_PROXY"),
            downloads: count("max concurrent downloads", self.downloads, own.downloads)?,
            uploads: count("max concurrent uploads", self.uploads, own.uploads)?,
            attempts: count("max download attempts", self.attempts, own.attempts)?,
        })
    }
}

fn count(what: &str, told: Option<u32>, otherwise: u32) -> Result<u32> {
    match told {
        Some(0) => Err(Error::invalid(format!("invalid {what}: 0"))),
        Some(count) => Ok(count),
        None => Ok(otherwise),
    }
}

/// A host with or without port, or a network.
fn insecure(text: &str) -> Result<String> {
    let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    if bare.contains("://") {
        return Err(Error::invalid(format!("insecure registry {text} should not contain '://'")));
    }
    let (host, prefix) = bare.split_once('/').unwrap_or((bare, ""));
    let is_network =
        !prefix.is_empty() && host.parse::<std::net::IpAddr>().is_ok() && prefix.parse::<u8>().is_ok();
    let is_host = prefix.is_empty() && format!("{host}/x").parse::<types::Reference>().is_ok();
    if host.is_empty() || host.starts_with('-') || !(is_network || is_host) {
        return Err(Error::invalid(format!(
            "insecure registry {text} is not valid: want HOST[:PORT] or a network"
        )));
    }
    Ok(if is_network { bare.to_owned() } else { host.to_owned() })
}

/// A URL of a host, perhaps with a path.
fn mirror(text: &str) -> Result<String> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(_, rest)| !rest.is_empty()) else {
        return Err(Error::invalid(format!("invalid mirror: {text:?} is not a valid URI")));
    };
    if !matches!(scheme, "http" | "https") {
        return Err(Error::invalid(format!("invalid mirror: unsupported scheme {scheme:?} in {text:?}")));
    }
    if rest.contains(['?', '#', ' ']) || rest.trim_end_matches('/').contains('/') {
        return Err(Error::invalid(format!(
            "invalid mirror: path, query, or fragment at end of the URI {text:?}"
        )));
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_registries_and_mirrors() {
        for (text, kept) in [
            ("r.test", Some("r.test")),
            ("http://r.test:5000", Some("r.test:5000")),
            ("[::1]:5000", Some("[::1]:5000")),
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("fd00::/8", Some("fd00::/8")),
            ("ftp://r.test", None),
            ("r.test/path", None),
            ("-r.test", None),
            ("", None),
        ] {
            assert_eq!(insecure(text).ok().as_deref(), kept, "{text}");
        }
        for (text, kept) in [
            ("https://m.test", Some("https://m.test/")),
            ("http://m.test:1/", Some("http://m.test:1/")),
            ("m.test", None),
            ("ftp://m.test", None),
            ("https://m.test/v1/", None),
            ("https://m.test?x", None),
        ] {
            assert_eq!(mirror(text).ok().as_deref(), kept, "{text}");
        }
    }

    #[test]
    fn the_environment_is_asked_last() {
        let variable = |name: &str| match name {
            "HTTP_PROXY" => Some("http://env.test".to_owned()),
            "no_proxy" => Some("a,b".to_owned()),
            _ => None,
        };
        let told = RegistryOptions {
            http_proxy: Some("http://flag.test".into()),
            downloads: Some(7),
            ..RegistryOptions::default()
        };
        let made = told.engine(&variable).unwrap();
        assert_eq!(
            (made.http_proxy.as_str(), made.no_proxy.as_str(), made.https_proxy.as_str()),
            ("http://flag.test", "a,b", "")
        );
        assert_eq!((made.downloads, made.uploads), (7, 5));
        assert!(RegistryOptions { attempts: Some(0), ..told }.engine(&variable).is_err());
    }
}
