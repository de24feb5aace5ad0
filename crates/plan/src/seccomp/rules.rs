//! From the document's rules to a decision for every system call number of an architecture.

use oci::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSyscall};

use super::Arch;
use super::arch::{WRONG_ARCHITECTURE, X32_BIT};
use super::multiplex::multiplexed;
use super::syscalls::{COUNT, Row, row};

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

/// A name in a rule, looked up once for all architectures.
struct Named<'a> {
    rule: &'a LinuxSyscall,
    name: &'a str,
    row: &'static Row,
    verdict: u32,
}

/// The document's rules, with the names that are known.
pub(super) struct Rules<'a> {
    named: Vec<Named<'a>>,
    default: Decision,
    /// The default refuses, so what is newer than the document should fail with `ENOSYS` instead.
    refuses: bool,
}

impl<'a> Rules<'a> {
    /// Looks the names up.
    pub(super) fn of(document: &'a LinuxSeccomp) -> Self {
        let mut named = Vec::with_capacity(COUNT);
        for rule in &document.syscalls {
            let verdict = verdict(rule.action, rule.errno_ret);
            let known = rule.names.iter().filter_map(|name| Some((name, row(name)?)));
            named.extend(known.map(|(name, row)| Named { rule, name, row, verdict }));
        }
        Self {
            named,
            default: Decision::always(verdict(document.default_action, document.default_errno_ret)),
            refuses: refuses(document.default_action),
        }
    }

    /// The whole space of numbers, cut into ranges, for architectures that share one architecture number.
    pub(super) fn ranges(&self, arches: &[Arch]) -> Vec<Range> {
        let mut ranges = Vec::new();
        for arch in arches {
            let mut free = arch.first();
            let decisions = self.decisions(*arch);
            for (number, decision) in decisions.decided {
                if number > free {
                    push(&mut ranges, free, &self.default);
                }
                push(&mut ranges, number, &decision);
                free = number + 1;
            }
            if decisions.last.is_none_or(|last| last >= free) {
                push(&mut ranges, free, &self.default);
            }
            if let Some(last) = decisions.last.filter(|_| self.refuses) {
                push(&mut ranges, last + 1, &Decision::always(errno(ENOSYS)));
            } else {
                push(&mut ranges, decisions.last.map_or(free, |last| last + 1), &self.default);
            }
        }
        if arches == [Arch::X86_64] {
            push(&mut ranges, X32_BIT, &Decision::always(WRONG_ARCHITECTURE));
            // -1 is what a tracer writes to skip a call.
            push(&mut ranges, u32::MAX, &self.default);
        }
        ranges
    }

    fn decisions(&self, arch: Arch) -> Decisions {
        let mut last = None;
        let mut found: Vec<(u32, &Named<'_>, Option<LinuxSeccompArg>)> = Vec::with_capacity(self.named.len());
        for named in &self.named {
            let own = arch.number_in(named.row).map(|number| (number, named, None));
            let multiplexed = (arch == Arch::X86).then(|| multiplexed(named.name)).flatten();
            let shared = multiplexed.map(|(number, condition)| (number, named, Some(condition)));
            for call in own.into_iter().chain(shared) {
                last = last.max(Some(call.0));
                if named.verdict != self.default.otherwise {
                    found.push(call);
                }
            }
        }
        // Stable: the document's order stays among rules for one number.
        found.sort_by_key(|(number, ..)| *number);
        let mut decided: Vec<(u32, Decision)> = Vec::with_capacity(found.len());
        for (number, named, shared) in found {
            if decided.last().is_none_or(|(decided, _)| *decided != number) {
                decided.push((number, self.default.clone()));
            }
            let conjunctions =
                shared.map_or_else(|| conjunctions(named.rule), |condition| vec![vec![condition]]);
            if let Some((_, decision)) = decided.last_mut() {
                add(decision, conjunctions, named.verdict, &self.default);
            }
        }
        Decisions { decided, last }
    }
}

/// Decisions by number, ascending, and the highest number that the document names.
struct Decisions {
    decided: Vec<(u32, Decision)>,
    last: Option<u32>,
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
