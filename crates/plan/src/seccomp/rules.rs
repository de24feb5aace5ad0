//! From the document's rules to a decision for every system call number of an architecture.

use std::collections::BTreeMap;

use oci::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};

use super::Arch;
use super::arch::{WRONG_ARCHITECTURE, X32_BIT};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// What happens with one system call number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// Conditions that all hold, and the verdict then; the first that matches wins.
    pub(super) cases: Vec<(Vec<LinuxSeccompArg>, u32)>,
    /// The verdict when none matches.
    pub(super) otherwise: u32,
}

impl Decision {
    fn always(verdict: u32) -> Self {
        Self { cases: Vec::new(), otherwise: verdict }
    }
}

/// A run of numbers, from `first` to the next range's, with the same decision.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) decision: Decision,
}

/// The whole space of numbers, cut into ranges, for architectures that share one architecture number.
pub(super) fn ranges(document: &LinuxSeccomp, arches: &[Arch]) -> Vec<Range> {
    let default = Decision::always(verdict(document.default_action, document.default_errno_ret));
    let mut ranges = Vec::new();
    for arch in arches {
        let mut free = arch.first();
        let rules = decisions(document, *arch, &default);
        for (number, decision) in rules.decided {
            if number > free {
                push(&mut ranges, free, &default);
            }
            push(&mut ranges, number, &decision);
            free = number + 1;
        }
        if rules.last.is_none_or(|last| last >= free) {
            push(&mut ranges, free, &default);
        }
        let newer = rules.last.filter(|_| refuses(document.default_action));
        let newer = newer.map_or(default.clone(), |_| Decision::always(errno(ENOSYS)));
        push(&mut ranges, rules.last.map_or(free, |last| last + 1), &newer);
    }
    if arches == [Arch::X86_64] {
        push(&mut ranges, X32_BIT, &Decision::always(WRONG_ARCHITECTURE));
        // -1 is what a tracer writes to skip a call.
        push(&mut ranges, u32::MAX, &default);
    }
    ranges
}

/// Decisions by number, and the highest number that the document names.
struct Rules {
    decided: BTreeMap<u32, Decision>,
    last: Option<u32>,
}

fn decisions(document: &LinuxSeccomp, arch: Arch, default: &Decision) -> Rules {
    let mut rules = Rules { decided: BTreeMap::new(), last: None };
    for rule in &document.syscalls {
        let verdict = verdict(rule.action, rule.errno_ret);
        let same_as_default = verdict == default.otherwise;
        for name in &rule.names {
            if let Some(number) = arch.number(name) {
                rules.last = rules.last.max(Some(number));
                if !same_as_default {
                    let decision = rules.decided.entry(number).or_insert_with(|| default.clone());
                    add(decision, conjunctions(rule), verdict, default);
                }
            }
            if let Some((number, condition)) = multiplexed(arch, name) {
                rules.last = rules.last.max(Some(number));
                if !same_as_default {
                    let decision = rules.decided.entry(number).or_insert_with(|| default.clone());
                    add(decision, vec![vec![condition]], verdict, default);
                }
            }
        }
    }
    rules
}

/// Adds a rule. One without conditions ends the matter; after that nothing is added.
fn add(decision: &mut Decision, conjunctions: Vec<Vec<LinuxSeccompArg>>, verdict: u32, default: &Decision) {
    if decision.cases.is_empty() && decision.otherwise != default.otherwise {
        return;
    }
    if conjunctions.is_empty() {
        *decision = Decision::always(verdict);
        return;
    }
    decision.cases.extend(conjunctions.into_iter().map(|conditions| (conditions, verdict)));
}

/// The rule's conditions: all must hold, except that several on the same argument are alternatives, each a rule
/// of its own (runc's reading, which profiles rely on).
fn conjunctions(rule: &LinuxSyscall) -> Vec<Vec<LinuxSeccompArg>> {
    let mut seen = [false; 6];
    let twice = rule.args.iter().any(|arg| std::mem::replace(&mut seen[arg.index as usize], true));
    if twice {
        rule.args.iter().map(|arg| vec![arg.clone()]).collect()
    } else if rule.args.is_empty() {
        Vec::new()
    } else {
        vec![rule.args.clone()]
    }
}

/// 32-bit x86 also reaches sockets and System V IPC through `socketcall` and `ipc`, whose first argument says which
/// call is meant. A rule for the call holds there too; its own conditions cannot (the arguments are in memory).
fn multiplexed(arch: Arch, name: &str) -> Option<(u32, LinuxSeccompArg)> {
    const SOCKET: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    if arch != Arch::X86 {
        return None;
    }
    if let Some(call) = SOCKET.iter().position(|socket| *socket == name) {
        let op = LinuxSeccompOperator::Equal;
        return Some((arch.number("socketcall")?, LinuxSeccompArg { value: call as u64 + 1, op, ..arg() }));
    }
    // The upper half of ipc's first argument is a version.
    let (_, call) = IPC.iter().find(|(ipc, _)| *ipc == name)?;
    let op = LinuxSeccompOperator::MaskedEqual;
    Some((arch.number("ipc")?, LinuxSeccompArg { value: 0xffff, value_two: *call, op, ..arg() }))
}

fn arg() -> LinuxSeccompArg {
    LinuxSeccompArg::default()
}

/// Whether a call that the document does not name fails, so that a newer one should fail with `ENOSYS` instead.
fn refuses(default: LinuxSeccompAction) -> bool {
    !matches!(default, LinuxSeccompAction::Allow | LinuxSeccompAction::Log | LinuxSeccompAction::Trace)
}

/// `SECCOMP_RET_…` with its data.
pub(super) fn verdict(action: LinuxSeccompAction, errno_ret: Option<u32>) -> u32 {
    let data = errno_ret.unwrap_or(EPERM) & 0xffff;
    match action {
        LinuxSeccompAction::Kill | LinuxSeccompAction::KillThread => 0,
        LinuxSeccompAction::KillProcess => 0x8000_0000,
        LinuxSeccompAction::Trap => 0x0003_0000,
        LinuxSeccompAction::Errno => errno(data),
        LinuxSeccompAction::Notify => 0x7fc0_0000,
        LinuxSeccompAction::Trace => 0x7ff0_0000 | data,
        LinuxSeccompAction::Log => 0x7ffc_0000,
        LinuxSeccompAction::Allow => 0x7fff_0000,
    }
}

const fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

/// Appends a range; one that decides as its neighbour melts into it.
fn push(ranges: &mut Vec<Range>, first: u32, decision: &Decision) {
    if ranges.last().is_none_or(|last| last.decision != *decision) {
        ranges.push(Range { first, decision: decision.clone() });
    }
}
