//! A private daemon under a directory of its own, and the clients that drive it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{leaks, rootfs, slow};

/// A daemon whose every trace carries one mark. Dropping it removes all of them.
pub struct Daemon {
    mark: String,
    directory: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

/// What a client said.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The output without its last newline, of a client that must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "exit code; out: {} err: {}", self.out, self.err);
        self.out.trim_end_matches(['\n', '\r']).to_owned()
    }
}

/// Waits until `done` or fails, naming what was waited for.
///
/// # Panics
/// When 20 s (stretched on slow machines) did not suffice.
#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < slow(Duration::from_secs(20)), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// With `BERTH_REFERENCE` set, the same tests judge Debian's dockerd and the docker command line: a test that fails
/// there asks for something Docker does not do.
#[must_use]
pub fn is_reference() -> bool {
    std::env::var_os("BERTH_REFERENCE").is_some()
}

impl Daemon {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts one with further flags and environment variables.
    #[must_use]
    pub fn start_with(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}x{number}", crate::mark());
        let directory = std::env::temp_dir().join(&mark);
        std::fs::create_dir_all(&directory).expect("a directory for the daemon");
        let mut daemon = Self {
            mark,
            directory,
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            child: None,
        };
        daemon.up();
        daemon
    }

    /// Starts the daemon again on the same directories, and waits until it answers.
    pub fn up(&mut self) {
        let number = self.mark.rsplit('x').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        let subnet = format!("10.{}.{}.1/24", 100 + number / 250, number % 250);
        let log = std::fs::File::options().create(true).append(true).open(self.directory.join("daemon.log"));
        let mut daemon = if is_reference() {
            let mut dockerd = Command::new("dockerd");
            dockerd.arg("--pidfile").arg(self.directory.join("pid"));
            dockerd
        } else {
            let mut berth = Command::new(program("BERTH", "berth"));
            berth.args(["daemon", "--temporary"]);
            berth
        };
        daemon.args(["--cgroup-parent", &format!("/{}", self.mark)]);
        if !self.flags.iter().any(|flag| flag == "--bridge") {
            let name = (!is_reference()).then_some(["--bridge", &self.mark]);
            daemon.args(name.into_iter().flatten()).args(["--bip", &subnet]);
        }
        daemon.arg("--host").arg(self.host());
        daemon.arg("--data-root").arg(self.data_root()).arg("--exec-root").arg(self.exec_root());
        daemon.args(&self.flags).envs(self.environment.iter().cloned());
        daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("daemon.log"));
        let mut child = daemon.spawn().expect("berth daemon");
        let socket = self.directory.join("berth.sock");
        wait_for("the daemon to answer", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the daemon ended with {status}: {}", self.log());
            }
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        self.child = Some(child);
    }

    /// Kills the daemon with SIGKILL, and nothing else.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill -9 of the daemon");
            child.wait().expect("wait for the daemon");
        }
    }

    /// The daemon's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The pid of the supervisor that serves this daemon.
    #[must_use]
    pub fn supervisor(&self) -> Option<i32> {
        let root = self.exec_root().display().to_string();
        leaks::processes_naming(&root)
            .into_iter()
            .find(|(_, line)| line.contains(" supervisor "))
            .map(|(pid, _)| pid)
    }

    /// The one mark that everything of this daemon carries.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Everything of it lies below here.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `--data-root`.
    #[must_use]
    pub fn data_root(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// `--exec-root`.
    #[must_use]
    pub fn exec_root(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// For `DOCKER_HOST`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.directory.join("berth.sock").display())
    }

    /// What the daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("daemon.log")).unwrap_or_default()
    }

    /// A `berth` command line, not run yet.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let client = if is_reference() { PathBuf::from("docker") } else { program("BERTH", "berth") };
        let mut command = Command::new(client);
        command.args(words).env("DOCKER_HOST", self.host()).stdin(Stdio::null());
        command
    }

    /// Runs `berth` with these words.
    pub fn berth(&self, words: &[&str]) -> Ran {
        Ran::of(&self.command(words).output().expect("berth"))
    }

    /// Runs `berth` and feeds it.
    #[must_use]
    pub fn feed(&self, words: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(words);
        feed(command.stdin(Stdio::piped()), input)
    }

    /// Runs `berth`, feeds it, waits until it has printed `wanted`, and ends it.
    #[track_caller]
    pub fn talk(&self, words: &[&str], input: &[u8], wanted: &str) {
        let mut command = self.command(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("berth");
        let mut stdin = child.stdin.take().expect("stdin");
        std::io::Write::write_all(&mut stdin, input).expect("the client takes input");
        let mut stdout = child.stdout.take().expect("stdout");
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = std::io::Read::read(&mut stdout, &mut buffer) {
                // The test has heard enough when nobody receives.
                let _ = sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        });
        let mut heard = String::new();
        wait_for(&format!("{wanted:?} from {words:?}"), || {
            heard.extend(receiver.try_iter());
            heard.contains(wanted)
        });
        child.kill().expect("kill of the client");
        child.wait().expect("wait for the client");
    }

    /// Runs the docker command line against this daemon.
    pub fn docker(&self, words: &[&str]) -> Ran {
        let mut docker = Command::new("docker");
        docker.args(words).env("DOCKER_HOST", self.host()).stdin(Stdio::null());
        Ran::of(&docker.output().expect("docker"))
    }

    /// Gives the daemon an image `busybox:latest`.
    pub fn busybox(&self) {
        let said = self.feed(&["import", "-c", "CMD [\"sh\"]", "-", "busybox"], &rootfs::busybox_tar());
        assert_eq!(said.code, 0, "import of busybox: {}", said.err);
    }

    /// Removes every container and ends the daemon in good order.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM to the daemon");
        wait_for("the daemon to end", || child.try_wait().is_ok_and(|s| s.is_some()));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("── log of the daemon\n{}", self.log());
        }
        // A test may have killed it: only a daemon can take back all that daemons made.
        if self.child.is_none() && self.directory.join("data").exists() {
            self.up();
        }
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A client that refuses its input has said why.
        let _ = std::io::Write::write_all(&mut stdin, &input);
    });
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("writer");
    Ran::of(&output)
}
