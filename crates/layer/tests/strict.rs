//! What the reader takes and what it refuses, block by block. Each refusal is a way in which two readers of the same bytes could
//! see different files (CVE-2025-62518, CVE-2026-33056, CVE-2022-2879 and their like).

mod blocks;

use blocks::{entry, header, octal, pax};
use layer::{Entry, EntryKind, Limits, Reader, Segment, Writer};

/// Reads everything; entries as text, one per line, or the error.
fn list_with(bytes: &[u8], limits: &Limits) -> Result<Vec<String>, String> {
    let mut reader = Reader::new(bytes, limits.clone());
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(|e| e.to_string())? {
        let mut data = vec![0; 1 << 16];
        let mut done = 0;
        loop {
            match reader.read_data(&mut data[done..]).map_err(|e| e.to_string())? {
                0 => break,
                count => done += count,
            }
        }
        let data = String::from_utf8_lossy(&data[..done]).into_owned();
        lines.push(format!("{:?} {} {} {data}", entry.kind, entry.path, entry.size));
    }
    Ok(lines)
}

fn list(parts: &[Vec<u8>]) -> Result<Vec<String>, String> {
    list_with(&[parts.concat(), vec![0; 1024]].concat(), &Limits::default())
}

fn accept(parts: &[Vec<u8>], want: &[&str]) {
    assert_eq!(list(parts), Ok(want.iter().map(|&line| line.to_owned()).collect()));
}

fn refuse(parts: &[Vec<u8>], want: &str) {
    let got = list(parts);
    assert!(got.as_ref().is_err_and(|e| e.contains(want)), "wanted {want:?}, got {got:?}");
}

#[test]
fn i08_sizes_must_agree() {
    let file = || entry(b"a", b'0', b"data");
    accept(&[pax(&[("size", "4")]), file()], &["File a 4 data"]);
    refuse(&[pax(&[("size", "0")]), file()], "its size is 4 in the header but 0 in the PAX header");
    refuse(&[pax(&[("size", "1024")]), entry(b"a", b'0', b"")], "its size is 0 in the header but 1024");
    refuse(&[pax(&[("size", "8589934592")]), file()], "its size is 4 in the header");
    refuse(&[pax(&[("size", "-1")]), file()], "\"size\" has a bad value");
    refuse(&[pax(&[("size", "4x")]), file()], "\"size\" has a bad value");
    refuse(&[pax(&[("size", "4"), ("size", "4")]), file()], "sets \"size\" twice");
    refuse(&[entry(b"d", b'5', b"data")], "it has data but is not a file");
    refuse(&[entry(b"l", b'1', b"data")], "it has data but is not a file");
    refuse(
        &[header(b"a", b'0', b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", |_| ())],
        "size is not a number in range",
    );
    refuse(&[header(b"a", b'0', b"0000000004x\0", |_| ())], "a number in the header is not one");
    let huge = header(b"a", b'0', &octal(0), |_| ());
    let over = [pax(&[("size", "99999999999999")]), huge];
    refuse(&over, "is over the limit");
}

#[test]
fn i09_names_must_be_one() {
    let long = "n".repeat(120);
    let file = || entry(b"short", b'0', b"");
    accept(&[pax(&[("path", &long)]), file()], &[&format!("File {long} 0 ")]);
    accept(
        &[entry(b"././@LongLink", b'L', format!("{long}\0").as_bytes()), file()],
        &[&format!("File {long} 0 ")],
    );
    let both = |gnu: &str| {
        [pax(&[("path", &long)]), entry(b"././@LongLink", b'L', format!("{gnu}\0").as_bytes()), file()]
    };
    accept(&both(&long), &[&format!("File {long} 0 ")]);
    refuse(&both("other"), "two different long names");
    refuse(&[pax(&[("path", "a")]), pax(&[("path", "b")]), file()], "two extension headers of one kind");
    refuse(&[pax(&[("path", "a\0b")]), file()], "\"path\" has a bad value");
    refuse(&[pax(&[("path", "")]), file()], "\"path\" has a bad value");
    refuse(&[pax(&[("path", &"n/".repeat(2049))]), file()], "\"path\" has a bad value");
    refuse(&[entry(b"a/", b'0', b"")], "name ends with a slash");
    accept(&[entry(b"a/", 0, b"")], &["Directory a 0 "]);
    accept(
        &[header(b"name", b'0', &octal(0), |b| b[345..351].copy_from_slice(b"prefix"))],
        &["File prefix/name 0 "],
    );
    // A header that waits for an entry which never comes.
    refuse(&[file(), pax(&[("path", "a")])], "cut short");
    refuse(&[entry(b"x", b'L', b"a\0")], "cut short");
    for long in [&b"a"[..], b"", b"\0", b"a\0b\0"] {
        for kind in [b'L', b'K'] {
            refuse(&[entry(b"x", kind, long), file()], "a long name is empty");
        }
    }
    refuse(&[pax(&[("path", "a")]), header(b"a/", 0, &octal(0), |_| ())], "one of its names");
    refuse(&[entry(b"g", b'g', b"13 comment=x\n")], "cut short");
    let mut behind = pax(&[("path", "a")]);
    behind[600] = b'x';
    refuse(&[behind, file()], "behind the end of an extension header");
    refuse(
        &[pax(&[("path", "a")]), entry(b"g", b'g', b"13 comment=x\n"), file()],
        "a global header comes between",
    );
    refuse(&[entry(b"", b'0', b"")], "root of the tree");
    refuse(&[entry(b"soft", b'2', b"")], "no target");
    refuse(&[entry(b"hard", b'1', b"")], "no target");
}

#[test]
fn i09_headers_must_be_whole() {
    let good = entry(b"a", b'0', b"");
    let mut wrong = good.clone();
    wrong[0] = b'b';
    refuse(&[wrong], "its checksum is wrong");
    refuse(
        &[header(b"a", b'0', &octal(0), |b| b[257..265].copy_from_slice(b"ustar\0\0\0"))],
        "unknown tar format",
    );
    refuse(
        &[header(b"a", b'0', &octal(0), |b| b[257..265].copy_from_slice(b"mytar\x0000"))],
        "unknown tar format",
    );
    refuse(&[header(b"a", b'0', &octal(0), |b| b[508..512].copy_from_slice(b"tar\0"))], "star's own");
    accept(&[header(b"a", b'0', &octal(0), |b| b[257..265].fill(0))], &["File a 0 "]);
    accept(&[header(b"a", b'0', &octal(0), |b| b[257..265].copy_from_slice(b"ustar  \0"))], &["File a 0 "]);
    for kind in [b'8', b'D', b'M', b'V', b'N', b'z', 0xff] {
        refuse(&[entry(b"a", kind, b"")], "are not supported");
    }
    refuse(&[header(b"a", b'0', &octal(0), |b| b[108..116].fill(0xff))], "owner");
    let odd = |at: usize, magic: &'static [u8; 8]| {
        [header(b"a", b'0', &octal(0), |b| {
            b[257..265].copy_from_slice(magic);
            b[at] = b'x';
        })]
    };
    refuse(&odd(330, b"ustar\x0000"), "a number in the header is not one");
    refuse(&odd(345, b"ustar  \0"), "others read as a name");
    refuse(&[header(b"x", b'g', &octal(0), |b| b[137] = b'x')], "a number in the header is not one");
    refuse(&[pax(&[("uid", "4294967295")]), good.clone()], "out of range");
    refuse(&[header(b"a", b'3', &octal(0), |b| b[329..337].copy_from_slice(b"7777777\0"))], "device number");
    refuse(
        &[header(b"a", b'0', &octal(0), |b| {
            b[100..108].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff")
        })],
        "mode",
    );
    refuse(&[good.clone(), vec![0; 512], good.clone()], "single empty block");
    refuse(&[good.clone(), vec![0; 1024], good], "more after the archive's end mark");
}

/// Each number at the edge of what it may be, and just past it, in every spelling.
#[test]
fn i13_numbers_out_of_range_never_wrap() {
    let with = |at: usize, field: &'static [u8], typeflag: u8| {
        header(b"a", typeflag, &octal(0), move |b| b[at..at + field.len()].copy_from_slice(field))
    };
    let list = |entry: Vec<u8>| list(&[entry]);
    for at in [108, 116] {
        for odd in [&b"       \0"[..], b"\0\x00000000\0", b"\x81\0\0\0\0\0\0\0"] {
            assert!(list(with(at, odd, b'0')).is_err_and(|e| e.contains("is not one")), "{odd:?}");
        }
        for good in [&b"7777777\0"[..], b"\x80\0\0\0\xff\xff\xff\xfe", b"\0\0\0\0\0\0\0\0"] {
            assert!(list(with(at, good, b'0')).is_ok(), "{good:?}");
        }
        for bad in
            [b"\x80\0\0\0\xff\xff\xff\xff", b"\x80\0\0\x01\0\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(list(with(at, bad, b'0')).is_err_and(|e| e.contains("range")), "{bad:?}");
        }
        assert!(list(with(at, b"-000001\0", b'0')).is_err(), "a sign is no digit");
    }
    for device in [b'3', b'4'] {
        for (at, good, over) in [
            (
                329,
                b"0007777\0",
                &[&b"0010000\0"[..], b"\x80\0\0\0\0\0\x10\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"],
            ),
            (
                337,
                b"3777777\0",
                &[&b"4000000\0"[..], b"\x80\0\0\x01\0\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"],
            ),
        ] {
            assert!(list(with(at, good, device)).is_ok(), "{at}");
            for over in over {
                assert!(list(with(at, over, device)).is_err_and(|e| e.contains("device number")), "{over:?}");
            }
        }
    }
    for key in ["uid", "gid"] {
        accept(&[pax(&[(key, "4294967294")]), entry(b"a", b'0', b"")], &["File a 0 "]);
        for bad in ["4294967295", "4294967296", "-1", "+1", "0x10", "18446744073709551616", ""] {
            let parts = [pax(&[(key, bad)]), entry(b"a", b'0', b"")];
            assert!(self::list(&parts).is_err(), "{key}={bad}");
        }
    }
}

#[test]
fn i10_pax_records_must_be_exact() {
    let file = entry(b"a", b'0', b"");
    let body = |text: &str| [entry(b"x", b'x', text.as_bytes()), file.clone()];
    for bad in [
        "5 a=b",
        "7 a=b\n",
        "6 a=b\nx",
        "06\n",
        " 6 a=b\n",
        "-6 a=b\n",
        "6a=b\n",
        "5 =b\n",
        "7 a\0=b\n",
        "5 ab\n",
        "999999999999999999999 a=b\n",
    ] {
        refuse(&body(bad), "PAX header is malformed");
    }
    accept(&body("6 a=b\n"), &["File a 0 "]);
    accept(&[entry(b"g", b'g', b"13 comment=x\n"), file.clone()], &["File a 0 "]);
    refuse(&[entry(b"g", b'g', b"10 path=x\n"), file.clone()], "global header sets \"path\"");
    refuse(&[entry(b"g", b'g', b"10 size=1\n"), file.clone()], "global header sets \"size\"");
    let many: Vec<(String, String)> =
        (0..200).map(|n| (format!("SCHILY.xattr.user.{n}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    refuse(&[pax(&many), file.clone()], "too many extended attributes");
    refuse(&[pax(&[("SCHILY.xattr.user.a", "1"), ("SCHILY.xattr.user.a", "2")]), file.clone()], "twice");
    let huge = header(b"x", b'x', b"77777777777\0", |_| ());
    refuse(&[huge], "extension header of 8589934591 bytes is over the limit");
}

#[test]
fn i10_sparse_maps_must_fit() {
    let map = |text: &str, size: &str, data: &[u8]| {
        let count = text.split(',').count().div_ceil(2).to_string();
        let keys = [("GNU.sparse.map", text), ("GNU.sparse.size", size), ("GNU.sparse.numblocks", &count)];
        [pax(&keys), entry(b"s", b'0', data)]
    };
    accept(&map("0,2,10,2,20,0", "20", b"abcd"), &["File s 20 abcd"]);
    for (text, size, data) in [
        ("0,2,1,2", "20", &b"abcd"[..]),
        ("10,2,0,2", "20", b"abcd"),
        ("0,4", "3", b"abcd"),
        ("0,3", "20", b"abcd"),
        ("0,5", "20", b"abcd"),
        ("0", "20", b""),
        ("18446744073709551615,4", "20", b"abcd"),
        ("9223372036854775807,9223372036854775807", "20", b"abcd"),
    ] {
        assert!(list(&map(text, size, data)).is_err(), "{text}");
    }
    let one = |body: &[u8], size: &str| {
        let keys = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "real"),
            ("GNU.sparse.realsize", size),
        ];
        let mut data = body.to_vec();
        data.resize(data.len().next_multiple_of(512), 0);
        data.extend_from_slice(b"abcd");
        [pax(&keys), entry(b"GNUSparseFile.0/s", b'0', &data)]
    };
    accept(&one(b"2\n0\n2\n100\n2\n", "200"), &["File real 200 abcd"]);
    refuse(&one(b"99999999\n", "200"), "too many pieces");
    refuse(&one(b"2\n0\n2\n", "200"), "map of the sparse file is malformed");
    refuse(&one(b"x\n", "200"), "map of the sparse file is malformed");
    refuse(&one(&[b'1'; 600], "200"), "map of the sparse file is malformed");
    refuse(
        &[pax(&[("GNU.sparse.major", "2"), ("GNU.sparse.realsize", "1")]), entry(b"s", b'0', b"")],
        "malformed",
    );
    refuse(&[pax(&[("GNU.sparse.numblocks", "1")]), entry(b"s", b'0', b"")], "malformed");
    refuse(
        &[pax(&[("GNU.sparse.map", "0,1"), ("GNU.sparse.size", "1")]), entry(b"s", b'0', b"x")],
        "malformed",
    );
    let half = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "0")];
    refuse(&[pax(&half), entry(b"s", b'0', &[b'0'; 512])], "malformed");
    refuse(&[header(b"s", b'S', &octal(0), |_| ())], "not GNU's");
    let gnu = |slots: &[u8]| {
        vec![
            header(b"s", b'S', &octal(4), |b| {
                b[257..265].copy_from_slice(b"ustar  \0");
                b[386..386 + slots.len()].copy_from_slice(slots);
                b[483..495].copy_from_slice(b"00000000144\0");
            }),
            b"abcd".to_vec(),
            vec![0; 508],
        ]
    };
    accept(&gnu(b"00000000000\x0000000000004\0"), &["File s 100 abcd"]);
    refuse(&gnu(b"00000000000\x0000000000005\0"), "malformed");
    refuse(&gnu(b"00000000177\x0000000000004\0"), "malformed");
    refuse(&gnu(b"00000000000\x0000000000004\0\0\0\0\0\0\0\0\0\0\0\0\0x"), "malformed");
}

#[test]
fn i12_counts_are_capped() {
    let limits = Limits { entries: 3, ..Limits::default() };
    let four =
        [entry(b"a", b'0', b""), entry(b"b", b'0', b""), entry(b"c", b'0', b""), entry(b"d", b'0', b"")]
            .concat();
    assert!(list_with(&four, &limits).is_err_and(|e| e.contains("more than 3 entries")));
    assert!(list_with(&four[..1536], &limits).is_ok());
    let end = Limits { need_end: true, ..Limits::default() };
    assert!(list_with(&four, &end).is_err_and(|e| e.contains("cut short")));
    assert!(list_with(&[four, vec![0; 512]].concat(), &end).is_ok());
}

#[test]
fn what_is_written_is_read_back() {
    let long = "deep/".repeat(80) + "file";
    let mut first = Entry::file(&long, 5);
    first.xattrs.push((b"user.x".to_vec(), b"\0\n=\xff".to_vec()));
    (first.uid, first.gid, first.mode) = (3_000_000, 7, 0o4755);
    first.mtime = layer::Time { seconds: -5, nanos: 250_000_000 };
    let mut device = Entry::new("dev/x", EntryKind::BlockDevice, 0o600);
    device.device = layer::Device { major: 4095, minor: 1_048_575 };
    let all = [Entry::directory(""), first, Entry::symlink("l", &"t/".repeat(100)), device];
    let mut writer = Writer::new(Vec::new());
    for entry in &all {
        writer.append(entry, &mut &b"hello"[..]).expect("write");
    }
    let bytes = writer.finish().expect("finish");
    let mut reader = Reader::new(&bytes[..], Limits { need_end: true, ..Limits::default() });
    for entry in &all {
        assert_eq!(reader.next_entry().expect("read").as_ref(), Some(entry));
    }
    assert_eq!(reader.next_entry().expect("end"), None);
    assert_eq!(all[1].segments, [Segment { offset: 0, length: 5 }]);
}
