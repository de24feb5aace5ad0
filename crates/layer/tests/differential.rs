//! The reader against another one (the `tar` crate), on archives that were changed at random: whatever ours accepts, the other must see
//! the same way. And whatever it is fed, it ends.

mod blocks;

use std::io::Read;

use blocks::mend;
use layer::{Entry, EntryKind, Limits, Reader, Writer};
use proptest::prelude::*;

fn ours(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut reader = Reader::new(bytes, Limits { need_end: true, ..Limits::default() });
    let mut seen = Vec::new();
    while let Some(entry) = reader.next_entry().ok()? {
        let mut data = Vec::new();
        let mut chunk = [0; 512];
        loop {
            match reader.read_data(&mut chunk).ok()? {
                0 => break,
                count => data.extend_from_slice(&chunk[..count]),
            }
        }
        // Holes are not data.
        let plain = entry.stored_bytes() == entry.size;
        seen.push((entry.path.as_bytes().to_vec(), if plain { data } else { Vec::new() }));
    }
    Some(seen)
}

fn theirs(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut archive = tar::Archive::new(bytes);
    let mut seen = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let path = entry.path_bytes().into_owned();
        let clean = layer::TreePath::parse(&path, &Limits::default()).ok()?;
        let mut data = Vec::new();
        entry.read_to_end(&mut data).ok()?;
        seen.push((clean.as_bytes().to_vec(), data));
    }
    Some(seen)
}

fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let long = "long/".repeat(30) + "name";
    let mut dressed = Entry::file("etc/dressed", 700);
    dressed.xattrs.push((b"user.note".to_vec(), b"value".to_vec()));
    let link = Entry { link: b"etc/dressed".to_vec(), ..Entry::new("etc/hard", EntryKind::Hardlink, 0o644) };
    for entry in [
        Entry::directory("etc"),
        dressed,
        Entry::file(&long, 3),
        Entry::symlink("etc/soft", "/somewhere/else"),
        link,
        Entry::file("last", 512),
    ] {
        writer.append(&entry, &mut std::io::repeat(b'x')).expect("write");
    }
    writer.finish().expect("finish")
}

#[test]
fn the_sample_is_seen_alike() {
    assert!(ours(&sample()).is_some_and(|seen| seen.len() == 6));
    assert_eq!(ours(&sample()), theirs(&sample()));
}

/// The other reader cuts PAX values at line feeds; they are counted, so a name may have one.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Some(seen) = ours(bytes) else { return Ok(()) };
    let Some(other) = theirs(bytes) else { return Ok(()) };
    if seen.iter().any(|(path, _)| path.contains(&b'\n')) {
        return Ok(());
    }
    let names = |list: &[(Vec<u8>, Vec<u8>)]| -> Vec<String> {
        list.iter().map(|(p, d)| format!("{} {}", String::from_utf8_lossy(p), d.len())).collect()
    };
    prop_assert!(seen == other, "ours {:?}\ntheirs {:?}", names(&seen), names(&other));
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn i08_accepted_mutants_are_seen_alike(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = sample();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        mend(&mut bytes);
        agree(&bytes)?;
    }

    #[test]
    fn i08_header_digits_are_seen_alike(block in 0_usize..16, at in 100_usize..160, digit in prop::sample::select(b"01234567 \0x\x80\xff".to_vec())) {
        let mut bytes = sample();
        let at = block * 512 % bytes.len() + at;
        bytes[at] = digit;
        mend(&mut bytes);
        agree(&bytes)?;
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = ours(&bytes);
    }

    #[test]
    fn cuts_never_pass(cut in any::<prop::sample::Index>()) {
        let bytes = sample();
        let end = bytes.len() - 1024;
        prop_assert!(ours(&bytes[..cut.index(end)]).is_none());
    }
}
