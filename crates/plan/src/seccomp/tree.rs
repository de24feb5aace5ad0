//! A balanced tree of comparisons over the ranges of one architecture.

use super::assembler::{Assembler, Label, Test};
use super::rules::{Decision, Range};
use super::{Branch, condition};

/// Emits the tree for ranges that cover all numbers; answers where it begins. The accumulator holds the number.
pub(super) fn emit(assembler: &mut Assembler, ranges: &[Range]) -> Label {
    match ranges {
        [] => unreachable!("ranges cover all numbers"),
        [only] => emit_leaf(assembler, &only.decision),
        [before, hole, after] if after.first - hole.first == 1 && before.decision == after.decision => {
            let outside = emit_leaf(assembler, &before.decision);
            let inside = emit_leaf(assembler, &hole.decision);
            assembler.jump_if(Test::Equal, hole.first, inside, outside)
        }
        _ => {
            let middle = ranges.len() / 2;
            let upper = emit(assembler, &ranges[middle..]);
            let lower = emit(assembler, &ranges[..middle]);
            assembler.jump_if(Test::GreaterOrEqual, ranges[middle].first, upper, lower)
        }
    }
}

fn emit_leaf(assembler: &mut Assembler, decision: &Decision) -> Label {
    let mut next = assembler.ret(decision.otherwise);
    for (conditions, verdict) in decision.cases.iter().rev() {
        let mut yes = assembler.ret(*verdict);
        for arg in conditions.iter().rev() {
            yes = condition::emit(assembler, arg, Branch { yes, no: next });
        }
        next = yes;
    }
    next
}
