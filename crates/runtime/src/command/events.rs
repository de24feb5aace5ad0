//! `events`: use of resources as JSON lines, in runc's form.

use std::time::Duration;

use protocol::plan::Cgroup;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::output::{Complaint, say};
use super::records::{Record, Root};
use crate::kernel::read_file;

pub(super) fn events(root: &Root, rest: &[String]) -> Result<i32, Complaint> {
    let arguments = Arguments::of(rest, &["interval"])?;
    arguments.only(&["stats", "interval"])?;
    let record = root.load(arguments.id()?)?;
    if !record.alive() {
        return Err(Complaint::new(format!("container with id {} is not running", record.id)));
    }
    let interval = interval(arguments.value(&["interval"]).unwrap_or("5s"))?;
    loop {
        say(format_args!("{}", json!({"type": "stats", "id": record.id, "data": stats(&record)})))?;
        if arguments.has("stats") {
            return Ok(0);
        }
        std::thread::sleep(interval);
        if !record.alive() {
            return Ok(0);
        }
    }
}

fn interval(text: &str) -> Result<Duration, Complaint> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let scale = match unit {
        "ms" => Some(1),
        "s" | "" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let ms = number.parse::<u64>().ok().zip(scale).and_then(|(n, scale)| n.checked_mul(scale));
    ms.filter(|ms| *ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| Complaint::new(format!("{text:?} is not an interval")))
}

fn stats(record: &Record) -> Value {
    let Some(cgroup) = &record.plan.cgroup else { return json!({}) };
    if cgroup.hierarchies.is_empty() { v2(&cgroup.unified) } else { v1(cgroup) }
}

fn v1(cgroup: &Cgroup) -> Value {
    let file = |controller: &str, name: &str| {
        let found = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == controller));
        found.and_then(|h| read_file(&format!("{}/{name}", h.path)).ok()).unwrap_or_default()
    };
    json!({
        "cpu": {"usage": {"total": number(&file("cpuacct", "cpuacct.usage"))}},
        "memory": {
            "usage": {
                "usage": number(&file("memory", "memory.usage_in_bytes")),
                "limit": number(&file("memory", "memory.limit_in_bytes")),
                "max": number(&file("memory", "memory.max_usage_in_bytes")),
                "failcnt": number(&file("memory", "memory.failcnt")),
            },
            "raw": table(&file("memory", "memory.stat")),
        },
        "pids": {"current": number(&file("pids", "pids.current")), "limit": number(&file("pids", "pids.max"))},
    })
}

fn v2(place: &str) -> Value {
    let file = |name: &str| read_file(&format!("{place}/{name}")).unwrap_or_default();
    let cpu = table(&file("cpu.stat"));
    json!({
        "cpu": {"usage": {"total": cpu["usage_usec"].as_u64().unwrap_or(0) * 1000}},
        "memory": {
            "usage": {"usage": number(&file("memory.current")), "limit": number(&file("memory.max"))},
            "raw": table(&file("memory.stat")),
        },
        "pids": {"current": number(&file("pids.current")), "limit": number(&file("pids.max"))},
    })
}

/// `max` and what is missing are 0, as runc has it.
fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn table(text: &str) -> Value {
    let rows = text.lines().filter_map(|line| line.split_once(' '));
    rows.map(|(name, value)| (name.to_owned(), json!(number(value))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
