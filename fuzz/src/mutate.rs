//! Random changes of an input, some of which know JSON.

/// Numbers from a seed (xorshift64*): the same seed gives the same ones.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize).checked_rem(end).unwrap_or(0)
    }

    pub(crate) fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What a JSON value can be replaced with.
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1",
    "7",
    "255",
    "4095",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e99",
    "1.5",
    "[]",
    "{}",
    "[{}]",
    "\"\"",
    "\"/\"",
    "\".\"",
    "\"..\"",
    "\"../../x\"",
    "\"/a/../b\"",
    "\"//\"",
    "\"a\\u0000b\"",
    "\"\\u001b[2J\"",
    "\"\\n\"",
    "\"a:b:c\"",
    "\"a=b\"",
    "\"=\"",
    "\"max\"",
    "\"0-3\"",
    "\"3-0\"",
    "\"0-4294967295\"",
    "\"1-\"",
    "\"rwm\"",
    "\"bind\"",
    "\"rro\"",
    "\"idmap\"",
    "\"ridmap\"",
    "\"tmpcopyup\"",
    "\"size=1g\"",
    "\"mode=99999\"",
    "\"rshared\"",
    "\"/proc/self/ns/net\"",
    "\"/dev/null\"",
    "\"user\"",
    "\"cgroup\"",
    "\"time\"",
    "\"mount\"",
    "\"SCMP_ACT_NOTIFY\"",
    "\"SCMP_ARCH_ARM\"",
    "\"SCMP_CMP_MASKED_EQ\"",
    "\"SCHED_DEADLINE\"",
    "\"SCHED_FIFO\"",
    "\"IOPRIO_CLASS_RT\"",
    "\"LINUX32\"",
    "\"CAP_ALL\"",
    "\"RLIMIT_NOFILE\"",
    "\"MPOL_INTERLEAVE\"",
    "\"2MB\"",
    "\"c\"",
    "\"é\u{2028}\"",
];

/// One change.
pub(crate) fn change(input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(10) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => input.insert(at, random.next() as u8),
        2 => drop(input.drain(at..(at + random.below(16)).min(input.len()))),
        3 => {
            let other = random.of(pool);
            let from = random.below(other.len() + 1);
            let part = other[from..(from + random.below(64)).min(other.len())].to_vec();
            input.splice(at..at, part);
        }
        4 => input.truncate(at),
        5 if at < input.len() => {
            input[at] = *random.of(&[0, 0xff, b'0', b'9', b'-', b'"', b'/', b'\n', b' ', b':'])
        }
        _ => replace_value(input, pool, random),
    }
}

/// Puts another value behind a colon, a comma or an opening bracket.
fn replace_value(input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
    let starts = |bytes: &[u8]| -> Vec<usize> {
        bytes.iter().enumerate().filter(|(_, b)| b":,[".contains(b)).map(|(at, _)| at + 1).collect()
    };
    let places = starts(input);
    if places.is_empty() {
        return;
    }
    let start = *random.of(&places);
    let end = start + value_length(&input[start..]);
    let other = random.of(pool);
    let others = starts(other);
    let value = match random.below(3) {
        0 if !others.is_empty() => {
            let from = *random.of(&others);
            other[from..from + value_length(&other[from..])].to_vec()
        }
        _ => random.of(VALUES).as_bytes().to_vec(),
    };
    input.splice(start..end, value);
}

/// Bytes up to what ends a value at the same depth.
fn value_length(bytes: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    let ends = |byte: &u8| {
        if quoted {
            quoted = escaped || *byte != b'"';
            escaped = *byte == b'\\' && !escaped;
            return false;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' | b']' => return true,
            b',' => return depth == 0,
            _ => {}
        }
        false
    };
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_do() {
        for (text, length) in [("1,2", 1), ("\"a,\\\"]\"]", 7), ("{\"a\":[1,2]},3", 11), ("]", 0), ("12", 2)]
        {
            assert_eq!(value_length(text.as_bytes()), length, "{text}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_input() {
        let pool = vec![br#"{"a": [1, "x"]}"#.to_vec()];
        let make = |seed| {
            let (mut random, mut input) = (Random::new(seed), pool[0].clone());
            (0..100).for_each(|_| change(&mut input, &pool, &mut random));
            input
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
