//! Conditions on arguments. Arguments are 64 bits wide and the machine 32, so each is tested in two halves.

use oci::runtime::{LinuxSeccompArg, LinuxSeccompOperator as Operator};

use super::Branch;
use super::assembler::{Assembler, Label, Test};

/// Offset of the first argument in `struct seccomp_data`.
const ARGUMENTS: u32 = 16;

/// One half of an argument and of what it is compared with.
struct Half {
    offset: u32,
    value: u32,
    mask: u32,
}

/// Emits the test of one condition; answers where it begins.
pub(super) fn emit(assembler: &mut Assembler, arg: &LinuxSeccompArg, branch: Branch) -> Label {
    let swapped = Branch { yes: branch.no, no: branch.yes };
    match arg.op {
        Operator::Equal => emit_equal(assembler, arg, u64::MAX, arg.value, branch),
        Operator::NotEqual => emit_equal(assembler, arg, u64::MAX, arg.value, swapped),
        Operator::MaskedEqual => emit_equal(assembler, arg, arg.value, arg.value_two, branch),
        Operator::GreaterOrEqual => emit_order(assembler, arg, Test::GreaterOrEqual, branch),
        Operator::Greater => emit_order(assembler, arg, Test::Greater, branch),
        Operator::Less => emit_order(assembler, arg, Test::GreaterOrEqual, swapped),
        Operator::LessOrEqual => emit_order(assembler, arg, Test::Greater, swapped),
    }
}

/// `argument & mask == value & mask`
fn emit_equal(
    assembler: &mut Assembler,
    arg: &LinuxSeccompArg,
    mask: u64,
    value: u64,
    branch: Branch,
) -> Label {
    let [high, low] = halves(arg.index, value & mask, mask);
    let after_high = emit_half(assembler, &low, branch);
    emit_half(assembler, &high, Branch { yes: after_high, no: branch.no })
}

fn emit_half(assembler: &mut Assembler, half: &Half, branch: Branch) -> Label {
    if half.mask == 0 {
        return branch.yes;
    }
    let mut label = assembler.jump_if(Test::Equal, half.value, branch.yes, branch.no);
    if half.mask != u32::MAX {
        label = assembler.and(half.mask, label);
    }
    assembler.load(half.offset, label)
}

/// `argument > value`, or `>=`: `test` decides when the high halves are equal.
fn emit_order(assembler: &mut Assembler, arg: &LinuxSeccompArg, test: Test, branch: Branch) -> Label {
    let [high, low] = halves(arg.index, arg.value, u64::MAX);
    let low_test = assembler.jump_if(test, low.value, branch.yes, branch.no);
    let low_load = assembler.load(low.offset, low_test);
    let equal = assembler.jump_if(Test::Equal, high.value, low_load, branch.no);
    let greater = assembler.jump_if(Test::Greater, high.value, branch.yes, equal);
    assembler.load(high.offset, greater)
}

/// The high and the low half; which comes first in memory is the machine's byte order.
fn halves(index: u32, value: u64, mask: u64) -> [Half; 2] {
    let start = ARGUMENTS + index * 8;
    let (high, low) = if cfg!(target_endian = "big") { (start, start + 4) } else { (start + 4, start) };
    [
        Half { offset: high, value: (value >> 32) as u32, mask: (mask >> 32) as u32 },
        Half { offset: low, value: value as u32, mask: mask as u32 },
    ]
}
