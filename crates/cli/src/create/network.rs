//! `--network`, `--ip`, `--mac-address`, `--add-host`.

use serde_json::{Map, Value, json};

use crate::flags::Matches;

/// What the network flags come to.
pub(super) struct Settings {
    /// `HostConfig.NetworkMode`.
    pub(super) mode: String,
    /// `NetworkingConfig.EndpointsConfig`.
    pub(super) endpoints: Map<String, Value>,
}

/// One `--network`, alone or as `name=x,ip=y,…`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attachment {
    target: String,
    aliases: Vec<String>,
    ipv4: String,
    ipv6: String,
    link_local: Vec<String>,
    mac: String,
    driver: Map<String, Value>,
    priority: i64,
}

/// Reads the value of `--network`.
pub(crate) fn attachment(text: &str) -> Result<Attachment, String> {
    if !is_long(text) {
        return Ok(Attachment { target: text.to_owned(), ..Attachment::default() });
    }
    let mut found = Attachment::default();
    for field in super::fields(text)? {
        let lower = field.to_lowercase();
        let (key, value) = lower
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim().to_owned();
        match key.trim() {
            "name" => found.target = value,
            "alias" => found.aliases.push(value),
            "ip" => found.ipv4 = value,
            "ip6" => found.ipv6 = value,
            "mac-address" => found.mac = value,
            "link-local-ip" => found.link_local.push(value),
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .filter(|(key, _)| !key.is_empty())
                    .ok_or("invalid key value pair format in driver options")?;
                found.driver.insert(key.trim().to_owned(), value.trim().into());
            }
            "gw-priority" => {
                found.priority =
                    value.parse().map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            other => return Err(format!("invalid field key {other}")),
        }
    }
    if found.target.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    Ok(found)
}

/// A word, an equals sign, a word: the form with options.
fn is_long(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.as_bytes().windows(3).any(|w| word(w[0]) && w[1] == b'=' && word(w[2]))
}

/// Merges the flags for networks; options outside `--network` belong to the first one.
pub(super) fn settings(flags: &Matches) -> Result<Settings, String> {
    let given = flags.list("network").iter().map(|text| attachment(text)).collect::<Result<Vec<_>, _>>()?;
    let default = [Attachment { target: "default".to_owned(), ..Attachment::default() }];
    let all = if given.is_empty() { &default[..] } else { &given[..] };
    let users = all.iter().filter(|a| is_user_defined(&a.target)).count();
    if users > 0 && users < all.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                .to_owned(),
        );
    }
    let mut endpoints = Map::new();
    for (index, one) in all.iter().enumerate() {
        let mut one = one.clone();
        if index == 0 {
            outer(&mut one, flags)?;
        }
        if endpoints.contains_key(&one.target) {
            return Err(format!("network {:?} is specified multiple times", one.target));
        }
        let plain = one.is_plain();
        let endpoint = endpoint(&one)?;
        if !(plain && given.len() == 1) {
            endpoints.insert(one.target, endpoint);
        }
    }
    Ok(Settings { mode: all[0].target.clone(), endpoints })
}

impl Attachment {
    fn is_plain(&self) -> bool {
        let texts = [&self.ipv4, &self.ipv6, &self.mac];
        texts.iter().all(|text| text.is_empty())
            && self.aliases.is_empty()
            && self.link_local.is_empty()
            && self.driver.is_empty()
            && self.priority == 0
    }
}

fn outer(one: &mut Attachment, flags: &Matches) -> Result<(), String> {
    let both = |flag: &str, what: &str| {
        format!("conflicting options: cannot specify both --{flag} and per-network {what}")
    };
    for (field, flag, what) in
        [(&mut one.ipv4, "ip", "IPv4 address"), (&mut one.mac, "mac-address", "MAC address")]
    {
        match flags.given(flag) {
            Some(_) if !field.is_empty() => return Err(both(flag, what)),
            Some(value) => value.clone_into(field),
            None => {}
        }
    }
    Ok(())
}

fn endpoint(one: &Attachment) -> Result<Value, String> {
    if one.target.trim().is_empty() {
        return Err("no name set for network".to_owned());
    }
    if !is_user_defined(&one.target) && !one.aliases.is_empty() {
        return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
    }
    if !one.mac.is_empty() && !is_mac(&one.mac) {
        return Err(format!("{} is not a valid mac address", one.mac));
    }
    let mut ipam = Map::new();
    for (name, text) in [("IPv4Address", &one.ipv4), ("IPv6Address", &one.ipv6)] {
        if !text.is_empty() {
            ipam.insert(name.to_owned(), text.as_str().into());
        }
    }
    if !one.link_local.is_empty() {
        ipam.insert("LinkLocalIPs".to_owned(), one.link_local.clone().into());
    }
    let aliases = if one.aliases.is_empty() { Value::Null } else { one.aliases.clone().into() };
    Ok(json!({
        "IPAMConfig": if ipam.is_empty() { Value::Null } else { ipam.into() },
        "Links": null,
        "Aliases": aliases,
        "MacAddress": one.mac,
        "DriverOpts": if one.driver.is_empty() { Value::Null } else { one.driver.clone().into() },
        "GwPriority": one.priority,
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": null,
    }))
}

fn is_user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none" | "nat") && !target.starts_with("container:")
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `name=address` and `name:[address]` both go out as `name:address`.
pub(super) fn extra_host(text: &str) -> String {
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).unwrap_or((text, ""));
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    format!("{name}:{bare}")
}
