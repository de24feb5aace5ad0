//! Which hosts are asked for a registry's content, in which order, decided from the options and the files.

use super::Capability;
use super::certs::Found;
use super::file::{HostEntry, parse_hosts};
use super::insecure::is_insecure;
use crate::http::{Trust, Url};
use crate::options::Options;

/// A host, and all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Host {
    pub(crate) base: Url,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) trust: Trust,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) dial_timeout: Option<std::time::Duration>,
    pub(crate) is_origin: bool,
    pub(crate) may_be_plain: bool,
    /// The registry whose content is meant, for hosts that answer for several (`?ns=`, as containerd asks).
    pub(crate) namespace: Option<String>,
}

/// The host behind a registry's name.
pub(crate) fn own_host(domain: &str) -> &str {
    if domain == "docker.io" { "registry-1.docker.io" } else { domain }
}

/// The hosts in the order in which they are asked. `found` answers what the certs directories have for a name.
pub(crate) fn plan(
    domain: &str,
    options: &Options,
    found: &impl Fn(&str) -> Result<Found, String>,
) -> Result<Vec<Host>, String> {
    let own = found(domain)?;
    let mut hosts = Vec::new();
    if domain == "docker.io" {
        for mirror in &options.mirrors {
            hosts.push(daemon_mirror(mirror, options, found)?);
        }
    }
    let Some(text) = &own.hosts else {
        hosts.push(itself(domain, options, own.trust)?);
        return Ok(hosts);
    };
    let dir = own.dir.clone().unwrap_or_default();
    let entries =
        parse_hosts(text, &dir).map_err(|e| format!("{}: {e}", dir.join("hosts.toml").display()))?;
    for entry in entries {
        hosts.push(listed(entry, domain, options)?);
    }
    Ok(hosts)
}

/// The registry, when nothing else is said of it.
fn itself(domain: &str, options: &Options, trust: Trust) -> Result<Host, String> {
    let host = own_host(domain);
    let is_insecure = is_insecure(host, &options.insecure);
    Ok(Host {
        base: Url::parse(&format!("https://{host}/v2"))?,
        capabilities: Capability::ALL.to_vec(),
        trust: Trust { skip_verify: is_insecure, ..trust },
        headers: Vec::new(),
        dial_timeout: None,
        is_origin: true,
        may_be_plain: is_insecure,
        namespace: None,
    })
}

/// A mirror of docker.io from the daemon's own list: its trust is that of its name.
fn daemon_mirror(
    mirror: &str,
    options: &Options,
    found: &impl Fn(&str) -> Result<Found, String>,
) -> Result<Host, String> {
    let url = Url::parse(mirror).map_err(|why| format!("the mirror {mirror:?} cannot be used: {why}"))?;
    let domain = url.origin.authority();
    let is_insecure = is_insecure(&url.origin.with_port(), &options.insecure);
    let trust = Trust { skip_verify: is_insecure, ..found(&domain)?.trust };
    Ok(Host {
        base: url.under("/v2"),
        capabilities: vec![Capability::Pull, Capability::Resolve],
        trust,
        headers: Vec::new(),
        dial_timeout: None,
        is_origin: false,
        may_be_plain: is_insecure && url.origin.is_tls,
        namespace: None,
    })
}

/// A host of a hosts file. One that is listed as plain and has certificates all the same is asked in TLS first.
fn listed(entry: HostEntry, domain: &str, options: &Options) -> Result<Host, String> {
    let Some(mut base) = entry.base else {
        let own = itself(domain, options, entry.trust.clone())?;
        let skip_verify = own.trust.skip_verify || entry.trust.skip_verify;
        return Ok(Host {
            capabilities: entry.capabilities,
            headers: entry.headers,
            dial_timeout: entry.dial_timeout,
            trust: Trust { skip_verify, ..entry.trust },
            ..own
        });
    };
    let is_own = base.origin.authority() == own_host(domain) || base.origin.with_port() == own_host(domain);
    let both = !base.origin.is_tls && entry.has_trust && base.origin.port != 80;
    base.origin.is_tls |= both;
    Ok(Host {
        base,
        capabilities: entry.capabilities,
        trust: entry.trust,
        headers: entry.headers,
        dial_timeout: entry.dial_timeout,
        is_origin: entry.is_server || is_own,
        may_be_plain: both,
        namespace: (!is_own && !entry.is_server).then(|| domain.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints the plan so that a table can hold it.
    fn show(domain: &str, options: &Options, hosts: Option<&str>) -> Vec<String> {
        let found = |name: &str| {
            let own = Found { hosts: hosts.map(str::to_owned), dir: Some("/d".into()), ..Found::default() };
            Ok(if name == domain { own } else { Found::default() })
        };
        let line = |host: &Host| {
            let marks = [
                (host.is_origin, "origin"),
                (host.trust.skip_verify, "unchecked"),
                (host.may_be_plain, "plain"),
                (host.namespace.is_some(), "ns"),
                (!host.capabilities.contains(&Capability::Push), "read"),
            ];
            let marks: Vec<&str> = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            format!("{} {}", host.base, marks.join(" "))
        };
        plan(domain, options, &found).unwrap().iter().map(line).collect()
    }

    #[test]
    fn hosts_of_a_registry() {
        let plain = Options::default();
        let options = Options {
            insecure: vec!["10.0.0.0/8".to_owned(), "mirror.example:5000".to_owned()],
            mirrors: vec!["https://mirror.example:5000".to_owned(), "http://m/x/".to_owned()],
            ..Options::default()
        };
        let file = "server = \"https://registry-1.docker.io\"\n[host.\"http://m:5000\"]\nskip_verify = true\n\
            [host.\"http://n:5000\"]\ncapabilities = [\"pull\"]\n";
        for (domain, options, hosts, lines) in [
            ("docker.io", &plain, None, &["https://registry-1.docker.io/v2 origin"][..]),
            ("a.example:5000", &plain, None, &["https://a.example:5000/v2 origin"]),
            ("localhost:5000", &plain, None, &["https://localhost:5000/v2 origin unchecked plain"]),
            ("10.1.2.3", &options, None, &["https://10.1.2.3/v2 origin unchecked plain"]),
            ("a.example", &options, None, &["https://a.example/v2 origin"]),
            (
                "docker.io",
                &options,
                None,
                &[
                    "https://mirror.example:5000/v2 unchecked plain read",
                    "http://m/x/v2 read",
                    "https://registry-1.docker.io/v2 origin",
                ],
            ),
            (
                "docker.io",
                &plain,
                Some(file),
                &[
                    "https://m:5000/v2 unchecked plain ns",
                    "http://n:5000/v2 ns read",
                    "https://registry-1.docker.io/v2 origin",
                ],
            ),
            ("a.example", &plain, Some("skip_verify = true"), &["https://a.example/v2 origin unchecked"]),
            ("a.example", &plain, Some("server = \"http://a.example:80\""), &["http://a.example/v2 origin"]),
        ] {
            assert_eq!(show(domain, options, hosts), lines, "{domain} {hosts:?}");
        }
    }

    #[test]
    fn a_bad_file_or_mirror_is_said() {
        let options = Options { mirrors: vec!["mirror".to_owned()], ..Options::default() };
        let nothing = |_: &str| Ok(Found::default());
        assert!(plan("docker.io", &options, &nothing).unwrap_err().contains("\"mirror\""));
        let broken =
            |_: &str| Ok(Found { hosts: Some("x".to_owned()), dir: Some("/d".into()), ..Found::default() });
        assert!(plan("a", &Options::default(), &broken).unwrap_err().starts_with("/d/hosts.toml: "));
    }
}
