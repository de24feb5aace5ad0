//! What is kept of a container between commands: `<root>/<id>/` with the state document, the plan, and, while the container waits
//! for its start, a FIFO.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use oci::runtime::ContainerState;
use plan::facts::Facts;
use protocol::{FrameReader, Plan};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::output::{Complaint, Log};
use super::rootless;
use crate::Error;
use crate::hold;
use crate::kernel::read_file;

/// Where states are kept; as other runtimes, below `/run`.
#[derive(Debug)]
pub(crate) struct Root {
    place: PathBuf,
    /// The caller has named it.
    named: bool,
    /// It lies in a user's runtime directory, where what has no sticky bit may be cleared away (XDG base directories).
    sticky: bool,
    /// `--rootless`: how cgroups are to be had; `None` is `auto`.
    rootless: Option<bool>,
    /// Where to tell what is not fatal.
    pub(crate) log: Log,
}

/// Longest name of a directory, in bytes.
const LONGEST_ID: usize = 255;

/// Names of the files of a record.
const STATE: &str = "state.json";
const PLAN: &str = "plan";
const FIFO: &str = "exec.fifo";
const UNREADY_FIFO: &str = "unready.fifo";

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
        if let Some(format) =
            global.value(&["log-format"]).filter(|format| !matches!(*format, "text" | "json"))
        {
            return Err(Complaint::new(format!("--log-format {format:?} is neither text nor json")));
        }
        let rootless = rootless::option(global.value(&["rootless"]))?;
        let named = global.value(&["root"]);
        let own = if named.is_some() { None } else { rootless::state_directory("berth-runtime") };
        let sticky = own.is_some();
        let place = own.unwrap_or_else(|| named.unwrap_or(DEFAULT_ROOT).into());
        Ok(Self { place, named: named.is_some(), sticky, rootless, log: Log::of(global) })
    }

    /// The state directory.
    pub(crate) fn path(&self) -> &Path {
        &self.place
    }

    /// What the host is for this invocation.
    pub(crate) fn facts(&self) -> Result<Facts, Error> {
        crate::facts::gather_as(self.rootless)
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
        if id.len() > LONGEST_ID {
            return Err(Complaint::new(format!("invalid container id: it is longer than {LONGEST_ID}")));
        }
        Ok(self.place.join(id))
    }

    /// Makes the directory of a new container.
    pub(crate) fn claim(&self, id: &str) -> Result<PathBuf, Complaint> {
        let place = self.place(id)?;
        let make =
            |path: &Path, recursive| fs::DirBuilder::new().recursive(recursive).mode(0o700).create(path);
        let tried = |e: std::io::Error| {
            let hint = if self.named || self.sticky {
                ""
            } else {
                " (--root DIR or XDG_RUNTIME_DIR names another place)"
            };
            Complaint::io(&format!("make {}{hint}", self.place.display()), &e)
        };
        make(&self.place, true).map_err(tried)?;
        if self.sticky {
            fs::set_permissions(&self.place, fs::Permissions::from_mode(0o1700)).map_err(tried)?;
        }
        match make(&place, false) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Complaint::new(format!("container with id {id} already exists")))
            }
            other => other.map(|()| place).map_err(|e| Complaint::io("make the state directory", &e)),
        }
    }

    /// Every container's id.
    pub(crate) fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.place).into_iter().flatten().flatten();
        let mut ids: Vec<String> = entries
            .filter(|e| e.path().join(STATE).exists())
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        ids.sort();
        ids
    }

    /// A container's record.
    pub(crate) fn load(&self, id: &str) -> Result<Record, Complaint> {
        let directory = self.place(id)?;
        let Some(text) = read_part(&directory, STATE)? else {
            return Err(Complaint::new(format!("container {id} does not exist")));
        };
        let broken = |part: &str| {
            Complaint::new(format!(
                "the {part} of container {id} is damaged; `delete --force` removes what can be found"
            ))
        };
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if value["id"] != *id || pid_of(&value).is_none() {
            return Err(broken("state"));
        }
        let plan = read_plan(&directory)?.ok_or_else(|| broken("plan"))?;
        Ok(Record::of(id, directory, &value, plan))
    }

    /// What can be read of a record that cannot be loaded: one that is damaged, or that somebody had only begun to write. `None`: there
    /// is nothing.
    pub(crate) fn salvage(&self, id: &str) -> Result<Option<Record>, Complaint> {
        let directory = self.place(id)?;
        match fs::symlink_metadata(&directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(Complaint::new(format!("{} is not a container's", directory.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Complaint::io(&format!("look for container {id}"), &error)),
        }
        let text = read_part(&directory, STATE)?;
        let value: Value = serde_json::from_slice(text.as_deref().unwrap_or_default()).unwrap_or_default();
        let plan = read_plan(&directory)?;
        if plan.is_none() && text.is_some() {
            self.log.warn(&format!("the plan of container {id} is lost: its cgroups may remain"));
        }
        Ok(Some(Record::of(id, directory, &value, plan.unwrap_or_default())))
    }
}

/// `None` when there is no number that can be a pid.
fn pid_of(state: &Value) -> Option<i32> {
    state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid >= 0)
}

/// A file of a record. That it cannot be read now does not mean that it is not there.
fn read_part(directory: &Path, name: &str) -> Result<Option<Vec<u8>>, Complaint> {
    match fs::read(directory.join(name)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Complaint::io(&format!("read {}", directory.join(name).display()), &error)),
    }
}

/// `None` when there is no whole plan.
fn read_plan(directory: &Path) -> Result<Option<Plan>, Complaint> {
    let mut reader = FrameReader::default();
    reader.push(&read_part(directory, PLAN)?.unwrap_or_default());
    Ok(reader.take::<Plan>().ok().flatten())
}

impl Record {
    fn of(id: &str, directory: PathBuf, value: &Value, plan: Plan) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self {
            id: id.to_owned(),
            pid: pid_of(value).unwrap_or(0),
            born: value["born"].as_u64().unwrap_or(0),
            bundle: text("bundle"),
            rootfs: text("rootfs"),
            created: text("created"),
            annotations: value["annotations"].clone(),
            hooks: value["hooks"].clone(),
            plan,
            directory,
        }
    }

    /// Writes the record of a new container: whatever becomes of its maker, what there is to remove is known before it is there.
    pub(crate) fn begin(&self) -> Result<(), Complaint> {
        let bytes = protocol::encode(&self.plan);
        if bytes.len() > protocol::MAX_FRAME_BYTES {
            return Err(Complaint::new(format!(
                "the document makes a plan of more than {} MiB",
                protocol::MAX_FRAME_BYTES >> 20
            )));
        }
        write_whole(&self.directory.join(PLAN), &bytes, 0o600).map_err(cannot_write)?;
        self.save()
    }

    /// Writes the state document anew. Readers see the one before or this one.
    pub(crate) fn save(&self) -> Result<(), Complaint> {
        let mut value = self.document(ContainerState::Created);
        value["born"] = json!(self.born);
        value["hooks"] = self.hooks.clone();
        write_whole(&self.directory.join(STATE), value.to_string().as_bytes(), 0o600).map_err(cannot_write)
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

    /// Where the first process waits for `start`.
    pub(crate) fn fifo(&self) -> PathBuf {
        self.directory.join(FIFO)
    }

    /// Its name as long as `create` has not done everything else.
    pub(crate) fn unready_fifo(&self) -> PathBuf {
        self.directory.join(UNREADY_FIFO)
    }

    /// The first process is there: its pid is alive, and still its.
    pub(crate) fn alive(&self) -> bool {
        match birth(self.pid) {
            _ if self.pid <= 0 => false,
            Ok(Some((born, state))) => born == self.born && !matches!(state, 'Z' | 'X'),
            Ok(None) => false,
            // Nobody knows: what may be alive is not cleared away.
            Err(_) => true,
        }
    }

    pub(crate) fn status(&self) -> ContainerState {
        if !self.alive() {
            return ContainerState::Stopped;
        }
        // A created one can be paused, too, and then waits for its resumption first.
        if self.plan.cgroup.as_ref().is_some_and(crate::cgroup::is_frozen) {
            return ContainerState::Paused;
        }
        if hold::is_waiting(&self.fifo()) {
            return ContainerState::Created;
        }
        if hold::is_waiting(&self.unready_fifo()) {
            ContainerState::Creating
        } else {
            ContainerState::Running
        }
    }

    /// Removes the record. The state document goes first: without it there is no container any more.
    pub(crate) fn forget(&self) -> Result<(), Complaint> {
        for name in [STATE, PLAN, FIFO, UNREADY_FIFO] {
            let _ = fs::remove_file(self.directory.join(name));
        }
        // By name, which needs no descriptor; the rest is what a killed process left in the middle of a write.
        let mut removed = fs::remove_dir(&self.directory);
        if removed.is_err() {
            removed = fs::remove_dir_all(&self.directory);
        }
        removed.map_err(|error| Complaint::io("remove the container's state", &error))
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
pub(crate) fn birth(pid: i32) -> Result<Option<(u64, char)>, Errno> {
    match read_file(&format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(read_stat(&stat)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn read_stat(stat: &str) -> Option<(u64, char)> {
    // The name may hold anything, also parentheses: the last one ends it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(19)?.parse().ok()?, fields.first()?.chars().next()?))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn cannot_write(error: std::io::Error) -> Complaint {
    Complaint::io("write the container's state", &error)
}

/// Writes a file that is there whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let write = || {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode).open(&temporary)?.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}
