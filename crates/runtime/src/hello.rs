//! The `hello` applet: a container looks at itself and prints what it was given, beside the host's namespaces.

use std::fmt::Write;

use crate::kernel::read_file;

const KINDS: [&str; 8] = ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup", "time"];

/// What `hello fill-memory` does: takes memory until the limit bites.
pub fn fill_memory() -> ! {
    const PIECE: usize = 1 << 20;
    println!("taking memory until the limit bites");
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; PIECE]);
    }
}

/// The table. `variable` reads the environment: `BERTH_HOST_NS_<kind>` and `BERTH_STARTED_NS`; `now_ns` is the time since the epoch.
pub fn table(variable: &dyn Fn(&str) -> Option<String>, now_ns: u128) -> String {
    let mut text = String::from("\nHello from a Berth container.\n\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14}{value}");
    };
    row("process", &format!("pid {}", rustix::process::getpid().as_raw_pid()));
    row("hostname", &rustix::system::uname().nodename().to_string_lossy());
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    row("user", &format!("uid {uid}, gid {gid}"));
    row("address", &address());
    row("root", &root());
    row(
        "memory limit",
        &limit("memory", "memory.limit_in_bytes", "memory.max").map_or_else(unlimited, bytes),
    );
    row("cpu limit", &cpus());
    row("pids limit", &limit("pids", "pids.max", "pids.max").map_or_else(unlimited, |n| n.to_string()));
    if let Some(started) = variable("BERTH_STARTED_NS").and_then(|t| t.parse::<u128>().ok()) {
        let micros = now_ns.saturating_sub(started) / 1000;
        row("started in", &format!("{}.{} ms", micros / 1000, micros / 100 % 10));
    }
    let _ = writeln!(text, "\n  {:<14}{:<16}on the host", "namespace", "here");
    for kind in KINDS {
        let Ok(link) = rustix::fs::readlink(format!("/proc/self/ns/{kind}"), Vec::new()) else { continue };
        let here = inode(&link.to_string_lossy());
        let host = variable(&format!("BERTH_HOST_NS_{kind}")).map(|h| inode(&h));
        let (host, mark) = match host {
            Some(host) if host == here => (host, "  shared"),
            Some(host) => (host, ""),
            None => ("?".to_owned(), ""),
        };
        let _ = writeln!(text, "  {kind:<14}{here:<16}{host}{mark}");
    }
    text.push('\n');
    text
}

/// `mnt:[4026531841]` → `4026531841`.
fn inode(link: &str) -> String {
    link.chars().filter(char::is_ascii_digit).collect()
}

fn unlimited() -> String {
    "none".into()
}

fn bytes(bytes: u64) -> String {
    types::print_bytes(bytes)
}

/// A limit from the container's own cgroup mount; v1's "none" is a number near the largest.
fn limit(controller: &str, v1: &str, v2: &str) -> Option<u64> {
    let text = read_file(&format!("/sys/fs/cgroup/{controller}/{v1}"))
        .or_else(|_| read_file(&format!("/sys/fs/cgroup/{v2}")))
        .ok()?;
    text.trim().parse().ok().filter(|n| *n < 1 << 60)
}

fn cpus() -> String {
    let v1 = |file: &str| read_file(&format!("/sys/fs/cgroup/cpu/{file}")).ok()?.trim().parse::<f64>().ok();
    let pair = v1("cpu.cfs_quota_us").zip(v1("cpu.cfs_period_us")).or_else(|| {
        let text = read_file("/sys/fs/cgroup/cpu.max").ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some((quota.parse().ok()?, period.parse().ok()?))
    });
    match pair {
        Some((quota, period)) if quota > 0.0 => format!("{} CPUs", quota / period),
        _ => unlimited(),
    }
}

fn root() -> String {
    let mounts = read_file("/proc/self/mountinfo").unwrap_or_default();
    let line = mounts.lines().find(|l| l.split(' ').nth(4) == Some("/"));
    let kind = line.and_then(|l| l.split_once(" - ")).and_then(|(_, r)| r.split(' ').next());
    format!("{}, its own", kind.unwrap_or("?"))
}

/// The first address that is not loopback, from the kernel's table of local routes.
fn address() -> String {
    let table = read_file("/proc/net/fib_trie").unwrap_or_default();
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    let local = lines.windows(2).filter(|pair| pair[1].contains("host LOCAL"));
    let mut addresses = local.filter_map(|pair| pair[0].strip_prefix("|-- "));
    addresses.find(|a| !a.starts_with("127.")).map_or_else(|| "loopback only".into(), str::to_owned)
}
