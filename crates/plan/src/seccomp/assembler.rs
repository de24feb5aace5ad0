//! Writes a classic BPF program from its end to its beginning, so that every jump goes to a place already known.

use std::collections::BTreeMap;

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`.
const JUMP: u16 = 0x05;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
/// The farthest that a conditional jump reaches.
const REACH: usize = 255;

/// What a conditional jump tests the accumulator for.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum Test {
    /// `BPF_JMP | BPF_JEQ | BPF_K`.
    Equal = 0x15,
    /// `BPF_JMP | BPF_JGT | BPF_K`.
    Greater = 0x25,
    /// `BPF_JMP | BPF_JGE | BPF_K`.
    GreaterOrEqual = 0x35,
}

/// A place in the program, counted from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// `struct sock_filter`.
struct Instruction {
    code: u16,
    yes: u8,
    no: u8,
    operand: u32,
}

/// The program so far, last instruction first.
#[derive(Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
    returns: BTreeMap<u32, Label>,
}

impl Assembler {
    /// Number of instructions so far.
    pub(super) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// A place that answers `verdict`: one within reach, or a new one.
    pub(super) fn ret(&mut self, verdict: u32) -> Label {
        // A few instructions may come between this place and the jump to it.
        const SLACK: usize = 16;
        match self.returns.get(&verdict) {
            Some(label) if self.distance(*label) + SLACK <= REACH => *label,
            _ => {
                let label = self.push(RETURN, 0, 0, verdict);
                self.returns.insert(verdict, label);
                label
            }
        }
    }

    /// Goes to `yes` when the accumulator passes the test against `operand`, else to `no`.
    pub(super) fn jump_if(&mut self, test: Test, operand: u32, yes: Label, no: Label) -> Label {
        // The second trampoline moves the first target one farther away.
        let yes = self.within_reach(yes, 1);
        let no = self.within_reach(no, 0);
        let (yes, no) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.push(test as u16, yes, no, operand)
    }

    /// Loads the word at this offset of `struct seccomp_data` and goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.follow(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// Masks the accumulator and goes on at `next`.
    pub(super) fn and(&mut self, mask: u32, next: Label) -> Label {
        self.follow(next);
        self.push(AND, 0, 0, mask)
    }

    /// The program as an array of `struct sock_filter`.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.reversed.len() * 8);
        for instruction in self.reversed.iter().rev() {
            bytes.extend_from_slice(&instruction.code.to_ne_bytes());
            bytes.extend_from_slice(&[instruction.yes, instruction.no]);
            bytes.extend_from_slice(&instruction.operand.to_ne_bytes());
        }
        bytes
    }

    /// Makes `next` the instruction that follows the one to be written.
    fn follow(&mut self, next: Label) {
        if self.distance(next) > 0 {
            self.push_jump(next);
        }
    }

    fn within_reach(&mut self, label: Label, slack: usize) -> Label {
        if self.distance(label) + slack > REACH { self.push_jump(label) } else { label }
    }

    fn push_jump(&mut self, label: Label) -> Label {
        let distance = self.distance(label) as u32;
        self.push(JUMP, 0, 0, distance)
    }

    /// How many instructions a jump written now has to skip.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - 1 - label.0
    }

    fn push(&mut self, code: u16, yes: u8, no: u8, operand: u32) -> Label {
        self.reversed.push(Instruction { code, yes, no, operand });
        Label(self.reversed.len() - 1)
    }
}
