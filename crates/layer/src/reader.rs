//! The strict tar reader: one pass, bounded memory, every ambiguity an error (CVE-2025-62518 shows why).

use std::io::{self, BufRead, Read};

use types::weak;

use crate::entry::{Device, Entry, EntryKind, Segment, whole};
use crate::error::Error;
use crate::header::{BLOCK, Format, Header};
use crate::limits::Limits;
use crate::path::TreePath;
use crate::pax::{self, Overrides};
use crate::{number, sparse};

/// The largest size that the octal field of a plain header can hold.
const OCTAL_MAX: u64 = 0o77_777_777_777;

/// Reads entries from an uncompressed tar stream. Small reads are many: give it a buffered input.
pub struct Reader<R> {
    input: R,
    limits: Limits,
    entries: u64,
    /// Data bytes of the present entry that were not read yet.
    left: u64,
    /// Zero bytes after them, up to the next block.
    padding: u64,
    ended: bool,
}

/// Extension headers that wait for their entry.
#[derive(Default)]
struct Pending {
    pax: Option<Overrides>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    /// A global one; without an entry behind it, Python takes the archive for cut off.
    global: bool,
}

enum Block {
    Header(Box<[u8; BLOCK]>),
    Zero,
    End,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of an archive.
    pub fn new(input: R, limits: Limits) -> Self {
        Self { input, limits, entries: 0, left: 0, padding: 0, ended: false }
    }

    /// The next entry, after skipping what was not read of the one before. `None` after the end mark; the input has
    /// then been read to its very end.
    ///
    /// # Errors
    /// When the archive is malformed, ambiguous, cut short or over a limit, or the input fails.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let mut pending = Pending::default();
        while !self.ended {
            self.skip()?;
            let block = match self.block()? {
                Block::Header(block) => block,
                _ if pending.waits() => return Err(Error::truncated()),
                end => {
                    self.end(&end)?;
                    break;
                }
            };
            self.entries += 1;
            if self.entries > self.limits.entries && !weak::is_off("I12") {
                let most = self.limits.entries;
                return Err(Error::over_limit(format!("the archive has more than {most} entries")));
            }
            if let Some(entry) = self.header(&block, &mut pending)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Reads data of the present entry. 0 means that all of it was read.
    ///
    /// # Errors
    /// When the archive ends early or the input fails.
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = retry(|| self.input.read(&mut buffer[..most]))?;
        if count == 0 {
            return Err(Error::truncated());
        }
        self.left -= count as u64;
        Ok(count)
    }

    /// Gives the input back.
    pub fn into_inner(self) -> R {
        self.input
    }

    fn header(&mut self, block: &[u8; BLOCK], pending: &mut Pending) -> Result<Option<Entry>, Error> {
        let header = Header::parse(block)?;
        let shown = header.name();
        let done = match header.typeflag() {
            b'x' => {
                let body = self.extension(&header)?;
                put(&mut pending.pax, pax::parse(&body, &self.limits)?)
            }
            b'g' if pending.extends() => {
                Err(Error::malformed("a global header comes between an extension header and its entry"))
            }
            b'g' => {
                pending.global = true;
                pax::check_global(&self.extension(&header)?)
            }
            b'L' => put(&mut pending.name, long_name(self.extension(&header)?)?),
            b'K' => put(&mut pending.link, long_name(self.extension(&header)?)?),
            _ => return self.entry(&header, std::mem::take(pending)).map(Some).map_err(|e| e.at(&shown)),
        };
        done.map_err(|e| e.at(&shown))?;
        Ok(None)
    }

    fn entry(&mut self, header: &Header<'_>, pending: Pending) -> Result<Entry, Error> {
        let mut pax = pending.pax.unwrap_or_default();
        let gnu_sparse = header.typeflag() == b'S';
        let name = pick(pax.path.take(), pending.name, header.name())?;
        let name = pax.sparse.name.take().unwrap_or(name);
        let kind = kind(header.typeflag(), &name)?;
        // Python looks for the slash of an old directory in the header, also where an extension has the name.
        if header.typeflag() == 0 && header.name().ends_with(b"/") != name.ends_with(b"/") {
            return Err(
                Error::malformed("it is a directory by one of its names, and a file by the other").at(&name)
            );
        }
        let stored = stored_size(header.size()?, pax.size, kind)?;
        let path =
            TreePath::parse(&name, &self.limits).map_err(|e| Error::malformed(e.to_string()).at(&name))?;
        if path.is_root() && kind != EntryKind::Directory && !weak::is_off("I07") {
            return Err(Error::malformed("the root of the tree can only be a directory").at(&name));
        }
        let link = pick(pax.link.take(), pending.link, header.link())?;
        if matches!(kind, EntryKind::Symlink | EntryKind::Hardlink) && link.is_empty() {
            return Err(Error::malformed("the link has no target").at(&name));
        }
        let mut entry = Entry {
            path,
            kind,
            mode: header.mode()?,
            uid: owner(pax.uid, header.uid()?)?,
            gid: owner(pax.gid, header.gid()?)?,
            mtime: pax.mtime.map_or_else(|| header.mtime(), Ok)?,
            size: stored,
            segments: whole(stored),
            link: if matches!(kind, EntryKind::Symlink | EntryKind::Hardlink) { link } else { Vec::new() },
            device: Device::default(),
            xattrs: std::mem::take(&mut pax.xattrs),
        };
        if matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice) {
            entry.device = header.device()?;
        }
        self.left = stored;
        self.padding = padding_of(stored);
        if gnu_sparse {
            self.gnu_sparse(header, &mut entry)?;
        } else if pax.sparse.is_used() {
            self.pax_sparse(header, &pax.sparse, &mut entry)?;
        }
        if entry.size > self.limits.file_bytes {
            return Err(Error::over_limit(format!(
                "the file's size of {} bytes is over the limit",
                entry.size
            )));
        }
        Ok(entry)
    }

    /// GNU's old form: slots in the header, and more in the blocks behind it.
    fn gnu_sparse(&mut self, header: &Header<'_>, entry: &mut Entry) -> Result<(), Error> {
        let (slots, mut more, size) = header.gnu_sparse()?;
        let mut segments = Vec::new();
        sparse::parse_slots(slots, &mut segments)?;
        while more {
            let Block::Header(block) = self.block()? else { return Err(sparse::bad()) };
            sparse::parse_slots(&block[..504], &mut segments)?;
            more = block[504] != 0;
            if segments.len() > self.limits.sparse_segments {
                return Err(Error::over_limit("the sparse file has too many pieces"));
            }
        }
        self.set_segments(entry, segments, size)
    }

    fn pax_sparse(
        &mut self,
        header: &Header<'_>,
        keys: &pax::Sparse,
        entry: &mut Entry,
    ) -> Result<(), Error> {
        let size = keys.real_size.ok_or_else(sparse::bad)?;
        // GNU tar looks for a map only behind a header of the dialect that has it.
        if entry.kind != EntryKind::File || header.typeflag() != b'0' || header.format != Format::Posix {
            return Err(sparse::bad());
        }
        let segments = match (keys.major, keys.minor) {
            (Some(1), Some(0)) if keys.map.is_empty() && keys.segments.is_none() => self.sparse_map()?,
            (None, None) | (Some(0), Some(0 | 1)) if keys.segments.is_some() => sparse::pair(&keys.map)?,
            _ => return Err(sparse::bad()),
        };
        if keys.segments.is_some_and(|count| count != segments.len() as u64) {
            return Err(sparse::bad());
        }
        self.set_segments(entry, segments, size)
    }

    fn set_segments(
        &mut self,
        entry: &mut Entry,
        mut segments: Vec<Segment>,
        size: u64,
    ) -> Result<(), Error> {
        sparse::check(&mut segments, size, self.left, &self.limits)?;
        entry.segments = segments;
        entry.size = size;
        Ok(())
    }

    /// PAX 1.0: the map is decimal lines at the start of the data, padded to a block.
    fn sparse_map(&mut self) -> Result<Vec<Segment>, Error> {
        let most = self.limits.sparse_segments.saturating_mul(2);
        let mut line = Vec::new();
        let mut numbers = Vec::new();
        let mut want = None;
        while want.is_none_or(|want| numbers.len() < want) {
            let mut block = [0; BLOCK];
            self.read_whole(&mut block)?;
            for byte in block {
                match byte {
                    _ if want.is_some_and(|want| numbers.len() == want) => break,
                    b'\n' => {
                        let value = number::parse_decimal(&line).ok_or_else(sparse::bad)?;
                        line.clear();
                        if want.is_some() {
                            numbers.push(value);
                            continue;
                        }
                        let count = usize::try_from(value).unwrap_or(usize::MAX).saturating_mul(2);
                        if count > most && !weak::is_off("I10") {
                            return Err(Error::over_limit("the sparse file has too many pieces"));
                        }
                        want = Some(count);
                    }
                    digit if line.len() < 20 => line.push(digit),
                    _ => return Err(sparse::bad()),
                }
            }
        }
        sparse::pair(&numbers)
    }

    fn read_whole(&mut self, mut buffer: &mut [u8]) -> Result<(), Error> {
        while !buffer.is_empty() {
            match self.read_data(buffer)? {
                0 => return Err(sparse::bad()),
                count => buffer = &mut buffer[count..],
            }
        }
        Ok(())
    }

    /// The body of an extension header.
    fn extension(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Error> {
        let size = header.size()?;
        if size > self.limits.extension_bytes && !weak::is_off("I10") {
            return Err(Error::over_limit(format!("an extension header of {size} bytes is over the limit")));
        }
        self.left = size;
        self.padding = padding_of(size);
        let mut body = vec![0; size as usize];
        let mut done = 0;
        while done < body.len() {
            done += self.read_data(&mut body[done..])?;
        }
        self.left = std::mem::take(&mut self.padding);
        let mut padding = [0; BLOCK];
        while self.left > 0 {
            let count = self.read_data(&mut padding)?;
            // Python reads records in there.
            if padding[..count].iter().any(|byte| *byte != 0) {
                return Err(Error::malformed("there is something behind the end of an extension header"));
            }
        }
        Ok(body)
    }

    fn skip(&mut self) -> Result<(), Error> {
        if self.left > 0 {
            let mut scratch = [0; 16 << 10];
            while self.left > 0 {
                self.read_data(&mut scratch)?;
            }
        }
        self.left = std::mem::take(&mut self.padding);
        let mut scratch = [0; BLOCK];
        while self.left > 0 {
            self.read_data(&mut scratch)?;
        }
        Ok(())
    }

    fn block(&mut self) -> Result<Block, Error> {
        let mut block = Box::new([0; BLOCK]);
        let mut done = 0;
        while done < BLOCK {
            match retry(|| self.input.read(&mut block[done..]))? {
                0 if done == 0 => return Ok(Block::End),
                0 => return Err(Error::truncated()),
                count => done += count,
            }
        }
        Ok(if block.iter().all(|b| *b == 0) { Block::Zero } else { Block::Header(block) })
    }

    /// After the last entry: the end mark, then nothing but zeros.
    fn end(&mut self, first: &Block) -> Result<(), Error> {
        self.ended = true;
        if matches!(first, Block::End) {
            return if self.limits.need_end { Err(Error::truncated()) } else { Ok(()) };
        }
        if let Block::Header(_) = self.block()? {
            return Err(Error::malformed("there is a single empty block between entries"));
        }
        let mut scratch = vec![0; 64 << 10];
        loop {
            let count = retry(|| self.input.read(&mut scratch))?;
            if count == 0 {
                return Ok(());
            }
            if scratch[..count].iter().any(|b| *b != 0) {
                return Err(Error::malformed("there is more after the archive's end mark"));
            }
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Data of the present entry where it lies, as much as is there. Empty when all of it was read. What is used of it is to be consumed.
    ///
    /// # Errors
    /// When the archive ends early or the input fails.
    pub fn data(&mut self) -> Result<&[u8], Error> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(&[]);
        }
        let data = self.input.fill_buf().map_err(Error::read)?;
        if data.is_empty() {
            return Err(Error::truncated());
        }
        Ok(&data[..data.len().min(most)])
    }

    /// Counts so many bytes of what `data` showed as read.
    pub fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.left -= count as u64;
    }
}

impl Pending {
    fn waits(&self) -> bool {
        self.extends() || self.global
    }

    fn extends(&self) -> bool {
        self.pax.is_some() || self.name.is_some() || self.link.is_some()
    }
}

impl pax::Sparse {
    fn is_used(&self) -> bool {
        self.major.is_some()
            || self.minor.is_some()
            || self.real_size.is_some()
            || self.segments.is_some()
            || !self.map.is_empty()
    }
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> Result<usize, Error> {
    loop {
        match read() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(Error::read),
        }
    }
}

fn padding_of(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// GNU's long names end with a NUL. Some readers go by that, others by the size.
fn long_name(mut body: Vec<u8>) -> Result<Vec<u8>, Error> {
    let end = body.iter().position(|byte| *byte == 0);
    match end {
        Some(end) if end > 0 && body[end..].iter().all(|byte| *byte == 0) => {
            body.truncate(end);
            Ok(body)
        }
        _ => Err(Error::malformed("a long name is empty, has a NUL in it, or none at its end")),
    }
}

fn put<T>(slot: &mut Option<T>, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) if weak::is_off("I09") => Ok(()),
        Some(_) => Err(Error::malformed("two extension headers of one kind in a row")),
    }
}

/// A name may come from PAX, from GNU's long form, or from the header; the first two must not differ.
fn pick(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>, header: Vec<u8>) -> Result<Vec<u8>, Error> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => Err(Error::malformed("it has two different long names")),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Ok(header),
    }
}

fn kind(typeflag: u8, name: &[u8]) -> Result<EntryKind, Error> {
    let slash = name.ends_with(b"/");
    Ok(match typeflag {
        0 if slash => EntryKind::Directory,
        b'0' | b'7' | b'S' if slash => return Err(Error::malformed("a file's name ends with a slash")),
        0 | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::Hardlink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => {
            let shown = char::from(other).escape_default();
            return Err(Error::malformed(format!("entries of type '{shown}' are not supported")));
        }
    })
}

/// How many data bytes follow. The header and PAX must agree; only a size that does not fit the header
/// may be left out of it.
fn stored_size(header: u64, pax: Option<u64>, kind: EntryKind) -> Result<u64, Error> {
    let size = match pax {
        Some(pax) if pax == header || (header == 0 && pax > OCTAL_MAX) => pax,
        Some(_) if weak::is_off("I08") => header,
        Some(pax) => {
            return Err(Error::malformed(format!(
                "its size is {header} in the header but {pax} in the PAX header"
            )));
        }
        None => header,
    };
    if size > 0 && kind != EntryKind::File {
        return Err(Error::malformed("it has data but is not a file"));
    }
    Ok(size)
}

fn owner(pax: Option<u64>, header: i64) -> Result<u32, Error> {
    let id = pax.or(u64::try_from(header).ok());
    if weak::is_off("I13") {
        return Ok(id.unwrap_or(header as u64) as u32);
    }
    id.and_then(|id| u32::try_from(id).ok())
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| Error::malformed("its owner or group is out of range"))
}
