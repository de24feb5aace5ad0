//! What is kept of a container between commands: `<root>/<id>/` with the state document, the plan, and, while the container waits
//! for its start, a FIFO.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use oci::runtime::ContainerState;
use protocol::{FrameReader, Plan};
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::output::{Complaint, Log};
use crate::kernel::read_file;

/// Where states are kept; as other runtimes, below `/run`.
#[derive(Debug)]
pub(crate) struct Root {
    place: PathBuf,
    /// The caller has named it.
    named: bool,
    /// Where to tell what is not fatal.
    pub(crate) log: Log,
}

const DEFAULT_ROOT: &str = "/run/berth-runtime";

/// One container's record.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) directory: PathBuf,
    pub(crate) id: String,
    pub(crate) pid: i32,
    /// Start time of the process in clock ticks since boot: a pid can be used again.
    pub(crate) born: u64,
    pub(crate) bundle: String,
    pub(crate) rootfs: String,
    pub(crate) created: String,
    pub(crate) annotations: Value,
    pub(crate) hooks: Value,
    pub(crate) plan: Plan,
}

impl Root {
    pub(crate) fn of(global: &Arguments) -> Result<Self, Complaint> {
        global.only(&[
            "root",
            "log",
            "log-format",
            "debug",
            "criu",
            "rootless",
            "cgroup-manager",
            "systemd-cgroup",
            "v",
            "version",
        ])?;
        if global.has("systemd-cgroup") || global.value(&["cgroup-manager"]) == Some("systemd") {
            return Err(Complaint::new("the systemd cgroup driver is not supported, use cgroupfs"));
        }
        let named = global.value(&["root"]);
        Ok(Self { place: named.unwrap_or(DEFAULT_ROOT).into(), named: named.is_some(), log: Log::of(global) })
    }

    /// Nothing has been made yet where nobody said where; a place that was named is there.
    pub(crate) fn must_exist(&self) -> Result<(), Complaint> {
        if self.named && !self.place.is_dir() {
            return Err(Complaint::new(format!("{} is not a directory", self.place.display())));
        }
        Ok(())
    }

    fn place(&self, id: &str) -> Result<PathBuf, Complaint> {
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c));
        if id.is_empty() || !plain || matches!(id, "." | "..") {
            return Err(Complaint::new(format!(
                "invalid container id {id:?}: only letters, digits and _-+. are allowed"
            )));
        }
        Ok(self.place.join(id))
    }

    /// Makes the directory of a new container.
    pub(crate) fn claim(&self, id: &str) -> Result<PathBuf, Complaint> {
        let place = self.place(id)?;
        let make =
            |path: &Path, recursive| fs::DirBuilder::new().recursive(recursive).mode(0o700).create(path);
        make(&self.place, true).map_err(|e| Complaint::io(&format!("make {}", self.place.display()), &e))?;
        match make(&place, false) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Complaint::new(format!("container with id {id} already exists")))
            }
            other => other.map(|()| place).map_err(|e| Complaint::io("make the state directory", &e)),
        }
    }

    /// There is no state document of this id; an empty directory that waited for one is removed.
    pub(crate) fn forget_unwritten(&self, id: &str) -> Result<bool, Complaint> {
        let place = self.place(id)?;
        if place.join("state.json").exists() {
            return Ok(false);
        }
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Complaint::io("remove the container's state", &error))
            }
            _ => Ok(true),
        }
    }

    /// Every container's id.
    pub(crate) fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.place).into_iter().flatten().flatten();
        let mut ids: Vec<String> = entries
            .filter(|e| e.path().join("state.json").exists())
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        ids.sort();
        ids
    }

    /// A container's record.
    pub(crate) fn load(&self, id: &str) -> Result<Record, Complaint> {
        let directory = self.place(id)?;
        let text = fs::read_to_string(directory.join("state.json")).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Complaint::new(format!("container {id} does not exist")),
            _ => Complaint::io(&format!("read the state of {id}"), &error),
        })?;
        let broken = || Complaint::new(format!("the state of container {id} cannot be read"));
        let value: Value = serde_json::from_str(&text).map_err(|_| broken())?;
        let mut reader = FrameReader::default();
        reader.push(&fs::read(directory.join("plan")).map_err(|e| Complaint::io("read the plan", &e))?);
        let plan = reader.take::<Plan>().ok().flatten().ok_or_else(broken)?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Ok(Record {
            id: id.to_owned(),
            pid: value["pid"].as_i64().unwrap_or(0) as i32,
            born: value["born"].as_u64().unwrap_or(0),
            bundle: text("bundle"),
            rootfs: text("rootfs"),
            created: text("created"),
            annotations: value["annotations"].clone(),
            hooks: value["hooks"].clone(),
            plan,
            directory,
        })
    }
}

impl Record {
    /// Writes the record; the state document last, so that there is none without a plan.
    pub(crate) fn save(&self) -> Result<(), Complaint> {
        let tried = |e: std::io::Error| Complaint::io("write the container's state", &e);
        write_new(&self.directory.join("plan"), &protocol::encode(&self.plan)).map_err(tried)?;
        let mut value = self.document(ContainerState::Created);
        value["born"] = json!(self.born);
        value["hooks"] = self.hooks.clone();
        write_new(&self.directory.join("state.json"), value.to_string().as_bytes()).map_err(tried)
    }

    /// The state document, as `state` prints it and hooks read it.
    pub(crate) fn document(&self, status: ContainerState) -> Value {
        let pid = if status == ContainerState::Stopped { 0 } else { self.pid };
        json!({
            "ociVersion": oci::runtime::VERSION,
            "id": self.id,
            "pid": pid,
            "status": name_of(status),
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "annotations": self.annotations,
            "owner": "",
        })
    }

    pub(crate) fn fifo(&self) -> PathBuf {
        self.directory.join("exec.fifo")
    }

    /// The first process is there: its pid is alive, and still its.
    pub(crate) fn alive(&self) -> bool {
        self.pid > 0
            && birth(self.pid).is_some_and(|(born, state)| born == self.born && !matches!(state, 'Z' | 'X'))
    }

    pub(crate) fn status(&self) -> ContainerState {
        if !self.alive() {
            return ContainerState::Stopped;
        }
        if self.fifo().exists() {
            return ContainerState::Created;
        }
        if self.frozen() { ContainerState::Paused } else { ContainerState::Running }
    }

    fn frozen(&self) -> bool {
        let Some(cgroup) = &self.plan.cgroup else { return false };
        let v1 = cgroup.hierarchies.iter().find(|h| h.controllers == "freezer");
        match v1 {
            Some(h) => read_file(&format!("{}/freezer.state", h.path)).is_ok_and(|s| s.trim() != "THAWED"),
            None => read_file(&format!("{}/cgroup.freeze", cgroup.unified)).is_ok_and(|s| s.trim() == "1"),
        }
    }

    pub(crate) fn forget(&self) -> Result<(), Complaint> {
        fs::remove_dir_all(&self.directory).map_err(|e| Complaint::io("remove the container's state", &e))
    }
}

pub(crate) const fn name_of(status: ContainerState) -> &'static str {
    match status {
        ContainerState::Creating => "creating",
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Stopped => "stopped",
    }
}

/// Start time and state of a process, from `/proc/<pid>/stat`.
pub(crate) fn birth(pid: i32) -> Option<(u64, char)> {
    let stat = read_file(&format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also parentheses: the last one ends it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(19)?.parse().ok()?, fields.first()?.chars().next()?))
}

pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}
