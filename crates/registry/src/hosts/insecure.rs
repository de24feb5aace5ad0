//! Registries whose certificates are not checked.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether a registry is on this machine, or listed: by `host:port`, by host, or by a network that its address is in.
pub(crate) fn is_insecure(domain: &str, listed: &[String]) -> bool {
    let host = match domain.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => domain,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>().ok();
    let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    is_local
        || listed.iter().any(|entry| {
            let network = entry.parse::<IpNet>().ok();
            let entry = entry.trim_end_matches('/');
            entry.eq_ignore_ascii_case(domain)
                || entry.eq_ignore_ascii_case(host)
                || network.is_some_and(|net| address.is_some_and(|address| net.contains(&address)))
        })
}

#[cfg(test)]
mod tests {
    use super::is_insecure;

    #[test]
    fn by_host_port_and_network() {
        let listed = ["a.example", "b.example:5000", "10.0.0.0/8", "fd00::/8"].map(str::to_owned);
        for (domain, insecure) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.2:5000", true),
            ("[::1]:5000", true),
            ("a.example", true),
            ("A.example:443", true),
            ("b.example:5000", true),
            ("b.example", false),
            ("b.example:5001", false),
            ("10.1.1.1:5000", true),
            ("11.1.1.1", false),
            ("[fd00::2]:5000", true),
            ("docker.io", false),
            ("localhost.example", false),
        ] {
            assert_eq!(is_insecure(domain, &listed), insecure, "{domain}");
        }
    }
}
