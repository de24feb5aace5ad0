//! `-p` and `--expose`: `[ip:][hostPort[-end]:]containerPort[-end][/protocol]`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::{Error, PortBinding, PortMap};

/// Container ports as `Config.ExposedPorts` has them.
pub type ExposedPorts = BTreeMap<String, Map<String, Value>>;

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The port in the container.
    pub container_port: u16,
    /// The host side.
    pub binding: PortBinding,
}

impl PortSpec {
    /// The key of a port map: `80/tcp`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.container_port, self.protocol)
    }
}

/// Reads the values of all `-p` flags.
///
/// # Errors
/// Names the first value that does not follow the grammar.
pub fn parse_ports(specs: &[String]) -> Result<(ExposedPorts, PortMap), Error> {
    let (mut exposed, mut map) = (ExposedPorts::new(), PortMap::new());
    for spec in specs {
        for port in parse_port(spec)? {
            exposed.entry(port.key()).or_default();
            map.entry(port.key()).or_default().get_or_insert_with(Vec::new).push(port.binding);
        }
    }
    Ok((exposed, map))
}

/// Reads one `-p` value: several ports when it has a range.
///
/// # Errors
/// When the value does not follow the grammar.
pub fn parse_port(spec: &str) -> Result<Vec<PortSpec>, Error> {
    let (ip, host, container) = split_spec(spec)?;
    let (container, protocol) = split_protocol(container, spec)?;
    let inside =
        parse_range(container).ok_or_else(|| Error::new(format!("invalid containerPort: {container}")))?;
    if host.is_empty() {
        return Ok((inside.0..=inside.1).map(|port| spec_of(protocol, port, &ip, String::new())).collect());
    }
    let outside = parse_range(host).ok_or_else(|| Error::new(format!("invalid hostPort: {host}")))?;
    let length = |range: (u16, u16)| range.1 - range.0;
    if length(inside) == length(outside) {
        let pairs = (inside.0..=inside.1).zip(outside.0..=outside.1);
        return Ok(pairs
            .map(|(inside, outside)| spec_of(protocol, inside, &ip, outside.to_string()))
            .collect());
    }
    if length(inside) == 0 {
        return Ok(vec![spec_of(protocol, inside.0, &ip, host.to_owned())]);
    }
    Err(Error::new(format!("invalid ranges specified for container and host Ports: {container} and {host}")))
}

/// Reads one `--expose` value (`80`, `80-90/udp`) into the keys of a port map.
///
/// # Errors
/// When the value is no port or range.
pub fn parse_expose(spec: &str) -> Result<Vec<String>, Error> {
    let fail = || Error::new(format!("invalid range format for --expose: {spec}"));
    if spec.contains(':') {
        return Err(Error::new(format!("invalid port format for --expose: {spec}")));
    }
    let (range, protocol) = split_protocol(spec, spec)?;
    let (start, end) = parse_range(range).ok_or_else(fail)?;
    Ok((start..=end).map(|port| format!("{port}/{protocol}")).collect())
}

/// Splits the key of a port map, `80/tcp` or `80`, into number and protocol.
///
/// # Errors
/// When it is no single port.
pub fn split_port(key: &str) -> Result<(u16, &str), Error> {
    let fail = || Error::new(format!("invalid port specification: {key:?}"));
    let (port, protocol) = split_protocol(key, key)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(fail)?;
    Ok((port, protocol))
}

fn spec_of(protocol: &str, container_port: u16, ip: &str, host_port: String) -> PortSpec {
    PortSpec {
        protocol: protocol.to_owned(),
        container_port,
        binding: PortBinding { host_ip: ip.to_owned(), host_port },
    }
}

/// Splits into address, host port and container port; the first two may be empty.
fn split_spec(spec: &str) -> Result<(String, &str, &str), Error> {
    let (rest, container) = match spec.rsplit_once(':') {
        None => return Ok((String::new(), "", spec)),
        Some(split) => split,
    };
    if container.is_empty() || container.starts_with('/') {
        return Err(Error::new(format!("no port specified: {spec}<empty>")));
    }
    let (ip, host) = match rest.rsplit_once(':') {
        None => ("", rest),
        Some((ip, host)) if !host.contains(']') => (ip, host),
        Some(_) => (rest, ""),
    };
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Err(Error::new(format!("invalid IP address: {ip}")));
    }
    Ok((ip.to_owned(), host, container))
}

fn split_protocol<'a>(port: &'a str, spec: &str) -> Result<(&'a str, &'static str), Error> {
    let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        other => return Err(Error::new(format!("invalid proto: {other} (in {spec})"))),
    };
    if port.is_empty() {
        return Err(Error::new(format!("no port specified: {spec}<empty>")));
    }
    Ok((port, protocol))
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (parse_number(start)?, parse_number(end)?);
    (start <= end).then_some((start, end))
}

fn parse_number(text: &str) -> Option<u16> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(spec: &str) -> String {
        let ports = parse_port(spec).unwrap_or_else(|e| panic!("{spec}: {e}"));
        let text = |p: &PortSpec| format!("{}<{}:{}", p.key(), p.binding.host_ip, p.binding.host_port);
        ports.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_publish_flags() {
        for (spec, expected) in [
            ("80", "80/tcp<:"),
            ("8080:80", "80/tcp<:8080"),
            ("8080:80/udp", "80/udp<:8080"),
            ("127.0.0.1:8080:80", "80/tcp<127.0.0.1:8080"),
            ("127.0.0.1::80", "80/tcp<127.0.0.1:"),
            ("[::1]:8080:80", "80/tcp<::1:8080"),
            ("[::1]::80", "80/tcp<::1:"),
            ("0:80", "80/tcp<:0"),
            ("8000-8001:80-81/SCTP", "80/sctp<:8000 81/sctp<:8001"),
            ("8000-8005:80", "80/tcp<:8000-8005"),
            ("80-81", "80/tcp<: 81/tcp<:"),
        ] {
            assert_eq!(print(spec), expected, "{spec}");
        }
        for bad in [
            "",
            ":",
            "80:",
            "a:80",
            "80:a",
            "1.2.3:1:2",
            "80-79",
            "80/xyz",
            "1-2:1-4",
            "70000:80",
            "80/tcp/x",
        ] {
            assert!(parse_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn collects_bindings_by_container_port() {
        let specs = ["1:80".to_owned(), "2:80".to_owned()];
        let (exposed, map) = parse_ports(&specs).unwrap();
        assert_eq!(exposed.len(), 1);
        assert_eq!(map["80/tcp"].as_ref().map(Vec::len), Some(2));
    }

    #[test]
    fn reads_keys_and_exposed_ranges() {
        assert_eq!(split_port("53/udp"), Ok((53, "udp")));
        assert_eq!(split_port("53"), Ok((53, "tcp")));
        assert!(split_port("0/tcp").is_err() && split_port("1-2/tcp").is_err() && split_port("").is_err());
        assert_eq!(parse_expose("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
        assert!(parse_expose("1:2").is_err() && parse_expose("x").is_err());
    }
}
