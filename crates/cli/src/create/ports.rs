//! `-p` and `--expose`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The ports of a create request.
#[derive(Debug)]
pub(super) struct Published {
    /// `ExposedPorts`.
    pub(super) exposed: Map<String, Value>,
    /// `HostConfig.PortBindings`.
    pub(super) bindings: BTreeMap<String, Vec<Value>>,
}

/// Reads every `-p` and `--expose`.
pub(super) fn published(publish: &[String], expose: &[String]) -> Result<Published, String> {
    let mut ports = Published { exposed: Map::new(), bindings: BTreeMap::new() };
    for text in publish {
        ports.publish(&short_form(text)?)?;
    }
    for text in expose {
        if text.contains(':') {
            return Err(format!("invalid port format for --expose: {text}"));
        }
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range(port)
            .map_err(|reason| format!("invalid range format for --expose: {text}, error: {reason}"))?;
        for number in first..=last {
            ports.exposed.insert(format!("{number}/{protocol}"), json!({}));
        }
    }
    Ok(ports)
}

impl Published {
    fn publish(&mut self, text: &str) -> Result<(), String> {
        let parts: Vec<&str> = text.rsplitn(3, ':').collect();
        let (inside, host, ip) =
            (parts[0], parts.get(1).copied().unwrap_or_default(), parts.get(2).copied().unwrap_or_default());
        let (inside, protocol) = match inside.split_once('/') {
            Some((port, "")) => (port, "tcp".to_owned()),
            Some((port, protocol)) => (port, protocol.to_lowercase()),
            None => (inside, "tcp".to_owned()),
        };
        let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("invalid IP address: {ip}"));
        }
        if inside.is_empty() {
            return Err(format!("no port specified: {text}<empty>"));
        }
        let (first, last) = range(inside).map_err(|_| format!("invalid containerPort: {inside}"))?;
        let (host_first, host_last) = match host {
            "" => (0, 0),
            host => range(host).map_err(|_| format!("invalid hostPort: {host}"))?,
        };
        if !host.is_empty() && last - first != host_last - host_first && first != last {
            return Err(format!(
                "invalid ranges specified for container and host Ports: {inside} and {host}"
            ));
        }
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(format!("invalid proto: {protocol}"));
        }
        for offset in 0..=last - first {
            let host_port = match host {
                "" => String::new(),
                _ if first == last && host_first != host_last => format!("{host_first}-{host_last}"),
                _ => (host_first + offset).to_string(),
            };
            let key = format!("{}/{protocol}", first + offset);
            self.exposed.insert(key.clone(), json!({}));
            self.bindings.entry(key).or_default().push(json!({ "HostIp": ip, "HostPort": host_port }));
        }
        Ok(())
    }
}

/// `target=80,published=8080,protocol=udp` as `8080:80/udp`.
fn short_form(text: &str) -> Result<String, String> {
    if !text.contains('=') {
        return Ok(text.to_owned());
    }
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for param in text.split(',') {
        let (key, value) = param
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid publish opts format (should be name=value but got '{param}')"))?;
        match key {
            "published" => published = value,
            "target" => target = value,
            "protocol" => protocol = value,
            _ => {}
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let number = |part: &str| part.parse::<u16>().map_err(|e| e.to_string());
    if text.is_empty() {
        return Err("empty string specified for ports".to_owned());
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if last < first { Err(format!("invalid range specified for port: {text}")) } else { Ok((first, last)) }
}
