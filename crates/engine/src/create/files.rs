//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container, as texts.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::{Error, Result};

/// Reads `name:address` (or `name=address`); `host-gateway` is the bridge's address.
pub(crate) fn extra_host(entry: &str, gateway: Option<Ipv4Addr>) -> Result<(String, String)> {
    let bad = || Error::invalid(format!("bad format for add-host: {entry:?}"));
    let (name, address) = entry.split_once(['=', ':']).ok_or_else(bad)?;
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad());
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if bare == "host-gateway" {
        let address = gateway.unwrap_or(Ipv4Addr::LOCALHOST);
        return Ok((name.to_owned(), address.to_string()));
    }
    let address: IpAddr =
        bare.parse().map_err(|_| Error::invalid(format!("invalid IP address in add-host: {address:?}")))?;
    Ok((name.to_owned(), address.to_string()))
}

/// The names that a container has in its own hosts file: the full one, then the short one.
pub(crate) fn own_names(hostname: &str, domain: &str) -> Vec<String> {
    let full = if domain.is_empty() { hostname.to_owned() } else { format!("{hostname}.{domain}") };
    match full.split_once('.') {
        Some((short, _)) => vec![full.clone(), short.to_owned()],
        None => vec![full],
    }
}

/// The hosts file of a container with this address and these names.
pub(crate) fn hosts(ip: Option<Ipv4Addr>, names: &[String], extra: &[(String, String)]) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    for (name, address) in extra {
        let _ = writeln!(text, "{address}\t{name}");
    }
    if let Some(ip) = ip {
        let _ = writeln!(text, "{ip}\t{}", names.join(" "));
    }
    text
}

/// The resolver's file: the host's, with what was asked instead. Servers on the host's loopback cannot be reached from a network
/// namespace of its own and are left out.
pub(crate) fn resolv_conf(host: &str, own_network: bool, asked: &Resolver<'_>) -> String {
    let lines = || host.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';']));
    let values = |key: &str| -> Vec<String> {
        lines()
            .filter_map(|l| l.strip_prefix(key).filter(|rest| rest.starts_with([' ', '\t'])))
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    };
    let reachable = |s: &String| !own_network || s.parse::<IpAddr>().is_ok_and(|ip| !ip.is_loopback());
    let or = |asked: &[String], host: Vec<String>| if asked.is_empty() { host } else { asked.to_vec() };
    let mut text = String::new();
    for server in or(asked.servers, values("nameserver").into_iter().filter(reachable).collect()) {
        let _ = writeln!(text, "nameserver {server}");
    }
    let search = or(asked.search, values("search"));
    if !search.is_empty() && search != ["."] {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    let options = or(asked.options, values("options"));
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

/// What `--dns…` asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) servers: &'a [String],
    pub(crate) search: &'a [String],
    pub(crate) options: &'a [String],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_hosts() {
        let read = |text: &str| extra_host(text, Some(Ipv4Addr::new(10, 0, 0, 1))).map_err(|e| e.to_string());
        assert_eq!(read("a:1.2.3.4"), Ok(("a".to_owned(), "1.2.3.4".to_owned())));
        assert_eq!(read("a=::1"), Ok(("a".to_owned(), "::1".to_owned())));
        assert_eq!(read("a:[::1]"), Ok(("a".to_owned(), "::1".to_owned())));
        assert_eq!(read("gw:host-gateway"), Ok(("gw".to_owned(), "10.0.0.1".to_owned())));
        for bad in ["", "a", ":1.2.3.4", "a:", "a:x", "a b:1.2.3.4", "a\n:1.2.3.4"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn full_and_short_names() {
        assert_eq!(own_names("web", ""), ["web"]);
        assert_eq!(own_names("web", "a.b"), ["web.a.b", "web"]);
        assert_eq!(own_names("web.a", ""), ["web.a", "web"]);
    }

    #[test]
    fn texts() {
        let hosts = hosts(Some(Ipv4Addr::new(10, 0, 0, 2)), &["id".to_owned(), "web".to_owned()], &[]);
        assert!(hosts.ends_with("10.0.0.2\tid web\n") && hosts.starts_with("127.0.0.1\tlocalhost\n"));
        let host = "# c\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nsearch a b\noptions ndots:1\n";
        let none = Resolver { servers: &[], search: &[], options: &[] };
        assert_eq!(resolv_conf(host, true, &none), "nameserver 9.9.9.9\nsearch a b\noptions ndots:1\n");
        assert!(resolv_conf(host, false, &none).starts_with("nameserver 127.0.0.53\n"));
        let servers = ["1.1.1.1".to_owned()];
        let search = [".".to_owned()];
        let asked = Resolver { servers: &servers, search: &search, options: &[] };
        assert_eq!(resolv_conf(host, true, &asked), "nameserver 1.1.1.1\noptions ndots:1\n");
    }
}
