//! Looking at containers while they run: logs, top, stats, events.

use std::collections::{BTreeMap, BTreeSet};

use dockerapi::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, Throttling,
    TopResult,
};

use crate::clock::{now_ns, rfc3339};
use crate::engine::{Engine, Inner, blocking};
use crate::events::{EventOptions, EventStream};
use crate::logs::{LogOptions, LogStream};
use crate::state::Record;
use crate::usage::{self, Io, Usage};
use crate::{Error, Result, top};

impl Engine {
    /// Reads a container's log.
    ///
    /// # Errors
    /// Unknown container, or one that keeps no log.
    pub async fn logs(&self, who: &str, options: LogOptions) -> Result<LogStream> {
        let entry = self.0.find(who)?;
        let record = entry.record();
        if record.log.off {
            return Err(Error::unimplemented("configured logging driver does not support reading"));
        }
        LogStream::open(&self.0.log_path(&record.id), options, record.config.tty, entry.phase())
    }

    /// Listens to events.
    ///
    /// # Errors
    /// An unknown filter.
    pub fn events(&self, options: EventOptions) -> Result<EventStream> {
        self.0.events.listen(options)
    }

    /// The container's processes, as the host's `ps` shows them.
    ///
    /// # Errors
    /// `Conflict` when it does not run; what `ps` says of its arguments.
    pub async fn top(&self, who: &str, arguments: &str) -> Result<TopResult> {
        let record = self.0.find(who)?.record();
        if !record.state.is_running() {
            return Err(Error::conflict(format!("container {} is not running", record.id)));
        }
        let (engine, arguments) = (self.clone(), arguments.to_owned());
        blocking(move || {
            let pids = engine.0.pids(&record);
            let table = top::run(&arguments, &pids)?;
            engine.0.tell(&record, "top", &[]);
            Ok(TopResult { processes: table.rows, titles: table.titles })
        })
        .await?
    }

    /// One sample of a container's counters.
    ///
    /// # Errors
    /// `Conflict` when it does not run.
    pub async fn stats(&self, who: &str) -> Result<Stats> {
        let record = self.0.find(who)?.record();
        if !record.state.is_running() {
            return Err(Error::conflict(format!("container {} is not running", record.id)));
        }
        let engine = self.clone();
        blocking(move || engine.0.sample(&record)).await
    }
}

impl Inner {
    /// Every process in the container's cgroup.
    fn pids(&self, record: &Record) -> BTreeSet<i32> {
        let cgroups = &self.host.facts.cgroups;
        let path = self.cgroup(&record.id);
        let mounts = ["pids", "memory", "cpu"].iter().filter_map(|c| cgroups.v1_of(c)).map(|h| &h.mount);
        let all = cgroups.v2.iter().map(|v2| &v2.mount).chain(mounts);
        let mut pids = BTreeSet::from([record.state.pid]);
        for mount in all {
            let list = std::fs::read_to_string(format!("{mount}{path}/cgroup.procs")).unwrap_or_default();
            pids.extend(list.lines().filter_map(|l| l.parse::<i32>().ok()));
        }
        pids
    }

    fn sample(&self, record: &Record) -> Stats {
        let usage = usage::gather(&self.host.facts, &self.cgroup(&record.id));
        let mut networks = BTreeMap::new();
        if let Some(network) = &record.network
            && let Some(bridge) = &self.network
            && let Ok(counters) = bridge.counters(&network.endpoint)
        {
            networks.insert("eth0".to_owned(), interface(&counters));
        }
        Stats {
            name: format!("/{}", record.name),
            id: record.id.clone(),
            read: rfc3339(now_ns()),
            pids_stats: PidsStats { current: usage.pids, limit: usage.pids_limit.unwrap_or(0) },
            blkio_stats: blkio(&usage.io),
            cpu_stats: self.cpu(&usage),
            memory_stats: self.memory(&usage),
            networks,
            ..Stats::default()
        }
    }

    fn cpu(&self, usage: &Usage) -> CpuStats {
        let cpu = &usage.cpu;
        CpuStats {
            cpu_usage: CpuUsage {
                total_usage: cpu.total_ns,
                percpu_usage: cpu.per_cpu_ns.clone(),
                usage_in_kernelmode: cpu.system_ns,
                usage_in_usermode: cpu.user_ns,
            },
            system_cpu_usage: self.host.system_cpu_ns(),
            online_cpus: self.host.cpus,
            throttling_data: Throttling {
                periods: cpu.periods,
                throttled_periods: cpu.throttled_periods,
                throttled_time: cpu.throttled_ns,
            },
        }
    }

    fn memory(&self, usage: &Usage) -> MemoryStats {
        let memory = &usage.memory;
        MemoryStats {
            usage: memory.usage,
            max_usage: memory.max_usage,
            stats: memory.stat.iter().cloned().collect(),
            failcnt: memory.failures,
            // Without a limit of its own it has the host's.
            limit: memory.limit.map_or(self.host.memory_bytes, |l| l.min(self.host.memory_bytes)),
        }
    }
}

/// The container's side of its pair of devices: what the host sent, it received.
fn interface(host: &net::Counters) -> NetworkStats {
    NetworkStats {
        rx_bytes: host.rx_bytes,
        rx_packets: host.rx_packets,
        rx_errors: host.rx_errors,
        rx_dropped: host.rx_dropped,
        tx_bytes: host.tx_bytes,
        tx_packets: host.tx_packets,
        tx_errors: host.tx_errors,
        tx_dropped: host.tx_dropped,
    }
}

fn blkio(io: &[Io]) -> BlkioStats {
    let list = |value: &dyn Fn(&Io) -> Option<u64>| -> Vec<BlkioEntry> {
        io.iter()
            .filter_map(|i| {
                Some(BlkioEntry { major: i.major, minor: i.minor, op: i.kind.clone(), value: value(i)? })
            })
            .collect()
    };
    BlkioStats {
        io_service_bytes_recursive: list(&|i| i.bytes),
        io_serviced_recursive: list(&|i| i.operations),
        ..BlkioStats::default()
    }
}
