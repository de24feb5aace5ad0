//! Filters: ours and libseccomp's give the same verdicts.

use std::collections::{BTreeMap, BTreeSet};

use oci::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Operator,
    LinuxSyscall,
};
use plan::seccomp::{Arch, compile, read_profile};
use serde_json::json;

use crate::mutate::Random;
use crate::oracle;
use crate::targets::is_new;

/// System calls of x86-64 by name and number. The last has the highest number: above it a document's default is `ENOSYS`.
const CALLS: [(&str, u32); 8] = [
    ("read", 0),
    ("write", 1),
    ("open", 2),
    ("mmap", 9),
    ("socket", 41),
    ("clone", 56),
    ("personality", 135),
    ("statx", 332),
];
const AUDIT_X86_64: u32 = 0xc000_003e;
const ERRNO: u32 = 0x0005_0000;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}],
                "includes": {"caps": ["CAP_CHOWN"], "minKernel": "4.8", "arches": ["amd64"]}, "excludes": {}}]});
    vec![profile.to_string().into_bytes(), (0..=255).collect()]
}

/// Docker's profiles, with whatever they hold.
pub(crate) fn profile(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    match read_profile(&text, &["CAP_CHOWN"], (6, 1), Arch::X86_64) {
        Err(error) => is_new(&error.to_string()),
        Ok(None) => is_new("no filter"),
        Ok(Some(document)) => match compile(&document, Arch::X86_64) {
            Err(error) => is_new(&error.to_string()),
            Ok(program) => {
                assert!(program.filter.len().is_multiple_of(8) && program.filter.len() <= 4096 * 8);
                let verdicts: Vec<u32> = (0..500).map(|n| run(&program.filter, n, [0; 6])).collect();
                is_new(&format!("{verdicts:?}").replace(|c: char| c.is_ascii_digit(), "x"))
                    | is_new(&document.syscalls.len().to_string())
            }
        },
    }
}

/// A filter drawn from the input's bytes, compiled twice.
pub(crate) fn compare(input: &[u8]) -> bool {
    let seed = input.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut random = Random::new(seed);
    // Of several rules with conditions for one call, libseccomp 2.5.4 merges some wrongly: those are read word by word instead.
    let rules = *random.of(&[1, 3]);
    let document = draw(&mut random, rules);
    let ours = compile(&document, Arch::X86_64).expect("a filter that can be meant");
    let theirs = (rules == 1).then(|| oracle::program(&words(&document)).expect("libseccomp takes it, too"));
    let values = values(&document);
    for _ in 0..400 {
        let number = random.of(&CALLS).1 + u32::from(random.below(20) == 0);
        if number > 332 {
            continue;
        }
        let args = std::array::from_fn(|_| *random.of(&values));
        let ours = run(&ours.filter, number, args);
        let judged = judge(&document, number, &args);
        assert_eq!(
            ours, judged,
            "{ours:#x} is not {judged:#x}, as the words say, for {number} {args:x?} of {document:?}"
        );
        if let Some(theirs) = &theirs {
            let theirs = run(theirs, number, args);
            assert_eq!(
                ours, theirs,
                "{ours:#x} is not libseccomp's {theirs:#x} for {number} {args:x?} of {document:?}"
            );
        }
    }
    false
}

fn draw(random: &mut Random, rules: usize) -> LinuxSeccomp {
    let actions =
        [Action::Allow, Action::Errno, Action::KillProcess, Action::KillThread, Action::Trap, Action::Log];
    let operators = [
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Equal,
        Operator::GreaterOrEqual,
        Operator::Greater,
        Operator::MaskedEqual,
    ];
    let default_action = *random.of(&actions);
    let mut syscalls = vec![LinuxSyscall {
        names: vec!["statx".into()],
        action: different(default_action),
        ..LinuxSyscall::default()
    }];
    for (name, _) in &CALLS[..7] {
        // One action a call: of several with conditions that overlap, libseccomp promises no order.
        let (action, errno_ret) = {
            let action = *random.of(&actions);
            (action, errno(action, 1 + random.below(100) as u32))
        };
        for _ in 0..random.below(rules + 1) {
            let mut indexes: Vec<u32> = (0..6).filter(|_| random.below(3) == 0).collect();
            indexes.truncate(3);
            let args = indexes.into_iter().map(|index| {
                let op = *random.of(&operators);
                let (value, value_two) = (number(random), number(random));
                // Bits that the mask takes away can never be equal.
                let value_two = if op == Operator::MaskedEqual { value & value_two } else { 0 };
                LinuxSeccompArg { index, value, value_two, op }
            });
            let args = args.collect();
            syscalls.push(LinuxSyscall { names: vec![(*name).into()], action, errno_ret, args });
        }
    }
    LinuxSeccomp {
        default_action,
        default_errno_ret: errno(default_action, 38),
        syscalls,
        ..LinuxSeccomp::default()
    }
}

/// Only one action has a number.
fn errno(action: Action, number: u32) -> Option<u32> {
    (action == Action::Errno).then_some(number)
}

fn different(action: Action) -> Action {
    if action == Action::Allow { Action::Trap } else { Action::Allow }
}

fn number(random: &mut Random) -> u64 {
    let base = *random.of(&[
        0,
        1,
        7,
        0xff,
        0x8000_0000,
        0xffff_ffff,
        1 << 32,
        0xffff_ffff_0000_0000,
        u64::MAX,
        1 << 63,
    ]);
    match random.below(4) {
        0 => random.next(),
        1 => base.wrapping_add(1),
        2 => base.wrapping_sub(1),
        _ => base,
    }
}

/// What conditions compare with, and what lies beside.
fn values(document: &LinuxSeccomp) -> Vec<u64> {
    let mut values = BTreeSet::from([0, 1, u64::MAX, 1 << 32, 0xffff_ffff]);
    for arg in document.syscalls.iter().flat_map(|rule| &rule.args) {
        for value in [arg.value, arg.value_two] {
            values.extend([
                value,
                value.wrapping_add(1),
                value.wrapping_sub(1),
                value ^ (1 << 32),
                !value,
                value | !arg.value,
            ]);
        }
    }
    values.into_iter().collect()
}

fn verdict(action: Action, errno: Option<u32>) -> u32 {
    match action {
        Action::Allow => 0x7fff_0000,
        Action::Errno => ERRNO | errno.unwrap_or(1),
        Action::KillProcess => 0x8000_0000,
        Action::Trap => 0x0003_0000,
        Action::Log => 0x7ffc_0000,
        _ => 0,
    }
}

/// What the document's words say.
fn judge(document: &LinuxSeccomp, number: u32, args: &[u64; 6]) -> u32 {
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
    let name = CALLS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name);
    let named = |rule: &&LinuxSyscall| name.is_some_and(|name| rule.names.iter().any(|n| n == name));
    let rule = document.syscalls.iter().filter(named).find(|rule| rule.args.iter().all(holds));
    match rule {
        Some(rule) => verdict(rule.action, rule.errno_ret),
        None => verdict(document.default_action, document.default_errno_ret),
    }
}

/// The filter in the oracle's words, as runc tells it to libseccomp.
fn words(document: &LinuxSeccomp) -> String {
    let numbers: BTreeMap<&str, u32> = CALLS.into_iter().collect();
    let default = verdict(document.default_action, document.default_errno_ret);
    let mut words = format!("default {default}\n");
    for rule in &document.syscalls {
        let action = verdict(rule.action, rule.errno_ret);
        for number in
            rule.names.iter().filter_map(|name| numbers.get(name.as_str())).filter(|_| action != default)
        {
            words.push_str(&format!("rule {action} {number} {}", rule.args.len()));
            for arg in &rule.args {
                words.push_str(&format!(
                    " {} {} {} {}",
                    arg.index,
                    arg.op as u32 + 1,
                    arg.value,
                    arg.value_two
                ));
            }
            words.push('\n');
        }
    }
    words + "end\n"
}

/// Runs a classic BPF program on a call of x86-64.
fn run(program: &[u8], number: u32, args: [u64; 6]) -> u32 {
    let word = |offset: u32| match offset {
        0 => number,
        4 => AUDIT_X86_64,
        _ => {
            let arg = args[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) { arg as u32 } else { (arg >> 32) as u32 }
        }
    };
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let raw = &program[at * 8..at * 8 + 8];
        let code = u16::from_ne_bytes([raw[0], raw[1]]);
        let k = u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]);
        let branch = |taken: bool| usize::from(if taken { raw[2] } else { raw[3] });
        at += 1;
        match code {
            0x20 => accumulator = word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x45 => at += branch(accumulator & k != 0),
            0x06 => return k,
            _ => panic!("instruction {code:#x} is not expected"),
        }
    }
}
