//! One contestant on a fresh file system, and what its acts cost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::engines::{Act, Engine};
use super::{Place, directory, path};
use crate::command;

/// What an act cost.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) wall_s: f64,
    /// Until what it wrote was on the disk.
    pub(super) durable_s: f64,
    /// Of everybody but the registries.
    pub(super) cpu_s: f64,
    /// The daemon's peak, or the command's where there is none.
    pub(super) peak_mib: f64,
}

/// A contestant at work. Dropped, its daemon ends and its file system goes.
pub(super) struct Session<'a> {
    place: &'a Place<'a>,
    engine: &'static Engine,
    root: PathBuf,
    daemon: Option<Child>,
}

impl<'a> Session<'a> {
    pub(super) fn start(place: &'a Place<'a>, engine: &'static Engine) -> Result<Self, String> {
        let root = fresh(place)?;
        for (name, content) in [("none.json", "{}"), ("none.toml", "version = 2\n")] {
            std::fs::write(root.join(name), content).map_err(|e| e.to_string())?;
        }
        let mut session = Self { place, engine, root, daemon: None };
        if !engine.daemon.is_empty() {
            let log = std::fs::File::create(place.stage.path("daemon.log")).map_err(|e| e.to_string())?;
            let mut daemon = session.words(engine.daemon, ["", ""]);
            daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            session.daemon = Some(daemon.spawn().map_err(|e| format!("{}: {e}", engine.name))?);
            session.wait_for_daemon()?;
        }
        Ok(session)
    }

    fn wait_for_daemon(&self) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            if std::os::unix::net::UnixStream::connect(self.socket()).is_ok() {
                // Containerd listens before its plugins are there.
                std::thread::sleep(Duration::from_millis(500));
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = super::super::daemons::last_line(&self.place.stage.path("daemon.log"));
        Err(format!("{}'s daemon did not come up: {log}", self.engine.name))
    }

    fn socket(&self) -> PathBuf {
        self.place.stage.path("daemon.sock")
    }

    fn words(&self, command: &str, [first, second]: [&str; 2]) -> Command {
        let stage = self.place.stage;
        let mut words = command.split(' ').map(|word| {
            word.replace("%root", path(&self.root))
                .replace("%socket", path(&self.socket()))
                .replace("%berth", path(&stage.programs.berth))
                .replace("%mark", &stage.mark)
                .replace("%1", first)
                .replace("%2", second)
        });
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Does something that does not count; what the engine does not have is left out.
    pub(super) fn quietly(&self, act: Act, about: [&str; 2]) -> Result<(), String> {
        let Some(words) = self.engine.command(act) else { return Ok(()) };
        command::run(self.words(words, about).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Does it and says what it cost; `None` when the engine has no such act. Everything is on the disk before the clock starts.
    pub(super) fn time(&self, act: Act, about: [&str; 2]) -> Result<Option<Cost>, String> {
        let Some(words) = self.engine.command(act) else { return Ok(None) };
        command::run(&mut Command::new("sync"))?;
        let errors = self.place.stage.path("errors");
        let file = std::fs::File::create(&errors).map_err(|e| e.to_string())?;
        let daemon = self.daemon.as_ref().map(Child::id);
        if let Some(daemon) = daemon {
            // Begins the peak anew (proc_pid_clear_refs(5)).
            std::fs::write(format!("/proc/{daemon}/clear_refs"), "5").map_err(|e| e.to_string())?;
        }
        let before = ticks(&self.place.bystanders);
        let start = Instant::now();
        let mut child =
            self.words(words, about).stdout(Stdio::null()).stderr(file).spawn().map_err(|e| e.to_string())?;
        let mut peak = 0;
        let status = loop {
            peak = peak.max(peak_kib(daemon.unwrap_or(child.id())));
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let wall_s = start.elapsed().as_secs_f64();
        if !status.success() {
            let said = std::fs::read_to_string(&errors).unwrap_or_default();
            return Err(format!("{}: {}", act.shown(), said.trim().lines().last().unwrap_or("failed")));
        }
        let cpu_s = ticks(&self.place.bystanders).saturating_sub(before) as f64 / 100.0;
        command::run(Command::new("sync").arg("--file-system").arg(&self.root))?;
        let durable_s = start.elapsed().as_secs_f64();
        Ok(Some(Cost { wall_s, durable_s, cpu_s, peak_mib: peak as f64 / 1024.0 }))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(Command::new("kill").arg(daemon.id().to_string()).status());
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(20) && daemon.try_wait().is_ok_and(|s| s.is_none()) {
                std::thread::sleep(Duration::from_millis(20));
            }
            drop(daemon.kill());
            drop(daemon.wait());
        }
        drop(std::fs::remove_file(self.socket()));
        drop(Command::new("umount").args(["--recursive", "--lazy", path(&self.root)]).status());
        drop(std::fs::remove_file(self.place.stage.path("disk")));
    }
}

/// An empty ext4 in a file of the bench, without a second page cache below its own.
fn fresh(place: &Place<'_>) -> Result<PathBuf, String> {
    fresh_disk(place.stage)
}

/// As a session has it, for other measurements: the mount point.
pub(super) fn fresh_disk(stage: &super::Stage) -> Result<PathBuf, String> {
    let (file, root) = (stage.path("disk"), directory(stage, "root-of-one")?);
    command::run(Command::new("fallocate").args(["--length", "12GiB"]).arg(&file))?;
    let options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
    command::run(Command::new("mkfs.ext4").args(["-q", "-E", options]).arg(&file))?;
    let mut losetup = Command::new("losetup");
    let device = command::output(losetup.args(["--find", "--show", "--direct-io=on"]).arg(&file))?;
    let mounted = command::run(Command::new("mount").arg(device.trim()).arg(&root));
    // It goes with the mount.
    command::run(Command::new("losetup").args(["--detach", device.trim()]))?;
    mounted.map(|()| root)
}

/// Processor time so far, in hundredths of a second, of all processes of this namespace and of those that they have waited for.
fn ticks(bystanders: &[u32]) -> u64 {
    let own = std::process::id();
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let text = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields: Vec<u64> = text
            .rsplit_once(") ")
            .map(|(_, rest)| rest.split(' ').skip(11).take(4).filter_map(|n| n.parse().ok()).collect())
            .unwrap_or_default();
        // utime, stime, then those of children; this process's own are the bench's.
        sum += match fields.as_slice() {
            _ if bystanders.contains(&pid) => 0,
            [_, _, user, system] if pid == own => user + system,
            fields => fields.iter().sum(),
        };
    }
    sum
}

fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let peak = fields.get("VmHWM").and_then(|text| text.trim().strip_suffix(" kB"));
    peak.and_then(|text| text.parse().ok()).unwrap_or(0)
}
