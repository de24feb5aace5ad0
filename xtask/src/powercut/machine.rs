//! The guest: booted and made ready once, kept as a file with its memory, and woken from there for every session with a disk of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::{cache, images};
use crate::{command, guest, packages, programs};

/// No answer takes so long, on any machine.
const PATIENCE: Duration = Duration::from_secs(300);
const DISK_BYTES: u64 = 512 << 20;

/// What all sessions share.
pub(super) struct Machine {
    kernel: String,
    image: PathBuf,
    work: PathBuf,
    /// There is one set of disks.
    _lock: fs::File,
}

/// What the guest said.
pub(super) enum Said {
    /// A line of an answer.
    Line(u32, String),
    /// The end of an answer, with the exit code.
    End(u32, i32),
}

/// A guest that runs. Dropping it ends it as a power cut would.
pub(super) struct Guest {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    asked: u32,
    console: PathBuf,
}

impl Machine {
    /// Builds the programs, the images and the guest's own image.
    pub(super) fn build(layers: &[images::Layer]) -> Result<Self, String> {
        packages::install(packages::TEST)?;
        let built = programs::build()?;
        let work = programs::target_directory().join("powercut");
        fs::create_dir_all(&work).map_err(|e| format!("{}: {e}", work.display()))?;
        let lock = fs::File::create(work.join("lock")).map_err(|e| format!("{}: {e}", work.display()))?;
        lock.try_lock().map_err(|e| format!("{} is in use: {e}", work.display()))?;
        let made = work.join("made");
        let _ = fs::remove_dir_all(&made);
        fs::create_dir_all(&made).map_err(|e| format!("{}: {e}", made.display()))?;
        let source = command::root().join("xtask/src/powercut");
        let mut files: Vec<(PathBuf, String)> = vec![
            (built.berth, "bin/berth".into()),
            (built.runtime, "bin/berth-runtime".into()),
            (source.join("agent.sh"), "bin/bench".into()),
            (source.join("start.sh"), "bin/start".into()),
            (source.join("report.sh"), "bin/report".into()),
            ("/usr/bin/strace".into(), "bin/strace".into()),
        ];
        files.extend(guest::libraries("/usr/bin/strace")?);
        for name in images::write(layers, &made)? {
            files.push((made.join(&name), format!("bin/made/{name}")));
        }
        let files: Vec<(&Path, &str)> =
            files.iter().map(|(from, to)| (from.as_path(), to.as_str())).collect();
        let (kernel, image) = guest::image("powercut", &files)?;
        let machine = Self { kernel, image, work, _lock: lock };
        machine.make_disk()?;
        Ok(machine)
    }

    /// A file below the directory of all this.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// The disk of the next session becomes a new one.
    pub(super) fn fresh_disk(&self) -> Result<(), String> {
        self.copy("empty.disk", "disk")
    }

    /// Copies a disk, holes as holes.
    pub(super) fn copy(&self, from: &str, to: &str) -> Result<(), String> {
        let mut copy = Command::new("cp");
        command::run(copy.args(["--sparse=always", "--"]).arg(self.path(from)).arg(self.path(to)))
    }

    /// Makes the disk what it was before the last session, with what that flushed and those of its later writes that `stays` says. Answers
    /// how many others there were.
    pub(super) fn lose_cache(&self, mut stays: impl FnMut() -> bool) -> Result<usize, String> {
        let path = self.path("writes");
        let read = || -> std::io::Result<Vec<u8>> {
            let file = fs::File::open(&path)?;
            // It was written from its beginning: behind what has room on the host there is nothing.
            let length = std::os::unix::fs::MetadataExt::blocks(&file.metadata()?) * 512;
            let mut log = Vec::new();
            file.take(length).read_to_end(&mut log)?;
            Ok(log)
        };
        let log = read().map_err(|e| format!("{}: {e}", path.display()))?;
        let (safe, rest) = cache::read(&log)?;
        let left: Vec<_> = rest.iter().filter(|_| stays()).collect();
        self.copy("disk.before", "disk")?;
        cache::apply(&log, safe.iter().chain(left.iter().copied()), &self.path("disk"))?;
        Ok(rest.len() - left.len())
    }

    fn make_disk(&self) -> Result<(), String> {
        let path = self.path("empty.disk");
        let file = fs::File::create(&path).and_then(|file| file.set_len(DISK_BYTES));
        file.map_err(|e| format!("{}: {e}", path.display()))?;
        command::run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(path))
    }

    /// Boots it, has `prepare` make it ready, and keeps it.
    pub(super) fn keep(&self, prepare: impl FnOnce(&mut Guest) -> Result<(), String>) -> Result<(), String> {
        self.fresh_disk()?;
        let monitor = self.path("monitor");
        let _ = fs::remove_file(&monitor);
        let mut guest =
            self.spawn(&["-monitor", &format!("unix:{},server=on,wait=off", monitor.display())])?;
        guest.hear_out(0)?;
        prepare(&mut guest)?;
        let state = self.path("state");
        let talk = || -> std::io::Result<()> {
            let mut stream = UnixStream::connect(&monitor)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            await_prompt(&mut stream)?;
            stream.write_all(format!("migrate \"exec:cat > {}\"\n", state.display()).as_bytes())?;
            await_prompt(&mut stream)
        };
        talk().map_err(|e| format!("the guest's monitor: {e}"))?;
        drop(guest);
        let size = fs::metadata(&state).map_err(|e| format!("the guest was not kept: {e}"))?.len();
        println!("the guest is ready, {} MiB", size >> 20);
        Ok(())
    }

    /// Wakes the guest as it was kept, with the disk as it is now.
    pub(super) fn wake(&self) -> Result<Guest, String> {
        self.spawn(&["-incoming", &format!("exec:cat {}", self.path("state").display())])
    }

    fn spawn(&self, more: &[&str]) -> Result<Guest, String> {
        let console = self.path("console");
        // Whatever becomes of us, it does not stay.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-m", "1024"]);
        guest::hardware(&mut qemu, &self.kernel, &self.image, "");
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        qemu.args(["-device", "virtio-serial-pci", "-chardev", "stdio,id=agent,signal=off"]);
        qemu.args(["-device", "virtserialport,chardev=agent,name=agent"]);
        let log = self.path("writes");
        let made = fs::File::create(&log).and_then(|file| file.set_len(2 * DISK_BYTES));
        made.map_err(|e| format!("{}: {e}", log.display()))?;
        // Flushes need not reach the host's disk: only the guest dies.
        for (node, path) in [("disk", self.path("disk")), ("log", log)] {
            let file = format!("driver=file,node-name={node},filename={},cache.no-flush=on", path.display());
            qemu.args(["-blockdev", &file]);
        }
        qemu.args(["-blockdev", "driver=blklogwrites,node-name=data,file=disk,log=log,log-sector-size=512"]);
        qemu.args(["-device", "virtio-blk-pci,drive=data"]).args(more);
        qemu.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = qemu.spawn().map_err(|e| format!("setpriv qemu-system-x86_64: {e}"))?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = child.stdout.take().ok_or("no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                // Nobody listens to a guest that was given up.
                let _ = sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            }
        });
        Ok(Guest { child, input, lines, asked: 0, console })
    }
}

fn await_prompt(stream: &mut UnixStream) -> std::io::Result<()> {
    let mut heard = Vec::new();
    let mut byte = [0];
    while !heard.ends_with(b"(qemu) ") {
        stream.read_exact(&mut byte)?;
        heard.push(byte[0]);
    }
    Ok(())
}

impl Guest {
    /// Has it begin something; answers by which number the answer is known.
    pub(super) fn begin(&mut self, words: &str) -> Result<u32, String> {
        self.asked += 1;
        let line = format!("{} {words}\n", self.asked);
        self.input.write_all(line.as_bytes()).map_err(|e| format!("the guest takes no input: {e}"))?;
        Ok(self.asked)
    }

    /// What it says next, or nothing when the time is over.
    pub(super) fn hear(&mut self, until: Instant) -> Result<Option<Said>, String> {
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(said) = parse(&line) {
                        return Ok(Some(said));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(self.grieve("the guest has ended")),
            }
        }
    }

    /// The rest of that answer: its lines and its exit code.
    pub(super) fn hear_out(&mut self, number: u32) -> Result<(Vec<String>, i32), String> {
        let until = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        loop {
            match self.hear(until)? {
                Some(Said::Line(of, line)) if of == number => lines.push(line),
                Some(Said::End(of, code)) if of == number => return Ok((lines, code)),
                Some(_) => {}
                None => return Err(self.grieve(&format!("no answer to {number}; it said {lines:?}"))),
            }
        }
    }

    /// Has it do something that must succeed; answers what that said.
    pub(super) fn run(&mut self, words: &str) -> Result<Vec<String>, String> {
        let number = self.begin(words)?;
        match self.hear_out(number)? {
            (lines, 0) => Ok(lines),
            (lines, code) => Err(self.grieve(&format!("{words}: exit code {code}: {}", lines.join("\n")))),
        }
    }

    /// Cuts its power; answers what it had said before that.
    pub(super) fn cut(mut self) -> Result<Vec<Said>, String> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(|e| format!("kill of the guest: {e}"))?;
        Ok(self.lines.iter().filter_map(|line| parse(&line)).collect())
    }

    fn grieve(&self, what: &str) -> String {
        let console = fs::read(&self.console).unwrap_or_default();
        let tail = &console[console.len().saturating_sub(3000)..];
        format!("{what}; its console:\n{}", String::from_utf8_lossy(tail))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads `7 a line of it` and `7 = 0`.
fn parse(line: &str) -> Option<Said> {
    let (number, rest) = line.split_once(' ')?;
    let number = number.parse().ok()?;
    match rest.strip_prefix("= ").and_then(|code| code.parse().ok()) {
        Some(code) => Some(Said::End(number, code)),
        None => Some(Said::Line(number, rest.to_owned())),
    }
}
