//! `cargo xtask demo`: Berth's main job in one command, under a private daemon that leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::programs::{self, Programs};
use crate::{command, packages};

/// The kinds of namespaces the demo compares with the host's.
const NAMESPACES: &[&str] = &["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// Builds, runs, shows, and cleans up (or, with `keep`, says what to try next).
pub(crate) fn run(keep: bool) -> Result<(), String> {
    packages::install(packages::DEMO)?;
    if !command::is_root() {
        return Err("the demo makes containers, and that needs root: run it with sudo".to_owned());
    }
    println!("building both programs …");
    let mut private = Private::start(programs::build()?)?;
    let shown = show(&private);
    if keep && shown.is_ok() {
        private.keep();
        return Ok(());
    }
    private.stop().and(shown)
}

fn show(private: &Private) -> Result<(), String> {
    // The first start also makes the embedded image; the one that is shown only starts.
    command::output(private.berth().args(["run", "--rm", "hello"]))?;
    println!("\n$ berth run --rm --memory 64m --cpus 0.5 --pids-limit 100 hello\n");
    let mut run = private.berth();
    run.args(["run", "--rm", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "100"]);
    for kind in NAMESPACES {
        if let Ok(id) = std::fs::read_link(format!("/proc/self/ns/{kind}")) {
            run.args(["--env", &format!("BERTH_HOST_NS_{kind}={}", id.display())]);
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    run.args(["--env", &format!("BERTH_STARTED_NS={}", now.as_nanos()), "hello"]);
    command::run(&mut run)?;

    println!("\n$ berth run --name greedy --memory 16m hello fill-memory\n");
    let mut greedy = private.berth();
    let status = greedy.args(["run", "--name", "greedy", "--memory", "16m", "hello", "fill-memory"]).status();
    let code = status.map_err(|e| format!("berth run: {e}"))?.code();
    let mut inspect = private.berth();
    inspect.args(["inspect", "--format", "{{.State.Status}}, out of memory: {{.State.OOMKilled}}", "greedy"]);
    let state = command::output(&mut inspect)?;
    println!("exit code {}; {}", code.unwrap_or(-1), state.trim());
    if code != Some(137) || !state.contains("out of memory: true") {
        return Err("the memory limit did not bite as it should".to_owned());
    }
    Ok(())
}

/// A daemon of our own under a temporary directory.
struct Private {
    programs: Programs,
    directory: PathBuf,
    daemon: Option<Child>,
}

impl Private {
    fn start(programs: Programs) -> Result<Self, String> {
        let mark = format!("berth-demo-{}", std::process::id());
        let directory = std::env::temp_dir().join(&mark);
        std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let log = std::fs::File::create(directory.join("daemon.log")).map_err(|e| e.to_string())?;
        let mut daemon = Command::new(&programs.berth);
        daemon.arg("daemon").arg("--temporary");
        daemon.arg("--host").arg(format!("unix://{}", directory.join("berth.sock").display()));
        daemon.arg("--data-root").arg(directory.join("data")).arg("--exec-root").arg(directory.join("run"));
        daemon.args([
            "--cgroup-parent",
            &format!("/{mark}"),
            "--bridge",
            &format!("bd{}", std::process::id()),
        ]);
        daemon.stderr(log);
        let daemon = daemon.spawn().map_err(|e| format!("berth daemon: {e}"))?;
        let mut private = Self { programs, directory, daemon: Some(daemon) };
        private.wait()?;
        Ok(private)
    }

    /// Waits until the daemon answers.
    fn wait(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            let ended = self.daemon.as_mut().is_some_and(|d| d.try_wait().is_ok_and(|s| s.is_some()));
            let socket = self.directory.join("berth.sock");
            if !ended && std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return Ok(());
            }
            if ended {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let log = std::fs::read_to_string(self.directory.join("daemon.log")).unwrap_or_default();
        Err(format!("the daemon did not come up:\n{log}"))
    }

    fn berth(&self) -> Command {
        let mut berth = Command::new(&self.programs.berth);
        berth.env("DOCKER_HOST", self.host());
        berth
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.join("berth.sock").display())
    }

    /// Leaves the daemon running and prints what to try.
    fn keep(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        let berth = self.programs.berth.display();
        println!("\nThe daemon stays. Try:\n");
        println!("  export DOCKER_HOST={}", self.host());
        println!("  {berth} import /path/to/rootfs.tar debian && {berth} run -it --rm debian bash");
        println!("  {berth} load -i image.tar       # made by docker save, podman save or skopeo");
        println!("  {berth} ps -a                   # the docker command line works just as well");
        println!(
            "\nEnd it, and everything it made, with: kill {}; rm -r {}",
            daemon.id(),
            self.directory.display()
        );
    }

    /// Ends the daemon, which removes all it made, and then the directory.
    fn stop(&mut self) -> Result<(), String> {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        command::run(Command::new("kill").arg(daemon.id().to_string()))?;
        let status = daemon.wait().map_err(|e| e.to_string())?;
        let left = remove(&self.directory);
        println!("\ncleaned up: the daemon, its containers, network and directory are gone");
        if status.success() { left } else { Err(format!("the daemon ended with {status}")) }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(message) = self.stop() {
            eprintln!("{message}");
        }
    }
}

fn remove(directory: &Path) -> Result<(), String> {
    std::fs::remove_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))
}
