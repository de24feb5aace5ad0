//! When the program gets processors and disks: scheduling policy, I/O priority, and its execution domain.

use oci::runtime::{
    CpuAffinity, LinuxIoPriority, LinuxMemoryPolicy, LinuxPersonality, Scheduler as Document,
};
use protocol::plan::{Affinity, MemoryPolicy, Scheduler};

use super::number_list;
use crate::Error;

/// Policies of sched(7), with their numbers. `SCHED_ISO` was never in Linux.
const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", OTHER),
    ("SCHED_FIFO", FIFO),
    ("SCHED_RR", RR),
    ("SCHED_BATCH", BATCH),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", DEADLINE),
];
const OTHER: u32 = 0;
const FIFO: u32 = 1;
const RR: u32 = 2;
const BATCH: u32 = 3;
const DEADLINE: u32 = 6;

const FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// Reads `process.scheduler`.
pub(super) fn scheduler(document: &Document) -> Result<Scheduler, Error> {
    let refused = |why: String| Err(Error::invalid(format!("process.scheduler: {why}")));
    let Some((_, policy)) = POLICIES.iter().find(|(name, _)| *name == document.policy) else {
        return refused(format!("{:?} is not a policy", document.policy));
    };
    let mut flags = 0;
    for flag in &document.flags {
        match FLAGS.iter().find(|(name, _)| name == flag) {
            Some((_, bit)) => flags |= bit,
            None => return refused(format!("{flag:?} is not a flag")),
        }
    }
    // Other policies have no use for it, and the kernel does not look.
    if matches!(*policy, OTHER | BATCH) && !(-20..=19).contains(&document.nice) {
        return refused(format!("nice {} is not within -20 and 19", document.nice));
    }
    if document.priority != 0 && !matches!(*policy, FIFO | RR) {
        return refused(format!("priority has no meaning for {}", document.policy));
    }
    let times = [document.runtime, document.deadline, document.period];
    if *policy != DEADLINE && times != [0; 3] {
        return refused(format!("runtime, deadline and period have no meaning for {}", document.policy));
    }
    let Ok(priority) = u32::try_from(document.priority) else {
        return refused(format!("priority {} is negative", document.priority));
    };
    let [runtime_ns, deadline_ns, period_ns] = times;
    Ok(Scheduler {
        policy: *policy,
        flags,
        nice: document.nice,
        priority,
        runtime_ns,
        deadline_ns,
        period_ns,
    })
}

/// Reads `process.ioPriority` into the kernel's one number.
pub(super) fn io_priority(document: &LinuxIoPriority) -> Result<u32, Error> {
    const CLASS_SHIFT: u32 = 13;
    let class = match document.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => {
            return Err(Error::invalid(format!("process.ioPriority: {other:?} is not a class")));
        }
    };
    let level = u32::try_from(document.priority).ok().filter(|level| *level <= 7).ok_or_else(|| {
        Error::invalid(format!("process.ioPriority: priority {} is not within 0 and 7", document.priority))
    })?;
    Ok(class << CLASS_SHIFT | level)
}

/// Reads `linux.personality`; what every process has anyway is no change.
pub(super) fn personality(document: Option<&LinuxPersonality>) -> Result<Option<u32>, Error> {
    const LINUX32: u32 = 0x0008;
    let Some(document) = document else { return Ok(None) };
    if let Some(flag) = document.flags.first() {
        return Err(Error::invalid(format!("linux.personality: {flag:?} is not a flag")));
    }
    match document.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(LINUX32)),
        other => Err(Error::invalid(format!("linux.personality: {other:?} is not a domain"))),
    }
}

/// Reads `process.execCPUAffinity`.
pub(super) fn affinity(document: &CpuAffinity) -> Result<Affinity, Error> {
    let read = |field: &str, list: &str| {
        number_list::read(list)
            .map_err(|why| Error::invalid(format!("process.execCPUAffinity.{field} {list:?}: {why}")))
    };
    Ok(Affinity { initial: read("initial", &document.initial)?, last: read("final", &document.final_)? })
}

/// Modes of set_mempolicy(2), at their numbers.
pub const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// Flags of set_mempolicy(2).
pub const MEMORY_FLAGS: [(&str, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

/// Reads `linux.memoryPolicy`.
pub(super) fn memory_policy(document: Option<&LinuxMemoryPolicy>) -> Result<Option<MemoryPolicy>, Error> {
    let Some(document) = document else { return Ok(None) };
    let refused = |why: String| Err(Error::invalid(format!("linux.memoryPolicy: {why}")));
    let Some(mode) = MEMORY_MODES.iter().position(|mode| *mode == document.mode) else {
        return refused(format!("invalid memory policy mode {:?}", document.mode));
    };
    let mut bits = mode as u32;
    for flag in &document.flags {
        match MEMORY_FLAGS.iter().find(|(name, _)| name == flag) {
            Some((_, bit)) => bits |= bit,
            None => return refused(format!("invalid memory policy flag {flag:?}")),
        }
    }
    let nodes = match number_list::read(&document.nodes) {
        Ok(nodes) => nodes,
        Err(why) => return refused(format!("invalid memory policy nodes {:?}: {why}", document.nodes)),
    };
    let count: u32 = nodes.iter().map(|word| word.count_ones()).sum();
    match document.mode.as_str() {
        "MPOL_DEFAULT" | "MPOL_LOCAL" if count > 0 => {
            refused(format!("{}: mode requires 0 nodes but got {count}", document.mode))
        }
        // The kernel takes either.
        "MPOL_DEFAULT" | "MPOL_LOCAL" | "MPOL_PREFERRED" => Ok(Some(MemoryPolicy { mode: bits, nodes })),
        _ if count == 0 => refused(format!("{}: mode requires at least one node but got 0", document.mode)),
        _ => Ok(Some(MemoryPolicy { mode: bits, nodes })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check_scheduler(document: Value, expected: Result<(u32, u64, i32, u32), &str>) {
        let document: Document = serde_json::from_value(document).expect("a document");
        let read = scheduler(&document).map(|s| (s.policy, s.flags, s.nice, s.priority));
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (read, expected) => panic!("{read:?} is not {expected:?}"),
        }
    }

    #[test]
    fn schedulers() {
        check_scheduler(json!({"policy": "SCHED_BATCH", "nice": 19}), Ok((3, 0, 19, 0)));
        check_scheduler(
            json!({"policy": "SCHED_RR", "priority": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
            Ok((2, 1, 0, 5)),
        );
        check_scheduler(json!({"policy": "SCHED_ISO"}), Err("is not a policy"));
        check_scheduler(json!({"policy": "SCHED_OTHER", "flags": ["X"]}), Err("is not a flag"));
        check_scheduler(json!({"policy": "SCHED_IDLE", "nice": 77}), Ok((5, 0, 77, 0)));
        check_scheduler(json!({"policy": "SCHED_OTHER", "nice": 20}), Err("not within -20 and 19"));
        check_scheduler(json!({"policy": "SCHED_IDLE", "priority": 1}), Err("priority has no meaning"));
        check_scheduler(json!({"policy": "SCHED_RR", "priority": -1}), Err("is negative"));
        check_scheduler(json!({"policy": "SCHED_OTHER", "runtime": 1}), Err("have no meaning"));
    }

    #[test]
    fn memory_policies() {
        let read = |mode: &str, nodes: &str, flags: &[&str]| {
            let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let document = LinuxMemoryPolicy { mode: mode.into(), nodes: nodes.into(), flags };
            let policy = memory_policy(Some(&document)).map_err(|error| error.to_string())?;
            Ok::<_, String>(policy.map(|policy| (policy.mode, policy.nodes)))
        };
        assert_eq!(read("MPOL_BIND", "0-1", &["MPOL_F_STATIC_NODES"]), Ok(Some((0x8002, vec![3]))));
        assert_eq!(read("MPOL_DEFAULT", "", &[]), Ok(Some((0, vec![]))));
        assert_eq!(read("MPOL_PREFERRED", "", &[]), Ok(Some((1, vec![]))));
        for (mode, nodes, flags, why) in [
            ("", "", &[][..], "invalid memory policy mode"),
            ("INTERLEAVE", "0", &[], "invalid memory policy mode"),
            ("MPOL_BIND", "0", &["MPOL_F_MOON"], "invalid memory policy flag"),
            ("MPOL_BIND", "0-9876543210", &[], "invalid memory policy node"),
            ("MPOL_LOCAL", "0-7", &[], "mode requires 0 nodes but got 8"),
            ("MPOL_INTERLEAVE", "", &[], "mode requires at least one node"),
        ] {
            assert!(read(mode, nodes, flags).is_err_and(|e| e.contains(why)), "{mode} {nodes}");
        }
    }

    #[test]
    fn priorities_and_domains() {
        let io = |class: &str, priority| {
            io_priority(&LinuxIoPriority { class: class.into(), priority }).map_err(|e| e.to_string())
        };
        assert_eq!(io("IOPRIO_CLASS_BE", 4), Ok(2 << 13 | 4));
        assert!(io("IOPRIO_CLASS_NONE", 0).is_err_and(|e| e.contains("is not a class")));
        assert!(io("IOPRIO_CLASS_BE", 8).is_err_and(|e| e.contains("not within 0 and 7")));
        let domain = |domain: &str| {
            let document = LinuxPersonality { domain: domain.into(), flags: Vec::new() };
            personality(Some(&document)).map_err(|e| e.to_string())
        };
        assert_eq!((domain("LINUX"), domain("LINUX32")), (Ok(Some(0)), Ok(Some(8))));
        assert!(domain("BSD").is_err());
    }
}
