//! A container's use of resources, from the files of its cgroups, in the form of runc's `events`: times in nanoseconds, sizes in bytes,
//! and v2 in the terms of v1.

use protocol::Plan;
use protocol::plan::{Act, Cgroup};
use serde_json::{Map, Value, json};

use crate::kernel::read_file;

pub(super) fn stats(plan: &Plan) -> Value {
    let Some(cgroup) = &plan.cgroup else { return json!({}) };
    let files = Files { cgroup, old: !cgroup.hierarchies.is_empty() };
    json!({
        "cpu": if files.old { cpu_v1(&files) } else { cpu_v2(&files) },
        "cpuset": cpuset(&files),
        "memory": if files.old { memory_v1(&files) } else { memory_v2(&files) },
        "pids": tasks(&files),
        "blkio": if files.old { block_v1(&files) } else { block_v2(&files) },
        "hugetlb": huge_pages(&files),
        "intel_rdt": class(plan),
        // Of interfaces that the runtime has made: there are none.
        "network_interfaces": null,
    })
}

/// Where the files are.
struct Files<'a> {
    cgroup: &'a Cgroup,
    /// Controllers are on v1.
    old: bool,
}

impl Files<'_> {
    /// A file of a controller; of v2 when there is no such hierarchy.
    fn text(&self, controller: &str, file: &str) -> Option<String> {
        let place = crate::cgroup::v1(self.cgroup, controller).unwrap_or(&self.cgroup.unified);
        read_file(&format!("{place}/{file}")).ok()
    }

    fn number(&self, controller: &str, file: &str) -> Option<u64> {
        self.text(controller, file).map(|text| number(&text))
    }

    fn rows(&self, controller: &str, file: &str) -> Rows {
        Rows(self.text(controller, file).unwrap_or_default())
    }
}

/// Lines of a name and a number.
struct Rows(String);

impl Rows {
    fn all(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.lines().filter_map(|line| line.split_once(' ')).map(|(name, value)| (name, number(value)))
    }

    fn get(&self, wanted: &str) -> u64 {
        self.all().find(|(name, _)| *name == wanted).map_or(0, |(_, value)| value)
    }
}

/// No limit is the highest number.
fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

/// An object without what is zero or empty.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Number(n) => n.as_u64() == Some(0),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    };
    let fields = fields.into_iter().filter(|(_, value)| !empty(value));
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn with(mut value: Value, name: &str, field: impl Into<Value>) -> Value {
    value[name] = field.into();
    value
}

fn cpu_v1(files: &Files<'_>) -> Value {
    let modes = files.rows("cpuacct", "cpuacct.stat");
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let each = files.text("cpuacct", "cpuacct.usage_percpu").unwrap_or_default();
    let each: Vec<u64> = each.split_whitespace().map(number).collect();
    let all = files.text("cpuacct", "cpuacct.usage_all").unwrap_or_default();
    // Below a head: the processor, user, system.
    let column = |n: usize| -> Vec<u64> {
        let rows = all.lines().skip(1);
        rows.filter_map(|line| line.split(' ').nth(n)).map(number).collect()
    };
    let usage = object([
        ("total", files.number("cpuacct", "cpuacct.usage").into()),
        ("percpu", each.into()),
        ("percpu_kernel", column(2).into()),
        ("percpu_user", column(1).into()),
    ]);
    let usage = with(usage, "kernel", modes.get("system") * tick_ns);
    let rows = files.rows("cpu", "cpu.stat");
    let throttling = throttling(&rows, rows.get("throttled_time"));
    object([("usage", with(usage, "user", modes.get("user") * tick_ns)), ("throttling", throttling)])
}

fn cpu_v2(files: &Files<'_>) -> Value {
    let rows = files.rows("cpu", "cpu.stat");
    let usage = object([("total", (rows.get("usage_usec") * 1000).into())]);
    let usage = with(usage, "kernel", rows.get("system_usec") * 1000);
    object([
        ("usage", with(usage, "user", rows.get("user_usec") * 1000)),
        ("throttling", throttling(&rows, rows.get("throttled_usec") * 1000)),
        ("psi", pressure(files, "cpu.pressure")),
    ])
}

fn throttling(rows: &Rows, time_ns: u64) -> Value {
    object([
        ("periods", rows.get("nr_periods").into()),
        ("throttledPeriods", rows.get("nr_throttled").into()),
        ("throttledTime", time_ns.into()),
    ])
}

/// Shares of time in which tasks waited (PSI).
fn pressure(files: &Files<'_>, file: &str) -> Value {
    let text = files.text("", file).unwrap_or_default();
    let mut kinds = Map::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some(kind @ ("some" | "full")) = words.next() else { continue };
        let values = words.filter_map(|word| word.split_once('='));
        let values: Map<String, Value> = values
            .map(|(name, value)| match name {
                "total" => (name.to_owned(), number(value).into()),
                name => (name.to_owned(), value.parse::<f64>().unwrap_or(0.0).into()),
            })
            .collect();
        kinds.insert(kind.to_owned(), values.into());
    }
    kinds.into()
}

fn cpuset(files: &Files<'_>) -> Value {
    let list = |file: &str| -> Vec<u64> {
        let text = files.text("cpuset", file).unwrap_or_default();
        let parts = text.trim().split(',').filter(|part| !part.is_empty());
        parts
            .flat_map(|part| {
                let (from, to) = part.split_once('-').unwrap_or((part, part));
                number(from)..=number(to)
            })
            .collect()
    };
    let mut value = match files.old {
        true => object([("cpus", list("cpuset.cpus").into()), ("mems", list("cpuset.mems").into())]),
        false => json!({}),
    };
    for name in [
        "cpu_exclusive",
        "mem_hardwall",
        "mem_exclusive",
        "memory_migrate",
        "memory_spread_page",
        "memory_spread_slab",
        "memory_pressure",
        "sched_load_balance",
    ] {
        let read = files.old.then(|| files.number("cpuset", &format!("cpuset.{name}"))).flatten();
        value[name] = read.unwrap_or(0).into();
    }
    let level = files.text("cpuset", "cpuset.sched_relax_domain_level").filter(|_| files.old);
    value["sched_relax_domain_level"] = level.and_then(|l| l.trim().parse::<i64>().ok()).unwrap_or(0).into();
    value
}

/// `failcnt` and `limit` are there even when they are zero.
fn entry(usage: u64, max: u64, failures: u64, limit: u64) -> Value {
    let value = object([("usage", usage.into()), ("max", max.into())]);
    with(with(value, "failcnt", failures), "limit", limit)
}

fn memory_v1(files: &Files<'_>) -> Value {
    let read = |name: &str| {
        let file = |what: &str| files.number("memory", &format!("memory.{name}{what}"));
        let usage = file("usage_in_bytes")?;
        let limit = file("limit_in_bytes").unwrap_or(0);
        Some(entry(usage, file("max_usage_in_bytes").unwrap_or(0), file("failcnt").unwrap_or(0), limit))
    };
    let rows = files.rows("memory", "memory.stat");
    object([
        ("cache", rows.get("cache").into()),
        ("usage", read("").into()),
        ("swap", read("memsw.").into()),
        ("kernel", read("kmem.").into()),
        ("kernelTCP", read("kmem.tcp.").into()),
        ("raw", raw(&rows)),
    ])
}

fn raw(rows: &Rows) -> Value {
    rows.all().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<String, Value>>().into()
}

fn memory_v2(files: &Files<'_>) -> Value {
    let read = |file: &str| files.number("memory", file).unwrap_or(0);
    let rows = files.rows("memory", "memory.stat");
    let (usage, limit) = (read("memory.current"), read("memory.max"));
    let with_memory =
        |swap: u64, memory: u64| if swap == u64::MAX { swap } else { swap.saturating_add(memory) };
    let swap = files.number("memory", "memory.swap.max").map(|swap_limit| {
        // v1 counts both together, and nobody knows the highest sum.
        entry(read("memory.swap.current") + usage, 0, 0, with_memory(swap_limit, limit))
    });
    object([
        ("cache", rows.get("file").into()),
        ("usage", entry(usage, read("memory.peak"), 0, limit)),
        ("swap", swap.into()),
        ("raw", raw(&rows)),
        ("psi", pressure(files, "memory.pressure")),
    ])
}

/// No limit is 0 here.
fn tasks(files: &Files<'_>) -> Value {
    let limit = files.number("pids", "pids.max").filter(|limit| *limit != u64::MAX);
    object([("current", files.number("pids", "pids.current").into()), ("limit", limit.into())])
}

/// BFQ's own counts, or those of the throttling layer.
fn block_v1(files: &Files<'_>) -> Value {
    let table = |name: &str| -> Vec<Value> {
        let files_of = [
            format!("blkio.bfq.{name}_recursive"),
            format!("blkio.throttle.{name}_recursive"),
            format!("blkio.throttle.{name}"),
        ];
        let tables = files_of.iter().map(|file| files.text("blkio", file).unwrap_or_default());
        let mut tables = tables.map(|text| text.lines().filter_map(block_row).collect::<Vec<_>>());
        tables.find(|rows| !rows.is_empty()).unwrap_or_default()
    };
    object([
        ("ioServiceBytesRecursive", table("io_service_bytes").into()),
        ("ioServicedRecursive", table("io_serviced").into()),
    ])
}

/// `8:0 Read 1282048`; the sum over all devices has no number.
fn block_row(line: &str) -> Option<Value> {
    let mut words = line.split(' ');
    let (major, minor) = words.next()?.split_once(':')?;
    let operation = words.next()?;
    Some(block_entry(number(major), number(minor), operation, number(words.next()?)))
}

fn block_entry(major: u64, minor: u64, operation: &str, value: u64) -> Value {
    object([
        ("major", major.into()),
        ("minor", minor.into()),
        ("op", operation.into()),
        ("value", value.into()),
    ])
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
fn block_v2(files: &Files<'_>) -> Value {
    let text = files.text("io", "io.stat").unwrap_or_default();
    let table = |names: [(&str, &str); 2]| -> Vec<Value> {
        let rows = text.lines().filter_map(|line| {
            let (device, values) = line.split_once(' ')?;
            let (major, minor) = device.split_once(':')?;
            Some((number(major), number(minor), values))
        });
        rows.flat_map(|(major, minor, values)| {
            let values = values.split(' ').filter_map(|value| value.split_once('='));
            values.filter_map(move |(key, value)| {
                let (_, operation) = names.iter().find(|(name, _)| *name == key)?;
                Some(block_entry(major, minor, operation, number(value)))
            })
        })
        .collect()
    };
    object([
        ("ioServiceBytesRecursive", table([("rbytes", "Read"), ("wbytes", "Write")]).into()),
        ("ioServicedRecursive", table([("rios", "Read"), ("wios", "Write")]).into()),
        ("psi", pressure(files, "io.pressure")),
    ])
}

/// The container's class of service (resctrl).
fn class(plan: &Plan) -> Value {
    let path = plan.prepare.iter().find_map(|step| match &step.act {
        Some(Act::Class(class)) => Some(format!("{}/schemata", class.path)),
        _ => None,
    });
    let text = path.and_then(|path| read_file(&path).ok()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = |resource: &str| lines.iter().find(|l| l.starts_with(resource)).copied();
    object([
        ("l3_cache_schema", line("L3").into()),
        ("mem_bw_schema", line("MB").into()),
        ("schemata", lines.clone().into()),
    ])
}

/// By page size; reserved pages where the kernel counts them.
fn huge_pages(files: &Files<'_>) -> Value {
    let sizes = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let sizes = sizes.filter_map(|entry| page_size(&entry.file_name().to_string_lossy()));
    let old = crate::cgroup::v1(files.cgroup, "hugetlb").is_some();
    let (used, most) = if old { ("usage_in_bytes", "max_usage_in_bytes") } else { ("current", "") };
    let read = |size: &str| {
        [".rsvd", ""].iter().find_map(|kind| {
            let file = |what: &str| files.number("hugetlb", &format!("hugetlb.{size}{kind}.{what}"));
            let usage = file(used)?;
            let failures = match old {
                true => file("failcnt").unwrap_or(0),
                false => files.rows("hugetlb", &format!("hugetlb.{size}.events")).get("max"),
            };
            let value = object([("usage", usage.into()), ("max", file(most).unwrap_or(0).into())]);
            Some(with(value, "failcnt", failures))
        })
    };
    let all = sizes.filter_map(|size| read(&size).map(|value| (size, value)));
    all.collect::<Map<String, Value>>().into()
}

/// `hugepages-2048kB` as the kernel's files of cgroups have it: `2MB`.
fn page_size(name: &str) -> Option<String> {
    let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        0..1024 => format!("{kilobytes}KB"),
        1024..1_048_576 => format!("{}MB", kilobytes >> 10),
        _ => format!("{}GB", kilobytes >> 20),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (name, size) in
            [("hugepages-64kB", "64KB"), ("hugepages-2048kB", "2MB"), ("hugepages-1048576kB", "1GB")]
        {
            assert_eq!(page_size(name).as_deref(), Some(size));
        }
        assert_eq!(page_size("x"), None);
        let directory = std::env::temp_dir().join(format!("berth-stats-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("schemata"), "    L3:0=ff;1=f\n    MB:0=70\n").unwrap();
        let class_of = protocol::plan::Class { path: directory.display().to_string(), ..Default::default() };
        let prepare = vec![protocol::plan::Step { act: Some(Act::Class(class_of)) }];
        let said = class(&Plan { prepare, ..Plan::default() });
        std::fs::remove_dir_all(&directory).unwrap();
        let lines = json!(["L3:0=ff;1=f", "MB:0=70"]);
        assert_eq!(said, json!({"l3_cache_schema": lines[0], "mem_bw_schema": lines[1], "schemata": lines}));
        assert_eq!(class(&Plan::default()), json!({}));
        assert_eq!(block_row("8:1 Read 7"), Some(json!({"major": 8, "minor": 1, "op": "Read", "value": 7})));
        assert_eq!(block_row("Total 7"), None);
        assert_eq!(entry(0, 0, 0, u64::MAX), json!({"failcnt": 0, "limit": u64::MAX}));
    }
}
