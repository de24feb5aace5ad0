//! A bundle for the OCI runtime command line, with a busybox root and a state directory of its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Ran, rootfs};

/// A bundle. Dropping it removes its containers, its cgroup and its directory.
pub struct Bundle {
    mark: String,
    directory: PathBuf,
    owner: Option<u32>,
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl Bundle {
    /// Makes one whose document runs nothing yet.
    #[must_use]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}b{}", crate::mark(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(&mark);
        let root = directory.join("rootfs");
        std::fs::create_dir_all(&root).expect("a directory for the bundle");
        rootfs::unpack_busybox(&root);
        for place in ["proc", "sys", "dev"] {
            std::fs::create_dir(root.join(place)).expect("a mount point");
        }
        Self { mark, directory, owner: None }
    }

    /// Hands it to an ordinary user, as whom the runtime is run from now on: a copy of it, for nobody knows what that user may reach.
    /// The user's runtime directory is `run`.
    #[must_use]
    pub fn owned_by(mut self, uid: u32) -> Self {
        let program = crate::runner::find_program(&program().to_string_lossy()).expect("the runtime");
        std::fs::copy(program, self.directory.join("berth-runtime")).expect("a copy of the runtime");
        std::fs::create_dir(self.directory.join("run")).expect("a runtime directory");
        give(&self.directory, uid);
        self.owner = Some(uid);
        self
    }

    /// What begins its containers' names and is the name of its cgroup.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Everything of it lies below here.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file of the container's root.
    #[must_use]
    pub fn inside(&self, name: &str) -> PathBuf {
        self.directory.join("rootfs").join(name)
    }

    /// A document that runs a shell with this script, and has all that a container usually has.
    #[must_use]
    pub fn document(&self, script: &str) -> Value {
        let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
        let sets = json!([
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_KILL",
            "CAP_SETUID",
            "CAP_SETGID",
            "CAP_SYS_CHROOT"
        ]);
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0}, "args": ["sh", "-c", script], "env": ["PATH=/bin"], "cwd": "/",
                "capabilities": {"bounding": sets, "effective": sets, "permitted": sets},
            },
            "root": {"path": "rootfs"},
            "hostname": "bundle",
            "mounts": [
                mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
                mount("/dev", "tmpfs", &["nosuid", "mode=755"]),
                mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
                mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            ],
            "linux": {
                "cgroupsPath": format!("/{}/c", self.mark),
                "resources": {"devices": [{"allow": false, "access": "rwm"}]},
                "namespaces": [{"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}],
                "maskedPaths": ["/proc/kcore"],
                "readonlyPaths": ["/proc/sys"],
            },
        })
    }

    /// Writes the document.
    pub fn write(&self, document: &Value) {
        std::fs::write(self.directory.join("config.json"), document.to_string()).expect("config.json");
    }

    /// A command line of the runtime, not run yet.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let own = self.directory.join("berth-runtime");
        let mut command = Command::new(if self.owner.is_some() { own.into() } else { program() });
        if let Some(uid) = self.owner {
            command.uid(uid).gid(uid).env("XDG_RUNTIME_DIR", self.directory.join("run"));
        }
        command.arg("--root").arg(self.directory.join("state")).args(words);
        command.current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    /// Runs the runtime.
    ///
    /// # Panics
    /// When there is none.
    pub fn runtime(&self, words: &[&str]) -> Ran {
        // Into files: a container in the background keeps its stdio.
        let file = |name: &str| self.directory.join(name);
        let make = |name: &str| std::fs::File::create(file(name)).expect("a file for the output");
        let mut command = self.command(words);
        let status = command.stdout(make("out")).stderr(make("err")).status().expect("the runtime");
        let read =
            |name: &str| String::from_utf8_lossy(&std::fs::read(file(name)).unwrap_or_default()).into_owned();
        Ran { code: status.code().unwrap_or(-1), out: read("out"), err: read("err") }
    }

    /// Runs the runtime for no longer than this (stretched on slow machines); then it is killed, and there is no answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn runtime_within(&self, limit: Duration, words: &[&str]) -> Option<Ran> {
        let file =
            |name: &str| std::fs::File::create(self.directory.join(name)).expect("a file for the output");
        let mut child =
            self.command(words).stdout(file("out")).stderr(file("err")).spawn().expect("the runtime");
        let started = Instant::now();
        let status = loop {
            match child.try_wait().expect("the runtime's end") {
                Some(status) => break status,
                None if started.elapsed() > crate::slow(limit) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let read = |name: &str| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        Some(Ran { code: status.code().unwrap_or(-1), out: read("out"), err: read("err") })
    }

    /// Writes the document and runs it in the foreground.
    pub fn run(&self, document: &Value) -> Ran {
        self.write(document);
        self.runtime(&["run", &self.mark])
    }

    /// Everything of its containers that stands on the host, a line each; waits a moment for what is about to go. The directory of
    /// the bundle itself does not count.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        let deadline = Instant::now() + crate::slow(Duration::from_secs(3));
        loop {
            let left = self.left_now();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its containers' cgroups, in every hierarchy.
    #[must_use]
    pub fn cgroups(&self) -> Vec<String> {
        let root = "/sys/fs/cgroup".to_owned();
        let hierarchies = directories(Path::new(&root)).into_iter().chain([root]);
        hierarchies.flat_map(|hierarchy| directories(&Path::new(&hierarchy).join(&self.mark))).collect()
    }

    fn left_now(&self) -> Vec<String> {
        let state = self.directory.join("state").display().to_string();
        let entries = |place: &Path| {
            let found = std::fs::read_dir(place).into_iter().flatten().flatten();
            found.filter(|e| e.path().is_dir()).map(|e| e.path().display().to_string()).collect::<Vec<_>>()
        };
        // Filters stay for the next container; no container can have that name.
        let kept = format!("{state}/@filters");
        let mut left: Vec<String> = entries(Path::new(&state)).into_iter().filter(|it| *it != kept).collect();
        for hierarchy in
            entries(Path::new("/sys/fs/cgroup")).iter().map(String::as_str).chain(["/sys/fs/cgroup"])
        {
            left.extend(entries(&Path::new(hierarchy).join(&self.mark)));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounted = |line: &&str| line.contains(&format!("{}/rootfs", self.directory.display()));
        left.extend(mounts.lines().filter(mounted).map(str::to_owned));
        left.extend(crate::processes_naming(&state).into_iter().map(|(pid, line)| format!("{pid} {line}")));
        left
    }

    /// A container's status, or what the runtime says instead.
    #[must_use]
    pub fn status(&self, id: &str) -> String {
        let said = self.runtime(&["state", id]);
        let state: Value = serde_json::from_str(&said.out).unwrap_or_default();
        state["status"].as_str().map_or(said.err, str::to_owned)
    }
}

fn program() -> OsString {
    let program = std::env::var_os("BERTH_RUNTIME").unwrap_or_else(|| "berth-runtime".into());
    if crate::daemon::is_reference() { "runc".into() } else { program }
}

/// Everything below, links themselves.
fn give(place: &Path, uid: u32) {
    std::os::unix::fs::lchown(place, Some(uid), Some(uid)).expect("a change of owner");
    if place.is_dir() && !place.is_symlink() {
        for entry in std::fs::read_dir(place).expect("a directory").flatten() {
            give(&entry.path(), uid);
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        for id in self.runtime(&["list", "-q"]).out.lines() {
            self.runtime(&["delete", "--force", id]);
        }
        // Parents of the containers' cgroups.
        for mount in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(mount.path().join(&self.mark));
        }
        let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(&self.mark));
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn directories(place: &Path) -> Vec<String> {
    let found = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    found.filter(|path| path.is_dir()).map(|path| path.display().to_string()).collect()
}
