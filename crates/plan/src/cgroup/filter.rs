//! Device access as a BPF program of type `cgroup_device` (v2): one block of tests per listed device, then the default.
//!
//! The context is `struct bpf_cgroup_dev_ctx`: `access_type` (access bits in the upper half, type in the lower), `major`, `minor`.

use super::devices::{Access, MAKE, READ, WRITE};

const DEVICE_BLOCK: i32 = 1;
const DEVICE_CHAR: i32 = 2;
const ACCESS_MAKE: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

// Registers.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const BITS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Operation codes (eBPF instruction set, RFC 9669).
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_NUMBER: u8 = 0xb7;
const AND_NUMBER: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_UNEQUAL: u8 = 0x55;
const JUMP_EQUAL: u8 = 0x15;
const EXIT: u8 = 0x95;

/// One instruction: code, registers, jump offset, number.
#[derive(Clone, Copy)]
struct Instruction(u8, u8, u8, i16, i32);

impl Instruction {
    fn bytes(self) -> [u8; 8] {
        let Self(code, to, from, offset, number) = self;
        let [o0, o1] = offset.to_le_bytes();
        let [n0, n1, n2, n3] = number.to_le_bytes();
        [code, from << 4 | to, o0, o1, n0, n1, n2, n3]
    }
}

/// The program's bytes.
pub(super) fn program(access: &Access) -> Vec<u8> {
    let mut program = vec![
        Instruction(LOAD_WORD, TYPE, CONTEXT, 0, 0),
        Instruction(MOVE, BITS, TYPE, 0, 0),
        Instruction(AND_NUMBER, TYPE, 0, 0, 0xffff),
        Instruction(SHIFT_RIGHT, BITS, 0, 0, 16),
        Instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        Instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for ((kind, major, minor), bits) in &access.exceptions {
        program.extend(block(*kind, *major, *minor, *bits, access.allow_others));
    }
    program.extend(answer(access.allow_others));
    program.into_iter().flat_map(Instruction::bytes).collect()
}

fn answer(allow: bool) -> [Instruction; 2] {
    [Instruction(MOVE_NUMBER, RESULT, 0, 0, i32::from(allow)), Instruction(EXIT, 0, 0, 0, 0)]
}

/// Tests for one device. An allowed device must allow every bit asked for; a denied one denies when any is asked for.
fn block(kind: char, major: Option<u32>, minor: Option<u32>, bits: u8, deny: bool) -> Vec<Instruction> {
    let kernel_bits = [(READ, ACCESS_READ), (WRITE, ACCESS_WRITE), (MAKE, ACCESS_MAKE)]
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .fold(0, |all, (_, kernel)| all | kernel);
    let kind = if kind == 'b' { DEVICE_BLOCK } else { DEVICE_CHAR };
    let mut tests = vec![Instruction(JUMP_UNEQUAL, TYPE, 0, 0, kind)];
    let number = |n: Option<u32>, register| n.map(|n| Instruction(JUMP_UNEQUAL, register, 0, 0, n as i32));
    tests.extend(number(major, MAJOR));
    tests.extend(number(minor, MINOR));
    tests.push(Instruction(MOVE, CONTEXT, BITS, 0, 0));
    if deny {
        tests.push(Instruction(AND_NUMBER, CONTEXT, 0, 0, kernel_bits));
        tests.push(Instruction(JUMP_EQUAL, CONTEXT, 0, 0, 0));
    } else {
        tests.push(Instruction(AND_NUMBER, CONTEXT, 0, 0, !kernel_bits & 7));
        tests.push(Instruction(JUMP_UNEQUAL, CONTEXT, 0, 0, 0));
    }
    tests.extend(answer(!deny));
    // Every jump leaves the block: to the instruction after its last.
    let length = tests.len();
    for (index, test) in tests.iter_mut().enumerate() {
        if matches!(test.0, JUMP_UNEQUAL | JUMP_EQUAL) {
            test.3 = (length - index - 1) as i16;
        }
    }
    tests
}
