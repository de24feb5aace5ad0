//! What a reader sees in an archive.

use std::fmt;

use layer::{EntryKind, Limits, Reader, Segment, TreePath};

/// Files longer than this are not looked into: holes make them long.
pub(crate) const MOST: u64 = 1 << 20;

/// An entry, in words that every reader has.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Without `.`, empty components and slashes around.
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) size: u64,
    pub(crate) link: Vec<u8>,
    /// CRC-32 of the content, holes included.
    pub(crate) check: u32,
    /// The content, where it is known.
    pub(crate) content: Option<Vec<u8>>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, size, check, .. } = self;
        write!(f, "{kind} {name} of {size} bytes to \"{}\" with {check:x}", self.link.escape_ascii())
    }
}

impl Seen {
    /// Reads `name,kind,size,link,check`; names are in hex digits.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let odd = || format!("it says {text:?}");
        let [name, kind, size, link, check] = text.split(',').collect::<Vec<_>>()[..] else {
            return Err(odd());
        };
        Ok(Self {
            name: clean(&unhex(name).ok_or_else(odd)?)?,
            kind: kind.to_owned(),
            size: size.parse().map_err(|_| odd())?,
            link: unhex(link).ok_or_else(odd)?,
            check: u32::from_str_radix(check, 16).map_err(|_| odd())?,
            content: None,
        })
    }

    /// The same, apart from the content that only we have.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        Self { content: None, ..self.clone() } == *other
    }
}

/// A name as the other reader has it, as a path in the tree.
pub(crate) fn clean(name: &[u8]) -> Result<String, String> {
    let path = TreePath::parse(name, &Limits::default()).map_err(|e| format!("{name:?}: {e}"))?;
    Ok(path.as_bytes().escape_ascii().to_string())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs =
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect()
}

/// What our reader sees, or why it refuses.
pub(crate) fn ours(bytes: &[u8]) -> Result<Vec<Seen>, String> {
    let mut reader = Reader::new(bytes, Limits { need_end: true, ..Limits::default() });
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(|e| e.to_string())? {
        let mut data = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match reader.read_data(&mut chunk).map_err(|e| e.to_string())? {
                0 => break,
                count => data.extend_from_slice(&chunk[..count]),
            }
        }
        let content =
            if entry.size <= MOST { expand(&data, &entry.segments, entry.size) } else { Vec::new() };
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        all.push(Seen {
            name: entry.path.as_bytes().escape_ascii().to_string(),
            kind: word(entry.kind).to_owned(),
            size: entry.size,
            check: crc.sum(),
            // GNU tar leaves out the hole at the end when it writes to a pipe.
            content: (entry.stored_bytes() == entry.size).then_some(content),
            link: entry.link,
        });
    }
    Ok(all)
}

fn word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink => "symlink",
        EntryKind::Hardlink => "hardlink",
        EntryKind::CharDevice => "char",
        EntryKind::BlockDevice => "block",
        EntryKind::Fifo => "fifo",
    }
}

/// The content with its holes.
fn expand(mut data: &[u8], segments: &[Segment], size: u64) -> Vec<u8> {
    let mut whole = vec![0; usize::try_from(size).expect("short")];
    for segment in segments {
        let (piece, rest) = data.split_at(usize::try_from(segment.length).expect("short"));
        let at = usize::try_from(segment.offset).expect("short");
        whole[at..at + piece.len()].copy_from_slice(piece);
        data = rest;
    }
    whole
}
