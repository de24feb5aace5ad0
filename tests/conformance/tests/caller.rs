//! Other people's engines with `berth-runtime` in place of runc. With `BERTH_REFERENCE` it is runc after all, or `crun` if that says so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use testkit::{Ran, wait_for};

/// An engine below a directory of its own, with one mark in everything it makes. Dropping it ends the engine's daemon, if it has one,
/// and removes what it left.
pub(crate) struct Caller {
    pub(crate) mark: String,
    pub(crate) directory: PathBuf,
    /// The words with which every command begins.
    pub(crate) head: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    daemon: Option<Child>,
}

/// The program under test.
pub(crate) fn runtime() -> String {
    let program = match std::env::var("BERTH_REFERENCE").as_deref() {
        Ok("crun") => find("crun"),
        Ok(_) => find("runc"),
        Err(_) => std::env::var("BERTH_RUNTIME").ok(),
    };
    program.expect("BERTH_RUNTIME")
}

/// Engines want an absolute path.
fn find(name: &str) -> Option<String> {
    let places = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&places).map(|place| place.join(name)).find(|path| path.exists())?;
    Some(found.display().to_string())
}

impl Caller {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}c{}", testkit::mark(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(&mark);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("busybox.tar"), testkit::busybox_tar()).unwrap();
        Self { mark, directory, head: Vec::new(), environment: Vec::new(), daemon: None }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// Starts the engine's daemon and waits until `question` is answered.
    pub(crate) fn serve(&mut self, words: &[&str], question: &[&str]) {
        let log = std::fs::File::create(self.directory.join("log")).unwrap();
        let mut daemon = Command::new(words[0]);
        daemon.args(&words[1..]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(daemon.spawn().unwrap_or_else(|e| panic!("{}: {e}", words[0])));
        wait_for(words[0], || self.run(question).code == 0);
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.head[0]);
        command.args(&self.head[1..]).args(words).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().unwrap_or_else(|e| panic!("{}: {e}", self.head[0]));
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The words of a command that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
        said.out.replace('\r', "").trim_end().to_owned()
    }

    /// A command on a terminal of its own.
    pub(crate) fn on_terminal(&self, words: &[&str]) -> String {
        let command = self.command(words);
        let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
        let line: Vec<String> =
            std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
        let mut script = Command::new("script");
        script.args(["-qec", &line.join(" "), "/dev/null"]).envs(self.environment.iter().cloned());
        let output = script.stdin(Stdio::null()).output().expect("script (package bsdutils)");
        String::from_utf8_lossy(&output.stdout).replace(['\r', '\0', '\u{4}', '\u{8}'], "")
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_cgroup(&hierarchy.path().join(&self.mark));
        }
        // Engines keep some of their directories unreadable, and busy for a moment.
        for _ in 0..50 {
            if std::fs::remove_dir_all(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// A cgroup with those below; podman makes plain directories in place of hierarchies that are not there.
fn remove_cgroup(place: &Path) {
    for below in std::fs::read_dir(place).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&below.path());
        }
    }
    if std::fs::remove_dir(place).is_err() {
        let _ = std::fs::remove_dir_all(place);
    }
}
