//! Private daemons for the bench: Berth's and Docker's, each with its own directories, socket and bridge.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::command;

/// A running daemon; dropped, it is asked to end, then killed.
pub(super) struct Daemon {
    child: Child,
    host: String,
}

impl Daemon {
    /// `unix://…` of its socket.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(15) {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Berth's daemon.
pub(super) fn start_berth(stage: &Stage) -> Result<Daemon, String> {
    let mut daemon = Command::new(&stage.programs.berth);
    daemon.arg("daemon").arg("--temporary");
    daemon.arg("--data-root").arg(stage.path("berth")).arg("--exec-root").arg(stage.path("berth-run"));
    daemon.args(["--cgroup-parent", &format!("/{}-berth", stage.mark), "--bridge", "bbench0"]);
    start(stage, daemon, "berth")
}

/// Docker's daemon as Debian ships it, with a containerd that it starts itself.
pub(super) fn start_docker(stage: &Stage) -> Result<Daemon, String> {
    let found = Command::new("dockerd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return Err("no dockerd here".to_owned());
    }
    let mut daemon = Command::new("dockerd");
    daemon.arg("--data-root").arg(stage.path("docker")).arg("--exec-root").arg(stage.path("docker-run"));
    daemon.arg("--pidfile").arg(stage.path("docker.pid"));
    daemon.arg("--config-file").arg(stage.path("none.json"));
    std::fs::write(stage.path("none.json"), "{}").map_err(|error| error.to_string())?;
    daemon.args(["--cgroup-parent", &format!("/{}-docker", stage.mark), "--bip", "172.31.250.1/24"]);
    daemon.args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--storage-driver", "overlay2"]);
    start(stage, daemon, "docker")
}

fn start(stage: &Stage, mut daemon: Command, name: &str) -> Result<Daemon, String> {
    let socket = stage.path(&format!("{name}.sock"));
    let log_path = stage.path(&format!("{name}.log"));
    let log = std::fs::File::create(&log_path).map_err(|error| error.to_string())?;
    let output = log.try_clone().map_err(|error| error.to_string())?;
    let host = format!("unix://{}", socket.display());
    daemon.arg("--host").arg(&host).stdin(Stdio::null()).stdout(output).stderr(log);
    let child = daemon.spawn().map_err(|error| format!("start {name}: {error}"))?;
    let mut daemon = Daemon { child, host };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if UnixStream::connect(&socket).is_ok() {
            return Ok(daemon);
        }
        if daemon.child.try_wait().is_ok_and(|status| status.is_some()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("{name}'s daemon did not come up: {}", last_line(&log_path)))
}

/// Imports the archive as image `bench` through a command line like docker's.
pub(super) fn import(mut client: Command, archive: &Path) -> Result<(), String> {
    client.arg("import").arg(archive).arg("bench").stdout(Stdio::null());
    command::run(&mut client)
}

/// The last line of a log that says something.
pub(super) fn last_line(log: &PathBuf) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}
