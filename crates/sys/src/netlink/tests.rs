//! Bytes as `ip` and `nft` send them, round trips, and lengths around 2^16 (CVE-2021-43784).

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn one(fill: impl FnOnce(&mut Writer<'_>)) -> Batch {
    let mut batch = Batch::new();
    batch.message("test", 0x1234, 0x400, &[], fill);
    batch
}

#[test]
fn a_bridge_is_asked_for_as_by_iproute() {
    let mut batch = Batch::new();
    add_bridge(&mut batch, 0, "br9", [2, 0x42, 1, 2, 3, 4], 1500);
    let want = [
        "4c000000",
        "1000",
        "0106",
        "07000000",
        "00000000",                         // length, type, flags, sequence, port
        "00000000000000000000000000000000", // ifinfomsg
        "08000300",
        "62723900", // name
        "0a000100",
        "024201020304",
        "0000", // MAC, padding
        "08000400",
        "dc050000", // MTU
        "10001280",
        "0b000100",
        "62726964676500",
        "00", // link info, kind
    ];
    assert_eq!(hex(batch.encode(7, 0, |_| false).expect("short")), want.concat());
}

#[test]
fn what_is_written_is_read_back() {
    for length in [0_usize, 1, 2, 3, 4, 5, 255, 256, 65_530, 65_531] {
        let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let mut batch = one(|w| {
            w.put(1, &payload);
            w.put_u32(2, 0xdead_beef);
        });
        let bytes = batch.encode(1, 0, |_| false).expect("fits").to_vec();
        let read: Vec<_> = messages(&bytes).map(|m| m.expect("well formed")).collect();
        assert_eq!((read.len(), read[0].kind, read[0].flags, read[0].sequence), (1, 0x1234, 0x401, 1));
        let found: Vec<_> = attributes(read[0].payload).map(|a| a.expect("well formed")).collect();
        assert_eq!(found.len(), 2, "{length}");
        assert_eq!(found[0].payload, payload);
        assert_eq!(u32_of(found[1].payload), Some(0xdead_beef));
    }
}

#[test]
fn r20_lengths_past_their_field_fail_the_batch() {
    for length in [65_532_usize, 65_535, 65_536, 65_537, 131_072, 1 << 20] {
        let payload = vec![0; length];
        assert!(one(|w| w.put(1, &payload)).encode(1, 0, |_| false).is_err(), "{length}");
    }
    for (count, fits) in [(1_usize, true), (16_382, false), (8_191, true), (8_192, false), (100_000, false)] {
        let nested = |w: &mut Writer<'_>| w.nest(1, |w| (0..count).for_each(|_| w.put_u32(1, 0)));
        assert_eq!(one(nested).encode(1, 0, |_| false).is_ok(), fits, "{count} attributes of 8 bytes");
    }
    let deep = |w: &mut Writer<'_>| w.nest(1, |w| w.nest(2, |w| w.put(3, &vec![0; 65_520])));
    assert!(one(deep).encode(1, 0, |_| false).is_ok());
    let deeper = |w: &mut Writer<'_>| w.nest(1, |w| w.nest(2, |w| w.put(3, &vec![0; 65_528])));
    assert!(one(deeper).encode(1, 0, |_| false).is_err());
}

/// What an attribute of so many bytes is after the decoder has read it: what was written, another thing, or refused.
#[derive(Debug, PartialEq)]
enum Fate {
    Whole,
    Other,
    Refused,
}

fn fate(bytes: &[u8], payload: &[u8]) -> Fate {
    let read: Vec<_> = attributes(bytes).map_while(Result::ok).collect();
    match read.as_slice() {
        [one] if one.payload == payload => Fate::Whole,
        _ => Fate::Other,
    }
}

/// R20: around 2^16 (and at 2^17, where a wrapped length is small again) an attribute arrives whole or fails the batch. An encoder that
/// lets its length wrap, as that of CVE-2021-43784 did, is told from ours by the same question.
#[test]
fn r20_an_attribute_arrives_whole_or_not_at_all() {
    let wraps = |payload: &[u8]| {
        let length = (payload.len() + 4) as u16;
        [&length.to_ne_bytes(), &1_u16.to_ne_bytes(), payload].concat()
    };
    let ours = |payload: &[u8]| match one(|w| w.put(1, payload)).encode(1, 0, |_| false) {
        Ok(bytes) => fate(&bytes[encode::HEADER..], payload),
        Err(_) => Fate::Refused,
    };
    let edges = [(1_usize << 16) - 40..(1 << 16) + 40, (1 << 17) - 40..(1 << 17) + 40, 0..40];
    let mut wrapped = 0;
    for length in edges.into_iter().flatten() {
        let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let wanted = if length + 4 <= usize::from(u16::MAX) { Fate::Whole } else { Fate::Refused };
        assert_eq!(ours(&payload), wanted, "{length}");
        wrapped += usize::from(fate(&wraps(&payload), &payload) != Fate::Whole);
    }
    assert!(wrapped > 80, "the question does not tell a wrapped length");
}

#[test]
fn names_and_texts_are_checked() {
    for (name, fits) in
        [("a", true), ("fifteen-letters", true), ("sixteen-letters-", false), ("", false), ("a\0b", false)]
    {
        assert_eq!(one(|w| w.put_name(1, name)).encode(1, 0, |_| false).is_ok(), fits, "{name:?}");
    }
}

#[test]
fn malformed_bytes_end_the_walk() {
    for bad in [&[3, 0, 1, 0][..], &[0, 0, 1, 0], &[9, 0, 1, 0, 1, 2, 3, 4], &[255, 255, 1, 0]] {
        let mut walk = attributes(bad);
        assert!(walk.next().is_some_and(|a| a.is_err()), "{bad:?}");
        assert!(walk.next().is_none());
    }
    for length in [0_u32, 15, 17, u32::MAX] {
        let mut bytes = vec![0; 16];
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let mut walk = messages(&bytes);
        assert!(walk.next().is_some_and(|m| m.is_err()), "{length}");
        assert!(walk.next().is_none());
    }
    assert!(attributes(&[]).next().is_none() && attributes(&[1, 2, 3]).next().is_none());
    assert_eq!(attributes(&[5, 0, 1, 0, 7]).filter_map(Result::ok).count(), 1, "no padding at the end");
}

#[test]
fn no_bytes_make_the_decoder_fail_otherwise() {
    // A linear congruential generator: the same bytes in every run.
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for round in 0..20_000_usize {
        // Small bytes make lengths that fit now and then.
        let mask = [0xff, 0x1f, 0x07][round % 3];
        let bytes: Vec<u8> = (0..round % 97).map(|_| random() & mask).collect();
        let walked = attributes(&bytes).map_while(Result::ok).map(|a| a.payload.len() + 4).sum::<usize>();
        assert!(walked <= bytes.len());
        for message in messages(&bytes).map_while(Result::ok) {
            assert!(
                attributes(message.payload).filter_map(Result::ok).all(|a| text(a.payload).len() <= 3 * 97)
            );
        }
    }
}

#[test]
fn acknowledgements_are_asked_for_where_wanted() {
    let mut batch = Batch::new();
    for label in ["a", "b", "c"] {
        batch.message(label, 16, 0, &[], |_| {});
    }
    let bytes = batch.encode(u32::MAX, 4, |i| i == 1).expect("short").to_vec();
    let read: Vec<_> = messages(&bytes).filter_map(Result::ok).map(|m| (m.flags, m.sequence)).collect();
    assert_eq!(read, [(1, u32::MAX), (5, 0), (1, 1)]);
    assert_eq!((batch.label(2), batch.label(9)), ("c", "?"));
}
