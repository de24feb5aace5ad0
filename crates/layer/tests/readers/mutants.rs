//! Archives in every dialect, and what chance makes of them.

use layer::{Entry, EntryKind, Writer};

use crate::blocks::{entry, header, looks_like_header, mend, octal, pax};

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn closed(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 1024]].concat()
}

/// The archives to begin with: all are accepted.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let long = "long/".repeat(30) + "name";
    let gnu = |name: &[u8], kind: u8, data: &[u8]| {
        let mut bytes = header(name, kind, &octal(data.len()), |b| b[257..265].copy_from_slice(b"ustar  \0"));
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    let old = |name: &[u8], kind: u8| header(name, kind, &octal(0), |b| b[257..265].fill(0));
    let linked = |name: &[u8], kind: u8, link: &'static [u8]| {
        header(name, kind, &octal(0), move |b| b[157..157 + link.len()].copy_from_slice(link))
    };
    let device = |name: &[u8], kind: u8| {
        header(name, kind, &octal(0), |b| {
            b[329..337].copy_from_slice(b"0000001\0");
            b[337..345].copy_from_slice(b"0000003\0");
        })
    };
    let mut all = vec![
        written(&long),
        closed(&[
            gnu(b"././@LongLink", b'L', format!("{long}\0").as_bytes()),
            gnu(b"short", b'0', b"data"),
            gnu(b"././@LongLink", b'K', format!("{long}\0").as_bytes()),
            header(b"soft", b'2', &octal(0), |b| b[257..265].copy_from_slice(b"ustar  \0")),
            gnu(b"last", b'0', &[b'z'; 600]),
        ]),
        closed(&[
            pax(&[
                ("path", &long),
                ("size", "4"),
                ("mtime", "1.5"),
                ("uid", "7"),
                ("SCHILY.xattr.user.a", "b=c"),
            ]),
            entry(b"short", b'0', b"data"),
            pax(&[("linkpath", &long)]),
            linked(b"soft", b'2', b"x"),
            entry(b"dir/", b'5', b""),
            linked(b"hard", b'1', b"short"),
        ]),
        closed(&[
            old(b"a", 0),
            old(b"dir/", 0),
            old(b"b", b'0'),
            device(b"null", b'3'),
            device(b"disk", b'4'),
        ]),
        closed(&[
            entry(b"g", b'g', b"13 comment=x\n"),
            header(b"name", b'0', &octal(0), |b| b[345..351].copy_from_slice(b"prefix")),
            entry(b"fifo", b'6', b""),
            entry(b"contiguous", b'7', b"data"),
        ]),
    ];
    all.extend(sparse());
    all
}

/// What our own writer makes.
fn written(long: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut dressed = Entry::file("etc/dressed", 700);
    dressed.xattrs.push((b"user.note".to_vec(), b"value".to_vec()));
    let link = Entry { link: b"etc/dressed".to_vec(), ..Entry::new("etc/hard", EntryKind::Hardlink, 0o644) };
    for entry in [
        Entry::directory("etc"),
        dressed,
        Entry::file(long, 3),
        Entry::symlink("etc/soft", "/somewhere/else"),
        link,
        Entry::file("last", 512),
    ] {
        writer.append(&entry, &mut std::io::repeat(b'x')).expect("write");
    }
    writer.finish().expect("finish")
}

/// One sparse file of 3000 bytes, with 512 at 1000 and 10 at 2000, in each of GNU's forms.
fn sparse() -> Vec<Vec<u8>> {
    let data = [[b'a'; 512].as_slice(), &[b'b'; 10]].concat();
    let after = || entry(b"after", b'0', b"after");
    let old = header(b"sparse", b'S', &octal(data.len()), |b| {
        b[257..265].copy_from_slice(b"ustar  \0");
        for (at, text) in
            [(386, 1000), (398, 512), (410, 2000), (422, 10), (434, 3000), (446, 0), (483, 3000)]
        {
            b[at..at + 12].copy_from_slice(&octal(text));
        }
    });
    let mut old_data = data.clone();
    old_data.resize(1024, 0);
    let keys = |more: &[(&str, &str)]| {
        pax(&[&[("GNU.sparse.name", "sparse"), ("GNU.sparse.realsize", "3000")], more].concat())
    };
    let map = b"2\n1000\n512\n2000\n10\n";
    let mut mapped = map.to_vec();
    mapped.resize(512, 0);
    mapped.extend_from_slice(&data);
    vec![
        closed(&[old, old_data, after()]),
        closed(&[
            keys(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")]),
            entry(b"GNUSparseFile.0/sparse", b'0', &mapped),
            after(),
        ]),
        closed(&[
            pax(&[
                ("GNU.sparse.size", "3000"),
                ("GNU.sparse.numblocks", "2"),
                ("GNU.sparse.map", "1000,512,2000,10"),
                ("GNU.sparse.name", "sparse"),
            ]),
            entry(b"GNUSparseFile.0/sparse", b'0', &data),
            after(),
        ]),
    ]
}

/// What one might find in a field.
const FIELDS: &[&[u8]] = &[
    b"0000000\0",
    b"0000001\0",
    b"00000000001\0",
    b"00000001000\0",
    b"        ",
    b"\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x80\0\0\0\0\0\0\0\0\0\0\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"ustar\x0000",
    b"ustar  \0",
    b"ustar\0\0\0",
    b"a/../b",
    b"/",
    b"./",
    b"x\0y",
];
/// Where the fields of a header begin.
const PLACES: &[usize] =
    &[0, 100, 108, 116, 124, 136, 156, 157, 257, 263, 265, 297, 329, 337, 345, 386, 482, 483];
const KINDS: &[u8] = b"01234567\0xgLKSDVNMAz ";
const BYTES: &[u8] = b"01234567 \0x/.=\n,\x80\xff";
const WORDS: &[(&[u8], &[u8])] = &[
    (b"path", b"size"),
    (b"size", b"path"),
    (b"mtime", b"atime"),
    (b"realsize", b"realsiz0"),
    (b"linkpath", b"LINKPATH"),
    (b"major=1", b"major=0"),
    (b"minor=0", b"minor=1"),
    (b"GNU.sparse", b"gnu.sparse"),
    (b"=4", b"=5"),
    (b" path=", b" Path="),
    (b"comment", b"uname=x"),
];

/// One of the seeds, changed once to three times.
pub(crate) fn mutant(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = random.one_of(seeds).clone();
    for _ in 0..=random.below(3) {
        change(&mut bytes, seeds, random);
    }
    mend(&mut bytes);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let blocks = bytes.len() / 512;
    let headers: Vec<usize> =
        (0..blocks).filter(|at| looks_like_header(&bytes[at * 512..at * 512 + 512])).collect();
    let head = 512 * if headers.is_empty() { 0 } else { *random.one_of(&headers) };
    match random.below(9) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] = *random.one_of(BYTES);
        }
        1 => {
            let at = head + random.below(512);
            bytes[at] = random.below(256) as u8;
        }
        2 => bytes[head + 156] = *random.one_of(KINDS),
        3 | 4 => {
            let (field, at) = (random.one_of(FIELDS), head + random.one_of(PLACES));
            bytes[at..at + field.len()].copy_from_slice(field);
        }
        5 => {
            let at = 512 * random.below(blocks);
            let block = bytes[at..at + 512].to_vec();
            let to = 512 * random.below(blocks);
            bytes.splice(to..to, block);
        }
        6 => drop(bytes.drain(head..head + 512)),
        7 => {
            let (from, to) = random.one_of(WORDS);
            let places: Vec<usize> =
                (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
            if !places.is_empty() {
                let at = *random.one_of(&places);
                bytes[at..at + to.len()].copy_from_slice(to);
            }
        }
        _ => {
            let other = random.one_of(seeds);
            let at = 512 * random.below(other.len() / 512 - 2);
            bytes.splice(head..head, other[at..at + 512].iter().copied());
        }
    }
}
