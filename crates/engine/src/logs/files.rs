//! A log and its rotated predecessors (`x`, `x.1`, `x.2` …) as one sequence of complete lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A chunk read at once.
const CHUNK: usize = 64 << 10;
/// A longer line is no log line of ours; it is skipped.
const LINE_MAX: usize = 4 << 20;
/// More rotated files than anyone keeps.
const FILES_MAX: usize = 1000;

/// A reader that stands at a line of one of the files and goes on into newer ones.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: PathBuf,
    /// The file being read, then the newer ones that were seen when it was opened.
    files: VecDeque<Part>,
    /// Bytes read but not handed out, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// Where to stop: the inode of a file, and bytes in it.
    end: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Part {
    file: File,
    inode: u64,
    offset: u64,
}

impl Cursor {
    /// Opens the log at its first line, or `tail` lines before its end. A log that does not exist yet is empty.
    pub(crate) fn open(path: &Path, tail: Option<u64>) -> io::Result<Self> {
        let mut files = open_all(path)?;
        if let Some(tail) = tail {
            seek_tail(&mut files, tail)?;
        }
        Ok(Self { path: path.to_owned(), files, buffer: Vec::new(), start: 0, end: None })
    }

    /// Ends the sequence at this many bytes of the file with this inode.
    pub(crate) fn stop_at(mut self, inode: u64, bytes: u64) -> Self {
        self.end = Some((inode, bytes));
        self
    }

    /// Whether everything before the place to stop at was handed out.
    fn is_at_end(&self) -> bool {
        let Some((part, (inode, bytes))) = self.files.front().zip(self.end) else { return false };
        let unread = (self.buffer.len() - self.start) as u64;
        part.inode == inode && part.offset - unread.min(part.offset) >= bytes
    }

    /// The next complete line without its newline; `None` when there is none for now.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        let mut searched = self.start;
        loop {
            if self.is_at_end() {
                return Ok(None);
            }
            if let Some(at) = find_newline(&self.buffer[searched..]) {
                let (from, end) = (self.start, searched + at);
                self.start = end + 1;
                return Ok(Some(&self.buffer[from..end]));
            }
            self.drop_consumed();
            searched = self.buffer.len();
            if searched > LINE_MAX {
                self.buffer.clear();
                searched = 0;
            }
            if !self.fill()? && !self.step()? {
                return Ok(None);
            }
            // A new file never continues a line of the old one.
            searched = searched.min(self.buffer.len());
        }
    }

    fn drop_consumed(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
    }

    /// Reads on in the present file; false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(part) = self.files.front_mut() else { return Ok(false) };
        let had = self.buffer.len();
        self.buffer.resize(had + CHUNK, 0);
        let got = part.file.read_at(&mut self.buffer[had..], part.offset);
        self.buffer.truncate(had + *got.as_ref().unwrap_or(&0));
        part.offset += got? as u64;
        Ok(self.buffer.len() > had)
    }

    /// At the end of a file: goes on to the next newer one, if this one was rotated away; false when this is the newest.
    fn step(&mut self) -> io::Result<bool> {
        if self.files.len() < 2 {
            let newer = match self.files.front() {
                None => open_all(&self.path)?,
                Some(part) => open_after(&self.path, part.inode)?,
            };
            if newer.is_empty() {
                return self.rewind();
            }
            self.files.extend(newer);
            // What was written between the last read and the rotation is still to come.
            if self.fill()? {
                return Ok(true);
            }
        }
        if self.files.len() > 1 {
            self.files.pop_front();
            self.buffer.clear();
            self.start = 0;
        }
        Ok(true)
    }
}

impl Cursor {
    /// A log that keeps one file only is truncated instead of rotated: it goes on at the beginning. False: that did not happen.
    fn rewind(&mut self) -> io::Result<bool> {
        let Some(part) = self.files.front_mut() else { return Ok(false) };
        if part.file.metadata()?.len() >= part.offset {
            return Ok(false);
        }
        part.offset = 0;
        self.buffer.clear();
        self.start = 0;
        Ok(true)
    }
}

fn find_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == b'\n')
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn open_part(path: &Path) -> io::Result<Option<Part>> {
    match File::open(path) {
        Ok(file) => {
            let inode = file.metadata()?.ino();
            Ok(Some(Part { file, inode, offset: 0 }))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Every file, oldest first.
fn open_all(path: &Path) -> io::Result<VecDeque<Part>> {
    open_until(path, |_| false)
}

/// The files newer than the one with this inode, oldest first; empty when it is the newest.
fn open_after(path: &Path, inode: u64) -> io::Result<VecDeque<Part>> {
    open_until(path, |part| part.inode == inode)
}

/// Opens from the newest file backwards until `stop`; again from the start when a rotation came in between.
fn open_until(path: &Path, stop: impl Fn(&Part) -> bool) -> io::Result<VecDeque<Part>> {
    loop {
        let mut parts: VecDeque<Part> = VecDeque::new();
        let mut moved = false;
        for number in 0..FILES_MAX {
            let Some(part) = open_part(&numbered(path, number))? else {
                // Between the two renames of a rotation the newest name is missing for a moment.
                if number == 0 { continue } else { break }
            };
            moved |= parts.iter().any(|p| p.inode == part.inode);
            if moved || stop(&part) {
                break;
            }
            parts.push_front(part);
        }
        if !moved {
            return Ok(parts);
        }
    }
}

/// Moves each part's offset so that only the last `tail` complete lines remain.
fn seek_tail(files: &mut VecDeque<Part>, tail: u64) -> io::Result<()> {
    let mut missing = tail;
    for index in (0..files.len()).rev() {
        let end = files[index].file.metadata()?.len();
        let (offset, found) = tail_offset(&files[index].file, end, missing)?;
        files[index].offset = offset;
        missing -= found;
        if missing == 0 {
            files.drain(..index);
            return Ok(());
        }
    }
    Ok(())
}

/// Where the last `wanted` lines of a file begin, and how many of them it has. An unfinished last line does not count.
fn tail_offset(file: &File, end: u64, wanted: u64) -> io::Result<(u64, u64)> {
    let mut chunk = vec![0; CHUNK];
    let mut newlines = 0;
    let mut position = end;
    while position > 0 {
        let length = position.min(CHUNK as u64);
        position -= length;
        let piece = &mut chunk[..length as usize];
        file.read_exact_at(piece, position)?;
        for (at, _) in piece.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            if newlines == wanted {
                return Ok((position + at as u64 + 1, wanted));
            }
            newlines += 1;
        }
    }
    Ok((0, newlines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::fs;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("berth-log-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("temporary directory");
            Self(dir)
        }
        fn write(&self, number: usize, lines: std::ops::Range<u32>, rest: &str) -> PathBuf {
            let mut text = String::new();
            for n in lines {
                let _ = writeln!(text, "line {n}");
            }
            let path = numbered(&self.0.join("log"), number);
            fs::write(&path, text + rest).expect("log");
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn drain(cursor: &mut Cursor) -> Vec<u32> {
        let mut numbers = Vec::new();
        while let Some(line) = cursor.next_line().expect("readable") {
            let text = std::str::from_utf8(line).expect("text");
            numbers.push(text.strip_prefix("line ").expect("a line").parse().expect("a number"));
        }
        numbers
    }

    #[test]
    fn reads_all_files_and_tails() {
        let dir = Dir::new("tail");
        dir.write(2, 0..3, "");
        dir.write(1, 3..20_000, "");
        let path = dir.write(0, 20_000..20_005, "line 99");
        assert_eq!(drain(&mut Cursor::open(&path, None).expect("open")), (0..20_005).collect::<Vec<_>>());
        for tail in [0u32, 1, 4, 5, 6, 10_000, 20_002, 20_005, 30_000] {
            let got = drain(&mut Cursor::open(&path, Some(tail.into())).expect("open"));
            assert_eq!(got, (20_005u32.saturating_sub(tail)..20_005).collect::<Vec<_>>(), "tail {tail}");
        }
    }

    #[test]
    fn follows_a_file_that_is_truncated() {
        let dir = Dir::new("truncate");
        let path = dir.write(0, 0..50, "line 5");
        let mut cursor = Cursor::open(&path, None).expect("open");
        assert_eq!(drain(&mut cursor), (0..50).collect::<Vec<_>>());
        dir.write(0, 50..53, "");
        assert_eq!(drain(&mut cursor), [50, 51, 52]);
        dir.write(0, 50..54, "");
        assert_eq!(drain(&mut cursor), [53]);
    }

    #[test]
    fn follows_across_rotations() {
        let dir = Dir::new("rotate");
        let path = dir.0.join("log");
        let mut cursor = Cursor::open(&path, None).expect("a log that is not there yet");
        assert!(drain(&mut cursor).is_empty());
        dir.write(0, 0..2, "line ");
        assert_eq!(drain(&mut cursor), [0, 1]);
        dir.write(0, 0..4, "");
        fs::rename(&path, numbered(&path, 1)).expect("rotate");
        assert_eq!(drain(&mut cursor), [2, 3]);
        dir.write(0, 4..5, "");
        assert_eq!(drain(&mut cursor), [4]);
        // Three rotations at once.
        for (number, lines) in [(3, 4..6), (2, 6..7), (1, 7..9)] {
            if number == 3 {
                fs::rename(&path, numbered(&path, 3)).expect("rotate");
            }
            dir.write(number, lines, "");
        }
        dir.write(0, 9..10, "");
        assert_eq!(drain(&mut cursor), [5, 6, 7, 8, 9]);
    }
}
