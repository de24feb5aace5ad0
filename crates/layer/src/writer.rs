//! Writes tar: plain ustar headers, with a PAX header only where ustar cannot say it. The same entries give the
//! same bytes.

use std::io::{self, Read, Write};

use crate::entry::{Entry, EntryKind, Time};
use crate::header::{BLOCK, checksum};

/// Bytes that are copied at once.
const COPY: usize = 128 << 10;

/// Writes entries to an uncompressed tar stream.
pub struct Writer<W> {
    output: W,
}

impl<W: Write> Writer<W> {
    /// A writer at the start of an archive.
    pub fn new(output: W) -> Self {
        Self { output }
    }

    /// Adds an entry. A file's `data` must be `entry.size` bytes (holes are written as zeros: sparse entries are
    /// not made).
    ///
    /// # Errors
    /// When the output fails, or `data` is shorter than said.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
        let path = entry_name(entry);
        let records = pax_records(entry, &path);
        if !records.is_empty() {
            let header =
                Fields { name: b"PaxHeaders/0", link: b"", typeflag: b'x', size: records.len() as u64 };
            self.output.write_all(&block(&header, &Entry::new("", EntryKind::File, 0o644)))?;
            self.output.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        let size = if entry.kind == EntryKind::File { entry.size } else { 0 };
        let header = Fields { name: &path, link: &entry.link, typeflag: typeflag(entry.kind), size };
        self.output.write_all(&block(&header, entry))?;
        if self.copy(data, size)? < size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was read",
            ));
        }
        self.pad(size)
    }

    /// Writes the end mark and gives the output back.
    ///
    /// # Errors
    /// When the output fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.output)
    }

    /// Copies as many bytes as there are, up to `size`; answers how many.
    fn copy(&mut self, data: &mut dyn Read, size: u64) -> io::Result<u64> {
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(COPY).min(COPY)];
        let mut done = 0;
        while done < size {
            let most = buffer.len().min(usize::try_from(size - done).unwrap_or(COPY));
            match data.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(count) => {
                    self.output.write_all(&buffer[..count])?;
                    done += count as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = (size.wrapping_neg() % BLOCK as u64) as usize;
        self.output.write_all(&[0; BLOCK][..padding])
    }
}

struct Fields<'a> {
    name: &'a [u8],
    link: &'a [u8],
    typeflag: u8,
    size: u64,
}

fn entry_name(entry: &Entry) -> Vec<u8> {
    match (entry.path.is_root(), entry.kind) {
        (true, _) => b"./".to_vec(),
        (_, EntryKind::Directory) => [entry.path.as_bytes(), b"/"].concat(),
        _ => entry.path.as_bytes().to_vec(),
    }
}

fn typeflag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::File => b'0',
        EntryKind::Hardlink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

fn block(fields: &Fields<'_>, entry: &Entry) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let seconds = entry.mtime.seconds.max(0) as u64;
    put_text(&mut block[0..100], fields.name);
    put_octal(&mut block[100..108], u64::from(entry.mode & 0o7777));
    put_octal(&mut block[108..116], u64::from(entry.uid));
    put_octal(&mut block[116..124], u64::from(entry.gid));
    put_octal(&mut block[124..136], fields.size);
    put_octal(&mut block[136..148], seconds);
    block[156] = fields.typeflag;
    put_text(&mut block[157..257], fields.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    put_octal(&mut block[329..337], u64::from(entry.device.major));
    put_octal(&mut block[337..345], u64::from(entry.device.minor));
    let sum = checksum(&block, false) as u64;
    put_octal(&mut block[148..155], sum);
    block[155] = b' ';
    block
}

/// What does not fit (the PAX header says it in full) is cut.
fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// What does not fit (the PAX header says it in full) is written as 0.
fn put_octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let value = if value >> (3 * digits) == 0 { value } else { 0 };
    let text = format!("{value:0digits$o}");
    field[..digits].copy_from_slice(text.as_bytes());
}

fn pax_records(entry: &Entry, path: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| push_record(&mut records, key, value);
    if path.len() > 100 {
        add(b"path", path);
    }
    if entry.link.len() > 100 {
        add(b"linkpath", &entry.link);
    }
    if entry.kind == EntryKind::File && entry.size > 0o77_777_777_777 {
        add(b"size", entry.size.to_string().as_bytes());
    }
    for (key, id) in [(&b"uid"[..], entry.uid), (b"gid", entry.gid)] {
        if id > 0o777_7777 {
            add(key, id.to_string().as_bytes());
        }
    }
    if entry.mtime.nanos != 0 || !(0..=0o77_777_777_777).contains(&entry.mtime.seconds) {
        add(b"mtime", print_time(entry.mtime).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

fn print_time(time: Time) -> String {
    match (time.seconds < 0, time.nanos) {
        (_, 0) => time.seconds.to_string(),
        (false, nanos) => format!("{}.{nanos:09}", time.seconds),
        (true, nanos) => format!("-{}.{:09}", -(time.seconds + 1), 1_000_000_000 - nanos),
    }
}

/// The length counts its own digits.
fn push_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}
