//! The compiled tree against a naive reading of the rules, by an interpreter for classic BPF.

use std::collections::BTreeSet;

use oci::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Operator,
    LinuxSyscall,
};
use serde_json::json;

use super::syscalls::{SYSCALLS, row};
use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const ALL: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];

/// What the kernel hands a filter.
#[derive(Clone, Copy, Debug)]
struct Call {
    number: u32,
    audit: u32,
    args: [u64; 6],
}

/// Runs the program; answers its verdict and the number of instructions on the way.
fn run(program: &Program, call: &Call) -> (u32, usize) {
    let word = |offset: u32| match offset {
        0 => call.number,
        4 => call.audit,
        _ => {
            let arg = call.args[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
        }
    };
    let (mut at, mut steps, mut accumulator) = (0, 0, 0);
    loop {
        let raw = &program.filter[at * 8..at * 8 + 8];
        let code = u16::from_ne_bytes([raw[0], raw[1]]);
        let k = u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]);
        let branch = |taken: bool| usize::from(if taken { raw[2] } else { raw[3] });
        steps += 1;
        at += 1;
        match code {
            0x20 => accumulator = word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x06 => return (k, steps),
            _ => panic!("instruction {code:#x} is not one of ours"),
        }
    }
}

/// An architecture with the numbers that each rule of the document means there.
struct Reading {
    arch: Arch,
    meant: Vec<BTreeSet<u32>>,
    last: Option<u32>,
}

fn read(document: &LinuxSeccomp, native: Arch) -> Vec<Reading> {
    let numbers =
        |arch: Arch, rule: &LinuxSyscall| rule.names.iter().filter_map(|name| number(arch, name)).collect();
    let reading = |arch| {
        let meant: Vec<BTreeSet<u32>> = document.syscalls.iter().map(|rule| numbers(arch, rule)).collect();
        Reading { arch, last: meant.iter().flatten().max().copied(), meant }
    };
    arch::listed(document, native).unwrap().into_iter().map(reading).collect()
}

/// The rules read one by one, as the document's words say.
fn judge(document: &LinuxSeccomp, readings: &[Reading], call: &Call) -> u32 {
    let default = rules::verdict(document.default_action, document.default_errno_ret);
    let x86_64 = call.audit == Arch::X86_64.audit();
    let x32 = x86_64 && call.number >= arch::X32_BIT;
    let same = |reading: &&Reading| reading.arch.audit() == call.audit && (reading.arch == Arch::X32) == x32;
    let Some(reading) = readings.iter().find(same) else {
        let skipped = call.number == u32::MAX && readings.iter().any(|r| r.arch.audit() == call.audit);
        return if skipped { default } else { 0 };
    };
    if matches!(document.default_action, Action::Errno) && reading.last.is_some_and(|last| call.number > last)
    {
        return ENOSYS;
    }
    let verdict = |rule: &LinuxSyscall| rules::verdict(rule.action, rule.errno_ret);
    let rules = document.syscalls.iter().zip(&reading.meant);
    let named = rules.filter(|(_, meant)| meant.contains(&call.number)).map(|(rule, _)| rule);
    let mut candidates = named.filter(|rule| verdict(rule) != default);
    if let Some(rule) = candidates.clone().find(|rule| rule.args.is_empty()) {
        return verdict(rule);
    }
    candidates.find(|rule| matches(&rule.args, &call.args)).map_or(default, verdict)
}

fn matches(conditions: &[LinuxSeccompArg], args: &[u64; 6]) -> bool {
    let holds = |c: &LinuxSeccompArg| {
        let arg = args[c.index as usize];
        match c.op {
            Operator::Equal => arg == c.value,
            Operator::NotEqual => arg != c.value,
            Operator::Less => arg < c.value,
            Operator::LessOrEqual => arg <= c.value,
            Operator::Greater => arg > c.value,
            Operator::GreaterOrEqual => arg >= c.value,
            Operator::MaskedEqual => arg & c.value == c.value_two,
        }
    };
    let indexes: BTreeSet<u32> = conditions.iter().map(|c| c.index).collect();
    if indexes.len() < conditions.len() { conditions.iter().any(holds) } else { conditions.iter().all(holds) }
}

/// Interesting values around what the document compares with.
fn probes(document: &LinuxSeccomp) -> Vec<[u64; 6]> {
    let mut values = BTreeSet::from([0, 1, u64::MAX, 0xffff_ffff, 1 << 32, 0x7e02_0000, 0x1000_0000]);
    for arg in document.syscalls.iter().flat_map(|rule| &rule.args) {
        for value in [arg.value, arg.value_two] {
            values.extend([value, value.wrapping_add(1), value.wrapping_sub(1), value ^ (1 << 32), !value]);
        }
    }
    let same = values.iter().map(|value| [*value; 6]);
    let first = values.iter().map(|value| [*value, 0, 0, 0, 0, 0]);
    same.chain(first).collect()
}

/// Every number that any table has, its neighbours, and the odd ones.
fn numbers() -> BTreeSet<u32> {
    let mut numbers = BTreeSet::from([u32::MAX, u32::MAX - 1, 0x8000_0000, 0x3fff_ffff]);
    for arch in ALL {
        for number in SYSCALLS.iter().filter_map(|row| number(arch, row.0)) {
            numbers.extend([number, number.wrapping_sub(1), number + 1, number | arch::X32_BIT]);
        }
    }
    numbers
}

/// Compares tree and reading for all numbers; answers the longest path.
fn check(document: &LinuxSeccomp, native: Arch) -> usize {
    check_numbers(document, native, numbers())
}

/// Compares tree and reading for these numbers, all probes and architectures; answers the longest path.
fn check_numbers(document: &LinuxSeccomp, native: Arch, numbers: BTreeSet<u32>) -> usize {
    let program = compile(document, native).unwrap();
    let readings = read(document, native);
    let probes = probes(document);
    let conditional = document.syscalls.iter().filter(|rule| !rule.args.is_empty());
    let looked_at: BTreeSet<u32> = conditional
        .flat_map(|rule| rule.names.iter().flat_map(|name| ALL.map(|arch| number(arch, name))))
        .chain([number(Arch::X86, "socketcall"), number(Arch::X86, "ipc")])
        .flatten()
        .collect();
    let mut longest = 0;
    for number in numbers {
        for audit in ALL.map(Arch::audit).into_iter().chain([0xc000_003f]) {
            // Arguments matter only where a rule looks at them.
            let looks = looked_at.contains(&number);
            for args in &probes[..if looks { probes.len() } else { 2 }] {
                let call = Call { number, audit, args: *args };
                let (verdict, steps) = run(&program, &call);
                let wanted = judge(document, &readings, &call);
                assert_eq!(verdict, wanted, "{verdict:#x} is not {wanted:#x} for {call:#x?}");
                longest = longest.max(steps);
            }
        }
    }
    longest
}

/// The number of a name on an architecture.
fn number(arch: Arch, name: &str) -> Option<u32> {
    arch.number_in(row(name)?)
}

fn document(value: serde_json::Value) -> LinuxSeccomp {
    serde_json::from_value(value).unwrap()
}

fn call(name: &str, args: [u64; 6]) -> Call {
    Call { number: number(Arch::X86_64, name).unwrap(), audit: Arch::X86_64.audit(), args }
}

/// The kernel's own count when it fills its cache: instructions up to a verdict or to the first look at an argument.
fn cache_cost(program: &Program, native: Arch) -> usize {
    (0..470).map(|number| run(program, &Call { number, audit: native.audit(), args: [0; 6] }).1).sum()
}

#[test]
fn the_default_profile_reads_as_its_rules_and_has_short_paths() {
    let cases: [(Arch, &[&str]); 3] = [
        (Arch::X86_64, &[]),
        (Arch::X86_64, &["CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_NICE"]),
        (Arch::Aarch64, &["CAP_SYS_CHROOT"]),
    ];
    for (native, caps) in cases {
        let profile = default_profile(caps, (6, 1), native);
        let longest = check(&profile, native);
        let program = compile(&profile, native).unwrap();
        let (length, cost) = (program.filter.len() / 8, cache_cost(&program, native));
        println!("{native:?}: {length} instructions, longest path {longest}, {cost} to fill the cache");
        assert!(longest <= 38 && length <= 450, "{native:?}: a path of {longest} in {length}");
        assert!(cost <= 470 * 12, "{native:?}: {cost} instructions to fill the cache");
    }
}

#[test]
fn the_default_profile_answers_as_dockers() {
    let default = compile(&default_profile(&["CAP_CHOWN"], (6, 1), Arch::X86_64), Arch::X86_64).unwrap();
    let admin = compile(&default_profile(&["CAP_SYS_ADMIN"], (6, 1), Arch::X86_64), Arch::X86_64).unwrap();
    for (name, first, plain, with_admin) in [
        ("read", 0, ALLOW, ALLOW),
        ("ptrace", 0, ALLOW, ALLOW),
        ("mount", 0, EPERM, ALLOW),
        ("unshare", 0, EPERM, ALLOW),
        ("clone3", 0, ENOSYS, ALLOW),
        ("clone", 0x1200_0011, EPERM, ALLOW),
        ("clone", 0x11, ALLOW, ALLOW),
        ("socket", 2, ALLOW, ALLOW),
        ("socket", 37, ALLOW, ALLOW),
        ("socket", 38, EPERM, EPERM),
        ("socket", 39, ALLOW, ALLOW),
        ("socket", 40, EPERM, EPERM),
        ("socket", 41, ALLOW, ALLOW),
        ("socket", 63, ALLOW, ALLOW),
        ("socket", 64, EPERM, EPERM),
        ("socket", 1 << 32 | 38, EPERM, EPERM),
        ("socket", 1 << 32 | 1, ALLOW, ALLOW),
        ("personality", 8, ALLOW, ALLOW),
        ("personality", 1, EPERM, EPERM),
        ("io_uring_setup", 0, EPERM, EPERM),
        ("keyctl", 0, EPERM, EPERM),
        ("pivot_root", 0, EPERM, EPERM),
        ("reboot", 0, EPERM, EPERM),
        ("removexattrat", 0, ALLOW, ALLOW),
        ("file_setattr", 0, ENOSYS, ENOSYS),
    ] {
        let call = call(name, [first, 0, 0, 0, 0, 0]);
        assert_eq!((run(&default, &call).0, run(&admin, &call).0), (plain, with_admin), "{name} {first:#x}");
    }
    let old = compile(&default_profile(&["CAP_CHOWN"], (4, 7), Arch::X86_64), Arch::X86_64).unwrap();
    assert_eq!(run(&old, &call("ptrace", [0; 6])).0, EPERM);
}

#[test]
fn every_operator_reads_both_halves() {
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    for (value, two) in
        [(5_u64, 1_u64), (0x2_0000_0005, 0x2_0000_0001), (u64::MAX, 0), (0xffff_ffff_0000_0000, 1 << 40)]
    {
        for op in operators {
            let document = document(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 3, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")}]},
                {"names": ["read", "write"], "action": "SCMP_ACT_LOG", "args": [
                    {"index": 0, "value": value, "op": "SCMP_CMP_GT"}, {"index": 5, "value": 7, "op": "SCMP_CMP_NE"}]}]}));
            check_numbers(&document, Arch::X86_64, BTreeSet::from([0, 1, 2, 3, 4]));
        }
    }
}

#[test]
fn rules_follow_libseccomps_order() {
    let arg = |index: u32, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let document = document(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [arg(0, 1)]},
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6},
        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7},
        {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 8, "args": [arg(0, 1), arg(0, 2), arg(1, 3)]},
        {"names": ["write"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["no_such_call"], "action": "SCMP_ACT_KILL"},
        {"names": ["connect"], "action": "SCMP_ACT_TRAP"}]}),
    );
    let program = compile(&document, Arch::X86_64).unwrap();
    let verdict = |name: &str, args: [u64; 6]| run(&program, &call(name, args)).0;
    assert_eq!(
        verdict("read", [1, 0, 0, 0, 0, 0]),
        0x0005_0006,
        "unconditional beats conditional, the first wins"
    );
    assert_eq!(verdict("write", [2, 0, 0, 0, 0, 0]), 0x0005_0008, "the same argument twice means either");
    assert_eq!(verdict("write", [0, 3, 0, 0, 0, 0]), 0x0005_0008);
    assert_eq!(verdict("write", [0; 6]), ALLOW);
    assert_eq!(verdict("close", [0; 6]), ALLOW);
    let number = number(Arch::X86, "socketcall").unwrap();
    let socketcall = |which| Call { number, audit: Arch::X86.audit(), args: [which, 0, 0, 0, 0, 0] };
    assert_eq!(run(&program, &socketcall(3)).0, 0x0003_0000, "connect is also reached by socketcall");
    assert_eq!(run(&program, &socketcall(2)).0, ALLOW);
}

#[test]
fn a_remembered_program_is_the_same() {
    let document = default_profile(&["CAP_KILL"], (6, 1), Arch::X86_64);
    let other = default_profile(&["CAP_BPF"], (6, 1), Arch::X86_64);
    let first = compile(&document, Arch::X86_64);
    assert_ne!(compile(&other, Arch::X86_64), first);
    assert_eq!(compile(&document, Arch::X86_64), first);
    assert_eq!(compile_anew(&document, Arch::X86_64), first);
}

#[test]
fn long_jumps_reach() {
    // Every other call is conditional, so that leaves are long and targets far.
    let names: Vec<&str> = SYSCALLS.iter().map(|row| row.0).step_by(2).take(90).collect();
    let rules: Vec<serde_json::Value> = names
        .iter()
        .zip(1..)
        .map(|(name, n)| {
            json!({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": n, "args": [
            {"index": 0, "value": n, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": n, "op": "SCMP_CMP_GE"}]})
        })
        .collect();
    check(&document(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})), Arch::X86_64);
}

/// What is said to be known is: each word alone makes a filter.
#[test]
fn every_known_word_is_taken() {
    for action in ACTIONS {
        let rule = json!({"names": ["mkdir"], "action": action});
        compile(&document(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})), Arch::X86_64)
            .unwrap();
    }
    for operator in OPERATORS {
        let arg = json!({"index": 0, "value": 1, "op": operator});
        let rule = json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY", "args": [arg]});
        for (flag, bit) in FLAGS {
            let program = compile(
                &document(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag], "syscalls": [rule]})),
                Arch::X86_64,
            );
            assert_eq!(program.unwrap().flags, bit | Program::NEW_LISTENER, "{flag}");
        }
    }
    let lonely = document(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}),
    );
    assert_eq!(compile(&lonely, Arch::X86_64).unwrap().flags, 0, "nobody listens, nobody waits");
    for arch in ALL {
        let program = document(json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch.name()]}));
        compile(&program, Arch::X86_64).unwrap();
    }
}

#[test]
fn refuses_what_cannot_be_meant() {
    let rule = |extra: serde_json::Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [extra]});
    for bad in [
        json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}),
        rule(json!({"names": ["read"], "action": "SCMP_ACT_TRAP", "errnoRet": 1})),
        rule(json!({"names": ["sendmsg"], "action": "SCMP_ACT_NOTIFY"})),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_MOON"]}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_MOON"]}),
        rule(json!({"names": ["write"], "action": "SCMP_ACT_NOTIFY"})),
        rule(
            json!({"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}),
        ),
    ] {
        let error = compile(&document(bad.clone()), Arch::X86_64).unwrap_err();
        assert_eq!(error.kind(), types::Kind::InvalidInput, "{bad}");
    }
    let program =
        compile(&document(rule(json!({"names": ["read"], "action": "SCMP_ACT_NOTIFY"}))), Arch::X86_64)
            .unwrap();
    assert_eq!(program.flags, Program::NEW_LISTENER);
}

#[test]
fn a_users_profile_is_resolved_for_this_host() {
    let read =
        |value: serde_json::Value| read_profile(&value.to_string(), &["CAP_CHOWN"], (6, 1), Arch::X86_64);
    let document = read(json!({"defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"name": "read", "action": "SCMP_ACT_ALLOW", "args": null},
            {"names": ["open"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL"]}},
            {"names": ["close"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN"], "arches": ["amd64"]}},
            {"names": ["stat"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
            {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}, "excludes": {}},
            {"names": ["dup2"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "6.2"}, "comment": "x"}]}));
    let document = document.unwrap().unwrap();
    assert_eq!(document.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    let names: Vec<&String> = document.syscalls.iter().flat_map(|rule| &rule.names).collect();
    assert_eq!(names, ["read", "close", "dup2"]);
    assert_eq!(read(json!({})), Ok(None));
    for bad in [
        json!([]),
        json!({"defaultAction": "MOON"}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
        "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_KILL"}]}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "SCMP_ACT_KILL", "includes": {"minKernel": "six"}}]}),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}
