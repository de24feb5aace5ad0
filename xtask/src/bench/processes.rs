//! What processes and the kernel hold in memory, from `/proc`.

use std::collections::BTreeMap;

/// One process. Sizes in KiB.
pub(super) struct Held {
    pub(super) name: String,
    pub(super) rss: u64,
    /// Its share of memory: pages that several have count once among them.
    pub(super) pss: u64,
    /// Page tables and kernel stacks of its threads.
    pub(super) kernel: u64,
}

/// KiB of a thread's stack in the kernel, on x86 and arm64.
const STACK: u64 = 16;

/// Every process of this pid namespace, by pid.
pub(super) fn all() -> BTreeMap<u32, Held> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, held(pid)?))).collect()
}

fn held(pid: u32) -> Option<Held> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let name = String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned();
    let sizes = fields(&std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?);
    let status = fields(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    let kernel = status.get("VmPTE")? + status.get("Threads")? * STACK;
    Some(Held { name, rss: *sizes.get("Rss")?, pss: *sizes.get("Pss")?, kernel })
}

/// What the kernel says of all memory, in KiB.
pub(super) fn meminfo() -> BTreeMap<String, u64> {
    fields(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default())
}

const SLABS: &str = "/sys/kernel/slab";

/// Gives back slabs without an object, and those that processors keep at hand.
pub(super) fn shrink_slabs() {
    for cache in std::fs::read_dir(SLABS).into_iter().flatten().flatten() {
        let _ = std::fs::write(cache.path().join("shrink"), "1");
    }
}

/// KiB of free objects in slabs that cannot be reclaimed (slabinfo(5)).
pub(super) fn free_objects() -> u64 {
    let text = std::fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let bytes = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let mut number = || words.next()?.parse::<u64>().ok();
        let (active, all, size) = (number()?, number()?, number()?);
        let reclaimable = std::fs::read_to_string(format!("{SLABS}/{name}/reclaim_account")).ok()?;
        (reclaimable.trim() == "0").then_some(all.saturating_sub(active) * size)
    });
    bytes.sum::<u64>() / 1024
}

/// Lines of the form `Name:   123 kB`.
fn fields(text: &str) -> BTreeMap<String, u64> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.split_whitespace().next()?.parse().ok()?))
    };
    text.lines().filter_map(field).collect()
}
