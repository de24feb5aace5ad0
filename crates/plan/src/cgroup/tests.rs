//! Tables of conversions, device lists and device filters. The filters are run by a small interpreter.

use oci::runtime::LinuxDeviceCgroup;

use super::devices::Access;
use super::{filter, io_weight, weight_of_shares};

#[test]
fn shares_to_weight() {
    // The first rows are the fixed points; the others follow from the curve.
    for (shares, weight) in
        [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (1 << 40, 10_000), (512, 59), (2048, 174), (3, 2)]
    {
        assert_eq!(weight_of_shares(shares), weight, "{shares}");
    }
    let all: Vec<u64> = (2..=262_144).step_by(97).map(weight_of_shares).collect();
    assert!(all.windows(2).all(|pair| pair[0] <= pair[1]), "more shares never weigh less");
}

#[test]
fn block_weights() {
    for (v1, v2) in [(10, 1), (1000, 10_000), (500, 4950), (0, 1)] {
        assert_eq!(io_weight(v1), v2, "{v1}");
    }
}

fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> LinuxDeviceCgroup {
    let number = |n: i64| (n >= 0).then_some(n);
    LinuxDeviceCgroup {
        allow,
        kind: kind.into(),
        major: number(major),
        minor: number(minor),
        access: access.into(),
    }
}

fn lines(rules: &[LinuxDeviceCgroup]) -> Vec<String> {
    let access = Access::of(rules).expect("rules");
    access
        .list("/d", false)
        .into_iter()
        .map(|w| format!("{} {}", w.path.trim_start_matches("/d/devices."), w.value))
        .collect()
}

#[test]
fn lists_for_v1() {
    let default = lines(&[rule(false, "", -1, -1, "rwm")]);
    assert_eq!(default.first().map(String::as_str), Some("deny a"));
    assert!(default.contains(&"allow c 1:3 rwm".to_owned()) && default.contains(&"allow b *:* m".to_owned()));
    assert_eq!(default.len(), 12);
    let with_fuse = lines(&[rule(false, "a", -1, -1, ""), rule(true, "c", 10, 229, "rw")]);
    assert_eq!(with_fuse.get(1).map(String::as_str), Some("allow c 10:229 rw"), "the document's own first");
    assert_eq!(lines(&[rule(true, "a", -1, -1, "rwm")]), Vec::<String>::new());
    let all_but = lines(&[rule(true, "a", -1, -1, "rwm"), rule(false, "b", 8, -1, "w")]);
    assert_eq!(all_but, ["deny b 8:* w"]);
    let odd = lines(&[
        rule(false, "a", -1, -1, "rwm"),
        rule(true, "c", 10, 1, "wrw"),
        rule(true, "c", 10, 2, "rwa"),
    ]);
    assert!(odd.contains(&"allow c 10:1 rw".to_owned()) && odd.contains(&"allow c 10:2 rw".to_owned()));
    let hole = [rule(false, "a", -1, -1, ""), rule(true, "c", 10, -1, "rw"), rule(false, "c", 10, 5, "w")];
    let refused = Access::of(&hole).expect_err("a hole").to_string();
    assert!(refused.contains("the rule for c 10:5 w cannot take back"), "{refused}");
    let used = Access::of(&[rule(true, "a", -1, -1, "")]).expect("rules").list("/d", true);
    assert_eq!(used.first().map(|w| w.path.as_str()), Some("/d/devices.allow"));
    assert!(Access::of(&[rule(true, "x", 1, 1, "r")]).is_err());
    assert!(Access::of(&[rule(true, "c", 1, 1, "q")]).is_err());
    assert!(Access::of(&[rule(true, "c", 1 << 40, 1, "r")]).is_err());
}

/// Runs a filter as the kernel would. `access` in the kernel's bits: make 1, read 2, write 4.
fn run(program: &[u8], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
    let context = [kind | access << 16, major, minor];
    let mut registers = [0_u64; 11];
    let mut at = 0;
    for _ in 0..1000 {
        let i = &program[at * 8..at * 8 + 8];
        let (to, from) = (usize::from(i[1] & 15), usize::from(i[1] >> 4));
        let offset = i16::from_le_bytes([i[2], i[3]]);
        let number = i64::from(i32::from_le_bytes([i[4], i[5], i[6], i[7]])) as u64;
        at += 1;
        match i[0] {
            0x61 => registers[to] = u64::from(context[offset as usize / 4]),
            0xbf => registers[to] = registers[from],
            0xb7 => registers[to] = number,
            0x57 => registers[to] &= number,
            0x77 => registers[to] >>= number,
            0x55 if registers[to] != number => at = at.wrapping_add_signed(offset as isize),
            0x15 if registers[to] == number => at = at.wrapping_add_signed(offset as isize),
            0x55 | 0x15 => {}
            0x95 => return registers[0],
            other => panic!("unknown instruction {other:#x}"),
        }
    }
    panic!("the filter does not end")
}

#[test]
fn filters_for_v2() {
    const BLOCK: u32 = 1;
    const CHARACTER: u32 = 2;
    let rules = [rule(false, "a", -1, -1, ""), rule(true, "c", 10, 229, "r")];
    let program = filter::program(&Access::of(&rules).expect("rules"));
    let table = [
        (CHARACTER, 2 | 4, 1, 3, 1),
        (CHARACTER, 2, 10, 229, 1),
        (CHARACTER, 4, 10, 229, 0),
        (CHARACTER, 2 | 4, 10, 229, 0),
        (CHARACTER, 1, 77, 77, 1),
        (BLOCK, 1, 8, 0, 1),
        (BLOCK, 2, 8, 0, 0),
        (CHARACTER, 2, 136, 9, 1),
        (BLOCK, 2, 1, 3, 0),
    ];
    for (kind, access, major, minor, wanted) in table {
        assert_eq!(run(&program, kind, access, major, minor), wanted, "{kind} {access} {major}:{minor}");
    }
    let rules = [rule(true, "a", -1, -1, ""), rule(false, "b", 8, -1, "w")];
    let program = filter::program(&Access::of(&rules).expect("rules"));
    for (kind, access, major, minor, wanted) in [
        (BLOCK, 4, 8, 1, 0),
        (BLOCK, 2 | 4, 8, 1, 0),
        (BLOCK, 2, 8, 1, 1),
        (BLOCK, 4, 9, 1, 1),
        (CHARACTER, 4, 8, 1, 1),
    ] {
        assert_eq!(run(&program, kind, access, major, minor), wanted, "{kind} {access} {major}:{minor}");
    }
}
