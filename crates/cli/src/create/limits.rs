//! Flags that become numbers: memory, processors, processes, rlimits; and the restart policy beside them.

use serde_json::{Map, Value, json};

use crate::flags::{Matches, check};

/// The resource fields of a create request.
pub(super) fn resources(flags: &Matches) -> Result<Map<String, Value>, String> {
    let swappiness =
        flags.given("memory-swappiness").map_or(-1, |_| flags.number::<i64>("memory-swappiness"));
    if !(-1..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    let fields = json!({
        "CpuShares": flags.number::<i64>("cpu-shares"),
        "Memory": flags.bytes("memory"),
        "NanoCpus": nano_cpus(flags),
        "CgroupParent": flags.text("cgroup-parent"),
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": flags.number::<i64>("cpu-period"),
        "CpuQuota": flags.number::<i64>("cpu-quota"),
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": flags.text("cpuset-cpus"),
        "CpusetMems": flags.text("cpuset-mems"),
        "MemoryReservation": flags.bytes("memory-reservation"),
        "MemorySwap": flags.bytes("memory-swap"),
        "MemorySwappiness": swappiness,
        "OomKillDisable": flags.is("oom-kill-disable"),
        "PidsLimit": flags.number::<i64>("pids-limit"),
        "Ulimits": ulimits(flags.list("ulimit"))?,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    });
    match fields {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// The body of an update: only what was given, the rest is zero and so left alone.
pub(crate) fn update(flags: &Matches) -> Result<Value, String> {
    let mut fields = json!({
        "CpuShares": flags.number::<i64>("cpu-shares"),
        "Memory": flags.bytes("memory"),
        "NanoCpus": nano_cpus(flags),
        "CpuPeriod": flags.number::<i64>("cpu-period"),
        "CpuQuota": flags.number::<i64>("cpu-quota"),
        "CpusetCpus": flags.text("cpuset-cpus"),
        "CpusetMems": flags.text("cpuset-mems"),
        "MemoryReservation": flags.bytes("memory-reservation"),
        "MemorySwap": flags.bytes("memory-swap"),
        "RestartPolicy": restart(flags.text("restart"))?,
    });
    if flags.given("pids-limit").is_some() {
        fields["PidsLimit"] = flags.number::<i64>("pids-limit").into();
    }
    Ok(fields)
}

fn nano_cpus(flags: &Matches) -> i64 {
    flags.given("cpus").and_then(|text| check::nano_cpus(text).ok()).unwrap_or_default()
}

/// Docker's restart policy: a name, and a number of tries after a colon.
pub(super) fn restart(text: &str) -> Result<Value, String> {
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() && text.contains(':') {
        return Err("invalid restart policy format: no policy provided before colon".to_owned());
    }
    let count: i64 = match count {
        "" => 0,
        count => count.parse().map_err(|_| {
            "invalid restart policy format: maximum retry count must be an integer".to_owned()
        })?,
    };
    Ok(json!({ "Name": name, "MaximumRetryCount": count }))
}

/// The rlimits, one of each name, sorted by name.
fn ulimits(list: &[String]) -> Result<Vec<Value>, String> {
    let mut sorted = std::collections::BTreeMap::new();
    for text in list {
        let (name, soft, hard) = ulimit(text)?;
        sorted.insert(name.clone(), json!({ "Name": name, "Hard": hard, "Soft": soft }));
    }
    Ok(sorted.into_values().collect())
}

/// Reads `nofile=1024:2048`: the name, the soft and the hard limit; -1 is none.
pub(crate) fn ulimit(text: &str) -> Result<(String, i64, i64), String> {
    const NAMES: &[&str] = &[
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let (name, limits) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |part: &str| {
        part.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {part:?}: invalid syntax"))
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((_, hard)) if hard.contains(':') => {
            return Err(format!(
                "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
            ));
        }
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(limits)?, number(limits)?),
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok((name.to_owned(), soft, hard))
}
