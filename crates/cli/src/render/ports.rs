//! The PORTS column: ports of a container, neighbours joined into ranges.

use serde_json::Value;

/// The `Ports` of a container's summary as `0.0.0.0:80->80/tcp, 443/tcp`.
pub(crate) fn displayed(ports: &Value) -> String {
    let mut ports: Vec<Port> = ports.as_array().into_iter().flatten().map(Port::read).collect();
    ports.sort();
    let mut groups: Vec<(String, u64, u64)> = Vec::new();
    let (mut shown, mut mapped) = (Vec::new(), Vec::new());
    for port in ports {
        if !port.ip.is_empty() && port.public != port.private {
            mapped.push(format!("{}->{}/{}", join(&port.ip, port.public), port.private, port.kind));
            continue;
        }
        let key = if port.ip.is_empty() { port.kind } else { format!("{}/{}", port.ip, port.kind) };
        match groups.iter_mut().find(|(known, ..)| *known == key) {
            None => groups.push((key, port.private, port.private)),
            Some((_, _, last)) if port.private == *last + 1 => *last = port.private,
            Some((_, first, last)) => {
                shown.push(group(&key, *first, *last));
                (*first, *last) = (port.private, port.private);
            }
        }
    }
    shown.extend(groups.iter().map(|(key, first, last)| group(key, *first, *last)));
    shown.extend(mapped);
    shown.join(", ")
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    private: u64,
    ip: String,
    public: u64,
    kind: String,
}

impl Port {
    fn read(value: &Value) -> Self {
        let number = |name: &str| value[name].as_u64().unwrap_or_default();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            private: number("PrivatePort"),
            ip: text("IP"),
            public: number("PublicPort"),
            kind: text("Type"),
        }
    }
}

fn join(ip: &str, port: impl std::fmt::Display) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn group(key: &str, first: u64, last: u64) -> String {
    let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
    match key.rsplit_once('/') {
        Some((ip, kind)) => format!("{}->{range}/{kind}", join(ip, &range)),
        None => format!("{range}/{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn port(ip: &str, public: u64, private: u64, kind: &str) -> Value {
        json!({ "IP": ip, "PublicPort": public, "PrivatePort": private, "Type": kind })
    }

    #[test]
    fn joins_neighbours() {
        for (ports, text) in [
            (vec![], ""),
            (vec![port("0.0.0.0", 8080, 80, "tcp")], "0.0.0.0:8080->80/tcp"),
            (vec![port("", 0, 443, "tcp"), port("", 0, 80, "tcp")], "80/tcp, 443/tcp"),
            (vec![port("", 0, 80, "tcp"), port("", 0, 81, "tcp")], "80-81/tcp"),
            (
                vec![
                    port("0.0.0.0", 80, 80, "tcp"),
                    port("0.0.0.0", 81, 81, "tcp"),
                    port("::", 80, 80, "tcp"),
                ],
                "0.0.0.0:80-81->80-81/tcp, [::]:80->80/tcp",
            ),
            (vec![port("::", 9, 80, "udp"), port("", 0, 1, "tcp")], "1/tcp, [::]:9->80/udp"),
        ] {
            assert_eq!(super::displayed(&Value::from(ports)), text);
        }
    }
}
