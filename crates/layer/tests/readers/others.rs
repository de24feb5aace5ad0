//! The other readers, each as a program: Python and Go read one archive after another, GNU tar one each time.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::seen::{MOST, Seen, clean};

pub(crate) enum Other {
    Batch { name: &'static str, child: Child, input: ChildStdin, output: BufReader<ChildStdout> },
    Gnu,
}

impl Other {
    /// Those that this machine has.
    pub(crate) fn all() -> Vec<Self> {
        let mut python = Command::new("python3");
        python.args(["-c", include_str!("reader.py")]);
        let mut all = vec![Self::batch("Python's tarfile", python)];
        all.push(go().and_then(|program| Self::batch("Go's archive/tar", Command::new(program))));
        let gnu = Command::new("tar").arg("--version").output();
        all.push(gnu.is_ok_and(|said| said.stdout.starts_with(b"tar (GNU tar)")).then_some(Self::Gnu));
        all.into_iter().flatten().collect()
    }

    fn batch(name: &'static str, mut command: Command) -> Option<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            println!("there is no {name} here");
            return None;
        };
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Self::Batch { name, child, input, output })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Batch { name, .. } => name,
            Self::Gnu => "GNU tar",
        }
    }

    pub(crate) fn is_slow(&self) -> bool {
        matches!(self, Self::Gnu)
    }

    /// What it sees, or why it refuses.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Seen>, String> {
        let Self::Batch { input, output, .. } = self else { return gnu(bytes) };
        let length = u32::try_from(bytes.len()).expect("short").to_le_bytes();
        input
            .write_all(&length)
            .and_then(|()| input.write_all(bytes))
            .and_then(|()| input.flush())
            .expect("ask");
        let mut line = String::new();
        output.read_line(&mut line).expect("answer");
        let parts = line.trim_end_matches('\n').split('|').filter(|part| !part.is_empty());
        parts
            .map(|part| match part.strip_prefix('!') {
                Some(why) => Err(why.to_owned()),
                None => Seen::parse(part),
            })
            .collect()
    }

    /// Whether both saw the same.
    pub(crate) fn agrees(&self, ours: &[Seen], theirs: &[Seen]) -> bool {
        let alike = |(ours, theirs): (&Seen, &Seen)| match self {
            Self::Batch { .. } => ours.is_like(theirs),
            // Its list says nothing of the content.
            Self::Gnu => Seen { check: 0, ..ours.clone() }.is_like(&Seen { content: None, ..theirs.clone() }),
        };
        let content: Option<Vec<&Vec<u8>>> = ours.iter().map(|seen| seen.content.as_ref()).collect();
        let theirs_content = theirs.first().and_then(|first| first.content.as_ref());
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(alike)
            && match (content, theirs_content) {
                (Some(ours), Some(theirs)) => ours.into_iter().flatten().eq(theirs),
                _ => true,
            }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Self::Batch { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Builds the reader in Go, where there is a Go; what is built stays for the next time.
fn go() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = place.join("tar-reader");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/reader.go");
    let age = |path: &Path| std::fs::metadata(path).and_then(|stat| stat.modified()).ok();
    if age(&program).is_some_and(|built| Some(built) > age(&source)) {
        return Some(program);
    }
    // As in the room of `cargo xtask test teeth`.
    if std::fs::write(place.join("tar-reader.lock"), "").is_err() {
        println!("Go's reader cannot be built here");
        return None;
    }
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(source).current_dir(place);
    build.env("GOCACHE", place.join("go")).env("GO111MODULE", "off").env("CGO_ENABLED", "0");
    let Ok(built) = build.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").output() else {
        println!("there is no Go here");
        return None;
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

/// GNU tar's list; the contents of all files, one after another, come with the first entry.
fn gnu(bytes: &[u8]) -> Result<Vec<Seen>, String> {
    let list = tar(bytes, &["-tvf", "-", "-P", "--numeric-owner", "--quoting-style=c"])?;
    let list = String::from_utf8_lossy(&list).into_owned();
    let mut all = list.lines().map(listed).collect::<Result<Vec<_>, _>>()?;
    if all.iter().all(|seen| seen.size <= MOST)
        && let Some(first) = all.first_mut()
    {
        first.content = Some(tar(bytes, &["-xOf", "-", "-P"])?);
    }
    Ok(all)
}

fn tar(bytes: &[u8], args: &[&str]) -> Result<Vec<u8>, String> {
    let mut child = Command::new("tar")
        .args(args)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tar");
    let mut input = child.stdin.take().expect("stdin");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes));
        let (mut said, mut complaint) = (Vec::new(), String::new());
        child.stdout.take().expect("stdout").read_to_end(&mut said).expect("read");
        child.stderr.take().expect("stderr").read_to_string(&mut complaint).expect("read");
        let status = child.wait().expect("wait");
        if status.success() { Ok(said) } else { Err(complaint) }
    })
}

/// A line such as `-rw-r--r-- 0/0 700 1970-01-01 00:00 "name"`; devices have their number in place of a size.
fn listed(line: &str) -> Result<Seen, String> {
    let odd = || format!("it lists {line:?}");
    let (facts, names) = line.split_once(" \"").ok_or_else(odd)?;
    let (name, after) = quoted(names).ok_or_else(odd)?;
    let link = after.strip_prefix(" -> \"").or_else(|| after.strip_prefix(" link to \""));
    let (link, rest) = link.map_or(Some((Vec::new(), after)), quoted).ok_or_else(odd)?;
    let kind = match facts.as_bytes().first() {
        Some(b'-' | b'C') => "file",
        Some(b'd') => "directory",
        Some(b'l') => "symlink",
        Some(b'h') => "hardlink",
        Some(b'c') => "char",
        Some(b'b') => "block",
        Some(b'p') => "fifo",
        _ => return Err(odd()),
    };
    let size = facts.split_whitespace().nth(2).filter(|_| kind == "file").unwrap_or("0");
    if !rest.is_empty() {
        return Err(odd());
    }
    Ok(Seen {
        name: clean(&name)?,
        kind: kind.to_owned(),
        size: size.parse().map_err(|_| odd())?,
        link,
        check: 0,
        content: None,
    })
}

/// A name as C writes it, up to its closing mark, and what follows.
fn quoted(text: &str) -> Option<(Vec<u8>, &str)> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        if byte == b'"' {
            return Some((bytes, &text[at + 1..]));
        }
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()?.1 {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            digit @ b'0'..=b'7' => {
                let more = [digit, rest.next()?.1, rest.next()?.1];
                let digits = more.iter().map(|digit| digit.checked_sub(b'0'));
                digits.into_iter().try_fold(0_u8, |value, digit| value.checked_mul(8)?.checked_add(digit?))?
            }
            other => other,
        });
    }
    None
}
