//! Small changes and questions: rename, update, port.

use super::{joined, text};
use crate::create;
use crate::error::{Error, Result};
use crate::stream::{self, remark};
use crate::tree::Call;
use crate::wire::{Payload, Query};

/// `berth rename`.
pub(crate) async fn rename(call: Call) -> Result<u8> {
    let (old, new) = (call.args[0].trim(), call.args[1].trim());
    if old.is_empty() || new.is_empty() {
        return Err(Error::new("Error: Neither old nor new names may be empty"));
    }
    let query = Query::path("/containers/{}/rename", &[old]).with("name", new);
    if let Err(error) = call.client.post(query, Payload::Nothing).await {
        remark(&error.to_string());
        return Err(Error::new(format!("Error: failed to rename container named {old}")));
    }
    Ok(0)
}

/// `berth update`.
pub(crate) async fn update(call: Call) -> Result<u8> {
    const ANY: &[&str] = &[
        "cpu-period",
        "cpu-quota",
        "cpu-shares",
        "cpus",
        "cpuset-cpus",
        "cpuset-mems",
        "memory",
        "memory-reservation",
        "memory-swap",
        "pids-limit",
        "restart",
    ];
    if !ANY.iter().any(|flag| call.flags.given(flag).is_some()) {
        return Err(Error::new("you must provide one or more flags when using this command"));
    }
    let body = create::limits::update(&call.flags).map_err(Error::new)?;
    let (mut warnings, mut errors) = (Vec::new(), Vec::new());
    for name in &call.args {
        let query = Query::path("/containers/{}/update", &[name]);
        match call.client.post(query, Payload::Json(body.clone())).await {
            Ok(answer) => {
                stream::print_line(name)?;
                let told = answer["Warnings"].as_array().cloned().unwrap_or_default();
                warnings.extend(told.iter().filter_map(|warning| warning.as_str().map(str::to_owned)));
            }
            Err(error) => errors.push(error),
        }
    }
    if !warnings.is_empty() {
        stream::print_line(&warnings.join("\n"))?;
    }
    joined(&errors)
}

/// `berth port`.
pub(crate) async fn port(call: Call) -> Result<u8> {
    let name = call.args[0].as_str();
    let container = call.client.get(Query::path("/containers/{}/json", &[name])).await?;
    let published = container["NetworkSettings"]["Ports"].as_object().cloned().unwrap_or_default();
    let asked = call.args.get(1);
    let mut lines = Vec::new();
    let wanted = asked.map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") });
    for (inside, bindings) in &published {
        if wanted.as_ref().is_some_and(|wanted| wanted != inside) {
            continue;
        }
        for binding in bindings.as_array().into_iter().flatten() {
            let (ip, port) = (text(binding, "HostIp"), text(binding, "HostPort"));
            let outside = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
            lines.push(if asked.is_some() { outside } else { format!("{inside} -> {outside}") });
        }
    }
    if let Some(port) = asked.filter(|_| lines.is_empty()) {
        if port.split('/').next().is_none_or(|number| number.parse::<u16>().is_err()) {
            let number = port.split('/').next().unwrap_or_default();
            return Err(Error::new(format!(
                "Error: invalid port ({number}): strconv.ParseUint: parsing {number:?}: invalid syntax"
            )));
        }
        return Err(Error::new(format!("Error: No public port '{port}' published for {name}")));
    }
    lines.sort_by_key(|line| natural(line));
    if !lines.is_empty() {
        stream::print_line(&lines.join("\n"))?;
    }
    Ok(0)
}

/// An order in which 9 comes before 10: runs of digits count as numbers.
fn natural(line: &str) -> Vec<(u64, String)> {
    let mut parts = vec![(0, String::new())];
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits > 0 {
            parts.push((rest[..digits].parse().unwrap_or(u64::MAX), String::new()));
            rest = &rest[digits..];
        } else {
            if let Some((_, text)) = parts.last_mut() {
                text.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    parts
}
