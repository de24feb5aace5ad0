//! What a process did to its files, read from strace's record of it: calls become operations on a [`Disk`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::disk::{Disk, Kind, Meta, Operation};

/// Calls that change files, or make changes last. Those of the last two lines are watched for being used unforeseen.
const CALLS: &str = "trace=open,openat,openat2,creat,close,lseek,write,writev,pwrite64,ftruncate,truncate,fallocate,\
    rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,mknodat,symlink,symlinkat,link,linkat,\
    fsync,fdatasync,syncfs,sync,chmod,fchmod,fchmodat,chown,fchown,fchownat,utimensat,setxattr,fsetxattr,\
    pwritev,pwritev2,copy_file_range,sendfile,splice,sync_file_range,io_uring_setup,mmap,removexattr,\
    fremovexattr,lsetxattr,?fchmodat2,lchown,futimesat,ioctl";

/// Where marks are left: a file of that name is removed, which nobody ever made.
const MARK: &str = "/berth-mark/";
/// What a process prints that is to die in the middle.
const DIES: &str = "dies here";

/// Says in the record how far the recorded process is: `begin image a:1 ID` and `done image a:1 ID`. A value of `?` is the one
/// at its end.
pub fn mark(verb: &str, kind: &str, name: &str, value: &str) {
    // It is never there; the attempt is what counts.
    let _ = std::fs::remove_file(format!("{MARK}{verb} {kind} {name} {value}"));
}

/// Ends the recorded process as a kill would.
pub fn dies_here() -> ! {
    println!("{DIES}");
    std::process::abort();
}

/// Runs the command under strace and adds what it did below `base` to the disk.
pub(super) fn record(disk: &mut Disk, base: &Path, command: &Command) {
    let log = base.with_extension("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-xx", "-s", "16777216", "-e", "signal=none", "-e", CALLS, "-o"]).arg(&log);
    strace.arg(command.get_program()).args(command.get_args());
    strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let out = strace.stdin(Stdio::null()).output().expect("strace");
    let text = std::fs::read_to_string(&log).expect("strace's log");
    std::fs::remove_file(&log).expect("remove the log");
    let shown = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() || shown.contains(DIES), "{shown}");
    let mut reader = Reader { disk, base, offsets: HashMap::new(), ended: Vec::new() };
    for call in calls(&text) {
        reader.take(&call);
    }
}

/// A call that ended well.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: Vec<String>,
    answer: i64,
    /// How many calls had ended when it began: a sync covers those.
    began: usize,
}

/// The calls, in the order in which they ended.
fn calls(log: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (String, usize)> = HashMap::new();
    let mut ended = Vec::new();
    for line in log.lines() {
        let (process, rest) = line.split_once(' ').expect("a process and a call");
        let rest = rest.trim_start();
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(process, (head.to_owned(), ended.len()));
            continue;
        }
        let (text, began) = match rest.strip_prefix("<... ") {
            Some(tail) => {
                let (head, began) = begun.remove(process).expect("a call that began");
                (head + tail.split_once("resumed>").expect("resumed").1, began)
            }
            None => (rest.to_owned(), ended.len()),
        };
        ended.extend(parse(&text, began));
    }
    ended
}

fn parse(text: &str, began: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, answer) = rest.rsplit_once(" = ")?;
    let answer: i64 = answer.split(['<', ' ']).next()?.parse().ok()?;
    let is_mark = name == "unlink";
    if answer < 0 && !is_mark {
        return None;
    }
    let arguments = split(arguments.trim_end().strip_suffix(')')?);
    Some(Call { name: name.to_owned(), arguments, answer, began })
}

/// Strings are all in hexadecimal, so that only brackets matter.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        let part = parts.last_mut().expect("one");
        if !(part.is_empty() && letter == ' ') {
            part.push(letter);
        }
    }
    parts
}

/// The bytes of `"\x61\x62"` or of the path in `3<\x61>`.
fn bytes(argument: &str) -> Vec<u8> {
    let hex = argument.split("\\x").skip(1);
    hex.map(|digits| u8::from_str_radix(digits.get(..2).expect("two digits"), 16).expect("hex")).collect()
}

fn text(argument: &str) -> String {
    String::from_utf8(bytes(argument)).expect("names in UTF-8")
}

fn number(argument: &str) -> u64 {
    let argument = argument.trim_start_matches("S_IF").trim();
    match argument.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        Some(octal) => u64::from_str_radix(octal, 8).expect("octal"),
        None => argument.parse().unwrap_or_else(|_| panic!("{argument:?} is no number")),
    }
}

struct Reader<'a> {
    disk: &'a mut Disk,
    base: &'a Path,
    /// Where a descriptor's next write goes.
    offsets: HashMap<String, u64>,
    /// How many operations there were when so many calls had ended.
    ended: Vec<usize>,
}

impl Reader<'_> {
    fn take(&mut self, call: &Call) {
        let argument = |at: usize| call.arguments.get(at).map_or("", String::as_str);
        self.ended.push(self.disk.operations.len());
        let began = self.ended[call.began];
        match call.name.as_str() {
            "open" => self.open(call, &self.plain(argument(0)), 1),
            "openat" | "openat2" => self.open(call, &self.at(call, 0), 2),
            "close" | "ioctl" if !call.arguments.iter().any(|a| a.contains("FICLONE")) => {}
            "lseek" => {
                self.offsets.insert(handle(argument(0)), call.answer.cast_unsigned());
            }
            "write" => {
                let offset = self.offsets.get(&handle(argument(0))).copied().unwrap_or(0);
                self.offsets.insert(handle(argument(0)), offset + call.answer.cast_unsigned());
                self.write(argument(0), offset, argument(1), call.answer);
            }
            "pwrite64" => self.write(argument(0), number(argument(3)), argument(1), call.answer),
            "ftruncate" => self.length(argument(0), number(argument(1)), true),
            "fallocate" => self.length(argument(0), number(argument(2)) + number(argument(3)), false),
            "rename" => self.rename(&self.plain(argument(0)), &self.plain(argument(1))),
            "renameat" | "renameat2" => self.rename(&self.at(call, 0), &self.at(call, 2)),
            "unlink" | "rmdir" => self.unlink(&self.plain(argument(0))),
            "unlinkat" => self.unlink(&self.at(call, 0)),
            "mkdir" => self.make(&self.plain(argument(0)), Kind::Directory, number(argument(1))),
            "mkdirat" => self.make(&self.at(call, 0), Kind::Directory, number(argument(2))),
            "mknodat" => self.make(&self.at(call, 0), node(argument(2)), 0),
            "symlink" => self.make(&self.plain(argument(1)), Kind::Symlink(bytes(argument(0))), 0o777),
            "symlinkat" => self.make(&self.at(call, 1), Kind::Symlink(bytes(argument(0))), 0o777),
            "linkat" => self.link(&self.at(call, 0), &self.at(call, 2)),
            "fsync" => self.sync(argument(0), began, true),
            "fdatasync" => self.sync(argument(0), began, false),
            "syncfs" if self.inside(&self.held(argument(0))).is_some() => {
                self.disk.push(Operation::SyncAll { began });
            }
            "syncfs" => {}
            "chmod" => self.meta(&self.plain(argument(0)), Meta::Mode(number(argument(1)))),
            "fchmod" => self.meta(&self.held(argument(0)), Meta::Mode(number(argument(1)))),
            "fchmodat" => self.meta(&self.at(call, 0), Meta::Mode(number(argument(2)))),
            "chown" => self.owner(&self.plain(argument(0)), argument(1), argument(2)),
            "fchown" => self.owner(&self.held(argument(0)), argument(1), argument(2)),
            "fchownat" => self.owner(&self.at(call, 0), argument(2), argument(3)),
            "utimensat" => {
                let path = if argument(1) == "NULL" { self.held(argument(0)) } else { self.at(call, 0) };
                self.meta(&path, Meta::Time(time(argument(2))));
            }
            "fsetxattr" => {
                let value = Meta::Attribute(bytes(argument(1)), bytes(argument(2)));
                self.meta(&self.held(argument(0)), value);
            }
            "setxattr" => {
                let value = Meta::Attribute(bytes(argument(1)), bytes(argument(2)));
                self.meta(&self.plain(argument(0)), value);
            }
            "mmap" if !(argument(3).contains("MAP_SHARED") && argument(2).contains("PROT_WRITE")) => {}
            // SQLite's index of its log is made anew by whoever opens the database first.
            "mmap" if self.held(argument(4)).to_string_lossy().ends_with("-shm") => {}
            other => {
                let ours = call.arguments.iter().any(|a| self.inside(&self.held(a)).is_some());
                assert!(
                    !ours && other != "sync" && !other.starts_with("io_uring"),
                    "{call:?} is not foreseen"
                );
            }
        }
    }

    fn open(&mut self, call: &Call, path: &Path, flags: usize) {
        let has = |flag: &str| call.arguments[flags].contains(flag);
        self.offsets.insert(call.answer.to_string(), 0);
        if self.inside(path).is_none() {
            return;
        }
        match self.find(path) {
            None if has("O_CREAT") => {
                let mode = call.arguments.get(flags + 1).map_or(0o600, |mode| number(mode));
                self.make(path, Kind::File, mode);
            }
            Some(file) if has("O_TRUNC") => self.disk.push(Operation::Length { file, length: 0 }),
            Some(file) if has("O_APPEND") => {
                self.offsets.insert(call.answer.to_string(), self.disk.now.length(file));
            }
            _ => {}
        }
    }

    fn write(&mut self, file: &str, offset: u64, data: &str, count: i64) {
        let Some(file) = self.find(&self.held(file)) else { return };
        let mut data = bytes(data);
        data.truncate(usize::try_from(count).expect("a length"));
        self.disk.push(Operation::Write { file, offset, data });
    }

    fn length(&mut self, file: &str, length: u64, cuts: bool) {
        let Some(file) = self.find(&self.held(file)) else { return };
        if cuts || length > self.disk.now.length(file) {
            self.disk.push(Operation::Length { file, length });
        }
    }

    fn make(&mut self, path: &Path, kind: Kind, mode: u64) {
        let Some((directory, name)) = self.place(path) else { return };
        let node = self.disk.new_node(kind, mode & !0o022);
        self.disk.push(Operation::Link { directory, name, node });
    }

    fn link(&mut self, from: &Path, to: &Path) {
        let (Some(node), Some((directory, name))) = (self.find(from), self.place(to)) else { return };
        self.disk.push(Operation::Link { directory, name, node });
    }

    fn unlink(&mut self, path: &Path) {
        if let Some(mark) = path.to_str().and_then(|path| path.strip_prefix(MARK)) {
            self.disk.push(Operation::Mark(mark.to_owned()));
        } else if self.find(path).is_some()
            && let Some((directory, name)) = self.place(path)
        {
            self.disk.push(Operation::Unlink { directory, name });
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let node = self.find(from);
        let (Some(node), Some(from), Some(to)) = (node, self.place(from), self.place(to)) else { return };
        self.disk.push(Operation::Rename { node, from, to });
    }

    fn sync(&mut self, file: &str, began: usize, all: bool) {
        if let Some(node) = self.find(&self.held(file)) {
            self.disk.push(Operation::Sync { node, began, all });
        }
    }

    fn owner(&mut self, path: &Path, uid: &str, gid: &str) {
        self.meta(path, Meta::Owner(id(uid), id(gid)));
    }

    fn meta(&mut self, path: &Path, meta: Meta) {
        if let Some(node) = self.find(path) {
            self.disk.push(Operation::Meta { node, meta });
        }
    }

    /// The path of a descriptor: `3<\x2f…>`.
    fn held(&self, argument: &str) -> PathBuf {
        // What was removed already is no concern of the disk any more.
        if argument.contains("(deleted)") { PathBuf::new() } else { PathBuf::from(path_text(argument)) }
    }

    fn plain(&self, argument: &str) -> PathBuf {
        PathBuf::from(text(argument))
    }

    /// A path relative to a descriptor.
    fn at(&self, call: &Call, first: usize) -> PathBuf {
        let (directory, name) = (self.held(&call.arguments[first]), text(&call.arguments[first + 1]));
        if name.is_empty() || name == "." { directory } else { directory.join(name) }
    }

    fn inside<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(self.base).ok()
    }

    fn find(&self, path: &Path) -> Option<usize> {
        self.disk.now.find(self.inside(path)?)
    }

    fn place(&self, path: &Path) -> Option<(usize, String)> {
        let directory = self.find(path.parent()?)?;
        Some((directory, path.file_name()?.to_str()?.to_owned()))
    }
}

fn handle(argument: &str) -> String {
    argument.split('<').next().unwrap_or_default().to_owned()
}

fn path_text(argument: &str) -> String {
    argument.split_once('<').map(|(_, path)| text(path)).unwrap_or_default()
}

fn id(argument: &str) -> Option<u32> {
    argument.parse().ok()
}

fn node(mode: &str) -> Kind {
    assert!(mode.starts_with("S_IFCHR"), "{mode}: only whiteouts are foreseen");
    Kind::Whiteout
}

/// The modification time in `[UTIME_OMIT, {tv_sec=1, tv_nsec=2} /* … */]`.
fn time(argument: &str) -> (i64, i64) {
    let field = |name: &str| {
        let rest = argument.rsplit_once(name).map(|(_, rest)| rest)?;
        rest.split(['}', ',']).next()?.parse().ok()
    };
    (field("tv_sec=").unwrap_or(0), field("tv_nsec=").unwrap_or(0))
}
