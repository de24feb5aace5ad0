//! The formats of cgroup files.

use std::path::Path;

use super::Io;

/// A file's text; empty when it cannot be read.
pub(super) fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap_or_default()
}

/// A single number; `None` for `max` and for nothing.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Lines of a name and a number.
pub(super) fn keyed(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

/// `io.stat`: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
pub(super) fn io_v2(text: &str) -> Vec<Io> {
    let mut all = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        let values: Vec<(&str, u64)> =
            words.filter_map(|w| w.split_once('=')).filter_map(|(k, v)| Some((k, v.parse().ok()?))).collect();
        let value = |name: &str| values.iter().find(|(k, _)| *k == name).map(|(_, v)| *v);
        for (kind, bytes, operations) in [("read", "rbytes", "rios"), ("write", "wbytes", "wios")] {
            all.push(Io {
                major,
                minor,
                kind: kind.to_owned(),
                bytes: value(bytes),
                operations: value(operations),
            });
        }
    }
    all
}

/// The two blkio files of v1: `8:0 Read 1`, and a last line `Total n` that belongs to no device.
pub(super) fn blkio_v1(bytes: &str, operations: &str) -> Vec<Io> {
    let rows = |text: &str| -> Vec<(u64, u64, String, u64)> {
        text.lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (major, minor) = device(words.next()?)?;
                Some((major, minor, words.next()?.to_lowercase(), words.next()?.parse().ok()?))
            })
            .collect()
    };
    let mut all: Vec<Io> = rows(bytes)
        .into_iter()
        .map(|(major, minor, kind, n)| Io { major, minor, kind, bytes: Some(n), operations: None })
        .collect();
    for (major, minor, kind, n) in rows(operations) {
        match all.iter_mut().find(|io| (io.major, io.minor, &io.kind) == (major, minor, &kind)) {
            Some(io) => io.operations = Some(n),
            None => all.push(Io { major, minor, kind, bytes: None, operations: Some(n) }),
        }
    }
    all
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(number("max\n"), None);
        assert_eq!(number("12\n"), Some(12));
        assert_eq!(keyed("a 1\nb x\nc 3\n"), [("a".to_owned(), 1), ("c".to_owned(), 3)]);
        let v2 = io_v2("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\nx\n");
        let v1 = blkio_v1("8:0 Read 1\n8:0 Write 2\nTotal 3\n", "8:0 Read 3\n8:0 Write 4\n");
        assert_eq!(v1, v2);
        assert_eq!(v2.len(), 2);
    }
}
